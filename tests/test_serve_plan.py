"""``ftcost serve-plan`` as a whole: against simulations of engine and autoscaler, and what must never be."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.accelerators import cpus
from estimator.assumptions import shipped
from estimator.errors import NothingFitsError
from estimator.models import resolve_model
from estimator.numbers import Array
from estimator.scenario import Scenario
from estimator.search.fleet import ways
from estimator.search.market import market
from estimator.search.pool import ServingChoice
from estimator.search.replicas import ReplicaTypes
from estimator.serving import ServingSetup, StepTimes, day_night_profile, responses, serving
from estimator.serving.kv_cache import largest_batch, parameter_split
from estimator.serving.roofline import prefill_attention_flop
from pricing import newest_price_day
from reports.commands.serve import ServeAnswer, serve_answer
from tests.test_cli import run

SECONDS_PER_MONTH = 730 * 3600.0


def asked(*, values: dict[str, float] | None = None, **changes: Any) -> Scenario:
    gpus = changes.pop("gpus", ("l40s", "h100-80gb-sxm"))
    return Scenario(
        model="8b",
        assumptions=shipped().setting(values or {}),
        gpus=gpus,
        as_of=newest_price_day(),
        **changes,
    )


def choices(scenario: Scenario) -> tuple[ServingChoice, ...]:
    types = ReplicaTypes(
        architecture=resolve_model(scenario.model).architecture,
        scenario=scenario,
        market=market(scenario=scenario),
        input_tokens=scenario.assumptions["input_tokens"],
    )
    return types.by_gpu(requests_per_day=scenario.assumptions["requests_per_day"])


def answered(scenario: Scenario, **more: Any) -> ServeAnswer:
    return serve_answer(scenario=scenario, architecture=resolve_model(scenario.model).architecture, **more)


# Against simulations


def simulated_ttft_s(*, requests_per_s: float, times: StepTimes, requests: int) -> Array:
    """Times to the first token of an engine that steps: prompts ride in the next step, answers hold a slot."""
    draws = np.random.default_rng(7)
    arrivals = np.cumsum(draws.exponential(1.0 / requests_per_s, requests))
    tokens = draws.geometric(1.0 / times.output_tokens, requests)
    sigma = np.sqrt(np.log(1.0 + times.input_tokens_cv**2))
    prompts = times.prefill_s * draws.lognormal(-(sigma**2) / 2.0, sigma, requests)
    slope = (times.full_decode_s - times.alone_decode_s) / max(times.batch - 1.0, 1.0)
    clock, following, found = 0.0, 0, np.zeros(requests)
    left: list[int] = []
    while following < requests or left:
        if not left and following < requests:
            clock = max(clock, arrivals[following])
        first = following
        while (
            following < requests and len(left) + following - first < times.batch and arrivals[following] <= clock
        ):
            following += 1
        joined = range(first, following)
        clock += (
            times.alone_decode_s + slope * max(len(left) + len(joined) - 1, 0) + prompts[first:following].sum()
        )
        found[first:following] = clock - arrivals[first:following]
        left = [count - 1 for count in [*left, *(int(tokens[i]) for i in joined)] if count > 1]
    return found


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_first_tokens_agree_with_a_simulation_of_the_chosen_replica(load: float) -> None:
    choice = choices(asked(gpus=("l40s",)))[0]
    rate = load * choice.option.requests_per_s_per_replica
    estimate = responses(requests_per_s=rate, times=choice.times)
    found = simulated_ttft_s(requests_per_s=rate, times=choice.times, requests=12_000)[2_000:]
    assert estimate.load_fraction == pytest.approx(load, rel=1e-6)
    assert estimate.ttft_mean_s == pytest.approx(found.mean(), rel=0.10)
    assert estimate.ttft_p95_s == pytest.approx(np.quantile(found, 0.95), rel=0.15)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_waiting_for_one_of_few_slots_agrees_with_a_simulation(load: float) -> None:
    choice = choices(asked(gpus=("l40s",), latency_ms=15.0))[0]
    assert choice.option.batch < 20
    rate = load * choice.option.requests_per_s_per_replica
    estimate = responses(requests_per_s=rate, times=choice.times)
    found = simulated_ttft_s(requests_per_s=rate, times=choice.times, requests=20_000)[2_000:]
    assert 0.9 * found.mean() < estimate.ttft_mean_s < 1.3 * found.mean()
    assert 0.85 < estimate.ttft_p95_s / np.quantile(found, 0.95) < 1.3


def test_the_limit_on_the_first_token_is_kept_by_the_replicas_chosen_and_not_by_fewer() -> None:
    limit_ms = 150.0
    scenario = asked(gpus=("l40s",), values={"requests_per_day": 2e6}, ttft_ms=limit_ms)
    choice = choices(scenario)[0]
    option = choice.option
    assert option.binding == "first token"
    assert 1e3 * option.ttft_p95_s <= limit_ms
    peak = 2e6 / 86_400 * scenario.assumptions["peak_to_mean_ratio"]
    fewer = responses(requests_per_s=peak / (option.replicas - 1), times=choice.times)
    assert 1e3 * fewer.ttft_p95_s > limit_ms
    found = simulated_ttft_s(requests_per_s=peak / option.replicas, times=choice.times, requests=12_000)[2_000:]
    assert 1e3 * np.quantile(found, 0.95) < 1.15 * limit_ms


def test_hours_paid_agree_with_a_simulated_autoscaler() -> None:
    """A month of arrivals minute by minute: replicas for each hour's requests, each start paid."""
    scenario = asked(gpus=("l40s",), values={"requests_per_day": 3e6})
    choice, values = choices(scenario)[0], scenario.assumptions
    curve = day_night_profile(peak_to_mean=values["peak_to_mean_ratio"])
    followed = ways(choice=choice, values=values, load=curve, requests_per_day=3e6)[1]
    draws = np.random.default_rng(3)
    usable = choice.planned_requests_per_s * values["slo_throughput_fraction"] * values["max_load_fraction"]
    held, paid = values["minimum_replicas"], 0.0
    for hour in range(24 * 30):
        arrivals = draws.poisson(curve[hour % 24] * 3e6 / 24.0)
        wanted = max(values["minimum_replicas"], np.ceil(arrivals / 3600.0 / usable))
        paid += wanted + max(wanted - held, 0.0) * choice.option.start_up_s / 3600.0
        held = wanted
    assert followed.gpu_hours_paid == pytest.approx(paid / 30.0 / 24.0 * 730.0, rel=0.02)
    work = 3e6 * 30.0 / (choice.option.requests_per_s_per_replica * 3600.0)
    assert followed.gpu_hours_used == pytest.approx(work / 30.0 / 24.0 * 730.0, rel=1e-6)
    assert followed.replicas_low < followed.replicas_high == choice.option.replicas


