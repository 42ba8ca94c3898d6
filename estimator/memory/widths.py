"""How many numbers a transformer layer keeps per token, counted once per shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from estimator.architecture import Architecture, Linear
from estimator.parameters import (
    adapters,
    block_linear_parameters,
    embedding_parameters,
    expert_parameters,
    head_parameters,
    total_parameters,
)

COMPOSED_ACTIVATION = frozenset({"gpt2", "phi", "gptj", "codegen"})
"""Families whose activation is composed of elementary operations, each of which saves its input."""

UNROTATED = frozenset({"gpt2", "gpt_bigcode", "bloom", "mpt"})
"""Families that hand views of a fused projection to attention: nothing turns their queries and keys."""

FP32_NORM_WEIGHT = frozenset(
    {"gemma", "gemma2", "gemma3", "gemma3_text", "gemma4", "gemma4_text", "olmo2", "olmo3"}
)
"""Families whose norm multiplies by its weight before rounding back, so the saved factor is fp32."""

FP32_LAYER_NORM = frozenset({"olmo"})
"""Families whose layer norm runs on an fp32 copy of its input."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Numbers per token of one average layer, unless said otherwise.

    Attributes:
        layers, hidden, vocab: of the model.
        norm_inputs: inputs of all norms of the layer that are distinct tensors.
        qkv: queries, keys and values as flash attention saves them (fused projections keep their whole output).
        expanded_qkv: the same with keys and values repeated to the number of query heads (eager attention).
        attention_out: output of attention before the output projection.
        attention_out_copied: that output copied once more for a trained projection.
        heads: query heads (of layers that have softmax attention).
        mixed: outputs of the projections of layers without softmax attention.
        feed_forward: width of the feed-forward block over all experts that a token passes.
        feed_forward_saved: numbers saved inside it (gate, up and activation, or the activation's input).
        feed_forward_turn: numbers alive at once when its backward turns (per expert visited in turn).
        routed: expert outputs kept until they are weighted and added up.
        trained_inputs: inputs of all linear modules that a trained weight saves and nothing else holds.
        cast_inputs: the same where autocast makes a copy for each module that reads an fp32 tensor.
    """

    layers: int
    hidden: int
    vocab: int
    norm_inputs: float
    qkv: float
    expanded_qkv: float
    attention_out: float
    attention_out_copied: float
    heads: float
    mixed: float
    feed_forward: float
    feed_forward_saved: float
    feed_forward_turn: float
    routed: float
    trained_inputs: float
    cast_inputs: float


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What adapters add to one average layer, per token.

    Attributes:
        inputs: inputs of all adapted modules, each counted by itself.
        fused_inputs: the same with one count for q, k and v, which one module serves.
        distinct_inputs: the same with one count for modules that read the same tensor.
        pairs: adapter pairs a token passes (each keeps one vector of the rank).
        down_input: inputs of adapted down projections.
    """

    inputs: float
    fused_inputs: float
    distinct_inputs: float
    pairs: float
    down_input: float


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Parameters of the model by where they stand.

    Attributes:
        total: all of them.
        embedding, head: token (and position) table; separate head (0 where tied).
        expert: routed experts, all layers.
        quantizable: linear modules of the blocks that a weight quantiser replaces.
        quantizable_head: the head where it is quantised too, else 0.
        layer, layer_expert: one average layer, and the routed experts in it.
        largest_linear, largest_dense_linear: largest linear module of a layer; the same without routed experts.
    """

    total: float
    embedding: float
    head: float
    expert: float
    quantizable: float
    quantizable_head: float
    layer: float
    layer_expert: float
    largest_linear: float
    largest_dense_linear: float


def _active(linear: Linear) -> float:
    return float(linear.layers * linear.active_copies)


@cache
def counts(architecture: Architecture, *, untied: bool = False, head_quantized: bool = False) -> Counts:
    """Parameters by place; for a stack that unties the head or quantises it, as it holds them.

    Source: derived.
    """
    total = total_parameters(architecture=architecture)
    embedding = embedding_parameters(architecture=architecture)
    head = head_parameters(architecture=architecture)
    if untied and architecture.tied_embeddings:
        head += architecture.vocab * architecture.hidden
        total += architecture.vocab * architecture.hidden
    blocks = [linear for linear in architecture.linears if linear.group != "head"]
    expert = expert_parameters(architecture=architecture)
    return Counts(
        total=float(total),
        embedding=float(embedding),
        head=float(head),
        expert=float(expert),
        quantizable=float(block_linear_parameters(architecture=architecture)),
        quantizable_head=float(head if head_quantized else 0),
        layer=(total - embedding - head) / architecture.layers,
        layer_expert=expert / architecture.layers,
        largest_linear=float(max(li.in_features * li.out_features for li in blocks)),
        largest_dense_linear=float(max(li.in_features * li.out_features for li in blocks if li.group != "expert")),
    )


@cache
def widths(architecture: Architecture) -> Widths:
    """Numbers that one average layer keeps per token. Source: derived from the module code of Transformers."""
    a = architecture
    layers = a.layers
    by_role = [(li, _active(li) / layers) for li in a.linears if li.group != "head"]
    attention = [(li, n) for li, n in by_role if li.group == "attention"]
    share = a.attention_layers / layers
    queries = sum(li.out_features * n for li, n in attention if li.role in ("q", "q_b"))
    out = sum(li.in_features * n for li, n in attention if li.role == "o")
    if a.latent:
        keys = queries
        # Values are a view into the output of the up-projection, which stays whole.
        values = sum(li.out_features * n for li, n in attention if li.role == "kv_b")
        latents = (a.latent.q_lora_rank + a.latent.kv_lora_rank + a.latent.qk_rope_head_dim) * share
    else:
        keys = sum(li.out_features * n for li, n in attention if li.role == "k")
        values = sum(li.out_features * n for li, n in attention if li.role == "v")
        latents = 0.0
    qkv = queries + keys + values + latents
    if a.fused_qkv and a.family not in UNROTATED:
        qkv += queries + keys
    blocks = [(li, n) for li, n in by_role if li.group in ("mlp", "expert", "shared_expert")]
    up = sum(li.out_features * n for li, n in blocks if li.role == "up")
    inner = 3.0 if a.gated_mlp else (4.0 if a.family in COMPOSED_ACTIVATION else 1.0)
    turn = sum(
        li.out_features * n / (li.copies if li.group == "expert" else 1) for li, n in blocks if li.role == "up"
    )
    expert_share = a.moe_layers / layers
    routed = a.experts_per_token * a.hidden * expert_share
    # Parallel blocks read one hidden state, and through one norm also one normalised state.
    block_norm_inputs = 1 if a.parallel_blocks else a.norms_per_layer
    block_inputs = min(a.norms_per_layer, 2) if a.parallel_blocks else 2
    qk = 0.0
    if a.qk_norm:
        qk = queries + keys
    if a.latent:
        qk += (a.latent.q_lora_rank + a.latent.kv_lora_rank) * share
    mixed = 0.0
    if a.mixer:
        mixed = a.mixer.matmul_parameters / a.hidden * a.mixer.layers / layers
    reads = float(block_inputs * a.hidden)
    fused_away = {"k", "v"} if a.fused_qkv else set()
    if a.fused_gate_up:
        fused_away |= {"gate"}
    experts_read = (a.experts_per_token * a.hidden) * expert_share
    return Widths(
        layers=layers,
        hidden=a.hidden,
        vocab=a.vocab,
        norm_inputs=block_norm_inputs * a.hidden + qk,
        qkv=qkv,
        expanded_qkv=queries + (queries + out),
        attention_out=out,
        attention_out_copied=out if a.fused_qkv else 0.0,
        heads=a.heads * share,
        mixed=mixed,
        feed_forward=up,
        feed_forward_saved=inner * up,
        feed_forward_turn=(3.0 if a.gated_mlp else 2.0) * turn,
        routed=routed,
        cast_inputs=sum(
            li.in_features * n
            for li, n in by_role
            if li.role not in fused_away and not (li.group == "attention" and li.role == "o")
        ),
        trained_inputs=reads + experts_read + up + latents,
    )


@cache
def adapted(architecture: Architecture, targets: tuple[str, ...]) -> Adapted:
    """What adapters on these roles keep per token and average layer. Source: derived."""
    inputs = fused = distinct = pairs = down = 0.0
    seen: set[tuple[str, str]] = set()
    for pair in adapters(architecture=architecture, targets=targets):
        if pair.group == "head":
            continue
        n = pair.layers * pair.active_copies / architecture.layers
        width = pair.in_features * n
        inputs += width
        pairs += n
        if "down" in pair.roles:
            down += width
        first = (pair.group, "qkv") not in seen
        if not set(pair.roles) & {"q", "k", "v"}:
            fused += width
        elif first:
            seen.add((pair.group, "qkv"))
            fused += width
        reader = "down" if "down" in pair.roles else "o" if "o" in pair.roles else "in"
        if (pair.group, reader) not in seen:
            seen.add((pair.group, reader))
            distinct += width
    return Adapted(inputs=inputs, fused_inputs=fused, distinct_inputs=distinct, pairs=pairs, down_input=down)
