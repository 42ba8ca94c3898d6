"""``ftcost breakeven``: cost of tuning and of every API arm against one number, and where they cross."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from estimator.errors import InputError
from estimator.money.api_arms import baselines
from estimator.money.series import DAYS_PER_MONTH
from estimator.money.varied import Crossing, crossings, plan_or_none, tuned_arm
from estimator.numbers import HOURS_PER_MONTH
from estimator.planning import plan
from estimator.result import Arm, Estimate, Plan
from estimator.scenario import Scenario
from estimator.words import money
from reports import findings
from reports.commands.scenario_file import Given, overlaid
from reports.commands.vary import Axis, axis, counting, grid
from reports.flags import scenario_of
from reports.screen import Column, Screen, numbers, words
from reports.style import quantity, short_label

SCHEMA = 1
TITLE_WIDTH = 9
NOWHERE, EVERYWHERE = "nowhere in this range", "in all of this range"
FILES = ("breakeven.csv", "breakeven.png")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Costs against one number.

    Attributes:
        asked: the scenario in which one number is varied.
        axis: what is varied.
        plans: the plan at each value of the axis; None where nothing fits.
        rivals: id and label of every API arm that one of the plans has.
        crossings: by id of the API arm.
    """

    asked: Scenario
    axis: Axis
    plans: tuple[Plan | None, ...]
    rivals: Mapping[str, str]
    crossings: Mapping[str, tuple[Crossing, ...]]

    def tuned(self) -> list[Arm | None]:
        """The best tuned arm at each value."""
        return [tuned_arm(answer) if answer else None for answer in self.plans]

    def costs(self, rival: str) -> list[Estimate | None]:
        """Cost of an API arm at each value."""
        return [_cost(answer, rival) for answer in self.plans]

    def some_plan(self) -> Plan:
        """The plan at the last value at which something fits."""
        return next(answer for answer in reversed(self.plans) if answer)

    @property
    def name(self) -> str:
        """What is varied, in words."""
        return self.axis.name.replace("_", " ")


def _cost(answer: Plan | None, arm_id: str) -> Estimate | None:
    arms = answer.arms if answer else ()
    return next((arm.total_usd for arm in arms if arm.id == arm_id), None)


def curve(given: Given, text: str, *, command: str) -> Curve:
    """Plans at every value of --vary, and the crossings between them.

    The API models are those that the scenario is compared with before anything is varied: the choice of one per
    price tier depends on the tokens of a request, and a curve follows one model.

    Raises:
        InputError: values that are not numbers, or that a flag refuses.
        NothingFitsError: nothing fits at any value.
    """
    one = axis(text)
    if not one.number or len(one.values) < 2:
        raise InputError(f"--vary {text}: write a number's range, such as requests-per-day=1e3:1e7.")
    one = replace(one, values=tuple(sorted(one.values)))
    asked = scenario_of(given)
    if not asked.baselines and not asked.no_api:
        given = overlaid(given, {"baseline": _baselines(asked)})
    scenarios = [scenario_of(point.given) for point in grid(given, [one])]

    def scenario_at(value: float) -> Scenario:
        return scenario_of(one.put(given, round(value) if one.whole else value))

    with counting(sys.stderr, len(scenarios)) as tell:
        plans = []
        for done, scenario in enumerate(scenarios):
            tell(done)
            plans.append(plan_or_none(scenario, command=command))
        if not any(plans):
            plan(scenarios[-1])  # Raises what does not fit.
        rivals = {
            arm.id: short_label(arm) for answer in plans if answer for arm in answer.arms if arm.kind == "api"
        }
        crossed = {
            rival: crossings(
                scenario_at=scenario_at, values=one.values, plans=plans, rival=rival, logarithmic=one.logarithmic
            )
            for rival in rivals
        }
    return Curve(asked=asked, axis=one, plans=tuple(plans), rivals=rivals, crossings=crossed)


def _baselines(asked: Scenario) -> tuple[str, ...]:
    horizon_end = asked.as_of + timedelta(hours=HOURS_PER_MONTH * asked.assumptions["horizon_months"])
    return tuple(model.reference for model in baselines(scenario=asked, horizon_end=horizon_end))


def outcome(found: Curve, rival: str) -> str:
    """Where tuning costs less than an API arm, in words."""
    tuned, costs = found.tuned(), found.costs(rival)
    pairs = [
        (value, cost.base - arm.total_usd.base)
        for value, arm, cost in zip(found.axis.values, tuned, costs, strict=True)
        if arm and cost
    ]
    if not pairs:
        return "not comparable"
    wins = pairs[0][1] > 0
    ends: list[float | None] = [None] if wins else []
    ends += [crossing.value for crossing in found.crossings[rival]]
    if not ends:
        return NOWHERE
    if ends == [None]:
        return EVERYWHERE
    if len(ends) % 2:
        ends.append(None)
    parts = []
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        if low is None:
            parts.append(f"below {_short(high or 0.0)}")
        elif high is None:
            parts.append(f"above {_short(low)}")
        else:
            parts.append(f"{_short(low)} to {_short(high)}")
    return "; ".join(parts)


