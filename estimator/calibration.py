"""What measured runs say about the machine they ran on: factors on the shipped constants, with those as prior.

Runs are grouped by card and training stack. In each group

    ln(measured / predicted) = sum over factors of slope x ln(factor) + noise,

where a factor's slope is how much the prediction answers to it. Both ln(factor), around 0 with the spread that
its registry row holds, and the noise follow Student's t: one odd run does not steer, and a machine that is far
off in every run is not held back as one is that is a little off. Runs of one model and method share a part of
their noise, so that they count as fewer. The most probable factors are found by Gauss-Newton with iterated
weights, from the shipped constants on, so that where two explanations hold, the nearer is taken; then all are
drawn back towards 1 by as much as chance may explain, so that runs that disagree, or are off by little, move
nothing.

Speed (share of peak, bandwidth, launch time, links) and memory are fitted apart. A run that exhausted its card
says that it needed more than the card holds, and no more than that. A fit is used only if it predicts runs that
it did not see no worse than the shipped constants do: each run in turn is left out, and the errors are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from estimator.assumptions import Assumptions
from estimator.calibration_statistics import (
    CHANCE,
    Observations,
    Prior,
    absolute_errors,
    most_probable,
    refusal,
    surest,
    unseen_errors,
)
from estimator.machine import FACTORS, MEMORY, SPEED_FACTORS
from estimator.measured import MeasuredRow
from estimator.memory import memory, predicted_bytes, usable_bytes
from estimator.numbers import Array
from estimator.speed import speed

P90_DEVIATIONS = 1.2815515655446004
"""Standard deviations from the median of a normal to its 90th percentile."""

DIFFERENCE = 0.02
"""Step of a factor's logarithm from which its slope is taken."""

