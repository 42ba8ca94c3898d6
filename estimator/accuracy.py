"""How far predictions were from measured runs, with constants fitted without them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "data" / "accuracy.csv"
NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Absolute errors of one quantity over the calibration runs.

    Attributes:
        quantity: peak_memory_gib, tokens_per_s_per_gpu or output_tokens_per_s_per_gpu.
        left_out: what the constants were fitted without when a run was predicted ("nothing": all were seen).
        runs: how many.
        median_error, p90_error: of the absolute relative error.
        inside_fraction: share of runs inside the 80 % interval; None where not measured.
        measured, command: when, and what prints these figures.
    """

    quantity: str
    left_out: str
    runs: int
    median_error: float
    p90_error: float
    inside_fraction: float | None
    measured: str
    command: str


@cache
def accuracies() -> tuple[Accuracy, ...]:
    """Every figure, in file order."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Accuracy(
                quantity=row["quantity"],
                left_out=row["left_out"],
                runs=int(row["runs"]),
                median_error=float(row["median_error"]),
                p90_error=float(row["p90_error"]),
                inside_fraction=float(row["inside_fraction"]) if row["inside_fraction"] else None,
                measured=row["measured"],
                command=row["command"],
            )
            for row in csv.DictReader(file)
        )
