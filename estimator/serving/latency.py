"""The cheapest token within a limit on the time per token: the largest batch that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estimator.serving.kv_cache import largest_batch
from estimator.serving.setup import Serving, ServingSetup
from estimator.serving.throughput import plain, serving

_HALVINGS = 12


def under_latency(
    *,
    setup: ServingSetup,
    constants: Mapping[str, float],
    latency_s_per_token: float | None = None,
) -> Serving:
    """What a replica delivers with the best batch within the limit.

    Throughput and time per token grow with the batch, so the batch of the cheapest token is the largest within
    the limit; it is found by bisection between 1 and what memory holds. Where a batch of one breaks the limit,
    ``fits`` is false and the throughput 0, while the latencies tell what a lone request gets.

    ``latency_s_per_token`` is the mean at that batch; None for no limit.
    """
    most = largest_batch(setup=setup, constants=constants)
    if setup.batch is not None:
        most = np.minimum(setup.batch, most)
    if latency_s_per_token is None:
        return serving(setup=setup, constants=constants)

    def kept(answer: Serving) -> Any:
        return np.asarray(answer.time_per_output_token_s <= latency_s_per_token)

    top = np.maximum(most, 1.0)
    at_top = kept(serving(setup=setup.with_(batch=top), constants=constants))
    low, high = np.log2(np.ones_like(top)), np.log2(top)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        good = kept(serving(setup=setup.with_(batch=np.floor(2.0**middle)), constants=constants))
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    best = np.where(at_top, top, np.maximum(np.floor(2.0**low), 1.0))
    answer = serving(setup=setup.with_(batch=best), constants=constants)
    allowed = kept(answer) & np.asarray(answer.fits)
    return replace(
        answer,
        fits=allowed if allowed.ndim else bool(allowed),
        batch=plain(np.where(allowed, answer.batch, 0.0)),
        output_tokens_per_s_per_gpu=plain(np.where(allowed, answer.output_tokens_per_s_per_gpu, 0.0)),
        requests_per_s_per_replica=plain(np.where(allowed, answer.requests_per_s_per_replica, 0.0)),
    )
