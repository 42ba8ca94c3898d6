"""The optimizer step, accumulation of gradients, and what lives in host memory."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.parameters import total_parameters, trainable_parameters
from estimator.run import DTYPE_BYTES, Run
from estimator.speed.constants import KERNEL_CLASS, Constants

#: Bytes per moment of each optimizer, and how many moments it keeps.
MOMENT_BYTES = {
    "adamw": (0.0, 2),
    "adamw-fused": (0.0, 2),
    "adamw-8bit": (1.0, 2),
    "adamw-4bit": (0.5, 2),
    "paged-adamw": (0.0, 2),
    "lion": (0.0, 1),
}
#: Times that the state passes through memory: fused kernels once, one kernel per operation several times.
STATE_PASSES = {"adamw": 2.0, "paged-adamw": 2.0}

#: Stacks whose weight-gradient products write straight into the accumulation buffer.
ACCUMULATES_IN_PRODUCT = frozenset({"megatron"})


def step_bytes_per_parameter(*, run: Run) -> float:
    """Bytes that one update moves per trained parameter: weight, gradient and moments read, weight and
    moments written; several passes where an eager stack runs one kernel per operation. Source: derived.
    """
    weight = DTYPE_BYTES[run.weights_dtype] if not run.adapters else 4.0
    moment, count = MOMENT_BYTES[run.optimizer]
    moments = count * (moment or weight)
    passes = STATE_PASSES.get(run.optimizer, 1.0) if KERNEL_CLASS[run.stack] == "eager" else 1.0
    return (weight * 2.0 + weight + moments * 2.0) * passes


def optimizer_s(*, run: Run, constants: Constants) -> Number:
    """Seconds of one optimizer update: trained parameters per rank x bytes / bandwidth; over the host's
    memory where the states live there, with the gradients and weights carried over the host link."""
    parameters = updated_parameters(run=run)
    traffic = parameters * step_bytes_per_parameter(run=run)
    if run.offload in ("params", "all"):
        carried = parameters * 4.0 / constants["host_link_bytes_per_s"]
        return traffic / constants["host_memory_bytes_per_s"] + carried
    return traffic / (run.accelerator.memory_bytes_per_s * constants["bandwidth_fraction"])


def updated_parameters(*, run: Run) -> Number:
    """Trained parameters whose state one card keeps. Source: derived."""
    return trainable_parameters(run=run) / (run.shards * run.tp * run.pp)


def accumulation_s(*, run: Run, constants: Constants) -> Number:
    """Seconds per micro-batch of adding weight gradients to their buffer: bytes / reached bandwidth."""
    traffic = accumulation_bytes(run=run)
    return traffic / (run.accelerator.memory_bytes_per_s * constants["bandwidth_fraction"])


def accumulation_bytes(*, run: Run) -> Number:
    """Bytes per micro-batch of adding weight gradients to their buffer: read, read, write. Source: derived.

    The first micro-batch of a step only writes, so one alone costs nothing here. Sharded gradients are added
    after they are scattered, each rank its share; Megatron adds within the matrix product.
    """
    if run.stack in ACCUMULATES_IN_PRODUCT:
        return 0.0 * run.gpus
    ranks = run.tp * run.pp * (1.0 if run.adapters else run.ep)
    if run.sharding in ("fsdp", "hsdp", "zero2"):
        ranks = run.shards * run.tp * run.pp
    again = 1.0 - 1.0 / run.micro_batches
    return again * trainable_parameters(run=run) / ranks * 3.0 * DTYPE_BYTES[run.weights_dtype]


def offload_s(*, run: Run, constants: Constants) -> Number:
    """Host-link seconds per micro-batch of parameters or activations kept in host memory, before overlap."""
    arch = run.architecture
    seconds: Number = 0.0
    if run.offload in ("params", "all"):
        weight = 2.0 if not run.quantization else 0.56
        shard = float(total_parameters(architecture=arch)) * weight / (run.shards * run.tp * run.pp)
        seconds = seconds + 2.0 * shard / constants["host_link_bytes_per_s"]
    if run.offload in ("activations", "all"):
        saved = run.micro_batch_tokens * arch.hidden * arch.layers * 2.0 / (run.tp * run.pp)
        seconds = seconds + 2.0 * saved / constants["host_link_bytes_per_s"]
    return seconds