STEPS = 3
LEAST_SLOPE = 0.01
"""A factor that every run's prediction answers less to is left as it is."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One fitted factor with its P10 and P90."""

    what: str
    base: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Errors of one quantity before and after.

    Attributes:
        quantity: speed or memory.
        runs: figures compared.
        exhausted: runs that ran out of memory.
        bounds: those of them that were predicted to need less than the card holds: they say that it is more.
        before, after: median absolute relative error with the shipped constants, and with the factors;
            None where nothing was measured.
        unseen_before, unseen_after: mean absolute relative error of each figure, its prediction made from the
            other runs; None where there is one run only.
        kept: the factors are used.
        reason: why they are not: CHANCE or UNSEEN; else "".
    """

    quantity: str
    runs: int
    exhausted: int
    bounds: int
    before: float | None
    after: float | None
    unseen_before: float | None
    unseen_after: float | None
    kept: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class MachineFit:
    """What the runs of one card with one stack say."""

    gpu: str
    stack: str
    ids: tuple[str, ...]
    factors: tuple[Factor, ...]
    gains: tuple[Gain, ...]


def prior_of(constants: Assumptions, factors: Sequence[str]) -> Prior:
    """The registry's prior of some factors: P10 and P90 of each are 2 x 1.28 standard deviations apart."""
    rows = [constants.row(what) for what in factors]
    kind = "memory" if MEMORY in factors else "speed"
    return Prior(
        spreads=np.array([np.log(row.high / row.low) / (2.0 * P90_DEVIATIONS) for row in rows]),
        noise=constants[f"machine_{kind}_noise"],
        tails=constants["machine_prior_degrees_of_freedom"],
        noise_tails=constants["machine_noise_degrees_of_freedom"],
        correlation=constants[f"machine_{kind}_same_setting_correlation"],
        caution=constants["machine_caution_deviations"],
    )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of some runs, and how to predict it: logarithms, one entry a figure."""

    ids: tuple[str, ...]
    settings: tuple[str, ...]
    measured: Array
    bounds: NDArray[np.bool_]
    predict: Callable[[Mapping[str, float]], Array]


def observe(
    *, figures: Figures, factors: Sequence[str], constants: Mapping[str, float], at: Array
) -> Observations:
    """Observations linearised about some logarithms of the factors, stated as if about 1."""

    def moved(logs: Array) -> dict[str, float]:
        return {**constants, **dict(zip(factors, map(float, np.exp(logs)), strict=True))}

    here = figures.predict(moved(at))
    slopes = np.empty((len(here), len(factors)))
    for column in range(len(factors)):
        step = np.zeros(len(factors))
        step[column] = DIFFERENCE
        up, down = figures.predict(moved(at + step)), figures.predict(moved(at - step))
        slopes[:, column] = (up - down) / (2.0 * DIFFERENCE)
    return Observations(
        ids=figures.ids,
        settings=figures.settings,
        errors=figures.measured - here + slopes @ at,
        slopes=slopes,
        bounds=figures.bounds,
    )


def _setting(row: MeasuredRow) -> str:
    return f"{row.run.architecture.id} {row.run.method} {row.run.quantization}"


def _speeds(rows: Sequence[MeasuredRow], _: Mapping[str, float]) -> Figures:
    known = [(row, row.tokens_per_s_per_gpu) for row in rows if row.tokens_per_s_per_gpu and row.gpu]

    def predict(constants: Mapping[str, float]) -> Array:
        return np.log(
            [float(speed(run=row.run, constants=constants).tokens_per_s_per_gpu) for row, _ in known], dtype=float
        )

    return Figures(
        ids=tuple(row.id for row, _ in known),
        settings=tuple(_setting(row) for row, _ in known),
        measured=np.log([value for _, value in known], dtype=float),
        bounds=np.zeros(len(known), dtype=bool),
        predict=predict,
    )


def _memories(rows: Sequence[MeasuredRow], shipped: Mapping[str, float]) -> Figures:
    """Every memory figure; of a run that exhausted its card, what the driver leaves, as the least it needed."""
    known = [
        *((row, kind, value) for row in rows if row.gpu for kind, value in row.memories),
        *((row, "", float(usable_bytes(run=row.run, constants=shipped))) for row in rows if row.bounds_memory),
    ]

    def predict(constants: Mapping[str, float]) -> Array:
        figures = []
        for row, kind, *_ in known:
            held = memory(run=row.run, constants=constants)
            figures.append(float(predicted_bytes(predicted=held, kind=kind) if kind else held.needed_bytes))
        return np.log(figures, dtype=float)

    return Figures(
        ids=tuple(row.id for row, *_ in known),
        settings=tuple(_setting(row) for row, *_ in known),
        measured=np.log([value for *_, value in known], dtype=float),
        bounds=np.array([not kind for _, kind, _ in known], dtype=bool),
        predict=predict,
    )


QUANTITIES = {"speed": (_speeds, SPEED_FACTORS), "memory": (_memories, (MEMORY,))}


def observed(rows: Sequence[MeasuredRow], quantity: str, constants: Mapping[str, float]) -> Observations:
    """The speed or memory figures of some runs of one machine, about the shipped constants."""
    figures, factors = QUANTITIES[quantity]
    return observe(
        figures=figures(rows, constants), factors=factors, constants=dict(constants), at=np.zeros(len(factors))
    )


def _fitted(
    rows: Sequence[MeasuredRow], quantity: str, constants: Assumptions
) -> tuple[tuple[Factor, ...], Gain | None]:
    read, factors = QUANTITIES[quantity]
    figures = read(rows, constants)
    if not figures.ids:
        return (), None
    plain, prior = dict(constants), prior_of(constants, factors)
    start = observe(figures=figures, factors=factors, constants=plain, at=np.zeros(len(factors)))
    low = np.log([constants.row(what).minimum for what in factors])
    high = np.log([constants.row(what).maximum for what in factors])
    now, logs = start, np.zeros(len(factors))
    for _ in range(STEPS):
        logs = np.clip(most_probable(seen=now, prior=prior)[0], low, high)
        now = observe(figures=figures, factors=factors, constants=plain, at=logs)
    sure, spread = surest(seen=now, prior=prior)
    sure = np.clip(sure, low, high)
    reach = P90_DEVIATIONS * np.sqrt(np.diag(spread))
    reason = refusal(seen=start, prior=prior) or ("" if sure.any() else CHANCE)
    found = (
        ()
        if reason
        else tuple(
            Factor(
                what=what,
                base=float(np.exp(sure[place])),
                low=float(np.exp(np.maximum(np.minimum(logs[place] - reach[place], sure[place]), low[place]))),
                high=float(np.exp(np.minimum(np.maximum(logs[place] + reach[place], sure[place]), high[place]))),
            )
            for place, what in enumerate(factors)
            if np.max(np.abs(start.slopes[:, place])) >= LEAST_SLOPE
        )
    )
    measured = ~figures.bounds
    left = figures.measured - figures.predict({**plain, **{factor.what: factor.base for factor in found}})
    before, after = absolute_errors(start.errors[measured]), absolute_errors(left[measured])
    checked = len(set(figures.ids)) > 1 and measured.any()
    unseen = absolute_errors(unseen_errors(seen=start, prior=prior)[measured]) if checked else None
    return found, Gain(
        quantity=quantity,
        runs=int(measured.sum()),
        exhausted=int(figures.bounds.sum()),
        bounds=int((figures.bounds & (start.errors > 0.0)).sum()),
        before=float(np.median(before)) if measured.any() else None,
        after=float(np.median(after)) if measured.any() else None,
        unseen_before=None if unseen is None else float(before.mean()),
        unseen_after=None if unseen is None else float(unseen.mean()),
        kept=not reason,
        reason=reason,
    )


def calibrate(rows: Iterable[MeasuredRow], constants: Assumptions) -> tuple[MachineFit, ...]:
    """The machines of some measured runs, each card with each stack on its own, in order of first appearance.

    Runs whose row names no card say nothing about one and are left out. ``constants`` is the registry to start
    from; factors that it already holds for a machine do not count.
    """
    start = constants.adding(replace(constants.row(what), base=1.0) for what in FACTORS)
    shipped_only = Assumptions({row.name: row for row in start.rows if not _measured_factor(row.name)})
    groups: dict[tuple[str, str], list[MeasuredRow]] = {}
    for row in rows:
        if row.gpu and (row.tokens_per_s_per_gpu or row.memories or row.bounds_memory):
            groups.setdefault((row.gpu, row.run.stack), []).append(row)
    fits = []
    for (gpu, stack), members in groups.items():
        parts = [_fitted(members, quantity, shipped_only) for quantity in QUANTITIES]
        fits.append(
            MachineFit(
                gpu=gpu,
                stack=stack,
                ids=tuple(row.id for row in members),
                factors=tuple(factor for found, _ in parts for factor in found),
                gains=tuple(gain for _, gain in parts if gain),
            )
        )
    return tuple(fits)


def _measured_factor(name: str) -> bool:
    return name.endswith(FACTORS) and name not in FACTORS
