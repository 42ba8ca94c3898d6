"""``--vary NAME=VALUES``: one flag or assumption that takes several values, and the grid of several of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from estimator.assumptions import shipped
from estimator.errors import InputError, UnknownNameError
from reports.commands.scenario_file import Given, file_flags, overlaid
from reports.flags import parse_settings
from reports.options import SETTINGS_NAME, Flag, plan_flags

MAX_POINTS = 10_000
DEFAULT_POINTS = 25
LOG_FROM_RATIO = 10.0
"""A range whose ends are this far apart is spaced evenly on a logarithmic scale, a shorter one evenly."""

WHOLE = ("horizon_months",)
"""Assumptions that take whole numbers only."""

SWITCH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that is varied.

    Attributes:
        name: of the flag, with underscores, or of the assumption.
        values: numbers, texts, or truth values, in the order given; distinct.
        label, unit: for people.
        logarithmic: numbers spaced evenly on a logarithmic scale.
        number, whole: its values are numbers; whole ones.
    """

    name: str
    values: tuple[Any, ...]
    label: str
    unit: str
    logarithmic: bool
    number: bool
    whole: bool

    def put(self, given: Given, value: Any) -> Given:
        """The flags with this value in them."""
        flag = _flags().get(self.name)
        if flag is None:
            return overlaid(given, {SETTINGS_NAME: (f"{self.name}={float(value)!r}",)})
        return overlaid(given, {self.name: (value,) if flag.multiple else value})


@cache
def _flags() -> dict[str, Flag]:
    return file_flags(plan_flags())


def axis(text: str) -> Axis:
    """Reads ``name=a,b,c`` or ``name=low:high`` or ``name=low:high:points``.

    Raises:
        UnknownNameError: neither a flag nor an assumption.
        InputError: values that cannot be used.
    """
    typed, equals, values = text.partition("=")
    name = typed.strip().removeprefix("--").replace("-", "_")
    if not equals or not name or not values.strip():
        raise InputError(f"--vary {text!r} lacks a name or values. Write --vary {_example(name)}.")
    flag = _flags().get(name)
    if flag is None and name not in shipped():
        names = [*_flags(), *shipped()]
        hint = "A flag of `ftcost plan`, or an assumption of `ftcost assumptions`."
        raise UnknownNameError("name", typed.strip(), names, where="--vary", hint=hint)
    number = flag is None or flag.type in (click.FLOAT, click.INT)
    whole = name in WHOLE or (flag is not None and flag.type is click.INT)
    spaced = _range(name, values) if number and ":" in values else None
    listed = spaced or [_value(name, part.strip(), flag) for part in values.split(",")]
    if whole and any(value != round(value) for value in listed):
        raise InputError(f"--vary {name} takes whole numbers, and this range has others. List them: {name}=1,2,4.")
    if len(set(listed)) != len(listed):
        raise InputError(f"--vary {name} has a value twice. Keep one.")
    assumption = flag.assumption if flag else name
    row = shipped().row(assumption) if assumption else None
    return Axis(
        name=name,
        values=tuple(int(value) for value in listed) if whole else tuple(listed),
        label=row.label if row else name.replace("_", " "),
        unit=row.unit if row else "",
        logarithmic=number and _logarithmic(min(listed), max(listed)),
        number=number,
        whole=whole,
    )


def only_axis(texts: Sequence[str]) -> str:
    """The one --vary of a command that follows one number.

    Raises:
        InputError: several.
    """
    if len(texts) > 1:
        raise InputError(
            f"--vary is given {len(texts)} times, and a break-even is against one number. Keep one, or use"
            " `ftcost sweep` for a grid."
        )
    return texts[0]


