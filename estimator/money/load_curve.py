"""Replicas that follow the load of the day: bands of its hours, and where an autoscaler saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from estimator.assumptions import Assumption
from estimator.money.arms import own
from estimator.money.ownership import ArmSpec, first_serving_usd, in_first_month
from estimator.money.serving_costs import (
    HOUR_BANDS,
    HOUR_LEVEL,
    LOAD_BANDS,
    LOAD_LEVEL,
    autoscaled_lines,
    replicas,
)
from estimator.numbers import Array
from estimator.scenario import Scenario
from estimator.serving import hourly_load
from estimator.words import money

AUTOSCALING_MATTERS_FRACTION = 0.05
"""A saving on serving below this is not worth an autoscaler to a team: replicas stay as many all month."""

AUTOSCALED = "Replicas follow"
"""Start of the note of an arm with an autoscaler."""


def load_of(scenario: Scenario) -> Array:
    """Load of each hour over the mean: of the user's table, else of a day-night curve with the assumed peak."""
    return hourly_load(measured=scenario.hourly_load, peak_to_mean=scenario.assumptions["peak_to_mean_ratio"])


def mean_by_band(load: Array, *, bands: int) -> Array:
    """Mean load of equal bands of the time, the busiest first.

    >>> mean_by_band(np.array([0.5, 2.5, 0.0, 1.0]), bands=2).tolist()
    [1.75, 0.25]
    """
    return np.asarray(np.repeat(np.sort(load)[::-1], bands).reshape(bands, -1).mean(axis=1))


def load_bands(scenario: Scenario) -> tuple[Assumption, ...]:
    """Bands of the time by load, for serverless replicas.

    Measured hours are as they are; of a day-night curve the bands are drawn together with the peak, between those
    of its P10 and of its P90, so that their mean stays 1.
    """
    levels = mean_by_band(load_of(scenario), bands=LOAD_BANDS)
    peak = scenario.assumptions.row("peak_to_mean_ratio")
    ends = [levels]
    if not scenario.hourly_load and peak.shape != "fixed":
        ends = [
            mean_by_band(hourly_load(measured=(), peak_to_mean=value), bands=LOAD_BANDS)
            for value in (peak.low, peak.high)
        ]
    source = "the hours of the table of requests" if scenario.hourly_load else "a day-night curve with this peak"
    rows = [_computed("load_bands", "bands of the time by load", LOAD_BANDS, "band", source, scenario)]
    for band, (level, *at_ends) in enumerate(zip(levels, *ends, strict=True), 1):
        row = _computed(
            f"{LOAD_LEVEL}{band}", f"load over the mean in band {band}", level, "ratio", source, scenario
        )
        low, high = min(level, *at_ends), max(level, *at_ends)
        if low < high:
            row = replace(
                row, low=float(low), high=float(high), shape="normal", minimum=float(low), maximum=float(high)
            )
        rows.append(row)
    return tuple(rows)


def following_hours(spec: ArmSpec, followed: ArmSpec, *, values: Mapping[str, float]) -> ArmSpec:
    """The arm with replicas that follow the hours of the user's table, where that saves; else as it is.

    Replicas for each band of the hours, at least those kept for availability, and their starts, against replicas
    for the busiest hour all month; in the first month, at base values. Each on the cards that suit it.

    Args:
        spec: with replicas for the busiest hour.
        followed: with an autoscaler.
        values: the registry.
    """
    fixed_usd, followed_usd = (first_serving_usd(one, values) for one in (spec, followed))
    if followed_usd > (1 - AUTOSCALING_MATTERS_FRACTION) * fixed_usd:
        return spec
    x = in_first_month(followed, values)
    least = int(replicas(x, load=x[f"{HOUR_LEVEL}{HOUR_BANDS}"]))
    note = (
        f"{AUTOSCALED} the hours of the table of requests, {least} to {int(replicas(x))}: {money(followed_usd)} of"
        f" serving in the first month; replicas for the busiest hour all month would cost {money(fixed_usd)}."
    )
    return replace(followed, notes=(*spec.notes, note))


def autoscaled(spec: ArmSpec, *, scenario: Scenario) -> ArmSpec:
    """The same arm on replicas that follow the hours."""
    if spec.stepped_lines is autoscaled_lines:
        return spec
    load = load_of(scenario)
    source = "the hours of the table of requests"
    rises = float(np.maximum(load - np.roll(load, 1), 0.0).mean())
    rows = [
        _computed("hour_bands", "bands of the hours by load", HOUR_BANDS, "band", source, scenario),
        _computed(
            "load_rise_per_hour", "rise of the load over the mean, of an hour", rises, "1/hour", source, scenario
        ),
        *(
            _computed(
                f"{HOUR_LEVEL}{band}",
                f"load over the mean in band {band} of the hours",
                level,
                "ratio",
                source,
                scenario,
            )
            for band, level in enumerate(mean_by_band(load, bands=HOUR_BANDS), 1)
        ),
    ]
    return replace(spec, stepped_lines=autoscaled_lines, parameters=(*spec.parameters, *rows))


def _computed(name: str, label: str, base: float, unit: str, source: str, scenario: Scenario) -> Assumption:
    day = scenario.as_of.isoformat()
    return own(name, label, float(base), unit, status="computed", source=source, checked=day)
