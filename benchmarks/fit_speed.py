"""Fit the constants of the speed model on the measured runs, and check it on sources the fit did not see.

    python benchmarks/fit_speed.py            fit, cross-validate, write estimator/data/speed.toml
    python benchmarks/fit_speed.py --check    errors of the shipped constants; nothing is written

Needs scipy; the program itself does not. The fit has no random part, so it repeats exactly. It minimises a robust
loss of the logarithm of predicted over measured tokens/s, each source weighted by its rows to the power
-1/4, plus a weak pull towards the starting value of each constant (`STARTS`), inside the physical bounds
that stand in the file as minimum and maximum. The file keeps every other row as it is.
"""

from __future__ import annotations

import argparse
import collections
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from estimator.accelerator import Accelerator
from estimator.assumptions import shipped
from estimator.measured import MeasuredRow, read_runs
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.step import step_parts_s

DATA = Path(__file__).resolve().parents[1] / "estimator" / "data" / "speed.toml"
STARTS_FILE = Path(__file__).resolve().parent / "speed_starts.toml"
NUMBERS = ("lora_rank", "gpus", "tp", "pp", "cp", "ep", "micro_batch", "global_batch", "seq_len")
LOSS_SCALE = 0.08
PULL = 1.0
WEIGHT_POWER = -0.25
FULL_STEPS, HELD_OUT_STEPS, FEW_STEPS, FEW_ROWS = 16, 4, 3, 2
STACK_ROWS, SHRINK_ROWS = 15, 20


def project(source: str) -> str:
    """Who measured: repository or benchmark, without the page."""
    return "MLPerf" if source.startswith("MLPerf") else "/".join(source.split("/")[:2]).split(" ")[0]


class Rows:
    """The measured rows, in blocks that differ in numbers and accelerator only, so that one call predicts many."""

    def __init__(self, rows: list[MeasuredRow]) -> None:
        self.rows = [row for row in rows if row.tokens_per_s_per_gpu]
        self.measured = np.log([row.tokens_per_s_per_gpu for row in self.rows])
        self.source = np.array([row.source for row in self.rows])
        self.project = np.array([project(row.source) for row in self.rows])
        runs = [row.run for row in self.rows]
        self.tokens_per_gpu = np.array(
            [float(r.micro_batches * r.micro_batch * r.data_parallel * r.seq_len / r.gpus) for r in runs]
        )
        grouped: dict[tuple[object, ...], list[int]] = collections.defaultdict(list)
        for index, run in enumerate(runs):
            varied = (*NUMBERS, "accelerator")
            grouped[tuple(getattr(run, f.name) for f in fields(run) if f.name not in varied)].append(index)
        self.blocks = [(np.array(index), self._block([runs[i] for i in index])) for index in grouped.values()]

    @staticmethod
    def _block(runs: list[Run]) -> Run:
        if len(runs) == 1:
            return runs[0]
        cards = [run.accelerator for run in runs]
        values = {
            f.name: tuple(getattr(card, f.name) for card in cards)
            if f.name in ("id", "family")
            else np.array([getattr(card, f.name) for card in cards])
            for f in fields(Accelerator)
        }
        numbers = {name: np.array([getattr(run, name) for run in runs]) for name in NUMBERS}
        return runs[0].with_(accelerator=Accelerator(**values), **numbers)

    def errors(self, constants: dict[str, float], wanted: np.ndarray) -> np.ndarray:
        """Logarithm of predicted over measured tokens/s; NaN where not wanted."""
        known = Constants(constants)
        out = np.full(len(self.rows), np.nan)
        for index, run in self.blocks:
            if wanted[index].any():
                step = sum(step_parts_s(run=run, constants=known).values())
                out[index] = np.log(self.tokens_per_gpu[index] / step) - self.measured[index]
        return out


class Fit:
    """The fitted constants: names, starting values, bounds."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        table = tomllib.loads(DATA.read_text(encoding="utf-8"))
        self.starts = tomllib.loads(STARTS_FILE.read_text(encoding="utf-8"))
        self.names = list(self.starts)
        self.low = np.array([table[name]["minimum"] for name in self.names])
        self.high = np.array([table[name]["maximum"] for name in self.names])
        self.base = dict(shipped())

    def scaled(self, values: Iterable[float]) -> np.ndarray:
        """Position between the bounds, 0 to 1."""
        return np.clip((np.array(list(values)) - self.low) / (self.high - self.low), 1e-6, 1.0 - 1e-6)

    def values(self, position: np.ndarray) -> dict[str, float]:
        """Constants at a position between the bounds."""
        return dict(zip(self.names, map(float, self.low + position * (self.high - self.low)), strict=True))

    def run(self, wanted: np.ndarray, begin: np.ndarray, steps: int) -> np.ndarray:
        """Position of the best constants for the wanted rows."""
        counts = collections.Counter(self.rows.project[wanted])
        weight = np.array([counts[p] ** WEIGHT_POWER if counts[p] else 0.0 for p in self.rows.project])
        weight = weight / weight[wanted].mean()
        start = self.scaled(self.starts.values())
        pull = np.sqrt(PULL * wanted.sum() / 100.0) / 0.5

        def residuals(position: np.ndarray) -> np.ndarray:
            error = self.rows.errors(self.base | self.values(position), wanted)[wanted]
            robust = np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + (error / LOSS_SCALE) ** 2) - 1.0))
            return np.concatenate([robust * weight[wanted], pull * (position - start)])

        found = least_squares(
            residuals, begin, bounds=(0.0, 1.0), max_nfev=steps, diff_step=1e-3, xtol=1e-4, ftol=1e-4
        )
        return np.asarray(found.x)


def held_out(
    fit: Fit,
    begin: np.ndarray,
    key: np.ndarray,
    known: dict[frozenset[int], dict[str, float]],
    say: Callable[[str], None],
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Errors of every row under constants fitted without its source, and those constants.

    ``known`` keeps the constants of row sets already left out, for sources that are a project's only one.
    """
    errors = np.full(len(fit.rows.rows), np.nan)
    constants = []
    for name in sorted(set(key)):
        out = key == name
        left = frozenset(map(int, np.flatnonzero(out)))
        if left not in known:
            steps = HELD_OUT_STEPS if len(left) > FEW_ROWS else FEW_STEPS
            known[left] = fit.values(fit.run(~out, np.clip(begin, 1e-4, 1 - 1e-4), steps))
        values = known[left]
        constants.append(values)
        errors[out] = fit.rows.errors(fit.base | values, out)[out]
        say(f"  without {name}: {summary(errors[out])}")
    return errors, constants


