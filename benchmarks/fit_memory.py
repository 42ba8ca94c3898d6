"""Fits the few free constants of the memory model on the shipped measured runs, and cross-validates them.

    python benchmarks/fit_memory.py            # prints constants, held-out errors and interval coverage
    python benchmarks/fit_memory.py --write    # also writes them to estimator/data/memory.toml

Everything else of the model is derived from the code of the stacks or counted by PyTorch's memory tracker.
A constant that only one team's rows inform is fitted if that lowers the errors of that team's held-out models:
it does for litgpt and for batches of many lengths, not for the gaps of axolotl nor for torchtune's losses.
The objective is the mean of |ln(predicted / measured)|, each term capped at CAP so that rows whose settings are
misreported do not steer, each team's rows weighted by 1/sqrt(number). Coordinate search on a grid inside each
constant's bounds, from a start that was set before looking at the data: deterministic, no random numbers.

The gaps of the allocator start from a replay of its rules (`torch_pool.py`), what a quantised module keeps from
the code of bitsandbytes.

Constants of the allocator's pool and of the process also meet the nvidia-smi figures that the notes of the fms
speed runs state. Those of the Qwen runs are a team that is never fitted: they only check.

Held out, twice: all rows of one team at a time (a constant that only this team informs then stays at its
start), and all rows of one model of one team at a time. The P10 and P90 of a constant are those of the second
kind of refits. The spread of the predictions has to serve both a new model of a known team and a new team: for
each group of stacks it is the 80th percentile of both kinds of held-out errors together, each divided by the
share of the figure that is not weights and optimizer state. Stacks without runs have
the 80th percentile of all errors of new teams, each team counted once. Whether a run fits does
not depend on the gaps in which teams differ most: there the spread is the 80th percentile of the second kind of
reserved errors.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from estimator.assumptions import shipped
from estimator.measured import MeasuredRow, read_runs
from estimator.memory import STATIC, memory, predicted_bytes
from estimator.memory.allocator import error_share, spread_name

FILE = Path(__file__).parents[1] / "estimator" / "data" / "memory.toml"
CAP = 0.4
GRID = 17
SWEEPS = 3


@dataclass(frozen=True)
class Free:
    """A constant to fit: where the search starts, and its physical bounds."""

    start: float
    low: float
    high: float


def replayed(column: str, *, one_length: bool) -> float:
    """Mean gaps of the replays with batches of one length, or of many."""
    with Path(__file__).with_name("torch_pool.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["median_length"] == "0") == one_length]
    return float(np.mean([float(row[column]) for row in rows]))


FREE = {
    "memory_turn_hidden_copies": Free(4.0, 1.0, 8.0),
    "memory_full_loss_bytes_per_logit_hf_lean": Free(12.0, 8.0, 18.0),
    "memory_full_loss_bytes_per_logit_hf_fused": Free(10.0, 4.0, 14.0),
    "memory_chunked_loss_bytes_per_logit_litgpt": Free(8.0, 4.0, 12.0),
    "memory_quantized_input_bytes": Free(2.0, 0.0, 6.0),
    "memory_dequantized_head_bytes_per_weight": Free(2.0, 2.0, 8.0),
    "memory_gaps_one_length_fraction": Free(replayed("gaps_per_dynamic", one_length=True), 0.0, 0.5),
    "memory_gaps_many_lengths_fraction": Free(replayed("gaps_per_logits", one_length=False), 0.0, 3.0),
    "memory_gaps_common_length_tokens": Free(2048.0, 512.0, 8192.0),
    "memory_pool_slack_bytes": Free(5e8, 0.0, 2e9),
    "memory_collectives_bytes": Free(5e8, 0.0, 1.5e9),
}


SAME_TEAM = {"fmsa": "fms"}
DEVICE_NOTES = ((r"nvidia mem reserved ([\d.]+) MiB", 2**20), (r"memory ([\d.]+)\s?G total", 10**9))
CHECKED_ONLY = "qwen"


POOL = tuple(
    name for name in FREE if "gaps" in name or name in ("memory_pool_slack_bytes", "memory_collectives_bytes")
)
"""Constants of the allocator and the process; figures of the whole device inform no others."""


def team(row: MeasuredRow) -> str:
    """Who measured: the id without its number."""
    name = row.id.rsplit("-", 1)[0]
    return SAME_TEAM.get(name, name)


def fold(row: MeasuredRow) -> str:
    """One model of one team."""
    return f"{team(row)} {row.run.architecture.id}"


def device_rows() -> tuple[list[MeasuredRow], list[MeasuredRow]]:
    """Device memory that the notes of the speed runs state: rows to fit, and rows of a team that is never fitted.

    The latter's figures are totals over the job, in decimal units.
    """
    fitted: list[MeasuredRow] = []
    checked: list[MeasuredRow] = []
    for row in read_runs("speed")[0]:
        for pattern, unit in DEVICE_NOTES:
            if found := re.search(pattern, row.notes):
                apart = team(row) == CHECKED_ONLY
                total = float(found[1]) * unit
                each = total / float(row.run.gpus) if apart else total
                target = checked if apart else fitted
                target.append(replace(row, peak_memory_bytes=each, memory_kind="nvidia-smi"))
    return fitted, checked


def log_error(row: MeasuredRow, constants: Mapping[str, float]) -> float:
    """ln(predicted / measured) of one row."""
    predicted = memory(run=row.run, constants=constants)
    assert row.peak_memory_bytes
    return math.log(predicted_bytes(predicted=predicted, kind=row.memory_kind) / row.peak_memory_bytes)


class Fit:
    """Coordinate search that re-evaluates only the rows that a constant touches."""

    def __init__(self, rows: list[MeasuredRow], fixed: Mapping[str, float]) -> None:
        self.rows = rows
        self.fixed = dict(fixed)
        counts: dict[str, int] = {}
        for row in rows:
            counts[team(row)] = counts.get(team(row), 0) + 1
        self.weights = np.array([counts[team(row)] ** -0.5 for row in rows])
        start = self._start()
        base = self._errors(range(len(rows)), start)
        device = np.array([row.memory_kind == "nvidia-smi" for row in rows])
        self.touched = {
            name: np.flatnonzero(
                (
                    np.abs(self._errors(range(len(rows)), {**start, name: free.high}) - base)
                    + np.abs(self._errors(range(len(rows)), {**start, name: free.low}) - base)
                    > 1e-9
                )
                & ~(device & (name not in POOL))
            )
            for name, free in FREE.items()
        }

    def _start(self) -> dict[str, float]:
        return self.fixed | {name: free.start for name, free in FREE.items()}

    def _errors(self, indices: Iterable[int], constants: Mapping[str, float]) -> np.ndarray:
        return np.array([log_error(self.rows[i], constants) for i in indices])

    def fit(self, keep: np.ndarray) -> dict[str, float]:
        """Constants fitted on the rows where ``keep`` holds."""
        constants = self._start()
        for sweep in range(SWEEPS):
            for name, free in FREE.items():
                used = [i for i in self.touched[name] if keep[i]]
                if not used:
                    continue
                width = (free.high - free.low) / 2.0 ** (2 * sweep)
                middle = constants[name] if sweep else (free.low + free.high) / 2.0
                grid = np.clip(np.linspace(middle - width / 2, middle + width / 2, GRID), free.low, free.high)
                costs = [
                    float(
                        self.weights[used]
                        @ np.minimum(np.abs(self._errors(used, {**constants, name: float(value)})), CAP)
                    )
                    for value in grid
                ]
                constants[name] = float(grid[int(np.argmin(costs))])
        return constants

    def held_out(
        self, fold_of: Callable[[MeasuredRow], str], everything: Mapping[str, float]
    ) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Errors of every row under constants fitted without its fold, and those constants."""
        labels = np.array([fold_of(row) for row in self.rows])
        errors = np.empty(len(self.rows))
        fits = []
        for label in sorted(set(labels)):
            inside = np.flatnonzero(labels == label)
            moved = any(set(inside) & set(touched) for touched in self.touched.values())
            constants = self.fit(labels != label) if moved else dict(everything)
            fits.append(constants)
            errors[inside] = self._errors(inside, constants)
        return errors, fits


