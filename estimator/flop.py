"""Matrix-product FLOP of one training step: exact, per pass, from the list of linear modules.

The count is that of PyTorch's ``FlopCounterMode`` on the real model classes: 2 x m x n x k for every product,
attention over the full square of the sequence (no credit for the causal mask or a window), head included,
nothing for norms, activations, embeddings or the optimizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from estimator.architecture import Architecture, Linear
from estimator.numbers import Number
from estimator.parameters import Adapter, adapters
from estimator.run import Recompute, Run


@dataclass(frozen=True, kw_only=True)
class Terms:
    """FLOP per token as a linear form: weights + adapters x rank + attention x sequence length.

    Attributes:
        weights: FLOP per token.
        adapters: FLOP per token and unit of adapter rank.
        attention: FLOP per token and token of sequence length.
    """

    weights: float = 0.0
    adapters: float = 0.0
    attention: float = 0.0

    def __add__(self, other: Terms) -> Terms:
        return Terms(
            weights=self.weights + other.weights,
            adapters=self.adapters + other.adapters,
            attention=self.attention + other.attention,
        )

    def __mul__(self, factor: float) -> Terms:
        return Terms(
            weights=self.weights * factor,
            adapters=self.adapters * factor,
            attention=self.attention * factor,
        )

    def per_token(self, *, run: Run) -> Number:
        """FLOP per token at this run's rank and sequence length."""
        return self.weights + self.adapters * run.lora_rank + self.attention * run.seq_len


def _linear_flop(linear: Linear, *, layers: int) -> float:
    return 2.0 * linear.in_features * linear.out_features * linear.active_copies * layers


def _blocks(architecture: Architecture) -> tuple[Linear, ...]:
    return tuple(linear for linear in architecture.linears if linear.group != "head")


def _head_flop(architecture: Architecture) -> float:
    return sum(_linear_flop(linear, layers=1) for linear in architecture.linears if linear.group == "head")


def _adapter_flop(pairs: tuple[Adapter, ...], *, head: bool) -> float:
    return sum(
        2.0 * (pair.in_features + pair.out_features) * pair.layers * pair.active_copies
        for pair in pairs
        if (pair.group == "head") == head
    )


def _score_and_mix_flop(architecture: Architecture) -> tuple[float, float]:
    """One layer's queries x keys and weights x values: FLOP per token and token of length."""
    return 2.0 * architecture.query_features, 2.0 * architecture.value_features


def _attention_flop(architecture: Architecture) -> float:
    """Both products of every layer, FLOP per token and token of length."""
    flop = sum(_score_and_mix_flop(architecture)) * architecture.attention_layers
    if architecture.global_attention:
        wider = architecture.global_attention.head_dim - architecture.head_dim
        flop += 4.0 * architecture.heads * wider * architecture.global_layers
    return flop


def _shared_gate_flop(architecture: Architecture) -> float:
    """The scalar gate of one layer's shared expert, FLOP per token."""
    return 2.0 * architecture.hidden if architecture.shared_expert_gate else 0.0


def _block_forward(architecture: Architecture, pairs: tuple[Adapter, ...]) -> Terms:
    weights = sum(_linear_flop(linear, layers=linear.layers) for linear in _blocks(architecture))
    weights += _shared_gate_flop(architecture) * architecture.moe_layers
    if architecture.mixer:
        weights += 2.0 * architecture.mixer.layers * architecture.mixer.matmul_parameters
    return Terms(
        weights=weights,
        adapters=_adapter_flop(pairs, head=False),
        attention=_attention_flop(architecture),
    )


