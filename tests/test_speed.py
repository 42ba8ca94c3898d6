"""The speed model: what physics forbids, what hand computation gives, and known jobs."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tomli

from estimator.accelerator import Accelerator
from estimator.accelerators import resolve_accelerator
from estimator.assumptions import shipped
from estimator.measured import read_runs
from estimator.models import resolve_model
from estimator.run import CHOICES, Run
from estimator.speed import job_time, resource_fractions, speed
from estimator.speed.attention import attention_s
from estimator.speed.constants import KERNEL_CLASS, Constants, family_row
from estimator.speed.dequantise import dequantise_s
from estimator.speed.launch import launch_s
from estimator.speed.matmul import Counts, Unit, peak_flop_per_s, products_s
from estimator.speed.pipeline import bubble_fraction
from estimator.speed.shapes import Sums, dense_sums
from estimator.speed.step import straggler_fraction

CONSTANTS = shipped()
ALL = ("q", "k", "v", "o", "gate", "up", "down")


def card(name: str) -> Accelerator:
    return resolve_accelerator(name).accelerator


def a_run(**changes: object) -> Run:
    run = Run(
        architecture=resolve_model("meta-llama/Llama-3.1-8B").architecture,
        accelerator=card("h100-80gb-sxm"),
        method="full",
        gpus=16.0,
        sharding="fsdp",
        micro_batch=2.0,
        global_batch=64.0,
        seq_len=4096.0,
        recompute="full",
    )
    return run.with_(**changes)


RUNS = {
    "8B full, FSDP, two nodes": a_run(),
    "8B full, fp8, torchtitan": a_run(compute_dtype="fp8", stack="torchtitan", recompute="selective"),
    "8B LoRA, one card": a_run(
        method="lora", lora_targets=ALL, gpus=1.0, sharding="none", micro_batch=1.0, global_batch=8.0
    ),
    "8B QLoRA, four GeForce cards": a_run(
        method="qlora",
        quantization="nf4",
        lora_targets=("q", "v"),
        gpus=4.0,
        accelerator=card("rtx-4090"),
        micro_batch=1.0,
        global_batch=16.0,
    ),
    "8B ZeRO-2 with offload": a_run(sharding="zero2", offload="all", gpus=8.0),
    "70B Megatron": a_run(
        architecture=resolve_model("meta-llama/Llama-3.1-70B").architecture,
        gpus=64.0,
        sharding="zero1",
        tp=4.0,
        pp=4.0,
        cp=2.0,
        micro_batch=1.0,
        global_batch=128.0,
        stack="megatron",
        recompute="none",
    ),
    "mixture of experts": a_run(
        architecture=resolve_model("Qwen/Qwen3-30B-A3B").architecture,
        ep=8.0,
        gpus=32.0,
        stack="megatron",
        sharding="zero1",
        recompute="none",
    ),
    "Mistral, eager attention": a_run(
        architecture=resolve_model("mistralai/Mistral-7B-v0.1").architecture, attention="eager", seq_len=8192.0
    ),
    "latent attention, experts over nodes": a_run(
        architecture=resolve_model("deepseek-ai/DeepSeek-V3").architecture,
        accelerator=card("h200-sxm"),
        gpus=256.0,
        ep=64.0,
        pp=4.0,
        global_batch=512.0,
        micro_batch=1.0,
        stack="nemo-automodel",
        compute_dtype="fp8",
    ),
    "HSDP over slow nodes": a_run(sharding="hsdp", accelerator=card("l40s"), gpus=32.0),
}


@pytest.mark.parametrize("name", RUNS)
def test_parts_are_positive_and_sum_to_the_step(name: str) -> None:
    answer = speed(run=RUNS[name], constants=CONSTANTS)
    assert all(seconds >= 0.0 for seconds in answer.parts_s.values()), answer.parts_s
    assert sum(answer.parts_s.values()) == answer.step_s
    assert isinstance(answer.tokens_per_s_per_gpu, float)
    assert 0.0 < answer.mfu <= answer.hfu < 1.0
    assert sum(resource_fractions(parts_s=answer.parts_s).values()) == pytest.approx(1.0)
    assert answer.low_factor < 1.0 < answer.high_factor


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(
    "changed",
    [
        ("bf16_flop_per_s", "fp8_flop_per_s", "fp16_flop_per_s", "int8_flop_per_s"),
        ("memory_bytes_per_s",),
        ("link_bytes_per_s",),
        ("node_link_bytes_per_s",),
        ("power_watt",),
    ],
)
@pytest.mark.parametrize("factor", [1.02, 1.5, 8.0])
def test_a_better_card_is_never_slower(name: str, changed: tuple[str, ...], factor: float) -> None:
    run = RUNS[name]
    better = replace(run.accelerator, **{field: getattr(run.accelerator, field) * factor for field in changed})
    before = speed(run=run, constants=CONSTANTS).step_s
    assert speed(run=run.with_(accelerator=better), constants=CONSTANTS).step_s <= before * (1 + 1e-12)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("factor", [0.9, 0.5, 0.125])
def test_shorter_sequences_never_make_a_step_longer(name: str, factor: float) -> None:
    run = RUNS[name]
    shorter = run.with_(seq_len=run.seq_len * factor)
    assert speed(run=shorter, constants=CONSTANTS).step_s < speed(run=run, constants=CONSTANTS).step_s


@pytest.mark.parametrize("name", RUNS)
def test_more_micro_batches_take_longer(name: str) -> None:
    run = RUNS[name]
    longer = run.with_(global_batch=run.global_batch * 2.0)
    assert speed(run=longer, constants=CONSTANTS).step_s > speed(run=run, constants=CONSTANTS).step_s


@pytest.mark.parametrize("stack", ["hf", "hf-fused", "torchtune", "megatron", "torchtitan"])
@pytest.mark.parametrize("recompute", ["none", "full"])
@pytest.mark.parametrize("targets", [("q", "v"), ("q", "k", "v", "o")])
def test_adapters_never_take_longer_than_full_training(
    stack: str, recompute: str, targets: tuple[str, ...]
) -> None:
    full = a_run(stack=stack, recompute=recompute)
    lora = full.with_(method="lora", lora_targets=targets, lora_rank=16.0)
    assert speed(run=lora, constants=CONSTANTS).step_s <= speed(run=full, constants=CONSTANTS).step_s


def test_recompute_and_quantisation_cost_time() -> None:
    lora = a_run(method="lora", lora_targets=ALL, recompute="none", gpus=1.0, sharding="none")
    plain = speed(run=lora, constants=CONSTANTS).step_s
    assert speed(run=lora.with_(recompute="full"), constants=CONSTANTS).step_s > plain
    assert speed(run=lora.with_(method="qlora", quantization="nf4"), constants=CONSTANTS).step_s > plain


def test_fp8_gains_less_than_twice() -> None:
    wide = a_run(stack="torchtitan")
    ratio = (
        speed(run=wide, constants=CONSTANTS).step_s
        / speed(run=wide.with_(compute_dtype="fp8"), constants=CONSTANTS).step_s
    )
    assert 1.05 < ratio < 1.8


def test_cards_without_bf16_train_at_their_fp16_rate() -> None:
    run = a_run(accelerator=card("v100-32gb-sxm"), compute_dtype="fp16")
    assert peak_flop_per_s(run=run) == card("v100-32gb-sxm").fp16_flop_per_s
    assert peak_flop_per_s(run=run.with_(compute_dtype="bf16")) == card("v100-32gb-sxm").fp16_flop_per_s


def test_a_block_answers_as_its_members_do() -> None:
    cards = [card(name) for name in ("a100-80gb-sxm", "rtx-4090", "mi300x", "t4", "h100-80gb-sxm")]
    block = Accelerator(
        **{
            f.name: tuple(getattr(c, f.name) for c in cards)
            if f.name in ("id", "family")
            else np.array([getattr(c, f.name) for c in cards]).reshape(-1, 1, 1)
            for f in fields(Accelerator)
        }
    )
    counts, micro = np.array([1.0, 8.0, 64.0]), np.array([1.0, 4.0])
    for sharding in ("fsdp", "ddp", "hsdp", "zero2"):
        run = a_run(
            sharding=sharding,
            accelerator=block,
            gpus=counts.reshape(1, -1, 1),
            micro_batch=micro.reshape(1, 1, -1),
            global_batch=256.0,
            offload="params",
        )
        answer = speed(run=run, constants=CONSTANTS)
        assert np.shape(answer.tokens_per_s_per_gpu) == (5, 3, 2)
        assert np.allclose(sum(answer.parts_s.values()), answer.step_s, rtol=1e-12)
        for i, one in enumerate(cards):
            for j, gpus in enumerate(counts):
                for k, size in enumerate(micro):
                    alone = speed(
                        run=run.with_(accelerator=one, gpus=float(gpus), micro_batch=float(size)),
                        constants=CONSTANTS,
                    )
                    where = (sharding, one.id, gpus, size)
                    assert answer.step_s[i, j, k] == pytest.approx(alone.step_s, rel=1e-12), where
                    assert answer.mfu[i, j, k] == pytest.approx(alone.mfu, rel=1e-12), where
                    low = np.broadcast_to(answer.low_factor, (5, 3, 2))[i, j, k]
                    assert low == pytest.approx(alone.low_factor), where


def test_one_product_by_hand() -> None:
    # 1000 tokens through 100 -> 200: 4e7 FLOP a pass; idle wave 2 x 50 x 100; operands (1000 x 300 + 20000).
    sums = Sums(weights=20000.0, in_whole=100.0, out_split=200.0, modules=1.0)
    unit = Unit(flop_per_s=1e9, memory_bytes_per_s=1e9, idle_outputs=50.0, operand_fraction=0.5)
    seconds = products_s(sums=sums, unit=unit, counts=Counts(forward=1.0), tokens=1000.0, tp=1.0)
    assert seconds == pytest.approx(0.04 + 1e-5 + 0.5 * 2.0 * 320000.0 / 1e9)


def test_sums_over_a_known_model() -> None:
    llama = resolve_model("meta-llama/Llama-2-7b-hf").architecture
    plain, fused = dense_sums(llama), dense_sums(llama, True)
    assert plain.weights == fused.weights == 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert plain.modules == 32 * 7
    assert fused.modules == 32 * 4
    assert dense_sums(llama, False, True).weights == plain.weights - 32 * 4096 * 11008


def test_bubble_of_a_known_schedule() -> None:
    run = RUNS["70B Megatron"]
    constants = Constants({"pipeline_chunks": 2.0})
    # 64 / (4 x 4 x 2) = 2 replicas, 64 micro-batches, 3 stages to fill, 2 chunks
    assert bubble_fraction(run=run, constants=constants) == pytest.approx(3.0 / (2.0 * 64.0))


def test_delays_average_over_the_micro_batches_between_two_meetings() -> None:
    per_doubling = CONSTANTS["straggler_fraction_per_doubling"]
    run = a_run(gpus=64.0, sharding="zero1", global_batch=64.0 * 2.0 * 4.0)
    fraction = partial(straggler_fraction, constants=Constants(CONSTANTS))
    assert fraction(run=run) == pytest.approx(per_doubling * 3.0 / 2.0)
    assert fraction(run=run.with_(sharding="fsdp")) == pytest.approx(per_doubling * 3.0)
    assert fraction(run=run.with_(gpus=8.0)) == 0.0


def test_a_merging_ring_slows_attention_and_nothing_else() -> None:
    ring, ulysses = (a_run(stack=stack, gpus=16.0, cp=8.0, seq_len=65536.0) for stack in ("torchtitan", "xtuner"))
    alone, apart = ring.with_(cp=1.0, seq_len=8192.0), ulysses.with_(cp=1.0, seq_len=8192.0)
    known = Constants(CONSTANTS)

    def seconds(run: Run) -> float:
        return float(attention_s(run=run, constants=known, forward=1.0))

    assert seconds(alone) == seconds(apart)
    assert seconds(ring) * CONSTANTS["ring_attention_fraction"] == pytest.approx(seconds(ulysses))


@pytest.mark.parametrize(("name", "faster"), [("a100-80gb-sxm", False), ("h100-80gb-sxm", True), ("mi300x", True)])
def test_the_makers_kernel_serves_where_it_is_faster(name: str, faster: bool) -> None:
    plain, makers = (
        attention_s(run=a_run(accelerator=card(name), stack=stack), constants=Constants(CONSTANTS), forward=1.0)
        for stack in ("xtuner", "megatron")
    )
    assert makers < plain if faster else makers == plain


def test_unpacking_a_quantised_module_costs_the_host_half_an_adapter() -> None:
    plain = RUNS["8B LoRA, one card"]
    known = Constants(CONSTANTS)
    bare, packed = (
        launch_s(run=plain.with_(quantization=kind), constants=known, forward=2.0) for kind in ("", "nf4")
    )
    layer, adapter = CONSTANTS["eager_launch_s_per_layer"], CONSTANTS["launch_layers_per_adapter"]
    assert packed - bare == pytest.approx(3.0 * 32 * 7 * 0.5 * adapter * layer)


def test_unpacking_is_traffic_and_vector_work() -> None:
    run = RUNS["8B LoRA, one card"].with_(quantization="nf4", method="qlora")
    flop = CONSTANTS["nf4_dequantise_flop_per_parameter"]
    for name, bandwidth, fp32 in (("a100-80gb-sxm", 2.039e12, 19.5e12), ("rtx-4090", 1.008e12, 82.6e12)):
        found = dequantise_s(run=run.with_(accelerator=card(name)), constants=Constants(CONSTANTS), passes=3.0)
        each = 2.56 / (bandwidth * CONSTANTS["bandwidth_fraction"]) + flop / fp32
        assert found == pytest.approx(3.0 * 6979321856 * each)
    assert dequantise_s(run=run.with_(quantization=""), constants=Constants(CONSTANTS), passes=3.0) == 0.0


def test_a_fused_stack_fuses_adapters_when_its_loss_is_fused() -> None:
    run = RUNS["8B LoRA, one card"].with_(stack="hf-fused")
    plain, fused = (speed(run=run.with_(loss=loss), constants=CONSTANTS).parts_s for loss in ("full", "fused"))
    assert fused["adapters"] < 0.5 * plain["adapters"]


def test_every_family_and_stack_has_constants() -> None:
    assert set(KERNEL_CLASS) == set(CHOICES["stack"])
    names = frozenset(CONSTANTS)
    for family in ("volta", "turing", "blackwell-consumer", "cdna2", "cdna4", "tpu", "trainium"):
        for what in ("bf16_matmul_ceiling_fraction", "attention_fraction", "interval_widening_exponent"):
            assert family_row(what=what, family=family, names=names) in names


def test_the_fit_starts_inside_its_bounds() -> None:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "speed_starts.toml"
    starts = tomli.loads(path.read_text(encoding="utf-8"))
    fitted = {
        row.name
        for row in CONSTANTS.rows
        if row.source.startswith("estimator/data/calibration_speed.csv") and "_throughput_" not in f"_{row.name}"
    }
    assert set(starts) == fitted
    for name, value in starts.items():
        row = CONSTANTS.row(name)
        assert row.minimum <= value <= row.maximum, name
        assert row.minimum <= row.base <= row.maximum, name


#: Ordinary jobs on shapes that no calibration row has.
UNUSUAL: dict[str, dict[str, object]] = {
    "135M on one card": {
        "model": "HuggingFaceTB/SmolLM2-135M",
        "gpus": 1.0,
        "sharding": "none",
        "micro_batch": 64.0,
        "recompute": "none",
    },
    "8B at a million tokens": {"gpus": 1.0, "sharding": "none", "micro_batch": 1.0, "seq_len": 2.0**20},
    "8B full on eight GeForce cards": {"card": "rtx-4090", "gpus": 8.0},
    "8B QLoRA on eight GeForce cards": {
        "card": "rtx-5090",
        "gpus": 8.0,
        "method": "qlora",
        "quantization": "nf4",
        "lora_targets": ALL,
    },
    "70B LoRA, FSDP, one node": {
        "model": "meta-llama/Llama-3.1-70B",
        "gpus": 8.0,
        "method": "lora",
        "lora_targets": ALL,
        "micro_batch": 1.0,
    },
    "GPT-OSS-120B LoRA, one node": {
        "model": "openai/gpt-oss-120b",
        "gpus": 8.0,
        "method": "lora",
        "lora_targets": ALL[:4],
    },
    "DeepSeek-V3, 32 nodes": {
        "model": "deepseek-ai/DeepSeek-V3",
        "gpus": 256.0,
        "ep": 32.0,
        "global_batch": 512.0,
    },
}


@pytest.mark.parametrize("stack", ["hf", "hf-fused", "torchtitan", "megatron", "nemo-automodel"])
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_shapes_stay_within_what_hardware_does(name: str, stack: str) -> None:
    changes = dict(UNUSUAL[name])
    changes["architecture"] = resolve_model(str(changes.pop("model", "meta-llama/Llama-3.1-8B"))).architecture
    changes["accelerator"] = card(str(changes.pop("card", "h100-80gb-sxm")))
    answer = speed(run=a_run(stack=stack, **changes), constants=CONSTANTS)
    assert 0.005 < answer.mfu < 0.75
    assert answer.mfu <= answer.hfu < 1.0


def test_micro_batches_of_few_tokens_wait_for_the_host() -> None:
    run = a_run(gpus=1.0, sharding="none", micro_batch=1.0, global_batch=1.0, method="lora", lora_targets=ALL)
    few, more = (speed(run=run.with_(seq_len=tokens), constants=CONSTANTS) for tokens in (4.0, 64.0))
    assert resource_fractions(parts_s=few.parts_s)["host"] > 0.5
    assert few.step_s < more.step_s < 1.1 * few.step_s


@pytest.mark.parametrize(("older", "newer"), [("a100-80gb-sxm", "h100-80gb-sxm"), ("h100-80gb-sxm", "b200-sxm")])
@pytest.mark.parametrize("name", RUNS)
def test_a_newer_generation_is_never_slower(name: str, older: str, newer: str) -> None:
    for seq_len in (512.0, 131072.0):
        run = RUNS[name].with_(compute_dtype="bf16", seq_len=seq_len)
        old, new = (
            speed(run=run.with_(accelerator=card(which)), constants=CONSTANTS).step_s for which in (older, newer)
        )
        assert new < old, seq_len


def test_a_family_without_rows_gets_a_wider_interval() -> None:
    known = speed(run=a_run(), constants=CONSTANTS)
    unknown = speed(run=a_run(accelerator=card("tpu-v5p")), constants=CONSTANTS)
    assert unknown.low_factor < known.low_factor
    assert unknown.high_factor > known.high_factor


def test_errors_on_the_calibration_rows() -> None:
    rows, _ = read_runs("speed")
    assert len(rows) > 450
    off, inside = [], []
    for row in rows:
        answer = speed(run=row.run, constants=CONSTANTS)
        ratio = row.tokens_per_s_per_gpu / answer.tokens_per_s_per_gpu
        off.append(abs(1.0 / ratio - 1.0))
        inside.append(answer.low_factor <= ratio <= answer.high_factor)
    assert np.median(off) < 0.05
    assert np.quantile(off, 0.9) < 0.21
    assert 0.75 <= np.mean(inside) <= 0.88


#: Known jobs: what the source states, and the range that counts as reproduced.
KNOWN_JOBS = {
    "MLPerf Training 4.1 Llama-2-70B LoRA, 8 H100 (tokens/s/GPU)": ("mlp-041", 0.10),
    "7B QLoRA on 24 GB cards, fsdp_qlora benchmarks 2024-03": ("fsq-009", 0.15),
    "8B full, bf16, 8 H100, torchao float8 README": ("ao-001", 0.20),
    "8B full, fp8, 8 H100, torchao float8 README": ("ao-002", 0.15),
    "405B pre-training, fp8, 1,024 H100, Megatron-Bridge": ("mbr-042", 0.12),
}


@pytest.mark.parametrize("job", KNOWN_JOBS)
def test_known_jobs(job: str) -> None:
    name, tolerance = KNOWN_JOBS[job]
    row = next(row for row in read_runs("speed")[0] if row.id == name)
    answer = speed(run=row.run, constants=CONSTANTS)
    assert answer.tokens_per_s_per_gpu == pytest.approx(row.tokens_per_s_per_gpu, rel=tolerance)


def test_a_job_is_the_sum_of_its_parts() -> None:
    job = {
        "tokens_per_s": 1e4,
        "train_tokens": 3.6e7,
        "evaluation_tokens": 1e6,
        "evaluations": 3.0,
        "weights_bytes": 16e9,
        "checkpoint_bytes": 32e9,
        "checkpoints": 2.0,
        "interruptions_per_hour": 0.0,
    }
    job["machines"] = 1.0
    quiet = job_time(**job, constants=CONSTANTS)
    four = job_time(**{**job, "machines": 4.0}, constants=CONSTANTS)
    assert four["checkpoints"] == quiet["checkpoints"] / 4
    assert quiet["training"] == 3600.0
    assert quiet["restarts"] == 0.0
    assert quiet["checkpoints"] == 2.0 * 32e9 / CONSTANTS["storage_write_bytes_per_s"]
    spot = job_time(**{**job, "interruptions_per_hour": 0.1}, constants=CONSTANTS)
    assert spot["restarts"] > 0.0
    assert {k: v for k, v in spot.items() if k != "restarts"} == {
        k: v for k, v in quiet.items() if k != "restarts"
    }
    more = job_time(**{**job, "interruptions_per_hour": 0.1, "checkpoints": 8.0}, constants=CONSTANTS)
    assert more["restarts"] < spot["restarts"]
