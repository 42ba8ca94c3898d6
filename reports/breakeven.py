"""``ftcost breakeven``: cost of the best tuned option and of every API arm against one number, and where they cross."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from estimator.errors import InputError, NothingFitsError
from estimator.planning import plan
from estimator.result import Arm, Estimate, Plan
from estimator.scenario import Scenario
from estimator.varied import Crossing, crossings, plan_or_none, tuned_arm
from estimator.words import money
from reports.flags import scenario_of
from reports.scenario_file import Given
from reports.screen import Column, Screen, numbers, words
from reports.style import quantity
from reports.terminal import label
from reports.vary import Axis, axis, counting, grid

SCHEMA = 1
FILES = ("breakeven.csv", "breakeven.png")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Costs against one number.

    Attributes:
        axis: what is varied.
        plans: the plan at each value of the axis; None where nothing fits.
        rivals: id and label of every API arm that one of the plans has.
        crossings: by id of the API arm.
    """

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


def _cost(answer: Plan | None, arm_id: str) -> Estimate | None:
    arms = answer.arms if answer else ()
    return next((arm.total_usd for arm in arms if arm.id == arm_id), None)


def curve(given: Given, text: str, *, command: str) -> Curve:
    """Plans at every value of --vary, and the crossings between them.

    Raises:
        InputError: values that are not numbers, or that a flag refuses.
        NothingFitsError: nothing fits at any value.
    """
    one = axis(text)
    if not one.number or len(one.values) < 2:
        raise InputError(f"--vary {text}: write a number's range, such as requests-per-day=1e3:1e7.")
    one = Axis(**{**vars(one), "values": tuple(sorted(one.values))})
    scenarios = [scenario_of(point.given) for point in grid(given, [one])]

    def scenario_at(value: float) -> Scenario:
        whole = isinstance(one.values[0], int)
        return scenario_of(one.put(given, round(value) if whole else value))

    with counting(sys.stderr, len(scenarios)) as tell:
        plans = []
        for done, scenario in enumerate(scenarios):
            tell(done)
            plans.append(plan_or_none(scenario, command=command))
        if not any(plans):
            plan(scenarios[-1])
        rivals = {arm.id: arm.label for answer in plans if answer for arm in answer.arms if arm.kind == "api"}
        crossed = {
            rival: crossings(
                scenario_at=scenario_at, values=one.values, plans=plans, rival=rival, logarithmic=one.logarithmic
            )
            for rival in rivals
        }
    return Curve(axis=one, plans=tuple(plans), rivals=rivals, crossings=crossed)
