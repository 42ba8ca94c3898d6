"""Hosted fine-tuning as arms: services that tune this model, or a closed one, and serve what was tuned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial

from estimator.accelerators import accelerators
from estimator.architecture import Architecture
from estimator.assumptions import Assumption
from estimator.models import ModelRecord
from estimator.money import costs
from estimator.money.arms import own, status_of
from estimator.money.ownership import ArmSpec
from estimator.parameters import total_parameters
from estimator.result import RuledOut
from estimator.risk import model_error
from estimator.scenario import Retraining, Scenario
from estimator.serving import Serving, ServingSetup, serving
from pricing import HostedOffer, hosted_finetuning

DEDICATED_TENSOR_PARALLEL = (1.0, 2.0, 4.0, 8.0)


def hosted_arms(
    *,
    scenario: Scenario,
    architecture: Architecture,
    record: ModelRecord | None,
    horizon_end: date,
    input_tokens: float,
) -> tuple[list[ArmSpec], list[RuledOut]]:
    """Every service that tunes this model or a closed model, and those that were ruled out with the reason.

    Args:
        input_tokens: of a request to the tuned model, for dedicated endpoints.
    """
    arms: list[ArmSpec] = []
    ruled_out: list[RuledOut] = []
    parameters = total_parameters(architecture=architecture)
    base_model = record.id if record else ""
    for row in hosted_finetuning(as_of=scenario.as_of):
        if row.objective != "sft" or not (row.closed or row.covers(base_model=base_model, parameters=parameters)):
            continue
        obstacle = _obstacle(row, scenario.as_of, horizon_end)
        if obstacle:
            ruled_out.append(RuledOut(what=f"{row.provider_label} {row.model} ({row.method})", reason=obstacle))
        elif row.serving == "per-token":
            arms.append(_arm(row, per_token_prices(row), scenario.retraining))
        else:
            answer = _endpoint(row, architecture, scenario.assumptions, input_tokens)
            if answer is None:
                reason = "the model does not fit eight cards of its endpoints"
                ruled_out.append(RuledOut(what=f"{row.provider_label} {row.model} ({row.method})", reason=reason))
            else:
                arms.append(_arm(row, endpoint_parameters(row, *answer), scenario.retraining))
    return arms, ruled_out


def _arm(row: HostedOffer, parameters: tuple[Assumption, ...], retraining: Retraining) -> ArmSpec:
    per_token = row.serving == "per-token"
    what = row.model.replace(" (", ", ").removesuffix(")") if row.closed else row.method
    return ArmSpec(
        id=f"hosted:{row.provider}:{row.model}:{row.method}",
        label=f"{row.provider_label} hosted, {what}",
        kind="hosted",
        style="closed model" if row.closed else "tuned",
        stepped_lines=None if per_token else costs.endpoint_lines,
        other_lines=partial(costs.hosted_lines if per_token else costs.dedicated_lines, retraining=retraining),
        parameters=parameters,
        notes=tuple(note for note in (row.billing_rule, row.notes) if note),
    )


def _obstacle(row: HostedOffer, as_of: date, horizon_end: date) -> str:
    """Why a plan of this horizon cannot rest on the service, or nothing."""
    if row.available_until is not None and row.available_until < horizon_end:
        return f"tuned models stop answering after {row.available_until.isoformat()}, inside the horizon"
    if row.new_jobs_until is not None and row.new_jobs_until < horizon_end:
        return f"no new jobs after {row.new_jobs_until.isoformat()}, so no retrains"
    if row.new_customers_until is not None and row.new_customers_until < as_of:
        return f"closed to new customers since {row.new_customers_until.isoformat()}"
    if row.train_usd_per_million_tokens is None:
        return "bills training by the hour, not per token"
    if row.serving == "dedicated" and (row.hosting_usd_per_hour is None or not row.hosting_gpu):
        return "price or card of its dedicated endpoints not known"
    if row.serving == "per-token" and (
        row.serve_input_usd_per_million_tokens is None or row.serve_output_usd_per_million_tokens is None
    ):
        return "price of the tuned model's tokens not known"
    if row.serving not in ("per-token", "dedicated"):
        return "does not serve the tuned model itself"
    if row.deployment_hours is not None:
        return f"a deployment lives {row.deployment_hours:.0f} hours only"
    return ""


def _prices(row: HostedOffer, named: Mapping[str, tuple[str, float, str]]) -> tuple[Assumption, ...]:
    return tuple(
        own(
            name,
            label,
            value,
            unit,
            status=status_of(row.status),
            source=row.source,
            checked=row.seen.isoformat(),
        )
        for name, (label, value, unit) in named.items()
    )


def per_token_prices(row: HostedOffer) -> tuple[Assumption, ...]:
    """Prices of training tokens, of the tuned model's tokens (no service lists batches of them), and hosting."""
    plain = row.serve_input_usd_per_million_tokens or 0.0
    cached = row.serve_cached_input_usd_per_million_tokens
    unit = "USD/million tokens"
    tokens = {
        "input_price": ("input tokens", plain),
        "cached_input_price": ("input tokens read from the cache", plain if cached is None else cached),
        "cache_write_price": ("input tokens written to the cache", plain),
        "output_price": ("output tokens", row.serve_output_usd_per_million_tokens or 0.0),
    }
    return _prices(
        row,
        {
            "train_price": ("training tokens", row.train_usd_per_million_tokens or 0.0, unit),
            "train_minimum_usd": ("least charge of a job", row.minimum_usd or 0.0, "USD"),
            **{
                f"{kind}{name}": (label, usd, unit)
                for kind in ("", "batch_")
                for name, (label, usd) in tokens.items()
            },
            "hosting_usd_per_hour": ("hosting fee", row.hosting_usd_per_hour or 0.0, "USD/hour"),
        },
    )


