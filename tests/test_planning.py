"""Market, search, break-even and the whole plan: what must hold of any answer."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from estimator import Scenario, plan
from estimator.assumptions import shipped
from estimator.errors import InputError, NothingFitsError
from estimator.models import resolve_model
from estimator.money import lines
from estimator.money.breakeven import Volumes
from estimator.money.comparison import payback_month
from estimator.money.derived import with_judge, with_quality_floor, with_spot_prices, with_teacher
from estimator.money.ownership import month_column, totals, with_series
from estimator.result import GROUPS, Plan
from estimator.scenario import workload
from estimator.search.market import billed_gpus, market
from estimator.search.training import search
from pricing import api_model, newest_price_day
from tests.test_money import FIXED, PRICES, arm, few_shot, parameter, prompting

DAY = date(2026, 11, 9)


def scenario(**changes: object) -> Scenario:
    return Scenario(**({"model": "7b", "as_of": DAY} | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def answer() -> Plan:
    return plan(scenario())


def test_whole_instances_are_billed() -> None:
    assert billed_gpus(gpus=np.array([1.0, 8.0, 9.0]), instance_gpus=np.array(8.0)).tolist() == [8.0, 8.0, 16.0]


def test_a_quoted_price_replaces_every_other_of_its_card_and_leaves_the_rest() -> None:
    quoted = market(scenario=scenario(gpu_prices=(("h100", 0.5),), providers=("lambda",)))
    mine = [offer for offer in quoted.offers if offer.gpu == "h100-80gb-sxm"]
    assert [(offer.provider, offer.on_demand_usd_per_gpu_hour) for offer in mine] == [("quoted", 0.5)]
    assert {offer.provider for offer in quoted.offers} == {"quoted", "lambda"}
    with pytest.raises(InputError, match="given twice"):
        market(scenario=scenario(gpu_prices=(("h100", 0.5), ("h100-80gb-sxm", 0.6))))
    cheap = plan(scenario(gpu_prices=(("h100", 0.5),))).training_options[0]
    assert (cheap.gpu, cheap.provider, cheap.price_status) == ("h100-80gb-sxm", "quoted", "user")


def test_a_quoted_price_is_firm_unless_it_comes_with_a_range() -> None:
    """What is paid over a listed price, and the market's change, do not touch what the user was quoted."""
    firm = plan(scenario(gpus=("h100",), gpu_prices=(("h100", 2.0),)))
    rows = {row.name: row for row in firm.arm("self:lora").parameters}
    assert (rows["serving_price_listed"].base, rows["serving_usd_per_gpu_hour"].shape) == (0.0, "fixed")
    assert not {"gpu_price_ratio", "gpu_price_change_fraction_per_year"} & {one.name for one in firm.sensitivities}
    wide = plan(scenario(gpus=("h100",), gpu_prices=(("h100", 2.0),), gpu_price_ranges=(("h100", 1.5, 3.0),)))
    swing = next(one for one in wide.sensitivities if one.name == "serving_usd_per_gpu_hour")
    # 2 replicas and 0.1 for staging x 8,760 h x 1.35 of surroundings, from $1.50 to $3.00.
    assert swing.swing_usd == pytest.approx(2.1 * 8760 * 1.35 * 1.5)
    run = wide.training_options[0].usd
    assert firm.training_options[0].usd.base == run.base
    assert run.p90 / run.p10 > firm.training_options[0].usd.p90 / firm.training_options[0].usd.p10
    listed = plan(scenario(draws=64))
    assert "gpu_price_ratio" in {one.name for one in listed.sensitivities}


def test_the_cheapest_way_to_rent_counts_idle_cards() -> None:
    offers = market(scenario=scenario(gpus=("a100-40gb-sxm",), providers=("aws",), regions=("us-east-1",)))
    one, eight = offers.cheapest([1, 8])[0][0]
    assert one == eight, "a p4d instance has eight cards, whether one is used or all"


