"""Peak memory of a training run per accelerator, by part and by moment.

Three answers: allocated (tensors), reserved (the allocator's pool, with its gaps) and device (the pool and the
framework's context). What must fit is the tensors, the gaps that the allocator cannot close, and the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from estimator.errors import UnknownNameError
from estimator.machine import MEMORY, machine_factor
from estimator.memory.activations import loss_kind
from estimator.memory.allocator import (
    decile_factors,
    error_share,
    need_spread_name,
    pool_bytes,
    process_bytes,
    spread_name,
    usable_bytes,
    within_probability,
)
from estimator.memory.peak import PARTS, moments
from estimator.memory.stacks import leaves_experts, traits
from estimator.numbers import Number
from estimator.run import Run

__all__ = [
    "MEMORY_KINDS", "Memory", "fits_word", "fuses_loss", "memory", "predicted_bytes", "predicted_range_bytes",
    "usable_bytes", "with_whole_experts",
]  # fmt: skip

MEMORY_KINDS = ("allocated", "active", "reserved", "nvidia-smi", "unknown")

Word = Literal["yes", "likely", "risky", "no"]
MOMENTS = {
    "load": "load",
    "loss": "forward-backward",
    "backward": "forward-backward",
    "end of backward": "forward-backward",
    "embedding gradient": "forward-backward",
    "step": "step",
}
RESIDENT = ("weights", "quantization_constants", "adapters", "masters", "moments")
STEPPING = ("gradients", "update_temporary")
STATIC = RESIDENT + STEPPING


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Peak memory per accelerator.

    Attributes:
        parts_bytes: what is alive at the peak, by part; sums to ``allocated_bytes``.
        moment: load, forward-backward or step: which of them holds the peak.
        allocated_bytes: highest sum of tensors (``torch.cuda.max_memory_allocated``).
        reserved_bytes: highest size of the allocator's pool (``max_memory_reserved``).
        device_bytes: what ``nvidia-smi`` shows: the pool and the framework's context.
        needed_bytes: what the device must hold at least: context, tensors and the gaps that the allocator cannot
            close.
        limit_bytes: what the driver reports as the accelerator's memory.
        fits_probability: probability that what the device must hold stays below what the driver leaves, given the
            spread of measured runs around this model.
        low_bytes, high_bytes: P10 and P90 of the device figure.
    """

    parts_bytes: dict[str, Number]
    moment: Any
    allocated_bytes: Number
    reserved_bytes: Number
    device_bytes: Number
    needed_bytes: Number
    limit_bytes: Number
    fits_probability: Number
    low_bytes: Number
    high_bytes: Number


