"""The volume from which tuning pays: every crossing, because serving is a staircase of whole replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.algebra import Value
from estimator.assumptions import Assumption
from estimator.numbers import Array
from estimator.ownership import ArmSpec, month_column, totals, with_series
from estimator.result import BreakEven
from estimator.risk import draw, percentiles

LOWEST_PER_DAY = 1.0
HIGHEST_PER_DAY = 1e9
GRID_POINTS = 181
DRAWN_GRID_POINTS = 37
DRAWS = 128
REFINEMENTS = 3
REFINED_POINTS = 33


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Cost of one arm over the horizon against volume.

    Attributes:
        usd: at base values, on the fine grid of volumes.
        drawn_usd: (volumes of the coarse grid, draws).
    """

    spec: ArmSpec
    usd: Array
    drawn_usd: Array


class Volumes:
    """Costs against volume for several arms of one plan, on grids and draws that they share.

    Args:
        rows: the shared registry.
        seed: of the draws.
    """

    def __init__(self, *, rows: tuple[Assumption, ...], seed: int) -> None:
        self.seed = seed
        self.values = {row.name: row.base for row in rows}
        self.months = month_column(self.values["horizon_months"])
        self.grid = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, GRID_POINTS)
        self.coarse = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, DRAWN_GRID_POINTS)
        self._base = self._at(self.grid)
        # One column per (volume, draw), so that the same cost lines answer for all of them.
        drawn = {name: self._tiled(value) for name, value in draw(rows, draws=DRAWS, seed=seed).items()}
        drawn["requests_per_day"] = np.repeat(self.coarse, DRAWS)[None, :]
        self._drawn = with_series(drawn, self.months)

    def curve(self, spec: ArmSpec) -> Curve:
        """The arm's cost on both grids."""
        own = draw(spec.parameters, draws=DRAWS, seed=self.seed)
        drawn = totals(
            spec=spec, shared=self._drawn, own={name: self._tiled(value) for name, value in own.items()}
        )
        return Curve(
            spec=spec,
            usd=self._cost(spec, self._base),
            drawn_usd=np.broadcast_to(drawn.usd, (DRAWN_GRID_POINTS * DRAWS,)).reshape(DRAWN_GRID_POINTS, DRAWS),
        )

    def break_even(self, *, tuned: Curve, rival: Curve) -> BreakEven:
        """Crossings of two arms between 1 and 10^9 requests a day.

        Every crossing between neighbouring points of the grid (12 % apart) is found at the base values and
        refined; two crossings between the same neighbours cancel and are missed. The draws use the coarse
        grid with interpolation on the logarithm of volume.
        """
        saving = rival.usd - tuned.usd
        crossings = tuple(
            self._refined(tuned.spec, rival.spec, self.grid[index], self.grid[index + 1])
            for index in np.flatnonzero(np.sign(saving[:-1]) != np.sign(saving[1:]))
        )
        spread = self._first_wins(rival.drawn_usd - tuned.drawn_usd)
        low, high = percentiles(spread, (0.1, 0.9))
        wins_at_start, wins_at_end = bool(saving[0] > 0), bool(saving[-1] > 0)
        return BreakEven(
            rival=rival.spec.id,
            crossings_per_day=crossings,
            lowest_per_day=LOWEST_PER_DAY if wins_at_start else crossings[0] if crossings else None,
            always_above_per_day=(crossings[-1] if crossings else LOWEST_PER_DAY) if wins_at_end else None,
            low_per_day=low if np.isfinite(low) else None,
            high_per_day=high if np.isfinite(high) else None,
            never_probability=float(np.mean(~np.isfinite(spread))),
            searched_per_day=(LOWEST_PER_DAY, HIGHEST_PER_DAY),
        )

    def _at(self, volumes: Array) -> Mapping[str, Value]:
        return with_series({**self.values, "requests_per_day": volumes[None, :]}, self.months)

    def _cost(self, spec: ArmSpec, shared: Mapping[str, Value]) -> Array:
        own = {row.name: row.base for row in spec.parameters}
        return totals(spec=spec, shared=shared, own=own).usd

    def _refined(self, tuned: ArmSpec, rival: ArmSpec, low: float, high: float) -> float:
        """The volume just above the first change of sign between two volumes."""
        for _ in range(REFINEMENTS):
            finer = np.geomspace(low, high, REFINED_POINTS)
            shared = self._at(finer)
            signs = np.sign(self._cost(rival, shared) - self._cost(tuned, shared))
            first = int(np.flatnonzero(signs[:-1] != signs[1:])[0])
            low, high = finer[first], finer[first + 1]
        return float(high)

    def _first_wins(self, saving: Array) -> Array:
        """Lowest volume at which tuning wins, per draw; infinite where it never does."""
        wins = saving > 0
        first = np.argmax(wins, axis=0)
        columns = np.arange(saving.shape[1])
        before = np.maximum(first - 1, 0)
        lower, upper = saving[before, columns], saving[first, columns]
        share = np.where(first > 0, -lower / np.where(first > 0, upper - lower, 1.0), 0.0)
        logs = np.log(self.coarse)
        crossing = np.exp(logs[before] + share * (logs[first] - logs[before]))
        return np.where(wins.any(axis=0), crossing, np.inf)

    def _tiled(self, value: Value) -> Value:
        return np.tile(value, (1, DRAWN_GRID_POINTS)) if np.ndim(value) == 2 else value
