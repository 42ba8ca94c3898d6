"""Cost lines of serving a model on rented GPUs: dedicated replicas, shared ones, and ones that scale to zero."""

from __future__ import annotations

from estimator.algebra import Value, ceil, maximum, minimum
from estimator.money.common_costs import paid_usd_per_gpu_hour
from estimator.money.lines import Line, Parameters, monthly, once
from estimator.numbers import HOURS_PER_MONTH, WATT_PER_KW
from estimator.serving.traffic import (
    mean_requests_per_s,
    peak_replicas,
    scale_to_zero_hours,
    usable_requests_per_s,
)

LOAD_BANDS = 4
LOAD_LEVEL = "load_level_"
"""Parameters of a serverless arm: load over the mean in each band of the time, the busiest first."""


HOUR_BANDS = 12
HOUR_LEVEL = "hour_level_"
"""Parameters of an autoscaled arm: load over the mean in each twelfth of the hours, the busiest first."""


def replicas(x: Parameters, *, load: Value | None = None) -> Value:
    """Whole replicas for a load over the mean, that of the peak hour if none is given, see ``peak_replicas``."""
    return peak_replicas(
        requests_per_s=mean_requests_per_s(requests_per_month=x["requests_in_month"]),
        peak_to_mean=x["peak_to_mean_ratio"] if load is None else load,
        requests_per_s_per_replica=full_rate(x),
        slo_fraction=x["slo_throughput_fraction"],
        max_load_fraction=x["max_load_fraction"],
        minimum_replicas=x["minimum_replicas"],
    )


def usable_rate(x: Parameters) -> Value:
    """Requests per second that one replica carries, see ``usable_requests_per_s``."""
    return usable_requests_per_s(
        requests_per_s_per_replica=full_rate(x),
        slo_fraction=x["slo_throughput_fraction"],
        max_load_fraction=x["max_load_fraction"],
    )


def full_rate(x: Parameters) -> Value:
    """Requests per second of one replica at full load, the model's error included."""
    return x["requests_per_s_per_replica"] * x["serving_speed_ratio"]


def of_all_tasks(x: Parameters) -> Parameters:
    """The parameters of replicas that several alike tasks share, with their adapters unmerged."""
    return {
        **x,
        "requests_in_month": x["requests_in_month"] * x["adapters_sharing"],
        "requests_per_s_per_replica": x["requests_per_s_per_replica"] * (1 - x["adapter_slowdown_fraction"]),
    }


def cards(x: Parameters, *, count: Value) -> Value:
    """Cards of so many replicas, in whole instances, with the replicas for staging."""
    per_instance, per_replica = x["serving_gpus_per_instance"], x["serving_gpus_per_replica"]
    return ceil(count * per_replica / per_instance) * per_instance + x["staging_replicas"] * per_replica


def serving_gpu_price(x: Parameters, *, surroundings: str = "cloud_overhead_ratio") -> Value:
    """Price paid in the month per GPU-hour of a replica with its surroundings, see ``paid_usd_per_gpu_hour``."""
    return paid_usd_per_gpu_hour(
        usd_per_gpu_hour=x["serving_usd_per_gpu_hour"] * x[surroundings],
        listed=x["serving_price_listed"],
        paid_ratio=x["gpu_price_ratio"],
        price_factor=x["gpu_price_factor"],
    )


def own_kw(x: Parameters) -> Value:
    """Power of a bought card at work with its share of the server, at the meter."""
    return x["own_power_watt"] / WATT_PER_KW * x["own_server_power_ratio"] * x["own_pue_ratio"]


def own_power_usd_per_gpu_hour(x: Parameters) -> Value:
    """Power that an hour of work draws beyond an idle one, of a bought card with its server, at the meter."""
    return own_kw(x) * (1 - x["own_idle_power_fraction"]) * x["own_electricity_usd_per_kwh"]


