"""Draws of the assumptions: seeded, stratified, common to every arm; the same in every version of NumPy."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from estimator.assumptions import Assumption
from estimator.correlations import correlations
from estimator.numbers import Array
from estimator.result import Estimate

Z_P90 = 1.2815515655446004
"""90th percentile of the standard normal distribution."""


def normal_quantile(*, fraction: Array) -> Array:
    """Standard normal quantile, within 5e-9 of the true value for fractions from 1e-300 to 1 - 1e-16.

    Rational approximations in the middle and in the tails. Source: P. J. Acklam (2003), "An algorithm for
    computing the inverse normal cumulative distribution function", coefficients as published.

    >>> float(normal_quantile(fraction=np.array([0.9]))[0])  # doctest: +ELLIPSIS
    1.28155156...
    """
    a = [-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.383577518672690e2]
    a += [-3.066479806614716e1, 2.506628277459239]
    b = [-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1]
    b += [-1.328068155288572e1, 1.0]
    c = [-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734]
    c += [4.374664141464968, 2.938163982698783]
    d = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0]
    middle = fraction - 0.5
    square = middle * middle
    centre = np.polyval(a, square) * middle / np.polyval(b, square)
    tail = np.sqrt(-2.0 * np.log(np.minimum(fraction, 1.0 - fraction)))
    edge = np.sign(-middle) * np.polyval(c, tail) / np.polyval(d, tail)
    return np.asarray(np.where(np.abs(middle) <= 0.47575, centre, edge))


@cache
def normal_scores(draws: int) -> Array:
    """Standard normal quantiles at the middle of ``draws`` equal slices (a stratified sample, in order)."""
    return normal_quantile(fraction=(np.arange(draws) + 0.5) / draws)


def permutation(*, draws: int, key: int) -> NDArray[np.int64]:
    """A permutation of 0 .. draws - 1 that depends on the key alone.

    The order of 16 bits of a hash of each index: the SplitMix64 finaliser (Steele, Lea, Flood 2014) of index and
    key; equal hashes keep the order of their indices.
    """
    with np.errstate(over="ignore"):
        z = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort((z >> np.uint64(48)).astype(np.uint16), kind="stable")


SAME_SCORES = {
    "serving_usd_per_gpu_hour": ("train_usd_per_gpu_hour", 1.0),
    "load_level_1": ("peak_to_mean_ratio", 1.0),
    "load_level_2": ("peak_to_mean_ratio", -1.0),
    "load_level_3": ("peak_to_mean_ratio", -1.0),
    "load_level_4": ("peak_to_mean_ratio", -1.0),
}
"""Names drawn with the scores of another, or against them: both prices are the user's quotes; the higher a day's
peak, the more load in its busiest hours and the less in all others."""


@lru_cache(maxsize=512)
def scores(name: str, *, draws: int, seed: int) -> Array:
    """Stratified standard normal scores of one name, in an order of its own.

    A follower's order is that of r x leader + sqrt(1 - r^2) x own, so that both have the same scores and the
    rank correlation r of their pair (Iman and Conover 1982; a Gaussian copula). The array is shared: not to be
    written to.
    """
    if name in SAME_SCORES:
        same, sign = SAME_SCORES[name]
        return sign * scores(same, draws=draws, seed=seed)
    own = normal_scores(draws)[permutation(draws=draws, key=zlib.crc32(name.encode()) << 32 | seed)]
    pair = correlations().get(name)
    if pair is None:
        return own
    with_leader = 2 * np.sin(np.pi / 6 * pair.correlation)
    leader = scores(pair.leader, draws=draws, seed=seed)
    order = np.argsort(with_leader * leader + np.sqrt(1 - with_leader**2) * own)
    ranked = np.empty(draws)
    ranked[order] = normal_scores(draws)
    return ranked


def at_score(row: Assumption, z: Array) -> Array:
    """The assumption's value at standard normal scores.

    On its scale (linear, log or logit): base + z x (high - base) / 1.2816 above the base, and with (base - low)
    below, so that z = -1.2816, 0, 1.2816 give low, base, high; cut at the allowed minimum and maximum.
    Source: derived (two-piece normal).
    """
    if row.shape == "fixed" or row.low == row.high:
        return np.full_like(z, row.base)
    low, base, high = (_to_scale(row, value) for value in (row.low, row.base, row.high))
    spread = np.where(z > 0, high - base, base - low) / Z_P90
    return np.clip(_from_scale(row, base + z * spread), row.minimum, row.maximum)


def _to_scale(row: Assumption, value: float) -> float:
    if row.shape == "lognormal":
        return float(np.log(value))
    if row.shape == "logitnormal":
        return float(np.log(value / (1 - value)))
    return value


def _from_scale(row: Assumption, value: Array) -> Array:
    if row.shape == "lognormal":
        return np.exp(value)
    if row.shape == "logitnormal":
        return 1 / (1 + np.exp(-value))
    return value


def draw(rows: Iterable[Assumption], *, draws: int, seed: int, first: int | None = None) -> dict[str, Array]:
    """Values of every row that varies, as (1, draws) arrays; rows that do not vary stay scalars.

    Of the ``first`` draws alone, where it is given: they are in no order, and so a sample of all.

    Each name gets its own order of the stratified scores, from the seed, the name and its leader's alone: arms
    that share a name share its luck, and adding an assumption leaves the draws of the others as they were.
    """
    values: dict[str, Array] = {}
    for row in rows:
        if row.shape == "fixed" or row.low == row.high:
            values[row.name] = np.float64(row.base)  # type: ignore[assignment]
        else:
            values[row.name] = at_score(row, scores(row.name, draws=draws, seed=seed)[:first])[None, :]
    return values


def model_error(name: str, factors: tuple[float, float]) -> Assumption:
    """The spread of a physical model as an assumption that can be drawn.

    Args:
        name: speed_ratio (training) or serving_speed_ratio.
        factors: P10 and P90 of true over predicted speed.
    """
    what = {"speed_ratio": "training", "serving_speed_ratio": "serving"}[name]
    return Assumption(
        name=name,
        label=f"{what} speed over the model's estimate",
        base=1.0,
        low=min(factors[0], 1.0),
        high=max(factors[1], 1.0),
        unit="ratio",
        status="fitted",
        source=f"errors of the {what} model on runs it had not seen",
        checked="2026-11-21",
        shape="lognormal",
        minimum=0.01,
        maximum=100.0,
    )


def quoted_price(name: str, *, low: float, base: float, high: float, unit: str) -> Assumption:
    """A price that the user was quoted: firm, or drawn over the range that came with it."""
    return Assumption(
        name=name,
        label="GPU, as quoted",
        base=base,
        low=low,
        high=high,
        unit=unit,
        status="user",
        source="set by the user",
        checked="",
        shape="fixed" if low == high else "lognormal",
    )


def estimate(base: float, drawn: Array) -> Estimate:
    """Base value with the percentiles of the draws."""
    p10, p50, p90 = percentiles(drawn, (0.1, 0.5, 0.9))
    return Estimate(base=float(base), p10=p10, p50=p50, p90=p90)


def percentiles(drawn: Array, fractions: Sequence[float]) -> tuple[float, ...]:
    """The draws at these ranks, without interpolation (so that infinite draws stay apart from finite ones).

    >>> percentiles(np.array([3.0, 1.0, 2.0]), (0.5,))
    (2.0,)
    """
    ordered = np.sort(np.ravel(drawn))
    return tuple(float(ordered[round(fraction * (len(ordered) - 1))]) for fraction in fractions)
