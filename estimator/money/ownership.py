"""Months of ownership: the lines of one arm at base values, and its totals over arrays of draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from estimator.algebra import Cell, Value
from estimator.assumptions import Assumption
from estimator.money.lines import Line, Parameters
from estimator.money.series import SERIES
from estimator.numbers import Array
from estimator.result import ArmKind, LineResult, ServingOption, TrainingOption

LinesOf = Callable[[Parameters], list[Line]]


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    """One way to do the task, before its costs are worked out.

    Attributes:
        common_lines: writes the lines that several arms have in common (tuning however it is served, prompting in
            any style): they hang on no parameter in which these arms differ, and are summed once. None for an
            arm without.
        stepped_lines: writes the lines that move in steps with the volume (whole replicas); where there are any,
            every other line is a straight line in the volume. None for an arm whose lines are not parted so.
        other_lines: writes every other line.
        parameters: the arm's own parameters (prices, speeds), beside the shared registry.
    """

    id: str
    label: str
    kind: ArmKind
    style: str
    other_lines: LinesOf
    parameters: tuple[Assumption, ...]
    training: TrainingOption | None = None
    serving: ServingOption | None = None
    notes: tuple[str, ...] = ()
    common_lines: LinesOf | None = None
    stepped_lines: LinesOf | None = None

    def lines(self, x: Parameters) -> list[Line]:
        """The arm's cost lines."""
        return [*(self.common_lines(x) if self.common_lines else ()), *self.uncommon_lines(x)]

    def uncommon_lines(self, x: Parameters) -> list[Line]:
        """The lines that are the arm's own."""
        return [*(self.stepped_lines(x) if self.stepped_lines else ()), *self.other_lines(x)]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Undiscounted and discounted cost over the horizon, and what is spent before the first month."""

    usd: Array
    npv_usd: Array

    def over(self, draws: int) -> Totals:
        """The same totals with one entry per draw, where nothing varies too."""
        return Totals(usd=np.broadcast_to(self.usd, (draws,)), npv_usd=np.broadcast_to(self.npv_usd, (draws,)))


def month_column(horizon_months: float) -> Array:
    """Months 1 .. horizon as a column, so that draws lie along the rows."""
    return np.arange(1.0, float(round(horizon_months)) + 1.0)[:, None]


def with_series(values: Mapping[str, Value], month: Value) -> dict[str, Value]:
    """The parameters with the month and every monthly series beside them."""
    x = dict(values)
    x["month"] = month
    return x | {name: function(x) for name, function in SERIES.items()}


def in_first_month(spec: ArmSpec, values: Mapping[str, float]) -> dict[str, Value]:
    """Registry, series and the arm's own parameters in month 1, at base values."""
    return with_series({**values, **{row.name: row.base for row in spec.parameters}}, 1.0)


def first_serving_usd(spec: ArmSpec, values: Mapping[str, float]) -> float:
    """What serving costs in the first month, at base values, contingency apart."""
    lines = spec.lines(in_first_month(spec, values))
    return sum(float(line.quantity * line.unit_price_usd) for line in lines if line.group == "serving")


def totals(
    *,
    spec: ArmSpec,
    shared: Mapping[str, Value],
    own: Mapping[str, Value],
    known: dict[LinesOf, Totals] | None = None,
) -> Totals:
    """Cost of one arm over the horizon for every draw (or any other array along the second axis).

    Args:
        spec: the arm.
        shared: registry values with the monthly series (``with_series``), scalars or (1, draws) arrays.
        own: the arm's own parameters, alike.
        known: common lines that another arm has worked out from the same values; those of this one are added.
    """
    x = {**shared, **own}
    found = _sums(spec.uncommon_lines(x), shared)
    if spec.common_lines:
        known = {} if known is None else known
        if spec.common_lines not in known:
            known[spec.common_lines] = _sums(spec.common_lines(x), shared)
        common = known[spec.common_lines]
        found = Totals(usd=found.usd + common.usd, npv_usd=found.npv_usd + common.npv_usd)
    factor = 1 + x["contingency_fraction"]
    return Totals(usd=np.ravel(factor * found.usd), npv_usd=np.ravel(factor * found.npv_usd))


