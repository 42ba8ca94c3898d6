"""``ftcost validate``: how far the predictions are from measured runs, as tables or JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from estimator.accuracy import NOTHING, accuracies
from estimator.errors import InputError
from estimator.validation import QUANTITIES, SERVING, Check, Exhausted, Summary, Validation
from reports.console import say
from reports.screen import Screen, numbers, words

WORST = 12
EVEN = 0.5
"""Probability of fitting below which a run is predicted not to."""

TITLES = {
    "peak_memory_gib": "Peak memory (GiB per GPU)",
    "tokens_per_s_per_gpu": "Training speed (tokens/s per GPU)",
    "output_tokens_per_s_per_gpu": "Serving throughput (output tokens/s per GPU)",
}


def validation_json(found: Validation, *, before: Validation | None = None) -> dict[str, Any]:
    """Runs with predicted, measured and error, rows that could not be predicted, and the summary.

    ``before`` is the same without the profile; its summary then stands under ``summary_without_profile``.
    """
    runs: dict[str, dict[str, Any]] = {}
    for check in found.checks:
        run = runs.setdefault(
            check.id, {"id": check.id, "predicted": {}, "measured": {}, "error": {}, "low": {}, "high": {}}
        )
        run["predicted"][check.quantity] = check.predicted
        if check.measured is not None:
            run["measured"][check.quantity] = check.measured
            run["error"][check.quantity] = check.error
        run["low"][check.quantity] = check.low
        run["high"][check.quantity] = check.high
        run["assumed"] = list(check.assumed)
    document: dict[str, Any] = {
        "schema": 1,
        "columns_not_read": list(found.unread),
        "runs": list(runs.values()),
        "not_predicted": [asdict(problem) for problem in found.problems],
        "summary": _summary_json(found.summaries),
    }
    if found.exhausted:
        document["out_of_memory"] = [asdict(run) for run in found.exhausted]
    if before is not None:
        document["summary_without_profile"] = _summary_json(before.summaries)
    return document


def _summary_json(rows: Iterable[Summary]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for row in rows:
        plain = {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in asdict(row).items()}
        summary.setdefault(row.quantity, {}).setdefault(row.grouping, {})[row.group] = {
            key: plain[key] for key in ("runs", "median_error", "p90_error", "bias", "inside_fraction")
        }
    return summary


def tell_unread(found: Validation) -> None:
    """Say on stderr which columns of the file say nothing to us."""
    if found.unread:
        say(f"ftcost: not read: column{'s' * (len(found.unread) > 1)} {', '.join(found.unread)}.")


def refuse_unpredicted(found: Validation, path: Path) -> None:
    """Refuse a file of which no row can be predicted, once its rows are listed.

    Raises:
        InputError: none can.
    """
    if not found.checks:
        rows = len(found.problems)
        said = "its one row cannot" if rows == 1 else f"none of its {rows:,} rows can"
        raise InputError(f"{path}: {said} be predicted; each is listed with the reason.")


def show_gain(before: Validation, after: Validation, screen: Screen, *, profile: str) -> None:
    """Errors over all runs with the shipped constants and with the profile."""
    screen.line(f"With profile {profile} against the shipped constants, absolute error", strong=True)
    pairs = [
        (old, new)
        for old, new in zip(before.summaries, after.summaries, strict=True)
        if new.grouping == "all" and new.quantity != SERVING
    ]
    screen.table(
        [*words("quantity"), *numbers("runs", "median", "with profile", "P90", "with profile")],
        [
            [
                TITLES[new.quantity],
                str(new.runs),
                *(f"{100 * error:.1f} %" for error in (old.median_error, new.median_error)),
                *(f"{100 * error:.1f} %" for error in (old.p90_error, new.p90_error)),
            ]
            for old, new in pairs
        ],
    )


def show_validation(found: Validation, screen: Screen, *, own: bool, brief: bool) -> None:
    """Summary by group, the worst misses, and the rows that could not be predicted."""
    if not own:
        _show_held_out(screen)
    for quantity in QUANTITIES:
        rows = [row for row in found.summaries if row.quantity == quantity]
        if brief:
            rows = [row for row in rows if row.grouping in ("all", "method")]
        if rows:
            _show_summary(TITLES[quantity], rows, screen)
        if rows and not brief:
            _show_worst([check for check in found.checks if check.quantity == quantity], screen)
    failed = {run.id for run in found.exhausted}
    unmeasured = [check for check in found.checks if check.measured is None and check.id not in failed]
    if own and unmeasured and not (brief and found.summaries):
        _show_predictions(unmeasured, screen)
    if found.exhausted:
        _show_exhausted(found.exhausted, screen)
    if own:
        _show_assumed(found.checks, screen)
    if found.problems:
        screen.heading(f"Not predicted ({len(found.problems)})")
        for problem in found.problems:
            line = f", line {problem.line}" if problem.line and not problem.id.startswith("line ") else ""
            screen.item(f"{problem.id}{line}: {problem.reason}")


def _show_assumed(checks: Iterable[Check], screen: Screen) -> None:
    """What was taken for columns that rows leave empty, in how many runs."""
    assumed = {check.id.partition(" (")[0]: check.assumed for check in checks}
    taken = Counter(entry for entries in assumed.values() for entry in entries)
    if not taken:
        return
    screen.heading("Assumed where a row does not say")
    for entry, runs in taken.most_common():
        screen.item(f"{entry} ({runs} of {len(assumed)} {'run' if len(assumed) == 1 else 'runs'})")
    screen.line(
        "These are the defaults of the row's stack, as measured runs of it have them. Adapters are then of rank 8"
        " on q and v for most stacks, which is faster than what `estimate`, `plan` and `measure` take unless told:"
        " rank 16 on all modules. Fill lora_rank and lora_targets to compare like with like."
        if any(entry.startswith("lora_") for entry in taken)
        else "These are the defaults of the row's stack."
    )


def _show_held_out(screen: Screen) -> None:
    """Errors with constants fitted without the run's model, source or team: what to expect of other runs."""
    screen.line("Expect of runs like yours: errors when constants were fitted without the run", strong=True)
    rows = [row for row in accuracies() if row.left_out != NOTHING]
    screen.table(
        [*words("quantity", "left out of the fit"), *numbers("runs", "median", "P90", "in 80 %")],
        [
            [
                TITLES[row.quantity],
                row.left_out,
                str(row.runs),
                f"{100 * row.median_error:.1f} %",
                f"{100 * row.p90_error:.1f} %",
                "-" if row.inside_fraction is None else f"{100 * row.inside_fraction:.0f} %",
            ]
            for row in rows
        ],
    )
    screen.line()
    screen.line("Below: the runs that the package ships and that calibrated it.")


