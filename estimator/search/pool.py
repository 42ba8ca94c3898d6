"""Replica types over one market: a block of cards x cards per replica for each type of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accelerators import stack_accelerators
from estimator.architecture import Architecture
from estimator.money.series import DAYS_PER_MONTH
from estimator.money.serving_costs import replicas
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array
from estimator.result import ServingOption
from estimator.search.market import Market
from estimator.serving import (
    Serving,
    ServingSetup,
    StepTimes,
    largest_load_fraction,
    responses,
    serving,
    under_latency,
)
from estimator.serving.setup import Engine, ServedDtype

DEGREES = np.array([[1.0, 2.0, 4.0, 8.0]])
ONE_SOCKET = np.array([[1.0]])
DTYPES: tuple[ServedDtype, ...] = ("fp16", "fp8")
CPU_DTYPES: tuple[ServedDtype, ...] = ("fp16", "int8")
MANY_EXPERTS = 8
"""Mixtures of more experts are also tried with experts spread over the cards and attention data-parallel."""

Kind = tuple[ServedDtype, str]
"""Weights' type, and how a replica's cards share the work: "tp" or "ep"."""


@dataclass(frozen=True, kw_only=True)
class ServingChoice:
    """A replica type with what the money formulas need beside what people read.

    Attributes:
        planned_requests_per_s: requests a replica may get at full load of the money formulas: what it finishes
            at full batch, or less where the limit on the first token binds before them.
        usd_per_hour: all cards of its replicas and staging, without surroundings.
        times: step times of the engine, for the queueing.
    """

    option: ServingOption
    key: tuple[object, ...]
    gpus_per_instance: int
    low_factor: float
    high_factor: float
    planned_requests_per_s: float
    usd_per_hour: float
    times: StepTimes


class Pool:
    """Every card of one market x cards per replica x weights' type.

    Weights are served in 16 bit, or in fp8 where the card multiplies in fp8 (processors: int8), unless one type is
    asked for; the cache has 8 bits with fp8 weights, else 16. The cards of a replica stand in one machine of the
    offer. With a limit on the time per output token a replica runs the largest batch that keeps it; with one on
    the time to the first token it gets no more requests than keep it at P95. What is put before a request's own
    input or saved from it is the same for all, so the standard deviation of the input stays.
    """

    def __init__(
        self,
        *,
        architecture: Architecture,
        market: Market,
        values: Mapping[str, float],
        input_tokens: float,
        engine: Engine,
        dtype: ServedDtype | None,
        adapters: int,
        processors: bool,
        latency_s_per_token: float | None,
        ttft_s: float | None,
    ) -> None:
        self.market, self.values = market, dict(values)
        self.input_tokens_cv = values["input_tokens_cv"] * values["input_tokens"] / input_tokens
        self.degrees = ONE_SOCKET if processors else DEGREES
        self.shape = (len(market.records), self.degrees.shape[1])
        accelerator = stack_accelerators(market.records, axes=2)
        self.answers: dict[Kind, Serving] = {}
        self.setups: dict[Kind, ServingSetup] = {}
        self.step_times: dict[Kind, StepTimes] = {}
        self.runs: dict[Kind, NDArray[np.bool_]] = {}
        self.planned: dict[Kind, Array] = {}
        layouts = ("tp", "ep") if architecture.experts > MANY_EXPERTS and not processors else ("tp",)
        dtypes = (dtype,) if dtype else CPU_DTYPES if processors else DTYPES
        for kind in product(dtypes, layouts):
            weights, layout = kind
            setup = ServingSetup(
                architecture=architecture,
                accelerator=accelerator,
                weights_dtype=weights,
                kv_dtype="fp8" if weights == "fp8" else "fp16",
                engine=engine,
                tp=self.degrees if layout == "tp" else 1.0,
                ep=self.degrees if layout == "ep" else 1.0,
                input_tokens=input_tokens,
                output_tokens=values["output_tokens"],
                input_tokens_cv=self.input_tokens_cv,
                output_tokens_cv=values["output_tokens_cv"],
                cached_input_fraction=values["prefix_cached_fraction"],
                adapters=adapters,
                draft_tokens=values["draft_tokens"],
                draft_acceptance_fraction=values["draft_acceptance_fraction"],
                draft_cost_fraction=values["draft_cost_fraction"],
            )
            answer = under_latency(setup=setup, constants=values, latency_s_per_token=latency_s_per_token)
            rate = np.broadcast_to(answer.requests_per_s_per_replica, self.shape)
            usable = np.broadcast_to(answer.fits, self.shape) & (rate > 0)
            if weights == "fp8" and not dtype:
                usable = usable & np.broadcast_to(np.asarray(accelerator.fp8_flop_per_s) > 0, self.shape)
            self.answers[kind], self.setups[kind] = answer, setup
            self.planned[kind], self.runs[kind] = rate, usable
            if ttft_s is not None:
                kept = np.asarray(largest_load_fraction(times=self._times(kind), ttft_p95_s=ttft_s))
                usual = values["slo_throughput_fraction"] * values["max_load_fraction"]
                self.planned[kind] = rate * np.minimum(kept / usual, 1.0)
                self.runs[kind] = usable & (kept > 0.0)

    def by_gpu(self, *, requests_per_day: float) -> list[ServingChoice]:
        """The cheapest replica type of each card that can hold the model."""
        best: dict[int, tuple[tuple[float, ...], tuple[Kind, int, int, float]]] = {}
        for kind in self.answers:
            count, hourly = self._costs(kind, requests_per_day)
            for gpu in range(self.shape[0]):
                own = np.flatnonzero(self.market.gpu_index == gpu)
                place = int(np.argmin(hourly[own]))
                row, column = int(own[place // self.shape[1]]), place % self.shape[1]
                usd = float(hourly[row, column])
                key = (usd, float(self.degrees[0, column]))
                if np.isfinite(usd) and (gpu not in best or key < best[gpu][0]):
                    best[gpu] = key, (kind, row, column, float(count[gpu, column]))
        return [self._choice(*place, key[0], requests_per_day) for key, place in best.values()]

    def cheapest(self, *, requests_per_day: float) -> ServingChoice | None:
        """The cheapest replica type at a load."""
        best: tuple[float, Kind, int, int, float] | None = None
        for kind in self.answers:
            count, hourly = self._costs(kind, requests_per_day)
            row, column = (int(i) for i in np.unravel_index(int(np.argmin(hourly)), hourly.shape))
            usd = float(hourly[row, column])
            if np.isfinite(usd) and (best is None or usd < best[0]):
                best = usd, kind, row, column, float(count[self.market.gpu_index[row], column])
        return self._choice(*best[1:], best[0], requests_per_day) if best else None

    def _costs(self, kind: Kind, requests_per_day: float) -> tuple[Array, Array]:
        """Replicas by (card, cards per replica), and USD an hour of all cards by (offer, cards per replica)."""
        count = np.asarray(
            replicas(
                {
                    **self.values,
                    "requests_in_month": requests_per_day * DAYS_PER_MONTH,
                    "serving_speed_ratio": 1.0,
                    "requests_per_s_per_replica": np.where(self.runs[kind], self.planned[kind], 1.0),
                }
            )
        )
        gpu, instance = self.market.gpu_index, self.market.instance_gpus[:, None]
        billed = np.ceil(count[gpu] * self.degrees / instance) * instance
        billed = billed + self.values["staging_replicas"] * self.degrees
        possible = self.runs[kind][gpu] & (self.market.machine_gpus[:, None] >= self.degrees)
        return count, np.where(possible, billed * self.market.usd_per_gpu_hour[:, None], np.inf)

    def _times(self, kind: Kind) -> StepTimes:
        if kind not in self.step_times:
            self.step_times[kind] = self._worked_out_times(kind)
        return self.step_times[kind]

    def _worked_out_times(self, kind: Kind) -> StepTimes:
        full, values = self.answers[kind], self.values
        alone = serving(setup=self.setups[kind].with_(batch=1.0), constants=values)
        return StepTimes(
            alone_token_s=alone.time_per_output_token_s,
            full_token_s=full.time_per_output_token_s,
            alone_decode_s=alone.decode_step_s,
            full_decode_s=full.decode_step_s,
            prefill_s=full.prefill_s,
            batch=np.maximum(full.batch, 1.0),
            output_tokens=values["output_tokens"],
            input_tokens_cv=self.input_tokens_cv,
            output_tokens_cv=values["output_tokens_cv"],
        )

    def _choice(
        self, kind: Kind, row: int, column: int, count: float, usd_per_hour: float, requests_per_day: float
    ) -> ServingChoice:
        offer, gpu = self.market.offers[row], int(self.market.gpu_index[row])
        record, answer, values = self.market.records[gpu], self.answers[kind], self.values

        def at(field: object) -> float:
            return float(np.broadcast_to(np.asarray(field, dtype=float), self.shape)[gpu, column])

        rate, planned = at(answer.requests_per_s_per_replica), at(self.planned[kind])
        mean = requests_per_day * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
        gpus, price = int(self.degrees[0, column]), float(self.market.usd_per_gpu_hour[row])
        load = "first token" if planned < rate else "load"
        option = ServingOption(
            gpu=record.id,
            gpu_label=record.label,
            gpus_per_replica=gpus,
            weights_dtype=kind[0],
            batch=int(at(answer.batch)),
            provider=offer.provider,
            region=offer.region,
            instance=offer.instance,
            usd_per_gpu_hour=price,
            usd_per_gpu_hour_low=offer.low_usd_per_gpu_hour or price,
            usd_per_gpu_hour_high=offer.high_usd_per_gpu_hour or price,
            price_seen=offer.seen,
            price_source=offer.source,
            price_status=offer.status,
            requests_per_s_per_replica=rate,
            output_tokens_per_s_per_gpu=at(answer.output_tokens_per_s_per_gpu),
            ttft_s=at(answer.ttft_s),
            time_per_output_token_s=at(answer.time_per_output_token_s),
            replicas=int(count),
            binding="availability" if count <= values["minimum_replicas"] else load,
            utilisation_fraction=mean / (rate * count) if count else 0.0,
            peak_load_fraction=np.nan,
            waiting_p95_s=np.nan,
            ttft_p50_s=np.nan,
            ttft_p95_s=np.nan,
            peak_time_per_output_token_s=np.nan,
            start_up_s=values["replica_start_s"]
            + at(answer.weights_bytes) * gpus / values["storage_read_bytes_per_s"],
        )
        times = self._times(kind)
        scalars = {
            name: at(getattr(times, name))
            for name in ("alone_token_s", "full_token_s", "alone_decode_s", "full_decode_s", "prefill_s", "batch")
        }
        return ServingChoice(
            option=option,
            key=(record.id, *kind, row, column),
            gpus_per_instance=offer.gpus,
            low_factor=at(answer.low_factor),
            high_factor=at(answer.high_factor),
            planned_requests_per_s=planned,
            usd_per_hour=usd_per_hour,
            times=replace(times, **scalars),
        )


def with_responses(
    choices: Sequence[ServingChoice], requests_per_day: Sequence[float], values: Mapping[str, float]
) -> tuple[ServingChoice, ...]:
    """The choices with what requests meet in the busiest hour, worked out for all of them at once."""
    if not choices:
        return ()
    share = [
        per_day
        * DAYS_PER_MONTH
        / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
        * values["peak_to_mean_ratio"]
        / max(choice.option.replicas, 1)
        for choice, per_day in zip(choices, requests_per_day, strict=True)
    ]
    first = choices[0].times
    stacked: dict[str, Any] = {
        name: np.array([getattr(choice.times, name) for choice in choices])
        for name in ("alone_token_s", "full_token_s", "alone_decode_s", "full_decode_s", "prefill_s", "batch")
    }
    met = responses(requests_per_s=np.array(share), times=replace(first, **stacked))
    load, waiting, p50, p95, token = (
        np.asarray(field, dtype=float).tolist()
        for field in (
            met.load_fraction,
            met.waiting_p95_s,
            met.ttft_p50_s,
            met.ttft_p95_s,
            met.time_per_output_token_s,
        )
    )
    return tuple(
        replace(
            choice,
            option=replace(
                choice.option,
                peak_load_fraction=load[place],
                waiting_p95_s=waiting[place],
                ttft_p50_s=p50[place],
                ttft_p95_s=p95[place],
                peak_time_per_output_token_s=token[place],
            ),
        )
        for place, choice in enumerate(choices)
    )
