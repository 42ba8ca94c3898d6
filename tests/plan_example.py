"""Plans for the tests of the reports: real cost lines and draws, with a training option and prices made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from functools import partial
from typing import Any

from estimator.assumptions import Assumption
from estimator.money import costs
from estimator.money.ownership import ArmSpec, Totals, base_lines, month_column, totals, with_series
from estimator.money.retraining import retrain_cases
from estimator.money.sensitivity import sensitivities
from estimator.money.serving_costs import SERVING_LINES
from estimator.result import (
    GROUPS,
    Advice,
    Arm,
    BreakEven,
    Estimate,
    ModelSummary,
    Plan,
    PriceUsed,
    RuledOut,
    ServingOption,
    TrainingOption,
    Verdict,
)
from estimator.risk import draw, estimate
from estimator.scenario import Scenario, workload

SEEN = date(2026, 11, 20)
GIB = 2.0**30

MEMORY_PARTS = {
    "weights": 13.0,
    "quantization constants": 0.4,
    "adapters": 0.1,
    "gradients": 0.2,
    "moments": 0.6,
    "activations": 9.0,
    "logits and loss": 4.0,
    "fragmentation": 1.5,
}
STEP_PARTS = {
    "matrix products": 3.0,
    "attention": 0.8,
    "elementwise": 0.9,
    "vocabulary": 0.4,
    "kernel launch": 0.1,
    "optimizer": 0.05,
}

BREAK_EVEN = BreakEven(
    rival="",
    crossings_per_day=(2_180_606.3,),
    lowest_per_day=2_180_606.3,
    always_above_per_day=2_180_606.3,
    low_per_day=629_025.0,
    median_per_day=2_400_000.0,
    high_per_day=None,
    never_probability=0.4375,
    searched_per_day=(1.0, 1e9),
)


def training_option(method: str, *, scale: float = 1.0, gpus: int = 1, **changes: Any) -> TrainingOption:
    parts = {name: value * scale * GIB for name, value in MEMORY_PARTS.items()}
    allocated = sum(parts.values())
    known: dict[str, Any] = {
        "method": method,
        "roles": ("cheapest",),
        "gpu": "h100-sxm",
        "gpu_label": "H100 SXM",
        "gpus": gpus,
        "gpus_billed": gpus,
        "provider": "lambda",
        "region": "global",
        "instance": f"gpu_{gpus}x_h100_sxm5",
        "purchase": "on-demand",
        "usd_per_gpu_hour": 2.9,
        "usd_per_gpu_hour_low": 2.9,
        "usd_per_gpu_hour_high": 2.9,
        "price_seen": SEEN,
        "price_source": "https://example.org/prices",
        "price_status": "published",
        "sharding": "none" if gpus == 1 else "fsdp",
        "micro_batch": 4,
        "recompute": "full",
        "compute_dtype": "bf16",
        "quantization": "nf4-double" if method == "qlora" else "",
        "trainable_parameters": 7.6e9 if method == "full" else 4.0e7,
        "memory_parts_bytes": parts,
        "allocated_bytes": allocated,
        "whole_experts_bytes": 0.0,
        "reserved_bytes": allocated * 1.02,
        "device_bytes": allocated * 1.02 + 0.6 * GIB,
        "limit_bytes": 79.6 * GIB,
        "fits": "yes",
        "fits_probability": 0.99,
        "tokens_per_s_per_gpu": 9000.0 / scale,
        "mfu": 0.41,
        "step_s": sum(STEP_PARTS.values()) * scale,
        "step_parts_s": {name: value * scale for name, value in STEP_PARTS.items()},
        "speed_low_factor": 0.8,
        "speed_high_factor": 1.2,
        "hours": Estimate(base=1.1 * scale, p10=0.8 * scale, p50=1.1 * scale, p90=1.9 * scale),
        "usd": Estimate(base=3.2 * scale, p10=2.4 * scale, p50=3.3 * scale, p90=5.6 * scale),
        "loaded_bytes": 15e9,
        "checkpoint_bytes": 2.4e8,
        "machines": 1,
        "spot_machines": 0,
        "run_parts_hours": {"start-up": 0.1 * scale, "training": 1.0 * scale},
        "flop": 7.7e17 * scale,
    }
    known |= changes
    return TrainingOption(**{f.name: known[f.name] for f in fields(TrainingOption)})


def serving_option(**changes: Any) -> ServingOption:
    base = ServingOption(
        gpu="l40s",
        gpu_label="L40S",
        gpus_per_replica=1,
        weights_dtype="fp8",
        batch=256,
        provider="runpod-secure",
        region="global",
        instance="L40S",
        usd_per_gpu_hour=0.86,
        usd_per_gpu_hour_low=0.86,
        usd_per_gpu_hour_high=0.86,
        price_seen=SEEN,
        price_source="https://example.org/prices",
        price_status="published",
        requests_per_s_per_replica=3.1,
        output_tokens_per_s_per_gpu=620.0,
        ttft_s=0.2,
        time_per_output_token_s=0.02,
        replicas=2,
        binding="availability",
        utilisation_fraction=0.04,
        peak_load_fraction=0.12,
        waiting_p95_s=0.0,
        ttft_p50_s=0.1,
        ttft_p95_s=0.3,
        peak_time_per_output_token_s=0.012,
        start_up_s=100.0,
    )
    return replace(base, **changes)


def own(name: str, base: float, unit: str, *, source: str = "made up", **changes: Any) -> Assumption:
    row = Assumption(
        name=name,
        label=name.replace("_", " "),
        base=base,
        low=base,
        high=base,
        unit=unit,
        status="published",
        source=source,
        checked="2026-11-20",
    )
    return replace(row, **changes)


def _drawn_ratio(name: str) -> Assumption:
    return own(name, 1.0, "ratio", low=0.8, high=1.25, shape="lognormal", minimum=0.01, maximum=100.0)


def serving_rows(option: ServingOption, *, stored_gb: float) -> tuple[Assumption, ...]:
    return (
        own("requests_per_s_per_replica", option.requests_per_s_per_replica, "request/s"),
        _drawn_ratio("serving_speed_ratio"),
        own("serving_gpus_per_replica", option.gpus_per_replica, "GPU"),
        own("serving_gpus_per_instance", 1, "GPU"),
        own("serving_usd_per_gpu_hour", option.usd_per_gpu_hour, "USD/GPU-hour"),
        own("serving_price_listed", 1.0, "0 or 1"),
        own("serving_start_up_hours", 0.03, "hour"),
        own("stored_gb_per_version", stored_gb, "GB"),
    )


def load_rows() -> tuple[Assumption, ...]:
    """Parameters of a serverless arm: a busy quarter of the time and a quiet one."""
    levels = (2.3, 1.2, 0.4, 0.1)
    return (
        own("load_bands", len(levels), "band"),
        *(own(f"load_level_{band}", level, "ratio") for band, level in enumerate(levels, 1)),
    )


def self_hosted(
    option: TrainingOption, serving: ServingOption, *, label: str = "", stored_gb: float = 15.2
) -> ArmSpec:
    return ArmSpec(
        id=f"self:{option.method}",
        label=label or f"{option.method}, self-hosted",
        kind="self-hosted",
        style="tuned",
        common_lines=costs.tuned_lines,
        stepped_lines=SERVING_LINES["dedicated"],
        other_lines=costs.released_lines,
        parameters=(
            own("train_tokens_per_s_per_gpu", option.tokens_per_s_per_gpu, "token/s/GPU"),
            own("train_gpus", option.gpus, "GPU"),
            own("train_gpus_billed", option.gpus_billed, "GPU"),
            own("train_usd_per_gpu_hour", option.usd_per_gpu_hour, "USD/GPU-hour", source=option.provider),
            own("train_price_listed", 1.0, "0 or 1"),
            own("processed_per_useful_token", 1.0526, "ratio"),
            own("loaded_bytes", 15e9, "bytes"),
            own("checkpoint_bytes", 2.4e8, "bytes"),
            own("moved_gb_per_release", 0.08, "GB"),
            own("train_machines", 1, "machine"),
            _drawn_ratio("speed_ratio"),
            *serving_rows(serving, stored_gb=stored_gb),
        ),
        training=option,
        serving=serving,
    )


def ready_made(serving: ServingOption) -> ArmSpec:
    return ArmSpec(
        id="ready-made",
        label="Open model as it is, few-shot",
        kind="ready-made",
        style="few-shot",
        stepped_lines=SERVING_LINES["dedicated"],
        other_lines=costs.ready_made_lines,
        parameters=serving_rows(serving, stored_gb=15.2),
        serving=serving,
    )


def api(reference: str, style: str, *, input_price: float, output_price: float) -> ArmSpec:
    unit = "USD/million tokens"
    return ArmSpec(
        id=f"api:{reference}:{style}",
        label=f"{reference}, {style}",
        kind="api",
        style=style,
        common_lines=costs.prompting_lines,
        other_lines=partial(costs.calling_lines, style=style),
        parameters=(
            own("input_price", input_price, unit),
            own("cached_input_price", input_price / 10, unit),
            own("cache_write_price", input_price, unit),
            own("output_price", output_price, unit),
            own("batch_input_price", input_price / 2, unit),
            own("batch_cached_input_price", input_price / 2, unit),
            own("batch_cache_write_price", input_price / 2, unit),
            own("batch_output_price", output_price / 2, unit),
        ),
    )


def hosted(provider: str, label: str, *, train_price: float = 3.0) -> ArmSpec:
    unit = "USD/million tokens"
    return ArmSpec(
        id=f"hosted:{provider}:some-model:lora",
        label=label,
        kind="hosted",
        style="tuned",
        other_lines=costs.hosted_lines,
        parameters=(
            own("train_price", train_price, unit),
            own("train_minimum_usd", 4.0, "USD"),
            *(
                own(f"{kind}{name}_price", price, unit)
                for kind in ("", "batch_")
                for name, price in (("input", 0.2), ("cached_input", 0.1), ("cache_write", 0.2), ("output", 0.2))
            ),
            own("hosting_usd_per_hour", 0.0, "USD/hour"),
        ),
    )


def default_specs() -> tuple[ArmSpec, ...]:
    serving = serving_option()
    return (
        api("openai/gpt-5-mini", "zero-shot", input_price=0.25, output_price=2.0),
        api("openai/gpt-5-mini", "few-shot", input_price=0.25, output_price=2.0),
        api("anthropic/claude-opus-5", "retrieval", input_price=5.0, output_price=25.0),
        ready_made(serving),
        self_hosted(training_option("lora"), serving),
        self_hosted(training_option("full", scale=2.2, gpus=8), serving),
    )


def twelve_specs() -> tuple[ArmSpec, ...]:
    """Twelve arms with long names, two of them equal but for the name."""
    long = "a-provider-with-a-long-name/some-very-large-language-model-2026-11-20-preview"
    serving = serving_option()
    return (
        *(
            api(f"{long}-{index}", style, input_price=price, output_price=5 * price)
            for index, price in enumerate((0.1, 1.0, 6.0))
            for style in ("zero-shot", "few-shot", "retrieval")
        ),
        hosted("together", "Hosted LoRA with a rather long description, Together AI serverless endpoints"),
        self_hosted(training_option("lora"), serving, label="LoRA, self-hosted"),
        ready_made(serving),
    )


def _arm(spec: ArmSpec, values: Mapping[str, float], base: Totals, drawn: Totals, share: float) -> Arm:
    lines = base_lines(spec=spec, values=values)
    months = month_column(values["horizon_months"])
    monthly = [sum(month) for month in zip(*(line.usd for line in lines), strict=True)]
    groups = {group: sum(line.total_usd for line in lines if line.group == group) for group in GROUPS}
    total = sum(monthly)
    return Arm(
        id=spec.id,
        label=spec.label,
        kind=spec.kind,
        style=spec.style,
        training=spec.training,
        serving=spec.serving,
        parameters=spec.parameters,
        lines=lines,
        monthly_usd=tuple(monthly),
        groups_usd=groups,
        total_usd=estimate(total, drawn.usd),
        npv_usd=estimate(float(base.npv_usd[0]), drawn.npv_usd),
        usd_per_1000_requests=1000 * total / float(with_series(values, months)["requests_in_month"].sum()),
        build_usd=monthly[0],
        retrain_usd=8400.0,
        probability_cheapest=share,
        expected_regret_usd=0.0,
        notes=spec.notes,
    )


def make_plan(
    specs: Sequence[ArmSpec] = (), *, settings: Mapping[str, float] | None = None, **changes: Any
) -> Plan:
    """A whole plan from specifications of arms; ``settings`` change assumptions, ``changes`` replace fields."""
    specs = tuple(specs) or default_specs()
    start = Scenario(model="7b", as_of=date(2026, 11, 21), draws=256)
    scenario = replace(start, assumptions=start.assumptions.setting(settings or {}))
    values = dict(scenario.assumptions)
    rows = scenario.assumptions.rows
    drawn = draw(rows, draws=scenario.draws, seed=scenario.seed)
    shared = with_series(drawn, month_column(values["horizon_months"]))
    own_drawn = {s.id: draw(s.parameters, draws=scenario.draws, seed=scenario.seed) for s in specs}
    found = {s.id: totals(spec=s, shared=shared, own=own_drawn[s.id]) for s in specs}
    cheapest = [min(found, key=lambda i: float(found[i].usd[d])) for d in range(scenario.draws)]
    base_shared = with_series(values, month_column(values["horizon_months"]))
    at_base = {
        s.id: totals(spec=s, shared=base_shared, own={row.name: row.base for row in s.parameters}) for s in specs
    }
    arms = tuple(_arm(s, values, at_base[s.id], found[s.id], cheapest.count(s.id) / scenario.draws) for s in specs)
    tuned = min((a for a in arms if a.style == "tuned"), key=lambda a: a.total_usd.base, default=None)
    rival = min((a for a in arms if a.kind == "api"), key=lambda a: a.total_usd.base, default=None)
    best = min(arms, key=lambda a: a.total_usd.base)
    by_id = {s.id: s for s in specs}
    plan = Plan(
        version="0.1.0",
        command="ftcost plan --model 7b --rows 10000",
        scenario=scenario,
        scenario_hash=scenario.hash,
        model=ModelSummary(
            id="example/Example-7B",
            how="7b is taken as example/Example-7B",
            parameters=7_615_616_512,
            active_parameters=7_615_616_512,
            layers=28,
            hidden=3584,
            vocab=152064,
            license="Apache-2.0",
            commercial_use="yes",
            source="https://example.org/config.json",
        ),
        workload=workload(scenario=scenario),
        training_options=tuple(a.training for a in arms if a.training is not None),
        serving_options=tuple(dict.fromkeys(a.serving for a in arms if a.serving is not None)),
        arms=arms,
        verdict=Verdict(
            arm=best.id,
            headline=f"Use {best.label}: it costs least over the horizon.",
            reasons=("No rows are labelled.", "Nothing is served on rented GPUs that stand idle."),
            flips=("Above 300,000 requests a day a tuned model costs less.",),
        ),
        best_tuned=tuned.id if tuned else "",
        best_rival=rival.id if rival else "",
        break_evens=(replace(BREAK_EVEN, rival=rival.id),) if tuned and rival else (),
        payback_month=None,
        retraining=retrain_cases(spec=by_id[tuned.id], values=values, quality_value_usd_per_month=None)
        if tuned
        else (),
        sensitivities=sensitivities(tuned=by_id[tuned.id], rival=by_id[rival.id], rows=rows, values=values)
        if tuned and rival
        else (),
        advice=(
            Advice(
                rule="pilot-first",
                text="Train on 1,000 rows first, then decide.",
                because="The pilot costs $6.4k; going on costs another $31k before the first month.",
                changes="a pilot has been judged",
                factor="pilot first, then iterate",
            ),
        ),
        ruled_out=(RuledOut(what="Hosted: Old Service", reason="no new jobs after 2026-12-01"),),
        prices=(
            PriceUsed(
                what="H100 SXM, training",
                provider="lambda",
                usd=2.9,
                unit="USD/GPU-hour",
                seen=SEEN,
                age_days=1,
                source="https://example.org/prices",
                status="published",
            ),
        ),
        defaults_used=("--requests-per-day 10000", "--epochs 3"),
        not_included=("Taxes and support contracts.", "The cost of being wrong."),
        next_commands=("ftcost plan --model 7b --rows 1000", "ftcost explain replicas"),
        search_candidates=48_000,
    )
    return replace(plan, **changes)
