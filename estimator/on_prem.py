"""Which card to buy: one kind for training and serving, the one whose cards cost least to hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from estimator.architecture import Architecture
from estimator.errors import NothingFitsError
from estimator.money.arms import self_hosted_arm, served_otherwise
from estimator.money.owned import on_owned
from estimator.money.ownership import ArmSpec, first_serving_usd
from estimator.result import TrainingOption
from estimator.scenario import Scenario, Workload
from estimator.search.market import market
from estimator.search.replicas import ServingChoice
from estimator.search.training import SearchResult, search

ArmOn = Callable[[TrainingOption, ServingChoice], ArmSpec]


@dataclass(frozen=True, kw_only=True)
class Bought:
    """A kind of card for one method: its run, its replicas, and every run that its cards could make."""

    option: TrainingOption
    choice: ServingChoice
    options: tuple[TrainingOption, ...]
    usd_per_month: float


def owned_arm(
    option: TrainingOption,
    choice: ServingChoice,
    *,
    scenario: Scenario,
    architecture: Architecture,
    workload: Workload,
    serving: str = "dedicated",
) -> ArmSpec:
    """Tuning and serving on one kind of bought card."""
    spec = self_hosted_arm(
        training=option,
        choice=choice,
        architecture=architecture,
        workload=workload,
        retraining=scenario.retraining,
    )
    if serving != "dedicated":
        spec = served_otherwise(spec, serving=serving)
    return on_owned(spec, serving=serving, values=scenario.assumptions, as_of=scenario.as_of)


def bought(
    *,
    scenario: Scenario,
    architecture: Architecture,
    workload: Workload,
    choices: Sequence[ServingChoice],
    arm_on: ArmOn,
) -> tuple[Bought, ...]:
    """For each method and each card that both trains and serves, the run with the fewest cards; dearest last.

    Runs are bound to the cards held for training and serving together: nobody buys 32 for an hour.

    Args:
        choices: the replica type of each card.
        arm_on: the arm of a run and a replica type, on bought cards.
    """
    found: list[Bought] = []
    for choice in choices:
        alone = replace(scenario, gpus=(choice.option.gpu,))
        try:
            runs = search(
                scenario=alone, architecture=architecture, workload=workload, market=market(scenario=alone)
            )
        except NothingFitsError:
            continue
        for option in runs.options:
            if "smallest" not in option.roles:
                continue
            held = option.gpus + choice.option.replicas * choice.option.gpus_per_replica
            same = tuple(one for one in runs.options if one.method == option.method and one.gpus <= held)
            usd = first_serving_usd(arm_on(option, choice), scenario.assumptions)
            found.append(Bought(option=option, choice=choice, options=same, usd_per_month=usd))
    return tuple(sorted(found, key=lambda one: one.usd_per_month))


def of_method(found: Sequence[Bought], method: str) -> Bought | None:
    """The cheapest kind of card for a method."""
    return next((one for one in found if one.option.method == method), None)


def on_bought(result: SearchResult, found: Sequence[Bought]) -> SearchResult:
    """The search with the runs on the cards that are bought, of every method that has any."""
    options = [
        one
        for method in dict.fromkeys(option.method for option in result.options)
        if (best := of_method(found, method))
        for one in best.options
    ]
    return replace(result, options=tuple(options))


def owned_specs(
    *, scenario: Scenario, architecture: Architecture, workload: Workload, found: Sequence[Bought]
) -> list[ArmSpec]:
    """Tuning by each method on the card that costs least to hold, and shared replicas of an adapter."""
    build = partial(owned_arm, scenario=scenario, architecture=architecture, workload=workload)
    best = [one for method in scenario.methods if (one := of_method(found, method))]
    specs = [build(one.option, one.choice) for one in best]
    adapted = next((one for one in best if one.option.method != "full"), None)
    if adapted:
        specs.append(build(adapted.option, adapted.choice, serving="shared"))
    return specs