def test_marketplaces_and_cards_without_bf16_count_only_when_asked() -> None:
    plain = market(scenario=scenario())
    assert {offer.kind for offer in plain.offers} == {"hyperscaler", "gpu-cloud"}
    assert not any(offer.gpu.startswith(("t4", "v100")) for offer in plain.offers)
    assert any(offer.kind == "marketplace" for offer in market(scenario=scenario(marketplaces=True)).offers)
    assert {offer.gpu for offer in market(scenario=scenario(gpus=("t4",))).offers} == {"t4"}


def test_a_stack_is_not_planned_on_cards_it_does_not_run_on() -> None:
    with pytest.raises(NothingFitsError, match="hf does not run on tpu-v5e"):
        market(scenario=scenario(gpus=("tpu-v5e",)))


def found_by(**changes: object):  # type: ignore[no-untyped-def]
    asked = scenario(**changes)
    return search(
        scenario=asked,
        architecture=resolve_model(asked.model).architecture,
        workload=workload(scenario=asked),
        market=market(scenario=asked),
    )


def test_options_fit_and_are_what_their_roles_say() -> None:
    found = found_by()
    for method in ("full", "lora", "qlora"):
        mine = {role: option for option in found.options if option.method == method for role in option.roles}
        assert set(mine) == {"cheapest", "fastest", "smallest"}
        assert mine["cheapest"].usd.base <= min(option.usd.base for option in mine.values())
        assert mine["fastest"].hours.base <= 1.1 * min(option.hours.base for option in mine.values())
        assert mine["smallest"].gpus == min(option.gpus for option in mine.values())
    for option in found.options:
        assert option.fits == "yes"
        assert option.device_bytes <= option.limit_bytes
        assert sum(option.memory_parts_bytes.values()) == pytest.approx(option.allocated_bytes)
        assert sum(option.step_parts_s.values()) == pytest.approx(option.step_s)
        assert option.hours.p10 <= option.hours.p50 <= option.hours.p90
        assert option.usd.p10 <= option.usd.p50 <= option.usd.p90
        assert option.micro_batch * option.gpus <= 32


def test_a_budget_and_a_deadline_are_kept() -> None:
    hurried = found_by(deadline_hours=1.0)
    assert all(option.hours.base <= 1.0 for option in hurried.options)
    thrifty = found_by(budget_usd=3.0)
    assert all(option.usd.base <= 3.0 for option in thrifty.options)


def test_the_search_is_vectorised_over_what_single_runs_give(answer: Plan) -> None:
    for option in answer.training_options:
        alone = found_by(
            gpus=(option.gpu,),
            providers=(option.provider,),
            gpu_count=option.gpus,
            methods=(option.method,),
            micro_batch=option.micro_batch,
            recompute=option.recompute,
        )
        assert alone.options[0].usd.base <= option.usd.base * (1 + 1e-9)


def test_sharded_full_fine_tuning_is_planned_with_fp32_weights() -> None:
    options = found_by(methods=("full",), gpu_count=8, sharding="fsdp").options
    assert options
    for option in options:
        parts = option.memory_parts_bytes
        per_parameter = (parts["weights"] + parts["moments"]) * 8 / option.trainable_parameters
        assert per_parameter == pytest.approx(4 + 8)


def test_totals_are_sums_of_lines_and_ranges_are_ordered(answer: Plan) -> None:
    assert len(answer.arms) >= 12
    for one in answer.arms:
        total = sum(line.total_usd for line in one.lines)
        assert one.total_usd.base == pytest.approx(total)
        assert sum(one.monthly_usd) == pytest.approx(total)
        assert sum(one.groups_usd.values()) == pytest.approx(total)
        assert {line.group for line in one.lines} <= set(GROUPS)
        assert one.total_usd.p10 <= one.total_usd.p50 <= one.total_usd.p90
        assert one.npv_usd.base < one.total_usd.base
        for line in one.lines:
            assert line.total_usd == pytest.approx(np.dot(line.quantity, line.unit_price_usd))
    assert sum(one.probability_cheapest for one in answer.arms) == pytest.approx(1.0)


