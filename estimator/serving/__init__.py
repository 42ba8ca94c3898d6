"""What a replica of an inference engine delivers, and how many replicas traffic needs.

`throughput` answers for one replica (or a block of them) at full load, `latency` within a latency limit,
`traffic`, `queueing` and `first_token` turn requests into replicas, hours and waiting, `tables` reads a user's
traffic, `validation` compares with measured runs.
"""

from estimator.serving.first_token import Responses, StepTimes, largest_load_fraction, responses
from estimator.serving.latency import under_latency
from estimator.serving.queueing import Queueing, queueing
from estimator.serving.setup import Serving, ServingSetup
from estimator.serving.tables import cv_of_p95, read_hourly_requests, read_lengths
from estimator.serving.throughput import serving
from estimator.serving.traffic import (
    autoscaled_replica_hours,
    batch_window_replica_hours,
    day_night_profile,
    hourly_load,
    hourly_replicas,
    mean_requests_per_s,
    peak_replicas,
    used_replica_hours,
)

__all__ = [
    "Queueing",
    "Responses",
    "Serving",
    "ServingSetup",
    "StepTimes",
    "autoscaled_replica_hours",
    "batch_window_replica_hours",
    "cv_of_p95",
    "day_night_profile",
    "hourly_load",
    "hourly_replicas",
    "largest_load_fraction",
    "mean_requests_per_s",
    "peak_replicas",
    "queueing",
    "read_hourly_requests",
    "read_lengths",
    "responses",
    "serving",
    "under_latency",
    "used_replica_hours",
]
