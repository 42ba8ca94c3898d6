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
        busy_fraction: time in which at least one sequence generates.
        waiting_s: before a slot is free, mean over all requests.
        in_flight: sequences generating at once.
        time_per_output_token_s: between tokens of one sequence.
    """

    load_fraction: Number
    waiting_fraction: Number
    busy_fraction: Number
    waiting_s: Number
    in_flight: Number
    time_per_output_token_s: Number

    def waiting_quantile_s(self, *, probability: float) -> Number:
        """Wait that this share of requests stays within.

        The wait of those who wait is close to exponential (exactly so for M/M/c):
        t = (wait / waiting fraction) ln(waiting fraction / (1 - p)), at least 0.
        """
        waiting = np.maximum(self.waiting_fraction, 1e-300)
        with np.errstate(invalid="ignore"):
            tail = self.waiting_s / waiting * np.log(np.maximum(waiting / (1.0 - probability), 1.0))
        answer: Number = np.where(np.isfinite(self.waiting_s), tail, np.inf)[()]
        return answer


def queueing(
    *,
    requests_per_s: Number,
    step_fixed_s: Number,
    step_per_sequence_s: Number,
    output_tokens: float,
    batch: Number,
    output_tokens_cv: float = 1.0,
) -> Queueing:
    """Waiting and latency of a replica that batches continuously, under Poisson arrivals.

    With n sequences in flight every step takes t(n) = fixed + per sequence x n and gives each its next token,
    so requests end at the rate r(n) = n / (O t(n)): a birth-death chain with births lambda and deaths r(n),
    constant above the full batch B:

        p(n) = p(0) product of lambda / r(k), k = 1 .. n;   rho = lambda / r(B)
        waiting fraction = p(B) / (1 - rho);   requests queueing = p(B) rho / (1 - rho)^2

    and Little's law gives the times. Below the full batch all sequences share the steps equally, where the
    law of the answers' lengths does not matter; in the queue the wait of exponential lengths (cv 1) is scaled
    by (1 + cv^2) / 2. It is M/M/c for a constant step and cv 1, and exact for M/G/1 at a batch of one.

    Args:
        requests_per_s: arrivals at this replica.
        step_fixed_s, step_per_sequence_s: of the step time, prefill of the admitted prompts included.
        output_tokens, output_tokens_cv: mean tokens of an answer, and their standard deviation over it.
        batch: sequences that memory holds, whole numbers.

    Loads, step times and batches are floats or arrays that broadcast.

    Source: Kleinrock 1975, chapter 3 (birth-death queues); Allen 1990 (Allen-Cunneen) for the spread; checked
    against a discrete-event simulation.

    >>> one = queueing(requests_per_s=0.5, step_fixed_s=0.01, step_per_sequence_s=0.0, output_tokens=100.0,
    ...                batch=1)
    >>> round(float(one.waiting_s), 6), round(float(one.load_fraction), 6)
    (1.0, 0.5)
    """
    rate, fixed, slope, slots = (
        np.asarray(value, dtype=np.float64)[..., None]
        for value in np.broadcast_arrays(requests_per_s, step_fixed_s, step_per_sequence_s, batch)
    )
    n = np.arange(1.0, float(np.max(slots)) + 1.0)
    logs = np.log(output_tokens * (fixed + slope * n)) - np.log(n) + np.log(np.maximum(rate, 1e-300))
    logs = np.where(n <= slots, np.cumsum(logs, axis=-1), -np.inf)
    top = np.maximum(logs.max(axis=-1, keepdims=True), 0.0)
    weights, none = np.exp(logs - top), np.exp(-top[..., 0])
    load = (rate * output_tokens * (fixed + slope * slots) / slots)[..., 0]
    stable = load < 1.0
    rho = np.where(stable, load, 0.5)
    full = np.take_along_axis(weights, slots.astype(np.int64) - 1, axis=-1)[..., 0]
    total = none + weights.sum(axis=-1) + full * rho / (1.0 - rho)
    waiting_fraction = full / (1.0 - rho) / total
    spread = (1.0 + output_tokens_cv**2) / 2.0
    arrivals = np.maximum(rate[..., 0], 1e-300)
    full_rate = (slots / (output_tokens * (fixed + slope * slots)))[..., 0]
    leave_s = spread / (full_rate * (1.0 - rho))
    below = np.where(n < slots, weights * n, 0.0).sum(axis=-1) / total
    in_flight = below + slots[..., 0] * waiting_fraction
    service_s = np.where(rate[..., 0] > 0.0, in_flight / arrivals, output_tokens * (fixed + slope)[..., 0])

    def shaped(value: Number, unstable: Number = np.inf) -> Number:
        answer: Number = np.where(stable, value, unstable)[()]
        return answer

    return Queueing(
        load_fraction=load[()],
        waiting_fraction=shaped(waiting_fraction, 1.0),
        busy_fraction=shaped(1.0 - none / total, 1.0),
        waiting_s=shaped(waiting_fraction * leave_s),
        in_flight=shaped(in_flight, slots[..., 0]),
        time_per_output_token_s=shaped(service_s / output_tokens),
    )
