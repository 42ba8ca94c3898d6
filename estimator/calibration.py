"""What measured runs say about the machine they ran on: factors on the shipped constants, with those as prior.

Runs are grouped by card and training stack. In each group

    ln(measured / predicted) = sum over factors of slope x ln(factor) + noise,

where a factor's slope is how much the prediction answers to it. Both ln(factor), around 0 with the spread that its
registry row holds, and the noise follow Student's t: one odd run does not steer, and a machine that is far off in
every run is not held back as one is that is a little off. The most probable factors are found by Gauss-Newton with
reweighted least squares, from the shipped constants on, so that where two explanations hold, the nearer is taken.
Speed (share of peak, bandwidth, launch time, links) and memory are fitted apart. A fit is kept only if it predicts
runs that it did not see no worse than the shipped constants do: each run in turn is left out, and the errors are
summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator.assumptions import Assumptions
from estimator.machine import FACTORS, MEMORY, SPEED_FACTORS
from estimator.measured import MeasuredRow
from estimator.memory import memory, predicted_bytes
from estimator.numbers import Array
from estimator.speed import speed

P90_DEVIATIONS = 1.2815515655446004
"""Standard deviations from the median of a normal to its 90th percentile."""

DIFFERENCE = 0.02
"""Step of a factor's logarithm from which its slope is taken."""

STEPS, REWEIGHTS = 3, 30
LEAST_SLOPE = 0.01
"""A factor that every run's prediction answers less to is left as it is."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Runs of one machine beside their predictions: one entry a measured figure.

    Attributes:
        ids: of the runs.
        errors: ln(measured / predicted).
        slopes: derivative of ln(predicted) by the logarithm of each factor; shape (figures, factors).
    """

    ids: tuple[str, ...]
    errors: Array
    slopes: Array

    @property
    def shares(self) -> Array:
        """Weight of each figure: those of one run (its several memory figures) count as one together."""
        counts = Counter(self.ids)
        return np.array([1.0 / counts[id] for id in self.ids])

    def without(self, id: str) -> Observations:
        """All figures but those of one run."""
        return self.only([place for place, other in enumerate(self.ids) if other != id])

    def only(self, places: Sequence[int]) -> Observations:
        """These entries."""
        ids, chosen = tuple(self.ids[i] for i in places), list(places)
        return Observations(ids=ids, errors=self.errors[chosen], slopes=self.slopes[chosen])


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed before a run is seen.

    Attributes:
        spreads: of each factor's logarithm.
        noise: spread of one run's error.
        tails: degrees of freedom of the factors together.
        noise_tails: degrees of freedom of the noise.
    """

    spreads: Array
    noise: float
    tails: float
    noise_tails: float


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One fitted factor with its P10 and P90."""

    what: str
    base: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Errors of one quantity before and after.

    Attributes:
        quantity: speed or memory.
        runs: figures compared.
        before, after: median absolute relative error with the shipped constants, and with the factors.
        unseen_before, unseen_after: mean absolute relative error of each figure, its prediction made from the
            other runs; None where there is one run only.
        kept: the factors are used; else they did worse on unseen figures, and the shipped constants stay.
    """

    quantity: str
    runs: int
    before: float
    after: float
    unseen_before: float | None
    unseen_after: float | None
    kept: bool


@dataclass(frozen=True, kw_only=True)
class MachineFit:
    """What the runs of one card with one stack say."""

    gpu: str
    stack: str
    ids: tuple[str, ...]
    factors: tuple[Factor, ...]
    gains: tuple[Gain, ...]


def prior_of(constants: Assumptions, factors: Sequence[str]) -> Prior:
    """The registry's prior of some factors: P10 and P90 of each are 2 x 1.28 standard deviations apart."""
    rows = [constants.row(what) for what in factors]
    kind = "memory" if MEMORY in factors else "speed"
    return Prior(
        spreads=np.array([np.log(row.high / row.low) / (2.0 * P90_DEVIATIONS) for row in rows]),
        noise=constants[f"machine_{kind}_noise"],
        tails=constants["machine_prior_degrees_of_freedom"],
        noise_tails=constants["machine_noise_degrees_of_freedom"],
    )