def line(name: str, errors: np.ndarray) -> str:
    """Count, median and P90 of the absolute relative error, and the median error."""
    relative = np.expm1(errors)
    absolute = np.abs(relative)
    return (
        f"{name:26} n {len(errors):4d}   median {np.median(absolute):6.1%}   P90"
        f" {np.quantile(absolute, 0.9):6.1%}   bias {np.median(relative):+6.1%}"
    )


def table(title: str, rows: list[MeasuredRow], errors: np.ndarray) -> None:
    """Errors by team, method, stack, kind and sharding."""
    print(f"\n{title}\n{line('all', errors)}")
    for key in (
        lambda r: f"team {team(r)}",
        lambda r: f"method {r.run.method}",
        lambda r: f"stack {r.run.stack}",
        lambda r: f"kind {r.memory_kind}",
        lambda r: f"sharding {r.run.sharding}",
    ):
        labels = np.array([key(row) for row in rows])
        for label in sorted(set(labels)):
            print(line(label, errors[labels == label]))


def shares(rows: list[MeasuredRow], constants: Mapping[str, float]) -> np.ndarray:
    """Share of each row's figure that is open to error."""
    found = []
    for row in rows:
        predicted = memory(run=row.run, constants=constants)
        total = predicted_bytes(predicted=predicted, kind=row.memory_kind)
        static = sum(value for part, value in predicted.parts_bytes.items() if part in STATIC)
        found.append(error_share(static_bytes=static, total_bytes=total, constants=constants))
    return np.array(found, dtype=float)