def refuse_fixed(context: click.Context, texts: Iterable[str]) -> None:
    """Refuse what is varied and typed as one value too, by its flag or by --set; a file's value gives way.

    Raises:
        InputError: names both.
    """
    typed = {
        name
        for name in context.params
        if context.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    }
    fixed = {name: f"--{name.replace('_', '-')}" for name in typed & set(_flags())}
    fixed |= {flag.assumption: fixed[name] for name, flag in _flags().items() if name in fixed and flag.assumption}
    fixed |= {name: f"--set {name}" for name in parse_settings(context.params[SETTINGS_NAME])}
    for text in texts:
        name = axis(text).name
        flag = _flags().get(name)
        given = fixed.get(name) or (fixed.get(flag.assumption) if flag and flag.assumption else None)
        if given:
            raise InputError(f"{given} gives one value to what --vary {name} varies. Drop one.")


def _example(name: str) -> str:
    return f"{name or 'requests-per-day'}=1e3:1e7 or {name or 'requests-per-day'}=1000,5000"


def _logarithmic(low: float, high: float) -> bool:
    return low > 0 and high >= LOG_FROM_RATIO * low


def _range(name: str, text: str) -> list[float]:
    parts = [_number(name, part) for part in text.split(":")]
    if len(parts) not in (2, 3):
        raise InputError(f"--vary {name}={text} is not a range. Write low:high or low:high:points.")
    low, high, points = parts[0], parts[1], parts[2] if len(parts) == 3 else DEFAULT_POINTS
    if not low < high:
        raise InputError(f"--vary {name}={text}: the low end {low:g} is not below the high end {high:g}.")
    if points != round(points) or not 2 <= points <= MAX_POINTS:
        raise InputError(f"--vary {name}={text}: {points:g} points; a whole number from 2 to {MAX_POINTS:,}.")
    if _logarithmic(low, high):
        inner = [float(f"{value:.4g}") for value in np.geomspace(low, high, int(points))[1:-1]]
    else:
        inner = [float(f"{value:.10g}") for value in np.linspace(low, high, int(points))[1:-1]]
    return [low, *inner, high]


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"--vary {name}: {text.strip()!r} is not a number. Write {_example(name)}.") from None
    if not math.isfinite(value):
        raise InputError(f"--vary {name}: {text.strip()} is not finite.")
    return value


def _value(name: str, text: str, flag: Flag | None) -> Any:
    if flag is None or flag.type in (click.FLOAT, click.INT):
        return _number(name, text)
    if flag.is_flag:
        if text.lower() not in SWITCH:
            raise InputError(f"--vary {name}: {text!r} is neither true nor false.")
        return SWITCH[text.lower()]
    if not text:
        raise InputError(f"--vary {name} has an empty value.")
    return text


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the grid: the value of every axis, and the flags with those values in them."""

    values: tuple[Any, ...]
    given: Given


def grid(given: Given, axes: Sequence[Axis]) -> list[Point]:
    """Every combination, the last axis fastest.

    Raises:
        InputError: too many, or an axis given twice.
    """
    names = [one.name for one in axes]
    if len(set(names)) != len(names):
        raise InputError(f"--vary {next(n for n in names if names.count(n) > 1)} is given twice. Keep one.")
    size = math.prod(len(one.values) for one in axes)
    if size > MAX_POINTS:
        raise InputError(
            f"{' x '.join(str(len(one.values)) for one in axes)} = {size:,} points; at most {MAX_POINTS:,}."
            " Write low:high:points with fewer points."
        )
    points = []
    for values in product(*(one.values for one in axes)):
        changed = given
        for one, value in zip(axes, values, strict=True):
            changed = one.put(changed, value)
        points.append(Point(values=values, given=changed))
    return points


def written(value: Any) -> str:
    """A value of an axis as files and commands write it.

    >>> written(1000.0), written(0.15), written(True), written("h100")
    ('1000', '0.15', 'true', 'h100')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


@contextmanager
def counting(stream: Any, total: int) -> Iterator[Callable[[int], None]]:
    """Tells how many points are done, in one line that is wiped at the end; nothing where nobody watches."""
    shown = stream.isatty()

    def tell(done: int) -> None:
        if shown:
            stream.write(f"\r{done} of {total} points")
            stream.flush()

    try:
        yield tell
    finally:
        if shown:
            stream.write("\r\x1b[K")
            stream.flush()
