"""Ways to run a replica type through the day: what is paid, what is used, what requests meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array
from estimator.search.market import OWN
from estimator.search.pool import ServingChoice
from estimator.serving import (
    batch_window_replicas,
    cold_start_fraction,
    hourly_replicas,
    responses,
    scale_to_zero_hours,
    started_replicas,
)

FIXED, HOURLY, ZERO, BATCH = "fixed", "hourly", "scale to zero", "batch"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to run one replica type for a month.

    Attributes:
        name: fixed (replicas for the busiest hour, all month), hourly (an autoscaler that follows the hours),
            scale to zero (the same down to none), batch (work that may wait, in a daily window).
        replicas_low, replicas_high: in the quietest and the busiest hour.
        gpu_hours_paid: cards of whole instances, start-up included.
        gpu_hours_used: the work, at the full batch.
        ttft_p95_s: in the hour with the longest; NaN for a batch, whose requests wait for the window.
        cold_start_s, cold_start_fraction: how long a request waits that finds no replica up, and how many do.
        usd_per_month, usd_per_1000_requests, usd_per_million_tokens: what is paid, with the cloud's surroundings.
    """

    name: str
    replicas_low: int
    replicas_high: int
    gpu_hours_paid: float
    gpu_hours_used: float
    ttft_p95_s: float
    cold_start_s: float
    cold_start_fraction: float
    usd_per_month: float
    usd_per_1000_requests: float
    usd_per_million_tokens: float

    @property
    def used_fraction(self) -> float:
        """GPU-hours used over those paid."""
        return self.gpu_hours_used / self.gpu_hours_paid if self.gpu_hours_paid else 0.0


def ways(
    *,
    choice: ServingChoice,
    values: Mapping[str, float],
    load: Array,
    requests_per_day: float,
    batch_window_hours: float | None = None,
) -> tuple[Way, ...]:
    """Every way to run a replica type, with the batch window where one is given and long enough.

    Bought cards cost as much asleep: for these there is one way, and no surroundings of a cloud.

    Args:
        load: of each hour over the mean, of a repeating cycle.
        requests_per_day: mean.
        batch_window_hours: of a day, in which all of its requests may run together at full batch.
    """
    option = choice.option
    rates = load * (requests_per_day * DAYS_PER_MONTH / (HOURS_PER_MONTH * SECONDS_PER_HOUR))
    start_hours = option.start_up_s / SECONDS_PER_HOUR

    def following(minimum_replicas: float) -> Array:
        return hourly_replicas(
            hourly_requests_per_s=rates,
            requests_per_s_per_replica=choice.planned_requests_per_s,
            slo_fraction=values["slo_throughput_fraction"],
            max_load_fraction=values["max_load_fraction"],
            minimum_replicas=minimum_replicas,
        )

    fixed = np.full_like(rates, float(option.replicas))
    followed, down_to_none = following(values["minimum_replicas"]), following(0.0)
    keep = values["keep_alive_hours"]
    found = []
    following_ways = () if option.provider == OWN else ((HOURLY, followed), (ZERO, down_to_none))
    for name, held in ((FIXED, fixed), *following_ways):
        paid = _billed(choice, held) + started_replicas(held=held) * start_hours * option.gpus_per_replica
        cold = 0.0
        if name == ZERO:
            awake = np.maximum(
                scale_to_zero_hours(
                    hourly_requests_per_s=rates, keep_alive_hours=keep, start_up_hours=start_hours
                ),
                np.minimum(rates / option.requests_per_s_per_replica, 1.0),
            )
            single = held <= 1.0
            paid = np.where(single, awake * _billed(choice, np.minimum(held, 1.0)), paid)
            cold_share = cold_start_fraction(hourly_requests_per_s=rates, keep_alive_hours=keep)
            cold = float((np.where(single, cold_share, 0.0) * rates).sum() / max(float(rates.sum()), 1e-300))
        met = responses(requests_per_s=rates / np.maximum(held, 1.0), times=choice.times)
        found.append(
            _way(
                choice,
                values,
                name=name,
                held=held,
                paid=float(paid.mean()) * HOURS_PER_MONTH,
                requests_per_day=requests_per_day,
                ttft_p95_s=float(np.max(met.ttft_p95_s)),
                cold=cold,
            )
        )
    if batch_window_hours is not None and batch_window_hours > start_hours:
        needed = float(
            batch_window_replicas(
                requests=requests_per_day,
                requests_per_s_per_replica=option.requests_per_s_per_replica,
                window_hours=batch_window_hours,
                start_up_hours=start_hours,
            )
        )
        work = requests_per_day / (option.requests_per_s_per_replica * SECONDS_PER_HOUR)
        busy_hours = work / needed + start_hours
        found.append(
            _way(
                choice,
                values,
                name=BATCH,
                held=np.array([0.0, needed]),
                paid=float(_billed(choice, np.array(needed))) * busy_hours * DAYS_PER_MONTH,
                requests_per_day=requests_per_day,
                ttft_p95_s=float("nan"),
                cold=0.0,
            )
        )
    return tuple(found)


def _billed(choice: ServingChoice, held: Array) -> Array:
    """Cards of whole instances that so many replicas take."""
    return np.ceil(held * choice.option.gpus_per_replica / choice.gpus_per_instance) * choice.gpus_per_instance


def _way(
    choice: ServingChoice,
    values: Mapping[str, float],
    *,
    name: str,
    held: Array,
    paid: float,
    requests_per_day: float,
    ttft_p95_s: float,
    cold: float,
) -> Way:
    option = choice.option
    requests = requests_per_day * DAYS_PER_MONTH
    overhead = 1.0 if option.provider == OWN else values["cloud_overhead_ratio"]
    usd = paid * option.usd_per_gpu_hour * overhead
    tokens = requests * (values["input_tokens"] + values["output_tokens"])
    return Way(
        name=name,
        replicas_low=int(held.min()),
        replicas_high=int(held.max()),
        gpu_hours_paid=paid,
        gpu_hours_used=requests / (option.requests_per_s_per_replica * SECONDS_PER_HOUR) * option.gpus_per_replica,
        ttft_p95_s=ttft_p95_s,
        cold_start_s=option.start_up_s if name == ZERO else 0.0,
        cold_start_fraction=cold,
        usd_per_month=usd,
        usd_per_1000_requests=1000.0 * usd / requests,
        usd_per_million_tokens=1e6 * usd / tokens,
    )
