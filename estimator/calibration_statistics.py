"""The statistics of calibration: what some runs' errors say about a few factors, and what chance may explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.numbers import Array

REWEIGHTS = 30

CHANCE, UNSEEN = "chance", "unseen"
"""Why factors are not used: chance explains the errors, or runs left out are predicted worse."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Runs of one machine beside their predictions: one entry a measured figure.

    Attributes:
        ids: of the runs.
        settings: model and method of each figure's run.
        errors: ln(measured / predicted); of a run that exhausted the card, ln(card / predicted).
        slopes: derivative of ln(predicted) by the logarithm of each factor; shape (figures, factors).
        bounds: the error is the least that it can be, of a run that exhausted the card.
    """

    ids: tuple[str, ...]
    settings: tuple[str, ...]
    errors: Array
    slopes: Array
    bounds: NDArray[np.bool_]

    def shares(self, *, correlation: float) -> Array:
        """Weight of each figure.

        Those of one run (its several memory figures) count as one together; n runs of one setting whose noise has
        this correlation as n / (1 + (n - 1) x correlation) runs (the design effect, Kish 1965).
        """
        figures = Counter(self.ids)
        runs = Counter(setting for _, setting in set(zip(self.ids, self.settings, strict=True)))
        return np.array(
            [
                1.0 / figures[id] / (1.0 + (runs[setting] - 1.0) * correlation)
                for id, setting in zip(self.ids, self.settings, strict=True)
            ]
        )

    def off(self, logs: Array) -> Array:
        """What is left of the errors under these logarithms of the factors; none of a bound that is kept."""
        left = self.errors - self.slopes @ logs
        return np.where(self.bounds, np.maximum(left, 0.0), left)

    def without(self, id: str) -> Observations:
        """All figures but those of one run."""
        return self.only([place for place, other in enumerate(self.ids) if other != id])

    def only(self, places: Sequence[int]) -> Observations:
        """These entries."""
        chosen = list(places)
        return Observations(
            ids=tuple(self.ids[i] for i in chosen),
            settings=tuple(self.settings[i] for i in chosen),
            errors=self.errors[chosen],
            slopes=self.slopes[chosen],
            bounds=self.bounds[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed before a run is seen.

    Attributes:
        spreads: of each factor's logarithm.
        noise: spread of one run's error.
        tails: degrees of freedom of each factor.
        noise_tails: degrees of freedom of the noise.
        correlation: of the noise of two runs of one model and method.
        caution: standard deviations by which what is found is drawn back towards the shipped constants.
    """

    spreads: Array
    noise: float
    tails: float
    noise_tails: float
    correlation: float
    caution: float


def most_probable(*, seen: Observations, prior: Prior) -> tuple[Array, Array]:
    """The most probable logarithms of the factors, and their covariance.

    Solves (G' W G + p S^-2) x = G' W e until weights and solution agree: W = share x w / noise^2 with
    w = (n + 1) / (n + (residual / noise)^2) for noise with n degrees of freedom, and p = (m + 1) / (m + (x / S)^2)
    for each factor, whose prior has m. A bound that the prediction keeps has no weight. Source: maximum a
    posteriori of a linear model under Student's t noise and prior, by expectation-maximisation (Lange, Little and
    Taylor 1989).

    >>> one = Observations(ids=("a",), settings=("7b lora",), errors=np.array([0.1]), slopes=np.array([[1.0]]),
    ...     bounds=np.array([False]))
    >>> normal = Prior(
    ...     spreads=np.array([0.1]), noise=0.1, tails=1e9, noise_tails=1e9, correlation=0.0, caution=1.0)
    >>> x, covariance = most_probable(seen=one, prior=normal)
    >>> round(float(x[0]), 3), round(float(covariance[0, 0]), 3)
    (0.05, 0.005)
    """
    slopes, errors = seen.slopes, seen.errors
    shares = seen.shares(correlation=prior.correlation)
    found: Array = np.zeros(slopes.shape[1])
    precision: Array = np.diag(prior.spreads**-2.0)
    for _ in range(REWEIGHTS):
        off = (errors - slopes @ found) / prior.noise
        weights = shares * (prior.noise_tails + 1.0) / (prior.noise_tails + off**2) / prior.noise**2
        weights = np.where(seen.bounds & (off <= 0.0), 0.0, weights)
        pull = (prior.tails + 1.0) / (prior.tails + (found / prior.spreads) ** 2)
        precision = (slopes.T * weights) @ slopes + np.diag(pull * prior.spreads**-2.0)
        found = np.asarray(np.linalg.solve(precision, (slopes.T * weights) @ errors))
    return found, np.asarray(np.linalg.inv(precision))


def surest(*, seen: Observations, prior: Prior) -> tuple[Array, Array]:
    """Logarithms of the factors as far from 0 as the runs make sure, and the covariance of the most probable ones.

    x (1 - c sd / |m|), 0 where negative: m = s'x is the change of the runs' mean prediction (s: their mean slopes,
    by share), sd = (s'Cs)^0.5 its standard deviation, c the caution. The change is what is left of m at its end
    nearest to none. Source: derived; c chosen with benchmarks/calibration_gain.py.

    >>> one = Observations(ids=("a",), settings=("7b lora",), errors=np.array([0.2]), slopes=np.array([[1.0]]),
    ...     bounds=np.array([False]))
    >>> normal = Prior(
    ...     spreads=np.array([0.1]), noise=0.1, tails=1e9, noise_tails=1e9, correlation=0.0, caution=1.0)
    >>> x, _ = surest(seen=one, prior=normal)
    >>> round(float(x[0]), 4)
    0.0293
    """
    found, covariance = most_probable(seen=seen, prior=prior)
    shares = seen.shares(correlation=prior.correlation)
    mean = shares @ seen.slopes / shares.sum()
    change, deviation = abs(float(mean @ found)), float(mean @ covariance @ mean) ** 0.5
    sure = max(0.0, 1.0 - prior.caution * deviation / change) if change > 0.0 else 0.0
    return found * sure, covariance


def absolute_errors(errors: Array) -> Array:
    """Absolute relative errors, |predicted / measured - 1|, of logarithmic ones.

    >>> absolute_errors(np.array([0.0, np.log(2.0)]))
    array([0. , 0.5])
    """
    return np.abs(np.expm1(-errors))


def unseen_errors(*, seen: Observations, prior: Prior) -> Array:
    """ln(measured / predicted) of every figure, its prediction calibrated on the other runs alone."""
    found = np.empty(len(seen.ids))
    for id in dict.fromkeys(seen.ids):
        factors, _ = surest(seen=seen.without(id), prior=prior)
        places = np.array([other == id for other in seen.ids])
        found[places] = seen.off(factors)[places]
    return found


def refusal(*, seen: Observations, prior: Prior) -> str:
    """Why the factors that these runs make sure are not used; "" where they are.

    CHANCE: nothing is left of them. UNSEEN: factors of some of the runs predict the others worse than the shipped
    constants do. One run alone has nothing to be checked against: prior and caution are all that hold it back.
    """
    factors, _ = surest(seen=seen, prior=prior)
    if not factors.any():
        return CHANCE
    if len(set(seen.ids)) < 2:
        return ""
    after = absolute_errors(unseen_errors(seen=seen, prior=prior))
    before = absolute_errors(seen.off(np.zeros(len(factors))))
    return "" if after.sum() <= before.sum() else UNSEEN


def usable(*, seen: Observations, prior: Prior) -> Array:
    """Logarithms of the factors that calibration uses: the surest ones, or none."""
    return surest(seen=seen, prior=prior)[0] * (not refusal(seen=seen, prior=prior))
