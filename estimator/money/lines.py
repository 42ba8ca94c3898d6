"""A cost line: quantity x unit price at each of its occurrences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from estimator.algebra import Value

Timing = Literal["once", "retrain", "monthly"]
Parameters = Mapping[str, Value]


class Line(NamedTuple):
    """One cost line: ``usd = quantity x unit_price_usd`` at each of its occurrences."""

    group: str
    name: str
    timing: Timing
    unit: str
    quantity: Value
    unit_price_usd: Value


def once(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of month 0."""
    return Line(group, name, "once", unit, quantity, price)


def retrain(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of every retrain."""
    return Line(group, name, "retrain", unit, quantity, price)


def monthly(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of every month."""
    return Line(group, name, "monthly", unit, quantity, price)
