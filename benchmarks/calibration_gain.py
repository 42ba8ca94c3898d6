"""Does calibrating on two runs help those that it did not see? The table behind estimator/data/machine.toml.

    python benchmarks/calibration_gain.py [--runs 2] [--draws 100] [--held-out] [--mean] [--off -0.3] [--merge]

The shipped calibration rows are grouped by project or team, card and stack (--merge: by card and stack alone); a
group stands for a machine. In every group of at least three more rows, some are drawn, the factors are fitted on
them, and the others are predicted. Printed per group: median (--mean: mean) absolute error of the others before
and after (mean over the draws), the share of draws that lose at all and that lose more than half a point, the
worst draw, and the share of the others inside the 80 % interval before and after. --off adds that logarithm to all
measurements: a machine far off. With --held-out the predictions are those of constants fitted without the group's
own project or team, as a machine meets them that no fit has seen; it needs scipy. The last lines split the groups
in two halves by project or team: constants chosen on the one must do on the other.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from estimator.assumptions import Assumptions, shipped
from estimator.calibration import QUANTITIES, observed, prior_of
from estimator.calibration_statistics import Observations, absolute_errors, usable
from estimator.measured import MeasuredRow, read_runs
from estimator.memory import memory, predicted_bytes, predicted_range_bytes
from estimator.speed import speed

SEEN, LOSS = 0.0005, 0.005
OTHERS = 3


@dataclass(frozen=True)
class Group:
    """The figures of one machine, with the logarithms of P10 and P90 over the prediction of each."""

    seen: Observations
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Draws:
    """Error of the rows left before and after, and their share inside the interval; an entry a draw."""

    before: np.ndarray
    after: np.ndarray
    inside_before: float
    inside_after: float


def project(source: str) -> str:
    """Who measured: repository or benchmark, without the page."""
    return "MLPerf" if source.startswith("MLPerf") else "/".join(source.split("/")[:2]).split(" ")[0]


def interval(row: MeasuredRow, quantity: str, constants: Assumptions) -> tuple[float, float]:
    """Logarithms of P10 and P90 over the prediction."""
    if quantity == "speed":
        going = speed(run=row.run, constants=constants)
        return math.log(float(going.low_factor)), math.log(float(going.high_factor))
    held = memory(run=row.run, constants=constants)
    ((kind, _),) = row.memories
    low, high = predicted_range_bytes(run=row.run, predicted=held, kind=kind, constants=constants)
    middle = float(predicted_bytes(predicted=held, kind=kind))
    return math.log(float(low) / middle), math.log(float(high) / middle)


def machines(quantity: str, constants: Assumptions, *, least: int, errors: dict, merge: bool) -> dict[str, Group]:
    """The figures of every group with so many of them; ``errors`` replaces ln(measured / predicted)."""
    groups: dict[str, list[MeasuredRow]] = {}
    for row in read_runs(quantity)[0]:
        if row.gpu and (row.memories if quantity == "memory" else row.tokens_per_s_per_gpu):
            who = "all" if merge else project(row.source)
            groups.setdefault(f"{who} {row.gpu} {row.run.stack}", []).append(row)
    found = {}
    for name, rows in groups.items():
        if len(rows) >= least:
            seen = observed(rows, quantity, constants)
            if errors:
                seen = replace(seen, errors=np.array([errors[project(row.source), row.id] for row in rows]))
            low, high = np.array([interval(row, quantity, constants) for row in rows]).T
            found[name] = Group(seen, low, high)
    return found


def held_out(quantity: str) -> dict[tuple[str, str], float]:
    """ln(measured / predicted) under constants fitted without the project or team of each row."""
    if quantity == "speed":
        import fit_speed

        rows = fit_speed.Rows(read_runs("speed")[0])
        fit = fit_speed.Fit(rows)
        linear = fit.linear(fit.scaled([fit.base[name] for name in fit.names]))
        errors, _ = fit_speed.held_out(fit, linear, rows.project, lambda text: None)
        runs = rows.rows
    else:
        import fit_memory

        runs = read_runs("memory")[0]
        errors, _ = fit_memory.Fit(runs, shipped()).held_out(fit_memory.team, dict(shipped()))
    return {(project(row.source), row.id): -float(error) for row, error in zip(runs, errors, strict=True)}


def gains(
    group: Group, quantity: str, constants: Assumptions, *, runs: int, draws: int, figure: Callable
) -> Draws:
    """Some runs drawn, calibrated on, and the others predicted; so many times."""
    prior = prior_of(constants, QUANTITIES[quantity][1])
    generator = np.random.default_rng(0)
    seen, count = group.seen, len(group.seen.ids)
    before, after, inside = [], [], []
    for _ in range(draws):
        drawn = generator.choice(count, runs, replace=False).tolist()
        rest = [place for place in range(count) if place not in drawn]
        others = seen.only(rest)
        moved = others.errors - others.slopes @ usable(seen=seen.only(drawn), prior=prior)
        before.append(figure(absolute_errors(others.errors)))
        after.append(figure(absolute_errors(moved)))
        low, high = group.low[rest], group.high[rest]
        inside.append([np.mean((low <= left) & (left <= high)) for left in (others.errors, moved)])
    return Draws(np.array(before), np.array(after), *np.mean(inside, axis=0))


def total(title: str, found: list[Draws]) -> None:
    """One line over groups, each counted once."""
    before, after = (np.array([getattr(each, name).mean() for each in found]) for name in ("before", "after"))
    lost = [each.after - each.before for each in found]
    moved, seen, half = (
        np.mean([np.mean(test(one)) for one in lost])
        for test in (lambda x: x != 0.0, lambda x: x > SEEN, lambda x: x > LOSS)
    )
    inside = [np.mean([getattr(each, f"inside_{when}") for each in found]) for when in ("before", "after")]
    print(
        f"  {title}: {before.mean():.2%} to {after.mean():.2%}; draws: {moved:.0%} move, {seen:.1%} lose at all,"
        f" {half:.1%} lose half a point; worst draw {max(one.max() for one in lost):+.2%}, worst group"
        f" {max(one.mean() for one in lost):+.2%}; in 80 %: {inside[0]:.0%} to {inside[1]:.0%}"
    )


def main() -> None:
    """Print the table of both quantities."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--mean", action="store_true")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--off", type=float, default=0.0)
    asked = parser.parse_args()
    constants, figure = shipped(), np.mean if asked.mean else np.median
    for quantity in QUANTITIES:
        errors = held_out(quantity) if asked.held_out else {}
        found = machines(quantity, constants, least=asked.runs + OTHERS, errors=errors, merge=asked.merge)
        print(f"{quantity}: {figure.__name__} error of the rows not drawn, {asked.runs} runs calibrated on")
        every = {}
        for name, group in found.items():
            moved = replace(group, seen=replace(group.seen, errors=group.seen.errors + asked.off))
            every[name] = each = gains(
                moved, quantity, constants, runs=asked.runs, draws=asked.draws, figure=figure
            )
            lost = each.after - each.before
            print(
                f"  {name:66} {len(group.seen.ids):4} rows  {each.before.mean():6.1%} to {each.after.mean():6.1%}"
                f"  loses {np.mean(lost > SEEN):4.0%}, half a point {np.mean(lost > LOSS):4.0%}"
                f"  worst {lost.max():+6.1%}  in 80 %: {each.inside_before:4.0%} to {each.inside_after:4.0%}"
            )
        total(f"all {len(every)} groups", list(every.values()))
        teams = sorted({name.split(" ")[0] for name in every})
        for half in (0, 1):
            members = [each for name, each in every.items() if name.split(" ")[0] in teams[half::2]]
            if members:
                total(f"half {half + 1} ({len(members)} groups)", members)


if __name__ == "__main__":
    main()
