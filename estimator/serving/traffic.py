"""From requests to replicas and replica hours; no money here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from estimator.algebra import Value, ceil, exponential, maximum, minimum
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR, Array, Number

MOST_PEAK_OF_A_DAY = 20.0
"""Peak over the mean that a curve of 24 hours may have; its single busiest hour could reach 24."""


def mean_requests_per_s(*, requests_per_month: Value) -> Value:
    """Mean arrival rate over a month of 730 hours.

    >>> mean_requests_per_s(requests_per_month=2_628_000.0)
    1.0
    """
    return requests_per_month / (HOURS_PER_MONTH * SECONDS_PER_HOUR)


def usable_requests_per_s(
    *, requests_per_s_per_replica: Value, slo_fraction: Value, max_load_fraction: Value
) -> Value:
    """What one replica carries before another is started: mu x slo x load, symbols as in ``peak_replicas``.

    Takes numbers, arrays and spreadsheet cells. Source: derived.

    >>> usable_requests_per_s(requests_per_s_per_replica=5.0, slo_fraction=0.75, max_load_fraction=0.8)
    3.0
    """
    return requests_per_s_per_replica * slo_fraction * max_load_fraction


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
    usable = usable_requests_per_s(
        requests_per_s_per_replica=requests_per_s_per_replica,
        slo_fraction=slo_fraction,
        max_load_fraction=max_load_fraction,
    )
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

    A day's busiest hour is at most 24 times its mean; above ``MOST_PEAK_OF_A_DAY`` all of the load falls on one of
    several days. Source: derived.

    >>> hourly_load(measured=(0.5, 1.5), peak_to_mean=3.0).tolist()
    [0.5, 1.5]
    >>> profile = hourly_load(measured=(), peak_to_mean=100.0)
    >>> round(float(profile.max()), 3), round(float(profile.mean()), 3)
    (100.0, 1.0)
    """
    if measured:
        return np.asarray(measured)
    days = math.ceil(peak_to_mean / MOST_PEAK_OF_A_DAY)
    busy = day_night_profile(peak_to_mean=peak_to_mean / days) * days
    return np.concatenate([busy, np.zeros((days - 1) * len(busy))])


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


def started_replicas(*, held: Array) -> Array:
    """Replicas that join in each hour of a repeating profile (last axis); the first hour joins on the last.

    Each is paid for its start-up before it serves. Source: derived.

    >>> started_replicas(held=np.array([1.0, 3.0, 2.0])).tolist()
    [0.0, 2.0, 0.0]
    """
    return np.asarray(np.maximum(held - np.roll(held, 1, axis=-1), 0.0))


def scale_to_zero_hours(*, hourly_requests_per_s: Value, keep_alive_hours: Value, start_up_hours: Value) -> Value:
    """Part of each hour that a replica which sleeps without requests is paid for, start-ups included.

    A moment is awake if a request came within the keep-alive time K before it: 1 - exp(-r K), r the requests an
    hour. Requests that find it asleep, r exp(-r K) of them, each pay a start-up, in which it serves nobody; the
    sum is at most the whole hour. Poisson arrivals. Takes numbers, arrays and spreadsheet cells. Source: derived.

    >>> scale_to_zero_hours(hourly_requests_per_s=np.array([0.0, 1 / 3600, 1.0]), keep_alive_hours=0.5,
    ...                     start_up_hours=0.05).round(3).tolist()
    [0.0, 0.424, 1.0]
    """
    hourly = hourly_requests_per_s * SECONDS_PER_HOUR
    asleep = exponential(0 - hourly * keep_alive_hours)
    return minimum(1 - asleep + hourly * asleep * start_up_hours, 1)


def cold_start_fraction(*, hourly_requests_per_s: Array, keep_alive_hours: Number) -> Array:
    """Part of an hour's requests that find no replica up: those that follow a gap above the keep-alive time.

    >>> float(cold_start_fraction(hourly_requests_per_s=np.array(2 / 3600), keep_alive_hours=0.5).round(3))
    0.368
    """
    return np.exp(-np.asarray(hourly_requests_per_s) * SECONDS_PER_HOUR * keep_alive_hours)


def batch_window_replicas(
    *,
    requests: Number,
    requests_per_s_per_replica: Number,
    window_hours: Number,
    start_up_hours: Number = 0.0,
) -> Number:
    """Replicas that finish requests which may wait within a window: ceil(work / (window - start-up)).

    Infinite where the window is no longer than the start-up.

    >>> float(batch_window_replicas(requests=36_000.0, requests_per_s_per_replica=1.0, window_hours=4.5,
    ...                             start_up_hours=0.5))
    3.0
    """
    work = np.asarray(requests / (requests_per_s_per_replica * SECONDS_PER_HOUR), dtype=np.float64)
    room = np.asarray(window_hours - start_up_hours, dtype=np.float64)
    return np.where(room > 0.0, np.ceil(work / np.where(room > 0.0, room, 1.0)), np.inf)[()]