@lru_cache(maxsize=512)
def forward_terms(*, architecture: Architecture, targets: tuple[str, ...]) -> Terms:
    """One forward pass: every linear module, its adapters, attention and the head.

    Source: derived (2 FLOP per multiply-add, one per weight and token).

    >>> from estimator.models import models
    >>> llama = models()["meta-llama/Llama-2-7b-hf"].architecture
    >>> terms = forward_terms(architecture=llama, targets=())
    >>> terms.weights / 2  # every parameter but the embedding and the norms
    6607077376.0
    >>> terms.attention / 32 / 4  # 32 layers, 2 products of 2 FLOP: the width of the heads
    4096.0
    """
    pairs = adapters(architecture=architecture, targets=targets)
    head = Terms(weights=_head_flop(architecture), adapters=_adapter_flop(pairs, head=True))
    return _block_forward(architecture, pairs) + head


@lru_cache(maxsize=512)
def backward_terms(
    *,
    architecture: Architecture,
    frozen: bool,
    targets: tuple[str, ...],
    also_trained: tuple[str, ...],
    input_gradients: bool,
) -> Terms:
    """One backward pass: a product for each gradient that autograd has to form.

    Full training: an input and a weight gradient for every product, twice the forward pass. A frozen base has
    input gradients only, its adapters both. Where nothing before the first block is trained
    (``input_gradients`` False), that block forms none for what comes before its first adapter.
    Flash kernels recompute the scores within their backward pass; that work is theirs and is not counted.

    Source: derived from the chain rule as torch.autograd applies it.
    """
    if not frozen:
        return forward_terms(architecture=architecture, targets=()) * 2.0
    pairs = adapters(architecture=architecture, targets=targets)
    reaches_input = input_gradients or "embeddings" in also_trained
    in_blocks = any(pair.group != "head" for pair in pairs)
    head = _head_flop(architecture)
    backward = Terms()
    if reaches_input or in_blocks:
        blocks = _block_forward(architecture, pairs)
        backward = Terms(
            weights=blocks.weights + head,
            adapters=2.0 * (blocks.adapters + _adapter_flop(pairs, head=True)),
            attention=2.0 * blocks.attention,
        )
        if not reaches_input:
            backward += _missing_in_first_block(architecture, pairs) * -1.0
    else:
        for pair in pairs:
            weights_and_middle = 2.0 * pair.in_features + 4.0 * pair.out_features
            backward += Terms(adapters=weights_and_middle * pair.active_copies)
    if "head" in also_trained:
        backward += Terms(weights=head)
    return backward


def _missing_in_first_block(architecture: Architecture, pairs: tuple[Adapter, ...]) -> Terms:
    """Gradients that the first block does not form because its own input needs none."""
    dense = architecture.dense_layers > 0 or not architecture.experts
    groups = ("attention", "mlp") if dense else ("attention", "router", "expert", "shared_expert")
    adapted = {(pair.group, role) for pair in pairs for role in pair.roles}
    queries = bool(adapted & {("attention", "q"), ("attention", "q_b")})
    both = ("attention", "kv_b") in adapted
    keys = both or ("attention", "k") in adapted
    values = both or ("attention", "v") in adapted
    mixed = queries or keys or values
    feed_forward = not architecture.parallel_blocks and (mixed or ("attention", "o") in adapted)
    has_gradient = {"o": mixed, "gate": feed_forward, "up": feed_forward, "router": feed_forward}
    gate = 0.0 if dense or feed_forward else _shared_gate_flop(architecture)
    missing = Terms(weights=gate)
    seen: set[tuple[str, str]] = set()
    for linear in _blocks(architecture):
        if linear.group not in groups or (linear.group, linear.role) in seen:
            continue
        seen.add((linear.group, linear.role))
        inner = feed_forward or bool(adapted & {(linear.group, "gate"), (linear.group, "up")})
        if has_gradient.get(linear.role, linear.role == "down" and inner):
            continue
        missing += Terms(weights=_linear_flop(linear, layers=1))
    for pair in pairs:
        role = pair.roles[0]
        if (pair.group, f"{role} adapter") in seen:
            continue
        seen.add((pair.group, f"{role} adapter"))
        inner = feed_forward or bool(adapted & {(pair.group, "gate"), (pair.group, "up")})
        if pair.group in groups and not has_gradient.get(role, role == "down" and inner):
            missing += Terms(adapters=2.0 * pair.in_features * pair.active_copies)
    score, mix = _score_and_mix_flop(architecture)
    weights_gradient = queries or keys
    formed = mix * (weights_gradient + values) + score * (queries + keys)
    return missing + Terms(attention=2.0 * (score + mix) - formed)