def test_the_verdict_names_the_cheapest_arm(answer: Plan) -> None:
    cheapest = min(answer.arms, key=lambda one: one.total_usd.base)
    assert answer.verdict.arm == cheapest.id
    assert cheapest.label in answer.verdict.headline


def test_tuning_wins_at_high_volume_and_prompting_at_low_volume() -> None:
    busy = plan(
        scenario(
            assumptions=shipped().setting({"requests_per_day": 2e6}), baselines=("mistral/mistral-medium-3-5",)
        )
    )
    quiet = plan(
        scenario(
            assumptions=shipped().setting({"requests_per_day": 100.0}), baselines=("mistral/mistral-medium-3-5",)
        )
    )
    assert busy.arm(busy.verdict.arm).kind in ("self-hosted", "ready-made", "hosted")
    assert quiet.arm(quiet.verdict.arm).kind == "api"


def test_break_even_is_where_the_two_costs_meet(answer: Plan) -> None:
    counted = ("tuned",)
    for meeting in answer.break_evens[::4]:
        assert meeting.lowest_per_day is not None
        at = plan(scenario(assumptions=shipped().setting({"requests_per_day": meeting.lowest_per_day})))
        tuned = min(one.total_usd.base for one in at.arms if one.style in counted)
        assert at.arm(meeting.rival).total_usd.base == pytest.approx(tuned, rel=0.03)
        again = next(one for one in at.break_evens if one.rival == meeting.rival)
        assert again.lowest_per_day == pytest.approx(meeting.lowest_per_day, rel=0.1)


def test_a_break_even_with_a_closed_form_is_found() -> None:
    # A fixed cost of $3,000 against $0.00424 a request over two months: 3000 / (0.00424 x 2 x 730/24) a day.
    values = shipped().setting(FIXED)
    fixed = arm(lambda x: [lines.once("data", "fixed", "once", 1.0, 3000.0 + 1400.0)], {})
    volumes = Volumes(rows=values.rows, seed=0)
    got = volumes.break_even(tuned=volumes.curve([fixed]), rival=volumes.lines([arm(few_shot, PRICES)])[0])
    assert got.lowest_per_day == pytest.approx(3000 / (0.00424 * 2 * 730 / 24), rel=0.005)
    assert got.always_above_per_day == got.lowest_per_day
    assert got.crossings_per_day == (got.lowest_per_day,)


def test_the_spread_of_a_break_even_is_that_of_what_decides_it() -> None:
    """A fixed cost drawn between $3,000 (P10) and $12,000 (P90), as above: each draw crosses in proportion."""
    values = shipped().setting({**FIXED, "traffic_growth_fraction_per_year": 0.0})
    drawn = replace(parameter("fixed_usd", 6000.0), low=3000.0, high=12000.0, shape="lognormal")
    once = arm(lambda x: [lines.once("data", "fixed", "once", 1.0, x["fixed_usd"] + 1400.0)], {})
    volumes = Volumes(rows=values.rows, seed=0)
    tuned = volumes.curve([replace(once, parameters=(drawn,))])
    got = volumes.break_even(tuned=tuned, rival=volumes.lines([arm(few_shot, PRICES)])[0])
    slope = 0.00424 * 2 * 730 / 24
    for volume, usd in ((got.low_per_day, 3000), (got.median_per_day, 6000), (got.high_per_day, 12000)):
        assert volume == pytest.approx(usd / slope, rel=0.005)


@pytest.mark.parametrize("style", ["zero-shot", "few-shot", "retrieval", "split"])
def test_an_api_costs_a_straight_line_in_volume(style: str) -> None:
    volumes = Volumes(rows=shipped().rows, seed=0)
    spec = arm(lambda x: prompting(x, style=style), PRICES)
    (line,), curve = volumes.lines([spec]), volumes.curve([spec])
    assert line.usd == pytest.approx(curve.usd, rel=1e-9)
    assert line.drawn_usd == pytest.approx(curve.drawn_usd, rel=1e-9)