def undiscounted_usd(lines: list[Line], shared: Mapping[str, Value]) -> Array:
    """Cost of some lines over the horizon, contingency included; axes after that of the months stay apart."""
    schedule: Array = shared["retrains_in_month"]
    months = np.shape(shared["month"])[0]
    usd: Value = 0.0
    for line in lines:
        amount = line.quantity * line.unit_price_usd
        varies = np.ndim(amount) >= 2 and np.shape(amount)[0] > 1
        if line.timing == "monthly":
            amount = _sum(amount) if varies else amount * months
        elif line.timing == "retrain":
            amount = _sum(amount * schedule) if varies else amount * _sum(schedule)
        usd = usd + amount
    return np.asarray(usd * (1 + shared["contingency_fraction"]))


def _sums(lines: list[Line], shared: Mapping[str, Value]) -> Totals:
    """Sums of some lines, contingency apart."""
    at_start: Value = 0.0
    per_retrain: Value = 0.0
    per_month: Value = 0.0
    by_month: Value = 0.0
    schedule, discount = shared["retrains_in_month"], shared["discount_factor"]
    for line in lines:
        amount = line.quantity * line.unit_price_usd
        if line.timing == "once":
            at_start = at_start + amount
        elif np.ndim(amount) >= 2 and np.shape(amount)[0] > 1:
            by_month = by_month + (amount if line.timing == "monthly" else amount * schedule)
        elif line.timing == "monthly":
            per_month = per_month + amount
        else:
            per_retrain = per_retrain + amount

    def over_months(months: Array, retrains: Array, varying: Value) -> Array:
        usd = at_start + per_month * _sum(months) + per_retrain * _sum(retrains)
        return np.asarray(usd + (_sum(varying) if np.ndim(varying) else 0.0))

    return Totals(
        usd=over_months(np.ones_like(discount), schedule, by_month),
        npv_usd=over_months(discount, schedule * discount, by_month * discount if np.ndim(by_month) else 0.0),
    )


def _sum(by_month: Array) -> Array:
    return np.asarray(by_month.sum(axis=0, keepdims=True))


def base_lines(*, spec: ArmSpec, values: Mapping[str, float]) -> tuple[LineResult, ...]:
    """The arm's lines at base values, month by month, each with its spreadsheet formula."""
    months = month_column(values["horizon_months"])
    x = with_series({**values, **{row.name: row.base for row in spec.parameters}}, months)
    cells = {name: Cell(name) for name in x}
    formulas = spec.lines(cells)
    contingency = 1 + values["contingency_fraction"]
    results = []
    for line, formula in zip(spec.lines(x), formulas, strict=True):
        quantity = _by_month(line, line.quantity, x, len(months))
        price = _by_month(line, line.unit_price_usd, {}, len(months))
        usd = quantity * price * contingency
        texts = _formula_text(formula.quantity), _formula_text(formula.unit_price_usd)
        results.append(
            LineResult(
                group=line.group,
                name=line.name,
                timing=line.timing,
                unit=line.unit,
                quantity=tuple(quantity.tolist()),
                unit_price_usd=tuple(price.tolist()),
                usd=tuple(usd.tolist()),
                total_usd=float(usd.sum()),
                quantity_formula=texts[0],
                unit_price_formula=texts[1],
                parameters=tuple(dict.fromkeys(re.findall(r"[a-z_][a-z0-9_]+", " ".join(texts)))),
            )
        )
    return tuple(results)


def _by_month(line: Line, value: Value, x: Mapping[str, Value], months: int) -> Array:
    """A line's quantity (or price, with no ``x``) for months 0 .. horizon."""
    series = np.empty(months + 1)
    series[1:] = np.ravel(value)
    series[0] = series[1] if line.timing == "once" or not x else 0.0
    if line.timing == "once" and x:
        series[1:] = 0.0
    if line.timing == "retrain" and x:
        series[1:] *= x["retrains_in_month"][:, 0]
    return series


def _formula_text(value: Value) -> str:
    return value.text if isinstance(value, Cell) else repr(float(value)).removesuffix(".0")