def most_probable(*, seen: Observations, prior: Prior) -> tuple[Array, Array]:
    """The most probable logarithms of the factors, and their covariance.

    Solves (G' W G + p S^-2) x = G' W e until weights and solution agree: W = w / noise^2 with
    w = (n + 1) / (n + (residual / noise)^2) for noise with n degrees of freedom, and p = (m + k) / (m + |x / S|^2)
    for k factors whose prior has m. Source: maximum a posteriori of a linear model under Student's t noise and
    prior, by expectation-maximisation (Lange, Little and Taylor 1989).

    >>> one = Observations(ids=("a",), errors=np.array([0.1]), slopes=np.array([[1.0]]))
    >>> normal = Prior(spreads=np.array([0.1]), noise=0.1, tails=1e9, noise_tails=1e9)
    >>> x, _ = most_probable(seen=one, prior=normal)
    >>> round(float(x[0]), 3)
    0.05
    """
    slopes, errors = seen.slopes, seen.errors
    found: Array = np.zeros(slopes.shape[1])
    precision: Array = np.diag(prior.spreads**-2.0)
    for _ in range(REWEIGHTS):
        off = (errors - slopes @ found) / prior.noise
        weights = seen.shares * (prior.noise_tails + 1.0) / (prior.noise_tails + off**2) / prior.noise**2
        far = float(np.sum((found / prior.spreads) ** 2))
        pull = (prior.tails + len(found)) / (prior.tails + far)
        precision = (slopes.T * weights) @ slopes + pull * np.diag(prior.spreads**-2.0)
        found = np.asarray(np.linalg.solve(precision, (slopes.T * weights) @ errors))
    return found, np.asarray(np.linalg.inv(precision))


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
        factors, _ = most_probable(seen=seen.without(id), prior=prior)
        for place in (place for place, other in enumerate(seen.ids) if other == id):
            found[place] = seen.errors[place] - seen.slopes[place] @ factors
    return found


def accepted(*, seen: Observations, prior: Prior) -> bool:
    """Whether factors fitted on some of the runs predict the others no worse than the shipped constants do.

    One run alone has nothing to be checked against: the prior is all that holds it back.
    """
    if len(set(seen.ids)) < 2:
        return True
    after = absolute_errors(unseen_errors(seen=seen, prior=prior))
    return bool(after.sum() <= absolute_errors(seen.errors).sum())


def observe(
    *,
    ids: Sequence[str],
    measured: Array,
    predict: Callable[[Mapping[str, float]], Array],
    factors: Sequence[str],
    constants: Mapping[str, float],
    at: Array,
) -> Observations:
    """Observations linearised about some logarithms of the factors, stated as if about 1.

    ``predict`` gives the logarithms of the predictions under a registry, ``measured`` those of the measurements.
    """

    def moved(logs: Array) -> dict[str, float]:
        return {**constants, **dict(zip(factors, map(float, np.exp(logs)), strict=True))}

    here = predict(moved(at))
    slopes = np.empty((len(here), len(factors)))
    for column in range(len(factors)):
        step = np.zeros(len(factors))
        step[column] = DIFFERENCE
        slopes[:, column] = (predict(moved(at + step)) - predict(moved(at - step))) / (2.0 * DIFFERENCE)
    return Observations(ids=tuple(ids), errors=measured - here + slopes @ at, slopes=slopes)


def _speeds(rows: Sequence[MeasuredRow]) -> tuple[list[str], Array, Callable[[Mapping[str, float]], Array]]:
    known = [(row, row.tokens_per_s_per_gpu) for row in rows if row.tokens_per_s_per_gpu and row.gpu]

    def predict(constants: Mapping[str, float]) -> Array:
        return np.log(
            [float(speed(run=row.run, constants=constants).tokens_per_s_per_gpu) for row, _ in known], dtype=float
        )

    return [row.id for row, _ in known], np.log([value for _, value in known], dtype=float), predict


def _memories(rows: Sequence[MeasuredRow]) -> tuple[list[str], Array, Callable[[Mapping[str, float]], Array]]:
    known = [(row, kind, value) for row in rows if row.gpu for kind, value in row.memories]

    def predict(constants: Mapping[str, float]) -> Array:
        figures = []
        for row, kind, _ in known:
            held = memory(run=row.run, constants=constants)
            figures.append(float(predicted_bytes(predicted=held, kind=kind)))
        return np.log(figures, dtype=float)

    return [row.id for row, _, _ in known], np.log([value for *_, value in known], dtype=float), predict


