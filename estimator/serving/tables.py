"""Tables that a user gives: requests by the hour, lengths of requests. Every error names line and column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from estimator.errors import InputError, close_matches, separator_hint
from estimator.numbers import SECONDS_PER_HOUR, Array

REQUESTS, HOUR, TIMESTAMP = "requests", "hour", "timestamp"
INPUT_TOKENS, OUTPUT_TOKENS = "input_tokens", "output_tokens"
NORMAL_P95 = 1.6448536269514722


def read_hourly_requests(text: str, *, file: str) -> Array:
    """Mean arrival rate of each hour, requests per second, from a CSV with a row an hour.

    Args:
        text: a column ``requests`` (per hour), and optionally one of ``hour`` (0, 1, 2, ...) and ``timestamp``
            (ISO, one hour apart); without either the rows are hours one after the other.
        file: its name, for messages.

    Raises:
        InputError: no such column, no rows, a gap, a value that is no number of requests, or no request at all.

    >>> read_hourly_requests("hour,requests\\n0,3600\\n1,7200\\n", file="traffic.csv")
    array([1., 2.])
    """
    rows = _rows(text, file=file, needed=(REQUESTS,), what="one row an hour, a day or a week of them")
    names = rows[0][1]
    if HOUR in names and TIMESTAMP in names:
        raise InputError(f"{file}, line 1: both {HOUR} and {TIMESTAMP}. Keep one of the columns.")
    _check_hours(rows, file=file)
    _check_timestamps(rows, file=file)
    found = np.array([_amount(row, line, REQUESTS, file=file, lowest=0.0) for line, row in rows])
    if not found.sum() > 0.0:
        raise InputError(f"{file}, column {REQUESTS}: every hour has 0. Give a table with requests in it.")
    return found / SECONDS_PER_HOUR


def read_lengths(text: str, *, file: str) -> dict[str, float]:
    """Mean tokens of prompts and answers, and standard deviation over mean, from a CSV with a row a request.

    Args:
        text: columns ``input_tokens`` and ``output_tokens``.
        file: its name, for messages.

    Returns:
        input_tokens, output_tokens, input_tokens_cv, output_tokens_cv.

    Raises:
        InputError: a missing column, no rows, or a value that is no number of tokens (1 or more).

    >>> found = read_lengths("input_tokens,output_tokens\\n100,10\\n300,10\\n", file="lengths.csv")
    >>> found["input_tokens"], found["input_tokens_cv"], found["output_tokens_cv"]
    (200.0, 0.5, 0.0)
    """
    columns = (INPUT_TOKENS, OUTPUT_TOKENS)
    rows = _rows(text, file=file, needed=columns, what="one row a request")
    found: dict[str, float] = {}
    for column in columns:
        tokens = np.array([_amount(row, line, column, file=file, lowest=1.0) for line, row in rows])
        found[column] = float(tokens.mean())
        found[f"{column}_cv"] = float(tokens.std() / tokens.mean())
    return found


def cv_of_p95(*, mean: float, p95: float) -> float:
    """Coefficient of variation of a lognormal law with this mean and 95th percentile.

    With z = 1.645 and r = p95 / mean: sigma = z - sqrt(z^2 - 2 ln r), cv = sqrt(exp(sigma^2) - 1); of the two
    laws with that ratio the narrower. Valid for 1 < r < exp(z^2 / 2) = 3.87, else NaN. Source: derived.

    >>> round(cv_of_p95(mean=1.0, p95=2.77), 2)
    0.99
    """
    ratio = p95 / mean
    if not 1.0 < ratio < float(np.exp(NORMAL_P95**2 / 2.0)):
        return float("nan")
    sigma = NORMAL_P95 - np.sqrt(NORMAL_P95**2 - 2.0 * np.log(ratio))
    return float(np.sqrt(np.expm1(sigma**2)))


_Rows = list[tuple[int, dict[str, str]]]


def _rows(text: str, *, file: str, needed: Sequence[str], what: str) -> _Rows:
    """Line and cells of every row; blank lines do not count."""
    try:
        lines = [(number, cells) for number, cells in _numbered(text) if cells]
    except csv.Error as error:
        raise InputError(f"{file}: no CSV table ({error}). Write {','.join(needed)} in its first line.") from None
    header = [cell.strip().lstrip("\ufeff").casefold() for cell in lines[0][1]] if lines else []
    for column in needed:
        if column not in header:
            close = close_matches(column, header)
            near = f" (nearest: {', '.join(close)})" if close else ""
            raise InputError(
                f"{file}, line 1: no column {column!r}; found {', '.join(header) or 'nothing'}{near}. Give {what}."
                f"{separator_hint(','.join(header))}"
            )
        if header.count(column) > 1:
            raise InputError(f"{file}, line 1: the column {column!r} stands twice. Keep one.")
    if len(lines) == 1:
        raise InputError(f"{file}: no rows below the first line. Give {what}.")
    rows = []
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise InputError(
                f"{file}, line {number}: {len(cells)} cells under {len(header)} columns. Write a number without"
                " thousands separators in each."
            )
        rows.append((number, dict(zip(header, cells, strict=True))))
    return rows


def _numbered(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(), strict=True)
    return [(reader.line_num, cells) for cells in reader]


def _amount(row: dict[str, str], line: int, column: str, *, file: str, lowest: float) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not lowest <= value < np.inf:
        raise InputError(
            f"{file}, line {line}, column {column}: {row[column]!r} is no number of {column.split('_')[-1]};"
            f" allowed: {lowest:g} or more."
        )
    return value


def _check_hours(rows: _Rows, *, file: str) -> None:
    for place, (line, row) in enumerate(rows):
        if HOUR in row and row[HOUR].strip() not in (str(place), f"{place:02d}"):
            raise InputError(
                f"{file}, line {line}, column {HOUR}: {row[HOUR]!r} where {place} should stand. Give every hour"
                " once, counted from 0, also those without requests."
            )


def _check_timestamps(rows: _Rows, *, file: str) -> None:
    before: datetime | None = None
    for line, row in rows:
        if TIMESTAMP not in row:
            return
        try:
            now = datetime.fromisoformat(row[TIMESTAMP].strip())
        except ValueError:
            raise InputError(
                f"{file}, line {line}, column {TIMESTAMP}: {row[TIMESTAMP]!r} is no time. Write it as"
                " 2026-11-21T14:00."
            ) from None
        if before is not None and (now.tzinfo is None) != (before.tzinfo is None):
            raise InputError(
                f"{file}, line {line}, column {TIMESTAMP}: with and without an offset from UTC. Write all alike."
            )
        if before is not None and now - before != timedelta(hours=1):
            raise InputError(
                f"{file}, line {line}, column {TIMESTAMP}: {row[TIMESTAMP]} does not come one hour after the row"
                " before. Give every hour once, in order, also those without requests."
            )
        before = now