@lru_cache(maxsize=512)
def recompute_terms(
    *, architecture: Architecture, targets: tuple[str, ...], recompute: Recompute, alternate_products: bool
) -> Terms:
    """Forward work done again in the backward pass.

    Full: every block, adapters included, once more; the head is not (Chen et al. 2016, arXiv 1604.06174).
    Selective: the attention core (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2), or, with
    ``alternate_products``, every second matrix product of the blocks and no attention (torchtitan).
    """
    if recompute == "none":
        return Terms()
    blocks = _block_forward(architecture, adapters(architecture=architecture, targets=targets))
    if recompute == "full":
        return blocks
    if alternate_products:
        return Terms(weights=blocks.weights / 2.0, adapters=blocks.adapters / 2.0)
    return Terms(attention=blocks.attention)


def _targets(run: Run) -> tuple[str, ...]:
    return run.lora_targets if run.adapters else ()


def forward_flop_per_token(*, run: Run) -> Number:
    """Matrix-product FLOP of the forward pass per token."""
    return forward_terms(architecture=run.architecture, targets=_targets(run)).per_token(run=run)


def backward_flop_per_token(*, run: Run) -> Number:
    """Matrix-product FLOP of the backward pass per token, without recomputed forward work.

    Full recompute of a frozen base needs gradients of the embeddings' output, which are then formed too.
    """
    return backward_terms(
        architecture=run.architecture,
        frozen=run.adapters,
        targets=_targets(run),
        also_trained=run.also_trained,
        input_gradients=run.recompute == "full",
    ).per_token(run=run)


def recompute_flop_per_token(*, run: Run) -> Number:
    """Matrix-product FLOP of the forward work done again per token (0 without recompute)."""
    return recompute_terms(
        architecture=run.architecture,
        targets=_targets(run),
        recompute=run.recompute,
        alternate_products=run.stack == "torchtitan",
    ).per_token(run=run)


def hardware_flop_per_token(*, run: Run) -> Number:
    """Matrix-product FLOP that the hardware executes per token: forward, backward and recompute.

    Attention is counted unmasked: 12 x layers x width x length for full training. The base of HFU
    (Korthikanti et al. 2022, section 5).
    """
    return forward_flop_per_token(run=run) + backward_flop_per_token(run=run) + recompute_flop_per_token(run=run)


def model_flop_per_token(*, run: Run) -> Number:
    """Matrix-product FLOP that the method needs per token, however it is executed: no recompute.

    Full training: 6 N + 12 L H Q T with N the matrix-product weights that a token meets (Chowdhery et al.
    2022, arXiv 2204.02311, appendix B). Adapters on a frozen base: about 4 N + 12 L H Q T, because the base's
    weight gradients are not formed. The base of MFU.
    """
    return hardware_flop_per_token(run=run.with_(recompute="none"))


def micro_batch_matmul_flop(*, run: Run) -> Number:
    """Matrix-product FLOP of one micro-batch on one model replica, all its shards together.

    FLOP = micro_batch x seq_len x hardware FLOP per token.

    Equals torch.utils.flop_counter.FlopCounterMode around one forward and backward of the Hugging Face class
    (matrix-product attention; reentrant recompute, which runs every block again to its end). The two other
    conventions that PyTorch can show: a flash kernel's backward pass counts 5 products for 4, and the
    non-reentrant recompute stops before a block's last products.
    """
    return run.micro_batch * run.seq_len * hardware_flop_per_token(run=run)