QUANTITIES = {"speed": (_speeds, SPEED_FACTORS), "memory": (_memories, (MEMORY,))}


def observed(rows: Sequence[MeasuredRow], quantity: str, constants: Mapping[str, float]) -> Observations:
    """The speed or memory figures of some runs of one machine, about the shipped constants."""
    figures, factors = QUANTITIES[quantity]
    ids, measured, predict = figures(rows)
    zero = np.zeros(len(factors))
    return observe(
        ids=ids, measured=measured, predict=predict, factors=factors, constants=dict(constants), at=zero
    )


def _fitted(
    rows: Sequence[MeasuredRow], quantity: str, constants: Assumptions
) -> tuple[tuple[Factor, ...], Gain | None]:
    figures, factors = QUANTITIES[quantity]
    ids, measured, predict = figures(rows)
    if not ids:
        return (), None
    plain = dict(constants)
    prior = prior_of(constants, factors)
    start = observe(
        ids=ids, measured=measured, predict=predict, factors=factors, constants=plain, at=np.zeros(len(factors))
    )
    kept = accepted(seen=start, prior=prior)
    before = absolute_errors(start.errors)
    unseen = absolute_errors(unseen_errors(seen=start, prior=prior)) if len(set(ids)) > 1 else None
    low = np.log([constants.row(what).minimum for what in factors])
    high = np.log([constants.row(what).maximum for what in factors])
    logs, spread = most_probable(seen=start, prior=prior)
    for _ in range(STEPS - 1):
        logs = np.clip(logs, low, high)
        now = observe(ids=ids, measured=measured, predict=predict, factors=factors, constants=plain, at=logs)
        logs, spread = most_probable(seen=now, prior=prior)
    logs = np.clip(logs, low, high)
    reach = P90_DEVIATIONS * np.sqrt(np.diag(spread))
    found = tuple(
        Factor(
            what=what,
            base=float(np.exp(logs[place])),
            low=float(np.exp(np.maximum(logs[place] - reach[place], low[place]))),
            high=float(np.exp(np.minimum(logs[place] + reach[place], high[place]))),
        )
        for place, what in enumerate(factors)
        if np.max(np.abs(start.slopes[:, place])) >= LEAST_SLOPE
    )
    used = found if kept else ()
    now_predicted = predict({**plain, **{factor.what: factor.base for factor in used}})
    gain = Gain(
        quantity=quantity,
        runs=len(ids),
        before=float(np.median(before)),
        after=float(np.median(absolute_errors(measured - now_predicted))),
        unseen_before=None if unseen is None else float(before.mean()),
        unseen_after=None if unseen is None else float(unseen.mean()),
        kept=kept,
    )
    return used, gain


def calibrate(rows: Iterable[MeasuredRow], constants: Assumptions) -> tuple[MachineFit, ...]:
    """The machines of some measured runs, each card with each stack on its own, in order of first appearance.

    Runs whose row names no card say nothing about one and are left out. ``constants`` is the registry to start
    from; factors that it already holds for a machine do not count.
    """
    start = constants.adding(replace(constants.row(what), base=1.0) for what in FACTORS)
    shipped_only = Assumptions({row.name: row for row in start.rows if not _measured_factor(row.name)})
    groups: dict[tuple[str, str], list[MeasuredRow]] = {}
    for row in rows:
        if row.gpu and (row.tokens_per_s_per_gpu or row.memories):
            groups.setdefault((row.gpu, row.run.stack), []).append(row)
    fits = []
    for (gpu, stack), members in groups.items():
        parts = [_fitted(members, quantity, shipped_only) for quantity in QUANTITIES]
        fits.append(
            MachineFit(
                gpu=gpu,
                stack=stack,
                ids=tuple(row.id for row in members),
                factors=tuple(factor for found, _ in parts for factor in found),
                gains=tuple(gain for _, gain in parts if gain),
            )
        )
    return tuple(fits)


def _measured_factor(name: str) -> bool:
    return name.endswith(FACTORS) and name not in FACTORS