def test_scale_to_zero_agrees_with_simulated_arrivals() -> None:
    scenario = asked(gpus=("l40s",), values={"requests_per_day": 100.0, "keep_alive_hours": 0.1})
    choice, values = choices(scenario)[0], scenario.assumptions
    curve = day_night_profile(peak_to_mean=values["peak_to_mean_ratio"])
    zero = ways(choice=choice, values=values, load=curve, requests_per_day=100.0)[2]
    draws = np.random.default_rng(5)
    days = 2_000
    arrivals = np.sort(
        np.concatenate(
            [
                24.0 * day + hour + draws.random(draws.poisson(curve[hour] * 100.0 / 24.0))
                for day in range(days)
                for hour in range(24)
            ]
        )
    )
    gaps = np.diff(arrivals)
    cold = gaps > 0.1
    awake = np.minimum(gaps, 0.1).sum() + cold.sum() * choice.option.start_up_s / 3600.0
    assert zero.gpu_hours_paid == pytest.approx(awake / days / 24.0 * 730.0, rel=0.03)
    assert zero.cold_start_fraction == pytest.approx(cold.mean(), rel=0.03)
    assert zero.cold_start_s > values["replica_start_s"]


# By hand


def test_spread_of_lengths_takes_memory_and_prompt_attention() -> None:
    setup = ServingSetup(
        architecture=resolve_model("8b").architecture,
        accelerator=market(scenario=asked()).records[0].accelerator,
        weights_dtype="fp16",
        kv_dtype="fp16",
        input_tokens=1000.0,
        output_tokens=500.0,
    )
    spread = setup.with_(input_tokens_cv=1.0, output_tokens_cv=2.0)
    assert spread.held_output_tokens == 2500.0
    alike = largest_batch(setup=setup, constants=shipped()), largest_batch(setup=spread, constants=shipped())
    assert alike[1] == pytest.approx(alike[0] * 1500 / 3500, abs=1.0)
    assert prefill_attention_flop(setup=spread) == 2.0 * prefill_attention_flop(setup=setup)
    fewer = (serving(setup=one, constants=shipped()).requests_per_s_per_replica for one in (setup, spread))
    assert next(fewer) > next(fewer)