def test_payback_is_the_first_month_in_which_the_sums_meet(answer: Plan) -> None:
    tuned, rival = answer.arm(answer.best_tuned), answer.arm(answer.best_rival)
    early = replace(tuned, monthly_usd=(100.0, 10.0, 10.0, 10.0))
    late = replace(rival, monthly_usd=(10.0, 50.0, 60.0, 60.0))
    assert payback_month(tuned=early, rival=late) == 2
    assert payback_month(tuned=early, rival=replace(rival, monthly_usd=(0.0, 1.0, 1.0, 1.0))) is None


def test_regret_is_least_where_the_mean_cost_is(answer: Plan) -> None:
    assert min(one.expected_regret_usd for one in answer.arms) >= 0
    sure = [one for one in answer.arms if one.probability_cheapest == 1.0]
    assert all(one.expected_regret_usd == 0 for one in sure)
    never = [one for one in answer.arms if one.probability_cheapest == 0.0]
    assert all(one.expected_regret_usd > 0 for one in never)


def test_a_value_of_quality_sets_the_interval_and_a_set_interval_stays() -> None:
    worth = 50_000.0
    chosen = plan(scenario(quality_value_usd_per_month=worth))
    row = chosen.scenario.assumptions.row("retrain_every_months")
    assert row.status == "computed"
    cases = {case.planned: case for case in chosen.retraining}
    together = [case.retrain_usd + (case.quality_lost_usd or 0) for case in chosen.retraining]
    assert cases[True].retrain_usd + (cases[True].quality_lost_usd or 0) == pytest.approx(min(together))
    mine = shipped().setting({"retrain_every_months": 5.0})
    kept = plan(scenario(assumptions=mine, quality_value_usd_per_month=worth))
    assert kept.scenario.assumptions["retrain_every_months"] == 5.0


def test_never_is_said_where_tuning_costs_more_per_request() -> None:
    values = shipped().setting(FIXED)
    dear = {name: 2 * price for name, price in PRICES.items()}
    volumes = Volumes(rows=values.rows, seed=0)
    got = volumes.break_even(
        tuned=volumes.curve([arm(few_shot, dear)]), rival=volumes.curve([arm(few_shot, PRICES)])
    )
    assert (got.lowest_per_day, got.always_above_per_day, got.never_probability) == (None, None, 1.0)


def test_the_same_question_gets_the_same_answer(answer: Plan) -> None:
    assert plan(scenario()) == answer
    assert plan(scenario(seed=1)).scenario_hash != answer.scenario_hash


def test_months_without_a_whole_number_are_refused() -> None:
    with pytest.raises(InputError, match="nearest is 12"):
        scenario(assumptions=shipped().setting({"horizon_months": 12.4}))


def test_sequences_stay_within_the_model_s_positions() -> None:
    short = plan(scenario(model="gpt2"))
    row = short.scenario.assumptions.row("seq_len")
    assert (row.base, row.status) == (1024.0, "computed")
    assert short.workload.mean_seq_len == 1024.0
    with pytest.raises(InputError, match="exceeds the 1,024 positions"):
        plan(scenario(model="gpt2", assumptions=shipped().setting({"seq_len": 4096.0})))


def test_rows_longer_than_a_sequence_are_cut_and_said_so() -> None:
    cut = plan(scenario(assumptions=shipped().setting({"tokens_per_row": 5000.0})))
    assert cut.workload.tokens_per_row == 2048
    assert "truncated" in {one.rule for one in cut.advice}


def test_without_packing_more_is_processed_than_is_useful() -> None:
    packed, padded = (workload(scenario=scenario(packing=packing)) for packing in (True, False))
    assert packed.useful_tokens == padded.useful_tokens == 18e6
    assert padded.processed_tokens == pytest.approx(27e6)
    assert packed.processed_tokens == pytest.approx(18e6 / 0.95)


def test_the_plan_s_day_is_that_of_the_newest_price() -> None:
    assert newest_price_day() >= DAY


