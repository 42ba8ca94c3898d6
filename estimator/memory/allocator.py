"""From allocated bytes to what the allocator reserves, what the device shows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from estimator.memory.activations import loss_kind
from estimator.memory.stacks import HF_STACKS, eager, own_attention, traits
from estimator.numbers import Number
from estimator.run import Run

ALLOCATED_GROUPS = {"hf": "hf", "litgpt": "litgpt", "torchtune": "torchtune", "torchtune-compile": "torchtune"}
RESERVED_GROUPS = {"hf": "hf", "axolotl": "axolotl"}
"""Stacks with a spread of their own; others have that of all teams left out of the fit."""


def pool_bytes(
    *,
    run: Run,
    moments: Iterable[tuple[Number, Number, Number]],
    resident: Number,
    stepping: Number,
    constants: Mapping[str, float],
) -> tuple[Number, Number]:
    """What PyTorch's caching allocator must hold, and what it holds if nothing presses it.

    need = max over moments of static + dynamic x (1 + tight gaps)
    pool = slack + max(max over moments of static + dynamic x (1 + gaps) + logits x further gaps,
                       resident + stepping + max dynamic)

    ``moments`` gives static and dynamic bytes of each moment and the logits among the latter, ``resident`` what
    lives all the time, ``stepping`` the gradients and the temporaries of the optimizer step. Tensors of a
    micro-batch come in sizes that leave gaps, and blocks that the optimizer's state once took from them are
    missing afterwards: an unpressed pool holds the step's tensors and the micro-batch's side by side although
    they do not live at the same time. Gaps are larger at moments with large tensors: full logits, or the score
    matrices of eager attention. Where batches have many lengths, the largest tensors, the logits, fit no
    block of a shorter batch, so that blocks of many sizes stay; fewer beyond a common length: there those gaps
    fall with the square root of the limit. The allocator gives blocks back before it fails, so the second figure
    never exceeds what the device has as long as the first does not. Source: derived; gaps and slack fitted.
    """
    small = constants["memory_gaps_small_tensors_fraction"]
    large = constants["memory_gaps_one_length_fraction"]
    full = loss_kind(run=run, traits=traits(run)) == "full"
    further: Number = 0.0
    if many_lengths(run=run):
        rare = np.minimum(constants["memory_gaps_common_length_tokens"] / run.seq_len, 1.0) ** 0.5
        further = np.maximum(constants["memory_gaps_many_lengths_fraction"] * rare - large, 0.0)
    tight = constants["memory_gaps_pressed_fraction"]
    needed: Number = 0.0
    apart: Number = 0.0
    largest: Number = 0.0
    for static, dynamic, logits in moments:
        needed = np.maximum(needed, static + dynamic * (1.0 + tight))
        gaps = large if eager(run) else np.where((logits > 0.0) & full, large, small)
        apart = np.maximum(apart, static + dynamic * (1.0 + gaps) + logits * further)
        largest = np.maximum(largest, dynamic)
    free = np.maximum(apart, resident + stepping + largest) + constants["memory_pool_slack_bytes"]
    room = usable_bytes(run=run, constants=constants) - process_bytes(run=run, constants=constants)
    return needed, np.minimum(free, np.maximum(needed, room))


def usable_bytes(*, run: Run, constants: Mapping[str, float]) -> Number:
    """What programs can have of the device's memory: the driver keeps a part of what it reports as the whole.

    Source: totals in PyTorch's out-of-memory messages against those of nvidia-smi.
    """
    return run.accelerator.memory_bytes - constants["memory_driver_bytes"]


def process_bytes(*, run: Run, constants: Mapping[str, float]) -> Number:
    """What a process holds on the device outside the allocator's pool.

    The CUDA context and its libraries; with more than one accelerator also the collectives' buffers.
    Source: derived; fitted.

    >>> from estimator.accelerators import resolve_accelerator
    >>> from estimator.models import resolve_model
    >>> run = Run(
    ...     architecture=resolve_model("llama-3.1-8b").architecture,
    ...     accelerator=resolve_accelerator("h100").accelerator, method="full", gpus=8.0)
    >>> float(process_bytes(
    ...     run=run, constants={"memory_context_bytes": 5e8, "memory_collectives_bytes": 1.5e9}))
    2000000000.0
    """
    several = np.where(run.gpus > 1.0, 1.0, 0.0)
    return constants["memory_context_bytes"] + several * constants["memory_collectives_bytes"]


def many_lengths(*, run: Run) -> bool:
    """Whether the pool keeps blocks of many sizes: the Transformers trainer with unpacked rows and full logits.

    Not where the model's own attention leaves free blocks larger than the logits. Source: derived.
    """
    return run.stack == "hf" and run.loss == "full" and not run.packed and not own_attention(run)


def spread_name(*, run: Run, kind: str) -> str:
    """The registry row with the spread of ln(measured / predicted) for a memory kind and a group of stacks."""
    stack = "hf" if run.stack in HF_STACKS else run.stack
    if kind in ("allocated", "active"):
        group = ALLOCATED_GROUPS.get(stack, "other")
        quantized = group == "hf" and bool(run.quantization)
        return f"memory_error_scale_allocated_{group}{'_quantized' if quantized else ''}"
    group = "many_lengths" if many_lengths(run=run) else RESERVED_GROUPS.get(stack, "other")
    return f"memory_error_scale_reserved_{group}"


def need_spread_name(*, run: Run) -> str:
    """The registry row with the spread of ln(real / predicted) of what must be held, for a group of stacks.

    Narrower than that of a reserved figure: gaps that the allocator closes under pressure are no part of it.
    """
    if run.stack == "axolotl":
        return "memory_need_error_scale_axolotl"
    return f"memory_need_error_scale_{'hf' if run.stack in HF_STACKS else 'other'}"


def error_share(*, static_bytes: Number, total_bytes: Number, constants: Mapping[str, float]) -> Number:
    """Share of a figure that is open to error: what is not weights, gradients and optimizer state.

    share = max(1 - static / total, least share). The static part follows from counted parameters, the rest from
    kernels, life times and gaps. Source: derived; fitted by the same rule, a spread that grows with the share
    holds 76 % of the runs of teams left out of the fit, one that does not 72 % (benchmarks/fit_memory.py).

    >>> float(error_share(static_bytes=30.0, total_bytes=40.0, constants={"memory_error_least_share": 0.15}))
    0.25
    """
    return np.maximum(1.0 - static_bytes / total_bytes, constants["memory_error_least_share"])


def within_probability(*, bytes_used: Number, limit_bytes: Number, scale: Number) -> Number:
    """Probability that the real figure stays below the limit.

    ln(measured / predicted) is taken as logistic around zero: P = 1 / (1 + exp(-ln(limit / used) / scale)).
    Source: derived; the scale is fitted.

    >>> round(float(within_probability(bytes_used=40.0, limit_bytes=80.0, scale=0.1)), 3)
    0.999
    """
    ratio = np.log(limit_bytes / bytes_used) / scale
    return 1.0 / (1.0 + np.exp(-np.clip(ratio, -60.0, 60.0)))


def decile_factors(*, scale: Number) -> tuple[Number, Number]:
    """P10 and P90 of measured / predicted under the logistic spread: exp(-+ scale x ln 9)."""
    return np.exp(-scale * math.log(9.0)), np.exp(scale * math.log(9.0))