def _endpoint(
    row: HostedOffer, architecture: Architecture, values: Mapping[str, float], input_tokens: float
) -> tuple[float, Serving] | None:
    """The smallest tensor-parallel endpoint that holds the model, with what it delivers."""
    for tp in DEDICATED_TENSOR_PARALLEL:
        answer = serving(
            setup=ServingSetup(
                architecture=architecture,
                accelerator=accelerators()[row.hosting_gpu].accelerator,
                weights_dtype="fp16",
                kv_dtype="fp16",
                tp=tp,
                input_tokens=input_tokens,
                output_tokens=values["output_tokens"],
            ),
            constants=values,
        )
        if bool(answer.fits):
            return tp, answer
    return None


def endpoint_parameters(row: HostedOffer, tp: float, answer: Serving) -> tuple[Assumption, ...]:
    """Parameters of dedicated endpoints: the service's prices, and what one endpoint delivers."""
    seen = row.seen.isoformat()
    model = f"serving model on {row.hosting_gpu}"
    return (
        *_prices(
            row,
            {
                "train_price": (
                    "training tokens",
                    row.train_usd_per_million_tokens or 0.0,
                    "USD/million tokens",
                ),
                "train_minimum_usd": ("least charge of a job", row.minimum_usd or 0.0, "USD"),
                "hosting_usd_per_hour": (
                    "GPU of an endpoint",
                    row.hosting_usd_per_hour or 0.0,
                    "USD/GPU-hour",
                ),
            },
        ),
        own(
            "requests_per_s_per_replica",
            "requests an endpoint finishes at full load",
            float(answer.requests_per_s_per_replica),
            "request/s",
            status="computed",
            source=model,
            checked=seen,
        ),
        model_error("serving_speed_ratio", (float(answer.low_factor), float(answer.high_factor))),
        own(
            "serving_gpus_per_replica",
            "GPUs of an endpoint",
            tp,
            "GPU",
            status="computed",
            source=model,
            checked=seen,
        ),
    )
