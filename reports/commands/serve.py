"""``ftcost serve-plan``: replicas for a load on every card that holds the model, and ways to run them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from estimator.accelerators import cpus
from estimator.architecture import Architecture
from estimator.errors import InputError, NothingFitsError
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR
from estimator.scenario import Scenario
from estimator.search.engine_cards import LeftOut, processors_unfit_reason, serving_market
from estimator.search.fleet import BATCH, FIXED, HOURLY, ZERO, Way, ways
from estimator.search.market import OWN, Market, market
from estimator.search.replicas import ReplicaTypes, ServingChoice
from estimator.serving import hourly_load
from estimator.words import counted, money, percent, seconds
from reports.screen import Screen, numbers, words
from reports.style import dollars

HOURS_PER_DAY = 24.0


@dataclass(frozen=True, kw_only=True)
class ServeAnswer:
    """Replica types, cheapest first, each as a row of plain values and with its ways to run.

    ``left_out`` names the cards on which the engine or the type of the weights does not run.
    """

    rows: tuple[Mapping[str, Any], ...]
    ways: tuple[tuple[Way, ...], ...]
    left_out: tuple[LeftOut, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Rows with their ways; what has no value is null."""
        return {
            "rows": [
                {**row, "ways": [{**_finite(asdict(way)), "used_fraction": way.used_fraction} for way in of_row]}
                for row, of_row in zip(self.rows, self.ways, strict=True)
            ],
            "left_out": [asdict(one) for one in self.left_out],
        }

    def cheapest_ways(self) -> list[tuple[Mapping[str, Any], Way]]:
        """The cheapest row of each way to run."""
        names = dict.fromkeys(way.name for of_row in self.ways for way in of_row)
        pairs = [(row, way) for row, of_row in zip(self.rows, self.ways, strict=True) for way in of_row]
        return [
            min((pair for pair in pairs if pair[1].name == name), key=lambda pair: pair[1].usd_per_month)
            for name in names
        ]


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def serve_answer(
    *,
    scenario: Scenario,
    architecture: Architecture,
    adapters: int = 0,
    batch_window_hours: float | None = None,
) -> ServeAnswer:
    """One row per card: replica type, replicas for the busiest hour, what they cost and what requests meet.

    Raises:
        InputError: flags that contradict each other, or a batch window that no replica type can use.
        NothingFitsError: no card of the market holds the model within the limits.
    """
    values = scenario.assumptions
    if batch_window_hours is not None and batch_window_hours > HOURS_PER_DAY:
        raise InputError(f"--batch-window-hours {batch_window_hours:g} is longer than a day; allowed: up to 24.")
    _refuse_conflicts(scenario)
    offered, processors, left_out = _offered(scenario)
    types = ReplicaTypes(
        architecture=architecture,
        scenario=processors,
        market=offered,
        input_tokens=values["input_tokens"],
        adapters=adapters,
    )
    load = values["requests_per_day"]
    choices = types.by_gpu(requests_per_day=load)
    if not choices:
        raise NothingFitsError(_nothing_fits(scenario, architecture))
    curve = hourly_load(measured=scenario.hourly_load, peak_to_mean=values["peak_to_mean_ratio"])
    found = tuple(
        ways(
            choice=choice,
            values=values,
            load=curve,
            requests_per_day=load,
            batch_window_hours=batch_window_hours,
        )
        for choice in choices
    )
    if batch_window_hours is not None and not any(way.name == BATCH for of_row in found for way in of_row):
        quickest = min(choice.option.start_up_s for choice in choices)
        raise InputError(
            f"--batch-window-hours {batch_window_hours:g} is over before a replica is up"
            f" ({quickest / SECONDS_PER_HOUR:.2g} hours at best). Give a longer window."
        )
    rows = tuple(_row(choice, of_row[0], values) for choice, of_row in zip(choices, found, strict=True))
    return ServeAnswer(rows=rows, ways=found, left_out=left_out)


