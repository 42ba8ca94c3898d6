"""The answer in words: which way, at what cost, why, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence

from estimator.result import Arm, BreakEven, Estimate, Sensitivity, Verdict
from estimator.scenario import Scenario
from estimator.words import count, money, percent


def verdict(
    scenario: Scenario,
    winner: Arm,
    tuned: Arm | None,
    rival: Arm | None,
    against: BreakEven | None,
    drivers: Sequence[Sensitivity],
    tuning_probability: float,
) -> Verdict:
    months = f"{scenario.assumptions['horizon_months']:.0f} months"
    headline = f"{winner.label}: {_range(winner.total_usd)}, over {months}"
    reasons: list[str] = []
    flips: list[str] = []
    if tuned and rival:
        other = rival if winner is tuned else tuned
        reasons.append(
            f"{other.label} costs {_range(other.total_usd)}; {winner.label} is the cheapest of all options in"
            f" {percent(winner.probability_cheapest)} of the draws, if quality is equal; some way of tuning is in"
            f" {percent(tuning_probability)}"
        )
        reasons.append(
            f"the largest costs are {_largest_groups(winner)} at {winner.label},"
            f" {_largest_groups(other)} at {other.label}"
        )
    if against is not None:
        requests = scenario.assumptions["requests_per_day"]
        if against.lowest_per_day is None:
            flips.append(f"no volume up to {count(against.searched_per_day[1])} requests a day makes tuning pay")
        elif against.lowest_per_day > requests:
            flips.append(
                f"tuning pays from {count(against.lowest_per_day)} requests a day,"
                f" {count(against.lowest_per_day / requests)} times the planned load"
            )
        else:
            flips.append(f"below {count(against.lowest_per_day)} requests a day prompting is cheaper")
    crossing = [d for d in drivers if d.usd_at_low * d.usd_at_high < 0][:2]
    flips += [f"{d.label} between {d.low:g} and {d.high:g} {d.unit} changes the answer" for d in crossing]
    return Verdict(arm=winner.id, headline=headline, reasons=tuple(reasons), flips=tuple(flips))


def _range(usd: Estimate) -> str:
    spread = f"median {money(usd.p50)}, {money(usd.p10)} to {money(usd.p90)} in 80 % of the draws"
    return f"{money(usd.base)} at base assumptions; {spread}"


def _largest_groups(arm: Arm) -> str:
    ranked = sorted(arm.groups_usd.items(), key=lambda pair: -pair[1])[:2]
    return ", ".join(f"{group} {money(usd)}" for group, usd in ranked)
