"""``ftcost sweep``: a grid of flags and assumptions as one tidy table, a row per point and arm."""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from estimator.errors import InputError, NothingFitsError
from estimator.planning import plan
from estimator.result import Arm, Plan
from estimator.scenario import Scenario
from reports.commands.scenario_file import Given
from reports.commands.vary import Axis, Point, axis, counting, grid, written
from reports.files import check_file, write_files
from reports.flags import scenario_of

CSV, PARQUET = ".csv", ".parquet"

COLUMNS = (
    "arm",
    "label",
    "kind",
    "style",
    "recommended",
    "best_tuned",
    "base_usd",
    "p10_usd",
    "p50_usd",
    "p90_usd",
    "usd_per_1000_requests",
    "probability_cheapest",
    "run_method",
    "run_gpu",
    "run_gpus",
    "run_hours",
    "run_usd",
    "serving_gpu",
    "serving_gpus",
    "note",
)
"""Columns after those of the axes. ``note`` says why a point has no arms; costs are over the horizon."""


def sweep_csv(given: Given, texts: Sequence[str]) -> bytes:
    """The grid as CSV.

    Args:
        given: flags of ``ftcost plan``.
        texts: of --vary.

    Raises:
        InputError: a point that cannot be asked; before any point is planned where a flag refuses the value.
    """
    axes = [axis(text) for text in texts]
    points = grid(given, axes)
    scenarios = [scenario_of(point.given) for point in points]
    rows: dict[int, list[dict[str, str]]] = {}
    with counting(sys.stderr, len(points)) as tell:
        for done, place in enumerate(_names_first(axes, points)):
            tell(done)
            varied = {one.name: written(value) for one, value in zip(axes, points[place].values, strict=True)}
            rows[place] = [varied | row for row in _planned(scenarios[place], varied)]
    return csv_bytes(axes, [row for place in sorted(rows) for row in rows[place]])


def _names_first(axes: Sequence[Axis], points: Sequence[Point]) -> list[int]:
    """The order in which to plan: first the points that try one value each, so that a wrong name shows early."""

    def tried(place: int) -> int:
        return sum(value != one.values[0] for one, value in zip(axes, points[place].values, strict=True))

    return sorted(range(len(points)), key=tried)


def _planned(scenario: Scenario, varied: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of a point, or one row that says why nothing fits there."""
    try:
        return arm_rows(plan(scenario))
    except NothingFitsError as error:
        return [{"note": " ".join(str(error).splitlines()[:2])}]
    except InputError as error:
        place = ", ".join(f"{name} = {value}" for name, value in varied.items())
        raise InputError(f"at {place}: {error}") from None


def arm_rows(answer: Plan) -> list[dict[str, str]]:
    """A row per arm of a plan, cheapest first, without the columns of the axes."""
    ordered = sorted(answer.arms, key=lambda arm: (arm.total_usd.base, arm.id))
    return [_row(answer, arm) for arm in ordered]


def _row(answer: Plan, arm: Arm) -> dict[str, str]:
    total, run, serving = arm.total_usd, arm.training, arm.serving
    row: dict[str, Any] = {
        "arm": arm.id,
        "label": arm.label,
        "kind": arm.kind,
        "style": arm.style,
        "recommended": arm.id == answer.verdict.arm,
        "best_tuned": arm.id == answer.best_tuned,
        "base_usd": _cents(total.base),
        "p10_usd": _cents(total.p10),
        "p50_usd": _cents(total.p50),
        "p90_usd": _cents(total.p90),
        "usd_per_1000_requests": _digits(arm.usd_per_1000_requests),
        "probability_cheapest": _digits(arm.probability_cheapest),
    }
    if run:
        row |= {
            "run_method": run.method,
            "run_gpu": run.gpu,
            "run_gpus": run.gpus,
            "run_hours": _digits(run.hours.base),
            "run_usd": _digits(run.usd.base),
        }
    if serving:
        row |= {"serving_gpu": serving.gpu, "serving_gpus": serving.replicas * serving.gpus_per_replica}
    return {name: written(value) for name, value in row.items()}


def _cents(usd: float) -> float:
    return round(usd, 2)


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def csv_bytes(axes: Sequence[Axis], rows: Iterable[Mapping[str, str]]) -> bytes:
    """The rows as CSV in UTF-8, the axes first."""
    stream = io.StringIO()
    names = [one.name for one in axes]
    writer = csv.DictWriter(stream, [*names, *COLUMNS], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is planned.

    Raises:
        InputError: another ending, a directory, or Parquet without the package that writes it.
    """
    check_file(path, flag="--out", endings=(CSV, PARQUET))
    if path.suffix.lower() == PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            f"--out {path}: {PARQUET} needs pyarrow. Run pip install 'ftcost[parquet]', or write a {CSV} file."
        )


def write_table(path: Path, content: bytes) -> None:
    """The file in the format of its ending, whole or not at all."""
    made = parquet_bytes(content) if path.suffix.lower() == PARQUET else content
    write_files(path.parent, {path.name: made})


def parquet_bytes(content: bytes) -> bytes:
    """A CSV as Parquet: numbers and truth values typed, an empty cell of a number null."""
    from pyarrow import BufferOutputStream, csv, parquet, py_buffer

    table = csv.read_csv(py_buffer(content))
    sink = BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())
