"""Reading a price table: every row is checked; a message says file, row, key, what is allowed, what to do."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from pricing.errors import InputError, close_matches

DATA = Path(__file__).parent / "data"
STATUSES = ("published", "secondary", "recalled")
OLD_AFTER_DAYS = 180


class Seen(Protocol):
    """Anything with the day its price was read."""

    @property
    def seen(self) -> date: ...


Row = TypeVar("Row")
SeenRow = TypeVar("SeenRow", bound=Seen)


class Column(NamedTuple):
    """What one column may hold.

    Attributes:
        parse: turns the text of a cell into its value; raises ValueError with what is allowed.
        required: an empty cell is an error; otherwise it is read as None (or "" where parse is None: plain text).
    """

    parse: Callable[[str], Any] | None = None
    required: bool = False


def choice(*allowed: str) -> Callable[[str], str]:
    """A cell that holds one of a few words."""

    def parse(text: str) -> str:
        if text not in allowed:
            close = close_matches(text, allowed)
            raise ValueError(f"allowed: {', '.join(allowed)}" + (f" (closest: {close[0]})" if close else ""))
        return text

    return parse


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A cell that holds a number from `low` to `high`, both included; `what` names the unit."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"allowed: {low:g} to {high:g} {what}")
        return value

    return parse


def whole(low: int, high: int, what: str) -> Callable[[str], int]:
    """A cell that holds a whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"allowed: a whole number of {what}, {low} to {high}")
        return int(text)

    return parse


def day(text: str) -> date:
    """A cell that holds a calendar day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("allowed: a day as YYYY-MM-DD") from None


def where(path: Path, row: int, key: str) -> str:
    """How every message names a place: file, row as an editor counts lines, column."""
    return f"{path.name} row {row}, {key}"


def read_table(
    path: Path, columns: Mapping[str, Column], build: Callable[[dict[str, Any], int], Row]
) -> list[Row]:
    """The rows of one CSV table, each checked cell by cell and then given to `build` with its line number.

    Raises:
        InputError: unknown, missing or repeated column; a cell that its column does not allow.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        check_keys(header, columns, place=f"{path.name} row 1", what="column")
        plan = [(key, columns[key], _known_cells(columns[key])) for key in header]
        rows = []
        for line, cells in enumerate(reader, start=2):
            if len(cells) != len(plan):
                raise InputError(
                    f"{path.name} row {line} has {len(cells)} cells, the header {len(plan)}. "
                    "Quote a cell that contains a comma."
                )
            values: dict[str, Any] = {}
            for (key, column, known), text in zip(plan, cells, strict=True):
                if text not in known:
                    known[text] = _read_cell(column, text, place=where(path, line, key))
                values[key] = known[text]
            rows.append(build(values, line))
    return rows


def _known_cells(column: Column) -> dict[str, Any]:
    """Cells already read, by their text; an empty cell where it is allowed."""
    return {} if column.required else {"": "" if column.parse is None else None}


def _read_cell(column: Column, text: str, *, place: str) -> Any:
    if not text:
        raise InputError(f"{place}: empty, but required. Fill it in.")
    if column.parse is None:
        return text
    try:
        return column.parse(text)
    except ValueError as error:
        raise InputError(f"{place}: {text!r}; {error}. Mend the cell.") from None


def check_keys(found: Iterable[str], known: Iterable[str], *, place: str, what: str) -> None:
    """Refuse unknown, missing and repeated keys, with the closest known name."""
    found, known = list(found), list(known)
    for key in found:
        if key not in known:
            close = close_matches(key, known)
            hint = f"Closest: {close[0]}." if close else f"Allowed: {', '.join(known)}."
            raise InputError(f"{place}: unknown {what} {key!r}. {hint}")
    missing = [key for key in known if key not in found]
    if missing:
        raise InputError(f"{place}: missing {what} {missing[0]!r}. Add it.")
    if len(set(found)) != len(found):
        twice = next(key for key in found if found.count(key) > 1)
        raise InputError(f"{place}: {what} {twice!r} appears twice. Remove one.")


def refuse_duplicates(path: Path, keyed: Iterable[tuple[tuple[Any, ...], int]]) -> None:
    """Refuse two rows of one key (the day they were seen is part of the key): (key, line) pairs."""
    first: dict[tuple[Any, ...], int] = {}
    for key, line in keyed:
        if key in first:
            raise InputError(
                f"{path.name} row {line} repeats row {first[key]} ({', '.join(str(part) for part in key)}). "
                "A new price is a new row with a new day in 'seen'; remove one of the two."
            )
        first[key] = line


def newest(
    path: Path, rows: Iterable[SeenRow], *, as_of: date, key: Callable[[SeenRow], tuple[Any, ...]]
) -> tuple[SeenRow, ...]:
    """Per key, the newest row seen on or before `as_of`, in the order of the file.

    Raises:
        InputError: `as_of` is before the first row of the table.
    """
    kept: dict[tuple[Any, ...], SeenRow] = {}
    first = date.max
    for row in rows:
        first = min(first, row.seen)
        if row.seen <= as_of:
            name = key(row)
            if name not in kept or row.seen > kept[name].seen:
                kept[name] = row
    if not kept:
        raise InputError(
            f"no prices on {as_of.isoformat()}: {path.name} starts on {first.isoformat()}. "
            f"Use --as-of {first.isoformat()} or later."
        )
    return tuple(kept.values())


def age_days(row: Seen, as_of: date) -> int:
    """Days between the reading of a price and the plan's day; older than `OLD_AFTER_DAYS` is said to be old."""
    return (as_of - row.seen).days
