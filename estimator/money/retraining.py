"""How often to retrain: what each interval costs, what quality it holds, and the one that costs least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from estimator.assumptions import Assumptions
from estimator.money.derived import MONTHS_OF_DECAY
from estimator.money.ownership import ArmSpec, month_column, totals, with_series
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import Array, Number
from estimator.result import RetrainCase

INTERVALS = {
    "daily": 1 / DAYS_PER_MONTH,
    "weekly": 7 / DAYS_PER_MONTH,
    "monthly": 1.0,
    "every 3 months": 3.0,
    "every 6 months": 6.0,
    "every 12 months": 12.0,
}
"""Intervals in months that every plan shows beside its own."""

SEARCHED = 400
"""Intervals tried for the one that costs least, beside those that divide the horizon."""

SAME_MONTHS = 1e-9


def decay_per_month(*, quality_decay_fraction: Number) -> Number:
    """Rate a of quality(t) = e^(-a t), from the share lost in six months: -ln(1 - decay) / 6. Source: derived.

    >>> round(float(decay_per_month(quality_decay_fraction=0.15)), 5)
    0.02709
    """
    return -np.log(1 - quality_decay_fraction) / MONTHS_OF_DECAY


def quality_months_lost(
    *, retrains: Number, interval_months: Number, horizon_months: Number, quality_decay_fraction: Number
) -> Number:
    """Months of full quality missing over a horizon: n L(m) + L(H - n m) with L(s) = s - (1 - e^(-a s)) / a.

    Every one of the n retrains restores the whole; the last stretch runs to the end of the horizon. Valid for a
    decay between 0 and 1. Source: derived.

    >>> lost = quality_months_lost(retrains=1.0, interval_months=6.0, horizon_months=12.0,
    ...     quality_decay_fraction=0.15)
    >>> round(float(lost), 4)
    0.9244
    """
    rate = decay_per_month(quality_decay_fraction=quality_decay_fraction)
    last = horizon_months - retrains * interval_months

    def lost(months: Number) -> Number:
        return months + np.expm1(-rate * months) / rate

    return retrains * lost(interval_months) + lost(last)


def least_cost_interval(
    *, values: Assumptions, specs: Sequence[ArmSpec], quality_value_usd_per_month: float
) -> Assumptions:
    """The registry with the retrain interval that costs least for the cheapest way of tuning on rented GPUs.

    Searched over the horizon at base values, as ``retrain_cases`` counts; the range is that of the decay.
    Without a way of tuning nothing is retrained and the registry stays as it is.

    Args:
        quality_value_usd_per_month: what the whole of the quality is worth in a month.
    """
    tuned = [spec for spec in specs if spec.style == "tuned" and spec.kind == "self-hosted"]
    if not tuned:
        return values
    x = with_series(values, month_column(values["horizon_months"]))

    def total_usd(spec: ArmSpec) -> float:
        return float(totals(spec=spec, shared=x, own={row.name: row.base for row in spec.parameters}).usd[0])

    spec = min(tuned, key=total_usd)
    row, decay = values.row("retrain_every_months"), values.row("quality_decay_fraction")
    horizon = values["horizon_months"]
    even = horizon / np.arange(1.0, horizon / row.minimum)
    intervals = np.unique(np.concatenate([even, np.geomspace(row.minimum, horizon, SEARCHED)]))
    retrains, retrain_usd = _retrains(spec, values, intervals)

    def months(decay_fraction: float) -> float:
        lost = quality_months_lost(
            retrains=retrains,
            interval_months=intervals,
            horizon_months=horizon,
            quality_decay_fraction=decay_fraction,
        )
        usd = retrain_usd + lost * quality_value_usd_per_month
        return float(intervals[usd == np.min(usd)][-1])

    found = sorted(months(fraction) for fraction in (decay.low, decay.base, decay.high))
    return values.replacing(
        replace(
            row,
            low=found[0],
            base=months(decay.base),
            high=found[-1],
            status="computed",
            source="the interval that costs least at the value of quality given, and at the assumed decay",
        )
    )


def retrain_cases(
    *, spec: ArmSpec, values: Mapping[str, float], quality_value_usd_per_month: float | None
) -> tuple[RetrainCase, ...]:
    """What one way of tuning pays for retrains at each interval, over the horizon, and the quality that it holds.

    Args:
        quality_value_usd_per_month: what the whole of the quality is worth; None leaves lost quality unpriced.
    """
    own, horizon = values["retrain_every_months"], values["horizon_months"]
    named = {label: months for label, months in INTERVALS.items() if abs(months - own) > SAME_MONTHS}
    known = next((label for label, months in INTERVALS.items() if label not in named), f"every {own:.3g} months")
    named[f"{known}, as planned"] = own
    labels, months = zip(*sorted(named.items(), key=lambda pair: pair[1]), strict=True)
    intervals = np.array(months)
    retrains, retrain_usd = _retrains(spec, values, intervals)
    decay_fraction = values["quality_decay_fraction"]
    lost = np.asarray(
        quality_months_lost(
            retrains=retrains,
            interval_months=intervals,
            horizon_months=horizon,
            quality_decay_fraction=decay_fraction,
        )
    )
    between = np.where(retrains > 0, intervals, horizon)
    lowest = np.exp(-decay_per_month(quality_decay_fraction=decay_fraction) * between)
    return tuple(
        RetrainCase(
            label=label,
            interval_months=months[place],
            retrains=float(retrains[place]),
            retrain_usd=float(retrain_usd[place]),
            lowest_quality_fraction=float(lowest[place]),
            mean_quality_lost_fraction=float(lost[place] / horizon),
            quality_lost_usd=None
            if quality_value_usd_per_month is None
            else float(lost[place] * quality_value_usd_per_month),
            planned=months[place] == own,
        )
        for place, label in enumerate(labels)
    )


def _retrains(spec: ArmSpec, values: Mapping[str, float], intervals: Array) -> tuple[Array, Array]:
    """How many retrains each interval puts into the horizon, and what they cost in all."""
    own = {row.name: row.base for row in spec.parameters}
    shared = {**values, **own, "retrain_every_months": intervals[None, :]}
    x = with_series(shared, month_column(values["horizon_months"]))
    schedule = x["retrains_in_month"]
    usd = np.zeros_like(schedule)
    for line in spec.lines(x):
        if line.timing == "retrain":
            usd = usd + line.quantity * line.unit_price_usd * schedule
    return schedule.sum(axis=0), usd.sum(axis=0) * (1 + values["contingency_fraction"])
