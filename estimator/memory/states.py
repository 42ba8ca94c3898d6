"""What lives through a whole step: weights, quantisation constants, adapters, gradients, optimizer state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.memory.stacks import Traits, upcast_base
from estimator.memory.widths import Counts
from estimator.numbers import Number
from estimator.parameters import adapter_parameters, also_trained_parameters
from estimator.run import DTYPE_BYTES, Run


@dataclass(frozen=True, kw_only=True)
class States:
    """Bytes per accelerator of everything that outlives a micro-batch.

    Attributes:
        weights, quantization_constants, adapters, masters, moments: resident all the time.
        gradients: of all trained parameters, when all are present.
        largest_gradient: of the largest trained tensor (what a step fused into backward keeps).
        tied_gradients: two more gradients of a tied embedding while they are added up.
        update_temporary: what the optimizer step allocates besides.
    """

    weights: Number
    quantization_constants: Number
    adapters: Number
    masters: Number
    moments: Number
    gradients: Number
    largest_gradient: Number
    tied_gradients: Number
    update_temporary: Number


def quantized_bytes_per_parameter(
    *, quantization: str, nested: bool, constants: Mapping[str, float]
) -> tuple[float, float]:
    """Bytes of a quantised weight and of its constants.

    NF4 keeps one fp32 scale per block of 64 (0.5 bit a weight), or with nested quantisation one byte per block
    and an fp32 scale per 256 blocks (0.127 bit). GPTQ keeps an fp16 scale and a zero point per group of 128.
    INT8 keeps a scale per row, which is nothing beside the row.
    Source: Dettmers et al. 2023 (arXiv 2305.14314), section 3; the GPTQ packing of AutoGPTQ.

    >>> one, scales = quantized_bytes_per_parameter(
    ...     quantization="nf4", nested=False, constants={"nf4_block": 64.0})
    >>> one + scales
    0.5625
    """
    if quantization in ("nf4", "nf4-double"):
        block = constants["nf4_block"]
        if quantization == "nf4" and not nested:
            return 0.5, 4.0 / block
        return 0.5, 1.0 / block + 4.0 / (block * constants["nf4_outer_block"])
    if quantization == "int8":
        return 1.0, 0.0
    group = constants["gptq_group"]
    if quantization == "gptq-int4":
        return 0.5, 2.5 / group
    return 1.0, 3.0 / group


def moment_bytes_per_parameter(*, optimizer: str, parameter_bytes: float, constants: Mapping[str, float]) -> float:
    """Bytes of optimizer state per trained parameter, in accelerator memory.

    AdamW keeps two moments in the dtype of the parameter; 8-bit AdamW one byte each and 4-bit half a byte each
    with one fp32 scale per block; Lion one moment. A paged optimizer's state lives in unified memory, outside
    the allocator. Source: Dettmers et al. 2022 (arXiv 2110.02861); Chen et al. 2023 (arXiv 2302.06675).

    >>> moment_bytes_per_parameter(optimizer="adamw", parameter_bytes=2.0, constants={})
    4.0
    """
    if optimizer in ("adamw", "adamw-fused"):
        return 2.0 * parameter_bytes
    if optimizer == "adamw-8bit":
        return 2.0 * (1.0 + 4.0 / constants["adamw_8bit_block"])
    if optimizer == "adamw-4bit":
        return 2.0 * (0.5 + 4.0 / constants["adamw_4bit_block"])
    return parameter_bytes if optimizer == "lion" else 0.0


@dataclass(frozen=True, kw_only=True)
class Held:
    """Parameters that one model-parallel rank holds before any sharding: dense blocks, experts, both ends."""

    dense: Number
    expert: Number
    ends: Number

    def over(self, shards: Number, expert_parallel: Number) -> Number:
        """Parameters per rank when sharded; expert-parallel ranks leave fewer ranks to shard the experts."""
        return (self.dense + self.ends) / shards + self.expert / np.maximum(shards / expert_parallel, 1.0)


def held_parameters(*, run: Run, counts: Counts) -> Held:
    """Parameters of one model-parallel rank.

    Tensor parallelism divides everything; pipeline parallelism divides the blocks and puts embedding and head
    on different stages; expert parallelism divides the routed experts. Source: derived.
    """
    blocks = run.tp * run.pp
    dense = counts.total - counts.embedding - counts.head - counts.expert
    ends = np.where(run.pp > 1.0, max(counts.embedding, counts.head), counts.embedding + counts.head)
    return Held(dense=dense / blocks, expert=counts.expert / (blocks * run.ep), ends=ends / run.tp)


def states(*, run: Run, traits: Traits, counts: Counts, constants: Mapping[str, float]) -> States:
    """Everything that outlives a micro-batch, per accelerator."""
    sharded = run.sharding in ("fsdp", "hsdp")
    # Fully sharded masters are the parameters themselves; their 16-bit form exists only while gathered.
    masters_only = traits.masters and sharded and not run.adapters
    dtype = 4.0 if masters_only else DTYPE_BYTES[run.weights_dtype]
    weight_shards: Number = run.shards if sharded else 1.0
    held = held_parameters(run=run, counts=counts)
    owned = held.over(weight_shards, run.ep)
    quantized: Number = 0.0
    bytes_each = constants_each = 0.0
    if run.quantization:
        bytes_each, constants_each = quantized_bytes_per_parameter(
            quantization=run.quantization, nested=traits.nested_constants, constants=constants
        )
        share = (counts.quantizable - counts.expert) / (
            counts.total - counts.embedding - counts.head - counts.expert
        )
        head = counts.quantizable_head / run.tp
        expert = held.expert if run.experts_quantized else 0.0
        quantized = Held(dense=held.dense * share, expert=expert, ends=head).over(weight_shards, run.ep)
    unquantized_bytes = 4.0 if upcast_base(run) else dtype
    weights = (owned - quantized) * unquantized_bytes + quantized * bytes_each
    trained = _trained(run=run, traits=traits, held=held, dtype=dtype)
    masters = moments = gradients = temporary = adapters = 0.0 * run.gpus
    largest: Number = 0.0
    mastered = not run.adapters and dtype < 4.0 and (traits.masters or run.sharding in ("zero1", "zero2"))
    for part, parameter_bytes, largest_tensor in trained:
        mine = part.over(run.shards, run.ep)
        state_bytes = 4.0 if mastered else parameter_bytes
        gradient_bytes = max(traits.gradient_bytes, parameter_bytes) if mastered else parameter_bytes
        masters = masters + (mine * 4.0 if mastered else 0.0)
        moments = moments + mine * moment_bytes_per_parameter(
            optimizer=run.optimizer, parameter_bytes=state_bytes, constants=constants
        )
        whole_gradients = run.sharding in ("none", "ddp", "zero1")
        gradients = gradients + (part.over(1.0, run.ep) if whole_gradients else mine) * gradient_bytes
        if run.optimizer == "adamw" and not traits.fused_optimizer:
            temporary = temporary + mine * state_bytes
        if run.adapters:
            adapters = adapters + part.over(weight_shards, run.ep) * parameter_bytes
        largest = np.maximum(largest, largest_tensor / run.tp * gradient_bytes)
    largest = np.minimum(largest, gradients)
    if run.optimizer_in_backward:
        temporary = np.minimum(largest, temporary)
    tied: Number = 0.0
    tied_tensor = run.architecture.tied_embeddings and not traits.unties_head
    if tied_tensor and not run.adapters and not run.optimizer_in_backward:
        tied = 2.0 * counts.embedding / run.tp * dtype
    host = 0.0 if run.offload in ("params", "all") else 1.0
    host_shards = host if sharded else 1.0
    return States(
        weights=weights * host_shards,
        quantization_constants=quantized * constants_each * host_shards,
        adapters=adapters * host_shards,
        masters=masters * host,
        moments=moments * host,
        gradients=gradients * host_shards,
        largest_gradient=largest,
        tied_gradients=tied,
        update_temporary=temporary * host,
    )


def _trained(*, run: Run, traits: Traits, held: Held, dtype: float) -> list[tuple[Held, float, float]]:
    """Trained parameters of one rank with their bytes each and the size of their largest tensor."""
    architecture = run.architecture
    if not run.adapters:
        largest = max([float(linear.in_features * linear.out_features) for linear in architecture.linears])
        return [(held, dtype, largest)]
    pairs = adapter_parameters(architecture=architecture, targets=run.lora_targets, lora_rank=run.lora_rank) / (
        run.tp * run.pp
    )
    whole = float(also_trained_parameters(architecture=architecture, also_trained=run.also_trained))
    found = [(Held(dense=pairs, expert=0.0, ends=0.0), max(traits.adapter_dtype_bytes, dtype), 0.0)]
    if whole:
        found.append((Held(dense=0.0, expert=0.0, ends=whole / run.tp), dtype, whole))
    return found
