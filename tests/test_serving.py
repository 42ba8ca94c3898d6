"""The serving model: memory by hand, properties that physics demands, queueing against a simulation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.accelerator import Accelerator
from estimator.accelerators import resolve_accelerator, stack_accelerators
from estimator.architecture import Architecture
from estimator.assumptions import shipped
from estimator.errors import InputError
from estimator.models import resolve_model
from estimator.serving import (
    ServingSetup,
    batch_window_replicas,
    cold_start_fraction,
    day_night_profile,
    hourly_replicas,
    peak_replicas,
    queueing,
    scale_to_zero_hours,
    serving,
    started_replicas,
    under_latency,
)
from estimator.serving.kv_cache import (
    mean_read_kv_bytes,
    parameter_split,
    sequence_kv_bytes,
    weights_bytes,
)
from estimator.serving.rates import rates
from estimator.serving.roofline import prefill_attention_flop, step_parts_s
from estimator.serving.tables import read_hourly_requests
from estimator.serving.validation import calibration_rows, compare, setup_of_row

LLAMA_8B = "meta-llama/Llama-3.1-8B"
LLAMA_70B = "meta-llama/Llama-3.1-70B"
MIXTURE = "Qwen/Qwen3-30B-A3B"
LATENT = "deepseek-ai/DeepSeek-R1"
LOCAL = "openai/gpt-oss-120b"
DTYPES = ("fp16", "fp8", "fp4", "int8", "int4")


@cache
def _architecture(name: str) -> Architecture:
    return resolve_model(name).architecture


@cache
def _gpu(name: str) -> Accelerator:
    return resolve_accelerator(name).accelerator


def _setup(model: str = LLAMA_8B, gpu: str = "h100-80gb-sxm", **changes: object) -> ServingSetup:
    base = ServingSetup(
        architecture=_architecture(model),
        accelerator=_gpu(gpu),
        weights_dtype="fp8",
        kv_dtype="fp8",
        engine="tensorrt-llm",
        input_tokens=1000.0,
        output_tokens=200.0,
    )
    return base.with_(**changes)


def _serve(setup: ServingSetup):  # type: ignore[no-untyped-def]
    return serving(setup=setup, constants=shipped())


def test_grouped_query_cache_by_hand():
    # 32 layers x 2 x 8 heads x 128 x 2 bytes = 131,072 bytes a token
    setup = _setup(kv_dtype="fp16")
    one = sequence_kv_bytes(setup=setup, context_tokens=1.0, constants=shipped())
    assert one == 131_072
    assert sequence_kv_bytes(setup=setup.with_(tp=4.0), context_tokens=1.0, constants=shipped()) == one / 4


def test_more_ranks_than_key_value_heads_keep_a_whole_head_each():
    eight, sixteen = (
        sequence_kv_bytes(setup=_setup(tp=tp), context_tokens=1.0, constants=shipped()) for tp in (8.0, 16.0)
    )
    assert eight == sixteen


def test_latent_cache_is_one_vector_a_layer_whatever_the_tensor_parallel_degree():
    # 61 layers x (512 + 64) x 1 byte
    for tp in (1.0, 8.0):
        setup = _setup(LATENT, tp=tp)
        assert sequence_kv_bytes(setup=setup, context_tokens=1.0, constants=shipped()) == 61 * 576


def test_local_layers_stop_growing_at_their_window():
    # gpt-oss-120b: 18 of 36 layers see 128 tokens; 2 x 8 heads x 64 = 1,024 numbers a layer and token
    setup = _setup(LOCAL)
    held = sequence_kv_bytes(setup=setup, context_tokens=10_128.0, constants=shipped())
    assert held == 18 * 1024 * (10_128 + 128)


def test_mean_read_cache_is_the_average_over_the_answer():
    setup = _setup(LOCAL, input_tokens=100.0, output_tokens=64.0)
    by_token = np.mean(
        [
            float(sequence_kv_bytes(setup=setup, context_tokens=100.0 + t, constants=shipped()))
            for t in np.linspace(0.0, 64.0, 20_001)
        ]
    )
    assert float(mean_read_kv_bytes(setup=setup, constants=shipped())) == pytest.approx(by_token, rel=1e-4)


def test_a_model_whose_every_layer_is_local_is_held_whole():
    setup = _setup("mistralai/Mistral-7B-v0.1")
    assert sequence_kv_bytes(setup=setup, context_tokens=20_000.0, constants=shipped()) == 20_000 * 65_536


def test_parameter_split_adds_up_to_the_model():
    for name, total in ((LLAMA_8B, 8_030_261_248), (MIXTURE, 30_532_122_624), (LATENT, 671_026_404_352)):
        split = parameter_split(_architecture(name))
        assert sum(split.values()) == total


def test_weights_by_hand():
    # Llama-3.1-8B: 6,979,321,856 in the blocks, 2 x 525,336,576 in embedding and head, 266,240 in norms
    blocks, outside = 6_979_321_856, 2 * 525_336_576 + 266_240
    assert weights_bytes(setup=_setup()) == pytest.approx(blocks + 2 * outside)
    assert weights_bytes(setup=_setup(weights_dtype="fp16")) == pytest.approx(2 * (blocks + outside))
    assert weights_bytes(setup=_setup(weights_dtype="fp4")) == pytest.approx(0.5625 * blocks + 2 * outside)


def test_expert_parallelism_spreads_experts_only():
    alone, spread = (weights_bytes(setup=_setup(MIXTURE, ep=ep)) for ep in (1.0, 8.0))
    experts = parameter_split(_architecture(MIXTURE))["expert"]
    assert alone - spread == pytest.approx(experts * 7 / 8)


def test_mxfp4_models_stay_so_in_memory():
    eight, four = (weights_bytes(setup=_setup(LOCAL, weights_dtype=dtype)) for dtype in ("fp8", "fp4"))
    assert eight < 1.1 * four
    assert weights_bytes(setup=_setup(LOCAL, weights_dtype="fp16")) > 3 * four


def test_batch_by_hand():
    answer = _serve(_setup(input_tokens=1000.0, output_tokens=1000.0))
    room = 0.96 * (_gpu("h100-80gb-sxm").memory_bytes - 1.5e9 - answer.weights_bytes)
    assert answer.batch == np.floor(room / (2000 * 65_536))
    assert answer.kv_capacity_tokens == pytest.approx(room / 65_536)


def test_70b_does_not_fit_one_80_gb_part_in_16_bits():
    answer = _serve(_setup(LLAMA_70B, weights_dtype="fp16", kv_dtype="fp16"))
    assert not answer.fits
    assert answer.batch == answer.output_tokens_per_s_per_gpu == answer.requests_per_s_per_replica == 0.0
    assert _serve(_setup(LLAMA_70B, weights_dtype="fp16", kv_dtype="fp16", tp=4.0)).fits


def test_engines_without_measured_runs_have_wider_spreads():
    measured, unmeasured = _serve(_setup()), _serve(_setup(engine="vllm"))
    assert unmeasured.low_factor < measured.low_factor < 1.0 < measured.high_factor < unmeasured.high_factor
    four_bits, amd = _serve(_setup(weights_dtype="fp4")), _serve(_setup(gpu="mi300x"))
    assert four_bits.low_factor < measured.low_factor
    assert amd.low_factor < measured.low_factor


def test_a_request_s_parts_add_up():
    for model, changes in ((LLAMA_8B, {}), (MIXTURE, {"ep": 4.0}), (LATENT, {"tp": 8.0, "gpu": "h200-sxm"})):
        answer = _serve(_setup(model, **changes))
        assert answer.fits
        assert sum(answer.parts_s.values()) == pytest.approx(1.0 / answer.requests_per_s_per_replica)


def test_full_load_obeys_little():
    answer = _serve(_setup(batch=64.0))
    residence_s = 200.0 * answer.time_per_output_token_s
    assert answer.requests_per_s_per_replica * residence_s == pytest.approx(64.0)


def test_prompt_attention_by_hand():
    # causal: 4 x 4096 x 32 x 1000^2 / 2; with 400 tokens cached, the triangle of the first 400 is saved
    whole = prefill_attention_flop(setup=_setup())
    assert whole == 4 * 4096 * 32 * 1000**2 / 2
    assert prefill_attention_flop(setup=_setup(cached_input_fraction=0.4)) == pytest.approx(0.84 * whole)


def test_decode_alone_is_bound_by_weights():
    # one sequence, no prompts: at least the block and head bytes over the data sheet's bandwidth
    sustained = rates(setup=_setup(), constants=shipped())
    parts = step_parts_s(setup=_setup(), rates=sustained, batch=1.0, prompt_tokens=0.0, constants=shipped())
    floor_s = (6_979_321_856 + 2 * 525_336_576) / 3.35e12
    assert floor_s < parts["matrix products"] < 1.3 * floor_s


def test_weight_only_types_save_bytes_not_flop():
    long_prompt = {"input_tokens": 8000.0, "output_tokens": 1.0, "kv_dtype": "fp16", "batch": 8.0}
    sixteen, four, eight = (
        _serve(_setup(weights_dtype=dtype, **long_prompt)).requests_per_s_per_replica
        for dtype in ("fp16", "int4", "fp8")
    )
    assert four == pytest.approx(sixteen, rel=0.05)
    assert eight > 1.5 * sixteen
    alone = {"batch": 1.0, "input_tokens": 10.0, "output_tokens": 500.0}
    assert (
        _serve(_setup(weights_dtype="int4", **alone)).time_per_output_token_s
        < 0.6 * _serve(_setup(weights_dtype="fp16", **alone)).time_per_output_token_s
    )


def test_fp8_on_a_part_without_it_is_weight_only():
    a100 = _setup(gpu="a100-80gb-sxm", input_tokens=8000.0, output_tokens=1.0, batch=8.0, kv_dtype="fp16")
    assert _serve(a100).requests_per_s_per_replica == pytest.approx(
        _serve(a100.with_(weights_dtype="int8")).requests_per_s_per_replica, rel=0.1
    )


def test_slow_links_cost_tensor_parallel_replicas():
    def kept(gpu: str) -> float:
        one, eight = (
            _serve(_setup(gpu=gpu, weights_dtype="fp16", tp=tp, batch=64.0)).output_tokens_per_s_per_gpu
            for tp in (1.0, 8.0)
        )
        return eight / one

    assert kept("a100-80gb-pcie") < 0.5 * kept("a100-80gb-sxm")


def test_cached_prompts_and_adapters():
    plain, cached = _serve(_setup()), _serve(_setup(cached_input_fraction=0.9))
    assert cached.requests_per_s_per_replica > 1.2 * plain.requests_per_s_per_replica
    assert cached.ttft_s < plain.ttft_s
    one, many = _serve(_setup(adapters=1)), _serve(_setup(adapters=100))
    lost = 1.0 - one.requests_per_s_per_replica / plain.requests_per_s_per_replica
    assert 0.02 <= lost <= 0.21
    assert many.requests_per_s_per_replica == one.requests_per_s_per_replica


def test_speculation_helps_a_lone_sequence_and_hardly_a_full_batch():
    draft = {"draft_tokens": 3.0, "draft_acceptance_fraction": 0.7, "draft_cost_fraction": 0.05}

    def gain(batch: float) -> float:
        slow, fast = (_serve(_setup(batch=batch, output_tokens=1000.0, **more)) for more in ({}, draft))
        return float(slow.time_per_output_token_s / fast.time_per_output_token_s)

    assert 1.8 < gain(1.0) < 2.53
    assert gain(400.0) < 0.8 * gain(1.0)
    useless = {**draft, "draft_acceptance_fraction": 0.0}
    assert _serve(_setup(**useless)).requests_per_s_per_replica < _serve(_setup()).requests_per_s_per_replica


def test_pipeline_frees_memory_but_not_latency():
    # two stages work on eight sequences each: the latency of a batch of eight, the throughput of two
    one, two = (
        _serve(_setup(LLAMA_70B, gpu="h200-sxm", pp=pp, batch=batch)) for pp, batch in ((1.0, 8.0), (2.0, 16.0))
    )
    assert two.weights_bytes < 0.55 * one.weights_bytes
    assert two.time_per_output_token_s == pytest.approx(one.time_per_output_token_s, rel=0.02)
    assert two.time_per_output_token_s > one.time_per_output_token_s
    assert two.requests_per_s_per_replica == pytest.approx(2 * one.requests_per_s_per_replica, rel=0.02)


def test_a_block_equals_its_members():
    records = [resolve_accelerator(name) for name in ("a100-80gb-sxm", "l40s", "h200-sxm", "b200-sxm", "mi300x")]
    degrees = np.array([1.0, 2.0, 4.0, 8.0])
    for model in (LLAMA_8B, MIXTURE, LATENT, LOCAL):
        block = _serve(_setup(model).with_(accelerator=stack_accelerators(records, axes=2), tp=degrees[None, :]))
        assert block.output_tokens_per_s_per_gpu.shape == (5, 4)
        for i, record in enumerate(records):
            for j, tp in enumerate(degrees):
                one = _serve(_setup(model).with_(accelerator=record.accelerator, tp=float(tp)))
                for field in ("fits", "batch", "requests_per_s_per_replica", "ttft_s", "weights_bytes"):
                    whole = np.broadcast_to(getattr(block, field), (5, 4))
                    assert whole[i, j] == pytest.approx(getattr(one, field), rel=1e-12)
                assert np.broadcast_to(block.low_factor, (5, 4))[i, j] == one.low_factor


models = st.sampled_from([LLAMA_8B, LLAMA_70B, "mistralai/Mixtral-8x7B-v0.1", MIXTURE, LATENT, LOCAL])
gpus = st.sampled_from(["l4", "a100-80gb-pcie", "h100-80gb-sxm", "b200-sxm", "mi300x", "rtx-4090"])
lengths = st.integers(min_value=1, max_value=30_000)
ranks = st.sampled_from([1.0, 2.0, 4.0, 8.0])
dtypes = st.sampled_from(DTYPES)


@settings(max_examples=150, deadline=None)
@given(model=models, gpu=gpus, i=lengths, o=lengths, tp=ranks, dtype=dtypes, factor=st.floats(1.0, 4.0))
def test_more_of_anything_physical_never_hurts(model, gpu, i, o, tp, dtype, factor):
    setup = _setup(model, gpu=gpu, input_tokens=float(i), output_tokens=float(o), tp=tp, weights_dtype=dtype)
    base = _serve(setup)
    for field in ("memory_bytes_per_s", "memory_bytes", "fp8_flop_per_s", "fp4_flop_per_s", "link_bytes_per_s"):
        part = setup.accelerator
        richer = Accelerator(**{**vars(part), field: getattr(part, field) * factor})
        better = _serve(setup.with_(accelerator=richer))
        assert better.output_tokens_per_s_per_gpu >= base.output_tokens_per_s_per_gpu * (1.0 - 1e-9)


@settings(max_examples=150, deadline=None)
@given(model=models, gpu=gpus, i=lengths, o=lengths, more=lengths, tp=ranks, dtype=dtypes)
def test_longer_prompts_never_give_more(model, gpu, i, o, more, tp, dtype):
    setup = _setup(model, gpu=gpu, input_tokens=float(i), output_tokens=float(o), tp=tp, weights_dtype=dtype)
    short, long = _serve(setup), _serve(setup.with_(input_tokens=float(i + more)))
    assert long.batch <= short.batch
    assert long.requests_per_s_per_replica <= short.requests_per_s_per_replica * (1.0 + 1e-9)
    longer = _serve(setup.with_(output_tokens=float(o + more)))
    assert longer.requests_per_s_per_replica <= short.requests_per_s_per_replica * (1.0 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(model=models, gpu=gpus, i=lengths, o=lengths, tp=ranks)
def test_smaller_weights_never_hold_fewer_sequences(model, gpu, i, o, tp):
    setup = _setup(model, gpu=gpu, input_tokens=float(i), output_tokens=float(o), tp=tp)
    stored = {dtype: float(weights_bytes(setup=setup.with_(weights_dtype=dtype))) for dtype in DTYPES}
    in_order = sorted(DTYPES, key=lambda dtype: -stored[dtype])
    batches = [_serve(setup.with_(weights_dtype=dtype)).batch for dtype in in_order]
    assert batches == sorted(batches)
    assert _serve(setup.with_(kv_dtype="fp16")).batch <= _serve(setup).batch


def test_larger_batches_trade_latency_for_throughput():
    answer = _serve(_setup(batch=np.array([1.0, 4.0, 16.0, 64.0, 256.0])))
    assert np.all(np.diff(answer.requests_per_s_per_replica) > 0)
    assert np.all(np.diff(answer.time_per_output_token_s) > 0)
    assert np.all(np.diff(answer.ttft_s) > 0)


def test_latency_limit_is_kept_and_used():
    free = _serve(_setup())
    limit = 0.5 * (free.time_per_output_token_s + _serve(_setup(batch=1.0)).time_per_output_token_s)
    best = under_latency(setup=_setup(), constants=shipped(), latency_s_per_token=limit)
    assert best.fits
    assert best.time_per_output_token_s <= limit
    assert _serve(_setup(batch=best.batch * 1.02 + 1.0)).time_per_output_token_s > limit
    assert best.output_tokens_per_s_per_gpu < free.output_tokens_per_s_per_gpu


def test_latency_limits_that_bind_nothing_or_everything():
    free = _serve(_setup())
    loose = under_latency(setup=_setup(), constants=shipped(), latency_s_per_token=10.0)
    assert loose.output_tokens_per_s_per_gpu == free.output_tokens_per_s_per_gpu
    tight = under_latency(setup=_setup(), constants=shipped(), latency_s_per_token=1e-5)
    assert not tight.fits
    assert tight.output_tokens_per_s_per_gpu == 0.0


def test_latency_limit_over_a_block():
    records = [resolve_accelerator(name) for name in ("l40s", "h100-80gb-sxm")]
    setup = _setup().with_(accelerator=stack_accelerators(records, axes=2), tp=np.array([[1.0, 2.0]]))
    block = under_latency(setup=setup, constants=shipped(), latency_s_per_token=0.02)
    for i, record in enumerate(records):
        for j, tp in enumerate((1.0, 2.0)):
            one = under_latency(
                setup=_setup().with_(accelerator=record.accelerator, tp=tp),
                constants=shipped(),
                latency_s_per_token=0.02,
            )
            assert block.batch[i, j] == one.batch


def test_replicas_by_hand():
    wanted = {
        "peak_to_mean": 3.0,
        "requests_per_s_per_replica": 5.0,
        "slo_fraction": 0.8,
        "max_load_fraction": 0.5,
        "minimum_replicas": 2.0,
    }
    loads = np.array([0.0, 1.0, 4 / 3, 1.4, 10.0])
    assert list(peak_replicas(requests_per_s=loads, **wanted)) == [2, 2, 2, 3, 15]


def test_following_the_hours_pays_for_the_curve_not_the_peak():
    rates = day_night_profile(peak_to_mean=3.0) * 10.0
    held = hourly_replicas(
        hourly_requests_per_s=rates,
        requests_per_s_per_replica=1.0,
        slo_fraction=1.0,
        max_load_fraction=1.0,
        minimum_replicas=0.0,
    )
    assert held.sum() == np.ceil(rates).sum()
    assert 240.0 < held.sum() <= 264.0 < 24 * 30 == 24 * held.max()
    assert started_replicas(held=held).sum() == 30.0


def test_scale_to_zero_by_hand():
    # two requests an hour, kept awake for half an hour: e^-1 of them find it asleep
    asleep = np.exp(-1.0)
    hours = scale_to_zero_hours(
        hourly_requests_per_s=np.array([0.0, 2.0]) / 3600.0, keep_alive_hours=0.5, start_up_hours=0.1
    )
    assert hours.tolist() == pytest.approx([0.0, 1.0 - asleep + 2.0 * asleep * 0.1])
    assert cold_start_fraction(hourly_requests_per_s=2.0 / 3600.0, keep_alive_hours=0.5) == asleep


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hour,calls\n0,1\n", "no column 'requests'"),
        ("requests\n", "no rows"),
        ("requests\n5\nmany\n", "line 3"),
        ("requests\n-1\n", "line 2"),
    ],
)
def test_hourly_requests_that_cannot_be_read(text, said):
    with pytest.raises(InputError, match=said):
        read_hourly_requests(text, file="traffic.csv")


@pytest.mark.parametrize("peak", [1.0, 1.3, 2.0, 3.0, 6.0])
def test_day_night_profile_has_the_peak_asked_for(peak):
    profile = day_night_profile(peak_to_mean=peak)
    assert profile.max() == pytest.approx(peak, rel=1e-6)
    assert profile.mean() == pytest.approx(1.0)
    assert profile.min() >= 0.0


def test_batch_window_needs_more_replicas_when_shorter():
    loose, tight, none = (
        batch_window_replicas(
            requests=36_000.0, requests_per_s_per_replica=1.0, window_hours=window, start_up_hours=0.5
        )
        for window in (12.0, 1.5, 0.5)
    )
    assert (loose, tight, none) == (1.0, 10.0, np.inf)


def test_queueing_is_erlang_for_a_constant_step():
    # M/M/2 with one erlang: waiting fraction 1/3, mean wait = (1/3) / (2 mu - lambda) = 1/3 of a service
    two = queueing(requests_per_s=1.0, step_fixed_s=0.01, step_per_sequence_s=0.0, output_tokens=100.0, batch=2)
    assert two.waiting_fraction == pytest.approx(1 / 3)
    assert two.waiting_s == pytest.approx(1 / 3)
    assert two.in_flight == pytest.approx(1.0)
    assert two.time_per_output_token_s == pytest.approx(0.01)


def test_queueing_near_and_over_full_load():
    full = 8 / (50.0 * (0.01 + 0.001 * 8))
    answer = queueing(
        requests_per_s=full * np.array([1e-6, 0.5, 0.9, 0.99, 1.01]),
        step_fixed_s=0.01,
        step_per_sequence_s=0.001,
        output_tokens=50.0,
        batch=8,
    )
    assert np.all(np.diff(answer.waiting_s[:4]) > 0)
    assert answer.waiting_s[4] == np.inf
    assert answer.waiting_fraction[4] == 1.0
    assert answer.time_per_output_token_s[0] == pytest.approx(0.011, rel=1e-3)
    assert answer.time_per_output_token_s[3] < 0.018


def _simulated(
    rate: float, fixed_s: float, slope_s: float, mean_tokens: float, batch: int, requests: int
) -> tuple[float, float, float]:
    """Mean wait, sequences in flight, and time per token of an engine that steps, seeded."""
    draws = np.random.default_rng(7)
    arrivals = np.cumsum(draws.exponential(1.0 / rate, requests))
    tokens = draws.geometric(1.0 / mean_tokens, requests)
    clock, following, area, waits, service = 0.0, 0, 0.0, np.zeros(requests), 0.0
    left: list[int] = []
    while following < requests or left:
        if not left:
            clock = max(clock, arrivals[following])
        while following < requests and len(left) < batch and arrivals[following] <= clock:
            waits[following] = clock - arrivals[following]
            left.append(int(tokens[following]))
            following += 1
        step = fixed_s + slope_s * len(left)
        clock += step
        area += len(left) * step
        service += len(left) * step
        left = [count - 1 for count in left if count > 1]
    return float(waits.mean()), area / clock, service / float(tokens.sum())


@pytest.mark.parametrize("load", [0.4, 0.8, 0.9])
def test_queueing_agrees_with_a_discrete_event_simulation(load):
    answer = _serve(_setup(LLAMA_70B, tp=2.0, output_tokens=60.0, batch=12.0))
    alone = _serve(_setup(LLAMA_70B, tp=2.0, output_tokens=60.0, batch=1.0))
    slope_s = (answer.time_per_output_token_s - alone.time_per_output_token_s) / 11.0
    fixed_s = alone.time_per_output_token_s - slope_s
    rate = load * answer.requests_per_s_per_replica
    estimate = queueing(
        requests_per_s=rate,
        step_fixed_s=fixed_s,
        step_per_sequence_s=slope_s,
        output_tokens=60.0,
        batch=12,
    )
    wait_s, in_flight, per_token_s = _simulated(rate, fixed_s, slope_s, 60.0, 12, 20_000)
    service_s = 60.0 * answer.time_per_output_token_s
    assert estimate.load_fraction == pytest.approx(load)
    assert estimate.in_flight == pytest.approx(in_flight, rel=0.05)
    assert estimate.time_per_output_token_s == pytest.approx(per_token_s, rel=0.05)
    assert estimate.waiting_s == pytest.approx(wait_s, rel=0.15, abs=0.02 * service_s)


def test_measured_runs_are_met():
    by_kind: dict[bool, list[float]] = {True: [], False: []}
    for row, found in zip(calibration_rows(), compare(rows=calibration_rows(), constants=shipped()), strict=True):
        assert found.predicted is not None, found.reason
        mixture = bool(setup_of_row(row).architecture.experts)
        by_kind[mixture].append(abs(found.predicted / found.measured - 1.0))
    dense, every = by_kind[False], by_kind[True] + by_kind[False]
    assert len(every) == 649
    assert np.median(dense) < 0.08
    assert np.quantile(dense, 0.9) < 0.20
    assert np.median(every) < 0.10
    assert np.quantile(every, 0.9) < 0.30


def test_rows_are_read_as_their_engines_ran():
    rows = {row["id"]: row for row in calibration_rows()}
    old = next(row for row in rows.values() if row["engine"] == "vllm")
    assert setup_of_row(old).engine == "vllm-0.6"
    assert setup_of_row({**old, "date": "2026-01"}).engine == "vllm"
    mixture = next(row for row in rows.values() if row["model"] == "Qwen/Qwen3-235B-A22B" and row["tp"] == "8")
    spread = setup_of_row(mixture)
    assert (spread.tp, spread.ep, spread.gpus) == (1.0, 8.0, 8.0)
    assert setup_of_row({**old, "tp": "", "gpus": "4", "weights_dtype": "bf16"}).tp == 4.0


def test_spreads_hold_the_measured_runs_of_their_kind():
    inside = []
    for row, found in zip(calibration_rows(), compare(rows=calibration_rows(), constants=shipped()), strict=True):
        answer = serving(setup=setup_of_row(row), constants=shipped())
        assert found.predicted
        inside.append(answer.low_factor <= found.measured / found.predicted <= answer.high_factor)
    assert 0.78 < np.mean(inside) < 0.97


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gpu": "h1000"}, "h1000"),
        ({"model": "acme/none-7b"}, "none-7b"),
        ({"engine": "tgi"}, "vllm"),
        ({"weights_dtype": "fp6"}, "fp8"),
        ({"input_tokens": ""}, "input_tokens"),
        ({"gpu": "rtx-4090", "model": LLAMA_70B, "tp": "1"}, "does not fit"),
    ],
)
def test_a_row_without_prediction_says_why(change, said):
    (found,) = compare(rows=[{**calibration_rows()[0], **change}], constants=shipped())
    assert found.predicted is None
    assert said in found.reason
