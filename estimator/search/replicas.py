"""Replica types for self-hosting one model: what each delivers, and which is cheapest under a load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from estimator.accelerators import stack_accelerators
from estimator.architecture import Architecture
from estimator.money.series import DAYS_PER_MONTH
from estimator.money.serving_costs import replicas
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array
from estimator.result import ServingOption
from estimator.search.market import Market
from estimator.serving import Serving, ServingSetup, under_latency
from estimator.serving.setup import ServedDtype

DEGREES = np.array([[1.0, 2.0, 4.0, 8.0]])
DTYPES: tuple[ServedDtype, ...] = ("fp16", "fp8")
MANY_EXPERTS = 8
"""Mixtures of more experts are also tried with experts spread over the cards and attention data-parallel."""

Kind = tuple[ServedDtype, str]
"""Weights' type, and how a replica's cards share the work: "tp" or "ep"."""


@dataclass(frozen=True, kw_only=True)
class ServingChoice:
    """A replica type with what the money formulas need beside what people read."""

    option: ServingOption
    gpus_per_instance: int
    low_factor: float
    high_factor: float


class ReplicaTypes:
    """Every card of a market x cards per replica x weights' type, for one model and one kind of request.

    Weights are served in 16 bit, or in fp8 where the card multiplies in fp8; the cache has the same width. The
    cards of a replica stand in one machine of the offer. With a limit on the time per output
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
        self.shape = (len(market.records), DEGREES.shape[1])
        accelerator = stack_accelerators(market.records, axes=2)
        self.answers: dict[Kind, Serving] = {}
        self.runs: dict[Kind, NDArray[np.bool_]] = {}
        layouts = ("tp", "ep") if architecture.experts > MANY_EXPERTS else ("tp",)
        for dtype, layout in product(DTYPES, layouts):
            answer = under_latency(
                setup=ServingSetup(
                    architecture=architecture,
                    accelerator=accelerator,
                    weights_dtype=dtype,
                    kv_dtype="fp8" if dtype == "fp8" else "fp16",
                    tp=DEGREES if layout == "tp" else 1.0,
                    ep=DEGREES if layout == "ep" else 1.0,
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
            self.answers[dtype, layout], self.runs[dtype, layout] = answer, usable

    def by_gpu(self, *, requests_per_day: float) -> tuple[ServingChoice, ...]:
        """The cheapest replica type of each card that can hold the model; cheapest card first."""
        best: dict[int, tuple[tuple[float, ...], ServingChoice]] = {}
        for kind in self.answers:
            count, hourly = self._costs(kind, requests_per_day)
            for gpu in range(self.shape[0]):
                own = np.flatnonzero(self.market.gpu_index == gpu)
                place = int(np.argmin(hourly[own]))
                row, column = int(own[place // self.shape[1]]), place % self.shape[1]
                if not np.isfinite(hourly[row, column]):
                    continue
                choice = self._choice(kind, row, column, float(count[gpu, column]), requests_per_day)
                key = (float(hourly[row, column]), float(choice.option.gpus_per_replica))
                if gpu not in best or key < best[gpu][0]:
                    best[gpu] = key, choice
        return tuple(choice for _, choice in sorted(best.values(), key=lambda pair: pair[0]))

    def cheapest(self, *, requests_per_day: Sequence[float]) -> tuple[ServingChoice, ...]:
        """The replica types that are cheapest at one of these loads, each once."""
        found: dict[tuple[Kind, int, int], ServingChoice] = {}
        for load in requests_per_day:
            best: tuple[float, Kind, int, int, float] | None = None
            for kind in self.answers:
                count, hourly = self._costs(kind, load)
                row, column = (int(i) for i in np.unravel_index(int(np.argmin(hourly)), hourly.shape))
                usd = float(hourly[row, column])
                if np.isfinite(usd) and (best is None or usd < best[0]):
                    best = usd, kind, row, column, float(count[self.market.gpu_index[row], column])
            if best and best[1:4] not in found:
                found[best[1:4]] = self._choice(*best[1:], load)
        return tuple(found.values())

    def _costs(self, kind: Kind, requests_per_day: float) -> tuple[Array, Array]:
        """Replicas by (card, cards per replica), and USD an hour of all cards by (offer, cards per replica)."""
        rate = np.broadcast_to(self.answers[kind].requests_per_s_per_replica, self.shape)
        count = np.asarray(
            replicas(
                {
                    **self.values,
                    "requests_in_month": requests_per_day * DAYS_PER_MONTH,
                    "serving_speed_ratio": 1.0,
                    "requests_per_s_per_replica": np.where(self.runs[kind], rate, 1.0),
                }
            )
        )
        gpu, instance = self.market.gpu_index, self.market.instance_gpus[:, None]
        billed = np.ceil(count[gpu] * DEGREES / instance) * instance
        billed = billed + self.values["staging_replicas"] * DEGREES
        possible = self.runs[kind][gpu] & (self.market.machine_gpus[:, None] >= DEGREES)
        return count, np.where(possible, billed * self.market.usd_per_gpu_hour[:, None], np.inf)

    def _choice(self, kind: Kind, row: int, column: int, count: float, requests_per_day: float) -> ServingChoice:
        offer, gpu = self.market.offers[row], int(self.market.gpu_index[row])
        record, answer = self.market.records[gpu], self.answers[kind]

        def at(field: object) -> float:
            return float(np.broadcast_to(np.asarray(field, dtype=float), self.shape)[gpu, column])

        rate = at(answer.requests_per_s_per_replica)
        mean = requests_per_day * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
        option = ServingOption(
            gpu=record.id,
            gpu_label=record.label,
            gpus_per_replica=int(DEGREES[0, column]),
            weights_dtype=kind[0],
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
