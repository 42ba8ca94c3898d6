"""From requests to replicas and replica hours; no money here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from estimator.algebra import Value, ceil, maximum
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array, Number


def mean_requests_per_s(*, requests_per_month: Value) -> Value:
    """Mean arrival rate over a month of 730 hours.

    >>> mean_requests_per_s(requests_per_month=2_628_000.0)
    1.0
    """
    return requests_per_month / (HOURS_PER_MONTH * SECONDS_PER_HOUR)


def peak_replicas(
    *,
    requests_per_s: Value,
    peak_to_mean: Value,
    requests_per_s_per_replica: Value,
    slo_fraction: Value,
    max_load_fraction: Value,
    minimum_replicas: Value,
) -> Value:
    """Replicas that carry the peak hour: max(N_min, ceil(rate x peak-to-mean / (mu x slo x load))).

    Args:
        requests_per_s: mean arrival rate.
        peak_to_mean: rate of the busiest hour over the mean.
        requests_per_s_per_replica: mu, offline throughput of one replica at full load, above 0.
        slo_fraction: part of mu that is left under the service's latency limit.
        max_load_fraction: load of a replica above which another is started.
        minimum_replicas: kept for availability whatever the load.

    Takes numbers, arrays and spreadsheet cells. Source: derived.

    >>> peak_replicas(requests_per_s=10.0, peak_to_mean=3.0, requests_per_s_per_replica=5.0,
    ...                     slo_fraction=0.85, max_load_fraction=0.8, minimum_replicas=2.0)
    9.0
    """
    usable = requests_per_s_per_replica * slo_fraction * max_load_fraction
    return maximum(minimum_replicas, ceil(requests_per_s * peak_to_mean / usable))


def day_night_profile(*, peak_to_mean: float, hours: int = 24) -> Array:
    """Hourly load over its mean, one cosine swing a day, whose busiest hour is ``peak_to_mean``.

    Up to 2 it is 1 + (p - 1) cos; above, the cosine is raised to the power at which the peak over the mean is
    p, so that the night is empty rather than negative. The values' mean is 1. Source: derived.

    >>> profile = day_night_profile(peak_to_mean=1.5)
    >>> round(float(profile.max()), 3), round(float(profile.mean()), 3)
    (1.5, 1.0)
    """
    phase = np.cos(2.0 * np.pi * (np.arange(hours) - 15.0) / 24.0)
    if peak_to_mean <= 2.0:
        return np.asarray(1.0 + (peak_to_mean - 1.0) * phase)
    raised = (1.0 + phase) / 2.0
    low, high = 1.0, 2000.0
    for _ in range(60):
        power = (low + high) / 2.0
        low, high = (power, high) if 1.0 / float(np.mean(raised**power)) < peak_to_mean else (low, power)
    shape = raised**low
    return np.asarray(shape / shape.mean())


def hourly_load(*, measured: Sequence[float], peak_to_mean: float) -> Array:
    """Load of each hour over the mean: what was measured, else a day-night curve with this peak.

    >>> hourly_load(measured=(0.5, 1.5), peak_to_mean=3.0).tolist()
    [0.5, 1.5]
    """
    return np.asarray(measured) if measured else day_night_profile(peak_to_mean=peak_to_mean)


def hourly_replicas(
    *,
    hourly_requests_per_s: Array,
    requests_per_s_per_replica: Number,
    slo_fraction: Number,
    max_load_fraction: Number,
    minimum_replicas: Number,
) -> Array:
    """Replicas of each hour of a profile (last axis), as an autoscaler that follows the load would hold.

    ``minimum_replicas`` 0 is scale to zero: an hour without requests then holds none.
    """
    return np.asarray(
        peak_replicas(
            requests_per_s=hourly_requests_per_s,
            peak_to_mean=1.0,
            requests_per_s_per_replica=requests_per_s_per_replica,
            slo_fraction=slo_fraction,
            max_load_fraction=max_load_fraction,
            minimum_replicas=minimum_replicas,
        )
    )


def autoscaled_replica_hours(
    *,
    hourly_requests_per_s: Array,
    requests_per_s_per_replica: Number,
    slo_fraction: Number,
    max_load_fraction: Number,
    minimum_replicas: Number,
    start_up_hours: Number = 0.0,
) -> Number:
    """Replica hours paid over a repeating profile (24 hours, 168, or any cycle; the last axis).

    Each hour holds what its load needs; each replica that joins is paid ``start_up_hours`` before it serves
    (image, weights, warm-up). The profile repeats, so the first hour joins on the last. Source: derived.

    >>> hours = autoscaled_replica_hours(hourly_requests_per_s=np.array([1.0, 3.0]),
    ...     requests_per_s_per_replica=1.0, slo_fraction=1.0, max_load_fraction=1.0, minimum_replicas=1.0,
    ...     start_up_hours=0.25)
    >>> float(hours)
    4.5
    """
    held = hourly_replicas(
        hourly_requests_per_s=hourly_requests_per_s,
        requests_per_s_per_replica=requests_per_s_per_replica,
        slo_fraction=slo_fraction,
        max_load_fraction=max_load_fraction,
        minimum_replicas=minimum_replicas,
    )
    joined = np.maximum(held - np.roll(held, 1, axis=-1), 0.0)
    hours: Number = held.sum(axis=-1) + start_up_hours * joined.sum(axis=-1)
    return hours


def used_replica_hours(
    *, hourly_requests_per_s: Array, requests_per_s_per_replica: Number, slo_fraction: Number
) -> Number:
    """Replica hours of work in a profile: what the paid hours would be if every replica ran full."""
    hours: Number = np.asarray(hourly_requests_per_s).sum(axis=-1) / (requests_per_s_per_replica * slo_fraction)
    return hours


def batch_window_replica_hours(
    *,
    requests: Number,
    requests_per_s_per_replica: Number,
    window_hours: Number,
    start_up_hours: Number = 0.0,
) -> Number:
    """Replica hours for requests that may wait and run together, at offline throughput, within a window.

    n = ceil(work / (window - start-up)) replicas each pay their start-up and share the work; infinite where
    the window is no longer than the start-up.

    >>> float(batch_window_replica_hours(requests=36_000.0, requests_per_s_per_replica=1.0,
    ...                                  window_hours=4.5, start_up_hours=0.5))
    11.5
    """
    work = np.asarray(requests / (requests_per_s_per_replica * SECONDS_PER_HOUR), dtype=np.float64)
    room = np.asarray(window_hours - start_up_hours, dtype=np.float64)
    replicas = np.where(room > 0.0, np.ceil(work / np.where(room > 0.0, room, 1.0)), np.inf)
    return work + replicas * start_up_hours