def self_serving_lines(x: Parameters) -> list[Line]:
    """Cards of all replicas in whole instances, at the GPU's price with its surroundings; weights in storage."""
    price = serving_gpu_price(x)
    hours = cards(x, count=replicas(x)) * HOURS_PER_MONTH
    return [
        monthly("serving", "GPU-hours of replicas", "GPU-hour", hours, price),
        *stored_versions_lines(x),
    ]


def autoscaled_lines(x: Parameters) -> list[Line]:
    """Cards of the replicas that each hour needs, as an autoscaler holds them, with their starts.

    The replicas of all bands of the hours are summed, never the mean load divided. A start is paid for until it
    serves; replicas start as the load rises from hour to hour.
    """
    held: Value = 0.0
    per_instance, per_replica = x["serving_gpus_per_instance"], x["serving_gpus_per_replica"]
    for band in range(1, HOUR_BANDS + 1):
        count = replicas(x, load=x[f"{HOUR_LEVEL}{band}"])
        held = held + ceil(count * per_replica / per_instance)
    mean = mean_requests_per_s(requests_per_month=x["requests_in_month"])
    started = x["load_rise_per_hour"] * mean / usable_rate(x) * x["serving_start_up_hours"]
    hours = held / x["hour_bands"] * per_instance + (x["staging_replicas"] + started) * per_replica
    price = serving_gpu_price(x)
    return [
        monthly("serving", "GPU-hours of replicas", "GPU-hour", hours * HOURS_PER_MONTH, price),
        *stored_versions_lines(x),
    ]


def shared_serving_lines(x: Parameters) -> list[Line]:
    """An equal share of whole replicas that hold one base model and the adapters of several tasks, unmerged.

    The tasks are taken to be alike: their peaks add up, the floor, staging and the rounding to whole replicas are
    shared, and unmerged adapters slow every replica down.
    """
    price = serving_gpu_price(x)
    hours = cards(x, count=replicas(of_all_tasks(x))) / x["adapters_sharing"] * HOURS_PER_MONTH
    return [
        monthly("serving", "share of the GPU-hours of replicas", "GPU-hour", hours, price),
        *stored_versions_lines(x),
    ]


def scale_to_zero_lines(x: Parameters) -> list[Line]:
    """Serverless GPUs: replicas follow the load through the day, the last one sleeps between requests.

    In each band of the day whole replicas at the load ceiling, of which the last is awake as
    ``scale_to_zero_hours`` says, and never less than its work. The hours of all bands are summed, never the mean
    load divided.
    """
    mean = mean_requests_per_s(requests_per_month=x["requests_in_month"])
    held: Value = 0.0
    for band in range(1, LOAD_BANDS + 1):
        rate = mean * x[f"{LOAD_LEVEL}{band}"]
        awake = scale_to_zero_hours(
            hourly_requests_per_s=rate,
            keep_alive_hours=x["keep_alive_hours"],
            start_up_hours=x["serving_start_up_hours"],
        )
        needed = rate / usable_rate(x)
        held = held + maximum(awake, minimum(needed, 1)) + maximum(ceil(needed) - 1, 0)
    hours = held / x["load_bands"] * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    price = serving_gpu_price(x, surroundings="serverless_price_ratio")
    return [
        monthly("serving", "GPU-hours while up", "GPU-hour", hours, price),
        *stored_versions_lines(x),
    ]


def stored_versions_lines(x: Parameters) -> list[Line]:
    """Weights and checkpoints in storage, and the hours to stand serving up."""
    return [
        monthly(
            "upkeep",
            "weights and checkpoints stored",
            "GB-month",
            x["stored_gb_per_version"] * x["versions_kept"],
            x["storage_usd_per_gb_month"],
        ),
        once("people", "standing up serving", "hour", x["serving_build_hours"], x["engineer_usd_per_hour"]),
    ]


SERVING_LINES = {
    "dedicated": self_serving_lines,
    "shared": shared_serving_lines,
    "scale-to-zero": scale_to_zero_lines,
}
"""Ways to serve a tuned model on rented GPUs."""