def test_ways_by_hand() -> None:
    scenario = asked(gpus=("l40s",), values={"requests_per_day": 86_400.0, "minimum_replicas": 2.0})
    choice, values = choices(scenario)[0], scenario.assumptions
    found = ways(choice=choice, values=values, load=np.ones(24), requests_per_day=86_400.0, batch_window_hours=6.0)
    fixed, hourly, zero, batch = found
    assert [way.name for way in found] == ["fixed", "hourly", "scale to zero", "batch"]
    assert fixed.gpu_hours_paid == hourly.gpu_hours_paid == 2 * 730.0
    assert zero.gpu_hours_paid == pytest.approx(730.0)
    work_hours = 24.0 / choice.option.requests_per_s_per_replica
    assert batch.gpu_hours_paid == pytest.approx((work_hours + choice.option.start_up_s / 3600.0) * 730 / 24)
    assert fixed.usd_per_month == 1460 * choice.option.usd_per_gpu_hour * values["cloud_overhead_ratio"]
    assert fixed.usd_per_1000_requests == pytest.approx(fixed.usd_per_month / (86.4 * 730 / 24))
    assert fixed.usd_per_million_tokens == pytest.approx(fixed.usd_per_1000_requests / 800 * 1000)
    assert fixed.used_fraction == pytest.approx(1.0 / choice.option.requests_per_s_per_replica / 2.0)


def test_processors_generate_no_faster_than_they_read_the_weights() -> None:
    architecture = resolve_model("8b").architecture
    split = parameter_split(architecture)
    for record in cpus().values():
        setup = ServingSetup(
            architecture=architecture,
            accelerator=record.accelerator,
            weights_dtype="int8",
            kv_dtype="fp16",
            input_tokens=100.0,
            output_tokens=100.0,
            batch=1.0,
        )
        answer = serving(setup=setup, constants=shipped())
        read_s = (split["block"] + 2.0 * split["head"]) / record.accelerator.memory_bytes_per_s
        assert not answer.fits or answer.time_per_output_token_s > read_s
        assert answer.low_factor == 0.5


def test_processors_serve_small_models_only_and_beside_cards_where_none_is_named() -> None:
    alone = answered(asked(gpus=(), cpu="only"))
    assert {row["gpu"] for row in alone.rows} <= set(cpus())
    assert len(alone.rows) >= 3
    beside = {row["gpu"] for row in answered(asked(gpus=())).rows}
    assert set(cpus()) & beside
    assert "l40s" in beside
    assert not set(cpus()) & {row["gpu"] for row in answered(asked()).rows}
    large = resolve_model("70b").architecture
    with pytest.raises(NothingFitsError, match="9 billion"):
        serve_answer(scenario=asked(gpus=(), cpu="only"), architecture=large)


# What must never be


@cache
def cheapest_usd(**changes: float) -> float:
    limits = {name: changes.pop(name) for name in ("ttft_ms", "latency_ms") if name in changes}
    try:
        found = choices(asked(values=changes, **limits))
    except NothingFitsError:
        return float("inf")
    return found[0].usd_per_hour if found else float("inf")


