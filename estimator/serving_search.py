"""Replica types for self-hosting one model under one load, cheapest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.accelerators import stack_accelerators
from estimator.architecture import Architecture
from estimator.costs import replicas
from estimator.market import Market
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array
from estimator.result import ServingOption
from estimator.series import DAYS_PER_MONTH
from estimator.serving import Serving, ServingSetup, serving
from estimator.serving.setup import ServedDtype

TENSOR_PARALLEL = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class ServingChoice:
    """A replica type with what the money formulas need beside what people read."""

    option: ServingOption
    gpus_per_instance: int
    low_factor: float
    high_factor: float


def serving_choices(
    *,
    architecture: Architecture,
    market: Market,
    values: Mapping[str, float],
    input_tokens: float,
    output_tokens: float,
) -> tuple[ServingChoice, ...]:
    """For every accelerator that can hold the model, its cheapest replica type; cheapest accelerator first.

    Weights are served in 16 bit, or in fp8 where the card multiplies in fp8; the cache has the same width.
    A tensor-parallel degree counts only inside one machine of the offer.
    """
    best: dict[str, tuple[tuple[float, ...], ServingChoice]] = {}
    for dtype in ("fp16", "fp8"):
        for key, choice in _choices(
            architecture=architecture,
            market=market,
            values=values,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            dtype=dtype,
        ):
            gpu = choice.option.gpu
            if gpu not in best or key < best[gpu][0]:
                best[gpu] = key, choice
    return tuple(choice for _, choice in sorted(best.values(), key=lambda pair: pair[0]))


def _choices(
    *,
    architecture: Architecture,
    market: Market,
    values: Mapping[str, float],
    input_tokens: float,
    output_tokens: float,
    dtype: ServedDtype,
) -> list[tuple[tuple[float, ...], ServingChoice]]:
    tp = np.array(TENSOR_PARALLEL)[None, :]
    accelerator = stack_accelerators(market.records, axes=2)
    answer = serving(
        setup=ServingSetup(
            architecture=architecture,
            accelerator=accelerator,
            weights_dtype=dtype,
            kv_dtype="fp8" if dtype == "fp8" else "fp16",
            tp=tp,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        ),
        constants=values,
    )
    shape = (len(market.records), tp.shape[1])
    rate = np.broadcast_to(answer.requests_per_s_per_replica, shape)
    runs = np.broadcast_to(answer.fits, shape) & (rate > 0)
    if dtype == "fp8":
        runs = runs & np.broadcast_to(np.asarray(accelerator.fp8_flop_per_s) > 0, shape)
    load = {**values, "requests_in_month": values["requests_per_day"] * DAYS_PER_MONTH, "serving_speed_ratio": 1.0}
    count = np.asarray(replicas({**load, "requests_per_s_per_replica": np.where(runs, rate, 1.0)}))
    gpu, instance = market.gpu_index, market.instance_gpus[:, None]
    billed = np.ceil(count[gpu] * tp / instance) * instance + values["staging_replicas"] * tp
    hourly = billed * market.usd_per_gpu_hour[:, None]
    possible = runs[gpu] & (market.machine_gpus[:, None] >= tp)
    hourly = np.where(possible, hourly, np.inf)
    found: list[tuple[tuple[float, ...], ServingChoice]] = []
    for index in range(len(market.records)):
        own = np.flatnonzero(gpu == index)
        flat = int(np.argmin(hourly[own]))
        row, column = int(own[flat // tp.shape[1]]), flat % tp.shape[1]
        if np.isfinite(hourly[row, column]):
            choice = _choice(market, values, answer, dtype, index, row, column, float(count[index, column]))
            found.append(((float(hourly[row, column]), float(tp[0, column]), -float(rate[index, column])), choice))
    return found


def _choice(
    market: Market,
    values: Mapping[str, float],
    answer: Serving,
    dtype: str,
    index: int,
    row: int,
    column: int,
    count: float,
) -> ServingChoice:
    shape = (len(market.records), len(TENSOR_PARALLEL))

    def at(field: object) -> float:
        return float(np.broadcast_to(np.asarray(field, dtype=float), shape)[index, column])

    offer, record = market.offers[row], market.records[index]
    rate = at(answer.requests_per_s_per_replica)
    mean: Array | float = values["requests_per_day"] * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR)
    option = ServingOption(
        gpu=record.id,
        gpu_label=record.label,
        gpus_per_replica=int(TENSOR_PARALLEL[column]),
        weights_dtype=dtype,
        provider=offer.provider,
        region=offer.region,
        instance=offer.instance,
        usd_per_gpu_hour=float(market.usd_per_gpu_hour[row]),
        price_seen=offer.seen,
        price_source=offer.source,
        price_status=offer.status,
        requests_per_s_per_replica=rate,
        output_tokens_per_s_per_gpu=at(answer.output_tokens_per_s_per_gpu),
        ttft_s=at(answer.ttft_s),
        time_per_output_token_s=at(answer.time_per_output_token_s),
        replicas=int(count),
        binding="availability" if count <= values["minimum_replicas"] else "load",
        utilisation_fraction=float(mean) / (rate * count),
    )
    return ServingChoice(
        option=option,
        gpus_per_instance=offer.gpus,
        low_factor=at(answer.low_factor),
        high_factor=at(answer.high_factor),
    )