def memory(*, run: Run, constants: Mapping[str, float]) -> Memory:
    """Peak memory of a run, or of a block of runs.

    The peak is the highest total of six moments (`estimator.memory.peak.moments`); ``parts_bytes`` are those of
    that moment. ``constants`` is the registry of assumptions. Scalars in give floats, arrays give arrays.
    """
    at = moments(run=run, constants=constants)
    margin = machine_factor(what=MEMORY, run=run, constants=constants)
    if not (isinstance(margin, float) and margin == 1.0):
        at = {
            name: {part: size if part in STATIC else size * margin for part, size in held.items()}
            for name, held in at.items()
        }
    names = list(at)
    totals: list[Number] = [sum(at[name].values(), start=0.0) for name in names]
    if all(np.ndim(total) == 0 for total in totals):
        peak = int(np.argmax(np.array(totals)))
        parts: dict[str, Number] = {
            part: float(at[names[peak]].get(part, 0.0)) for part in PARTS if part in at[names[peak]]
        }
        moment: Any = MOMENTS[names[peak]]
    else:
        shape = np.broadcast_shapes(*(np.shape(total) for total in totals))
        stacked = np.stack([np.broadcast_to(total, shape) for total in totals])
        index = stacked.argmax(axis=0)
        chosen = [index == i for i in range(len(names))]
        parts = {}
        for part in PARTS:
            if any(part in at[name] for name in names):
                parts[part] = sum(
                    (mask * at[name][part] for mask, name in zip(chosen, names, strict=True) if part in at[name]),
                    start=np.zeros(shape),
                )
        moment = np.array([MOMENTS[name] for name in names])[index]
    allocated: Number = sum(parts.values())
    needed, reserved = pool_bytes(
        run=run,
        moments=[
            (
                sum(held[part] for part in STATIC if part in held),
                sum(held[part] for part in held if part not in STATIC),
                held.get("logits_and_loss", 0.0),
            )
            for held in at.values()
        ],
        resident=sum(at["step"][part] for part in RESIDENT),
        stepping=sum(at["step"][part] for part in STEPPING),
        constants=constants,
    )
    context = process_bytes(run=run, constants=constants)
    static: Number = sum((parts[part] for part in STATIC if part in parts), start=0.0)
    limit = run.accelerator.memory_bytes
    usable = usable_bytes(run=run, constants=constants)
    scale = constants[need_spread_name(run=run)]
    fits = within_probability(bytes_used=needed + context, limit_bytes=usable, scale=scale)
    low, high = _deciles(run=run, kind="nvidia-smi", static=static, total=reserved + context, constants=constants)
    if np.ndim(reserved) == 0 and np.ndim(fits) == 0:
        reserved, fits, low, high = float(reserved), float(fits), float(low), float(high)
    return Memory(
        parts_bytes=parts,
        moment=moment,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        device_bytes=reserved + context,
        needed_bytes=needed + context,
        limit_bytes=limit,
        fits_probability=fits,
        low_bytes=low,
        high_bytes=high,
    )


def fuses_loss(run: Run) -> bool:
    """Whether the stack that was asked for a fused loss has one for this model."""
    return loss_kind(run=run, traits=traits(run)) == "fused"


def with_whole_experts(*, run: Run, constants: Mapping[str, float]) -> Memory | None:
    """The same peak where the routed experts are not quantised; None where the run's stack would quantise them.

    Where it is not None, what `memory` says of the run holds for Transformers 4 only.
    """
    if not (run.experts_quantized and leaves_experts(run)):
        return None
    return memory(run=run.with_(experts_quantized=False), constants=constants)


def _deciles(
    *, run: Run, kind: str, static: Number, total: Number, constants: Mapping[str, float]
) -> tuple[Number, Number]:
    share = error_share(static_bytes=static, total_bytes=total, constants=constants)
    low, high = decile_factors(scale=constants[spread_name(run=run, kind=kind)] * share)
    return total * low, total * high


def predicted_bytes(*, predicted: Memory, kind: str) -> Number:
    """The figure to compare with a measurement of this kind.

    "active" is what the allocator has handed out; "unknown" is taken for the device's, which monitors show.

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in MEMORY_KINDS:
        raise UnknownNameError("memory kind", kind, MEMORY_KINDS)
    if kind in ("allocated", "active"):
        return predicted.allocated_bytes
    return predicted.reserved_bytes if kind == "reserved" else predicted.device_bytes


def predicted_range_bytes(
    *, run: Run, predicted: Memory, kind: str, constants: Mapping[str, float]
) -> tuple[Number, Number]:
    """P10 and P90 of a measurement of this kind."""
    parts = predicted.parts_bytes
    return _deciles(
        run=run,
        kind=kind,
        static=sum((parts[part] for part in STATIC if part in parts), start=0.0),
        total=predicted_bytes(predicted=predicted, kind=kind),
        constants=constants,
    )


def fits_word(probability: float) -> Word:
    """A word for the probability of fitting: yes from 0.9, likely from 0.6, risky from 0.2, else no.

    >>> [fits_word(p) for p in (0.95, 0.7, 0.3, 0.01)]
    ['yes', 'likely', 'risky', 'no']
    """
    if probability >= 0.9:
        return "yes"
    if probability >= 0.6:
        return "likely"
    return "risky" if probability >= 0.2 else "no"
