"""Every way side by side: its cost at base values and over the draws, and which is cheapest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.algebra import Value
from estimator.money.ownership import (
    ArmSpec,
    LinesOf,
    Totals,
    base_lines,
    in_first_month,
    month_column,
    totals,
    with_series,
)
from estimator.numbers import Array
from estimator.result import GROUPS, Arm, RuledOut
from estimator.risk import draw, estimate
from estimator.scenario import Scenario
from estimator.words import money

DRAWS_AT_ONCE = 2500

TIE_FRACTION = 0.01
"""Costs closer than this are a tie."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The arms of a plan with their totals, and the draws they share."""

    arms: tuple[Arm, ...]
    left_out: tuple[RuledOut, ...]
    specs: Mapping[str, ArmSpec]
    values: Mapping[str, float]


def compared(scenario: Scenario, specs: Sequence[ArmSpec]) -> Comparison:
    """Costs of every arm at base values and over the draws; the dearer hosted services are left out."""
    values = dict(scenario.assumptions)
    months = month_column(values["horizon_months"])
    base = with_series(values, months)
    kept, left_out = _with_cheapest_hosted(specs, base)
    over_draws = _over_draws(scenario, kept, months)
    drawn_usd = np.stack([over_draws[spec.id].usd for spec in kept])
    cheapest = np.argmin(drawn_usd, axis=0)
    regret_usd = np.mean(drawn_usd - np.min(drawn_usd, axis=0), axis=1)
    arms = tuple(
        _arm(
            spec,
            values,
            base,
            over_draws[spec.id],
            probability_cheapest=float(np.mean(cheapest == index)),
            expected_regret_usd=float(regret_usd[index]),
        )
        for index, spec in enumerate(kept)
    )
    return Comparison(arms=arms, left_out=left_out, specs={spec.id: spec for spec in kept}, values=values)


def _over_draws(scenario: Scenario, specs: Sequence[ArmSpec], months: Array) -> dict[str, Totals]:
    """Totals of every arm over all draws, a block of draws at a time: its months stay in the processor's cache."""
    shared = draw(scenario.assumptions.rows, draws=scenario.draws, seed=scenario.seed)
    own = {spec.id: draw(spec.parameters, draws=scenario.draws, seed=scenario.seed) for spec in specs}
    blocks: dict[str, list[Totals]] = {spec.id: [] for spec in specs}
    for start in range(0, scenario.draws, DRAWS_AT_ONCE):
        part = slice(start, min(start + DRAWS_AT_ONCE, scenario.draws))
        x = with_series(_columns(shared, part), months)
        known: dict[LinesOf, Totals] = {}
        for spec in specs:
            cost = totals(spec=spec, shared=x, own=_columns(own[spec.id], part), known=known)
            blocks[spec.id].append(cost.over(part.stop - part.start))
    return {
        name: Totals(
            usd=np.concatenate([block.usd for block in parts]),
            npv_usd=np.concatenate([block.npv_usd for block in parts]),
        )
        for name, parts in blocks.items()
    }


def _columns(drawn: Mapping[str, Array], part: slice) -> dict[str, Value]:
    return {name: value[:, part] if np.ndim(value) == 2 else value for name, value in drawn.items()}


def _with_cheapest_hosted(
    specs: Sequence[ArmSpec], base: Mapping[str, Value]
) -> tuple[list[ArmSpec], tuple[RuledOut, ...]]:
    """All arms, but of the hosted services only the cheapest at base values: one open, one closed model.

    A service whose prices were not read again comes after every other. The dearer ones are named.
    """

    def usd(spec: ArmSpec) -> float:
        own = {row.name: row.base for row in spec.parameters}
        return float(totals(spec=spec, shared=base, own=own).usd[0])

    dropped: list[RuledOut] = []
    best: list[ArmSpec] = []
    for style in ("tuned", "closed model"):
        ranked = sorted(
            (any(row.status == "recalled" for row in spec.parameters), usd(spec), spec.id, spec)
            for spec in specs
            if spec.kind == "hosted" and spec.style == style
        )
        best += [spec for *_, spec in ranked[:1]]
        for recalled, cost, _, spec in ranked[1:]:
            reason = "prices recalled, not read again" if recalled else f"dearer than {best[-1].label}"
            dropped.append(RuledOut(what=f"{spec.label} ({money(cost)})", reason=reason))
    return [spec for spec in specs if spec.kind != "hosted" or spec in best], tuple(dropped)


def _arm(
    spec: ArmSpec,
    values: Mapping[str, float],
    series: Mapping[str, Value],
    drawn: Totals,
    *,
    probability_cheapest: float,
    expected_regret_usd: float,
) -> Arm:
    lines = base_lines(spec=spec, values=values)
    monthly = tuple(np.sum([line.usd for line in lines], axis=0).tolist())
    groups = {group: sum(line.total_usd for line in lines if line.group == group) for group in GROUPS}
    requests = float(np.sum(series["requests_in_month"]))
    discount = np.concatenate([[1.0], np.ravel(series["discount_factor"])])
    total_usd = float(np.sum(monthly))
    return Arm(
        id=spec.id,
        label=spec.label,
        kind=spec.kind,
        style=spec.style,
        training=spec.training,
        serving=spec.serving,
        parameters=spec.parameters,
        lines=lines,
        monthly_usd=monthly,
        groups_usd=groups,
        total_usd=estimate(total_usd, drawn.usd),
        npv_usd=estimate(float(np.sum(monthly * discount)), drawn.npv_usd),
        usd_per_1000_requests=total_usd / requests * 1000,
        build_usd=monthly[0],
        retrain_usd=retrain_usd(spec, values),
        probability_cheapest=probability_cheapest,
        expected_regret_usd=expected_regret_usd,
        notes=spec.notes,
    )


def retrain_usd(spec: ArmSpec, values: Mapping[str, float]) -> float:
    """Cost of one retrain in the first month, whether the schedule has one or not."""
    lines = spec.lines(in_first_month(spec, values))
    usd = sum(line.quantity * line.unit_price_usd for line in lines if line.timing == "retrain")
    return float(usd * (1 + values["contingency_fraction"]))


def cheapest_of(arms: Sequence[Arm]) -> Arm | None:
    """The arm with the lowest cost at base assumptions; among near ties the one that risks quality least.

    LoRA comes before QLoRA (its base is not quantised) and both before full fine-tuning (less forgetting,
    smaller artefacts); other near ties keep the order of the arms.
    """
    if not arms:
        return None
    lowest = min(arm.total_usd.base for arm in arms)
    ties = [arm for arm in arms if arm.total_usd.base <= (1 + TIE_FRACTION) * lowest]
    order = {f"self:{method}": place for place, method in enumerate(("lora", "qlora", "full"))}
    return min(ties, key=lambda arm: (order.get(arm.id, len(order)), arm.total_usd.base, arm.id))


def payback_month(*, tuned: Arm, rival: Arm) -> int | None:
    """First month by whose end tuning has cost no more in all than its rival; None where that is never.

    Month 0 is what is spent before the first. At base values, not discounted.
    """
    saved = np.cumsum(rival.monthly_usd) - np.cumsum(tuned.monthly_usd)
    months = np.flatnonzero(saved >= 0)
    return int(months[0]) if len(months) else None