volumes = st.sampled_from([1e4, 3e5, 1e6, 3e6, 1e7, 1e8])


@settings(max_examples=25, deadline=None)
@given(volume=volumes, factor=st.floats(1.0, 3.0), ttft=st.sampled_from([None, 100.0, 400.0]))
def test_more_requests_never_need_fewer_replicas(volume: float, factor: float, ttft: float | None) -> None:
    few, many = (
        {choice.key[0]: choice for choice in choices(asked(values={"requests_per_day": load}, ttft_ms=ttft))}
        for load in (volume, volume * factor)
    )
    assert few.keys() == many.keys()
    for gpu, choice in few.items():
        assert many[gpu].usd_per_hour >= choice.usd_per_hour
        if many[gpu].key == choice.key:
            assert many[gpu].option.replicas >= choice.option.replicas


@settings(max_examples=40, deadline=None)
@given(volume=volumes, limit=st.floats(8.0, 400.0), tighter=st.floats(0.3, 1.0))
def test_tighter_limits_are_never_cheaper(volume: float, limit: float, tighter: float) -> None:
    for name in ("ttft_ms", "latency_ms"):
        free = cheapest_usd(requests_per_day=volume)
        loose = cheapest_usd(requests_per_day=volume, **{name: limit})
        tight = cheapest_usd(requests_per_day=volume, **{name: limit * tighter})
        assert free <= loose <= tight


@settings(max_examples=20, deadline=None)
@given(volume=volumes, more=st.floats(1.0, 8.0), ttft=st.sampled_from([None, 500.0]))
def test_longer_requests_and_spreads_are_never_cheaper(volume: float, more: float, ttft: float | None) -> None:
    limits = {} if ttft is None else {"ttft_ms": ttft}
    base = cheapest_usd(requests_per_day=volume, **limits)
    for name in ("input_tokens", "output_tokens", "input_tokens_cv", "output_tokens_cv"):
        assert cheapest_usd(requests_per_day=volume, **{name: more * shipped()[name]}, **limits) >= base


@settings(max_examples=20, deadline=None)
@given(volume=volumes, fraction=st.floats(0.0, 0.9))
def test_a_prefix_cache_is_never_dearer(volume: float, fraction: float) -> None:
    assert cheapest_usd(requests_per_day=volume, prefix_cached_fraction=fraction) <= cheapest_usd(
        requests_per_day=volume
    )


# Said to people


def test_the_answer_as_json_holds_numbers_and_every_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("serve-plan", "--model", "8b", "--requests-per-day", "1e6", "--batch-window-hours", "6", "--json")
    out, _, code = run(monkeypatch, capsys, *words)
    assert code == 0
    rows = json.loads(out, parse_constant=lambda name: pytest.fail(name))["rows"]
    for row in rows:
        assert [way["name"] for way in row["ways"]] == ["fixed", "hourly", "scale to zero", "batch"]
        assert row["ttft_p50_s"] <= row["ttft_p95_s"]
        assert row["utilisation_fraction"] <= row["peak_load_fraction"] <= 0.8
        assert row["headroom_ratio"] >= 1.0 - 1e-9
        assert row["gpu_hours_used_per_month"] <= row["gpu_hours_paid_per_month"]
        assert row["ways"][3]["ttft_p95_s"] is None


