"""The volume from which tuning pays: every crossing, because serving is a staircase of whole replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.algebra import Value
from estimator.assumptions import Assumption
from estimator.money.ownership import ArmSpec, LinesOf, Totals, month_column, totals, with_series
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
        self._rows = rows
        self._on_grid = self._shared(self.grid, self.coarse)
        ends = np.array([LOWEST_PER_DAY, HIGHEST_PER_DAY])
        self._at_ends = self._shared(ends, ends)

    def _shared(self, volumes: Array, drawn_volumes: Array) -> dict[str, Value]:
        """Registry and series with one column per volume at the base, then one per (drawn volume, draw)."""
        base = {row.name: row.base for row in self._rows}
        drawn = draw(self._rows, draws=DRAWS, seed=self.seed)
        columns: dict[str, Value] = {
            name: _columns(base[name], value, len(volumes), len(drawn_volumes)) for name, value in drawn.items()
        }
        columns["requests_per_day"] = np.concatenate([volumes, np.repeat(drawn_volumes, DRAWS)])[None, :]
        return with_series(columns, month_column(base["horizon_months"]))

    def _usd(
        self,
        spec: ArmSpec,
        shared: Mapping[str, Value],
        points: int,
        drawn_points: int,
        known: dict[LinesOf, Totals] | None = None,
    ) -> tuple[Array, Array]:
        """Cost at each volume at the base values, and by (drawn volume, draw); ``known`` as in ``totals``."""
        drawn = draw(spec.parameters, draws=DRAWS, seed=self.seed)
        own = {row.name: _columns(row.base, drawn[row.name], points, drawn_points) for row in spec.parameters}
        cost = totals(spec=spec, shared=shared, own=own, known=known)
        usd = np.broadcast_to(cost.usd, (points + drawn_points * DRAWS,))
        return usd[:points], usd[points:].reshape(drawn_points, DRAWS)

    def curve(self, specs: Sequence[ArmSpec]) -> Curve:
        """Cost on both grids; of several variants of an arm, the cheapest at each volume.

        An arm that serves itself has variants, because the best card and degree change with the load.
        """
        known: dict[LinesOf, Totals] = {}
        costs = [self._usd(spec, self._on_grid, GRID_POINTS, DRAWN_GRID_POINTS, known) for spec in specs]
        return Curve(
            spec=specs[0],
            usd=np.min([usd for usd, _ in costs], axis=0),
            drawn_usd=np.min([drawn for _, drawn in costs], axis=0),
        )

    def line(self, spec: ArmSpec) -> Curve:
        """Cost of an arm that is a straight line in volume, as prompting an API is: from its two ends."""
        usd, drawn = self._usd(spec, self._at_ends, 2, 2)
        share, drawn_share = (
            (volumes - LOWEST_PER_DAY) / (HIGHEST_PER_DAY - LOWEST_PER_DAY) for volumes in (self.grid, self.coarse)
        )
        return Curve(
            spec=spec,
            usd=usd[0] + share * (usd[1] - usd[0]),
            drawn_usd=drawn[0] + drawn_share[:, None] * (drawn[1] - drawn[0]),
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
        low, median, high = (
            value if np.isfinite(value) else None for value in percentiles(spread, (0.1, 0.5, 0.9))
        )
        wins_at_start, wins_at_end = bool(saving[0] > 0), bool(saving[-1] > 0)
        return BreakEven(
            rival=rival.spec.id,
            crossings_per_day=crossings,
            lowest_per_day=LOWEST_PER_DAY if wins_at_start else crossings[0] if crossings else None,
            always_above_per_day=(crossings[-1] if crossings else LOWEST_PER_DAY) if wins_at_end else None,
            low_per_day=low,
            median_per_day=median,
            high_per_day=high,
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


def _columns(base: float, drawn: Value, points: int, drawn_points: int) -> Value:
    """One column per volume at the base, then one per (drawn volume, draw); a scalar stays one."""
    if np.ndim(drawn) == 0:
        return drawn
    return np.concatenate([np.full((1, points), base), np.tile(drawn, (1, drawn_points))], axis=1)


def _between(volumes: Array, saving: Array, index: NDArray[np.int64]) -> Array:
    """Where the saving passes zero between each indexed point and the next."""
    share = -saving[index] / (saving[index + 1] - saving[index])
    logs = np.log(volumes)
    return np.asarray(np.exp(logs[index] + share * (logs[index + 1] - logs[index])))
