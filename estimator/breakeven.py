"""The volume from which tuning pays: every crossing, because serving is a staircase of whole replicas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from estimator.algebra import Value
from estimator.numbers import Array
from estimator.ownership import ArmSpec, month_column, totals, with_series
from estimator.result import BreakEven

LOWEST_PER_DAY = 1.0
HIGHEST_PER_DAY = 1e9
GRID_POINTS = 181
DRAWN_GRID_POINTS = 37
REFINEMENTS = 3
REFINED_POINTS = 33


def saving_usd(
    *,
    tuned: ArmSpec,
    rival: ArmSpec,
    shared: Mapping[str, Value],
    tuned_own: Mapping[str, Value],
    rival_own: Mapping[str, Value],
    requests_per_day: Array,
) -> Array:
    """Rival's cost less the tuned arm's over the horizon, at each volume (positive: tuning is cheaper)."""
    x = with_series({**shared, "requests_per_day": requests_per_day}, month_column(shared["horizon_months"]))
    there = totals(spec=rival, shared=x, own=rival_own).usd
    here = totals(spec=tuned, shared=x, own=tuned_own).usd
    return np.asarray(there - here)


def break_even(
    *,
    tuned: ArmSpec,
    rival: ArmSpec,
    values: Mapping[str, float],
    drawn: Mapping[str, Value],
    tuned_drawn: Mapping[str, Value],
    rival_drawn: Mapping[str, Value],
) -> BreakEven:
    """Crossings between 1 and 10^9 requests a day: on a logarithmic grid, each refined; and over the draws.

    Every crossing of two neighbouring grid points (5 % apart at the base values) is found; two crossings
    between neighbours cancel and are missed. The draws use a coarser grid with interpolation.

    Args:
        values: base values.
        drawn, tuned_drawn, rival_drawn: (1, draws) arrays or scalars; few draws suffice for percentiles.
    """
    tuned_own = {row.name: row.base for row in tuned.parameters}
    rival_own = {row.name: row.base for row in rival.parameters}

    def saving(volumes: Array) -> Array:
        return saving_usd(
            tuned=tuned,
            rival=rival,
            shared=values,
            tuned_own=tuned_own,
            rival_own=rival_own,
            requests_per_day=volumes[None, :],
        )

    volumes = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, GRID_POINTS)
    savings = saving(volumes)
    crossings = []
    for index in np.flatnonzero(np.sign(savings[:-1]) != np.sign(savings[1:])):
        low, high = volumes[index], volumes[index + 1]
        for _ in range(REFINEMENTS):
            finer = np.geomspace(low, high, REFINED_POINTS)
            signs = np.sign(saving(finer))
            first = int(np.flatnonzero(signs[:-1] != signs[1:])[0])
            low, high = finer[first], finer[first + 1]
        crossings.append(float(high))
    wins_at_end = bool(savings[-1] > 0)
    lowest = _lowest(volumes, savings, crossings)
    spread = _drawn_crossings(tuned, rival, drawn, tuned_drawn, rival_drawn)
    return BreakEven(
        rival=rival.id,
        crossings_per_day=tuple(crossings),
        lowest_per_day=lowest,
        always_above_per_day=(crossings[-1] if crossings else LOWEST_PER_DAY) if wins_at_end else None,
        low_per_day=_finite(np.percentile(spread, 10, method="nearest")),
        high_per_day=_finite(np.percentile(spread, 90, method="nearest")),
        never_probability=float(np.mean(~np.isfinite(spread))),
        searched_per_day=(LOWEST_PER_DAY, HIGHEST_PER_DAY),
    )


def _lowest(volumes: Array, savings: Array, crossings: list[float]) -> float | None:
    """The lowest volume at which tuning wins: the start of the grid, the first crossing upwards, or never."""
    if savings[0] > 0:
        return float(volumes[0])
    return crossings[0] if crossings else None


def _drawn_crossings(
    tuned: ArmSpec,
    rival: ArmSpec,
    drawn: Mapping[str, Value],
    tuned_drawn: Mapping[str, Value],
    rival_drawn: Mapping[str, Value],
) -> Array:
    """Lowest volume at which tuning wins in each draw; infinite where it never does."""
    volumes = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, DRAWN_GRID_POINTS)
    draws = max(np.size(value) for value in drawn.values())
    # One column per (volume, draw): draws are repeated for each volume, so the same code answers.
    tile = {name: _tiled(value, len(volumes)) for name, value in drawn.items()}
    saving = saving_usd(
        tuned=tuned,
        rival=rival,
        shared=tile,
        tuned_own={name: _tiled(value, len(volumes)) for name, value in tuned_drawn.items()},
        rival_own={name: _tiled(value, len(volumes)) for name, value in rival_drawn.items()},
        requests_per_day=np.repeat(volumes, draws)[None, :],
    ).reshape(len(volumes), draws)
    wins = saving > 0
    first = np.argmax(wins, axis=0)
    columns = np.arange(draws)
    before = np.maximum(first - 1, 0)
    lower, upper = saving[before, columns], saving[first, columns]
    share = np.where(first > 0, -lower / np.where(first > 0, upper - lower, 1.0), 0.0)
    logs = np.log(volumes)
    crossing = np.exp(logs[before] + share * (logs[first] - logs[before]))
    return np.where(wins.any(axis=0), crossing, np.inf)


def _tiled(value: Value, times: int) -> Value:
    return np.tile(value, (1, times)) if np.ndim(value) == 2 and np.shape(value)[1] > 1 else value


def _finite(value: np.floating | float) -> float | None:
    return float(value) if np.isfinite(value) else None
