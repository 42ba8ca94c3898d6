"""What an answer rests on: the model, every price with its age, the defaults taken, and what to run next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date

from estimator.machine import profile_in_force
from estimator.models import ResolvedModel
from estimator.parameters import active_parameters, total_parameters
from estimator.result import Arm, ModelSummary, PriceUsed, TrainingOption
from estimator.scenario import WORKLOAD_FLAGS, Scenario, flag_name
from pricing import OLD_AFTER_DAYS


def model_summary(model: ResolvedModel) -> ModelSummary:
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


def prices_used(
    scenario: Scenario, arms: Sequence[Arm], options: Sequence[TrainingOption]
) -> tuple[PriceUsed, ...]:
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
            bought = next((row for row in arm.parameters if row.name == "own_purchase_usd"), None)
            if bought:
                add(
                    f"{serving.gpu_label}, bought",
                    serving.provider,
                    bought.base,
                    bought.unit,
                    serving.price_seen,
                    bought.source,
                    bought.status,
                )
        if arm.kind in ("api", "hosted"):
            for row in arm.parameters:
                if row.name in ("input_price", "output_price", "train_price", "hosting_usd_per_hour") and row.base:
                    name = arm.label.rsplit(",", 1)[0] if arm.kind == "api" else arm.label
                    add(
                        f"{name}: {row.label}",
                        arm.label.partition("/" if arm.kind == "api" else " hosted")[0],
                        row.base,
                        row.unit,
                        date.fromisoformat(row.checked),
                        row.source,
                        row.status,
                    )
    return tuple(rows.values())


def defaults_used(scenario: Scenario) -> tuple[str, ...]:
    """Flags of the workload that the user left at their default, with their values."""
    return tuple(
        f"--{flag_name(name)} {row.base:g}"
        for name in WORKLOAD_FLAGS
        if (row := scenario.assumptions.row(name)).status not in ("user", "computed")
    )


def next_commands(scenario: Scenario, tuned: Arm | None) -> tuple[str, ...]:
    name = profile_in_force(scenario.assumptions)
    profile = f" --profile {shlex.quote(name)}" if name else ""
    commands, values = ["ftcost assumptions"], scenario.assumptions
    option = tuned.training if tuned else None
    if option:
        commands.insert(
            0,
            f"ftcost estimate --model {scenario.model} --method {option.method} --gpu {option.gpu}"
            f" --gpus {option.gpus} --sharding {option.sharding} --micro-batch {option.micro_batch}"
            f" --global-batch {values['global_batch']:.0f} --seq-len {values['seq_len']:.0f}"
            f" --recompute {option.recompute} --optimizer {scenario.optimizer}{profile}",
        )
    commands.append(f"ftcost plan --model {scenario.model}{profile} --out ftcost-report")
    return tuple(commands)


def old_prices(prices: Sequence[PriceUsed]) -> tuple[PriceUsed, ...]:
    """Prices older than the limit on the plan's day."""
    return tuple(price for price in prices if price.age_days > OLD_AFTER_DAYS)
