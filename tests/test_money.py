"""Cost lines, months and totals against cases worked out by hand, to the cent."""

from dataclasses import replace

import numpy as np
import pytest

from estimator.algebra import Cell
from estimator.assumptions import Assumption, shipped
from estimator.money import costs, lines, serving_costs, tuning_costs
from estimator.money.common_costs import TOKEN_PRICES
from estimator.money.ownership import ArmSpec, base_lines, month_column, totals, with_series
from estimator.money.retraining import least_cost_interval, retrain_cases
from estimator.money.series import requests_in_month, retrains_in_month

FIXED = {
    "requests_per_day": 1000.0,
    "input_tokens": 1000.0,
    "output_tokens": 100.0,
    "static_input_fraction": 0.5,
    "few_shot_tokens": 1500.0,
    "cache_hit_fraction": 0.6,
    "retry_ratio": 1.0,
    "monitoring_fraction": 0.0,
    "horizon_months": 2.0,
    "api_migrations_per_year": 1.0,
    "prompt_engineering_hours": 10.0,
    "engineer_usd_per_hour": 100.0,
    "api_ops_hours_per_month": 1.0,
    "evaluation_rows": 100.0,
    "evaluation_runs": 2.0,
    "review_usd_per_row": 1.0,
}
PRICES = {
    "input_price": 2.0,
    "cached_input_price": 0.2,
    "cache_write_price": 2.5,
    "output_price": 10.0,
    "batch_input_price": 1.0,
    "batch_cached_input_price": 0.1,
    "batch_cache_write_price": 1.25,
    "batch_output_price": 5.0,
}


def parameter(name: str, value: float) -> Assumption:
    return Assumption(
        name=name,
        label=name,
        base=value,
        low=value,
        high=value,
        unit="",
        status="user",
        source="test",
        checked="2026-11-21",
    )


def arm(lines: object, prices: dict[str, float]) -> ArmSpec:
    return ArmSpec(
        id="test",
        label="test",
        kind="api",
        style="test",
        other_lines=lines,  # type: ignore[arg-type]
        parameters=tuple(parameter(name, value) for name, value in prices.items()),
    )


def self_hosted(x: lines.Parameters) -> list[lines.Line]:
    return [*costs.tuned_lines(x), *serving_costs.self_serving_lines(x), *costs.released_lines(x)]


def prompting(x: lines.Parameters, *, style: str) -> list[lines.Line]:
    return [*costs.prompting_lines(x), *costs.calling_lines(x, style=style)]


def few_shot(x: lines.Parameters) -> list[lines.Line]:
    return prompting(x, style="few-shot")


def test_a_few_shot_api_costs_to_the_cent_what_a_hand_computes() -> None:
    # Per request: 2,000 static tokens, 60 % read at $0.20 and 40 % written at $2.50; 500 dynamic at $2;
    # 100 out at $10 a million: 0.00024 + 0.002 + 0.001 + 0.001 = $0.00424. 1,000 a day x 730/24 days.
    per_month = 1000 * 730 / 24 * 0.00424
    once = 10 * 100 + 100 * 2 * 1.0
    # Logs: 1,100 tokens x 4 bytes a request, those of one month, then of two, at $0.023 a GB-month.
    logs = (1 + 2) * 1000 * 730 / 24 * 1100 * 4 / 1e9 * 0.023
    expected = once + 2 * (per_month + 100.0) + logs
    values = dict(shipped().setting(FIXED))
    spec = arm(few_shot, PRICES)
    shared = with_series(values, month_column(2.0))
    got = totals(spec=spec, shared=shared, own=PRICES)
    assert float(got.usd[0]) == pytest.approx(expected, abs=0.005)
    assert sum(line.total_usd for line in base_lines(spec=spec, values=values)) == pytest.approx(
        expected, abs=0.005
    )


def test_an_announced_price_counts_from_its_day_until_a_move() -> None:
    """Prices double in the middle of month 2; the model is left behind after month 3."""
    values = {**shipped().setting({**FIXED, "horizon_months": 4.0, "api_migrations_per_year": 4.0}), **PRICES}
    later = {f"change_1_{name}": 2.0 * PRICES[name] for name in TOKEN_PRICES}
    x = with_series({**values, **later, "change_1_after_months": 1.5}, month_column(4.0))
    lines = costs.calling_lines(x, style="zero-shot", price_changes=1)
    plain = costs.calling_lines(x, style="zero-shot")
    times = [np.ravel(a.unit_price_usd / b.unit_price_usd).tolist() for a, b in zip(lines, plain, strict=True)]
    assert np.array(times) == pytest.approx(np.array([[1.0, 1.5, 2.0, 1.0]] * 4))
    # A model that stops in the middle of month 2 is another one from month 3 on.
    ended = {**x, "retired_after_months": 1.5}
    lines = costs.calling_lines(ended, style="zero-shot", price_changes=1)
    times = [np.ravel(a.unit_price_usd / b.unit_price_usd).tolist() for a, b in zip(lines, plain, strict=True)]
    assert np.array(times) == pytest.approx(np.array([[1.0, 1.5, 1.0, 1.0]] * 4))