def test_contingency_raises_every_arm_alike() -> None:
    plain, careful = (
        totals(
            spec=arm(few_shot, PRICES),
            shared=with_series(
                dict(shipped().setting({**FIXED, "contingency_fraction": share})), month_column(2.0)
            ),
            own=PRICES,
        ).usd[0]
        for share in (0.0, 0.1)
    )
    assert careful == pytest.approx(1.1 * plain)


def test_bought_cards_do_not_sleep_for_free() -> None:
    owned = plan(scenario(providers=("own",), no_api=True))
    assert not any(arm.style == "tuned, scale-to-zero" for arm in owned.arms)
    assert any(arm.style == "tuned" for arm in owned.arms)


def test_without_apis_nothing_leaves_the_house() -> None:
    private = plan(scenario(no_api=True))
    assert {one.kind for one in private.arms} <= {"self-hosted", "ready-made"}
    assert any("--no-api" in row.reason for row in private.ruled_out)
    assert private.break_evens == ()


def test_a_latency_limit_never_makes_serving_cheaper(answer: Plan) -> None:
    swift = plan(scenario(latency_ms=15.0))
    assert swift.serving_options[0].time_per_output_token_s <= 0.0151
    assert swift.arm("self:lora").total_usd.base >= answer.arm("self:lora").total_usd.base
    with pytest.raises(NothingFitsError, match="latency limits"):
        plan(scenario(latency_ms=0.001, no_api=True))


def test_a_licence_that_forbids_commerce_is_refused_with_others_of_the_size() -> None:
    with pytest.raises(NothingFitsError, match="does not allow commercial use"):
        plan(scenario(model="command-r", commercial=True))


def test_a_quality_floor_sets_the_interval_and_a_teacher_the_price_of_a_row() -> None:
    floored = with_quality_floor(shipped(), floor=0.85)
    assert floored["retrain_every_months"] == pytest.approx(6.0)
    taught = with_teacher(shipped(), reference="openai/gpt-6-luna", as_of=DAY)
    # 198 answer tokens at $0.50 and 1,902 others at $0.10 a million; a quarter is thrown away and written again.
    assert taught["label_usd_per_row"] == pytest.approx((198 * 0.5 + 1902 * 0.1) / 1e6)
    assert taught["label_reject_fraction"] == shipped()["teacher_rejected_fraction"] == 0.25
    mine = with_teacher(
        shipped().setting({"label_reject_fraction": 0.1}), reference="openai/gpt-6-luna", as_of=DAY
    )
    assert mine["label_reject_fraction"] == 0.1


def test_facts_that_are_taught_are_taught_again_when_they_change() -> None:
    weekly = plan(scenario(goal="facts", data_changes_every_days=7.0))
    assert weekly.scenario.assumptions["retrain_every_months"] == pytest.approx(7 / (730 / 24))
    assert weekly.arm(weekly.verdict.arm).style == "retrieval"
    mine = shipped().setting({"retrain_every_months": 6.0})
    kept = plan(scenario(goal="facts", data_changes_every_days=7.0, assumptions=mine))
    assert kept.scenario.assumptions["retrain_every_months"] == 6.0
    form = plan(scenario(goal="form", data_changes_every_days=7.0))
    assert form.scenario.assumptions["retrain_every_months"] == 4.0


def test_spot_prices_widen_the_range_of_gpu_prices_unless_it_is_set() -> None:
    plain, wide = shipped().row("gpu_price_ratio"), with_spot_prices(shipped()).row("gpu_price_ratio")
    assert wide.low < plain.low < plain.base == wide.base < plain.high < wide.high
    assert np.log(wide.high) ** 2 == pytest.approx(np.log(plain.high) ** 2 + np.log(1.6) ** 2)
    moved = with_spot_prices(shipped().setting({"spot_price_ratio": 0.5})).row("gpu_price_ratio")
    assert (moved.low, moved.base, moved.high) == pytest.approx((0.5 * plain.low, 0.5, 0.5 * plain.high))
    mine = shipped().setting({"gpu_price_ratio": 1.2})
    assert with_spot_prices(mine) is mine


