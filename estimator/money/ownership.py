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


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    """One way to do the task, before its costs are worked out.

    Attributes:
        lines: writes the arm's cost lines from parameters.
        parameters: the arm's own parameters (prices, speeds), beside the shared registry.
    """

    id: str
    label: str
    kind: ArmKind
    style: str
    lines: Callable[[Parameters], list[Line]]
    parameters: tuple[Assumption, ...]
    training: TrainingOption | None = None
    serving: ServingOption | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Undiscounted and discounted cost over the horizon, and what is spent before the first month."""

    usd: Array
    npv_usd: Array


def month_column(horizon_months: float) -> Array:
    """Months 1 .. horizon as a column, so that draws lie along the rows."""
    return np.arange(1.0, float(round(horizon_months)) + 1.0)[:, None]


def with_series(values: Mapping[str, Value], month: Value) -> dict[str, Value]:
    """The parameters with the month and every monthly series beside them."""
    x = dict(values)
    x["month"] = month
    return x | {name: function(x) for name, function in SERIES.items()}


def totals(*, spec: ArmSpec, shared: Mapping[str, Value], own: Mapping[str, Value]) -> Totals:
    """Cost of one arm over the horizon for every draw (or any other array along the second axis).

    Args:
        spec: the arm.
        shared: registry values with the monthly series (``with_series``), scalars or (1, draws) arrays.
        own: the arm's own parameters, alike.
    """
    x = {**shared, **own}
    discount = shared["discount_factor"]
    schedule = shared["retrains_in_month"]
    discounted_schedule = schedule * discount
    months = float(len(shared["month"]))
    usd: Value = 0.0
    npv: Value = 0.0
    for line in spec.lines(x):
        amount = line.quantity * line.unit_price_usd
        if line.timing == "once":
            usd, npv = usd + amount, npv + amount
        elif line.timing == "retrain":
            usd = usd + _over_months(schedule, amount)
            npv = npv + _over_months(discounted_schedule, amount)
        else:
            spread = np.ndim(amount) == 2 and np.shape(amount)[0] > 1
            usd = usd + (amount.sum(axis=0, keepdims=True) if spread else amount * months)
            npv = npv + _over_months(discount, amount)
    factor = 1 + x["contingency_fraction"]
    return Totals(usd=np.ravel(usd * factor), npv_usd=np.ravel(npv * factor))


def _over_months(weight: Array, amount: Value) -> Value:
    """Sum over months of weight x amount, without spreading an amount that does not change."""
    if np.ndim(amount) == 2 and np.shape(amount)[0] > 1:
        return (weight * amount).sum(axis=0, keepdims=True)
    return weight.sum(axis=0, keepdims=True) * amount


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
    column = np.broadcast_to(np.reshape(value, (-1, 1)), (months, 1))[:, 0].astype(float)
    if line.timing == "once":
        series = np.zeros(months) if x else column
        return np.concatenate([[column[0]], series])
    if line.timing == "retrain" and x:
        column = column * x["retrains_in_month"][:, 0]
    return np.concatenate([[0.0] if x else [column[0]], column])


def _formula_text(value: Value) -> str:
    return value.text if isinstance(value, Cell) else repr(float(value)).removesuffix(".0")
