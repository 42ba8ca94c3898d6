"""Parameter counts, computed from the shape: whole model, per token, by group, and what a method trains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from estimator.architecture import Architecture, Linear
from estimator.errors import InputError
from estimator.numbers import Number
from estimator.run import LORA_ROLES, Run

NORM_VECTORS = {"rmsnorm": 1, "layernorm": 2, "layernorm-no-bias": 1, "layernorm-no-params": 0}


def linear_parameters(*, linear: Linear) -> int:
    """All parameters of one kind of linear module over the whole model: layers x copies x (in x out + bias).

    Source: derived.
    """
    per_copy = linear.in_features * linear.out_features + (linear.out_features if linear.bias else 0)
    return linear.layers * linear.copies * per_copy


def active_linear_parameters(*, linear: Linear) -> int:
    """Those of them that one token passes through (routed experts count as often as a token is routed)."""
    return linear_parameters(linear=linear) // linear.copies * linear.active_copies


def block_linear_parameters(*, architecture: Architecture) -> int:
    """Parameters of every linear module but the head: what a weight quantiser replaces.

    Routers are small and stay in the trainer's dtype; they are not counted here.
    """
    return sum(
        linear_parameters(linear=linear)
        for linear in architecture.linears
        if linear.group not in ("head", "router")
    )


def expert_parameters(*, architecture: Architecture) -> int:
    """Parameters of all routed experts; 0 where there are none."""
    experts = (linear for linear in architecture.linears if linear.group == "expert")
    return sum(linear_parameters(linear=linear) for linear in experts)


def embedding_parameters(*, architecture: Architecture) -> int:
    """Token embedding plus learned positions: (vocabulary + positions) x hidden."""
    return (architecture.vocab + architecture.learned_positions) * architecture.hidden


def head_parameters(*, architecture: Architecture) -> int:
    """Language-model head beside the embedding: 0 weights where tied (its bias still counts)."""
    head = next(linear for linear in architecture.linears if linear.group == "head")
    bias = architecture.vocab if architecture.head_bias else 0
    return bias if architecture.tied_embeddings else head.in_features * head.out_features + bias


def norm_parameters(*, architecture: Architecture) -> int:
    """Every normalisation weight and bias of the model.

    Block norms (layers x norms per layer), the final and the embedding norm, query/key norms, and the two
    low-rank norms of latent attention. Source: derived.
    """
    vectors = NORM_VECTORS[architecture.norm]
    hidden_norms = (
        architecture.layers * architecture.norms_per_layer
        + int(architecture.final_norm)
        + int(architecture.embedding_norm)
    )
    count = vectors * hidden_norms * architecture.hidden
    qk_width = {
        "": 0,
        "per-head-dim": 2 * architecture.head_dim,
        "full": architecture.query_features + architecture.kv_features,
        "per-head": architecture.query_features + architecture.kv_features,
    }[architecture.qk_norm]
    count += architecture.attention_layers * qk_width
    if architecture.global_attention and architecture.qk_norm:
        wider = architecture.global_attention.head_dim - architecture.head_dim
        count += architecture.global_layers * 2 * wider
    if architecture.latent:
        ranks = architecture.latent.q_lora_rank + architecture.latent.kv_lora_rank
        count += architecture.attention_layers * ranks
    return count


def mixer_parameters(*, architecture: Architecture) -> int:
    """Parameters of the layers without softmax attention."""
    return architecture.mixer.layers * architecture.mixer.parameters if architecture.mixer else 0


def total_parameters(*, architecture: Architecture) -> int:
    """Every parameter of the model, a tied head counted once. Source: derived."""
    shared_gates = architecture.moe_layers * architecture.hidden if architecture.shared_expert_gate else 0
    blocks = sum(linear_parameters(linear=linear) for linear in architecture.linears if linear.group != "head")
    return (
        blocks
        + embedding_parameters(architecture=architecture)
        + head_parameters(architecture=architecture)
        + norm_parameters(architecture=architecture)
        + mixer_parameters(architecture=architecture)
        + shared_gates
        + architecture.extra_parameters
    )


def active_parameters(*, architecture: Architecture) -> int:
    """Parameters that one token passes through: all but the experts it is not routed to. Source: derived."""
    idle = sum(
        linear_parameters(linear=linear) - active_linear_parameters(linear=linear)
        for linear in architecture.linears
    )
    return total_parameters(architecture=architecture) - idle


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One kind of low-rank pair: A is (rank x in), B is (out x rank).

    Attributes:
        roles: canonical roles it serves (several where one module holds fused projections).
        group: group of the module it sits on.
        in_features, out_features: of the adapted module.
        layers: layers that have it.
        copies, active_copies: instances resident and instances a token passes, per layer.
    """

    roles: tuple[str, ...]
    group: str
    in_features: int
    out_features: int
    layers: int
    copies: int
    active_copies: int


