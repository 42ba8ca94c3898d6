"""Rules of advice: when each is given, what its words say, and that none contradicts the verdict."""

from __future__ import annotations

import re
import string
from functools import cache
from typing import Any

import pytest

from estimator import Scenario, plan
from estimator.advice import ABOUT, CONDITIONS, LEAD, rules
from estimator.assumptions import shipped
from estimator.money.derived import with_teacher
from estimator.result import Plan
from estimator.words import count
from tests.test_planning import DAY

BUSY: dict[str, Any] = {"requests_per_day": 2e6, "baselines": ("mistral/mistral-medium-3-5",)}
OWN: dict[str, Any] = {"requests_per_day": 2e6, "no_api": True}
CLOSED: dict[str, Any] = {"model": "70b", "goal": "facts", "requests_per_day": 1.2e6}


@cache
def _planned(asked: tuple[tuple[str, Any], ...]) -> Plan:
    given = dict(asked)
    values = shipped().setting({name: given.pop(name) for name in list(given) if name in shipped()})
    if "teacher" in given:
        values = with_teacher(values, reference=given.pop("teacher"), as_of=DAY)
    return plan(Scenario(**{"model": "7b", "as_of": DAY, "draws": 64, "assumptions": values} | given))


def planned(**asked: Any) -> Plan:
    """A plan with few draws; names of assumptions set them, others are fields of the scenario."""
    return _planned(tuple(sorted(asked.items())))


def fired(answer: Plan) -> set[str]:
    return {one.rule for one in answer.advice}


NOT_GIVEN: dict[str, Any] = {}
MIXTURE: dict[str, Any] = {"model": "Qwen3-30B-A3B", "methods": ("qlora",)}
LONG: dict[str, Any] = {"model": "llama-3.1-8b", "gpus": ("rtx-4090",), "seq_len": 8192.0}
NEVER = {"model": "405b", "baselines": ("aws/amazon.nova-micro-v1:0",), "prompt_saving_fraction": 0.0}
"""Tuning does not shorten the prompt, and no tuned model costs less a token than the rival."""
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # rule: a scenario in which it is given, one in which it is not
    "prompt-first": (NOT_GIVEN, {"given": ("prompt-tuned",)}),
    "ready-made": ({"given": ("ready-made-model",)}, NOT_GIVEN),
    "facts": ({"goal": "facts"}, NOT_GIVEN),
    "changing-facts": ({"data_changes_every_days": 1.0}, {"data_changes_every_days": 90.0}),
    "often-retrained": ({"retrain_every_months": 0.25}, {"retrain_every_months": 2.0}),
    "form": (NOT_GIVEN, {"goal": "facts"}),
    "language": ({"given": ("proprietary-language",)}, NOT_GIVEN),
    "privacy": ({"no_api": True}, NOT_GIVEN),
    "regulated": ({"given": ("regulated",)}, OWN | {"given": ("regulated",)}),
    "volume": (NOT_GIVEN, {"no_api": True}),
    "volume-never": (NEVER, NOT_GIVEN),
    "latency": ({"latency_ms": 30.0}, NOT_GIVEN),
    "api-beside": (NOT_GIVEN, {"no_api": True}),
    "lock-in": (NOT_GIVEN, OWN),
    "closed-weights": (CLOSED, NOT_GIVEN),
    "maintenance": (OWN, NOT_GIVEN),
    "availability-floor": (NOT_GIVEN, OWN),
    "many-tasks": ({"given": ("many-tasks",)}, NOT_GIVEN),
    "experts": ({"given": ("no-experts",)}, NOT_GIVEN),
    "too-few-rows": ({"rows": 400.0}, NOT_GIVEN),
    "pilot-first": (NOT_GIVEN, {"rows": 400.0}),
    "task-lacks-rows": ({"task": "classification", "classes": 100}, {"task": "classification", "classes": 10}),
    "task-has-rows": ({"task": "generation"}, {"task": "complex"}),
    "unaudited": ({"given": ("unaudited-data",)}, NOT_GIVEN),
    "labels": ({"label_usd_per_row": 20.0}, {"label_usd_per_row": 0.01}),
    "teacher": ({"teacher": "openai/gpt-6-luna"}, NOT_GIVEN),
    "truncated": ({"tokens_per_row": 5000.0}, NOT_GIVEN),
    "one-experiment": ({"experiments": 1.0}, NOT_GIVEN),
    "base-model": ({"given": ("unproven-model",)}, NOT_GIVEN),
    "lora-over-full": (NOT_GIVEN, CLOSED),
    "one-card": (NOT_GIVEN, {"gpu_count": 8}),
    "cluster": ({"gpu_count": 8, "methods": ("lora",)}, NOT_GIVEN),
    "fused-loss": (LONG, NOT_GIVEN),
    "whole-experts": (MIXTURE, {"methods": ("qlora",)}),
    "many-epochs": ({"epochs": 10.0}, NOT_GIVEN),
    "overfitting": ({"rows": 300.0}, NOT_GIVEN),
    "prompt-kept": ({"prompt_saving_fraction": 0.95}, NOT_GIVEN),
    "evaluation": ({"monitoring_fraction": 0.0, "evaluation_runs": 0.0}, NOT_GIVEN),
    "retrain": ({"retrain_every_months": 12.0}, NOT_GIVEN),
    "forgetting": (NOT_GIVEN, {"retrain_every_months": 12.0}),
    "bias": ({"given": ("sensitive-decisions",)}, NOT_GIVEN),
    "licence": ({"model": "llama-3.1-8b"}, NOT_GIVEN),
}


