"""The whole way from a scenario to a plan: what fits, what it costs, how sure that is, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from estimator.advice import Facts, advice
from estimator.errors import NothingFitsError
from estimator.limits import (
    check_licence,
    check_positions,
    methods_ruled_out,
    not_considered,
    nothing_fits,
    within_positions,
)
from estimator.models import ResolvedModel, resolve_model
from estimator.money.api_arms import SPLIT, STYLES, api_arms, baselines, call_input_tokens
from estimator.money.arms import (
    RETRIEVAL,
    on_cheapest,
    ready_made_arm,
    self_hosted_arm,
    served_otherwise,
    serving_parameters,
    with_retrieval,
    with_serving,
)
from estimator.money.breakeven import Volumes
from estimator.money.comparison import Comparison, cheapest_of, compared, payback_month, retrain_usd
from estimator.money.derived import following_facts, with_spot_prices
from estimator.money.hosted import hosted_arms
from estimator.money.load_curve import autoscaled, following_hours, load_bands
from estimator.money.owned import on_owned, with_own_hardware
from estimator.money.ownership import ArmSpec
from estimator.money.retraining import least_cost_interval, retrain_cases
from estimator.money.sensitivity import sensitivities
from estimator.money.series import DAYS_PER_MONTH, MONTHS_PER_YEAR
from estimator.numbers import HOURS_PER_MONTH
from estimator.on_prem import Bought, bought, of_method, on_bought, owned_arm, owned_specs
from estimator.provenance import defaults_used, model_summary, next_commands, prices_used
from estimator.result import COUNTED_STYLES, Arm, BreakEven, Plan, RuledOut, Sensitivity
from estimator.scenario import Scenario, Workload, workload
from estimator.search.engine_cards import serving_market
from estimator.search.market import OWN, Market, market
from estimator.search.replicas import ReplicaTypes, ServingChoice
from estimator.search.training import SearchResult, search
from estimator.verdict import verdict
from estimator.version import VERSION

TUNING_KINDS = ("self-hosted", "hosted")
"""Kinds of arms in which a model is tuned."""


LOADS_PER_DAY = tuple(10.0**exponent for exponent in range(3, 10))
"""Loads at which the cheapest replica type is looked up for the break-even."""

AUTOSCALING = (
    "autoscaling of dedicated replicas by the hour, as long as the hours of the load are not known (--traffic;"
    " `ftcost serve-plan` shows it for a day-night curve)"
)
OWNED = (
    "what bought hardware costs before the first month and after the horizon: its price is charged by the month"
    " over its life, and paid at once",
    "rooms, delivery and staff of one's own hardware beyond rack prices, repairs, and operations and on-call",
)
NOT_INCLUDED = (
    "waiting for GPUs (queues, quota, sold-out regions)",
    "taxes and support contracts; discounts, unless given (--gpu-price, --set api_price_ratio)",
    "the value or cost of a difference in quality: every option is taken to do the task equally well; quality"
    " lost between retrains is shown, and not in the totals",
    "legal review, licences of data and tools, security audits",
    "network traffic other than trained weights moved to where they serve",
    AUTOSCALING,
    "retries of self-hosted requests (the load ceiling leaves room for them)",
    "vision and audio inputs",
)


def plan(scenario: Scenario, *, command: str = "") -> Plan:
    """Answer a scenario.

    Args:
        scenario: the question.
        command: how it was asked, for the stamp of the reports.

    Raises:
        InputError: a name or number that cannot be used.
        NothingFitsError: no method fits any card that the scenario leaves.
    """
    owns = scenario.providers == (OWN,)
    if owns:
        scenario = replace(scenario, assumptions=with_own_hardware(scenario.assumptions))
    if scenario.purchase == "spot":
        scenario = replace(scenario, assumptions=with_spot_prices(scenario.assumptions))
    model = resolve_model(scenario.model)
    check_licence(scenario, model)
    scenario = within_positions(scenario, model)
    work = workload(scenario=scenario)
    sellers = market(scenario=scenario)
    found = search(scenario=scenario, architecture=model.architecture, workload=work, market=sellers)
    if not found.options:
        raise NothingFitsError(nothing_fits(scenario, found))
    check_positions(scenario, model)
    replica_types, ready_choice = _serving(scenario, model, sellers)
    tuned_choices = replica_types.by_gpu(requests_per_day=scenario.assumptions["requests_per_day"])
    cards: tuple[Bought, ...] = ()
    if owns:
        cards = bought(
            scenario=scenario,
            architecture=model.architecture,
            workload=work,
            choices=tuned_choices,
            arm_on=partial(owned_arm, scenario=scenario, architecture=model.architecture, workload=work),
        )
        found = on_bought(found, cards)
    specs, ruled_out = _specs(scenario, model, work, found, tuned_choices, ready_choice, cards)
    if not specs:
        raise NothingFitsError(
            "nothing fits: " + "; ".join(f"{row.what}: {row.reason}" for row in ruled_out) + "."
        )
    scenario = _with_retrain_interval(scenario, specs)
    owned = compared(scenario, specs)
    by_id = {arm.id: arm for arm in owned.arms}
    rival = cheapest_of([arm for arm in owned.arms if arm.kind in ("api", "ready-made")])
    winner = cheapest_of(owned.arms)
    tuned = winner if winner and winner.kind in TUNING_KINDS else None
    tuned = tuned or cheapest_of([arm for arm in owned.arms if arm.style in COUNTED_STYLES])
    crossings = _break_evens(scenario, owned, replica_types, model, work, cards)
    drivers: tuple[Sensitivity, ...] = ()
    if tuned and rival:
        drivers = sensitivities(
            tuned=owned.specs[tuned.id],
            rival=owned.specs[rival.id],
            rows=scenario.assumptions.rows,
            values=owned.values,
        )
    assert winner is not None
    against = next((one for one in crossings if rival and one.rival == rival.id), None)
    tuning_probability = sum(arm.probability_cheapest for arm in owned.arms if arm.kind in TUNING_KINDS)
    keeping_up = _keeping_up_usd_per_year(scenario, owned, tuned)
    summary = model_summary(model)
    facts = Facts(
        scenario=scenario,
        model=summary,
        workload=work,
        training=found.options,
        arms=by_id,
        winner=winner,
        tuned=tuned,
        rival=rival,
        break_even=against,
        keeping_up_usd_per_year=keeping_up,
    )
    return Plan(
        version=VERSION,
        command=command,
        scenario=scenario,
        scenario_hash=scenario.hash,
        model=summary,
        workload=work,
        training_options=found.options,
        serving_options=tuple(choice.option for choice in tuned_choices),
        arms=owned.arms,
        verdict=verdict(scenario, winner, tuned, rival, against, drivers, tuning_probability, keeping_up),
        best_tuned=tuned.id if tuned else "",
        best_rival=rival.id if rival else "",
        break_evens=crossings,
        payback_month=payback_month(tuned=tuned, rival=rival) if tuned and rival else None,
        retraining=retrain_cases(
            spec=owned.specs[tuned.id],
            values=owned.values,
            quality_value_usd_per_month=scenario.quality_value_usd_per_month,
        )
        if tuned
        else (),
        sensitivities=drivers,
        advice=advice(facts=facts),
        ruled_out=(
            *methods_ruled_out(scenario, found),
            *ruled_out,
            *owned.left_out,
            *not_considered(scenario),
        ),
        prices=prices_used(scenario, owned.arms, found.options),
        defaults_used=defaults_used(scenario),
        not_included=_not_included(scenario, owns=owns),
        next_commands=next_commands(scenario, tuned),
        search_candidates=found.candidates,
    )


def _not_included(scenario: Scenario, *, owns: bool) -> tuple[str, ...]:
    known = owns or bool(scenario.hourly_load)
    return (*(OWNED if owns else ()), *(text for text in NOT_INCLUDED if not (text == AUTOSCALING and known)))


def _keeping_up_usd_per_year(scenario: Scenario, owned: Comparison, tuned: Arm | None) -> float | None:
    """Cost a year of a retrain at every change of the facts, if the scenario says how often they change."""
    days = scenario.data_changes_every_days
    if tuned is None or days is None:
        return None
    values = {**owned.values, "retrain_every_months": days / DAYS_PER_MONTH}
    return retrain_usd(owned.specs[tuned.id], values) * MONTHS_PER_YEAR * DAYS_PER_MONTH / days


def _with_retrain_interval(scenario: Scenario, specs: Sequence[ArmSpec]) -> Scenario:
    """The scenario with the retrain interval that follows from it, if the user has set none.

    Where quality has a value, the interval that costs least; where facts are to be taught and change, theirs.
    """
    values, worth = scenario.assumptions, scenario.quality_value_usd_per_month
    if values.row("retrain_every_months").status in ("user", "computed"):
        return scenario
    if scenario.goal == "facts" and scenario.data_changes_every_days is not None:
        follows = following_facts(values, days=scenario.data_changes_every_days)
    elif worth is not None:
        follows = least_cost_interval(values=values, specs=specs, quality_value_usd_per_month=worth)
    else:
        return scenario
    return replace(scenario, assumptions=follows)


def _serving(
    scenario: Scenario, model: ResolvedModel, sellers: Market
) -> tuple[ReplicaTypes, ServingChoice | None]:
    """Replica types for the tuned model (shorter prompt), and the choice for the model as it is.

    That one is prompted with examples, or with retrieved text where the task is about facts.
    """
    values = scenario.assumptions
    more = values["context_tokens" if scenario.goal == "facts" else "few_shot_tokens"]
    prompts = _tuned_input_tokens(values), values["input_tokens"] + more
    runs, _ = serving_market(sellers, scenario=scenario)
    tuned, ready = (
        ReplicaTypes(
            architecture=model.architecture,
            scenario=replace(scenario, cpu=scenario.cpu or "none"),
            market=runs,
            input_tokens=tokens,
        )
        for tokens in prompts
    )
    return tuned, ready.cheapest(requests_per_day=values["requests_per_day"])


def _tuned_input_tokens(values: Mapping[str, float]) -> float:
    """Input of a request to the tuned model: without the static tokens that tuning makes needless."""
    return values["input_tokens"] * (1 - values["static_input_fraction"] * values["prompt_saving_fraction"])


def _call_tokens(values: Mapping[str, float], *, style: str) -> float:
    """Input and output of one call in this prompting style; a split request has its output in parts."""
    parts = values["calls_per_request"] if style == SPLIT else 1.0
    return call_input_tokens(values, style=style) + values["output_tokens"] / parts


def _specs(
    scenario: Scenario,
    model: ResolvedModel,
    work: Workload,
    found: SearchResult,
    tuned_choices: Sequence[ServingChoice],
    ready_choice: ServingChoice | None,
    cards: Sequence[Bought],
) -> tuple[list[ArmSpec], list[RuledOut]]:
    horizon_end = scenario.as_of + timedelta(hours=HOURS_PER_MONTH * scenario.assumptions["horizon_months"])
    specs: list[ArmSpec] = []
    ruled_out: list[RuledOut] = []
    if cards:
        specs += owned_specs(scenario=scenario, architecture=model.architecture, workload=work, found=cards)
        ruled_out += [
            RuledOut(
                what=f"{method} fine-tuning",
                reason="no kind of card that can be bought both trains so and serves the model",
            )
            for method in scenario.methods
            if method not in found.nearest and of_method(cards, method) is None
        ]
    elif tuned_choices and scenario.providers == (OWN,):
        ruled_out.append(
            RuledOut(what="tuning on bought hardware", reason="no kind of card both trains and serves the model")
        )
    elif tuned_choices:
        tuned = [
            self_hosted_arm(
                training=option,
                choice=tuned_choices[0],
                architecture=model.architecture,
                workload=work,
                retraining=scenario.retraining,
            )
            for option in found.options
            if "cheapest" in option.roles
        ]
        specs += [_dedicated(spec, scenario, tuned_choices, model) for spec in tuned]
        adapted = next((spec for spec in tuned if spec.training and spec.training.method != "full"), None)
        if adapted:
            specs.append(served_otherwise(adapted, serving="shared"))
        serverless = served_otherwise(adapted or tuned[0], serving="scale-to-zero", bands=load_bands(scenario))
        specs.append(
            on_cheapest(
                serverless,
                choices=tuned_choices,
                architecture=model.architecture,
                values=scenario.assumptions,
            )
        )
    else:
        within = " within the latency limits" if scenario.latency_ms or scenario.ttft_ms else ""
        reason = f"no card, alone or eight together, serves the model with {scenario.engine}{within}"
        ruled_out.append(RuledOut(what="self-hosted serving", reason=reason))
    known = scenario.goal != "facts"
    if not known:
        reason = "--goal facts: no model knows them by itself"
        ruled_out.append(RuledOut(what="prompting without retrieval", reason=reason))
    if ready_choice:
        as_it_is = ready_made_arm(choice=ready_choice, architecture=model.architecture)
        if scenario.providers == (OWN,):
            as_it_is = on_owned(as_it_is, serving="dedicated", values=scenario.assumptions, as_of=scenario.as_of)
        else:
            as_it_is = _dedicated(as_it_is, scenario, [ready_choice], model)
        specs.append(as_it_is if known else with_retrieval(as_it_is))
    if scenario.no_api:
        reason = "--no-api: nothing may leave for a vendor's model or service"
        ruled_out.append(RuledOut(what="API models and hosted fine-tuning", reason=reason))
        return specs, ruled_out
    hosted, dropped = hosted_arms(
        scenario=scenario,
        architecture=model.architecture,
        record=model.record,
        horizon_end=horizon_end,
        input_tokens=_tuned_input_tokens(scenario.assumptions),
    )
    ruled_out += dropped
    if not any(spec.style == "tuned" for spec in hosted):
        reason = "no service in the price table tunes and serves this model"
        ruled_out.append(RuledOut(what="hosted fine-tuning of this model", reason=reason))
    specs += hosted
    for place, row in enumerate(baselines(scenario=scenario, horizon_end=horizon_end)):
        styles = (STYLES if place else (*STYLES, SPLIT)) if known else (RETRIEVAL,)
        window = row.context_window or math.inf
        held = [style for style in styles if _call_tokens(scenario.assumptions, style=style) <= window]
        specs += api_arms(model=row, scenario=scenario, horizon_end=horizon_end, styles=held)
        ruled_out += [
            RuledOut(
                what=f"{row.reference}, {style}",
                reason=f"a request of {_call_tokens(scenario.assumptions, style=style):,.0f} tokens exceeds its"
                f" {window:,.0f}",
            )
            for style in styles
            if style not in held
        ]
    return specs, ruled_out


def _dedicated(
    spec: ArmSpec, scenario: Scenario, choices: Sequence[ServingChoice], model: ResolvedModel
) -> ArmSpec:
    """The arm as a team would run it: with an autoscaler where the hours of the load are known and it saves."""
    if not scenario.hourly_load:
        return spec
    values = scenario.assumptions
    followed = on_cheapest(
        autoscaled(spec, scenario=scenario), choices=choices, architecture=model.architecture, values=values
    )
    return following_hours(spec, followed, values=values)


def _break_evens(
    scenario: Scenario,
    owned: Comparison,
    replica_types: ReplicaTypes,
    model: ResolvedModel,
    work: Workload,
    cards: Sequence[Bought],
) -> tuple[BreakEven, ...]:
    """Crossings of tuning the model asked for, its cheapest way at each volume, with every API arm.

    Counted are dedicated replicas, chosen anew at each volume, with the method that costs least (which does not
    hang on the volume), and hosted services; see ``COUNTED_STYLES``.
    """
    volumes = Volumes(rows=scenario.assumptions.rows, seed=scenario.seed, draws=scenario.draws)
    counted = sorted(
        (arm for arm in owned.arms if arm.style in COUNTED_STYLES), key=lambda arm: -arm.total_usd.base
    )
    hosted = [owned.specs[arm.id] for arm in counted if arm.kind == "hosted"]
    by_style = {arm.style: owned.specs[arm.id] for arm in counted if arm.serving}
    choices = replica_types.candidates(LOADS_PER_DAY)
    replaced = [
        with_serving(spec, choice=choice, architecture=model.architecture)
        for spec in by_style.values()
        for choice in choices
        if set(serving_parameters(choice, model.architecture)) - set(spec.parameters)
    ]
    if cards and by_style:
        method = next(iter(by_style.values())).id
        build = partial(owned_arm, scenario=scenario, architecture=model.architecture, workload=work)
        replaced = [spec for one in cards if (spec := build(one.option, one.choice)).id == method]
    here = [*by_style.values(), *replaced]
    follows = scenario.hourly_load and not cards
    followed = [autoscaled(spec, scenario=scenario) for spec in here] if follows else []
    variants = [*here, *hosted, *followed]
    if not variants:
        return ()
    tuned = volumes.curve(variants)
    rivals = volumes.lines([owned.specs[arm.id] for arm in owned.arms if arm.kind == "api"])
    return tuple(volumes.break_even(tuned=tuned, rival=rival) for rival in rivals)
