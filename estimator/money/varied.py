"""Plans against one input: where tuning and an API cost the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from estimator.errors import NothingFitsError
from estimator.money.comparison import cheapest_of
from estimator.planning import plan
from estimator.result import COUNTED_STYLES, Arm, Plan
from estimator.scenario import Scenario

EQUAL_FRACTION = 1e-4
"""Costs closer than this are equal: the search for a crossing ends."""

NARROW_FRACTION = 1e-3
"""A bracket narrower than this is a crossing: the costs jump there, as a replica is added."""

MOST_STEPS = 40
DRAWS = 2
"""Draws while a crossing is searched, which is found at base values."""

Saving = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where the cheaper side changes; ``tuning_wins_above`` tells which side tuning wins."""

    value: float
    tuning_wins_above: bool


def plan_or_none(scenario: Scenario, *, command: str = "") -> Plan | None:
    """The plan, or None where nothing fits."""
    try:
        return plan(scenario, command=command)
    except NothingFitsError:
        return None


def tuned_arm(answer: Plan) -> Arm | None:
    """The cheapest way of tuning the model asked for, as the break-even counts them."""
    return cheapest_of([arm for arm in answer.arms if arm.style in COUNTED_STYLES])


def saving_usd(answer: Plan | None, rival: str) -> float | None:
    """Cost of a rival less that of the best tuned arm at base values; None where one of them is missing."""
    if answer is None:
        return None
    tuned = tuned_arm(answer)
    other = next((arm for arm in answer.arms if arm.id == rival), None)
    return other.total_usd.base - tuned.total_usd.base if tuned and other else None


def crossings(
    *,
    scenario_at: Callable[[float], Scenario],
    values: Sequence[float],
    plans: Sequence[Plan | None],
    rival: str,
    logarithmic: bool,
) -> tuple[Crossing, ...]:
    """Every value at which the best tuned arm and a rival change places, to 0.1 %.

    Two crossings between neighbouring values cancel and are missed. Source: derived.

    Args:
        scenario_at: the scenario at a value.
        values, plans: where the costs are known already, ascending.
        rival: id of the API arm.
        logarithmic: search on the logarithm of the value.
    """
    found = []
    known = [saving_usd(answer, rival) for answer in plans]

    def saving(value: float) -> float:
        scenario = replace(scenario_at(value), draws=DRAWS)
        usd = saving_usd(plan_or_none(scenario), rival)
        return math.nan if usd is None else usd

    for place in range(1, len(values)):
        before, after = known[place - 1], known[place]
        if before is None or after is None or (before > 0) == (after > 0):
            continue
        tuned = [tuned_arm(answer) for answer in plans[place - 1 : place + 1] if answer]
        usd = min(arm.total_usd.base for arm in tuned if arm)
        value = root(
            saving,
            ends=(values[place - 1], values[place]),
            at_ends=(before, after),
            equal_usd=EQUAL_FRACTION * usd,
            logarithmic=logarithmic,
        )
        found.append(Crossing(value=value, tuning_wins_above=after > 0))
    return tuple(found)


def root(
    saving: Saving, *, ends: tuple[float, float], at_ends: tuple[float, float], equal_usd: float, logarithmic: bool
) -> float:
    """Where a function that changes its sign between two ends passes zero, or jumps past it.

    Straight-line steps and halvings by turns: most costs are straight lines in most inputs, so that one step of
    the first kind often ends the search; the second kind is safe at a jump. Source: derived.

    >>> ends, at_ends = (1.0, 9.0), (-3.0, 77.0)
    >>> round(root(lambda x: x * x - 4, ends=ends, at_ends=at_ends, equal_usd=1e-9, logarithmic=False), 6)
    2.0
    """
    low, high = ends
    at_low, at_high = at_ends
    narrow = NARROW_FRACTION * max(abs(low), abs(high))
    for step in range(MOST_STEPS):
        if step % 2 == 0:
            tried = low + (high - low) * at_low / (at_low - at_high)
        else:
            tried = math.sqrt(low * high) if logarithmic else (low + high) / 2
        here = saving(tried)
        if abs(here) <= equal_usd:
            return tried
        if math.isnan(here) or high - low <= narrow:
            break
        if (here > 0) == (at_low > 0):
            low, at_low = tried, here
        else:
            high, at_high = tried, here
    return (low + high) / 2
