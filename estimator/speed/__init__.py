"""Time of an optimizer step: a roofline term for every operation, the links, the host and the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.flop import hardware_flop_per_token, model_flop_per_token
from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.bound import resource_fractions
from estimator.speed.constants import Constants
from estimator.speed.interval import throughput_factors
from estimator.speed.job import job_time
from estimator.speed.matmul import peak_flop_per_s
from estimator.speed.step import step_parts_s

__all__ = ["Speed", "job_time", "resource_fractions", "speed"]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Predicted speed of one training configuration, or of a block of them.

    Attributes:
        step_s: seconds of one optimizer step, whole job.
        tokens_per_s_per_gpu: training throughput.
        parts_s: exposed seconds of the step by cause; they sum to ``step_s``.
        mfu: model FLOP (6N + attention for full training, 4N for adapters; no recompute) over what the dense
            peak of the compute dtype could do in that time.
        hfu: the same with recomputed FLOP.
        low_factor, high_factor: P10 and P90 of measured over predicted tokens/s.
    """

    step_s: Number
    tokens_per_s_per_gpu: Number
    parts_s: dict[str, Number]
    mfu: Number
    hfu: Number
    low_factor: Number
    high_factor: Number


def _plain(value: Number) -> Number:
    """A Python float for a scalar, the array otherwise."""
    return float(value) if np.ndim(value) == 0 else value


def speed(*, run: Run, constants: Mapping[str, float]) -> Speed:
    """Time of one optimizer step and what follows from it.

    step = micro-batches x (compute + launch + exposed communication) x (1 + bubble) + optimizer + exposed
    gradient synchronisation, times stragglers. Every part is a function of its own in this package.

    Args:
        run: the configuration; numeric and accelerator fields may be broadcastable arrays.
        constants: the registry of empirical numbers.
    """
    known = Constants(constants)
    parts = {name: _plain(seconds) for name, seconds in step_parts_s(run=run, constants=known).items()}
    step: Number = sum(parts.values(), start=0.0)
    tokens = run.micro_batches * run.micro_batch * run.data_parallel * run.seq_len
    rate = tokens / (step * run.gpus)
    peak = peak_flop_per_s(run=run)
    low, high = throughput_factors(run=run, constants=known)
    return Speed(
        step_s=_plain(step),
        tokens_per_s_per_gpu=_plain(rate),
        parts_s=parts,
        mfu=_plain(rate * model_flop_per_token(run=run) / peak),
        hfu=_plain(rate * hardware_flop_per_token(run=run) / peak),
        low_factor=_plain(low),
        high_factor=_plain(high),
    )
