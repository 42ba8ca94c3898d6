"""The shape of a decoder-only transformer: the few integers from which parameters, FLOP and bytes follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Norm = Literal["rmsnorm", "layernorm", "layernorm-no-bias", "layernorm-no-params"]
QkNorm = Literal["", "per-head-dim", "full", "per-head"]


@dataclass(frozen=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, 2024): queries and keys/values through low-rank projections.

    ``q_lora_rank`` is 0 where queries are projected directly.
    """

    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, kw_only=True)
class GlobalAttention:
    """How the layers without a window differ from the local ones, where they do (Gemma 4).

    ``keys_are_values`` says that one projection gives both, so these layers have no v.
    """

    head_dim: int
    kv_heads: int
    keys_are_values: bool


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Layers that mix tokens without softmax attention (gated delta net, Mamba-2, short convolution).

    Attributes:
        kind: what it is, in the field's words.
        layers: how many of the model's layers use it in place of attention.
        parameters: parameters of one such mixer, all tensors.
        matmul_parameters: those of them that are matrix products per token.
    """

    kind: str
    layers: int
    parameters: int
    matmul_parameters: int


@dataclass(frozen=True, kw_only=True)
class Linear:
    """One kind of linear module and where it stands.

    Attributes:
        role: canonical name: q k v o gate up down head, router, and for latent attention q_a q_b kv_a kv_b.
        group: attention, mlp (dense), expert, shared_expert, router, mixer or head.
        in_features, out_features: shape of one instance.
        layers: number of layers that have it (1 for the head).
        copies: instances resident in each such layer (the number of experts, else 1).
        active_copies: instances that one token passes through (experts per token, else 1).
        bias: whether it has a bias vector.
    """

    role: str
    group: str
    in_features: int
    out_features: int
    layers: int
    copies: int = 1
    active_copies: int = 1
    bias: bool = False


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of one model. Every count below is computed from these fields, never stored beside them.

    Attributes:
        id: hub id.
        family: Hugging Face ``model_type``.
        layers, hidden, heads, kv_heads, head_dim, vocab: as in ``config.json``.
        intermediate: width of the dense feed-forward block (0 where every layer is a mixture of experts).
        gated_mlp: gate, up and down (True) or up and down (False).
        fused_qkv, fused_gate_up: one module holds the projections, so one adapter serves them.
        parallel_blocks: attention and feed-forward block of a layer both read the layer's input.
        tied_embeddings: the head shares the embedding matrix.
        max_position: longest context the model was made for, tokens.
        learned_positions: rows of a learned position table; 0 for rotary, ALiBi or none.
        sliding_window: attention window of the local layers, tokens; 0 for none.
        sliding_layers: how many layers are local.
        latent: latent attention, or None.
        global_attention: shape of the layers without a window where it differs from the local ones, else None;
            the width properties below describe the local layers then.
        attention_gate: the query projection also gives a gate of the same width for the attention output.
        experts, experts_per_token: routed experts per mixture layer; 0 for dense models.
        expert_intermediate: feed-forward width of one routed expert.
        shared_expert_intermediate: total width of the experts that every token passes; 0 for none.
        shared_expert_gate: the shared expert has its own scalar gate (hidden -> 1).
        dense_layers: layers of a mixture model that keep a dense feed-forward block.
        mixer: layers without softmax attention, or None.
        norm, norms_per_layer, qk_norm, embedding_norm, final_norm: normalisations.
        qkv_bias, o_bias, mlp_bias, head_bias, router_bias: biases.
        extra_parameters: parameters that fit none of the above (attention sinks, scalar gates), total.
    """

    id: str
    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    intermediate: int
    gated_mlp: bool
    tied_embeddings: bool
    max_position: int
    fused_qkv: bool = False
    fused_gate_up: bool = False
    parallel_blocks: bool = False
    learned_positions: int = 0
    sliding_window: int = 0
    sliding_layers: int = 0
    latent: LatentAttention | None = None
    global_attention: GlobalAttention | None = None
    attention_gate: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_expert_intermediate: int = 0
    shared_expert_gate: bool = False
    dense_layers: int = 0
    mixer: Mixer | None = None
    norm: Norm = "rmsnorm"
    norms_per_layer: int = 2
    qk_norm: QkNorm = ""
    embedding_norm: bool = False
    final_norm: bool = True
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    router_bias: bool = False
    extra_parameters: int = 0

    @property
    def attention_layers(self) -> int:
        """Layers with softmax attention."""
        return self.layers - (self.mixer.layers if self.mixer else 0)

    @property
    def global_layers(self) -> int:
        """Attention layers without a window."""
        return self.attention_layers - self.sliding_layers

    @property
    def moe_layers(self) -> int:
        """Layers whose feed-forward block is a mixture of experts."""
        return self.layers - self.dense_layers if self.experts else 0

    @property
    def query_features(self) -> int:
        """Width of all query heads together."""
        if self.latent:
            return self.heads * (self.latent.qk_nope_head_dim + self.latent.qk_rope_head_dim)
        return self.heads * self.head_dim

    @property
    def value_features(self) -> int:
        """Width of the attention output before the output projection."""
        return self.heads * (self.latent.v_head_dim if self.latent else self.head_dim)

    @property
    def kv_features(self) -> int:
        """Width of all key heads (equal to the value heads for ordinary attention)."""
        return self.kv_heads * self.head_dim

    @property
    def kv_cache_features(self) -> int:
        """Numbers cached per token and attention layer: keys and values, or the latent vector."""
        if self.latent:
            return self.latent.kv_lora_rank + self.latent.qk_rope_head_dim
        return 2 * self.kv_features

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        """Every linear module of the model, the head included; adapters, FLOP and time read this one list."""
        return (*self._attention_linears(), *self._mlp_linears(), self._head_linear())

    def _attention_linears(self) -> tuple[Linear, ...]:
        if self.latent:
            return self._latent_linears(self.latent)
        other = self.global_attention
        if other is None:
            return self._projections(self.attention_layers, self.head_dim, self.kv_heads)
        roles = ("q", "k", "o") if other.keys_are_values else ("q", "k", "v", "o")
        return (
            *self._projections(self.sliding_layers, self.head_dim, self.kv_heads),
            *self._projections(self.global_layers, other.head_dim, other.kv_heads, roles),
        )

    def _projections(
        self, layers: int, head_dim: int, kv_heads: int, roles: tuple[str, ...] = ("q", "k", "v", "o")
    ) -> tuple[Linear, ...]:
        queries = self.heads * head_dim
        keys = kv_heads * head_dim
        shapes = {
            "q": (self.hidden, queries * (2 if self.attention_gate else 1)),
            "k": (self.hidden, keys),
            "v": (self.hidden, keys),
            "o": (queries, self.hidden),
        }
        return tuple(
            Linear(
                role=role,
                group="attention",
                in_features=shapes[role][0],
                out_features=shapes[role][1],
                layers=layers,
                bias=self.o_bias if role == "o" else self.qkv_bias,
            )
            for role in roles
            if layers
        )

    def _latent_linears(self, latent: LatentAttention) -> tuple[Linear, ...]:
        if latent.q_lora_rank:
            rows = [("q_a", self.hidden, latent.q_lora_rank), ("q_b", latent.q_lora_rank, self.query_features)]
        else:
            rows = [("q", self.hidden, self.query_features)]
        rows += [
            ("kv_a", self.hidden, latent.kv_lora_rank + latent.qk_rope_head_dim),
            ("kv_b", latent.kv_lora_rank, self.heads * (latent.qk_nope_head_dim + latent.v_head_dim)),
            ("o", self.value_features, self.hidden),
        ]
        return tuple(
            Linear(
                role=role,
                group="attention",
                in_features=fan_in,
                out_features=fan_out,
                layers=self.attention_layers,
                bias=self.o_bias and role == "o",
            )
            for role, fan_in, fan_out in rows
        )

    def _mlp_linears(self) -> tuple[Linear, ...]:
        dense = self.layers - self.moe_layers
        found: list[Linear] = []
        if dense and self.intermediate:
            found += self._feed_forward("mlp", self.intermediate, dense)
        if self.experts:
            found.append(
                Linear(
                    role="router",
                    group="router",
                    in_features=self.hidden,
                    out_features=self.experts,
                    layers=self.moe_layers,
                    bias=self.router_bias,
                )
            )
            found += self._feed_forward(
                "expert", self.expert_intermediate, self.moe_layers, self.experts, self.experts_per_token
            )
            if self.shared_expert_intermediate:
                found += self._feed_forward("shared_expert", self.shared_expert_intermediate, self.moe_layers)
        return tuple(found)

    def _feed_forward(
        self, group: str, width: int, layers: int, copies: int = 1, active_copies: int = 1
    ) -> list[Linear]:
        shapes = [("gate", self.hidden, width)] if self.gated_mlp else []
        shapes += [("up", self.hidden, width), ("down", width, self.hidden)]
        return [
            Linear(
                role=role,
                group=group,
                in_features=fan_in,
                out_features=fan_out,
                layers=layers,
                copies=copies,
                active_copies=active_copies,
                bias=self.mlp_bias,
            )
            for role, fan_in, fan_out in shapes
        ]

    def _head_linear(self) -> Linear:
        return Linear(
            role="head",
            group="head",
            in_features=self.hidden,
            out_features=self.vocab,
            layers=1,
            bias=self.head_bias,
        )
