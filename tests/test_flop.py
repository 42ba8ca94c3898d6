"""Matrix-product FLOP against PyTorch's own counter (benchmarks/torch_flop.csv) and by hand."""

import csv
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from estimator.accelerator import Accelerator
from estimator.architecture import Architecture
from estimator.flop import (
    backward_flop_per_token,
    forward_flop_per_token,
    hardware_flop_per_token,
    micro_batch_matmul_flop,
    model_flop_per_token,
)
from estimator.hf.config import architecture_of
from estimator.run import Run, lora_roles

COUNTED = Path(__file__).parents[1] / "benchmarks" / "torch_flop.csv"
NO_CARD = Accelerator(**{f.name: "none" if f.name in ("id", "family") else 1.0 for f in fields(Accelerator)})
SMALL = Architecture(
    id="small",
    family="llama",
    layers=3,
    hidden=8,
    heads=2,
    kv_heads=1,
    head_dim=4,
    vocab=50,
    intermediate=16,
    gated_mlp=True,
    tied_embeddings=False,
    max_position=64,
)
# One layer of SMALL: q 8x8, k and v 8x4 each, o 8x8, gate, up and down 8x16 each; the head is 8x50.
LAYER = 64 + 32 + 32 + 64 + 3 * 128
HEAD = 400


def small(**settings: Any) -> Run:
    common: dict[str, Any] = {"method": "full", "micro_batch": 2.0, "seq_len": 10.0, "lora_rank": 4.0}
    return Run(architecture=SMALL, accelerator=NO_CARD, **{**common, **settings})


def counted() -> list[Any]:
    with COUNTED.open(newline="") as file:
        return [pytest.param(row, id=row["id"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("row", counted())
def test_equals_the_counter_of_pytorch(row: dict[str, str]) -> None:
    run = Run(
        architecture=architecture_of(json.loads(row["config"]), file=row["id"]),
        accelerator=NO_CARD,
        method=row["method"],
        lora_rank=float(row["lora_rank"]),
        lora_targets=lora_roles(row["lora_targets"], where="lora_targets") if row["lora_targets"] else (),
        recompute=row["recompute"],
        micro_batch=float(row["micro_batch"]),
        seq_len=float(row["seq_len"]),
    )
    assert micro_batch_matmul_flop(run=run) == pytest.approx(float(row["matmul_flop"]), rel=1e-6)


def test_full_training_is_three_forward_passes_and_recompute_a_fourth_of_the_blocks() -> None:
    attention = 3 * 2 * 2 * 8 * 10  # layers x products x 2 FLOP x width x length
    forward = 2 * (3 * LAYER + HEAD) + attention
    assert forward_flop_per_token(run=small()) == forward
    assert micro_batch_matmul_flop(run=small()) == 20 * 3 * forward
    again = small(recompute="full")
    assert hardware_flop_per_token(run=again) == 3 * forward + 2 * 3 * LAYER + attention
    assert model_flop_per_token(run=again) == 3 * forward


def test_adapters_on_queries_spare_the_first_block_what_lies_before_them() -> None:
    run = small(method="lora", lora_targets=("q",))
    pairs = 3 * 4 * (8 + 8)  # layers x rank x (in + out)
    inputs = 2 * (3 * LAYER + HEAD) - 2 * (64 + 32 + 32)  # q, k and v of block 0 need no input gradient
    weights_and_inputs = 2 * 2 * pairs - 2 * 4 * 8  # nor does the first A
    attention = 3 * 4 * 2 * 8 * 10 - 2 * 2 * 8 * 10  # block 0: neither keys nor values
    assert backward_flop_per_token(run=run) == inputs + weights_and_inputs + attention


def test_nothing_flows_below_an_adapter_on_the_head() -> None:
    run = small(method="lora", lora_targets=("head",))
    assert backward_flop_per_token(run=run) == 2 * 4 * 8 + 2 * 2 * 4 * 50
    trained = small(method="lora", also_trained=("head",), lora_targets=("q",))
    plain = small(method="lora", lora_targets=("q",))
    assert backward_flop_per_token(run=trained) - backward_flop_per_token(run=plain) == 2 * HEAD


def test_trained_embeddings_need_every_input_gradient() -> None:
    run = small(method="lora", lora_targets=("down",), also_trained=("embeddings",))
    assert backward_flop_per_token(run=run) == backward_flop_per_token(
        run=small(method="lora", lora_targets=("down",), recompute="full")
    )


def test_selective_recompute_repeats_attention_or_every_second_product() -> None:
    attention = 3 * 2 * 2 * 8 * 10
    base = hardware_flop_per_token(run=small())
    assert hardware_flop_per_token(run=small(recompute="selective")) - base == attention
    alternate = small(recompute="selective", stack="torchtitan")
    assert hardware_flop_per_token(run=alternate) - base == 3 * LAYER


def test_one_replica_counts_alike_however_it_is_sharded() -> None:
    split = small(gpus=8.0, tp=2.0, pp=2.0, cp=2.0)
    assert micro_batch_matmul_flop(run=split) == micro_batch_matmul_flop(run=small())


def test_a_block_of_runs_equals_its_runs_one_by_one() -> None:
    ranks, lengths = np.array([[4.0], [64.0]]), np.array([16.0, 128.0, 1024.0])
    settings: dict[str, Any] = {"method": "lora", "lora_targets": ("q", "v"), "recompute": "full"}
    block = micro_batch_matmul_flop(run=small(lora_rank=ranks, seq_len=lengths, **settings))
    single = [
        [micro_batch_matmul_flop(run=small(lora_rank=r, seq_len=s, **settings)) for s in lengths]
        for r in ranks[:, 0]
    ]
    assert np.array_equal(block, single)
