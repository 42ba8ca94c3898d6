"""A cost line: quantity x unit price at each of its occurrences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from estimator.algebra import Value

Timing = Literal["once", "retrain", "monthly"]
Parameters = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One cost line: ``usd = quantity x unit_price_usd`` at each of its occurrences."""

    group: str
    name: str
    timing: Timing
    unit: str
    quantity: Value
    unit_price_usd: Value


def once(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of month 0."""
    return Line(group=group, name=name, timing="once", unit=unit, quantity=quantity, unit_price_usd=price)


def retrain(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of every retrain."""
    return Line(group=group, name=name, timing="retrain", unit=unit, quantity=quantity, unit_price_usd=price)


def monthly(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    """A line of every month."""
    return Line(group=group, name=name, timing="monthly", unit=unit, quantity=quantity, unit_price_usd=price)
