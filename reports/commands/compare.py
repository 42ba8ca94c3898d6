"""``ftcost compare``: plans of several scenario files side by side, and what makes the difference."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from estimator.errors import InputError, NothingFitsError
from estimator.planning import plan
from estimator.result import GROUPS, Arm, Estimate, Plan
from estimator.words import money, percent
from reports.commands.scenario_file import planned_as
from reports.flags import scenario_of
from reports.screen import GAP, Screen, numbers, words
from reports.style import duration, quantity, short_label, shortened
from reports.terminal import hardware, spread, volume

SCHEMA = 1
SMALLEST_USD = 0.5
"""Differences below it are left out of the tables."""

LINE_WIDTH = 41
"""Columns of the longest cost line's name."""
SHORTEST_NAME = 8


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One scenario file with its plan."""

    name: str
    plan: Plan
    tuned: Arm | None

    @property
    def recommended(self) -> Arm:
        """The arm of the verdict."""
        return self.plan.arm(self.plan.verdict.arm)


def compared(paths: Sequence[Path], *, profile: str | None = None) -> list[Compared]:
    """The plan of every file, under a profile where one is named.

    Raises:
        InputError: fewer than two files, or one that cannot be used.
        NothingFitsError: nothing fits in one of them; the message names it.
    """
    if len(paths) < 2:
        raise InputError("compare needs two scenario files or more. `ftcost init > plan.toml` writes one.")
    found = []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            given = planned_as(path) | ({} if profile is None else {"profile": profile})
            words = "" if profile is None else f" --profile {shlex.quote(profile)}"
            answer = plan(scenario_of(given), command=f"ftcost plan {path}{words}")
        except NothingFitsError as error:
            raise NothingFitsError(f"{path}: {error}") from None
        except InputError as error:
            text = str(error)
            raise error if str(path) in text else InputError(f"{path}: {text}") from None
        found.append(
            Compared(name=name, plan=answer, tuned=answer.arm(answer.best_tuned) if answer.best_tuned else None)
        )
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """File names without ending, or as much of the path as tells them apart, or numbers before all else alike."""
    for names in ([path.stem for path in paths], [os.fspath(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{place}. {path}" for place, path in enumerate(paths, 1)]


def inputs(found: Sequence[Compared]) -> dict[str, list[str]]:
    """What was asked differently: fields and assumptions with their value in each scenario."""
    rows: dict[str, list[str]] = {}
    scenarios = [one.plan.scenario for one in found]
    for field in fields(scenarios[0]):
        if field.name != "assumptions":
            rows[field.name] = [_plain(getattr(scenario, field.name)) for scenario in scenarios]
    for name in dict.fromkeys(name for scenario in scenarios for name in scenario.assumptions):
        rows[name] = [
            quantity(scenario.assumptions[name]) if name in scenario.assumptions else "-" for scenario in scenarios
        ]
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "any"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None or value == "" else str(value)


def lines(found: Sequence[Compared]) -> dict[tuple[str, str], list[float]]:
    """Cost of every line of the best tuned arms; zero where an arm lacks the line."""
    sums: list[dict[tuple[str, str], float]] = []
    for one in found:
        own: dict[tuple[str, str], float] = {}
        for line in one.tuned.lines if one.tuned else ():
            own[line.group, line.name] = own.get((line.group, line.name), 0.0) + line.total_usd
        sums.append(own)
    keys = sorted(dict.fromkeys(key for own in sums for key in own), key=lambda key: GROUPS.index(key[0]))
    return {key: [own.get(key, 0.0) for own in sums] for key in keys}


def common_rivals(found: Sequence[Compared]) -> dict[str, str]:
    """Id and label of the API arms that every plan has a break-even with."""
    shared = set.intersection(*({one.rival for one in each.plan.break_evens} for each in found))
    return {arm.id: short_label(arm) for arm in found[0].plan.arms if arm.id in shared}


def pays_from(one: Compared, rival: str) -> float | None:
    """Requests a day from which the best tuned arm costs less than a rival."""
    return next(each.lowest_per_day for each in one.plan.break_evens if each.rival == rival)


def show(found: Sequence[Compared], screen: Screen) -> None:
    """Everything side by side."""
    room = (screen.width - LINE_WIDTH) // len(found) - GAP
    names = [shortened(one.name, max(room, SHORTEST_NAME)) for one in found]
    screen.line(f"ftcost {found[0].plan.version}: {len(found)} scenarios", strong=True)
    screen.table(words("", *names), _answers(found))
    asked = inputs(found)
    screen.heading("Asked differently")
    if asked:
        screen.table(words("input", *names), [[name.replace("_", " "), *values] for name, values in asked.items()])
    else:
        screen.line("Nothing.")
    if any(one.tuned for one in found):
        _groups(found, names, screen)
        _rivals(found, names, screen)
        _lines(found, names, screen)


def _answers(found: Sequence[Compared]) -> list[list[str]]:
    def row(title: str, texts: Sequence[str]) -> list[str]:
        return [title, *texts]

    tuned = [one.tuned for one in found]
    runs = [arm.training if arm else None for arm in tuned]
    return [
        row("model", [one.plan.model.id for one in found]),
        row("recommended", [short_label(one.recommended) for one in found]),
        row("  base", [money(one.recommended.total_usd.base) for one in found]),
        row("  P10 to P90", [spread(one.recommended.total_usd) for one in found]),
        row("  cheapest in", [f"{percent(one.recommended.probability_cheapest)} of draws" for one in found]),
        row("best tuned", [arm.label if arm else "none" for arm in tuned]),
        row("  base", [money(arm.total_usd.base) if arm else "-" for arm in tuned]),
        row("  P10 to P90", [spread(arm.total_usd) if arm else "-" for arm in tuned]),
        row("  a run on", [hardware(run).replace("\n", "; ") if run else "-" for run in runs]),
        row("  a run", [f"{duration(run.hours.base)}, {money(run.usd.base)}" if run else "-" for run in runs]),
    ]


def _groups(found: Sequence[Compared], names: Sequence[str], screen: Screen) -> None:
    screen.heading("Best tuned option by cost group, USD at base assumptions")
    rows = []
    for group in GROUPS:
        usd = [one.tuned.groups_usd[group] if one.tuned else 0.0 for one in found]
        if any(usd):
            rows.append([group, *map(money, usd)])
    rows.append(["total", *(money(one.tuned.total_usd.base) if one.tuned else "-" for one in found)])
    screen.table([*words("group"), *numbers(*names)], rows)


def _rivals(found: Sequence[Compared], names: Sequence[str], screen: Screen) -> None:
    rivals = common_rivals(found)
    if not rivals:
        return
    screen.heading("Requests a day from which the best tuned option costs less")
    rows = [[text, *(volume(pays_from(one, rival)) for one in found)] for rival, text in rivals.items()]
    screen.table([*words("than"), *numbers(*names)], rows)


def _lines(found: Sequence[Compared], names: Sequence[str], screen: Screen) -> None:
    screen.heading(f"Best tuned option line by line: {names[0]}, and the others less {names[0]}")
    rows = [
        (
            max(abs(usd - costs[0]) for usd in costs),
            [name, money(costs[0]), *(_signed(c - costs[0]) for c in costs[1:])],
        )
        for (_, name), costs in lines(found).items()
    ]
    shown = sorted((row for row in rows if row[0] >= SMALLEST_USD), key=lambda row: -row[0])
    if not shown:
        screen.line("No line differs.")
        return
    screen.table([*words("line"), *numbers(*names)], [row for _, row in shown])
    same = len(rows) - len(shown)
    alike = "no line is alike" if same == 0 else "1 line is alike" if same == 1 else f"{same} lines are alike"
    screen.line(f"Largest difference first; {alike}.")


def _signed(usd: float) -> str:
    if abs(usd) < SMALLEST_USD:
        return "="
    return f"+{money(usd)}" if usd > 0 else money(usd)


def as_json(found: Sequence[Compared]) -> str:
    """The comparison as JSON, schema 1; lists are in the order of the scenarios."""
    rivals = common_rivals(found)
    document = {
        "schema": SCHEMA,
        "scenarios": [
            {
                "name": one.name,
                "command": one.plan.command,
                "scenario_hash": one.plan.scenario_hash,
                "model": one.plan.model.id,
                "recommended": _arm(one.recommended),
                "best_tuned": _arm(one.tuned) if one.tuned else None,
            }
            for one in found
        ],
        "asked_differently": inputs(found),
        "pays_from_requests_per_day": {rival: [pays_from(one, rival) for one in found] for rival in rivals},
        "best_tuned_lines": [
            {
                "group": group,
                "name": name,
                "usd": costs,
                "usd_less_first": [usd - costs[0] for usd in costs],
            }
            for (group, name), costs in lines(found).items()
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _arm(arm: Arm) -> Mapping[str, Any]:
    total: Estimate = arm.total_usd
    return {"arm": arm.id, "label": arm.label, "total_usd": asdict(total), "groups_usd": dict(arm.groups_usd)}