def _refuse_conflicts(scenario: Scenario) -> None:
    """Refuse flags of which one makes the other idle."""
    if scenario.cpu == "only" and scenario.gpus:
        raise InputError("--cpu only and --gpu exclude each other: processors alone, or these cards. Drop one.")
    values = scenario.assumptions
    if values.row("draft_acceptance_fraction").status == "user" and not values["draft_tokens"]:
        raise InputError("--draft-acceptance has nothing to accept: no token is drafted. Give --draft-tokens too.")


def _offered(scenario: Scenario) -> tuple[Market | None, Scenario, tuple[LeftOut, ...]]:
    """The offers whose cards serve as asked, the scenario for processors, and what is left out.

    Raises:
        InputError: nothing that is asked for serves so.
    """
    fits: Market | None = None
    left_out: tuple[LeftOut, ...] = ()
    if scenario.cpu != "only":
        fits, left_out = serving_market(market(scenario=scenario), scenario=scenario)
    reason = processors_unfit_reason(engine=scenario.engine, dtype=scenario.served_dtype)
    wanted = scenario.cpu != "none" and (scenario.cpu is not None or not scenario.gpus)
    if reason and wanted:
        left_out = (*left_out, LeftOut(gpu="processors", reason=reason))
        scenario = replace(scenario, cpu="none")
        wanted = False
    if fits is None and not wanted:
        asked = f"--engine {scenario.engine}"
        asked += f" with --served-dtype {scenario.served_dtype}" if scenario.served_dtype else ""
        raise InputError(
            f"nothing that is asked for serves with {asked}: {_reasons(left_out)}. Change --engine,"
            " --served-dtype, --gpu or --cpu."
        )
    return fits, scenario, left_out


def _reasons(left_out: Sequence[LeftOut]) -> str:
    """What is left out by reason: "it has no fp8 units (a100-80gb-sxm, l4)"."""
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        by_reason.setdefault(one.reason, []).append(one.gpu)
    return "; ".join(f"{reason} ({', '.join(gpus)})" for reason, gpus in by_reason.items())


def _nothing_fits(scenario: Scenario, architecture: Architecture) -> str:
    limited = scenario.latency_ms is not None or scenario.ttft_ms is not None
    if scenario.cpu == "only":
        most = scenario.assumptions["cpu_most_parameters"] / 1e9
        return (
            f"nothing fits: no machine without accelerators serves {architecture.id}"
            f"{' within the latency limits' if limited else ''}. They are offered for models up to {most:g}"
            " billion parameters (cpu_most_parameters). Change one of: --cpu, --provider, --region, the limits, or"
            " a smaller --model."
        )
    return (
        f"nothing fits: no card, alone or eight together, holds {architecture.id}"
        f"{' within the latency limits' if limited else ''}."
        " Change one of: --gpu, --provider, --marketplaces, --latency-ms, --ttft-ms, --served-dtype, or a smaller"
        " --model."
    )


def _row(choice: ServingChoice, fixed: Way, values: Mapping[str, float]) -> dict[str, Any]:
    option = choice.option
    cards = option.replicas * option.gpus_per_replica
    usable = values["slo_throughput_fraction"] * values["max_load_fraction"]
    mean = values["requests_per_day"] * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
    peak = mean * values["peak_to_mean_ratio"]
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
        "gpus_billed": -(-cards // choice.gpus_per_instance) * choice.gpus_per_instance,
        "binding": option.binding,
        "batch": option.batch,
        "requests_per_s_per_replica": option.requests_per_s_per_replica,
        "requests_per_s_low": option.requests_per_s_per_replica * choice.low_factor,
        "requests_per_s_high": option.requests_per_s_per_replica * choice.high_factor,
        "output_tokens_per_s_per_gpu": option.output_tokens_per_s_per_gpu,
        "ttft_s": option.ttft_s,
        "time_per_output_token_s": option.time_per_output_token_s,
        "waiting_p95_s": option.waiting_p95_s,
        "ttft_p50_s": option.ttft_p50_s,
        "ttft_p95_s": option.ttft_p95_s,
        "peak_time_per_output_token_s": option.peak_time_per_output_token_s,
        "start_up_s": option.start_up_s,
        "utilisation_fraction": option.utilisation_fraction,
        "peak_load_fraction": option.peak_load_fraction,
        "headroom_ratio": choice.planned_requests_per_s * option.replicas * usable / peak,
        "gpu_hours_paid_per_month": fixed.gpu_hours_paid,
        "gpu_hours_used_per_month": fixed.gpu_hours_used,
        "usd_per_month": fixed.usd_per_month,
        "usd_per_1000_requests": fixed.usd_per_1000_requests,
        "usd_per_million_tokens": fixed.usd_per_million_tokens,
    }


