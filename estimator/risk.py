"""Draws of the assumptions: seeded, stratified, common to every arm."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

from estimator.assumptions import Assumption
from estimator.numbers import Array
from estimator.result import Estimate

Z_P90 = NormalDist().inv_cdf(0.9)


@cache
def normal_scores(draws: int) -> Array:
    """Standard normal quantiles at the middle of ``draws`` equal slices (a stratified sample, in order)."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse((i + 0.5) / draws) for i in range(draws)])


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


def draw(rows: Iterable[Assumption], *, draws: int, seed: int) -> dict[str, Array]:
    """Values of every row that varies, as (1, draws) arrays; rows that do not vary stay scalars.

    Each name gets its own permutation of the stratified scores, from the seed and the name alone: arms that
    share a name share its luck, and adding an assumption leaves the draws of the others as they were.
    """
    scores = normal_scores(draws)
    values: dict[str, Array] = {}
    for row in rows:
        if row.shape == "fixed" or row.low == row.high:
            values[row.name] = np.float64(row.base)  # type: ignore[assignment]
            continue
        generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(row.name.encode())]))
        values[row.name] = at_score(row, generator.permutation(scores))[None, :]
    return values


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
