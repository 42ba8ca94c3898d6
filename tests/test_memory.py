import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from estimator.accelerators import resolve_accelerator
from estimator.assumptions import shipped
from estimator.errors import UnknownNameError
from estimator.hf.config import read_config
from estimator.measured import read_runs
from estimator.memory import fits_word, memory, predicted_bytes, predicted_range_bytes, with_whole_experts
from estimator.models import resolve_model
from estimator.numbers import GIB
from estimator.run import CHOICES, Run, lora_roles

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CONSTANTS = dict(shipped())
ALL = ("q", "k", "v", "o", "gate", "up", "down")
MODELS = (
    "meta-llama/Meta-Llama-3-8B",
    "mistralai/Mixtral-8x7B-v0.1",
    "google/gemma-2-9b",
    "EleutherAI/pythia-2.8b",
)


def run(model: str = "meta-llama/Meta-Llama-3-8B", **changes: object) -> Run:
    base = Run(
        architecture=resolve_model(model).architecture,
        accelerator=resolve_accelerator("a100-80gb-sxm").accelerator,
        method="full",
        lora_targets=ALL,
        micro_batch=2.0,
        global_batch=16.0,
        seq_len=2048.0,
    )
    return replace(base, **changes)


def allocated(r: Run) -> float:
    return memory(run=r, constants=CONSTANTS).allocated_bytes


