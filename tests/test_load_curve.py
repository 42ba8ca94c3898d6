"""Replicas through the day: plan and serve-plan agree, autoscalers count where they save, peaks are drawn."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import pytest

from estimator import Scenario, plan
from estimator.assumptions import shipped
from estimator.models import resolve_model
from estimator.money.load_curve import load_bands, mean_by_band
from estimator.result import Plan
from estimator.risk import draw
from estimator.serving import day_night_profile
from reports.commands.serve import serve_answer

CURVE = tuple(day_night_profile(peak_to_mean=2.4).tolist())
TYPICAL = {"peak_to_mean_ratio": max(CURVE), "staging_replicas": 0.0, "prompt_saving_fraction": 0.0}


def scenario(per_day: float, *, measured: bool = True) -> Scenario:
    values = shipped().setting({**TYPICAL, "requests_per_day": per_day})
    return Scenario(
        model="8b",
        assumptions=values,
        hourly_load=CURVE if measured else (),
        gpus=("l40s", "a100-80gb-sxm"),
        as_of=date(2026, 11, 9),
        draws=64,
    )


@cache
def planned(per_day: float, *, measured: bool = True) -> Plan:
    return plan(scenario(per_day, measured=measured))


def serving_usd_per_month(answer: Plan) -> float:
    line = next(line for line in answer.arm("self:lora").lines if line.name == "GPU-hours of replicas")
    return line.usd[1]


@pytest.mark.parametrize(("per_day", "way"), [(2e4, "fixed"), (2e7, "hourly"), (1e8, "hourly")])
def test_a_plan_and_serve_plan_agree_on_the_same_scenario(per_day: float, way: str) -> None:
    architecture = resolve_model("8b").architecture
    asked = serve_answer(scenario=scenario(per_day), architecture=architecture)
    least = min(one.usd_per_month for ways in asked.ways for one in ways if one.name == way)
    assert serving_usd_per_month(planned(per_day)) == pytest.approx(least, rel=0.01)


def test_an_autoscaler_counts_where_it_saves_and_the_plan_says_what() -> None:
    small, large, unknown = planned(2e4), planned(2e7), planned(2e7, measured=False)
    assert not any("Replicas follow" in note for note in small.arm("self:lora").notes), "the floor binds"
    assert any(note.startswith("Replicas follow the hours") for note in large.arm("self:lora").notes)
    assert serving_usd_per_month(large) < 0.7 * serving_usd_per_month(unknown)
    assert any("autoscaling" in text for text in unknown.not_included)
    assert not any("autoscaling" in text for text in large.not_included)
    ways = {one.rival: one.lowest_per_day for one in unknown.break_evens}
    sooner = [(one.lowest_per_day, ways[one.rival]) for one in large.break_evens]
    assert all(early is not None and late is not None and early <= late * 1.001 for early, late in sooner if late)
    assert any(early is not None and late is not None and early < 0.9 * late for early, late in sooner)


def test_bands_of_serverless_load_are_drawn_with_the_peak_and_keep_the_mean() -> None:
    rows = load_bands(Scenario(model="7b", as_of=date(2026, 11, 9)))[1:]
    peak = shipped().row("peak_to_mean_ratio")
    drawn = draw([peak, *rows], draws=500, seed=0)
    levels = np.array([drawn[row.name][0] for row in rows])
    order = np.argsort(drawn["peak_to_mean_ratio"][0])
    assert np.all(np.diff(levels[0][order]) >= 0)
    assert np.all(np.diff(levels[3][order]) <= 0)
    assert levels.mean(axis=0) == pytest.approx(np.ones(500), rel=1e-3)
    for end, at in ((peak.low, "low"), (peak.high, "high")):
        busiest = mean_by_band(day_night_profile(peak_to_mean=end), bands=4)[0]
        assert getattr(rows[0], at) == pytest.approx(busiest)
    measured = load_bands(scenario(1e6))[1:]
    assert {row.shape for row in measured} == {"fixed"}