def _show_summary(title: str, rows: list[Summary], screen: Screen) -> None:
    screen.heading(f"{title}: absolute error")
    screen.table(
        [*words("by", "group"), *numbers("runs", "median", "P90", "bias", "in 80 %")],
        [
            [
                row.grouping,
                row.group,
                str(row.runs),
                f"{100 * row.median_error:.1f} %",
                f"{100 * row.p90_error:.1f} %",
                f"{100 * row.bias:+.1f} %",
                "-" if math.isnan(row.inside_fraction) else f"{100 * row.inside_fraction:.0f} %",
            ]
            for row in rows
        ],
    )


def _show_predictions(checks: list[Check], screen: Screen) -> None:
    """What is expected of runs whose quantity was not measured."""
    screen.heading("Predicted where nothing was measured")
    screen.table(
        [*words("run", "quantity"), *numbers("predicted", "P10 to P90")],
        [
            [
                check.id,
                TITLES[check.quantity],
                f"{check.predicted:,.4g}",
                f"{check.low or 0:,.4g} to {check.high or 0:,.4g}",
            ]
            for check in checks
        ],
    )


def _show_exhausted(runs: Sequence[Exhausted], screen: Screen) -> None:
    """Runs that ran out of memory beside what was predicted of them."""
    foreseen = sum(run.fits_probability < EVEN for run in runs)
    screen.heading(f"Ran out of memory ({len(runs)}): {foreseen} predicted not to fit")
    screen.table(
        [*words("run"), *numbers("needs", "of GiB", "fits")],
        [
            [run.id, f"{run.needed_gib:.1f}", f"{run.limit_gib:.1f}", f"{100 * run.fits_probability:.0f} %"]
            for run in runs
        ],
    )


def _show_worst(checks: list[Check], screen: Screen) -> None:
    known = [(abs(check.error), check) for check in checks if check.error is not None]
    worst = [check for _, check in sorted(known, key=lambda pair: -pair[0])[:WORST]]
    screen.table(
        [*words("worst"), *numbers("predicted", "measured", "error")],
        [
            [check.id, f"{check.predicted:,.4g}", f"{check.measured:,.4g}", f"{100 * (check.error or 0.0):+.1f} %"]
            for check in worst
        ],
    )