def show_serve_plan(answer: ServeAnswer, *, model: str, scenario: Scenario, screen: Screen) -> None:
    """The same rows as tables."""
    _question(model, scenario, screen)
    _replicas(answer.rows, scenario.assumptions, screen)
    if answer.left_out:
        screen.line(f"Left out: {_reasons(answer.left_out)}.")
    _ways(answer, scenario.assumptions, screen)


def _question(model: str, scenario: Scenario, screen: Screen) -> None:
    values = scenario.assumptions
    curve = (
        f"a cycle of {counted(len(scenario.hourly_load), 'hour')}" if scenario.hourly_load else "a day-night curve"
    )
    options = [
        f"{percent(values['prefix_cached_fraction'])} of the input cached"
        if values["prefix_cached_fraction"]
        else "",
        f"{counted(values['draft_tokens'], 'token')} drafted a step" if values["draft_tokens"] else "",
    ]
    screen.line(
        f"Serving {model} with {scenario.engine}: {counted(values['requests_per_day'], 'request')} a day of"
        f" {counted(values['input_tokens'], 'token')} in and {values['output_tokens']:,.0f} out"
        f" (standard deviations {values['input_tokens_cv'] * values['input_tokens']:,.0f} and"
        f" {values['output_tokens_cv'] * values['output_tokens']:,.0f})"
        f"{''.join(f', {text}' for text in options if text)}; busiest hour"
        f" {values['peak_to_mean_ratio']:.3g} times the mean, {curve}; prices"
        f" as of {scenario.as_of}, {scenario.purchase}."
    )


def _replica(row: Mapping[str, Any]) -> str:
    unit = "hour" if row["gpu"] in cpus() else "GPU-h"
    return (
        f"{row['gpus_per_replica']} x {row['gpu']}, {row['weights_dtype']}\n"
        f"{row['provider']}, ${row['usd_per_gpu_hour']:.2f}/{unit}"
    )


def _more_billed(row: Mapping[str, Any]) -> str:
    """A line where whole instances hold more cards than the replicas use."""
    used = row["replicas"] * row["gpus_per_replica"]
    return f"\n{used} of {row['gpus_billed']} cards billed" if row["gpus_billed"] > used else ""


