"""Replica types for self-hosting one model: what each delivers, and which is cheapest under a load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.accelerators import stack_accelerators
from estimator.architecture import Architecture
from estimator.costs import replicas
from estimator.market import Market
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array
from estimator.result import ServingOption
from estimator.series import DAYS_PER_MONTH
from estimator.serving import Serving, ServingSetup, under_latency
from estimator.serving.setup import ServedDtype

TENSOR_PARALLEL = np.array([[1.0, 2.0, 4.0, 8.0]])
DTYPES: tuple[ServedDtype, ...] = ("fp16", "fp8")


@dataclass(frozen=True, kw_only=True)
class ServingChoice:
    """A replica type with what the money formulas need beside what people read."""

    option: ServingOption
    gpus_per_instance: int
    low_factor: float
    high_factor: float


class ReplicaTypes:
    """Every card of a market x tensor-parallel degree x weights' type, for one model and one kind of request.

    Weights are served in 16 bit, or in fp8 where the card multiplies in fp8; the cache has the same width.
    A tensor-parallel degree counts only inside one machine of the offer. With a limit on the time per output
    token or to the first one, a replica runs the largest batch that keeps it.
    """

    def __init__(
        self,
        *,
        architecture: Architecture,
        market: Market,
        values: Mapping[str, float],
        input_tokens: float,
        output_tokens: float,
        latency_s_per_token: float | None = None,
        ttft_s: float | None = None,
    ) -> None:
        self.market = market
        self.values = values
        self.shape = (len(market.records), TENSOR_PARALLEL.shape[1])
        accelerator = stack_accelerators(market.records, axes=2)
        self.answers: dict[str, Serving] = {}
        self.runs: dict[str, Array] = {}
        for dtype in DTYPES:
            answer = under_latency(
                setup=ServingSetup(
                    architecture=architecture,
                    accelerator=accelerator,
                    weights_dtype=dtype,
                    kv_dtype="fp8" if dtype == "fp8" else "fp16",
                    tp=TENSOR_PARALLEL,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                ),
                constants=values,
                latency_s_per_token=latency_s_per_token,
                ttft_s=ttft_s,
            )
            rate = np.broadcast_to(answer.requests_per_s_per_replica, self.shape)
            usable = np.broadcast_to(answer.fits, self.shape) & (rate > 0)
            if dtype == "fp8":
                usable = usable & np.broadcast_to(np.asarray(accelerator.fp8_flop_per_s) > 0, self.shape)
            self.answers[dtype], self.runs[dtype] = answer, usable

    def by_gpu(self, *, requests_per_day: float) -> tuple[ServingChoice, ...]:
        """The cheapest replica type of each card that can hold the model; cheapest card first."""
        best: dict[int, tuple[tuple[float, ...], ServingChoice]] = {}
        for dtype in DTYPES:
            count, hourly = self._costs(dtype, requests_per_day)
            for gpu in range(self.shape[0]):
                own = np.flatnonzero(self.market.gpu_index == gpu)
                place = int(np.argmin(hourly[own]))
                row, column = int(own[place // self.shape[1]]), place % self.shape[1]
                if not np.isfinite(hourly[row, column]):
                    continue
                choice = self._choice(dtype, row, column, float(count[gpu, column]), requests_per_day)
                key = (float(hourly[row, column]), float(choice.option.gpus_per_replica))
                if gpu not in best or key < best[gpu][0]:
                    best[gpu] = key, choice
        return tuple(choice for _, choice in sorted(best.values(), key=lambda pair: pair[0]))

    def cheapest(self, *, requests_per_day: Sequence[float]) -> tuple[ServingChoice, ...]:
        """The replica types that are cheapest at one of these loads, each once."""
        found: dict[tuple[str, int, int], ServingChoice] = {}
        for load in requests_per_day:
            best: tuple[float, str, int, int, float] | None = None
            for dtype in DTYPES:
                count, hourly = self._costs(dtype, load)
                row, column = (int(i) for i in np.unravel_index(int(np.argmin(hourly)), hourly.shape))
                usd = float(hourly[row, column])
                if np.isfinite(usd) and (best is None or usd < best[0]):
                    best = usd, dtype, row, column, float(count[self.market.gpu_index[row], column])
            if best and best[1:4] not in found:
                found[best[1:4]] = self._choice(*best[1:], load)
        return tuple(found.values())

    def _costs(self, dtype: str, requests_per_day: float) -> tuple[Array, Array]:
        """Replicas by (card, degree), and USD an hour of all cards by (offer, degree)."""
        rate = np.broadcast_to(self.answers[dtype].requests_per_s_per_replica, self.shape)
        count = np.asarray(
            replicas(
                {
                    **self.values,
                    "requests_in_month": requests_per_day * DAYS_PER_MONTH,
                    "serving_speed_ratio": 1.0,
                    "requests_per_s_per_replica": np.where(self.runs[dtype], rate, 1.0),
                }
            )
        )
        gpu, instance = self.market.gpu_index, self.market.instance_gpus[:, None]
        billed = np.ceil(count[gpu] * TENSOR_PARALLEL / instance) * instance
        billed = billed + self.values["staging_replicas"] * TENSOR_PARALLEL
        possible = self.runs[dtype][gpu] & (self.market.machine_gpus[:, None] >= TENSOR_PARALLEL)
        return count, np.where(possible, billed * self.market.usd_per_gpu_hour[:, None], np.inf)

    def _choice(self, dtype: str, row: int, column: int, count: float, requests_per_day: float) -> ServingChoice:
        offer, gpu = self.market.offers[row], int(self.market.gpu_index[row])
        record, answer = self.market.records[gpu], self.answers[dtype]

        def at(field: object) -> float:
            return float(np.broadcast_to(np.asarray(field, dtype=float), self.shape)[gpu, column])

        rate = at(answer.requests_per_s_per_replica)
        mean = requests_per_day * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
        option = ServingOption(
            gpu=record.id,
            gpu_label=record.label,
            gpus_per_replica=int(TENSOR_PARALLEL[0, column]),
            weights_dtype=dtype,
            provider=offer.provider,
            region=offer.region,
            instance=offer.instance,
            usd_per_gpu_hour=float(self.market.usd_per_gpu_hour[row]),
            price_seen=offer.seen,
            price_source=offer.source,
            price_status=offer.status,
            requests_per_s_per_replica=rate,
            output_tokens_per_s_per_gpu=at(answer.output_tokens_per_s_per_gpu),
            ttft_s=at(answer.ttft_s),
            time_per_output_token_s=at(answer.time_per_output_token_s),
            replicas=int(count),
            binding="availability" if count <= self.values["minimum_replicas"] else "load",
            utilisation_fraction=mean / (rate * count),
        )
        return ServingChoice(
            option=option,
            gpus_per_instance=offer.gpus,
            low_factor=at(answer.low_factor),
            high_factor=at(answer.high_factor),
        )
