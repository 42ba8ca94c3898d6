"""Does calibrating on two runs help those that it did not see? The table behind estimator/data/machine.toml.

    python benchmarks/calibration_gain.py [--runs 2] [--draws 60] [--held-out] [--off -0.3]

The shipped calibration rows are grouped by project or team, card and stack; a group stands for a machine. In every
group of at least three more rows, some are drawn, the factors are fitted on them, and the others are predicted.
Printed per group: median absolute error of the others before and after (mean over the draws), the worst draw, and
the share of draws that lose more than a point. --off adds that logarithm to all measurements: a machine far off.
With --held-out the predictions are those of constants fitted without the group's own project or team, as a machine
meets them that no fit has seen; it needs scipy.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from estimator.assumptions import Assumptions, shipped
from estimator.calibration import (
    QUANTITIES,
    Observations,
    absolute_errors,
    accepted,
    most_probable,
    observed,
    prior_of,
)
from estimator.measured import MeasuredRow, read_runs

LOSS = 0.01
OTHERS = 3


def project(source: str) -> str:
    """Who measured: repository or benchmark, without the page."""
    return "MLPerf" if source.startswith("MLPerf") else "/".join(source.split("/")[:2]).split(" ")[0]


def machines(quantity: str, constants: Assumptions, *, least: int) -> dict[str, Observations]:
    """The figures of every group with so many of them."""
    groups: dict[str, list[MeasuredRow]] = {}
    for row in read_runs("memory" if quantity == "memory" else "speed")[0]:
        if row.gpu:
            groups.setdefault(f"{project(row.source)} {row.gpu} {row.run.stack}", []).append(row)
    found = {name: observed(rows, quantity, constants) for name, rows in groups.items()}
    return {name: seen for name, seen in found.items() if len(seen.ids) >= least}


def gains(seen: Observations, quantity: str, constants: Assumptions, *, runs: int, draws: int) -> np.ndarray:
    """Median absolute error of the rows left, before and after; a row a draw."""
    prior = prior_of(constants, QUANTITIES[quantity][1])
    generator = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        drawn = generator.choice(len(seen.ids), runs, replace=False)
        rest = [place for place in range(len(seen.ids)) if place not in drawn]
        known, others = seen.only(drawn.tolist()), seen.only(rest)
        logs = most_probable(seen=known, prior=prior)[0] if accepted(seen=known, prior=prior) else 0.0
        moved = others.errors - others.slopes @ (np.zeros(seen.slopes.shape[1]) + logs)
        found.append([np.median(absolute_errors(others.errors)), np.median(absolute_errors(moved))])
    return np.array(found)


def held_out(quantity: str, found: dict[str, Observations]) -> dict[str, Observations]:
    """The same figures with errors under constants fitted without the project or team of each."""
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
    known = {(project(row.source), row.id): -float(error) for row, error in zip(runs, errors, strict=True)}
    return {
        name: replace(seen, errors=np.array([known[name.split(" ")[0], id] for id in seen.ids]))
        for name, seen in found.items()
    }


def main() -> None:
    """Print the table of both quantities."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--off", type=float, default=0.0)
    asked = parser.parse_args()
    constants = shipped()
    for quantity in QUANTITIES:
        found = machines(quantity, constants, least=asked.runs + OTHERS)
        if asked.held_out:
            found = held_out(quantity, found)
        found = {name: replace(seen, errors=seen.errors + asked.off) for name, seen in found.items()}
        print(f"{quantity}: median error of the rows not drawn, {asked.runs} runs calibrated on")
        every = []
        for name, seen in found.items():
            pairs = gains(seen, quantity, constants, runs=asked.runs, draws=asked.draws)
            lost = pairs[:, 1] - pairs[:, 0]
            every.append([*pairs.mean(axis=0), lost.max(), np.mean(lost > LOSS)])
            print(
                f"  {name:70} {len(seen.ids):4} figures  {pairs[:, 0].mean():6.1%} to"
                f" {pairs[:, 1].mean():6.1%}  worst draw {lost.max():+6.1%}  loses {np.mean(lost > LOSS):4.0%}"
            )
        before, after, worst, share = np.array(every).T
        print(
            f"  all {len(every)} groups: {before.mean():.2%} to {after.mean():.2%}; worst group"
            f" {np.max(after - before):+.2%}, worst draw {worst.max():+.2%},"
            f" {share.mean():.1%} of draws lose a point"
        )


if __name__ == "__main__":
    main()
