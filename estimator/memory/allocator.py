"""From allocated bytes to what the allocator reserves, what the device shows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from estimator.memory.stacks import HF_STACKS, own_attention
from estimator.numbers import Number
from estimator.run import Run


def pool_bytes(
    *, run: Run, moments: Iterable[tuple[Number, Number]], constants: Mapping[str, float]
) -> tuple[Number, Number]:
    """What PyTorch's caching allocator must hold, and what it holds if nothing presses it.

    pool = max over moments of static + dynamic x (1 + gaps); ``moments`` gives static and dynamic bytes of each.
    Tensors that live through the step pack tightly; those of a micro-batch come in sizes that leave gaps. What
    must be held has the gaps of batches of one size. The Transformers trainer (autocast, full logits) meets
    batches of many lengths and keeps blocks of each size, fewer beyond a common length: there the gaps fall
    with the square root of the limit; not where the model's own attention leaves free blocks larger than the
    logits. The allocator gives blocks back before it fails, so the second figure never exceeds what the device
    has as long as the first does not. Source: fitted.
    """
    tight = constants["memory_gaps_one_length_fraction"]
    if run.loss == "full":
        many_lengths = run.stack == "hf" and run.autocast and not own_attention(run)
        gaps: Number = tight
        if many_lengths:
            rare = np.minimum(constants["memory_gaps_common_length_tokens"] / run.seq_len, 1.0) ** 0.5
            gaps = np.maximum(tight, constants["memory_gaps_many_lengths_fraction"] * rare)
    else:
        gaps = constants["memory_gaps_fused_loss_fraction"]
    needed: Number = 0.0
    free: Number = 0.0
    for static, dynamic in moments:
        needed = np.maximum(needed, static + dynamic * (1.0 + tight))
        free = np.maximum(free, static + dynamic * (1.0 + gaps))
    room = run.accelerator.memory_bytes - constants["memory_context_bytes"]
    return needed, np.minimum(free, np.maximum(needed, room))


def spread_name(*, run: Run, kind: str) -> str:
    """The registry row with the spread of ln(measured / predicted) for a memory kind and a group of stacks."""
    group = "hf" if run.stack in HF_STACKS else "other"
    if kind in ("allocated", "active"):
        return f"memory_error_scale_allocated_{group}"
    return f"memory_error_scale_reserved_{'axolotl' if run.stack == 'axolotl' else group}"


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
    holds 74 % of the runs of teams left out of the fit, one that does not 71 %, and is nearer to 80 % of those
    of models left out (87 % against 90 %; benchmarks/fit_memory.py).

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
