"""plan.csv and focus.csv: sums, identities, dates, and text that stays text."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from estimator.result import Plan
from reports.cli import main
from reports.table_files import CSV_COLUMNS, FOCUS_COLUMNS, focus_csv, plan_csv
from tests.plan_example import hosted, make_plan, self_hosted, serving_option, training_option


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(settings={"retrain_every_months": 4, "contingency_fraction": 0.1})


@pytest.fixture(scope="module")
def tuned() -> Plan:
    """The advised way rents GPUs for training and for serving."""
    return make_plan((self_hosted(training_option("lora"), serving_option()),))


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_plan_csv_adds_up_to_every_total(plan: Plan) -> None:
    sums: dict[str, float] = defaultdict(float)
    rows = read(plan_csv(plan))
    for row in rows:
        product = float(row["quantity"]) * float(row["unit_price_usd"]) * (1 + float(row["contingency_fraction"]))
        assert float(row["usd"]) == pytest.approx(product)
        sums[row["arm_id"]] += float(row["usd"])
    assert tuple(rows[0]) == CSV_COLUMNS
    assert sums == pytest.approx({arm.id: arm.total_usd.base for arm in plan.arms})
    assert {row["scenario_hash"] for row in rows} == {plan.scenario_hash}
    assert {row["as_of"] for row in rows} == {"2026-11-21"}


def test_a_line_stands_in_the_months_in_which_it_occurs(plan: Plan) -> None:
    months: dict[str, set[int]] = defaultdict(set)
    for row in read(plan_csv(plan)):
        months[row["timing"]].add(int(row["month"]))
    assert months == {"once": {0}, "monthly": set(range(1, 13)), "retrain": {4, 8}}


def test_text_that_looks_like_a_formula_stays_text(plan: Plan) -> None:
    first = replace(plan.arms[0], label='=HYPERLINK("http://x","y")')
    rows = read(plan_csv(replace(plan, arms=(first, *plan.arms[1:]))))
    assert rows[0]["label"] == '\'=HYPERLINK("http://x","y")'


@pytest.mark.parametrize("which", ["plan", "tuned"])
def test_focus_is_the_advised_way_and_adds_up(which: str, request: pytest.FixtureRequest) -> None:
    plan: Plan = request.getfixturevalue(which)
    arm = plan.arm(plan.verdict.arm)
    rows = read(focus_csv(plan))
    assert tuple(rows[0]) == FOCUS_COLUMNS
    assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(arm.total_usd.base)
    assert {row["x_WayId"] for row in rows} == {arm.id}
    for row in rows:
        assert row["x_IsForecast"] == "true"
        assert row["ChargeDescription"].startswith("Forecast: ")
        assert row["BilledCost"] == row["EffectiveCost"] == row["ListCost"] == row["ContractedCost"]
        assert row["ProviderName"]
        assert row["ServiceName"]
        if row["ChargeCategory"] == "Adjustment":
            assert row["ListUnitPrice"] == row["PricingQuantity"] == ""
        else:
            product = float(row["ListUnitPrice"]) * float(row["PricingQuantity"])
            assert float(row["ListCost"]) == pytest.approx(product)
            assert (row["ChargeFrequency"] == "Usage-Based") == (row["ChargeCategory"] == "Usage")


def test_focus_months_are_calendar_months_from_that_of_the_prices(plan: Plan) -> None:
    rows = read(focus_csv(plan))
    assert rows[0]["ChargePeriodStart"] == "2026-11-01T00:00:00Z"
    assert rows[-1]["ChargePeriodEnd"] == "2027-12-01T00:00:00Z"
    assert all(row["ChargePeriodStart"] < row["ChargePeriodEnd"] for row in rows)


def test_focus_names_who_would_send_the_bill(tuned: Plan) -> None:
    arm = tuned.arms[0]
    assert arm.training is not None
    assert arm.serving is not None
    found = {(row["x_CostGroup"], row["PricingUnit"]): row for row in read(focus_csv(tuned))}
    assert found["training", "GPU-hour"]["ProviderName"] == arm.training.provider
    assert found["training", "GPU-hour"]["ServiceCategory"] == "Compute"
    assert found["serving", "GPU-hour"]["ServiceName"] == arm.serving.gpu_label
    assert found["data", "row"]["ProviderName"] == "own staff and contractors"
    rented = make_plan((hosted("together", "Hosted"),))
    found = {(row["x_CostGroup"], row["PricingUnit"]): row for row in read(focus_csv(rented))}
    assert found["serving", "million tokens"]["ProviderName"] == "together"
    assert found["serving", "million tokens"]["ServiceCategory"] == "AI and Machine Learning"


def test_flags_choose_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "report"
    words = ("plan", "--model", "1b", "--charts", "svg", "--focus", "--paper", "letter", "--out", str(out))
    monkeypatch.setattr("sys.argv", ["ftcost", *words])
    main()
    charts = {f"{name}.svg" for name in ("cost-over-time", "options", "memory")}
    others = {"report.html", "budget.pdf", "budget.xlsx", "plan.json", "plan.csv", "focus.csv"}
    assert {path.name for path in out.iterdir()} == charts | others
