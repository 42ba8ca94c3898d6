"""What the conditions of advice look at, and what several of them ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from estimator.result import Arm, BreakEven, ModelSummary, TrainingOption
from estimator.scenario import Circumstance, Scenario, Workload
from estimator.words import money


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the conditions look at.

    Attributes:
        winner: the way that the verdict names.
        tuned: the way of tuning that is compared: the winner where it tunes, else the cheapest.
        rival: the cheapest way without tuning.
        break_even: of tuning against the rival; None where the rival is no API model.
        keeping_up_usd_per_year: of a retrain at every change of the facts; None where nothing is said of them.
    """

    scenario: Scenario
    model: ModelSummary
    workload: Workload
    training: Sequence[TrainingOption]
    arms: Mapping[str, Arm]
    winner: Arm
    tuned: Arm | None
    rival: Arm | None
    break_even: BreakEven | None
    keeping_up_usd_per_year: float | None

    @property
    def tuning_wins(self) -> bool:
        """The verdict names a way of tuning."""
        return self.winner.kind in ("self-hosted", "hosted")

    @property
    def tunes_the_model(self) -> bool:
        """Tuning means the model that was asked about, not a vendor's closed one."""
        return self.tuned is not None and self.tuned.style != "closed model"

    def given(self, circumstance: Circumstance) -> bool:
        """Whether the user said so."""
        return circumstance in self.scenario.given

    def cheapest(self, *kinds: str, but: Arm | None = None) -> Arm | None:
        """The cheapest arm of these kinds, another than ``but``."""
        found = [arm for arm in self.arms.values() if arm.kind in kinds and arm is not but]
        return min(found, key=lambda arm: arm.total_usd.base, default=None)


Words = dict[str, str]
"""What a rule's placeholders stand for."""

Condition = Callable[[Facts], Words | None]
"""The words of a rule where it holds, else None."""


def expert_hours(facts: Facts) -> tuple[float, str]:
    """Engineer hours of tuning and self-hosting before the first month, and what they cost."""
    values = facts.scenario.assumptions
    hours = values["pilot_engineer_hours"] + values["build_engineer_hours"] + values["serving_build_hours"]
    return hours, money(hours * values["engineer_usd_per_hour"])


def parameter(arm: Arm, name: str) -> float | None:
    """An arm's own parameter at its base value, or None where it has none of that name."""
    return next((row.base for row in arm.parameters if row.name == name), None)
