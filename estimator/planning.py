"""The whole way from a scenario to a plan: what fits, what it costs, how sure that is, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from estimator.advice import Facts, advice
from estimator.algebra import Value
from estimator.arms import (
    SPLIT,
    STYLES,
    api_arms,
    baselines,
    ready_made_arm,
    self_hosted_arm,
    served_otherwise,
    with_serving,
)
from estimator.breakeven import Volumes
from estimator.errors import NothingFitsError
from estimator.hosted import hosted_arms
from estimator.market import Market, market
from estimator.models import ResolvedModel, models, resolve_model
from estimator.numbers import GIB, HOURS_PER_MONTH
from estimator.ownership import ArmSpec, Totals, base_lines, month_column, totals, with_series
from estimator.parameters import active_parameters, total_parameters
from estimator.result import (
    GROUPS,
    Arm,
    BreakEven,
    Estimate,
    ModelSummary,
    Plan,
    PriceUsed,
    RuledOut,
    Sensitivity,
    TrainingOption,
    Verdict,
)
from estimator.risk import draw, estimate
from estimator.scenario import WORKLOAD_FLAGS, Scenario, Workload, flag_name, workload
from estimator.search import SearchResult, run_of, search
from estimator.sensitivity import sensitivities
from estimator.serving_search import ReplicaTypes, ServingChoice
from estimator.version import VERSION
from estimator.words import count, money, percent
from pricing import OLD_AFTER_DAYS, age_days, offers, providers

LOADS_PER_DAY = tuple(10.0**exponent for exponent in range(3, 10))
"""Loads at which the cheapest replica type is looked up for the break-even."""

MS_PER_S = 1000.0

TIE_FRACTION = 0.01
"""Costs closer than this are a tie."""

NOT_INCLUDED = (
    "waiting for GPUs (queues, quota, sold-out regions)",
    "taxes, support contracts, committed-use and negotiated discounts",
    "the value or cost of a difference in quality: every option is taken to do the task equally well",
    "legal review, licences of data and tools, security audits",
    "network egress, and storage of the training data",
    "autoscaling by the hour (replicas are sized for the peak hour, or scale to zero)",
    "interruptions of spot instances (prices are on-demand unless --spot)",
    "vision and audio inputs",
)


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """The arms of a plan with their totals, and the draws they share."""

    arms: tuple[Arm, ...]
    specs: Mapping[str, ArmSpec]
    values: Mapping[str, float]


def plan(scenario: Scenario, *, command: str = "") -> Plan:
    """Answer a scenario.

    Args:
        scenario: the question.
        command: how it was asked, for the stamp of the reports.

    Raises:
        InputError: a name or number that cannot be used.
        NothingFitsError: no method fits any card that the scenario leaves.
    """
    model = resolve_model(scenario.model)
    _check_licence(scenario, model)
    work = workload(scenario=scenario)
    sellers = market(scenario=scenario)
    found = search(scenario=scenario, architecture=model.architecture, workload=work, market=sellers)
    if not found.options:
        raise NothingFitsError(nothing_fits(scenario, found))
    replica_types, ready_choices = _serving(scenario, model, sellers)
    tuned_choices = replica_types.by_gpu(requests_per_day=scenario.assumptions["requests_per_day"])
    specs, ruled_out = _specs(scenario, model, work, found, tuned_choices, ready_choices)
    if not specs:
        raise NothingFitsError(
            "nothing fits: " + "; ".join(f"{row.what}: {row.reason}" for row in ruled_out) + "."
        )
    owned = _own(scenario, specs)
    by_id = {arm.id: arm for arm in owned.arms}
    tuned = _cheapest([arm for arm in owned.arms if arm.style == "tuned"])
    rival = _cheapest([arm for arm in owned.arms if arm.kind in ("api", "ready-made")])
    winner = _cheapest(owned.arms)
    crossings = _break_evens(scenario, owned, tuned, replica_types, model)
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
    summary = _summary(model)
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
        verdict=_verdict(scenario, winner, tuned, rival, against, drivers),
        best_tuned=tuned.id if tuned else "",
        best_rival=rival.id if rival else "",
        break_evens=crossings,
        sensitivities=drivers,
        advice=advice(facts=facts),
        ruled_out=(*_methods_ruled_out(scenario, found), *ruled_out, *_not_considered(scenario)),
        prices=_prices(scenario, owned.arms, found.options),
        defaults_used=_defaults(scenario),
        not_included=NOT_INCLUDED,
        next_commands=_next_commands(scenario, tuned),
        search_candidates=found.candidates,
    )


def _check_licence(scenario: Scenario, model: ResolvedModel) -> None:
    """Refuse a model whose licence forbids what the scenario needs.

    Raises:
        NothingFitsError: with models of about the same size whose licence allows it.
    """
    record = model.record
    if not scenario.commercial or record is None or record.commercial_use != "no":
        return
    size = total_parameters(architecture=model.architecture)
    alike = sorted(
        (one for one in models().values() if one.commercial_use == "yes"),
        key=lambda one: (abs(one.published_parameters - size), one.id),
    )[:3]
    raise NothingFitsError(
        f"nothing fits: the licence of {record.id} ({record.license}) does not allow commercial use."
        f" Of about its size and allowed: {', '.join(one.id for one in alike)}."
    )


# Serving and arms


def _serving(
    scenario: Scenario, model: ResolvedModel, sellers: Market
) -> tuple[ReplicaTypes, tuple[ServingChoice, ...]]:
    """Replica types for the tuned model (shorter prompt), and the choice for the model as it is (few-shot)."""
    values = scenario.assumptions
    prompts = _tuned_input_tokens(values), values["input_tokens"] + values["few_shot_tokens"]
    tuned, ready = (
        ReplicaTypes(
            architecture=model.architecture,
            market=sellers,
            values=values,
            input_tokens=tokens,
            output_tokens=values["output_tokens"],
            latency_s_per_token=None if scenario.latency_ms is None else scenario.latency_ms / MS_PER_S,
            ttft_s=None if scenario.ttft_ms is None else scenario.ttft_ms / MS_PER_S,
        )
        for tokens in prompts
    )
    return tuned, ready.cheapest(requests_per_day=[values["requests_per_day"]])


def _tuned_input_tokens(values: Mapping[str, float]) -> float:
    """Input of a request to the tuned model: without the static tokens that tuning makes needless."""
    return values["input_tokens"] * (1 - values["static_input_fraction"] * values["prompt_saving_fraction"])


def _specs(
    scenario: Scenario,
    model: ResolvedModel,
    work: Workload,
    found: SearchResult,
    tuned_choices: Sequence[ServingChoice],
    ready_choices: Sequence[ServingChoice],
) -> tuple[list[ArmSpec], list[RuledOut]]:
    horizon_end = scenario.as_of + timedelta(hours=HOURS_PER_MONTH * scenario.assumptions["horizon_months"])
    specs: list[ArmSpec] = []
    ruled_out: list[RuledOut] = []
    if tuned_choices:
        tuned = [
            self_hosted_arm(
                training=option, choice=tuned_choices[0], architecture=model.architecture, workload=work
            )
            for option in found.options
            if "cheapest" in option.roles
        ]
        specs += tuned
        adapted = next((spec for spec in tuned if spec.training and spec.training.method != "full"), None)
        if adapted:
            specs.append(served_otherwise(adapted, serving="shared"))
        specs.append(served_otherwise(adapted or tuned[0], serving="scale-to-zero"))
    else:
        within = " within the latency limits" if scenario.latency_ms or scenario.ttft_ms else ""
        reason = f"no card, alone or eight together, holds the model{within}"
        ruled_out.append(RuledOut(what="self-hosted serving", reason=reason))
    if ready_choices:
        specs.append(ready_made_arm(choice=ready_choices[0], architecture=model.architecture))
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
        styles = STYLES if place else (*STYLES, SPLIT)
        specs += api_arms(model=row, horizon_end=horizon_end, styles=styles)
    return specs, ruled_out


def _own(scenario: Scenario, specs: Sequence[ArmSpec]) -> Ownership:
    """Costs of every arm at base values and over the draws; the dearer hosted services are left out."""
    values = dict(scenario.assumptions)
    months = month_column(values["horizon_months"])
    base = with_series(values, months)
    drawn = with_series(draw(scenario.assumptions.rows, draws=scenario.draws, seed=scenario.seed), months)
    kept = _with_cheapest_hosted(specs, base)
    over_draws: dict[str, Totals] = {}
    at_base: dict[str, Totals] = {}
    for spec in kept:
        own = draw(spec.parameters, draws=scenario.draws, seed=scenario.seed)
        over_draws[spec.id] = totals(spec=spec, shared=drawn, own=own)
        at_base[spec.id] = totals(spec=spec, shared=base, own={row.name: row.base for row in spec.parameters})
    cheapest = np.argmin(
        np.stack([np.broadcast_to(over_draws[spec.id].usd, (scenario.draws,)) for spec in kept]), axis=0
    )
    arms = tuple(
        _arm(spec, values, at_base[spec.id], over_draws[spec.id], float(np.mean(cheapest == index)))
        for index, spec in enumerate(kept)
    )
    return Ownership(arms=arms, specs={spec.id: spec for spec in kept}, values=values)


def _with_cheapest_hosted(specs: Sequence[ArmSpec], base: Mapping[str, Value]) -> list[ArmSpec]:
    """All arms, but of the hosted services only the cheapest at base values: one open, one closed model.

    A service whose prices were not read again comes after every other.
    """

    def cost(spec: ArmSpec) -> tuple[bool, float, str]:
        own = {row.name: row.base for row in spec.parameters}
        recalled = any(row.status == "recalled" for row in spec.parameters)
        return recalled, float(totals(spec=spec, shared=base, own=own).usd[0]), spec.id

    hosted = [spec for spec in specs if spec.kind == "hosted"]
    best = [
        min(alike, key=cost)
        for style in ("tuned", "closed model")
        if (alike := [s for s in hosted if s.style == style])
    ]
    return [spec for spec in specs if spec.kind != "hosted" or spec in best]


def _arm(
    spec: ArmSpec, values: Mapping[str, float], base: Totals, drawn: Totals, probability_cheapest: float
) -> Arm:
    lines = base_lines(spec=spec, values=values)
    monthly = tuple(np.sum([line.usd for line in lines], axis=0).tolist())
    groups = {group: sum(line.total_usd for line in lines if line.group == group) for group in GROUPS}
    requests = float(base_requests(values))
    return Arm(
        id=spec.id,
        label=spec.label,
        kind=spec.kind,
        style=spec.style,
        training=spec.training,
        serving=spec.serving,
        parameters=spec.parameters,
        lines=lines,
        monthly_usd=monthly,
        groups_usd=groups,
        total_usd=estimate(float(base.usd[0]), drawn.usd),
        npv_usd=estimate(float(base.npv_usd[0]), drawn.npv_usd),
        usd_per_1000_requests=float(base.usd[0]) / requests * 1000,
        build_usd=monthly[0],
        probability_cheapest=probability_cheapest,
        notes=spec.notes,
    )


def base_requests(values: Mapping[str, float]) -> float:
    """Requests over the whole horizon at base values."""
    series = with_series(values, month_column(values["horizon_months"]))
    return float(np.sum(series["requests_in_month"]))


def _cheapest(arms: Sequence[Arm]) -> Arm | None:
    """The arm with the lowest cost at base assumptions; among near ties the one that risks quality least.

    LoRA comes before QLoRA (its base is not quantised) and both before full fine-tuning (less forgetting,
    smaller artefacts); other near ties keep the order of the arms.
    """
    if not arms:
        return None
    lowest = min(arm.total_usd.base for arm in arms)
    ties = [arm for arm in arms if arm.total_usd.base <= (1 + TIE_FRACTION) * lowest]
    order = {f"self:{method}": place for place, method in enumerate(("lora", "qlora", "full"))}
    return min(ties, key=lambda arm: (order.get(arm.id, len(order)), arm.total_usd.base, arm.id))


# Break-even, verdict


def _break_evens(
    scenario: Scenario, owned: Ownership, tuned: Arm | None, replica_types: ReplicaTypes, model: ResolvedModel
) -> tuple[BreakEven, ...]:
    """Crossings of the best tuned arm with every API arm, the arm's replicas chosen anew at each volume."""
    if tuned is None:
        return ()
    volumes = Volumes(rows=scenario.assumptions.rows, seed=scenario.seed)
    variants = [owned.specs[tuned.id]]
    if tuned.serving:
        choices = replica_types.cheapest(requests_per_day=LOADS_PER_DAY)
        variants += [
            with_serving(variants[0], choice=choice, architecture=model.architecture) for choice in choices
        ]
    here = volumes.curve(variants)
    return tuple(
        volumes.break_even(tuned=here, rival=volumes.curve([owned.specs[arm.id]]))
        for arm in owned.arms
        if arm.kind == "api"
    )


