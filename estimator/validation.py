"""Predictions beside measured runs: memory, training speed and serving, row by row and in summary."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estimator.errors import InputError
from estimator.measured import KNOWN, MeasuredRow, RowProblem, read_runs, unread_columns
from estimator.memory import memory, predicted_bytes, predicted_range_bytes
from estimator.numbers import GIB
from estimator.serving.validation import calibration_rows, compare
from estimator.speed import speed

MEMORY, SPEED, SERVING = "peak_memory_gib", "tokens_per_s_per_gpu", "output_tokens_per_s_per_gpu"
QUANTITIES = (MEMORY, SPEED, SERVING)
GROUPINGS = ("method", "stack", "gpu", "sharding")
SERVING_REQUIRED = ("model", "gpu", "gpus", "weights_dtype", "engine", "input_tokens", "output_tokens", SERVING)
SERVING_KNOWN = ("id", "source", "date", "notes", "tp", "batch", *SERVING_REQUIRED)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One quantity of one measured run.

    Attributes:
        id: of the run.
        quantity: peak_memory_gib, tokens_per_s_per_gpu (training) or output_tokens_per_s_per_gpu (serving).
        predicted, measured: in the unit of the quantity's name; measured is None where the row has none.
        low, high: P10 and P90 of the prediction; None for serving rows of a file without them.
        groups: method, stack, gpu and sharding of the run, for the summary.
        assumed: settings that the row does not state, with the values taken.
    """

    id: str
    quantity: str
    predicted: float
    measured: float | None
    low: float | None
    high: float | None
    groups: Mapping[str, str]
    assumed: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        """Predicted over measured, less one; None where nothing was measured."""
        return None if self.measured is None else self.predicted / self.measured - 1


@dataclass(frozen=True, kw_only=True)
class Exhausted:
    """A run that ran out of memory: its predicted need, what the card has, and the probability that it fits."""

    id: str
    needed_gib: float
    limit_gib: float
    fits_probability: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Absolute errors of a group of checks.

    ``inside_fraction`` is the share of runs inside the 80 % interval (NaN where there is none).
    """

    quantity: str
    grouping: str
    group: str
    runs: int
    median_error: float
    p90_error: float
    bias: float
    inside_fraction: float


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Every check, every row that could not be predicted with the reason, and the summaries.

    ``unread`` names the columns of the file that say nothing to us, each with the closest known name;
    ``exhausted`` holds the runs that ran out of memory.
    """

    checks: tuple[Check, ...]
    problems: tuple[RowProblem, ...]
    summaries: tuple[Summary, ...]
    unread: tuple[str, ...] = ()
    exhausted: tuple[Exhausted, ...] = ()


def validate(*, path: Path | None, constants: Mapping[str, float]) -> Validation:
    """Predict every run of a file, or of the calibration rows that the package ships.

    Args:
        path: a CSV file in the columns of measured runs (training, serving, or both); None for the shipped rows.

    Raises:
        InputError: the file cannot be read, or has neither training nor serving columns, or no row.
    """
    checks: list[Check] = []
    problems: list[RowProblem] = []
    exhausted: list[Exhausted] = []
    columns, cells = ((), []) if path is None else _table(path)
    serves = SERVING in columns
    if serves or path is None:
        serving_rows = calibration_rows() if path is None else _serving_rows(path, columns, cells, problems)
        found, bad = _serving_checks(serving_rows, constants)
        checks, problems = [*checks, *found], [*problems, *bad]
    if not serves:
        rows, unread = read_runs(path)
        problems += unread
        for row in rows:
            if row.bounds_memory:
                exhausted.append(_exhausted(row, constants))
            checks += _training_checks(row, constants)
    if path is not None and not checks and not problems:
        raise InputError(f"{path} holds a header and no run. Add a row for each run.")
    return Validation(
        checks=tuple(checks),
        problems=tuple(problems),
        summaries=tuple(summaries(checks)),
        unread=unread_columns(columns, known=SERVING_KNOWN if serves else KNOWN),
        exhausted=tuple(exhausted),
    )


def _exhausted(row: MeasuredRow, constants: Mapping[str, float]) -> Exhausted:
    held = memory(run=row.run, constants=constants)
    return Exhausted(
        id=row.id,
        needed_gib=float(held.needed_bytes) / GIB,
        limit_gib=float(held.limit_bytes) / GIB,
        fits_probability=float(held.fits_probability),
    )


