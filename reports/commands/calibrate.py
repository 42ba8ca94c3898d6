"""``ftcost calibrate``: factors of a machine from its measured runs, kept as a profile."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from estimator.assumptions import shipped
from estimator.calibration import Gain, MachineFit, calibrate
from estimator.calibration_statistics import CHANCE
from estimator.errors import InputError
from estimator.measured import RowProblem, read_runs
from estimator.profiles import (
    ENDING,
    Profile,
    check_name,
    machines_of,
    profile_folder,
    profile_names,
    profile_toml,
    read_profile,
)
from estimator.version import VERSION
from reports.console import say
from reports.files import write_files
from reports.screen import Screen, numbers, words

SCHEMA = 1
VERSION_COLUMNS = ("torch", "transformers", "peft", "bitsandbytes", "driver", "cuda", "python")
TITLES = {"speed": "training speed", "memory": "peak memory"}
FACTOR_TITLES = {
    "machine_rate_factor": "share of peak",
    "machine_bandwidth_factor": "memory bandwidth",
    "machine_launch_factor": "launch time",
    "machine_link_factor": "links",
    "machine_memory_factor": "working memory",
}


def calibrate_file(path: Path, *, name: str | None, folder: Path | None, replace: bool, as_json: bool) -> None:
    """Fit, show and write the profile.

    Raises:
        InputError: no run that can be used, a name that cannot be, or one that is taken.
    """
    profile_name = check_name(path.stem if name is None else name)
    if profile_name in profile_names(folder) and not replace:
        raise InputError(f"profile {profile_name} exists. Give another --name, or --replace it.")
    rows, problems = read_runs(path)
    fits = calibrate(rows, shipped())
    if not fits:
        reasons = "".join(f" {one.id}: {one.reason}" for one in problems[:1])
        raise InputError(f"{path} has no run with a card and a measured speed or memory.{reasons}")
    profile = Profile(
        name=profile_name,
        created=date.today().isoformat(),
        program=VERSION,
        source=path.name,
        versions=software(path),
        machines=machines_of(fits),
    )
    text = profile_toml(profile)
    (target,) = write_files(
        profile_folder(folder), {f"{profile_name}{ENDING}": text.encode()}, flag="--config-dir"
    )
    if as_json:
        print(json.dumps(_document(profile, fits, problems), indent=2))
    else:
        show_fits(fits, problems, Screen())
        if not any(fit.factors for fit in fits):
            say("ftcost: nothing moved; the shipped constants stay. More runs, of other models and methods, may.")
    say(f"wrote {target}")
    say(f"ftcost plan --profile {profile_name} uses it; ftcost validate --runs {path} --profile {profile_name}")


def software(path: Path) -> dict[str, str]:
    """Versions that the rows name, each value once."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [row for row in csv.DictReader(file) if row]
    found = {
        column: ", ".join(dict.fromkeys(row[column] for row in cells if row.get(column)))
        for column in VERSION_COLUMNS
    }
    return {column: value for column, value in found.items() if value}


def _document(profile: Profile, fits: Sequence[MachineFit], problems: Sequence[RowProblem]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": profile.name,
        "source": profile.source,
        "machines": [asdict(fit) for fit in fits],
        "not_used": [asdict(problem) for problem in problems],
    }


def show_fits(fits: Sequence[MachineFit], problems: Sequence[RowProblem], screen: Screen) -> None:
    """Errors before and after, and the factors, machine by machine."""
    for place, fit in enumerate(fits):
        title = f"{fit.gpu} with {fit.stack}: {len(fit.ids)} {'run' if len(fit.ids) == 1 else 'runs'}"
        screen.heading(title) if place else screen.line(title, strong=True)
        screen.table(
            [
                *words("absolute error"),
                *numbers("figures", "median", "fitted", "mean unseen", "fitted"),
                *words("factors"),
            ],
            [
                [
                    TITLES[gain.quantity],
                    str(gain.runs),
                    *map(_percent, (gain.before, gain.after, gain.unseen_before, gain.unseen_after)),
                    "kept" if gain.kept else "not used",
                ]
                for gain in fit.gains
            ],
        )
        for gain in fit.gains:
            for line in _remarks(gain):
                screen.line(line)
        if fit.factors:
            screen.line()
            screen.table(
                [*words("times the shipped constant"), *numbers("factor", "P10 to P90")],
                [
                    [FACTOR_TITLES[factor.what], f"{factor.base:.3f}", f"{factor.low:.3f} to {factor.high:.3f}"]
                    for factor in fit.factors
                ],
            )
    if problems:
        screen.heading(f"Not used ({len(problems)})")
        for problem in problems:
            screen.item(f"{problem.id}: {problem.reason}")


def _remarks(gain: Gain) -> list[str]:
    """Why factors are not used, and what runs that exhausted the card said, in a sentence each."""
    found = []
    title = TITLES[gain.quantity].capitalize()
    if not gain.kept:
        why = (
            "chance explains errors as small, or as unlike each other, as these"
            if gain.reason == CHANCE
            else "fitted on some of the runs, they predict the others worse"
        )
        found.append(f"{title} not used, because {why}.")
    elif gain.unseen_before is None:
        found.append(f"{title}: one run, and none to check it on.")
    if gain.exhausted:
        runs = "1 run" if gain.exhausted == 1 else f"{gain.exhausted} runs"
        said = (
            f"{gain.bounds} of them, predicted to need less than the card holds, counted as needing more"
            if gain.bounds
            else "as predicted, so that nothing follows"
        )
        found.append(f"{title}: {runs} ran out of memory; {said}.")
    return found


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def show_profiles(folder: Path | None, *, as_json: bool) -> None:
    """Every profile with its cards and stacks."""
    found = [read_profile(name, folder=folder) for name in profile_names(folder)]
    if as_json:
        print(json.dumps([asdict(profile) for profile in found], indent=2))
        return
    screen = Screen()
    if not found:
        screen.line(f"No profile in {profile_folder(folder)}. `ftcost calibrate runs.csv` makes one.")
        return
    screen.table(
        [*words("profile", "made", "from", "card", "stack"), *numbers("runs", "factors")],
        [
            [
                profile.name,
                profile.created,
                profile.source,
                machine.gpu,
                machine.stack,
                str(len(machine.runs)),
                str(len(machine.factors)),
            ]
            for profile in found
            for machine in profile.machines
        ],
    )