def test_a_table_of_hours_gives_volume_peak_and_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hours.csv"
    file.write_text("timestamp,requests\n2026-11-01T00:00,1000\n2026-11-01T01:00,3000\n", encoding="utf-8")
    words = ("serve-plan", "--model", "8b", "--gpu", "l40s", "--traffic", str(file))
    out, _, _ = run(monkeypatch, capsys, *words)
    assert "48,000 requests a day" in out
    assert "1.5 times the mean, a cycle of 2 hours" in " ".join(out.split())
    out, _, _ = run(monkeypatch, capsys, *words, "--requests-per-day", "5e6")
    assert "5,000,000 requests a day" in out
    assert "1.5 times" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--traffic", "none.csv"), "--traffic none.csv: no such file"),
        (("--traffic", "."), "cannot be read"),
        (("--traffic", "hours.csv", "--set", "peak_to_mean_ratio=2"), "Keep one"),
        (("--lengths", "hours.csv"), "no column 'input_tokens'"),
        (("--input-tokens-p95", "100"), "above 600, below 2316"),
        (("--input-tokens-p95", "900", "--set", "input_tokens_cv=1"), "Keep one"),
        (("--batch-window-hours", "30"), "up to 24"),
        (("--batch-window-hours", "0.01"), "before a replica is up"),
        (("--engine", "vlm"), "vllm"),
        (("--served-dtype", "fp3"), "fp8"),
        (("--cpu", "yes"), "only"),
        (("--adapters", "-1"), "0 to 10,000"),
        (("--prefix-cached-fraction", "1.5"), "0.99"),
        (("--ttft-ms", "0.1"), "within the latency limits"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hours.csv").write_text("hour,requests\n0,10\n1,30\n", encoding="utf-8")
    out, err, code = run(monkeypatch, capsys, "serve-plan", "--model", "8b", "--gpu", "l40s", *words)
    assert code != 0
    assert out == ""
    assert said in " ".join(err.split())
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--gpu", "h100", "--cpu", "only"), 1, "exclude each other"),
        (("--draft-acceptance", "0.7"), 1, "--draft-tokens"),
        (("--gpu", "mi300x", "--engine", "tensorrt-llm"), 1, "does not run on cards of amd (mi300x)"),
        (("--gpu", "a100", "--served-dtype", "fp8"), 1, "no fp8 units (a100-80gb-sxm)"),
        (("--gpu", "h100", "--served-dtype", "fp4"), 1, "no fp4 units (h100-80gb-sxm)"),
        (("--cpu", "only", "--engine", "tensorrt-llm"), 1, "does not run on them (processors)"),
        (("--input-tokens", "3e5"), 3, "positions of Qwen/Qwen3-8B"),
    ],
)
def test_what_cannot_serve_is_refused(
    words: tuple[str, ...],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, err, found = run(monkeypatch, capsys, "serve-plan", "--model", "8b", *words)
    assert (out, found) == ("", code)
    assert says in err


def test_cards_that_do_not_run_the_engine_are_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("serve-plan", "--model", "8b", "--engine", "tensorrt-llm", "--served-dtype", "fp8")
    answer = json.loads(run(monkeypatch, capsys, *words, "--json")[0])
    served, left = {row["gpu"] for row in answer["rows"]}, {one["gpu"] for one in answer["left_out"]}
    assert not served & left
    assert {"h100-80gb-sxm", "l4"} <= served
    assert {"mi300x", "a100-80gb-sxm", "processors"} <= left
    alone = json.loads(run(monkeypatch, capsys, *words, "--gpu", "h100", "--json")[0])["rows"]
    assert alone == [row for row in answer["rows"] if row["gpu"] == "h100-80gb-sxm"]
    said = " ".join(run(monkeypatch, capsys, *words, "--gpu", "h100", "--gpu", "mi300x")[0].split())
    assert "Left out: tensorrt-llm does not run on cards of amd (mi300x)." in said


@pytest.mark.parametrize(
    ("providers", "cloud", "bought"), [(["own"], False, True), (["lambda", "own"], True, True), ([], True, False)]
)
def test_what_the_usd_of_rented_and_of_bought_replicas_hold_is_said_of_each(
    providers: list[str],
    cloud: bool,
    bought: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word for name in providers for word in ("--provider", name)]
    cards = ("--gpu", "h100-80gb-sxm", "--gpu", "gh200-96gb")
    out, _, code = run(monkeypatch, capsys, "serve-plan", "--model", "8b", *cards, *words)
    said = " ".join(out.split())
    assert code == 0
    assert ("cloud_overhead_ratio" in said, "USD of bought cards: every hour" in said) == (cloud, bought)
    assert ("hourly: as each hour needs" in said) == cloud