def outcome_by_month(found: Curve, rival: str) -> str:
    """The same with each volume by the month too, where the requests of a day are varied."""
    text = outcome(found, rival)
    if found.axis.name != "requests_per_day" or not found.crossings[rival]:
        return text
    monthly = {**found.crossings}
    monthly[rival] = tuple(replace(one, value=one.value * DAYS_PER_MONTH) for one in found.crossings[rival])
    return f"{text} a day ({outcome(replace(found, crossings=monthly), rival)} a month)"


def _short(value: float) -> str:
    return quantity(float(f"{value:.3g}"))


def show(found: Curve, screen: Screen) -> None:
    """Both tables: costs against the number, and crossings."""
    some = found.some_plan()
    months = {answer.scenario.assumptions["horizon_months"] for answer in found.plans if answer}
    over = f" over {findings.months_text(round(min(months)))}" if len(months) == 1 else ""
    screen.line(f"ftcost {some.version}: {some.model.id}, cost{over} against {found.name}", strong=True)
    _costs(found, screen)
    screen.line(f"USD at base assumptions. tuned: {_tuned_words(found)}. least: of these columns.")
    if not found.rivals:
        screen.line("No API model is compared.")
        return
    screen.heading(f"Where tuning costs less, by {found.name}")
    rows = [
        [str(place), text, outcome_by_month(found, rival)]
        for place, (rival, text) in enumerate(found.rivals.items(), 1)
    ]
    screen.table([*numbers("#"), *words("than", "tuning costs less")], rows)
    screen.line("Quality is taken to be equal.")


def _costs(found: Curve, screen: Screen) -> None:
    title = textwrap.fill(found.name, TITLE_WIDTH)
    tuned = [arm.total_usd.base if arm else None for arm in found.tuned()]
    rivals = [[one.base if one else None for one in found.costs(rival)] for rival in found.rivals]
    heads = [str(place) for place in range(1, len(rivals) + 1)]
    lead = [_value(value) for value in found.axis.values]
    room = screen.width - max(map(len, [*lead, *title.split("\n")])) - len(" tuned") - len(" least")
    shown = max(room // (1 + max((len(_usd(usd)) for one in rivals for usd in one), default=1)), 1)
    for first in range(0, max(len(rivals), 1), shown):
        part = rivals[first : first + shown]
        rows = []
        for place, value in enumerate(lead):
            every = {"tuned": tuned[place]} | {head: one[place] for head, one in zip(heads, rivals, strict=True)}
            known = {head: cost for head, cost in every.items() if cost is not None}
            least = min(known, key=lambda head: known[head]) if known else "-"
            rows.append([value, _usd(tuned[place]), *(_usd(one[place]) for one in part), least])
        screen.line()
        columns = [*numbers(title, "tuned", *heads[first : first + shown]), Column("least", number=True)]
        screen.table(columns, rows, gap=1)


def _value(value: float) -> str:
    """A value of the axis, in few characters where it is large."""
    return quantity(value) if abs(value) < 1e5 else money(value).replace("$", "")


def _usd(cost: float | None) -> str:
    return "-" if cost is None else money(cost).replace("$", "")


def _tuned_words(found: Curve) -> str:
    """The best tuned option by range of the axis."""
    stretches: list[tuple[str, Any]] = []
    for value, arm in zip(found.axis.values, found.tuned(), strict=True):
        text = arm.label if arm else "nothing fits"
        if not stretches or stretches[-1][0] != text:
            stretches.append((text, value))
    first, *later = stretches
    return "; ".join([first[0], *(f"{text} from {_value(value)}" for text, value in later)])


def as_json(found: Curve) -> str:
    """The curve as JSON, schema 1."""
    points = [
        {
            "value": value,
            "tuned": {"arm": arm.id, "label": arm.label, "total_usd": asdict(arm.total_usd)} if arm else None,
            "rivals": {rival: asdict(one) for rival in found.rivals if (one := found.costs(rival)[place])},
        }
        for place, (value, arm) in enumerate(zip(found.axis.values, found.tuned(), strict=True))
    ]
    document = {
        "schema": SCHEMA,
        "vary": {"name": found.axis.name, "unit": found.axis.unit, "logarithmic": found.axis.logarithmic},
        "points": points,
        "crossings": {rival: [asdict(one) for one in ones] for rival, ones in found.crossings.items()},
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def files(found: Curve) -> dict[str, bytes]:
    """Table and picture by file name."""
    from reports.commands.sweep import arm_rows, csv_bytes
    from reports.commands.vary import written
    from reports.drawn.breakeven_chart import picture

    rows = [
        {found.axis.name: written(value)} | row
        for value, answer in zip(found.axis.values, found.plans, strict=True)
        if answer
        for row in arm_rows(answer)
    ]
    return dict(zip(FILES, (csv_bytes([found.axis], rows), picture(found)), strict=True))
