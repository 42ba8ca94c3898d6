"""Time to the first token of a replica at a load: the wait for a slot, bursts of prompts, the prompt itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimator.numbers import Number
from estimator.serving.queueing import Queueing, queueing

MEDIAN, TAIL = 0.5, 0.95
_HALVINGS_OF_A_TIME = 24


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """What the queueing of a replica needs to know of its engine; floats, or arrays that broadcast.

    Attributes:
        alone_token_s, full_token_s: time per output token of a lone sequence and of the full batch, prompts
            included.
        alone_decode_s, full_decode_s: one step without prompts, of a lone sequence and of the full batch.
        prefill_s: what one mean prompt adds to the steps that carry it.
        batch: sequences in flight of the full batch.
        output_tokens: mean tokens of an answer.
        input_tokens_cv, output_tokens_cv: standard deviations of the lengths over their means.
    """

    alone_token_s: Number
    full_token_s: Number
    alone_decode_s: Number
    full_decode_s: Number
    prefill_s: Number
    batch: Number
    output_tokens: float
    input_tokens_cv: float
    output_tokens_cv: float


@dataclass(frozen=True, kw_only=True)
class Responses:
    """What requests meet at one replica at a load. Infinite where the load is not below full.

    Attributes:
        load_fraction: arrivals over what the full batch finishes.
        in_flight: sequences generating at once, mean.
        waiting_p95_s: before a slot of the batch is free.
        ttft_mean_s, ttft_p50_s, ttft_p95_s: from arrival to the first token.
        time_per_output_token_s: between tokens of one sequence, mean.
    """

    load_fraction: Number
    in_flight: Number
    waiting_p95_s: Number
    ttft_mean_s: Number
    ttft_p50_s: Number
    ttft_p95_s: Number
    time_per_output_token_s: Number


def burst_moments(
    *, requests_per_s: Number, decode_s: Number, prefill_s: Number, prefill_cv: Number, busy_fraction: Number
) -> tuple[Number, Number]:
    """Mean and variance of the time from a free slot to the first token: the running step, then one's own.

    A prompt waits for the running step to end and rides in the next, with every prompt that came meanwhile. A
    step takes X = d + the prefill of the prompts that arrived in the step before (a gated queue):

        E[X] = d / (1 - r),  r = lambda s,  Var[X] = lambda E[s^2] E[X] / (1 - r^2),  E[s^2] = s^2 (1 + cv^2)
        k3[X] = (lambda E[s^3] E[X] + 3 r lambda E[s^2] Var[X]) / (1 - r^3),  E[s^3] = s^3 (1 + cv^2)^3

    (k3 the third cumulant; prompts' times lognormal). An arrival meets a step by its length, X* with moments
    E[X*^n] = E[X^(n + 1)] / E[X], of which half is left on average, and shares the next with r X* of prompts:

        mean = b X*/2 + d + r X* + s,  variance = b X*^2 / 12 + (b / 2 + r)^2 Var[X*] + lambda E[s^2] X* + s^2 cv^2

    Args:
        requests_per_s: lambda, arrivals at this replica; r must stay below 1.
        decode_s: d, a step without prompts at the sequences in flight.
        prefill_s, prefill_cv: s and cv, of the time that a prompt adds.
        busy_fraction: b, chance that a step is running.

    Source: derived after gated vacation queues (Takagi 1986); checked against a discrete-event simulation.

    >>> mean, variance = burst_moments(requests_per_s=0.0, decode_s=0.02, prefill_s=0.1, prefill_cv=0.5,
    ...                                busy_fraction=0.0)
    >>> round(float(mean), 6), round(float(variance), 6)
    (0.12, 0.0025)
    """
    share = np.minimum(requests_per_s * prefill_s, 1.0 - 1e-6)
    square = requests_per_s * prefill_s**2 * (1.0 + prefill_cv**2)
    cube = requests_per_s * prefill_s**3 * (1.0 + prefill_cv**2) ** 3
    step = decode_s / (1.0 - share)
    step_variance = square * step / (1.0 - share**2)
    step_cumulant = (cube * step + 3.0 * share * square * step_variance) / (1.0 - share**3)
    met = step + step_variance / step
    met_variance = step_cumulant / step + 3.0 * step_variance + step**2 - met**2
    mean = busy_fraction * met / 2.0 + decode_s + share * met + prefill_s
    variance = (
        busy_fraction * (1.0 / 12.0 + (1.0 - busy_fraction) / 4.0) * (met_variance + met**2)
        + (busy_fraction / 2.0 + share) ** 2 * met_variance
        + square * met
        + (prefill_s * prefill_cv) ** 2
    )
    return mean, variance


def gamma_exceeded(*, mean: Number, variance: Number, value: Number) -> Number:
    """Chance that a gamma law of this mean and variance exceeds a value.

    The cube root of value / mean is close to normal with mean 1 - 1/9k and variance 1/9k, k = mean^2 / variance
    (Wilson and Hilferty 1931); the normal law as 1 / (1 + exp(-1.5976 z - 0.07056 z^3)), within 0.0002
    (Page 1977).

    >>> round(float(gamma_exceeded(mean=1.0, variance=1.0, value=2.9957)), 3)
    0.049
    """
    width = np.sqrt(np.maximum(variance, 1e-300)) / (3.0 * mean)
    normal = np.clip((np.cbrt(np.maximum(value, 0.0) / mean) - 1.0 + width**2) / width, -8.0, 8.0)
    answer: Number = 1.0 / (1.0 + np.exp(1.5976 * normal + 0.07056 * normal**3))
    return answer


def late_quantile(
    *, mean: Number, variance: Number, late_fraction: Number, late_s: Number, probability: float
) -> Number:
    """Quantile of a gamma-distributed time to which a part of all cases adds an exponential one.

    Solves (1 - f) P(G > t) + f P(G + E > t) = 1 - p by bisection, with G + E taken as gamma too; the upper end
    of the search is Cantelli's bound, mean + sd sqrt(p / (1 - p)).

    >>> round(float(late_quantile(mean=1.0, variance=1.0, late_fraction=0.0, late_s=5.0, probability=0.95)), 2)
    2.97
    """
    extra, extra_square = late_fraction * late_s, 2.0 * late_fraction * late_s**2
    whole = np.asarray(variance + extra_square - extra**2, dtype=np.float64)
    high = mean + extra + np.sqrt(whole * probability / (1.0 - probability))
    low = np.zeros_like(high)
    for _ in range(_HALVINGS_OF_A_TIME):
        middle = (low + high) / 2.0
        prompt = gamma_exceeded(mean=mean, variance=variance, value=middle)
        late = gamma_exceeded(mean=mean + late_s, variance=variance + late_s**2, value=middle)
        above = (1.0 - late_fraction) * prompt + late_fraction * late > 1.0 - probability
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    answer: Number = high[()]
    return answer


def responses(*, requests_per_s: Number, times: StepTimes) -> Responses:
    """Waiting and times to the first token at a replica under Poisson arrivals.

    The wait for a slot is that of ``queueing``, the rest that of ``burst_moments``; quantiles are those of
    ``late_quantile`` above the step that nobody can skip. Against a simulation of an engine that steps, up to
    four fifths of full load: the mean within 10 % and P95 within 15 %, and up to a fifth too long where batches
    are small and requests wait for a slot. Nearer to full load bursts of long prompts hold up slots as well and
    the estimate falls short.

    >>> times = StepTimes(alone_token_s=0.011, full_token_s=0.02, alone_decode_s=0.01, full_decode_s=0.015,
    ...     prefill_s=0.01, batch=10.0, output_tokens=100.0, input_tokens_cv=0.0, output_tokens_cv=1.0)
    >>> quiet, busy = (responses(requests_per_s=rate, times=times) for rate in (0.01, 4.5))
    >>> round(float(quiet.ttft_p95_s), 3), round(float(busy.ttft_p95_s), 3)
    (0.021, 4.948)
    """
    slope = np.where(
        np.asarray(times.batch) > 1.0,
        (times.full_token_s - times.alone_token_s) / np.maximum(times.batch - 1.0, 1.0),
        0.0,
    )
    met = queueing(
        requests_per_s=requests_per_s,
        step_fixed_s=times.alone_token_s - slope,
        step_per_sequence_s=slope,
        output_tokens=times.output_tokens,
        output_tokens_cv=times.output_tokens_cv,
        batch=times.batch,
    )
    return _responses(met, requests_per_s, times)


def _responses(met: Queueing, requests_per_s: Number, times: StepTimes) -> Responses:
    stable = np.isfinite(met.waiting_s)
    part = np.clip((met.in_flight - 1.0) / np.maximum(times.batch - 1.0, 1.0), 0.0, 1.0)
    decode_s = times.alone_decode_s + (times.full_decode_s - times.alone_decode_s) * part
    burst, burst_variance = burst_moments(
        requests_per_s=requests_per_s,
        decode_s=decode_s,
        prefill_s=times.prefill_s,
        prefill_cv=times.input_tokens_cv,
        busy_fraction=met.busy_fraction,
    )
    late_fraction = np.where(stable, met.waiting_fraction, 0.0)
    late_s = np.where(stable, met.waiting_s / np.maximum(met.waiting_fraction, 1e-300), 0.0)

    def ttft_s(probability: float) -> Number:
        beyond = late_quantile(
            mean=burst - decode_s,
            variance=burst_variance,
            late_fraction=late_fraction,
            late_s=late_s,
            probability=probability,
        )
        answer: Number = np.where(stable, decode_s + beyond, np.inf)[()]
        return answer

    return Responses(
        load_fraction=met.load_fraction,
        in_flight=met.in_flight,
        waiting_p95_s=met.waiting_quantile_s(probability=TAIL),
        ttft_mean_s=np.where(stable, burst + met.waiting_s, np.inf)[()],
        ttft_p50_s=ttft_s(MEDIAN),
        ttft_p95_s=ttft_s(TAIL),
        time_per_output_token_s=met.time_per_output_token_s,
    )


_HALVINGS = 12


def largest_load_fraction(*, times: StepTimes, ttft_p95_s: float) -> Number:
    """Largest load, as a fraction of what the full batch finishes, whose P95 time to the first token is kept.

    Found by bisection; 0 where a lone request breaks the limit. The time grows with the load.

    >>> times = StepTimes(alone_token_s=0.011, full_token_s=0.02, alone_decode_s=0.01, full_decode_s=0.015,
    ...     prefill_s=0.01, batch=10.0, output_tokens=100.0, input_tokens_cv=0.0, output_tokens_cv=1.0)
    >>> loose, tight, none = (largest_load_fraction(times=times, ttft_p95_s=limit) for limit in (1.0, 0.1, 0.01))
    >>> round(float(loose), 2), round(float(tight), 2), float(none)
    (0.73, 0.61, 0.0)
    """
    full = np.asarray(times.batch / (times.output_tokens * times.full_token_s), dtype=np.float64)
    low, high = np.zeros_like(full), np.ones_like(full)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        good = np.asarray(responses(requests_per_s=middle * full, times=times).ttft_p95_s) <= ttft_p95_s
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    answer: Number = low[()]
    return answer