def test_an_announced_rise_is_in_the_months_after_its_day_and_said() -> None:
    """gemini-4-argon doubles on 2026-12-01: 22 days after the plan's day, 0.7233 of a month."""
    arm = plan(scenario(baselines=("google/gemini-4-argon",), draws=16)).arm("api:google/gemini-4-argon:zero-shot")
    paid = next(line for line in arm.lines if line.name == "output tokens").unit_price_usd
    assert paid[1:4] == pytest.approx((10 * (2 - 22 / (730 / 24)), 20.0, 20.0))
    assert any("from 2026-12-01 a million tokens of input cost $4 and of output $20" in one for one in arm.notes)


def test_an_api_arm_takes_the_tier_of_its_length_and_the_minimum_of_its_provider() -> None:
    def priced(style: str, **settings: float) -> dict[str, float]:
        asked = scenario(assumptions=shipped().setting(settings), baselines=("openai/gpt-5.6-sol",))
        arms = {one.id: one for one in plan(asked).arms}
        return {row.name: row.base for row in arms[f"api:openai/gpt-5.6-sol:{style}"].parameters}

    model = api_model("openai/gpt-5.6-sol", as_of=DAY)
    assert model.long_input_from_tokens == 272_000
    long = priced("retrieval", context_tokens=300_000.0)
    assert long["input_price"] == model.long_input_usd_per_million_tokens
    assert long["output_price"] == model.long_output_usd_per_million_tokens
    short = priced("zero-shot", context_tokens=300_000.0)
    assert short["input_price"] == model.input_usd_per_million_tokens
    assert short["cache_minimum_tokens"] == model.cache_minimum_tokens == 1024
    assert "cache_minimum_tokens" not in priced("zero-shot", cache_minimum_tokens=64.0)


def test_a_judge_sets_the_price_of_a_judged_request() -> None:
    row = with_judge(shipped(), reference="openai/gpt-6-luna", as_of=DAY).row("judge_usd_per_request")
    # 800 tokens of the request and 1,500 of the rubric at $0.10, 150 written at $0.50 a million.
    assert row.base == pytest.approx((2300 * 0.1 + 150 * 0.5) / 1e6)
    assert row.low < row.base < row.high


def test_a_baseline_that_retires_inside_the_horizon_costs_one_move_more() -> None:
    ending = plan(scenario(baselines=("openai/gpt-4o",)))
    arm_of = ending.arm("api:openai/gpt-4o:zero-shot")
    moves = next(line for line in arm_of.lines if line.name == "moves to a newer API model")
    assert sum(moves.quantity) == ending.scenario.assumptions["migration_hours"]
    assert moves.quantity[3] > 0, "2027-01-13 lies in the third month after 2026-11-09"
    assert any("a move to another model is certain" in note for note in arm_of.notes)


def test_advice_follows_the_task_and_the_goal() -> None:
    told = plan(scenario(task="classification", classes=100, goal="facts", data_changes_every_days=1.0))
    fired = {one.rule for one in told.advice}
    assert {"task-lacks-rows", "facts", "changing-facts"} <= fired
    assert "task-has-rows" not in fired


def test_serving_modes_differ_only_in_serving(answer: Plan) -> None:
    dedicated, shared, idle = (answer.arm(f"self:lora{mode}") for mode in ("", ":shared", ":scale-to-zero"))
    for other in (shared, idle):
        for group in ("data", "pilot", "training", "retrains", "people"):
            assert other.groups_usd[group] == pytest.approx(dedicated.groups_usd[group])
        assert other.groups_usd["serving"] < dedicated.groups_usd["serving"]


def test_a_prompt_longer_than_an_api_s_window_is_ruled_out() -> None:
    long = plan(
        scenario(
            assumptions=shipped().setting({"context_tokens": 400_000.0}),
            baselines=("openai/gpt-4.1-mini", "groq/openai/gpt-oss-20b"),
        )
    )
    assert "api:groq/openai/gpt-oss-20b:retrieval" not in {one.id for one in long.arms}
    assert any("gpt-oss-20b, retrieval" in row.what and "exceeds" in row.reason for row in long.ruled_out)
