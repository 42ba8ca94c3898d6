"""Arithmetic that three readers share: a float, an array of draws, and the text of a spreadsheet formula.

Money formulas are written once with ordinary operators and the functions below. Given numbers they compute;
given a :class:`Cell` they write the formula that a workbook will compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Value: TypeAlias = Any
"""A float, a NumPy array, or a Cell."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A spreadsheet expression.

    >>> (Cell("rows") * Cell("usd_per_row") / (1 - Cell("redo_fraction"))).text
    '((rows*usd_per_row)/(1-redo_fraction))'
    """

    text: str

    __array_ufunc__ = None

    def __add__(self, other: Value) -> Cell:
        return _binary(self, "+", other)

    def __radd__(self, other: Value) -> Cell:
        return _binary(other, "+", self)

    def __sub__(self, other: Value) -> Cell:
        return _binary(self, "-", other)

    def __rsub__(self, other: Value) -> Cell:
        return _binary(other, "-", self)

    def __mul__(self, other: Value) -> Cell:
        return _binary(self, "*", other)

    def __rmul__(self, other: Value) -> Cell:
        return _binary(other, "*", self)

    def __truediv__(self, other: Value) -> Cell:
        return _binary(self, "/", other)

    def __rtruediv__(self, other: Value) -> Cell:
        return _binary(other, "/", self)

    def __pow__(self, other: Value) -> Cell:
        return _binary(self, "^", other)

    def __rpow__(self, other: Value) -> Cell:
        return _binary(other, "^", self)


def _text(value: Value) -> str:
    return value.text if isinstance(value, Cell) else repr(float(value)).removesuffix(".0")


def _binary(left: Value, operator: str, right: Value) -> Cell:
    return Cell(f"({_text(left)}{operator}{_text(right)})")


def ceil(value: Value) -> Value:
    """Smallest whole number not below.

    >>> ceil(2.1), ceil(Cell("load")).text
    (3.0, 'ROUNDUP(load,0)')
    """
    return Cell(f"ROUNDUP({_text(value)},0)") if isinstance(value, Cell) else _plain(np.ceil(value))


def floor(value: Value) -> Value:
    """Largest whole number not above."""
    return Cell(f"INT({_text(value)})") if isinstance(value, Cell) else _plain(np.floor(value))


def maximum(left: Value, right: Value) -> Value:
    """The larger of two."""
    if isinstance(left, Cell) or isinstance(right, Cell):
        return Cell(f"MAX({_text(left)},{_text(right)})")
    return _plain(np.maximum(left, right))


def minimum(left: Value, right: Value) -> Value:
    """The smaller of two."""
    if isinstance(left, Cell) or isinstance(right, Cell):
        return Cell(f"MIN({_text(left)},{_text(right)})")
    return _plain(np.minimum(left, right))


def exponential(value: Value) -> Value:
    """e to the power of the value.

    >>> exponential(0.0), exponential(Cell("x")).text
    (1.0, 'EXP(x)')
    """
    return Cell(f"EXP({_text(value)})") if isinstance(value, Cell) else _plain(np.exp(value))


def less(left: Value, right: Value) -> Value:
    """1 where left < right, else 0."""
    if isinstance(left, Cell) or isinstance(right, Cell):
        return Cell(f"IF({_text(left)}<{_text(right)},1,0)")
    return _plain(np.where(np.less(left, right), 1.0, 0.0))


def _plain(value: Any) -> Any:
    """A Python float for a scalar, so that results print and serialise alike everywhere."""
    return float(value) if np.ndim(value) == 0 else value
