"""What a replica of an inference engine delivers, and how many replicas traffic needs.

`throughput` answers for one replica (or a block of them) at full load, `latency` within a latency limit,
`traffic`, `queueing` and `first_token` turn requests into replicas, hours and waiting, `tables` reads a user's
traffic, `validation` compares with measured runs.
"""

from estimator.serving.first_token import Responses, StepTimes, largest_load_fraction, responses
from estimator.serving.latency import under_latency
from estimator.serving.queueing import Queueing, queueing
from estimator.serving.setup import Serving, ServingSetup
from estimator.serving.throughput import serving
from estimator.serving.traffic import (
    batch_window_replicas,
    cold_start_fraction,
    day_night_profile,
    hourly_load,
    hourly_replicas,
    mean_requests_per_s,
    peak_replicas,
    scale_to_zero_hours,
    started_replicas,
)

__all__ = [
    "Queueing",
    "Responses",
    "Serving",
    "ServingSetup",
    "StepTimes",
    "batch_window_replicas",
    "cold_start_fraction",
    "day_night_profile",
    "hourly_load",
    "hourly_replicas",
    "largest_load_fraction",
    "mean_requests_per_s",
    "peak_replicas",
    "queueing",
    "responses",
    "scale_to_zero_hours",
    "serving",
    "started_replicas",
    "under_latency",
]
