"""What a replica of an inference engine delivers, and how many replicas traffic needs.

`throughput` answers for one replica (or a block of them) at full load, `latency` within a latency limit,
`traffic` and `queueing` turn requests into replicas and hours, `validation` compares with measured runs.
"""

from estimator.serving.latency import under_latency
from estimator.serving.setup import Serving, ServingSetup
from estimator.serving.throughput import serving
from estimator.serving.traffic import (
    autoscaled_replica_hours,
    batch_window_replica_hours,
    mean_requests_per_s,
    peak_replicas,
)

__all__ = [
    "Serving",
    "ServingSetup",
    "autoscaled_replica_hours",
    "batch_window_replica_hours",
    "mean_requests_per_s",
    "peak_replicas",
    "serving",
    "under_latency",
]