def truth_rows(name: str) -> list[dict[str, str]]:
    with (BENCHMARKS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_full_fine_tuning_in_bf16_has_a_floor_of_ten_bytes_a_parameter():
    r = run("mistralai/Mistral-7B-v0.1", micro_batch=1.0, global_batch=1.0, seq_len=128.0, recompute="full")
    m = memory(run=r, constants=CONSTANTS)
    assert m.moment == "step"
    assert m.allocated_bytes == pytest.approx(10 * 7_241_732_096)
    assert m.parts_bytes["update_temporary"] == pytest.approx(2 * 7_241_732_096)


def test_sharded_masters_cost_twenty_bytes_a_parameter_over_the_shards():
    r = run(
        "mistralai/Mistral-7B-v0.1", weights_dtype="fp32", autocast=True, sharding="fsdp", gpus=4.0,
        micro_batch=1.0, global_batch=4.0, seq_len=128.0, recompute="full",
    )  # fmt: skip
    assert allocated(r) == pytest.approx(20 * 7_241_732_096 / 4)


def test_nf4_leaves_embeddings_and_head_alone():
    r = run("mistralai/Mistral-7B-v0.1", method="qlora", quantization="nf4-double", stack="hf-lean")
    parts = memory(run=r, constants=CONSTANTS).parts_bytes
    linear = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    rest = 7_241_732_096 - linear
    assert parts["weights"] == pytest.approx(linear / 2 + 2 * rest)
    assert parts["quantization_constants"] == pytest.approx(linear * 0.127 / 8, rel=2e-3)


def test_experts_that_bitsandbytes_leaves_alone_are_held_whole():
    """Mixtral's experts, 32 x 8 x 3 x 4096 x 14336 numbers: PEFT holds them in fp32, a lean stack in bf16."""
    experts = 32 * 8 * 3 * 4096 * 14336
    for stack, each in (("hf", 4.0), ("hf-lean", 2.0)):
        quantised = run("mistralai/Mixtral-8x7B-v0.1", method="qlora", quantization="nf4-double", stack=stack)
        whole = with_whole_experts(run=quantised, constants=CONSTANTS).parts_bytes
        packed = memory(run=quantised, constants=CONSTANTS).parts_bytes
        assert whole["weights"] - packed["weights"] == pytest.approx(experts * (each - 0.5))
        scales = packed["quantization_constants"] - whole["quantization_constants"]
        assert scales == pytest.approx(experts * (1 / 64 + 4 / (64 * 256)))
    for other in (
        run(method="qlora", quantization="nf4"),
        quantised.with_(stack="litgpt"),
        quantised.with_(experts_quantized=False),
    ):
        assert with_whole_experts(run=other, constants=CONSTANTS) is None


def test_the_loss_peak_of_a_recomputed_lora_run_by_hand():
    """32 layer inputs, the last hidden state in fp32 and bf16, and 12 bytes per logit."""
    r = run(
        "mistralai/Mistral-7B-v0.1", method="lora", lora_targets=("q", "k", "v", "o"), recompute="full",
        micro_batch=4.0, global_batch=4.0, seq_len=4096.0,
    )  # fmt: skip
    parts = memory(run=r, constants=CONSTANTS).parts_bytes
    tokens = 4 * 4096
    assert parts["activations"] == pytest.approx(tokens * (32 * 2 * 4096 + 6 * 4096))
    assert parts["logits_and_loss"] == pytest.approx(tokens * 32000 * 12)


@pytest.mark.parametrize(
    ("table", "count", "median", "worst"),
    [("torch_memory.csv", 62, 0.005, 0.025), ("torch_random.csv", 100, 0.003, 0.035)],
)
def test_pytorch_counts_the_same_peaks(table, count, median, worst):
    errors = []
    for row in truth_rows(table):
        directory_config = json.loads(row["config"])
        r = run(
            architecture=_architecture(directory_config),
            method=row["method"],
            optimizer="adamw-fused",
            lora_rank=float(row["lora_rank"] or 0),
            lora_targets=lora_roles(row["lora_targets"], where="") if row["lora_targets"] else (),
            micro_batch=float(row["micro_batch"]),
            global_batch=float(row["micro_batch"]),
            seq_len=float(row["seq_len"]),
            recompute=row["recompute"],
            attention=row["attention"],
        )
        errors.append(abs(allocated(r) / float(row["peak_bytes"]) - 1))
    assert len(errors) == count
    assert np.median(errors) < median
    assert max(errors) < worst


def _architecture(config: dict[str, object]) -> object:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return read_config(path)


def test_measured_runs_are_met():
    rows, _ = read_runs("memory")
    errors, inside = [], []
    for row in rows:
        m = memory(run=row.run, constants=CONSTANTS)
        value = predicted_bytes(predicted=m, kind=row.memory_kind)
        low, high = predicted_range_bytes(run=row.run, predicted=m, kind=row.memory_kind, constants=CONSTANTS)
        errors.append(abs(value / row.peak_memory_bytes - 1))
        inside.append(low <= row.peak_memory_bytes <= high)
    assert np.median(errors) < 0.025
    assert np.quantile(errors, 0.9) < 0.15
    assert 0.8 < np.mean(inside) < 0.9


@pytest.mark.parametrize(
    ("changes", "tracked_gib"),
    [
        ({"method": "lora", "lora_rank": 16.0, "micro_batch": 1.0, "seq_len": 2048.0}, 62.415),
        ({"method": "full", "micro_batch": 8.0, "seq_len": 1024.0, "recompute": "full"}, 58.816),
    ],
)
def test_one_key_head_costs_falcon_its_score_matrices(changes, tracked_gib):
    """PyTorch's tracker on the Transformers class; its fused kernels do not take one key head for 71."""
    r = run("tiiuae/falcon-7b", optimizer="adamw-fused", **changes)
    r = r.with_(global_batch=r.micro_batch)
    assert allocated(r) == pytest.approx(tracked_gib * GIB, rel=0.02)
    assert allocated(r.with_(stack="litgpt")) < 0.95 * allocated(r)


def test_litgpt_keeps_what_quantised_modules_read():
    """Per layer and token of Llama 2 7B: input of q k v, of o, of gate and up, of down."""
    r = run(
        "meta-llama/Llama-2-7b-hf", method="qlora", quantization="nf4", stack="litgpt", loss="chunked",
        lora_targets=("q", "v"), lora_rank=32.0, micro_batch=2.0, global_batch=2.0, seq_len=512.0,
    )  # fmt: skip
    without = memory(run=r, constants=CONSTANTS | {"memory_quantized_input_bytes": 0.0}).allocated_bytes
    read = 3 * 4096 + 11008
    assert allocated(r) - without == pytest.approx(
        CONSTANTS["memory_quantized_input_bytes"] * read * 32 * 1024, rel=1e-6
    )


def test_a_real_process_holds_at_least_what_the_allocators_rules_leave():
    rows = truth_rows("torch_pool.csv")
    one = [float(row["gaps_per_dynamic"]) for row in rows if row["median_length"] == "0"]
    many = [float(row["gaps_per_logits"]) for row in rows if row["median_length"] != "0"]
    assert (len(one), len(many)) == (9, 18)
    assert CONSTANTS["memory_gaps_one_length_fraction"] >= np.mean(one)
    assert CONSTANTS["memory_gaps_many_lengths_fraction"] >= max(many)
    assert min(many) > 2 * min(one)


def test_the_spread_grows_with_the_share_that_is_not_state():
    long, short = (run(recompute="full", seq_len=length, method="lora") for length in (8192.0, 256.0))
    ratios = []
    for r in (short, long):
        low, high = predicted_range_bytes(
            run=r, predicted=memory(run=r, constants=CONSTANTS), kind="allocated", constants=CONSTANTS
        )
        ratios.append(high / low)
    floor = 81 ** (CONSTANTS["memory_error_scale_allocated_hf"] * CONSTANTS["memory_error_least_share"])
    assert ratios[0] == pytest.approx(floor)
    assert ratios[1] > 1.5 * floor - 0.5


@pytest.mark.parametrize("stack", CHOICES["stack"])
@pytest.mark.parametrize("model", MODELS)
def test_parts_sum_to_the_peak_in_every_stack(stack, model):
    for method, quantization in (("full", ""), ("lora", ""), ("qlora", "nf4"), ("qlora", "gptq-int4")):
        for sharding, gpus in (("none", 1.0), ("ddp", 2.0), ("zero1", 4.0), ("zero2", 4.0), ("fsdp", 4.0)):
            for recompute in CHOICES["recompute"]:
                r = run(
                    model, stack=stack, method=method, quantization=quantization, sharding=sharding, gpus=gpus,
                    recompute=recompute,
                )  # fmt: skip
                m = memory(run=r, constants=CONSTANTS)
                assert sum(m.parts_bytes.values()) == m.allocated_bytes
                assert all(part >= 0 for part in m.parts_bytes.values())
                assert m.allocated_bytes <= m.reserved_bytes < m.device_bytes
                assert m.low_bytes < m.device_bytes < m.high_bytes
                assert 0 <= m.fits_probability <= 1


@pytest.mark.parametrize("stack", CHOICES["stack"])
@pytest.mark.parametrize("model", MODELS)
def test_less_work_or_more_sharing_never_costs_memory(stack, model):
    for method, quantization in (("full", ""), ("lora", ""), ("qlora", "nf4")):
        r = run(model, stack=stack, method=method, quantization=quantization)
        assert allocated(r.with_(seq_len=4096.0)) >= allocated(r.with_(seq_len=2048.0))
        assert allocated(r.with_(micro_batch=4.0)) >= allocated(r.with_(micro_batch=2.0))
        modes = [allocated(r.with_(recompute=mode)) for mode in ("full", "selective", "none")]
        assert modes == sorted(modes)
        losses = [allocated(r.with_(loss=loss)) for loss in ("fused", "chunked", "full")]
        assert losses == sorted(losses)
        for sharding in ("fsdp", "hsdp", "zero1", "zero2"):
            sizes = [
                allocated(r.with_(sharding=sharding, gpus=float(n), recompute="full", global_batch=float(4 * n)))
                for n in (1, 2, 4, 8, 64)
            ]
            assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("model", MODELS)
def test_methods_are_ordered(model):
    for recompute in ("none", "full"):
        qlora = run(model, method="qlora", quantization="nf4", recompute=recompute, stack="hf-lean")
        lora = qlora.with_(method="lora", quantization="")
        full = lora.with_(method="full", recompute="none")
        assert allocated(qlora) <= allocated(lora) <= allocated(full)


def test_optimizers_are_ordered():
    r = run(recompute="full", loss="fused")
    peaks = [
        allocated(r.with_(optimizer=o)) for o in ("paged-adamw", "adamw-4bit", "lion", "adamw-8bit", "adamw-fused")
    ]
    assert peaks == sorted(peaks)
    assert allocated(r.with_(optimizer="adamw-fused")) <= allocated(r)
    assert allocated(r.with_(optimizer_in_backward=True)) < allocated(r)


def test_an_array_answers_as_its_elements_do():
    gpus = np.array([2.0, 8.0]).reshape(1, 2, 1)
    micro = np.array([1.0, 4.0, 32.0]).reshape(1, 1, 3)
    small, large = (resolve_accelerator(name).accelerator for name in ("rtx-4090", "h100-80gb-sxm"))
    both = np.array([small.memory_bytes, large.memory_bytes]).reshape(2, 1, 1)
    for method, quantization, sharding in (
        ("full", "", "fsdp"), ("full", "", "zero2"), ("lora", "", "ddp"), ("qlora", "nf4", "fsdp"),
    ):  # fmt: skip
        r = run(method=method, quantization=quantization, sharding=sharding, global_batch=64.0, recompute="full")
        block = memory(
            run=r.with_(gpus=gpus, micro_batch=micro, accelerator=replace(small, memory_bytes=both)),
            constants=CONSTANTS,
        )
        assert np.shape(block.fits_probability) == (2, 2, 3)
        moments = np.broadcast_to(block.moment, (1, 2, 3))
        for i in range(2):
            for j in range(2):
                for k in range(3):
                    one = memory(
                        run=r.with_(
                            gpus=float(gpus[0, j, 0]), micro_batch=float(micro[0, 0, k]),
                            accelerator=(small, large)[i],
                        ),
                        constants=CONSTANTS,
                    )  # fmt: skip
                    assert isinstance(one.allocated_bytes, float)
                    assert isinstance(one.fits_probability, float)
                    assert moments[0, j, k] == one.moment
                    assert block.allocated_bytes[0, j, k] == pytest.approx(one.allocated_bytes)
                    assert block.fits_probability[i, j, k] == pytest.approx(one.fits_probability)
                    assert block.device_bytes[i, j, k] == pytest.approx(one.device_bytes)
                    for part, value in one.parts_bytes.items():
                        assert block.parts_bytes[part][0, j, k] == pytest.approx(value)


def test_model_parallel_degrees_divide():
    r = run(gpus=8.0, stack="megatron", sharding="zero1", micro_batch=1.0, global_batch=64.0)
    assert allocated(r.with_(tp=2.0)) < 0.75 * allocated(r)
    assert allocated(r.with_(pp=2.0)) < allocated(r)
    assert allocated(r.with_(cp=2.0)) < allocated(r)
    moe = run("mistralai/Mixtral-8x7B-v0.1", gpus=8.0, stack="megatron", sharding="zero1")
    assert allocated(moe.with_(ep=8.0)) < 0.4 * allocated(moe)


def test_offload_moves_state_or_activations_to_the_host():
    r = run(sharding="fsdp", gpus=4.0, recompute="full")
    assert memory(run=r.with_(offload="params"), constants=CONSTANTS).parts_bytes["weights"] == 0
    assert allocated(r.with_(offload="all")) <= allocated(r.with_(offload="params")) < allocated(r)
    assert allocated(r.with_(offload="activations")) <= allocated(r)


def test_the_pool_gives_back_what_the_card_does_not_have():
    r = run("mistralai/Mistral-7B-v0.1", method="lora", packed=False, recompute="full", micro_batch=12.0)
    roomy = memory(run=r, constants=CONSTANTS)
    tight = memory(run=r.with_(accelerator=resolve_accelerator("l40s").accelerator), constants=CONSTANTS)
    assert tight.device_bytes <= tight.limit_bytes < roomy.device_bytes
    assert tight.allocated_bytes == roomy.allocated_bytes


def test_probability_crosses_half_where_the_need_meets_the_limit():
    r = run("mistralai/Mistral-7B-v0.1", method="lora", recompute="full")
    card = r.accelerator
    probabilities = [
        memory(
            run=r.with_(accelerator=replace(card, memory_bytes=gib * GIB)), constants=CONSTANTS
        ).fits_probability
        for gib in (10, 14, 18, 22, 30)
    ]
    assert probabilities == sorted(probabilities)
    assert probabilities[0] < 0.01 < 0.99 < probabilities[-1]


def test_an_unpressed_pool_holds_the_step_beside_the_micro_batch():
    """10 bytes a parameter at the step, and the loss peak's 32 layer inputs, last states and 12 bytes a logit."""
    r = run("mistralai/Mistral-7B-v0.1", micro_batch=1.0, global_batch=1.0, recompute="full")
    roomy = r.with_(accelerator=resolve_accelerator("b200").accelerator)
    m = memory(run=roomy, constants=CONSTANTS)
    micro_batch = 2048 * (32 * 2 * 4096 + 8 * 4096 + 32000 * 12)
    slack = CONSTANTS["memory_pool_slack_bytes"]
    assert m.allocated_bytes == pytest.approx(10 * 7_241_732_096)
    assert m.reserved_bytes == pytest.approx(10 * 7_241_732_096 + micro_batch + slack)


def test_collectives_are_outside_the_pool():
    r = run(method="lora", recompute="full")
    one = memory(run=r, constants=CONSTANTS)
    two = memory(run=r.with_(gpus=2.0, sharding="ddp"), constants=CONSTANTS)
    context, collectives = CONSTANTS["memory_context_bytes"], CONSTANTS["memory_collectives_bytes"]
    assert one.device_bytes - one.reserved_bytes == pytest.approx(context)
    assert two.device_bytes - two.reserved_bytes == pytest.approx(context + collectives)


def test_only_logits_keep_blocks_of_many_lengths():
    r = run("Qwen/Qwen-7B", method="lora", lora_targets=("q", "v"), micro_batch=1.0, recompute="full")
    pools = [
        memory(run=r.with_(autocast=True, packed=False, loss=loss), constants=CONSTANTS)
        for loss in ("fused", "full")
    ]
    fused, full = (m.reserved_bytes / m.allocated_bytes for m in pools)
    assert fused < 1.2 < 1.4 < full


@pytest.mark.parametrize(
    ("model", "changes", "bytes_per_logit"),
    [
        ("Qwen/Qwen-7B", {}, 8),  # logits, their shifted copy, log-softmax and its gradient, all 16-bit
        ("Qwen/Qwen-7B", {"autocast": True}, 12),  # the loss casts to fp32
        ("mistralai/Mistral-7B-v0.1", {}, 12),  # the class casts to fp32
        ("mosaicml/mpt-7b", {"stack": "llm-foundry"}, 4),  # one kernel from 16-bit logits to their gradient
        ("mosaicml/mpt-7b", {"stack": "torchtitan"}, 8),
    ],
)
def test_bytes_of_a_logit(model, changes, bytes_per_logit):
    r = run(model, method="lora", lora_targets=("q", "v"), recompute="full", micro_batch=4.0, **changes)
    parts = memory(run=r, constants=CONSTANTS).parts_bytes
    assert parts["logits_and_loss"] == pytest.approx(8192 * r.architecture.vocab * bytes_per_logit)


def test_mpt_hands_views_of_its_fused_projection_to_attention():
    """Per layer and token: two norm inputs and outputs, three projections, attention output, 4 + 4 wide block."""
    r = run("llm-foundry/mpt-3b", stack="llm-foundry", sharding="fsdp", gpus=64.0, global_batch=128.0)
    saved = memory(run=r, constants=CONSTANTS).parts_bytes["activations"]
    per_layer = saved / (2 * 2048) / 2560 / 32 / 2
    assert 16 < per_layer < 17.5


def test_kinds_of_memory():
    m = memory(run=run(method="lora"), constants=CONSTANTS)
    assert predicted_bytes(predicted=m, kind="active") == m.allocated_bytes
    assert predicted_bytes(predicted=m, kind="unknown") == m.device_bytes
    assert predicted_bytes(predicted=m, kind="nvidia-smi") == m.device_bytes
    with pytest.raises(UnknownNameError, match="memory kind"):
        predicted_bytes(predicted=m, kind="vram")


@pytest.mark.parametrize(("probability", "word"), [(0.9, "yes"), (0.89, "likely"), (0.59, "risky"), (0.1, "no")])
def test_words(probability, word):
    assert fits_word(probability) == word