def test_a_short_prompt_is_not_cached() -> None:
    values = {**shipped().setting(FIXED), "month": 1.0, "requests_in_month": 1e6, "api_price_factor": 1.0}
    values |= {"log_months_kept": 1.0}
    values |= {"api_moves_in_month": 0.0, **PRICES}
    by_name = {line.name: line for line in costs.calling_lines(values, style="zero-shot")}
    assert by_name["input tokens read from the prompt cache"].quantity == 0.0
    assert by_name["input tokens"].quantity == pytest.approx(1000.0)


def test_replicas_are_whole_and_never_below_the_floor() -> None:
    x = {
        "requests_in_month": np.array([0.0, 730 * 3600 * 1.0, 730 * 3600 * 10.0]),
        "requests_per_s_per_replica": 2.0,
        "serving_speed_ratio": 1.0,
        "slo_throughput_fraction": 1.0,
        "max_load_fraction": 0.5,
        "peak_to_mean_ratio": 3.0,
        "minimum_replicas": 2.0,
    }
    assert serving_costs.replicas(x).tolist() == [2.0, 3.0, 30.0]


@pytest.mark.parametrize(
    ("every", "horizon", "expected"),
    [(4.0, 12.0, 2), (3.0, 12.0, 3), (12.0, 12.0, 0), (0.25, 2.0, 4), (5.0, 12.0, 2)],
)
def test_retrains_by_schedule_leave_out_the_last_month(every: float, horizon: float, expected: int) -> None:
    months = np.arange(1.0, horizon + 1.0)
    x = {"month": months, "retrain_every_months": every, "horizon_months": horizon}
    assert retrains_in_month(x).sum() == expected


def test_traffic_grows_from_the_second_month_on() -> None:
    x = {"month": np.array([1.0, 13.0]), "requests_per_day": 24.0, "traffic_growth_fraction_per_year": 0.5}
    assert requests_in_month(x) == pytest.approx([730.0, 1095.0])


def test_discounting_lowers_a_cost_that_lies_ahead_and_not_one_of_today() -> None:
    values = dict(shipped().setting({**FIXED, "discount_fraction_per_year": 0.21, "horizon_months": 6.0}))
    shared = with_series(values, month_column(6.0))
    later = arm(lambda x: [lines.monthly("serving", "a", "month", 1.0, 100.0)], {})
    today = arm(lambda x: [lines.once("data", "a", "once", 1.0, 100.0)], {})
    got = totals(spec=later, shared=shared, own={})
    assert float(got.npv_usd[0]) == pytest.approx(sum(100 * 1.21 ** (-m / 12) for m in range(1, 7)))
    assert float(totals(spec=today, shared=shared, own={}).npv_usd[0]) == 100.0


def test_one_array_pass_equals_many_single_passes() -> None:
    values = dict(shipped().setting(FIXED))
    spec = arm(few_shot, PRICES)
    volumes = np.array([[10.0, 1e3, 1e6]])
    together = totals(
        spec=spec, shared=with_series({**values, "requests_per_day": volumes}, month_column(2.0)), own=PRICES
    ).usd
    alone = [
        float(
            totals(
                spec=spec,
                shared=with_series({**values, "requests_per_day": float(v)}, month_column(2.0)),
                own=PRICES,
            ).usd[0]
        )
        for v in volumes[0]
    ]
    assert together == pytest.approx(alone)


def test_more_tokens_are_never_cheaper() -> None:
    values = dict(shipped().setting(FIXED))
    tokens = np.linspace(1.0, 5000.0, 50)[None, :]
    for name in ("input_tokens", "output_tokens", "requests_per_day"):
        shared = with_series({**values, name: tokens}, month_column(2.0))
        usd = totals(spec=arm(few_shot, PRICES), shared=shared, own=PRICES).usd
        assert np.all(np.diff(usd) > 0), name


def test_the_text_of_a_formula_computes_what_the_numbers_give() -> None:
    names = {
        "rows": 10.0,
        "label_usd_per_row": 2.0,
        "label_reject_fraction": 0.25,
        "pilot_rows": 4.0,
        "evaluation_rows": 5.0,
        "review_usd_per_row": 1.5,
        "cleanup_usd": 7.0,
        "tokens_per_row": 600.0,
        "text_bytes_per_token": 4.0,
        "new_rows_fraction_per_month": 0.1,
        "retrain_every_months": 2.0,
        "retrains_so_far": 3.0,
        "storage_usd_per_gb_month": 0.02,
    }
    cells = {name: Cell(name) for name in names}
    functions = {"MIN": min, "MAX": max}
    for number, text in zip(tuning_costs.data_lines(names), tuning_costs.data_lines(cells), strict=True):
        for value, cell in ((number.quantity, text.quantity), (number.unit_price_usd, text.unit_price_usd)):
            written = cell.text if isinstance(cell, Cell) else str(cell)
            assert eval(written, functions, dict(names)) == pytest.approx(value)


