"""What a replica of an inference engine delivers, and how many replicas traffic needs.

`throughput` answers for one replica (or a block of them) at full load, `latency` within a latency limit,
`traffic` and `queueing` turn requests into replicas and hours, `validation` compares with measured runs.
"""

from estimator.serving.latency import under_latency
from estimator.serving.queueing import Queueing, queueing, step_line
from estimator.serving.setup import Serving, ServingSetup
from estimator.serving.throughput import serving
from estimator.serving.traffic import (
    autoscaled_replica_hours,
    batch_window_replica_hours,
    day_night_profile,
    mean_requests_per_s,
    peak_replicas,
    read_hourly_requests,
    used_replica_hours,
)

__all__ = [
    "Queueing",
    "Serving",
    "ServingSetup",
    "autoscaled_replica_hours",
    "batch_window_replica_hours",
    "day_night_profile",
    "mean_requests_per_s",
    "peak_replicas",
    "queueing",
    "read_hourly_requests",
    "serving",
    "step_line",
    "under_latency",
    "used_replica_hours",
]
