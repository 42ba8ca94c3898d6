"""The answer in words: which way, at what cost, what decides it, and what would flip it."""

from __future__ import annotations

from collections.abc import Sequence

from estimator.money.series import DAYS_PER_MONTH
from estimator.result import COUNTED_STYLES, REPLICA_LINES, Arm, BreakEven, Estimate, Sensitivity, Verdict
from estimator.scenario import Scenario
from estimator.words import count, counted, every, money, percent

MOST_DIFFERENCES = 3
LEAST_SHARE = 0.05
"""Share of the largest difference below which a cost group does not decide."""

MOST_SWITCHES = 2
BARE_UNITS = ("ratio", "fraction")


def verdict(
    scenario: Scenario,
    winner: Arm,
    tuned: Arm | None,
    rival: Arm | None,
    against: BreakEven | None,
    drivers: Sequence[Sensitivity],
    tuning_probability: float,
    keeping_up_usd_per_year: float | None,
) -> Verdict:
    """The cheapest way, the facts that decide it, and the changes that would flip it.

    Args:
        winner: the cheapest way of all.
        tuned: the cheapest way of tuning the model asked for, or a closed one that is the cheapest of all.
        rival: the cheapest way without tuning.
        against: break-even of tuning against the rival.
        drivers: what each assumption does to the cost of ``tuned`` less that of ``rival``.
        tuning_probability: share of draws in which some way of tuning is the cheapest.
        keeping_up_usd_per_year: of a retrain at every change of the facts; None where nothing is said of them.
    """
    months = scenario.assumptions["horizon_months"]
    over = counted(round(months), "month")
    others = [arm for arm in (rival, tuned) if arm is not None and arm is not winner]
    reasons: list[str] = []
    if others:
        other = min(others, key=lambda arm: arm.total_usd.base)
        reasons.append(
            f"{other.label} costs {_range(other.total_usd)}; {winner.label} is the cheapest of all options in"
            f" {percent(winner.probability_cheapest)} of the draws, if quality is equal; some way of tuning is in"
            f" {percent(tuning_probability)}"
        )
        reasons.append(_difference(winner, other))
    reasons += _binding(scenario, winner, tuned, keeping_up_usd_per_year)
    flips: list[str] = []
    if tuned and rival and winner in (tuned, rival):
        if tuned.style in COUNTED_STYLES:
            flips += _volume(scenario, against, winner is tuned)
        flips += _switches(scenario, tuned, rival, drivers)
        if not flips:
            flips.append("no single assumption within its range changes the answer")
    return Verdict(
        arm=winner.id,
        headline=f"{winner.label}: {_range(winner.total_usd)}, over {over}",
        reasons=tuple(reasons),
        flips=tuple(flips),
    )


def _range(usd: Estimate) -> str:
    spread = f"median {money(usd.p50)}, {money(usd.p10)} to {money(usd.p90)} in 80 % of the draws"
    return f"{money(usd.base)} at base assumptions; {spread}"


def _difference(winner: Arm, other: Arm) -> str:
    """Where the other way costs more, and where less, by cost group."""
    more = {group: other.groups_usd[group] - usd for group, usd in winner.groups_usd.items()}
    largest = max(abs(usd) for usd in more.values())
    ranked = sorted(more.items(), key=lambda pair: -abs(pair[1]))[:MOST_DIFFERENCES]
    told = [(group, usd) for group, usd in ranked if abs(usd) >= LEAST_SHARE * largest]
    parts = [f"{money(abs(usd))} {'more' if usd > 0 else 'less'} for {group}" for group, usd in told]
    return f"{other.label} costs {', '.join(parts)}"


def _binding(
    scenario: Scenario, winner: Arm, tuned: Arm | None, keeping_up_usd_per_year: float | None
) -> list[str]:
    """What holds the cost of tuning where it is: replicas, or facts that move."""
    found = []
    days = scenario.data_changes_every_days
    if tuned is not winner and days is not None and keeping_up_usd_per_year is not None:
        yearly = money(keeping_up_usd_per_year)
        found.append(f"facts change {every(days)}: keeping up by retraining would cost {yearly} a year")
    elif scenario.goal == "facts" and winner.style == "retrieval":
        found.append("facts are looked up; a tuned model knows them only until they change")
    serving = tuned.serving if tuned else None
    if tuned and serving and any(line.name in REPLICA_LINES for line in tuned.lines):
        replicas = counted(serving.replicas, "replica")
        idle = percent(1 - serving.utilisation_fraction)
        if serving.binding == "availability":
            held = f"not the load but {replicas} kept for availability, idle {idle} of the time"
        else:
            held = f"the load, which needs {replicas}, more than are kept for availability"
        found.append(f"what binds {tuned.label} is {held}")
    return found


def _volume(scenario: Scenario, against: BreakEven | None, tuned_wins: bool) -> list[str]:
    if against is None:
        return []
    requests = scenario.assumptions["requests_per_day"]
    if against.lowest_per_day is None and not tuned_wins:
        return [f"no volume up to {count(against.searched_per_day[1])} requests a day makes tuning pay"]
    if tuned_wins:
        lower = [volume for volume in against.crossings_per_day if volume <= requests]
        return [f"below {_a_day(lower[-1])} prompting is cheaper"] if lower else []
    higher = [volume for volume in against.crossings_per_day if volume > requests]
    if not higher:
        return []
    always = against.always_above_per_day
    ever = f", and always from {count(always)}" if always is not None and count(always) != count(higher[0]) else ""
    return [f"tuning pays from {_a_day(higher[0])}{ever}: {count(higher[0] / requests)} times the planned load"]


def _a_day(requests: float) -> str:
    return f"{count(requests)} requests a day ({count(requests * DAYS_PER_MONTH)} a month)"


def _switches(scenario: Scenario, tuned: Arm, rival: Arm, drivers: Sequence[Sensitivity]) -> list[str]:
    """The values at which single assumptions of the registry turn the answer, those of the widest swing first."""
    now = tuned.total_usd.base - rival.total_usd.base
    found = []
    for driver in drivers:
        base = scenario.assumptions.get(driver.name)
        if base is None:
            continue
        low, high = (driver.low, driver.usd_at_low, "below"), (driver.high, driver.usd_at_high, "above")
        for end, usd, side in (low, high):
            if usd * now < 0:
                switch = base + (end - base) * now / (now - usd)
                cheaper = rival if now < 0 else tuned
                unit = "" if driver.unit in BARE_UNITS else f" {driver.unit}"
                found.append(f"{driver.label} {side} about {count(switch)}{unit}: {cheaper.label} is cheaper")
    return found[:MOST_SWITCHES]