@pytest.mark.parametrize("rule", TABLE)
def test_a_rule_is_given_in_one_scenario_and_not_in_another(rule: str) -> None:
    loud, silent = TABLE[rule]
    assert rule in fired(planned(**loud))
    assert rule not in fired(planned(**silent))


def test_every_rule_and_every_condition_is_in_use() -> None:
    assert list(TABLE) == list(rules())
    assert {rule.when for rule in rules().values()} == set(CONDITIONS)
    assert {rule.about for rule in rules().values()} == set(ABOUT)


@pytest.mark.parametrize("name", rules())
def test_numbers_in_a_text_are_placeholders_or_quoted(name: str) -> None:
    rule = rules()[name]
    plain = " ".join(
        literal
        for text in (rule.text, rule.because, rule.changes)
        for literal, *_ in string.Formatter().parse(text)
    )
    assert re.findall(r"\d[\d,.]*\d|\d", plain) == list(rule.quoted)


def said(answer: Plan) -> str:
    verdict = answer.verdict
    return " ".join([verdict.headline, *verdict.reasons, *verdict.flips, *(one.whole for one in answer.advice)])


ASSORTED: tuple[dict[str, Any], ...] = (
    {"requests_per_day": 100.0},
    BUSY,
    OWN,
    {"goal": "facts", "data_changes_every_days": 1.0, "retrain_every_months": 0.25},
    BUSY | {"goal": "facts"},
    {"rows": 50.0, "task": "generation", "requests_per_day": 5e6},
    {"no_api": True, "rows": 200000.0, "given": ("regulated", "no-experts")},
    {"model": "70b", "requests_per_day": 1e6, "horizon_months": 24.0},
    {"model": "0.5b", "requests_per_day": 3e6, "input_tokens": 3000.0},
    {"model": "Qwen3-30B-A3B", "requests_per_day": 4e5, "baselines": ("openai/gpt-5.6-sol",)},
    {"horizon_months": 1.0, "rows": 1000.0},
    {"adapters_sharing": 50.0, "requests_per_day": 3e4, "baselines": ("openai/gpt-5.6-sol",)},
    {"minimum_replicas": 1.0, "engineer_usd_per_hour": 20.0, "label_usd_per_row": 0.003, "requests_per_day": 2e5},
    CLOSED,
    {"model": "405b"},
    {"no_api": True, "goal": "facts", "data_changes_every_days": 1.0, "model": "0.5b"},
)