def _verdict(
    scenario: Scenario,
    winner: Arm,
    tuned: Arm | None,
    rival: Arm | None,
    against: BreakEven | None,
    drivers: Sequence[Sensitivity],
) -> Verdict:
    months = f"{scenario.assumptions['horizon_months']:.0f} months"
    headline = f"{winner.label}: {_range(winner.total_usd)}, over {months}"
    reasons: list[str] = []
    flips: list[str] = []
    if tuned and rival:
        other = rival if winner is tuned else tuned
        reasons.append(
            f"{other.label} costs {_range(other.total_usd)}; {winner.label} is the cheapest of all options in"
            f" {percent(winner.probability_cheapest)} of the draws, if quality is equal"
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
    return f"{money(usd.base)} at base assumptions, {money(usd.p10)} to {money(usd.p90)} in 80 % of the draws"


def _largest_groups(arm: Arm) -> str:
    ranked = sorted(arm.groups_usd.items(), key=lambda pair: -pair[1])[:2]
    return ", ".join(f"{group} {money(usd)}" for group, usd in ranked)


# What did not fit


def nothing_fits(scenario: Scenario, found: SearchResult) -> str:
    """What comes nearest, and what to change."""
    lines = ["nothing fits: no method runs within the limits."]
    lines += [f"{one.what}: {one.reason}." for one in _methods_ruled_out(scenario, found)]
    lines.append(
        "Change one of: --gpus (more cards), --gpu (larger cards), --method qlora, --micro-batch 1,"
        " --recompute full, --seq-len (shorter), --loss fused; or raise --budget or --deadline-hours."
    )
    return "\n".join(lines)


def _methods_ruled_out(scenario: Scenario, found: SearchResult) -> tuple[RuledOut, ...]:
    rows = []
    for method, near in found.nearest.items():
        run = run_of(near)
        record = near.block.records[near.index[0]]
        need, limit = float(near.block.device_bytes[near.index]), float(np.max(run.accelerator.memory_bytes))
        limits = [
            f"--{name} {value:g}"
            for name, value in (("budget", scenario.budget_usd), ("deadline-hours", scenario.deadline_hours))
            if value is not None
        ]
        if need <= limit and limits:
            reason = f"no configuration that fits in memory keeps within {' and '.join(limits)}"
        else:
            reason = (
                f"nearest is {run.gpus:.0f} x {record.label} ({run.sharding}, micro-batch {run.micro_batch:.0f},"
                f" recompute {run.recompute}) with {need / GIB:.1f} GiB of {limit / GIB:.1f} GiB per card"
            )
        rows.append(RuledOut(what=f"{method} fine-tuning", reason=reason))
    return tuple(rows)


def _not_considered(scenario: Scenario) -> list[RuledOut]:
    """Offers that count only where the scenario asks for them."""
    rows = []
    if not scenario.marketplaces and not scenario.providers:
        names = sorted(row.label for row in providers().values() if row.kind == "marketplace")
        reason = "strangers' machines at floor prices that move daily; --marketplaces counts them"
        rows.append(RuledOut(what=f"marketplaces ({', '.join(names)})", reason=reason))
    if not scenario.providers:
        old = sum(age_days(offer, scenario.as_of) > OLD_AFTER_DAYS for offer in offers(as_of=scenario.as_of))
        reason = f"seen more than {OLD_AFTER_DAYS} days before {scenario.as_of}; --provider names one"
        rows.append(RuledOut(what=f"{old} GPU offers", reason=reason))
    if not scenario.gpus:
        reason = "they train in fp16, in which most models overflow; --gpu names one"
        rows.append(RuledOut(what="cards without bf16 (T4, V100 and older)", reason=reason))
    return rows


# What the answer rests on


def _summary(model: ResolvedModel) -> ModelSummary:
    architecture, record = model.architecture, model.record
    return ModelSummary(
        id=architecture.id,
        how=model.how,
        parameters=total_parameters(architecture=architecture),
        active_parameters=active_parameters(architecture=architecture),
        layers=architecture.layers,
        hidden=architecture.hidden,
        vocab=architecture.vocab,
        license=record.license if record else "",
        commercial_use=record.commercial_use if record else "",
        source=record.source if record else model.how,
    )


def _prices(scenario: Scenario, arms: Sequence[Arm], options: Sequence[TrainingOption]) -> tuple[PriceUsed, ...]:
    """Every price that entered the answer, once, with its age on the plan's day."""
    rows: dict[tuple[str, str], PriceUsed] = {}

    def add(what: str, provider: str, usd: float, unit: str, seen: date, source: str, status: str) -> None:
        rows.setdefault(
            (provider, what),
            PriceUsed(
                what=what,
                provider=provider,
                usd=usd,
                unit=unit,
                seen=seen,
                age_days=(scenario.as_of - seen).days,
                source=source,
                status=status,
            ),
        )

    for option in options:
        what = f"{option.gpu_label}, {option.instance}, {option.region}, {option.purchase}"
        add(
            what,
            option.provider,
            option.usd_per_gpu_hour,
            "USD/GPU-hour",
            option.price_seen,
            option.price_source,
            option.price_status,
        )
    for arm in arms:
        if arm.serving:
            serving = arm.serving
            what = f"{serving.gpu_label}, {serving.instance}, {serving.region}, {scenario.purchase}"
            add(
                what,
                serving.provider,
                serving.usd_per_gpu_hour,
                "USD/GPU-hour",
                serving.price_seen,
                serving.price_source,
                serving.price_status,
            )
        if arm.kind in ("api", "hosted"):
            for row in arm.parameters:
                if row.name in ("input_price", "output_price", "train_price", "hosting_usd_per_hour") and row.base:
                    name = arm.label.rsplit(",", 1)[0] if arm.kind == "api" else arm.label
                    add(
                        f"{name}: {row.label}",
                        arm.kind,
                        row.base,
                        row.unit,
                        date.fromisoformat(row.checked),
                        row.source,
                        row.status,
                    )
    return tuple(rows.values())


def _defaults(scenario: Scenario) -> tuple[str, ...]:
    """Flags of the workload that the user left at their default, with their values."""
    return tuple(
        f"--{flag_name(name)} {row.base:g}"
        for name in WORKLOAD_FLAGS
        if (row := scenario.assumptions.row(name)).status not in ("user", "computed")
    )


def _next_commands(scenario: Scenario, tuned: Arm | None) -> tuple[str, ...]:
    commands = ["ftcost assumptions"]
    option = tuned.training if tuned else None
    if option:
        commands.insert(
            0,
            f"ftcost estimate --model {scenario.model} --method {option.method} --gpu {option.gpu}"
            f" --gpus {option.gpus} --sharding {option.sharding} --micro-batch {option.micro_batch}"
            f" --recompute {option.recompute}",
        )
    commands.append(f"ftcost plan --model {scenario.model} --out ftcost-report")
    return tuple(commands)


def old_prices(prices: Sequence[PriceUsed]) -> tuple[PriceUsed, ...]:
    """Prices older than the limit on the plan's day."""
    return tuple(price for price in prices if price.age_days > OLD_AFTER_DAYS)
