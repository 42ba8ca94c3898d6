"""Bought hardware: held over the horizon, once for training and serving, idle or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from estimator import Scenario, plan
from estimator.assumptions import shipped
from estimator.money.owned import owned_lines, with_own_hardware
from estimator.money.serving_costs import own_power_usd_per_gpu_hour
from estimator.result import Arm, Plan
from pricing import own_usd_per_gpu_hour
from tests.test_cli import run

HELD = {
    "own_purchase_usd": 30000.0,
    "own_server_overhead_ratio": 1.4,
    "own_power_watt": 700.0,
    "own_gpus_sold_together": 4.0,
    "own_years": 4.0,
    "own_residual_fraction": 0.1,
    "own_idle_power_fraction": 0.2,
    "own_server_power_ratio": 1.5,
    "own_pue_ratio": 1.4,
    "own_electricity_usd_per_kwh": 0.1,
    "own_hosting_usd_per_gpu_month": 73.0,
    "own_upkeep_fraction_per_year": 0.05,
    "own_capital_fraction_per_year": 0.08,
    "requests_in_month": 2.0 * 730 * 3600,
    "requests_per_s_per_replica": 4.0,
    "serving_speed_ratio": 1.0,
    "serving_gpus_per_replica": 2.0,
    "peak_to_mean_ratio": 3.0,
    "slo_throughput_fraction": 1.0,
    "max_load_fraction": 0.8,
    "minimum_replicas": 1.0,
    "train_gpus": 3.0,
    "adapters_sharing": 4.0,
    "adapter_slowdown_fraction": 0.0,
    "stored_gb_per_version": 16.0,
    "versions_kept": 1.0,
    "storage_usd_per_gb_month": 0.02,
    "serving_build_hours": 40.0,
    "engineer_usd_per_hour": 100.0,
}


@cache
def owned(per_day: float = 1e4, gpu: str = "", **values: float) -> Plan:
    known = with_own_hardware(shipped()).setting({"requests_per_day": per_day, **values})
    gpus = (gpu,) if gpu else ()
    return plan(
        Scenario(
            model="7b",
            assumptions=known,
            providers=("own",),
            no_api=True,
            gpus=gpus,
            as_of=date(2026, 11, 9),
            draws=64,
        )
    )


def line_usd(arm: Arm, name: str) -> float:
    return next(line.total_usd for line in arm.lines if line.name == name)


def test_a_month_of_bought_cards_by_hand() -> None:
    """2 requests a second, peak 6: 2 replicas of 2 cards; with 3 to train 7 cards, sold in fours: 8."""
    by_name = {line.name: line.quantity * line.unit_price_usd for line in owned_lines(HELD)}
    assert by_name["bought cards with their servers, written off"] == pytest.approx(8 * 42000 * 0.9 / 48)
    assert by_name["capital tied up in bought cards"] == pytest.approx(8 * 42000 * 0.08 * 0.55 / 12)
    assert by_name["repairs and support of bought cards"] == pytest.approx(8 * 42000 * 0.05 / 12)
    assert by_name["rack and connectivity"] == pytest.approx(8 * 73)
    assert by_name["power of cards held, idle"] == pytest.approx(8 * 1.47 * 0.2 * 730 * 0.1)
    # Half a replica's work: 365 hours of 2 cards, each 80 % of 1.47 kW beyond idle.
    assert by_name["power of serving, beyond idle"] == pytest.approx(730 * 1.47 * 0.8 * 0.1)
    alone = {line.name: line.quantity for line in owned_lines(HELD, trains=False)}
    assert alone["rack and connectivity"] == 4.0
    # Four tasks: peak 24 in all, 8 replicas of 2 cards and 3 to train are 19, sold in fours 20; a quarter each.
    shared = {line.name: line.quantity for line in owned_lines(HELD, serving="shared")}
    assert shared["rack and connectivity"] == 5.0


def test_months_of_cards_held_are_the_hours_of_the_price_table() -> None:
    """A card at work for half of all hours costs what ``own_usd_per_gpu_hour`` asks for these hours."""
    plain = {name.removeprefix("own_"): value for name, value in HELD.items() if name.startswith("own_")}
    del plain["gpus_sold_together"]
    hourly = own_usd_per_gpu_hour(utilisation_fraction=0.5, **plain)
    per_card = [line for line in owned_lines(HELD) if line.group == "serving"][:5]
    held = sum(line.quantity * line.unit_price_usd for line in per_card) / 8
    assert held + 365 * own_power_usd_per_gpu_hour(HELD) == pytest.approx(365 * hourly)


def test_idle_cards_cost_and_more_work_costs_power_alone() -> None:
    quiet, busy = owned(1e3).arm("self:lora"), owned(2e4).arm("self:lora")
    assert quiet.serving is not None
    assert busy.serving is not None
    assert quiet.serving.replicas == busy.serving.replicas == 2
    more = busy.groups_usd["serving"] - quiet.groups_usd["serving"]
    name = "power of serving, beyond idle"
    assert more == pytest.approx(line_usd(busy, name) - line_usd(quiet, name))
    assert 0 < more < 0.05 * quiet.groups_usd["serving"]


def test_one_pool_trains_and_serves_and_nobody_buys_more_for_an_hour() -> None:
    answer = owned()
    for arm in answer.arms:
        assert arm.serving is not None
        if arm.training:
            assert arm.training.gpu == arm.serving.gpu
    held = {arm.training.method: arm for arm in answer.arms if arm.training and arm.style == "tuned"}
    for option in answer.training_options:
        (cards,) = (line for line in held[option.method].lines if "written off" in line.name)
        assert option.gpus <= cards.quantity[1]
    h100 = owned(gpu="h100-80gb-sxm").arm("self:lora")
    (cards,) = (line for line in h100.lines if "written off" in line.name)
    assert cards.quantity[1] == 4.0, "two replicas and one to train are 3; boards have four"
    assert any(note.startswith("Bought: 4 x NVIDIA H100") for note in h100.notes)
    (price,) = (one for one in owned(gpu="h100-80gb-sxm").prices if one.unit == "USD/GPU")
    assert (price.what, price.usd) == ("NVIDIA H100 80GB SXM5, bought", 30000.0)
    assert any("paid at once" in text for text in answer.not_included)


def test_a_method_that_no_bought_card_both_trains_and_serves_is_said() -> None:
    """Alone on one card, full fine-tuning needs an MI300X, on which TensorRT-LLM does not run."""
    asked = replace(owned().scenario, gpus=("mi300x", "rtx-4090"), gpu_count=1, engine="tensorrt-llm")
    answer = plan(asked)
    assert {option.method for option in answer.training_options} == {"lora", "qlora"}
    (row,) = (row for row in answer.ruled_out if row.what == "full fine-tuning")
    assert "both trains so and serves" in row.reason


def test_what_hardware_costs_is_drawn_and_can_be_set() -> None:
    plain, short = owned().arm("self:lora"), owned(own_years=2.0).arm("self:lora")
    name = "bought cards with their servers, written off"
    assert line_usd(short, name) == pytest.approx(2 * line_usd(plain, name))
    moved = {one.name for one in owned().sensitivities}
    assert {"own_years", "own_residual_fraction"} <= moved
    assert not {"gpu_price_ratio", "gpu_price_change_fraction_per_year", "cloud_overhead_ratio"} & moved


def test_values_of_own_hardware_are_known_where_it_is_bought(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", "--model", "7b", "--draws", "100", "--set", "own_years=3")
    out, _, code = run(monkeypatch, capsys, *words, "--on-prem")
    assert (code, "written off over 3 years" in " ".join(out.split())) == (0, True)
    out, err, code = run(monkeypatch, capsys, *words)
    assert (out, code, "own_years" in err) == ("", 1, True)


def test_a_plan_without_a_run_says_so_and_draws_no_empty_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Full fine-tuning on one card needs an MI300X, on which TensorRT-LLM does not run."""
    words = ("--method", "full", "--gpus", "1", "--gpu", "mi300x", "--gpu", "rtx-4090", "--engine", "tensorrt-llm")
    out, _, code = run(monkeypatch, capsys, "plan", "--model", "7b", "--on-prem", "--draws", "100", *words)
    said = " ".join(out.split())
    assert code == 0
    assert "No training run of one's own is part of this plan." in said
    assert "tuning on bought hardware: no kind of card both trains and serves the model" in said
    assert "best at" not in said