def summary(errors: np.ndarray) -> str:
    """Rows, median and P90 of the absolute error, and bias."""
    off = np.abs(np.exp(errors) - 1.0)
    return (
        f"{len(errors):4d} rows, median {np.median(off):6.1%}, P90 {np.quantile(off, 0.9):6.1%},"
        f" bias {np.median(errors):+.3f}"
    )


def breakdown(rows: Rows, errors: np.ndarray, say: Callable[[str], None]) -> None:
    """Errors by project and by setting."""
    say(f"  all: {summary(errors)}")
    labels = {
        "project": rows.project,
        "method": np.array([row.run.method for row in rows.rows]),
        "stack": np.array([row.run.stack for row in rows.rows]),
        "accelerator": np.array([row.gpu for row in rows.rows]),
        "sharding": np.array([row.run.sharding for row in rows.rows]),
        "compute dtype": np.array([row.run.compute_dtype for row in rows.rows]),
    }
    for title, label in labels.items():
        for value in sorted(set(label)):
            say(f"  {title:13s} {value:34s} {summary(errors[label == value])}")


def interval(rows: Rows, errors: np.ndarray) -> dict[str, float]:
    """P10 and P90 of measured over predicted, common and per stack with enough rows.

    A stack's logarithmic quantiles are shrunk towards the common ones by rows / (rows + SHRINK_ROWS).
    """
    ratio = -errors
    common = np.quantile(ratio, [0.1, 0.9])
    out = {"throughput_low_factor": np.exp(common[0]), "throughput_high_factor": np.exp(common[1])}
    stacks = np.array([row.run.stack for row in rows.rows])
    for stack in sorted(set(stacks)):
        mine = ratio[stacks == stack]
        if len(mine) < STACK_ROWS:
            continue
        share = len(mine) / (len(mine) + SHRINK_ROWS)
        low, high = share * np.quantile(mine, [0.1, 0.9]) + (1.0 - share) * common
        name = stack.replace("-", "_")
        out[f"{name}_throughput_low_factor"] = float(np.exp(min(low, -0.02)))
        out[f"{name}_throughput_high_factor"] = float(np.exp(max(high, 0.02)))
    return {name: float(value) for name, value in out.items()}


def coverage(rows: Rows, errors: np.ndarray) -> float:
    """Share of rows inside the interval learnt from the other projects' errors."""
    inside = []
    for name in sorted(set(rows.project)):
        out = rows.project == name
        low, high = np.quantile(-errors[~out], [0.1, 0.9])
        inside += list((-errors[out] >= low) & (-errors[out] <= high))
    return float(np.mean(inside))


def write(values: dict[str, dict[str, float]]) -> None:
    """Put base, low and high of the fitted rows into the data file, leaving all else as it is."""
    text = DATA.read_text(encoding="utf-8")
    for name, row in values.items():
        head, mark, rest = text.partition(f"[{name}]\n")
        if not mark:
            raise SystemExit(f"{DATA.name} has no row [{name}]; add it with label, unit, bounds and source.")
        body, gap, tail = rest.partition("\n\n")
        for key, value in row.items():
            body = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value:.4g}" if value else f"{key} = 0.0", body)
        text = head + mark + body + gap + tail
    DATA.write_text(text, encoding="utf-8")


def main() -> None:
    """Fit, cross-validate, report and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only report the shipped constants' errors")
    arguments = parser.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)

    measured, problems = read_runs("speed")
    for problem in problems:
        say(f"not read: {problem.id} (line {problem.line}): {problem.reason}")
    rows = Rows(measured)
    fit = Fit(rows)
    every = np.ones(len(rows.rows), dtype=bool)
    if arguments.check:
        breakdown(rows, rows.errors(fit.base, every), say)
        return
    begin = fit.run(every, fit.scaled(fit.starts.values()), FULL_STEPS)
    best = fit.values(begin)
    say("In the fit")
    breakdown(rows, rows.errors(fit.base | best, every), say)
    known: dict[frozenset[int], dict[str, float]] = {}
    say("Left out by project")
    by_project, others = held_out(fit, begin, rows.project, known, say)
    breakdown(rows, by_project, say)
    say("Left out by source")
    by_source, _ = held_out(fit, begin, rows.source, known, say)
    breakdown(rows, by_source, say)
    say(f"80 % interval learnt from the other projects holds {coverage(rows, by_project):.1%} of rows")
    result: dict[str, dict[str, float]] = {}
    for name, value in best.items():
        found = [constants[name] for constants in others]
        low, high = np.quantile(found, [0.1, 0.9])
        result[name] = {"base": value, "low": min(low, value), "high": max(high, value)}
    for name, value in interval(rows, by_source).items():
        result[name] = {"base": value, "low": value, "high": value}
    write(result)


if __name__ == "__main__":
    main()
