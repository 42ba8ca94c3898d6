"""Traffic of everything between the matrix products, over memory bandwidth."""

from __future__ import annotations

from functools import cache

from estimator.architecture import Architecture
from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.shapes import dense_sums, expert_sums

#: Bytes read and written per element by the operations of one forward, run one kernel per operation
#: (first) and fused into one (second), with 2-byte activations. RMS norm in eager PyTorch goes through fp32:
#: up-cast (2+4), square (4+4), mean (4), scale (4+4), down-cast (4+2), weight (2+2); layer norm is one kernel
#: everywhere. Rotary embedding: negate and concatenate (8), two products (12), a sum (6). Residual sum: 6.
#: Activation: gated is a function (4) and a product (6); plain is a function (4). Source: derived.
NORM_BYTES = (36.0, 4.0)
LAYER_NORM_BYTES = (4.0, 4.0)
ROTARY_BYTES = (26.0, 4.0)
RESIDUAL_BYTES = (6.0, 4.0)
GATED_BYTES = (10.0, 6.0)
PLAIN_BYTES = (4.0, 4.0)
#: Per routed copy of a token: gathered to its expert, weighted and added back.
PERMUTE_BYTES = (24.0, 8.0)

#: Families whose own modelling code calls fused rotary, norm and loss kernels on any stack.
BRINGS_FUSED_KERNELS = frozenset({"qwen"})

#: Stacks that prepare a quantised model the way PEFT does: every tensor left unquantised becomes fp32, the
#: residual stream with it, so the same operations move twice the bytes. Fully sharded runs cannot: their
#: flat buffers need one dtype.
UPCASTS_QUANTISED = frozenset({"hf", "hf-compile", "axolotl"})
UPCAST_RATIO = 2.0

#: A backward reads the saved inputs and the incoming gradient and writes the outgoing one.
BACKWARD_PASSES = 2.0


@cache
def forward_bytes_per_token(architecture: Architecture, fused: int) -> float:
    """Bytes per token of one forward over all layers.

    Args:
        architecture: the model.
        fused: 0 for one kernel per operation, 1 for fused kernels.
    """
    a = architecture
    norm = NORM_BYTES[fused] if a.norm == "rmsnorm" else LAYER_NORM_BYTES[fused]
    count = a.layers * a.hidden * (a.norms_per_layer * norm + 2.0 * RESIDUAL_BYTES[fused])
    heads = float(a.query_features + a.kv_features)
    if not a.learned_positions:
        count += a.attention_layers * heads * ROTARY_BYTES[fused]
    if a.qk_norm:
        count += a.attention_layers * heads * norm
    routed = a.experts_per_token * a.expert_intermediate + a.shared_expert_intermediate
    width = (a.layers - a.moe_layers) * a.intermediate + a.moe_layers * routed
    count += width * (GATED_BYTES[fused] if a.gated_mlp else PLAIN_BYTES[fused])
    return count + a.moe_layers * a.experts_per_token * a.hidden * PERMUTE_BYTES[fused]


def elementwise_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Seconds of norms, rotary embeddings, residuals, activations and permutations over one micro-batch: the
    bytes of `elementwise_bytes` over the bandwidth that such kernels reach. Source: fraction fitted.
    """
    traffic = elementwise_bytes(run=run, constants=constants, forward=forward)
    return traffic / (run.accelerator.memory_bytes_per_s * constants["bandwidth_fraction"])


def elementwise_bytes(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Bytes that the work between the matrix products moves over one micro-batch.

    bytes x (forward passes + 2 for backward); bytes lie between those of one kernel per operation and those of
    fused kernels by the stack's ``fusion_fraction``. Sequence parallelism, always on beside tensor
    parallelism, divides the hidden-wide part too. Source: counts derived, fraction fitted.
    """
    fused = constants.of_stack("fusion_fraction", run.stack)
    if run.architecture.family in BRINGS_FUSED_KERNELS:
        fused = max(fused, constants["fused_fusion_fraction"])
    eager = forward_bytes_per_token(run.architecture, 0)
    if run.quantization and run.stack in UPCASTS_QUANTISED and run.sharding not in ("fsdp", "hsdp"):
        eager = eager * UPCAST_RATIO
    per_token = eager + fused * (forward_bytes_per_token(run.architecture, 1) - eager)
    return run.micro_batch_tokens * per_token / run.tp * (forward + BACKWARD_PASSES)


def low_precision_cast_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Seconds of quantising operands to 8 or 4 bits over one micro-batch; 0 in 16-bit runs.

    Every element of `low_precision_cast_elements` is read in 16 bits, its block's maximum taken, and written
    narrow, some transposed too: a number of bytes per element, fitted.
    """
    per_element = constants.of_stack("cast_bytes_per_element", run.stack)
    elements = low_precision_cast_elements(run=run, forward=forward)
    return elements * per_element / run.accelerator.memory_bytes_per_s


def low_precision_cast_elements(*, run: Run, forward: Number) -> Number:
    """Elements quantised over one micro-batch: every product's operands (activations, gradients, weights).

    Tensor-parallel ranks quantise their share before it is gathered. 0 in 16-bit runs. Source: derived.
    """
    if run.compute_dtype in ("bf16", "fp16"):
        return 0.0
    dense, expert = dense_sums(run.architecture), expert_sums(run.architecture)
    elements: Number = 0.0
    for sums in (dense, expert):
        features = sums.in_whole + sums.in_split + sums.out_whole + sums.out_split
        weights = sums.weights * sums.resident(run.ep)
        elements = elements + (run.micro_batch_tokens * sums.active * features + weights) / run.tp
    return elements * (forward + 1.0)
