"""The volume from which tuning pays: every crossing, because serving is a staircase of whole replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.algebra import Value
from estimator.assumptions import Assumption
from estimator.money.ownership import ArmSpec, month_column, totals, with_series
from estimator.numbers import Array
from estimator.result import BreakEven
from estimator.risk import draw, percentiles

LOWEST_PER_DAY = 1.0
HIGHEST_PER_DAY = 1e9
GRID_POINTS = 361
DRAWN_GRID_POINTS = 28
DRAWS = 48


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
        self.grid = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, GRID_POINTS)
        self.coarse = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, DRAWN_GRID_POINTS)
        base = {row.name: row.base for row in rows}
        drawn = draw(rows, draws=DRAWS, seed=seed)
        columns: dict[str, Value] = {name: self._columns(base[name], value) for name, value in drawn.items()}
        columns["requests_per_day"] = np.concatenate([self.grid, np.repeat(self.coarse, DRAWS)])[None, :]
        self._shared = with_series(columns, month_column(base["horizon_months"]))

    def _columns(self, base: float, drawn: Value) -> Value:
        """One column per volume of the fine grid at the base, then one per (coarse volume, draw)."""
        if np.ndim(drawn) == 0:
            return drawn
        return np.concatenate([np.full((1, GRID_POINTS), base), np.tile(drawn, (1, DRAWN_GRID_POINTS))], axis=1)

    def curve(self, specs: Sequence[ArmSpec]) -> Curve:
        """Cost on both grids, in one pass of the cost lines; of several variants of an arm, the cheapest at each.

        An arm that serves itself has variants, because the best card and degree change with the load.
        """
        costs = []
        for spec in specs:
            drawn = draw(spec.parameters, draws=DRAWS, seed=self.seed)
            own = {row.name: self._columns(row.base, drawn[row.name]) for row in spec.parameters}
            cost = totals(spec=spec, shared=self._shared, own=own).usd
            costs.append(np.broadcast_to(cost, (GRID_POINTS + DRAWN_GRID_POINTS * DRAWS,)))
        least = np.min(costs, axis=0)
        return Curve(
            spec=specs[0],
            usd=least[:GRID_POINTS],
            drawn_usd=least[GRID_POINTS:].reshape(DRAWN_GRID_POINTS, DRAWS),
        )

    def break_even(self, *, tuned: Curve, rival: Curve) -> BreakEven:
        """Crossings of two arms between 1 and 10^9 requests a day.

        Crossings between neighbouring points of the grid (6 % apart) are found at the base values, and placed
        by interpolation on the logarithm of volume; two crossings between the same neighbours cancel and are
        missed. The draws use the coarse grid in the same way.
        """
        saving = rival.usd - tuned.usd
        changes = np.flatnonzero(np.sign(saving[:-1]) != np.sign(saving[1:]))
        crossings = tuple(_between(self.grid, saving, changes).tolist())
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


def _between(volumes: Array, saving: Array, index: NDArray[np.int64]) -> Array:
    """Where the saving passes zero between each indexed point and the next."""
    share = -saving[index] / (saving[index + 1] - saving[index])
    logs = np.log(volumes)
    return np.asarray(np.exp(logs[index] + share * (logs[index + 1] - logs[index])))