def scales(names: np.ndarray, weights: np.ndarray, *errors: np.ndarray) -> dict[str, float]:
    """Logistic scale of each group: its 80 % interval holds 80 % of these errors, each over its share."""
    found = {}
    for name in sorted(set(names)):
        inside = names == name
        sizes = np.concatenate([np.abs(kind[inside]) for kind in errors])
        masses = np.tile(weights[inside], len(errors))
        order = np.argsort(sizes)
        reached = np.cumsum(masses[order])
        middles = (reached - masses[order] / 2.0) / reached[-1]
        found[str(name)] = float(np.interp(0.8, middles, sizes[order]) / math.log(9.0))
    return found


def coverage(names: np.ndarray, errors: np.ndarray, spread: Mapping[str, float]) -> float:
    """Share of rows inside their 80 % interval."""
    limits = np.array([spread[name] * math.log(9.0) for name in names])
    return float(np.mean(np.abs(errors) <= limits))


def write(values: Mapping[str, tuple[float, float, float]]) -> None:
    """Puts base, low and high of these rows into the registry."""
    text = FILE.read_text(encoding="utf-8")
    for name, (base, low, high) in values.items():
        numbers = f"base = {base:.4g}\nlow = {min(low, base):.4g}\nhigh = {max(high, base):.4g}\n"
        pattern = rf"(\[{name}\]\nlabel = [^\n]*\n)base = [^\n]*\n(?:low = [^\n]*\nhigh = [^\n]*\n)?"
        text, found = re.subn(pattern, lambda match, n=numbers: match[1] + n, text)
        if found != 1:
            raise SystemExit(f"{FILE.name} has no row [{name}].")
    FILE.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the registry")
    write_registry = parser.parse_args().write
    rows, problems = read_runs("memory")
    for problem in problems:
        print(f"left out: {problem.id} (line {problem.line}): {problem.reason}")
    listed = len(rows)
    device, unseen = device_rows()
    rows = rows + device
    search = Fit(rows, shipped())
    constants = search.fit(np.ones(len(rows), dtype=bool))
    inside = search._errors(range(len(rows)), constants)
    by_team, _ = search.held_out(team, constants)
    by_model, fits = search.held_out(fold, constants)
    names = np.array([spread_name(run=row.run, kind=row.memory_kind) for row in rows])
    share = shares(rows, constants)
    new_model, new_team = by_model / share, by_team / share
    spread = scales(names, search.weights, new_model, new_team)
    for kind in ("allocated", "reserved"):
        group = f"memory_error_scale_{kind}_other"
        alike = np.char.startswith(names, group.removesuffix("other"))
        spread |= scales(np.where(alike, group, ""), search.weights**2, new_team)
    spread.pop("", None)
    plain = scales(names, search.weights, by_model)
    need = {
        "memory_need_error_scale_hf": plain["memory_error_scale_reserved_hf"],
        "memory_need_error_scale_axolotl": plain["memory_error_scale_reserved_axolotl"],
    }
    table("in sample", rows[:listed], inside[:listed])
    table("one model of one team held out", rows[:listed], by_model[:listed])
    table("one team held out", rows[:listed], by_team[:listed])
    for title, errors in (("one model held out", by_model), ("one team held out", by_team)):
        print(line(f"device, {title}", errors[listed:]))
    unseen_errors = np.array([log_error(row, constants) for row in unseen])
    unseen_names = np.array([spread_name(run=row.run, kind=row.memory_kind) for row in unseen])
    for method in ("lora", "qlora", "full"):
        print(line(f"device, never fitted, {method}", unseen_errors[[r.run.method == method for r in unseen]]))
    held = coverage(unseen_names, unseen_errors / shares(unseen, constants), spread)
    print(f"80 % interval holds {held:.1%} of the rows never fitted")
    rows, names, weights = rows[:listed], names[:listed], search.weights[:listed]
    share = share[:listed]
    inside, new_model, new_team = inside[:listed], new_model[:listed], new_team[:listed]
    print(
        f"\n80 % interval: holds {coverage(names, inside / share, spread):.1%} (in sample),"
        f" {coverage(names, new_model, spread):.1%} (one model held out),"
        f" {coverage(names, new_team, spread):.1%} (one team held out)"
    )
    folds = np.array([fold(row) for row in rows])
    held_model, held_team = np.zeros(len(rows)), np.zeros(len(rows))
    for one in sorted(set(folds)):
        own = folds == one
        spread_without = spread | scales(names[~own], weights[~own], new_model[~own], new_team[~own])
        held_model[own] = coverage(names[own], new_model[own], spread_without)
        held_team[own] = coverage(names[own], new_team[own], spread_without)
    print(f"spread without the model's own rows: holds {held_model.mean():.1%} and {held_team.mean():.1%}")
    values = {
        name: (constants[name], *map(float, np.quantile([fit[name] for fit in fits], [0.1, 0.9]))) for name in FREE
    } | {name: (value, 0.7 * value, 1.4 * value) for name, value in (spread | need).items()}
    print()
    for name, (base, low, high) in values.items():
        print(f"{name:52} {base:9.4g}  ({low:.4g} to {high:.4g})")
    if write_registry:
        write(values)


if __name__ == "__main__":
    main()