@pytest.mark.parametrize("asked", ASSORTED, ids=range(len(ASSORTED)))
def test_advice_agrees_with_the_verdict(asked: dict[str, Any]) -> None:
    answer = planned(**asked)
    winner = answer.arm(answer.verdict.arm)
    tuning_wins = winner.kind in ("self-hosted", "hosted")
    for one in answer.advice:
        assert one.text.startswith(LEAD) == (rules()[one.rule].about == "tuning" and not tuning_wins)
    if tuning_wins:
        assert "volume-never" not in fired(answer)
        assert not any(flip.startswith("tuning pays") for flip in answer.verdict.flips)
    assert not re.search(r"\bnan\b|\binf\b|[{}]|  |-\$|\$-", said(answer))


@pytest.mark.parametrize("asked", ASSORTED, ids=range(len(ASSORTED)))
def test_the_verdict_says_what_decides_and_what_would_flip_it(asked: dict[str, Any]) -> None:
    verdict = planned(**asked).verdict
    assert 2 <= len(verdict.reasons) <= 4
    assert "more for" in verdict.reasons[1] or "less for" in verdict.reasons[1]
    assert 1 <= len(verdict.flips) <= 3


def test_prompting_wins_at_low_volume_and_says_from_where_on_tuning_would() -> None:
    answer = planned(requests_per_day=100.0)
    assert answer.arm(answer.verdict.arm).kind == "api"
    lowest = next(one.lowest_per_day for one in answer.break_evens if one.rival == answer.best_rival)
    assert lowest is not None
    daily, monthly = (count(lowest * days) for days in (1, 730 / 24))
    assert f"tuning pays from {daily} requests a day ({monthly} a month)" in answer.verdict.flips[0]
    assert any("replicas kept for availability" in reason for reason in answer.verdict.reasons)


def test_a_tuned_small_model_wins_at_high_volume_over_tokens() -> None:
    answer = planned(**BUSY)
    assert answer.arm(answer.verdict.arm).kind in ("hosted", "self-hosted")
    assert "more for serving" in answer.verdict.reasons[1]
    assert all(flip.endswith("is cheaper") for flip in answer.verdict.flips)


def test_retrieval_wins_for_facts_that_change_daily() -> None:
    answer = planned(goal="facts", data_changes_every_days=1.0, retrain_every_months=0.25)
    assert answer.arm(answer.verdict.arm).style == "retrieval"
    assert any("facts change every day" in reason for reason in answer.verdict.reasons)
    assert {arm.style for arm in answer.arms if arm.kind in ("api", "ready-made")} == {"retrieval"}
    assert any("--goal facts" in row.reason for row in answer.ruled_out)


def test_facts_are_looked_up_in_house_where_nothing_may_leave_it() -> None:
    answer = planned(goal="facts", data_changes_every_days=1.0, no_api=True)
    winner = answer.arm(answer.verdict.arm)
    assert (winner.id, winner.label) == ("ready-made:retrieval", "Open model as it is, retrieval")
    assert {"tokens embedded", "vector database"} <= {line.name for line in winner.lines}
    examples = planned(no_api=True).arm("ready-made").serving
    assert winner.serving is not None
    assert examples is not None
    assert winner.serving.requests_per_s_per_replica < examples.requests_per_s_per_replica


def test_a_switch_value_is_where_the_two_cost_the_same() -> None:
    answer = planned(**OWN)
    flip = answer.verdict.flips[0]
    found = re.fullmatch(r"peak hour over mean load below about ([\d.]+): (.*) is cheaper", flip)
    assert found
    assert found[2] == answer.arm(answer.best_rival).label

    def lead(peak: float) -> float:
        at = planned(**OWN, peak_to_mean_ratio=peak)
        return at.arm(answer.best_rival).total_usd.base - at.arm(answer.best_tuned).total_usd.base

    assert lead(0.9 * float(found[1])) < 0 < lead(1.1 * float(found[1]))
