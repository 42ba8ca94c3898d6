"""What the answer hangs on: each assumption at its own P10 and P90, everything else at its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from estimator.assumptions import Assumption
from estimator.money.ownership import ArmSpec, month_column, totals, with_series
from estimator.numbers import Array
from estimator.result import Sensitivity


def sensitivities(
    *, tuned: ArmSpec, rival: ArmSpec, rows: Sequence[Assumption], values: Mapping[str, float]
) -> tuple[Sensitivity, ...]:
    """Cost of the tuned arm less its rival's when one assumption moves, largest swing first.

    All cases are columns of one array, so that the same cost lines answer for all of them. Assumptions that
    are fixed are left out, and so are those that move nothing.
    """
    moving = [row for row in (*rows, *_own(tuned, rival)) if row.shape != "fixed" and row.low < row.high]
    columns = 2 * len(moving)
    base = {row.name: row.base for row in (*rows, *_own(tuned, rival))}
    cases: dict[str, Array | float] = dict(base)
    for index, row in enumerate(moving):
        column = np.full((1, columns), base[row.name])
        column[0, 2 * index : 2 * index + 2] = row.low, row.high
        cases[row.name] = column

    shared = {name: cases[name] for name in (row.name for row in rows)}
    x = with_series(shared, month_column(values["horizon_months"]))
    cost = {spec.id: totals(spec=spec, shared=x, own=_moved(spec, cases)).usd for spec in (tuned, rival)}
    difference = np.broadcast_to(cost[tuned.id] - cost[rival.id], (columns,))
    found = [
        Sensitivity(
            name=row.name,
            label=row.label,
            unit=row.unit,
            low=row.low,
            high=row.high,
            usd_at_low=float(difference[2 * index]),
            usd_at_high=float(difference[2 * index + 1]),
        )
        for index, row in enumerate(moving)
    ]
    return tuple(sorted((s for s in found if s.swing_usd >= 0.5), key=lambda s: (-s.swing_usd, s.name)))


def _own(tuned: ArmSpec, rival: ArmSpec) -> list[Assumption]:
    """Drawn parameters that belong to one of the two arms."""
    rows = {row.name: row for row in (*rival.parameters, *tuned.parameters) if row.shape != "fixed"}
    return list(rows.values())


def _moved(spec: ArmSpec, cases: Mapping[str, Array | float]) -> dict[str, Array | float]:
    """The arm's own parameters, the drawn ones with their moved columns."""
    return {row.name: cases[row.name] if row.shape != "fixed" else row.base for row in spec.parameters}
