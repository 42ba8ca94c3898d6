"""The one registry of empirical numbers: value, range, unit, status and source of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import tomli

from estimator.errors import InputError, UnknownNameError

Status = Literal["user", "measured", "published", "secondary", "recalled", "fitted", "computed", "guess"]
Shape = Literal["normal", "lognormal", "logitnormal", "fixed"]

FILES = ("economics.toml", "memory.toml", "speed.toml", "machine.toml", "serving.toml")


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One empirical number.

    Attributes:
        name: unique, with its unit as suffix ("engineer_usd_per_hour").
        label: a few words for people.
        base, low, high: central value and its P10 and P90, in ``unit``.
        unit: written unit ("USD/hour", "fraction", "bytes").
        status: user, measured, published (read at the source), secondary (read where it is quoted), recalled
            (not read again), fitted, computed or guess.
        source: where the number comes from.
        checked: ISO date of the last look at the source.
        shape: the scale on which draws are normal around the base (linear, log or logit), with a spread of its
            own on either side so that low and high are the 10th and 90th percentile; "fixed" is never drawn.
        minimum, maximum: what a user may set.
    """

    name: str
    label: str
    base: float
    low: float
    high: float
    unit: str
    status: Status
    source: str
    checked: str
    shape: Shape = "fixed"
    minimum: float = 0.0
    maximum: float = math.inf


class Assumptions(Mapping[str, float]):
    """All assumptions of one plan: a mapping from name to base value, with the full rows behind it."""

    def __init__(self, rows: Mapping[str, Assumption]) -> None:
        self._rows = dict(rows)
        self._base = {name: row.base for name, row in rows.items()}

    def __getitem__(self, name: str) -> float:
        return self._base[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, name: str) -> Assumption:
        """The full row.

        Raises:
            UnknownNameError: no such assumption.
        """
        if name not in self._rows:
            raise UnknownNameError(
                "assumption", name, self._rows, hint="`ftcost assumptions` lists them with their ranges."
            )
        return self._rows[name]

    @property
    def base(self) -> dict[str, float]:
        """The base values in a new dict."""
        return dict(self._base)

    @property
    def rows(self) -> tuple[Assumption, ...]:
        """Every row, in file order."""
        return tuple(self._rows.values())

    def setting(self, values: Mapping[str, float], *, source: str = "set by the user") -> Assumptions:
        """A copy in which the named rows have these values, known exactly, with status "user".

        Raises:
            UnknownNameError: no such assumption.
            InputError: a value outside what the row allows.
        """
        rows = dict(self._rows)
        for name, value in values.items():
            row = self.row(name)
            if not (math.isfinite(value) and row.minimum <= value <= row.maximum):
                raise InputError(
                    f"{name} = {value:g} is outside {row.minimum:g} to {row.maximum:g} ({row.unit})."
                    f" The default is {row.base:g}."
                )
            rows[name] = replace(
                row, base=value, low=value, high=value, status="user", source=source, shape="fixed"
            )
        return Assumptions(rows)

    def replacing(self, row: Assumption) -> Assumptions:
        """A copy with this row in place of the one of its name.

        Raises:
            UnknownNameError: no such assumption.
        """
        self.row(row.name)
        return Assumptions({**self._rows, row.name: row})

    def adding(self, rows: Iterable[Assumption]) -> Assumptions:
        """A copy with these rows too, in place of those of their names where there are any."""
        return Assumptions({**self._rows, **{row.name: row for row in rows}})


@cache
def shipped() -> Assumptions:
    """The registry as shipped.

    Raises:
        InputError: a row that breaks the rules of the registry; the message names file and row.
    """
    rows: dict[str, Assumption] = {}
    for file in FILES:
        path = Path(__file__).parent / "data" / file
        for name, fields in tomli.loads(path.read_text(encoding="utf-8")).items():
            if name in rows:
                raise InputError(f"{file}: {name} stands twice in the registry; rename or remove one.")
            rows[name] = _row(name, fields, file)
    return Assumptions(rows)


def _row(name: str, fields: Mapping[str, Any], file: str) -> Assumption:
    where = f"{file}: [{name}]"
    allowed = set(Assumption.__dataclass_fields__) - {"name"}
    for key in fields:
        if key not in allowed:
            raise UnknownNameError("key", key, allowed, where=where)
    for key in ("label", "base", "unit", "status", "source", "checked"):
        if key not in fields:
            raise InputError(f"{where} lacks {key!r}; every assumption needs one.")
    filled: dict[str, Any] = {"low": fields["base"], "high": fields["base"], **fields}
    for key in ("base", "low", "high", "minimum", "maximum"):
        if key in filled:
            filled[key] = float(filled[key])
    row = Assumption(name=name, **filled)
    if not row.low <= row.base <= row.high:
        raise InputError(f"{where}: low <= base <= high does not hold ({row.low}, {row.base}, {row.high}).")
    if not row.minimum <= row.low <= row.high <= row.maximum:
        raise InputError(f"{where}: range outside minimum {row.minimum} to maximum {row.maximum}.")
    if row.status not in get_args(Status):
        raise UnknownNameError("status", row.status, get_args(Status), where=where)
    if row.shape not in get_args(Shape):
        raise UnknownNameError("shape", row.shape, get_args(Shape), where=where)
    if row.shape == "lognormal" and row.low <= 0:
        raise InputError(f"{where}: low = {row.low} on a log scale; it must be above 0, or use shape normal.")
    if row.shape == "logitnormal" and not (row.low > 0 and row.high < 1):
        raise InputError(f"{where}: {row.low} to {row.high} on a logit scale; both must lie between 0 and 1.")
    return row