def test_rows_of_a_retrain_grow_with_time_and_an_incremental_one_replays_a_share() -> None:
    x = {
        "rows": 10_000.0,
        "new_rows_fraction_per_month": 0.05,
        "retrain_every_months": 4.0,
        "retrains_so_far": 2.0,
        "replay_fraction": 0.2,
    }
    assert tuning_costs.new_rows(x) == 2_000.0
    assert tuning_costs.retrain_rows(x, retraining="scratch") == 14_000.0
    assert tuning_costs.retrain_rows(x, retraining="incremental") == pytest.approx(2_500.0)
    most = tuning_costs.retrain_rows(x | {"replay_fraction": 0.99}, retraining="incremental")
    assert most == 14_000.0


def test_the_interval_that_costs_least_is_the_economic_order_quantity_where_that_holds() -> None:
    # A retrain costs $1,000 at any interval and quality $1M a month: m = sqrt(2 X / (a V)) with a = -ln(0.85) / 6.
    spec = replace(
        arm(lambda x: [lines.retrain("retrains", "run", "run", 1.0, 1000.0)], {}),
        kind="self-hosted",
        style="tuned",
    )
    fixed = {"horizon_months": 120.0, "contingency_fraction": 0.0, "quality_decay_fraction": 0.15}
    values = shipped().setting(fixed)
    found = least_cost_interval(values=values, specs=[spec], quality_value_usd_per_month=1e6)
    rate = -np.log(0.85) / 6
    assert found["retrain_every_months"] == pytest.approx(np.sqrt(2 * 1000 / (rate * 1e6)), rel=0.05)
    row = found.row("retrain_every_months")
    assert row.low <= row.base <= row.high
    assert row.status == "computed"


def test_retrain_cases_count_cost_and_lost_quality_by_hand() -> None:
    spec = arm(lambda x: [lines.retrain("retrains", "run", "run", 1.0, 1000.0)], {})
    values = dict(shipped().setting({"contingency_fraction": 0.1, "quality_decay_fraction": 0.15}))
    by_label = {
        case.label: case for case in retrain_cases(spec=spec, values=values, quality_value_usd_per_month=10_000.0)
    }
    planned = by_label["every 4 months, as planned"]
    assert (planned.retrains, planned.retrain_usd, planned.planned) == (2.0, pytest.approx(2200.0), True)
    assert planned.lowest_quality_fraction == pytest.approx(0.85 ** (4 / 6))
    rate = -np.log(0.85) / 6
    lost = 3 * (4 - (1 - np.exp(-4 * rate)) / rate)
    assert planned.quality_lost_usd == pytest.approx(lost * 10_000.0)
    assert by_label["every 12 months"].retrains == 0
    assert by_label["every 12 months"].lowest_quality_fraction == pytest.approx(0.85**2)


def test_weights_are_moved_only_between_providers() -> None:
    x = {"egress_usd_per_gb": 0.09, "moved_gb_per_release": 15.0}
    first, again = tuning_costs.released_weights_lines(x)
    assert (first.timing, first.quantity, first.unit_price_usd) == ("once", 15.0, 0.09)
    assert (again.timing, again.quantity) == ("retrain", 15.0)


@pytest.mark.parametrize(("after", "month"), [(0.5, 1), (1.0, 1), (1.01, 2), (5.99, 6), (12.0, 12)])
def test_a_model_that_stops_answering_is_left_once_in_the_month_of_its_end(after: float, month: int) -> None:
    months = np.arange(1.0, 13.0)
    moves = np.asarray(costs.forced_move({"month": months, "retired_after_months": after}))
    assert moves.sum() == 1.0
    assert moves[month - 1] == 1.0


def test_requests_that_may_wait_are_billed_at_batch_prices_cached_tokens_too() -> None:
    values = {**shipped().setting({**FIXED, "api_batch_fraction": 0.5}), "month": 1.0, "requests_in_month": 1e6}
    values |= {"api_moves_in_month": 0.0, "api_price_factor": 1.0, "log_months_kept": 1.0, **PRICES}
    by_name = {line.name: line for line in few_shot(values)}
    assert by_name["input tokens"].unit_price_usd == 1.5
    assert by_name["input tokens read from the prompt cache"].quantity == pytest.approx(1200.0)
    assert by_name["input tokens read from the prompt cache"].unit_price_usd == pytest.approx(0.15)
    assert by_name["input tokens written to the prompt cache"].unit_price_usd == pytest.approx(1.875)
    assert by_name["output tokens"].unit_price_usd == 7.5