def _replicas(rows: Sequence[Mapping[str, Any]], values: Mapping[str, float], screen: Screen) -> None:
    wide = screen.width >= 100
    screen.table(
        [
            *words("replica, and where it is rented"),
            *numbers("replicas", "busy", "latency", "USD/month", "per 1,000"),
            *(numbers("req/s", "wait P95", "GPU-h paid") if wide else []),
        ],
        [
            [
                _replica(row) + _more_billed(row),
                f"{row['replicas']}\nof {row['batch']}",
                f"{percent(row['utilisation_fraction'])}\n{percent(row['peak_load_fraction'])}",
                f"{seconds(row['ttft_p95_s'])}\n{seconds(row['peak_time_per_output_token_s'])}",
                money(row["usd_per_month"]),
                f"{dollars(row['usd_per_1000_requests'])}\n{dollars(row['usd_per_million_tokens'])}",
                *(
                    [
                        f"{row['requests_per_s_per_replica']:.3g}\n"
                        f"{row['requests_per_s_low']:.3g}-{row['requests_per_s_high']:.3g}",
                        seconds(row["waiting_p95_s"]),
                        f"{row['gpu_hours_paid_per_month']:,.0f}\n{row['gpu_hours_used_per_month']:,.0f} used",
                    ]
                    if wide
                    else []
                ),
            ]
            for row in rows
        ],
    )
    held = sum(row["binding"] == "availability" for row in rows)
    waiting = sum(row["binding"] == "first token" for row in rows)
    binds = f" {waiting} are held up by the limit on the first token." if waiting else ""
    more = " req/s: of a full replica, P10 to P90 below." if wide else ""
    screen.line(
        "replicas: below, sequences in flight of a full one. busy: mean load over what the replicas do at full"
        " batch; below, in the busiest hour. latency: to the first token at P95 in that hour, waiting included;"
        f" below, per output token. per 1,000: USD per 1,000 requests; below, per million tokens.{more}"
    )
    for line in _meaning_of_usd({row["provider"] for row in rows}, values):
        screen.line(line)
    screen.line(
        f"{held} of {len(rows)} {'row is' if len(rows) == 1 else 'rows are'} held up by the floor of"
        f" {counted(values['minimum_replicas'], 'replica')}, not by the load.{binds}"
    )
    if processors := [row for row in rows if row["gpu"] in cpus()]:
        answer_s = min(row["peak_time_per_output_token_s"] for row in processors) * values["output_tokens"]
        screen.line(
            f"Machines without accelerators are estimates that no run has checked; an answer of"
            f" {counted(values['output_tokens'], 'token')} takes {seconds(answer_s)} there at best."
        )


def _meaning_of_usd(providers: set[str], values: Mapping[str, float]) -> list[str]:
    """What the USD of a month hold, of rented and of bought replicas."""
    found = []
    if providers - {OWN}:
        found.append(
            f"USD: whole instances, times {values['cloud_overhead_ratio']:g} for what a cloud bills beside them"
            f" (cloud_overhead_ratio); without the {counted(values['staging_replicas'], 'staging replica')} that"
            " `plan` adds; the rows are ordered with them."
        )
    if OWN in providers:
        found.append(
            "USD of bought cards: every hour of the month at their price an hour, the cards of the replicas alone."
            " `plan --on-prem` buys whole boards and cards to train on, and counts idle cards at idle power."
        )
    return found


def _ways(answer: ServeAnswer, values: Mapping[str, float], screen: Screen) -> None:
    screen.heading("Ways to run it through the day, cheapest replica of each, by the month")
    found = answer.cheapest_ways()
    screen.table(
        [
            *words("way", "replica"),
            *numbers("replicas", "GPU-h", "used", "P95", "USD", "per 1,000"),
        ],
        [
            [
                way.name,
                _replica(row),
                f"{way.replicas_low}-{way.replicas_high}"
                if way.replicas_low != way.replicas_high
                else str(way.replicas_high),
                f"{way.gpu_hours_paid:,.0f}",
                percent(way.used_fraction),
                "waits" if math.isnan(way.ttft_p95_s) else seconds(way.ttft_p95_s),
                money(way.usd_per_month),
                dollars(way.usd_per_1000_requests),
            ]
            for row, way in found
        ],
    )
    zero = next((way for _, way in found if way.name == ZERO), None)
    cold = (
        f" Scaled to zero, {percent(zero.cold_start_fraction)} of the requests find no replica up and wait"
        f" {zero.cold_start_s:.0f} s for one. That is on rented machines, started and stopped by yourself: a"
        f" serverless service asks about {values['serverless_price_ratio']:g} times their price"
        " (serverless_price_ratio), as `plan` counts it."
        if zero
        else ""
    )
    hourly = (
        f" {HOURLY}: as each hour needs, each start paid." if any(way.name == HOURLY for _, way in found) else ""
    )
    screen.line(
        f"{FIXED}: replicas for the busiest hour, always.{hourly} GPU-h:"
        " paid, hours of the machine for processors; used: of them. P95: to the first token, in the hour with the"
        f" longest.{cold}"
    )
