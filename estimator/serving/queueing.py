"""What requests meet at a load below the full one: sequences in flight, waiting, time per token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimator.numbers import Number


@dataclass(frozen=True, kw_only=True)
class Queueing:
    """The steady state of one replica at an arrival rate. Means; infinite where the load is not below full.

    Attributes:
        load_fraction: arrival rate over the rate at full batch.
        waiting_fraction: arrivals that find every slot of the batch taken.
        waiting_s: before a slot is free, mean over all requests.
        in_flight: sequences generating at once.
        service_s: from a slot to the last token.
        time_per_output_token_s: between tokens of one sequence.
    """

    load_fraction: Number
    waiting_fraction: Number
    waiting_s: Number
    in_flight: Number
    service_s: Number
    time_per_output_token_s: Number


def step_line(*, alone_step_s: float, full_step_s: float, batch: float) -> tuple[float, float]:
    """Intercept and slope of the step time over the sequences in flight, from a batch of one and a full one.

    >>> step_line(alone_step_s=0.011, full_step_s=0.040, batch=30.0)
    (0.01, 0.001)
    """
    slope = (full_step_s - alone_step_s) / (batch - 1.0) if batch > 1.0 else 0.0
    return round(alone_step_s - slope, 15), round(slope, 15)


def queueing(
    *,
    requests_per_s: Number,
    step_fixed_s: float,
    step_per_sequence_s: float,
    output_tokens: float,
    batch: int,
) -> Queueing:
    """Waiting and latency of a replica that batches continuously, under Poisson arrivals.

    With n sequences in flight every step takes t(n) = fixed + per sequence x n and gives each its next token,
    so requests end at the rate r(n) = n / (O t(n)): a birth-death chain with births lambda and deaths r(n),
    constant above the full batch B:

        p(n) = p(0) product of lambda / r(k), k = 1 .. n;   rho = lambda / r(B)
        waiting fraction = p(B) / (1 - rho);   requests queueing = p(B) rho / (1 - rho)^2

    and Little's law gives the times. Below the full batch all sequences share the steps equally, where the
    law of the answers' lengths does not matter; in the queue lengths are taken as exponential, which is on
    the safe side for more regular ones. It is M/M/c for a constant step and M/M/1 for a batch of one.

    Args:
        requests_per_s: arrivals at this replica; a float or an array of loads.
        step_fixed_s, step_per_sequence_s: of the step time, prefill of the admitted prompts included.
        output_tokens: mean tokens of an answer.
        batch: sequences that memory holds.

    Source: Kleinrock 1975, chapter 3 (birth-death queues); checked against a discrete-event simulation.

    >>> one = queueing(requests_per_s=0.5, step_fixed_s=0.01, step_per_sequence_s=0.0, output_tokens=100.0,
    ...                batch=1)
    >>> round(float(one.waiting_s), 6), round(float(one.load_fraction), 6)
    (1.0, 0.5)
    """
    rate = np.atleast_1d(np.asarray(requests_per_s, dtype=np.float64))[..., None]
    n = np.arange(1, batch + 1, dtype=np.float64)
    deaths = n / (output_tokens * (step_fixed_s + step_per_sequence_s * n))
    load = rate[..., 0] / deaths[-1]
    stable = load < 1.0
    rho = np.where(stable, load, 0.5)
    logs = np.cumsum(np.log(np.maximum(rate, 1e-300) / deaths), axis=-1)
    logs = np.concatenate([np.zeros_like(logs[..., :1]), logs], axis=-1)
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    total = weights[..., :-1].sum(axis=-1) + weights[..., -1] / (1.0 - rho)
    probability = weights / total[..., None]
    waiting_fraction = probability[..., -1] / (1.0 - rho)
    queued = probability[..., -1] * rho / (1.0 - rho) ** 2
    in_flight = (probability[..., :-1] * np.arange(batch)).sum(axis=-1) + batch * waiting_fraction
    arrivals = np.maximum(rate[..., 0], 1e-300)
    service_s = in_flight / arrivals

    def shaped(value: Number) -> Number:
        answer: Number = np.where(stable, value, np.inf).reshape(np.shape(requests_per_s))[()]
        return answer

    return Queueing(
        load_fraction=load.reshape(np.shape(requests_per_s))[()],
        waiting_fraction=np.where(stable, waiting_fraction, 1.0).reshape(np.shape(requests_per_s))[()],
        waiting_s=shaped(queued / arrivals),
        in_flight=np.where(stable, in_flight, float(batch)).reshape(np.shape(requests_per_s))[()],
        service_s=shaped(service_s),
        time_per_output_token_s=shaped(service_s / output_tokens),
    )