@cache
def adapters(*, architecture: Architecture, targets: tuple[str, ...]) -> tuple[Adapter, ...]:
    """The low-rank pairs that adapting these roles adds.

    Fused query-key-value or gate-up modules get one pair over the whole module, whichever of their roles is
    named, as PEFT does. Latent attention's q, k and v mean its q (or q_b) and kv_b projections; gate, up and
    down reach every expert.
    """
    wanted = set(targets)
    if wanted & {"q"}:
        wanted |= {"q_b"}
    if wanted & {"k", "v"}:
        wanted |= {"kv_b"}
    fusions: list[tuple[str, tuple[str, ...]]] = []
    if architecture.fused_qkv:
        fusions += [("attention", ("q", "k", "v"))]
    if architecture.fused_gate_up:
        fusions += [(group, ("gate", "up")) for group in ("mlp", "expert", "shared_expert")]
    found: list[Adapter] = []
    done: set[Linear] = set()
    for linear in architecture.linears:
        if linear.role not in wanted or linear.group == "router" or linear in done:
            continue
        alone = (linear.role,)
        roles = next((r for group, r in fusions if group == linear.group and linear.role in r), alone)
        fused = [m for m in architecture.linears if m.group == linear.group and m.role in roles]
        members = [linear] if roles == alone else fused
        done |= set(members)
        found.append(
            Adapter(
                roles=tuple(m.role for m in members),
                group=linear.group,
                in_features=linear.in_features,
                out_features=sum(m.out_features for m in members),
                layers=linear.layers,
                copies=linear.copies,
                active_copies=linear.active_copies,
            )
        )
    return tuple(found)


def check_targets(*, architecture: Architecture, targets: tuple[str, ...]) -> None:
    """Refuse adapter targets of which the model has none; roles that only some models have may be among them.

    Raises:
        InputError: with the roles that the model has.
    """
    if adapters(architecture=architecture, targets=targets):
        return
    found = [role for role in LORA_ROLES if adapters(architecture=architecture, targets=(role,))]
    raise InputError(f"{architecture.id} has no module {' '.join(targets)} to adapt. It has: {' '.join(found)}.")


def adapter_parameters(*, architecture: Architecture, targets: tuple[str, ...], lora_rank: Number) -> Number:
    """Trainable parameters of LoRA: sum over adapted modules of layers x copies x rank x (in + out).

    Source: Hu et al. 2021 (arXiv 2106.09685), section 4.1.
    """
    widths = sum(
        pair.layers * pair.copies * (pair.in_features + pair.out_features)
        for pair in adapters(architecture=architecture, targets=targets)
    )
    return lora_rank * float(widths)


def also_trained_parameters(*, architecture: Architecture, also_trained: tuple[str, ...]) -> int:
    """Parameters of whole modules trained beside adapters (embeddings, head)."""
    count = 0
    if "embeddings" in also_trained:
        count += embedding_parameters(architecture=architecture)
    if "head" in also_trained:
        count += head_parameters(architecture=architecture)
    return count


def trainable_parameters(*, run: Run) -> Number:
    """Parameters that receive gradients: all of them, or adapters plus modules trained whole."""
    if not run.adapters:
        return float(total_parameters(architecture=run.architecture))
    return adapter_parameters(
        architecture=run.architecture, targets=run.lora_targets, lora_rank=run.lora_rank
    ) + float(also_trained_parameters(architecture=run.architecture, also_trained=run.also_trained))
