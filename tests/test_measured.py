from pathlib import Path

import pytest

from estimator.errors import InputError
from estimator.measured import read_runs
from estimator.numbers import GIB

HEADER = "model,method,gpu,micro_batch,seq_len"


def csv_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_shipped_row_is_read_or_named():
    for name, count in (("memory", 324), ("speed", 472)):
        rows, problems = read_runs(name)
        assert len(rows) + len(problems) == count
        assert problems == []
        assert len({row.id for row in rows}) == len(rows)


def test_five_columns_are_enough_and_what_was_assumed_is_said(tmp_path):
    rows, problems = read_runs(csv_file(tmp_path, HEADER, "mistralai/Mistral-7B-v0.1,qlora,l4,2,1024"))
    assert problems == []
    (row,) = rows
    assert row.id == "line 2"
    assert row.run.quantization == "nf4"
    assert row.run.lora_targets == ("q", "v")
    assert row.run.global_batch == 2.0
    assert row.run.sharding == "none"
    assert row.peak_memory_bytes is None
    assert "recompute=full" in row.assumed
    assert "lora_rank=8" in row.assumed


@pytest.mark.parametrize(
    "cells", ["out-of-memory,,", "OOM,,", ",oom,", ",Out of memory,OOM", "out_of_memory,,1500"]
)
def test_out_of_memory_is_read_however_it_is_written(tmp_path, cells):
    header = f"{HEADER},outcome,peak_memory_gib,tokens_per_s_per_gpu"
    rows, problems = read_runs(csv_file(tmp_path, header, f"llama-3.1-8b,full,rtx-4090,1,2048,{cells}"))
    assert problems == []
    assert (rows[0].out_of_memory, rows[0].peak_memory_bytes) == (True, None)


@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        ("hf,full,4,,,", "fp32"),
        ("hf-fused,full,4,hsdp,,", "fp32"),
        ("hf,full,1,fsdp,yes,", "fp32"),
        ("hf,full,4,fsdp,no,", "bf16"),
        ("hf,full,4,fsdp,,bf16", "bf16"),
        ("hf,full,1,,,", "bf16"),
        ("hf,full,4,ddp,,", "bf16"),
        ("hf,lora,4,fsdp,,", "bf16"),
        ("torchtune,full,4,fsdp,,", "bf16"),
    ],
)
def test_the_transformers_trainer_keeps_fp32_weights_where_it_shards_full_fine_tuning(tmp_path, row, dtype):
    header = f"stack,method,gpus,sharding,autocast,weights_dtype,{HEADER.replace('method,', '')}"
    rows, problems = read_runs(csv_file(tmp_path, header, f"{row},mistralai/Mistral-7B-v0.1,h100,1,1024"))
    assert problems == []
    assert rows[0].run.weights_dtype == dtype
    assert ("weights_dtype=fp32" in rows[0].assumed) == (dtype == "fp32")


def test_a_bad_row_is_a_problem_with_line_and_reason_and_stops_nothing(tmp_path):
    path = csv_file(
        tmp_path,
        "id," + HEADER + ",gpus,tp,peak_memory_gib,memory_kind",
        "a,no/such-model,full,l4,1,512,,,,",
        "b,mistralai/Mistral-7B-v0.1,full,no-such-gpu,1,512,,,,",
        "c,mistralai/Mistral-7B-v0.1,full,l4,0,512,,,,",
        "d,mistralai/Mistral-7B-v0.1,full,l4,nan,512,,,,",
        "e,mistralai/Mistral-7B-v0.1,full,l4,1,512,2,4,,",
        "f,mistralai/Mistral-7B-v0.1,full,l4,1,512,,,20,guessed",
        "g,mistralai/Mistral-7B-v0.1,full,l4,1,512,,,20,allocated",
        "h,mistralai/Mistral-7B-v0.1,dora,l4,1,512,,,,",
        "i,,full,l4,1,512,,,,",
    )
    rows, problems = read_runs(path)
    assert [row.id for row in rows] == ["g"]
    assert rows[0].peak_memory_bytes == 20 * GIB
    assert [(problem.id, problem.line) for problem in problems] == [
        (name, line) for line, name in zip((2, 3, 4, 5, 6, 7, 9, 10), "abcdefhi", strict=True)
    ]
    for problem, word in zip(
        problems,
        (
            "no/such-model",
            "no-such-gpu",
            "micro_batch",
            "micro_batch",
            "gpus",
            "guessed",
            "dora",
            "model is empty",
        ),
        strict=True,
    ):
        assert word in problem.reason


def test_the_optimizer_column_says_in_backward_with_a_word(tmp_path):
    header = HEADER + ",optimizer"
    rows, problems = read_runs(
        csv_file(
            tmp_path,
            header,
            "mistralai/Mistral-7B-v0.1,full,l4,1,512,paged-adamw in-backward",
            "mistralai/Mistral-7B-v0.1,full,l4,1,512,adamw backwards",
        )
    )
    assert (rows[0].run.optimizer, rows[0].run.optimizer_in_backward) == ("paged-adamw", True)
    assert "in-backward" in problems[0].reason


def test_memory_needs_no_gpu_but_speed_does(tmp_path):
    header = HEADER + ",peak_memory_gib,memory_kind,tokens_per_s_per_gpu"
    rows, problems = read_runs(
        csv_file(
            tmp_path,
            header,
            "mistralai/Mistral-7B-v0.1,lora,,1,512,16,allocated,",
            "mistralai/Mistral-7B-v0.1,lora,,1,512,,,900",
        )
    )
    assert any(entry.startswith("gpu=") for entry in rows[0].assumed)
    assert "gpu" in problems[0].reason


def test_a_missing_column_or_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"lacks the column.*seq_len"):
        read_runs(csv_file(tmp_path, "model,method,gpu,micro_batch", "m,full,l4,1"))
    with pytest.raises(InputError, match="cannot be read"):
        read_runs(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("row", "autocast", "packed"),
    [
        ("qlora,,", True, True),
        ("lora,,", False, True),
        ("lora,yes,", True, False),
        ("lora,yes,yes", True, True),
        ("lora,,no", False, False),
    ],
)
def test_stated_autocast_means_unpacked_rows_unless_packing_is_stated(tmp_path, row, autocast, packed):
    method, *stated = row.split(",")
    line = ",".join(("mistralai/Mistral-7B-v0.1", method, "l4", "2", "1024", *stated))
    ((found,), _) = read_runs(csv_file(tmp_path, f"{HEADER},autocast,packed", line))
    assert (found.run.autocast, found.run.packed) == (autocast, packed)
