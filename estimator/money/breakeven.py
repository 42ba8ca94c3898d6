"""The volume from which tuning pays: every crossing, because serving is a staircase of whole replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.algebra import Value
from estimator.assumptions import Assumption
from estimator.money.ownership import ArmSpec, LinesOf, month_column, undiscounted_usd, with_series
from estimator.money.series import requests_in_month
from estimator.numbers import Array
from estimator.result import BreakEven
from estimator.risk import draw, percentiles

LOWEST_PER_DAY = 1.0
HIGHEST_PER_DAY = 1e9
GRID_POINTS = 361
DRAWN_GRID_POINTS = 28
MOST_DRAWS = 500
VOLUMES_AT_ONCE = 4
"""Volumes of the coarse grid whose months by draws fit the processor's second cache together."""

NEAR_FRACTION = 0.5
ABOUT_RATIO = 3.0
"""Variants of an arm count over the draws where they cost up to so much more than the cheapest at the base values,
at volumes up to so many times smaller or larger."""


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


@dataclass(frozen=True, kw_only=True)
class Points:
    """What several arms are worked out with on one grid: base values, or draws along the third axis.

    Attributes:
        at_ends: registry and series at the lowest and the highest volume.
        parts: some volumes of the grid each, with registry and series at them.
        draws: how many, 1 for the base values.
    """

    at_ends: Mapping[str, Value]
    parts: tuple[tuple[Array, Mapping[str, Value]], ...]
    draws: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one arm on some points: straight lines at both ends, the others where it is asked for."""

    own: Mapping[str, Value]
    ends_usd: Array
    stepped: LinesOf | None

    def at(self, volumes: Array, shared: Mapping[str, Value]) -> Array:
        """(volumes, draws); a draw alone where nothing varies."""
        share = (volumes - LOWEST_PER_DAY) / (HIGHEST_PER_DAY - LOWEST_PER_DAY)
        usd = self.ends_usd[0] + share[:, None] * (self.ends_usd[1] - self.ends_usd[0])
        if self.stepped is None:
            return np.asarray(usd)
        x = {**shared, **self.own}
        stepped = np.asarray(undiscounted_usd(self.stepped(x), x))
        return np.asarray(usd + (stepped[0] if stepped.ndim else stepped))


class Volumes:
    """Costs against volume for several arms of one plan, on grids and draws that they share.

    The draws are the first of those of the totals. Arrays have three axes, month by volume by draw, so that what
    does not hang on the volume is worked out once for all volumes.

    Args:
        rows: the shared registry.
        seed, draws: of the totals.
    """

    def __init__(self, *, rows: tuple[Assumption, ...], seed: int, draws: int = MOST_DRAWS) -> None:
        self.grid = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, GRID_POINTS)
        self.coarse = np.geomspace(LOWEST_PER_DAY, HIGHEST_PER_DAY, DRAWN_GRID_POINTS)
        self.seed, self.draws = seed, draws
        base = {row.name: row.base for row in rows}
        month = month_column(base["horizon_months"])[:, :, None]
        split = np.array_split(self.coarse, DRAWN_GRID_POINTS // VOLUMES_AT_ONCE)
        self.base = self._points(base, month, [self.grid], 1)
        self.drawn = self._points(self._draw(rows), month, split, min(MOST_DRAWS, draws))

    @staticmethod
    def _points(values: Mapping[str, Value], month: Array, parts: Sequence[Array], draws: int) -> Points:
        ends = np.array([LOWEST_PER_DAY, HIGHEST_PER_DAY])
        at_ends = with_series({**values, "requests_per_day": ends[None, :, None]}, month)

        def at(volumes: Array) -> dict[str, Value]:
            x = {**at_ends, "requests_per_day": volumes[None, :, None]}
            return {**x, "requests_in_month": requests_in_month(x)}

        return Points(at_ends=at_ends, parts=tuple((part, at(part)) for part in parts), draws=draws)

    def _draw(self, rows: Sequence[Assumption]) -> dict[str, Value]:
        found = draw(rows, draws=self.draws, seed=self.seed, first=min(MOST_DRAWS, self.draws))
        return {name: value[:, None, :] if np.ndim(value) else value for name, value in found.items()}

    def _cost(self, spec: ArmSpec, points: Points, known: dict[LinesOf, Array], *, straight: bool) -> Cost:
        """One arm's cost on some points; ``known`` are the ends of lines that arms have in common."""
        own: Mapping[str, Value] = {row.name: row.base for row in spec.parameters}
        if points is self.drawn:
            own = self._draw(spec.parameters)
        x = {**points.at_ends, **own}

        def ends(lines: LinesOf) -> Array:
            found: Array = np.broadcast_to(undiscounted_usd(lines(x), x), (1, 2, points.draws))[0]
            return found

        usd = np.zeros((2, points.draws))
        if spec.common_lines:
            if spec.common_lines not in known:
                known[spec.common_lines] = ends(spec.common_lines)
            usd = usd + known[spec.common_lines]
        stepped = spec.stepped_lines
        if straight or stepped:
            usd = usd + ends(spec.other_lines)
        else:
            stepped = spec.other_lines
        return Cost(own=own, ends_usd=usd, stepped=stepped)

    def _everywhere(self, cost: Cost, points: Points) -> Array:
        shape = points.draws
        return np.concatenate([np.broadcast_to(cost.at(*part), (len(part[0]), shape)) for part in points.parts])

    def curve(self, specs: Sequence[ArmSpec]) -> Curve:
        """Cost on both grids; of several variants of an arm, the cheapest at each volume.

        An arm that serves itself has variants, because the best card and degree change with the load. Over the
        draws those count that come near the cheapest at the base values of about the same volume.
        """
        known: dict[LinesOf, Array] = {}
        usd = np.array(
            [
                self._everywhere(self._cost(spec, self.base, known, straight=False), self.base)[:, 0]
                for spec in specs
            ]
        )
        near = usd <= (1 + NEAR_FRACTION) * usd.min(axis=0)
        known = {}
        costs = [self._cost(spec, self.drawn, known, straight=False) for spec in specs]
        drawn = []
        for part, shared in self.drawn.parts:
            about = (self.grid >= part[0] / ABOUT_RATIO) & (self.grid <= part[-1] * ABOUT_RATIO)
            worth = [cost for cost, ever in zip(costs, near[:, about].any(axis=1), strict=True) if ever]
            shape = len(part), self.drawn.draws
            drawn.append(np.min([np.broadcast_to(cost.at(part, shared), shape) for cost in worth], axis=0))
        return Curve(spec=specs[0], usd=usd.min(axis=0), drawn_usd=np.concatenate(drawn))

    def lines(self, specs: Sequence[ArmSpec]) -> list[Curve]:
        """Costs of arms that are straight lines in volume, as prompting an API is: from their two ends."""
        on_base: dict[LinesOf, Array] = {}
        on_draws: dict[LinesOf, Array] = {}
        return [
            Curve(
                spec=spec,
                usd=self._cost(spec, self.base, on_base, straight=True).at(self.grid, {})[:, 0],
                drawn_usd=self._cost(spec, self.drawn, on_draws, straight=True).at(self.coarse, {}),
            )
            for spec in specs
        ]

    def break_even(self, *, tuned: Curve, rival: Curve) -> BreakEven:
        """Crossings of two arms between 1 and 10^9 requests a day.

        Crossings between neighbouring points of the grid (6 % apart) are found at the base values, and placed
        by a straight line between them, which is exact where no replica is added; two crossings between the same
        neighbours cancel and are missed. The draws use the coarse grid in the same way.
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
        crossing = self.coarse[before] + share * (self.coarse[first] - self.coarse[before])
        return np.where(wins.any(axis=0), crossing, np.inf)


def _between(volumes: Array, saving: Array, index: NDArray[np.int64]) -> Array:
    """Where the saving passes zero between each indexed point and the next."""
    share = -saving[index] / (saving[index + 1] - saving[index])
    return np.asarray(volumes[index] + share * (volumes[index + 1] - volumes[index]))
