"""``ftcost serve-plan``: replicas for a load on every card that can hold the model, cheapest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimator.architecture import Architecture
from estimator.errors import NothingFitsError
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR
from estimator.scenario import Scenario
from estimator.search.market import market
from estimator.search.replicas import ReplicaTypes, ServingChoice
from estimator.words import money, percent
from reports.screen import Screen, numbers, words

MS_PER_S = 1000.0


def serve_rows(
    *,
    scenario: Scenario,
    architecture: Architecture,
    latency_ms: float | None,
    ttft_ms: float | None,
) -> list[dict[str, Any]]:
    """One row per card: replica type, replicas for the peak, what they cost and how busy they are.

    Raises:
        NothingFitsError: no card of the market holds the model within the limits.
    """
    values = scenario.assumptions
    types = ReplicaTypes(
        architecture=architecture,
        market=market(scenario=scenario),
        values=values,
        input_tokens=values["input_tokens"],
        output_tokens=values["output_tokens"],
        latency_s_per_token=None if latency_ms is None else latency_ms / MS_PER_S,
        ttft_s=None if ttft_ms is None else ttft_ms / MS_PER_S,
    )
    choices = types.by_gpu(requests_per_day=values["requests_per_day"])
    if not choices:
        limits = " within the latency limits" if latency_ms is not None or ttft_ms is not None else ""
        raise NothingFitsError(
            f"nothing fits: no card, alone or eight together, holds {architecture.id}{limits}."
            " Change one of: --gpu, --provider, --marketplaces, --latency-ms, --ttft-ms, or a smaller --model."
        )
    return [_row(choice, values) for choice in choices]


def _row(choice: ServingChoice, values: Mapping[str, float]) -> dict[str, Any]:
    option = choice.option
    requests = values["requests_per_day"] * DAYS_PER_MONTH
    cards = option.replicas * option.gpus_per_replica
    billed = -(-cards // choice.gpus_per_instance) * choice.gpus_per_instance
    usd = billed * option.usd_per_gpu_hour * HOURS_PER_MONTH * values["cloud_overhead_ratio"]
    usable = values["slo_throughput_fraction"] * values["max_load_fraction"]
    peak = requests / (HOURS_PER_MONTH * SECONDS_PER_HOUR) * values["peak_to_mean_ratio"]
    tokens = requests * (values["input_tokens"] + values["output_tokens"])
    return {
        "gpu": option.gpu,
        "gpus_per_replica": option.gpus_per_replica,
        "weights_dtype": option.weights_dtype,
        "provider": option.provider,
        "region": option.region,
        "instance": option.instance,
        "usd_per_gpu_hour": option.usd_per_gpu_hour,
        "price_seen": option.price_seen.isoformat(),
        "replicas": option.replicas,
        "gpus_billed": billed,
        "binding": option.binding,
        "requests_per_s_per_replica": option.requests_per_s_per_replica,
        "requests_per_s_low": option.requests_per_s_per_replica * choice.low_factor,
        "requests_per_s_high": option.requests_per_s_per_replica * choice.high_factor,
        "output_tokens_per_s_per_gpu": option.output_tokens_per_s_per_gpu,
        "ttft_s": option.ttft_s,
        "time_per_output_token_s": option.time_per_output_token_s,
        "utilisation_fraction": option.utilisation_fraction,
        "headroom_ratio": option.requests_per_s_per_replica * option.replicas * usable / peak,
        "usd_per_month": usd,
        "usd_per_1000_requests": 1000 * usd / requests,
        "usd_per_million_tokens": 1e6 * usd / tokens,
    }


def show_serve_plan(rows: list[dict[str, Any]], *, model: str, scenario: Scenario, screen: Screen) -> None:
    """The same rows as a table."""
    values = scenario.assumptions
    screen.line(
        f"Serving {model}: {values['requests_per_day']:,.0f} requests a day of {values['input_tokens']:,.0f}"
        f" tokens in and {values['output_tokens']:,.0f} out; peak hour {values['peak_to_mean_ratio']:g} times the"
        " mean;"
        f" prices as of {scenario.as_of}, {scenario.purchase}."
    )
    wide = screen.width >= 100
    screen.table(
        [
            *words("replica, and where it is rented"),
            *numbers("replicas", "busy", "USD/month", "per 1,000", "per M tokens"),
            *(numbers("req/s", "first token", "per token") if wide else []),
        ],
        [
            [
                f"{row['gpus_per_replica']} x {row['gpu']}, {row['weights_dtype']}\n"
                f"{row['provider']}, ${row['usd_per_gpu_hour']:.2f}/GPU-h",
                str(row["replicas"]),
                percent(row["utilisation_fraction"]),
                money(row["usd_per_month"]),
                f"${row['usd_per_1000_requests']:.3g}",
                f"${row['usd_per_million_tokens']:.3g}",
                *(
                    [
                        f"{row['requests_per_s_per_replica']:.3g}",
                        f"{row['ttft_s']:.2g} s",
                        f"{MS_PER_S * row['time_per_output_token_s']:.3g} ms",
                    ]
                    if wide
                    else []
                ),
            ]
            for row in rows
        ],
    )
    floor = sum(row["binding"] == "availability" for row in rows)
    screen.line(
        f"busy: mean load over what the replicas can do. {floor} of {len(rows)} rows are held up by the floor of"
        f" {values['minimum_replicas']:g} replicas, not by the load. Latencies are those of a full replica."
    )
