"""Fit the constants of the speed model on the measured runs, and check it on sources the fit did not see.

    python benchmarks/fit_speed.py            fit, cross-validate, write estimator/data/speed.toml
    python benchmarks/fit_speed.py --check    errors of the shipped constants; nothing is written

Needs scipy; the program itself does not. The fit has no random part, so it repeats exactly. It minimises a robust
loss of the logarithm of predicted over measured tokens/s, each project weighted by its rows to the power
-1/4, plus a pull towards the starting value of each constant (benchmarks/speed_starts.toml), inside the
physical bounds that stand in the file as minimum and maximum. The file keeps every other row as it is.

The fit linearises the predictions about the present constants, solves, and repeats. A fit without one source or
project solves the problem linearised about the full fit, with no term of a row left out; the errors of these
rows are then predicted by the model itself.
"""

from __future__ import annotations

import argparse
import collections
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import tomli
from scipy.optimize import least_squares

from estimator.accelerator import Accelerator
from estimator.assumptions import shipped
from estimator.measured import MeasuredRow, read_runs
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.interval import throughput_factors
from estimator.speed.step import step_parts_s

DATA = Path(__file__).resolve().parents[1] / "estimator" / "data" / "speed.toml"
STARTS_FILE = Path(__file__).resolve().parent / "speed_starts.toml"
NUMBERS = ("lora_rank", "gpus", "tp", "pp", "cp", "ep", "micro_batch", "global_batch", "seq_len")
LOSS_SCALE = 0.08
PULL = 4.0
WEIGHT_POWER = -0.25
REACHES = (0.3, 0.2, 0.15, 0.1, 0.05, 0.05)
HELD_OUT_REACH = 0.3
DIFFERENCE = 1e-3
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


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Predictions linearised about a position of the constants.

    Attributes:
        about: the position.
        errors: of every row there.
        slopes: derivative of every row's error by every constant's position.
    """

    about: np.ndarray
    errors: np.ndarray
    slopes: np.ndarray


class Fit:
    """The fitted constants: names, starting values, bounds."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        table = tomli.loads(DATA.read_text(encoding="utf-8"))
        self.starts = tomli.loads(STARTS_FILE.read_text(encoding="utf-8"))
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

    def linear(self, about: np.ndarray) -> Linear:
        """Errors of every row and their derivatives by position."""
        every = np.ones(len(self.rows.rows), dtype=bool)
        errors = self.rows.errors(self.base | self.values(about), every)
        slopes = np.empty((len(errors), len(about)))
        for column, here in enumerate(about):
            step = DIFFERENCE if here + DIFFERENCE <= 1.0 else -DIFFERENCE
            moved = about.copy()
            moved[column] += step
            slopes[:, column] = (self.rows.errors(self.base | self.values(moved), every) - errors) / step
        return Linear(about=about, errors=errors, slopes=slopes)

    def solve(self, wanted: np.ndarray, linear: Linear, reach: float) -> np.ndarray:
        """Position of the best constants for the wanted rows, no further than ``reach`` from ``linear.about``."""
        counts = collections.Counter(self.rows.project[wanted])
        weight = np.array([counts[p] ** WEIGHT_POWER for p in self.rows.project[wanted]])
        weight = weight / weight.mean()
        start = self.scaled(self.starts.values())
        pull = np.sqrt(PULL * wanted.sum() / 100.0) / 0.5
        errors, slopes = linear.errors[wanted], linear.slopes[wanted]

        def robust(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scaled = (errors + slopes @ (position - linear.about)) / LOSS_SCALE
            bend = np.sqrt(1.0 + scaled**2)
            # sign(s) sqrt(2 (bend - 1)), and its derivative by s; both without a difference of near equals
            return scaled * np.sqrt(2.0 / (bend + 1.0)), np.sqrt((bend + 1.0) / 2.0) / bend

        def residuals(position: np.ndarray) -> np.ndarray:
            return np.concatenate([robust(position)[0] * weight, pull * (position - start)])

        def derivatives(position: np.ndarray) -> np.ndarray:
            rows = (robust(position)[1] * weight / LOSS_SCALE)[:, None] * slopes
            return np.vstack([rows, pull * np.eye(len(start))])

        low, high = np.maximum(linear.about - reach, 0.0), np.minimum(linear.about + reach, 1.0)
        begin = np.clip(linear.about, low + 1e-6, high - 1e-6)
        found = least_squares(residuals, begin, jac=derivatives, bounds=(low, high), max_nfev=100)
        return np.clip(np.asarray(found.x), 1e-6, 1.0 - 1e-6)

    def run(self) -> np.ndarray:
        """Position of the best constants for all rows."""
        every = np.ones(len(self.rows.rows), dtype=bool)
        position = self.scaled(self.starts.values())
        for reach in REACHES:
            position = self.solve(every, self.linear(position), reach)
        return position


def held_out(
    fit: Fit, linear: Linear, key: np.ndarray, say: Callable[[str], None]
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Errors of every row under constants fitted without its source, and those constants."""
    errors = np.full(len(fit.rows.rows), np.nan)
    constants = []
    for name in sorted(set(key)):
        out = key == name
        values = fit.values(fit.solve(~out, linear, HELD_OUT_REACH))
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


def interval(rows: Rows, errors: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """P10 and P90 of measured over predicted over the wanted rows, common and per stack with enough of them.

    A stack's logarithmic quantiles are shrunk towards the common ones by rows / (rows + SHRINK_ROWS).
    """
    ratio = -errors[wanted]
    common = np.quantile(ratio, [0.1, 0.9])
    out = {"throughput_low_factor": np.exp(common[0]), "throughput_high_factor": np.exp(common[1])}
    stacks = np.array([row.run.stack for row in rows.rows])[wanted]
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


def inside(rows: Rows, errors: np.ndarray, factors: dict[str, float]) -> np.ndarray:
    """Which rows' errors the factors hold, as the program would apply them."""
    known = Constants({name: value for name, value in shipped().items() if "throughput" not in name} | factors)
    limits = np.log(np.array([throughput_factors(run=row.run, constants=known) for row in rows.rows], dtype=float))
    return np.asarray((limits[:, 0] <= -errors) & (-errors <= limits[:, 1]))


def coverage(rows: Rows, learnt: np.ndarray, errors: np.ndarray, key: np.ndarray) -> float:
    """Share of rows whose errors lie inside the factors learnt without their project or source."""
    held = np.zeros(len(errors), dtype=bool)
    for name in sorted(set(key)):
        out = key == name
        held[out] = inside(rows, errors, interval(rows, learnt, ~out))[out]
    return float(held.mean())


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
    linear = fit.linear(fit.run())
    best = fit.values(linear.about)
    say("In the fit")
    breakdown(rows, linear.errors, say)
    say("Left out by project")
    by_project, others = held_out(fit, linear, rows.project, say)
    breakdown(rows, by_project, say)
    say("Left out by source")
    by_source, _ = held_out(fit, linear, rows.source, say)
    breakdown(rows, by_source, say)
    factors = interval(rows, by_project, every)
    held = {
        "without the row's project": coverage(rows, by_project, by_project, rows.project),
        "without the row's source": coverage(rows, by_project, by_source, rows.source),
        "as written, rows in the fit": float(inside(rows, linear.errors, factors).mean()),
    }
    for title, share in held.items():
        say(f"80 % interval {title}: holds {share:.1%} of rows")
    result: dict[str, dict[str, float]] = {}
    for name, value in best.items():
        found = [constants[name] for constants in others]
        low, high = np.quantile(found, [0.1, 0.9])
        result[name] = {"base": value, "low": min(low, value), "high": max(high, value)}
    for name, value in factors.items():
        result[name] = {"base": value, "low": value, "high": value}
    write(result)


if __name__ == "__main__":
    main()