def _training_checks(row: MeasuredRow, constants: Mapping[str, float]) -> list[Check]:
    run = row.run
    groups = {"method": run.method, "stack": run.stack, "gpu": row.gpu or "not stated", "sharding": run.sharding}
    held = memory(run=run, constants=constants)
    found = []
    for kind, measured in ((row.memory_kind, row.peak_memory_bytes), *row.other_memory_bytes):
        low, high = predicted_range_bytes(run=run, predicted=held, kind=kind, constants=constants)
        found.append(
            Check(
                id=row.id if kind == row.memory_kind else f"{row.id} ({kind})",
                quantity=MEMORY,
                predicted=float(predicted_bytes(predicted=held, kind=kind)) / GIB,
                measured=None if measured is None else measured / GIB,
                low=float(low) / GIB,
                high=float(high) / GIB,
                groups=groups,
                assumed=row.assumed,
            )
        )
    if row.gpu:
        going = speed(run=run, constants=constants)
        rate = float(going.tokens_per_s_per_gpu)
        found.append(
            Check(
                id=row.id,
                quantity=SPEED,
                predicted=rate,
                measured=row.tokens_per_s_per_gpu,
                low=rate * float(going.low_factor),
                high=rate * float(going.high_factor),
                groups=groups,
                assumed=row.assumed,
            )
        )
    return found


def _table(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Columns of a file, and its rows with the line of each under the key "line"."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            rows = [
                {key: (value or "").strip() for key, value in row.items() if key} | {"line": str(table.line_num)}
                for row in table
            ]
            return tuple(table.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as a CSV file in UTF-8"
            f" ({getattr(error, 'strerror', None) or 'not UTF-8 text'})."
        ) from error


def _serving_rows(
    path: Path, columns: Sequence[str], cells: Iterable[dict[str, str]], problems: list[RowProblem]
) -> list[dict[str, str]]:
    """The rows of a serving file that can be compared; the others join the problems."""
    missing = [column for column in SERVING_REQUIRED if column not in columns]
    if missing:
        raise InputError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; required of serving runs:"
            f" {', '.join(SERVING_REQUIRED)}."
        )
    kept = []
    for row in cells:
        name = row.get("id") or f"line {row['line']}"
        try:
            good = float(row[SERVING]) > 0.0
        except ValueError:
            good = False
        if good:
            kept.append(row | {"id": name})
        else:
            reason = f"{SERVING} = {row[SERVING]!r} is not a positive number."
            problems.append(RowProblem(id=name, line=int(row["line"]), reason=reason))
    return kept


def _serving_checks(
    rows: Sequence[Mapping[str, str]], constants: Mapping[str, float]
) -> tuple[list[Check], list[RowProblem]]:
    checks, problems = [], []
    for one in compare(rows=rows, constants=constants):
        if one.predicted is None:
            problems.append(RowProblem(id=one.id, line=0, reason=one.reason))
            continue
        checks.append(
            Check(
                id=one.id,
                quantity=SERVING,
                predicted=one.predicted,
                measured=one.measured,
                low=None,
                high=None,
                groups={"method": one.weights_dtype, "stack": one.engine, "gpu": one.gpu, "sharding": ""},
            )
        )
    return checks, problems


def summaries(checks: Iterable[Check]) -> list[Summary]:
    """Median and 90th percentile of the absolute error: of each quantity, and by each grouping."""
    every = [check for check in checks if check.measured is not None]
    found = []
    for quantity in QUANTITIES:
        of_it = [check for check in every if check.quantity == quantity]
        if of_it:
            found.append(_summary(quantity, "all", "all", of_it))
        for grouping in GROUPINGS:
            groups = sorted({check.groups[grouping] for check in of_it} - {""})
            for group in groups:
                members = [check for check in of_it if check.groups[grouping] == group]
                found.append(_summary(quantity, grouping, group, members))
    return found


def _summary(quantity: str, grouping: str, group: str, checks: Sequence[Check]) -> Summary:
    errors = np.array([check.error for check in checks], dtype=float)
    inside = [
        check.low <= check.measured <= check.high
        for check in checks
        if check.measured is not None and check.low is not None and check.high is not None
    ]
    return Summary(
        quantity=quantity,
        grouping=grouping,
        group=group,
        runs=len(checks),
        median_error=float(np.median(np.abs(errors))),
        p90_error=float(np.quantile(np.abs(errors), 0.9)),
        bias=float(np.median(errors)),
        inside_fraction=float(np.mean(inside)) if inside else float("nan"),
    )
