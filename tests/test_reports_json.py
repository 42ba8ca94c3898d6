"""plan.json: everything that a program needs, plain."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from estimator.errors import InputError
from estimator.result import Plan
from reports import write
from reports.layout import Layout
from reports.plan_json import plan_json, plan_json_text
from tests.plan_example import make_plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan()


def test_document_carries_the_answer(plan: Plan) -> None:
    document = json.loads(plan_json_text(plan))
    assert document["schema"] == 1
    assert document["ftcost"]["scenario_hash"] == plan.scenario_hash
    assert document["ftcost"]["as_of"] == "2026-11-21"
    assert document["verdict"]["arm"] == plan.verdict.arm
    assert [arm["id"] for arm in document["arms"]] == [arm.id for arm in plan.arms]
    first, arm = document["arms"][0], plan.arms[0]
    assert first["total_usd"] == {
        "base": arm.total_usd.base,
        "p10": arm.total_usd.p10,
        "p50": arm.total_usd.p50,
        "p90": arm.total_usd.p90,
    }
    assert sum(sum(line["usd"]) for line in first["lines"]) == pytest.approx(arm.total_usd.base)
    assert document["scenario"]["assumptions"]["rows"]["base"] == 10000
    assert document["training_options"][0]["price_seen"] == "2026-11-20"


def test_every_field_of_the_plan_is_there(plan: Plan) -> None:
    document = plan_json(plan)
    apart = {"version", "command", "scenario_hash", "scenario"}
    assert set(Plan.__dataclass_fields__) - apart <= set(document)


def test_numbers_are_plain_and_endless_ones_null(plan: Plan) -> None:
    broken = replace(plan, break_evens=(replace(plan.break_evens[0], never_probability=math.nan),))
    document = json.loads(plan_json_text(broken), parse_constant=pytest.fail)
    assert document["break_evens"][0]["never_probability"] is None
    assert document["break_evens"][0]["high_per_day"] is None
    assert document["arms"][0]["parameters"][0]["maximum"] is None


def test_no_tuned_arm_is_null(plan: Plan) -> None:
    document = plan_json(replace(plan, best_tuned="", best_rival=""))
    assert document["best_tuned"] is None
    assert document["best_rival"] is None


def test_write_reports_writes_all_or_none(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> bytes:
        raise RuntimeError("drawing failed")

    (tmp_path / "plan.json").write_text("old")
    monkeypatch.setattr(write, "report_files", lambda _: {"plan.json": lambda _: b"new", "memory.png": broken})
    with pytest.raises(RuntimeError):
        write.write_reports(plan, tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("plan.json", "old")]


def test_write_reports_tells_its_progress_and_its_files(plan: Plan, tmp_path: Path) -> None:
    told: list[str] = []
    paths = write.write_reports(plan, tmp_path / "report", progress=told.append)
    assert [path.name for path in paths] == told == list(write.report_files(Layout()))
    assert all(path.stat().st_size > 1000 for path in paths)
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == sorted(told)


def test_a_file_in_the_way_is_refused_before_anything_is_drawn(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("kept")
    told: list[str] = []
    with pytest.raises(InputError, match="is a file"):
        write.write_reports(plan, tmp_path / "taken", progress=told.append)
    assert told == []
