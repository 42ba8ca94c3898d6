"""Every way side by side: its cost at base values and over the draws, and which is cheapest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.algebra import Value
from estimator.money.ownership import ArmSpec, Totals, base_lines, month_column, totals, with_series
from estimator.result import GROUPS, Arm, RuledOut
from estimator.risk import draw, estimate
from estimator.scenario import Scenario
from estimator.words import money

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
    drawn = with_series(draw(scenario.assumptions.rows, draws=scenario.draws, seed=scenario.seed), months)
    kept, left_out = _with_cheapest_hosted(specs, base)
    over_draws: dict[str, Totals] = {}
    at_base: dict[str, Totals] = {}
    for spec in kept:
        own = draw(spec.parameters, draws=scenario.draws, seed=scenario.seed)
        over_draws[spec.id] = totals(spec=spec, shared=drawn, own=own)
        at_base[spec.id] = totals(spec=spec, shared=base, own={row.name: row.base for row in spec.parameters})
    cheapest = np.argmin(
        np.stack([np.broadcast_to(over_draws[spec.id].usd, (scenario.draws,)) for spec in kept]), axis=0
    )
    arms = tuple(
        _arm(spec, values, at_base[spec.id], over_draws[spec.id], float(np.mean(cheapest == index)))
        for index, spec in enumerate(kept)
    )
    return Comparison(arms=arms, left_out=left_out, specs={spec.id: spec for spec in kept}, values=values)


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
    spec: ArmSpec, values: Mapping[str, float], base: Totals, drawn: Totals, probability_cheapest: float
) -> Arm:
    lines = base_lines(spec=spec, values=values)
    monthly = tuple(np.sum([line.usd for line in lines], axis=0).tolist())
    groups = {group: sum(line.total_usd for line in lines if line.group == group) for group in GROUPS}
    requests = float(_base_requests(values))
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
        total_usd=estimate(float(base.usd[0]), drawn.usd),
        npv_usd=estimate(float(base.npv_usd[0]), drawn.npv_usd),
        usd_per_1000_requests=float(base.usd[0]) / requests * 1000,
        build_usd=monthly[0],
        retrain_usd=retrain_usd(spec, values),
        probability_cheapest=probability_cheapest,
        notes=spec.notes,
    )


def retrain_usd(spec: ArmSpec, values: Mapping[str, float]) -> float:
    """Cost of one retrain in the first month, whether the schedule has one or not."""
    x = with_series({**values, **{row.name: row.base for row in spec.parameters}}, 1.0)
    return float(sum(line.quantity * line.unit_price_usd for line in spec.lines(x) if line.timing == "retrain"))


def _base_requests(values: Mapping[str, float]) -> float:
    """Requests over the whole horizon at base values."""
    series = with_series(values, month_column(values["horizon_months"]))
    return float(np.sum(series["requests_in_month"]))


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
