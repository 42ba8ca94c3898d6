"""``ftcost measure``: what is run, what a row says, what becomes of failures; on the CPU where torch is."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from estimator.assumptions import shipped
from estimator.errors import InputError
from estimator.measured import read_runs
from estimator.measuring.configs import KEYS, config_keys, module_names
from estimator.measuring.device import clocks
from estimator.measuring.rows import COLUMNS
from estimator.measuring.runner import run_job
from estimator.measuring.session import MOST_CPU_PARAMETERS, check_packages, find_device
from estimator.measuring.settings import read_grid, setting
from estimator.measuring.worker import perform
from estimator.memory import memory
from estimator.models import models, resolve_model
from estimator.numbers import GIB
from estimator.parameters import total_parameters, trainable_parameters
from estimator.validation import validate
from reports.commands.measure import measure
from reports.options import measure_flags
from tests.test_cli import run

DRY_RUN = Path(__file__).parents[1] / "benchmarks" / "measure_dry_run.csv"
TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "peft", "accelerate"))
needs_torch = pytest.mark.skipif(not TORCH, reason="torch, transformers, peft and accelerate are not installed")

BITSANDBYTES = TORCH and importlib.util.find_spec("bitsandbytes")
needs_bitsandbytes = pytest.mark.skipif(not BITSANDBYTES, reason="bitsandbytes is not installed")

Answer = dict[str, Any]


def flags(out: Path, **changed: Any) -> dict[str, Any]:
    """Every flag of ``ftcost measure`` at its default, some changed."""
    import click

    context = click.Command("measure", params=list(measure_flags())).make_context("m", ["--out", str(out)])
    return context.params | {"no_ceilings": True} | changed


class Machine:
    """A worker without a machine: an H200 on which every setting takes twice its predicted second."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, name: str = "NVIDIA H200") -> None:
        self.answers = dict(answers or {})
        self.name = name
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, job: Mapping[str, Any], limit_s: float) -> Answer:
        self.asked.append(job)
        if job["kind"] == "device":
            card = {"device": self.name, "total_bytes": 140.4 * GIB, "used_bytes": 0.5 * GIB}
            return {"outcome": "ok", "count": 1, **card}
        if job["kind"] == "ceilings":
            row = {"kind": "copy", "dtype": "", "shape": "1", "value": "2400", "unit": "GB/s", "notes": ""}
            return {"outcome": "ok", "ceilings": [row]}
        cells = job["cells"]
        special = self.answers.get(cells["method"])
        if special is not None:
            if special.get("raises"):
                raise KeyboardInterrupt
            return special
        return {
            "outcome": "ok", "steps": job["steps"], "step_s_median": 2.0, "step_s_low": 1.9, "step_s_high": 2.2,
            "allocated_bytes": 10 * GIB, "reserved_bytes": 12 * GIB, "device_bytes": 13 * GIB,
            "parameters": job["parameters"], "trainable_parameters": 7, "torch": "2.9", "clock_mhz": "1980",
        }  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


GRID = '[[setting]]\nmodel = "qwen2.5-0.5b"\nmethod = ["full", "lora", "qlora"]\nseq_len = [512, 1024]\n'


def grid(folder: Path) -> str:
    path = folder / "grid.toml"
    path.write_text(GRID, encoding="utf-8")
    return str(path)


def test_the_planned_grid_covers_what_it_must() -> None:
    settings = read_grid("full")
    assert len(settings) >= 40
    values: dict[str, set[str]] = {}
    for one in settings:
        for column, value in one.cells.items():
            values.setdefault(column, set()).add(value)
    assert values["method"] == {"full", "lora", "qlora"}
    assert values["recompute"] == {"none", "full"}
    assert values["loss"] == {"full", "fused"}
    assert values["stack"] == {"hf", "hf-compile"}
    lengths, batches = ({int(v) for v in values[name]} for name in ("seq_len", "micro_batch"))
    assert (min(lengths), max(lengths)) == (512, 16384)
    assert (min(batches), max(batches)) == (1, 16)
    sizes = {one.cells["model"]: total_parameters(architecture=one.run.architecture) for one in settings}
    assert max(sizes.values()) > 14e9
    assert any(one.run.architecture.experts for one in settings)
    small = read_grid("small")
    assert {one.id for one in small} < {one.id for one in settings}


def test_a_row_says_what_was_expected_and_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs.csv"
    machine = Machine({"qlora": {"outcome": "out-of-memory", "message": "CUDA out of memory.\nTried"}})
    given = flags(out, grid=grid(tmp_path), steps=5, no_ceilings=False)
    assert measure(given, worker=machine, check=lambda: None) == 0
    rows = rows_of(out)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 6
    sizes = [float(row["predicted_reserved_gib"]) for row in rows]
    assert sizes == sorted(sizes)
    trained = [row for row in rows if row["outcome"] == "ok"]
    assert {row["method"] for row in trained} == {"full", "lora"}
    for row in trained:
        assert float(row["tokens_per_s_per_gpu"]) == int(row["seq_len"]) / 2.0
        assert (row["peak_memory_gib"], row["memory_kind"]) == ("10", "allocated")
        assert (row["reserved_gib"], row["device_gib"], row["gpu"]) == ("12", "13", "h200-sxm")
        assert (row["torch"], row["clock_mhz"], row["steps"]) == ("2.9", "1980", "5")
        assert row["id"].startswith("qwen2.5-0.5b-")
    failed = [row for row in rows if row["outcome"] == "out-of-memory"]
    assert len(failed) == 2
    assert all(row["notes"] == "CUDA out of memory. Tried" and not row["tokens_per_s_per_gpu"] for row in failed)
    assert rows_of(tmp_path / "runs-ceilings.csv")[0]["share_of_peak"] == "0.5000"
    err = capsys.readouterr().err
    assert "[1 of 6]" in err
    assert "left" in err
    read, problems = read_runs(out)
    assert not problems
    first = next(row for row in read if row.tokens_per_s_per_gpu)
    assert first.memories == (("allocated", 10 * GIB), ("reserved", 12 * GIB), ("nvidia-smi", 13 * GIB))
    checks = validate(path=out, constants=shipped()).checks
    same = {check.id: check.predicted for check in checks if check.quantity == "tokens_per_s_per_gpu"}
    for row in rows:
        assert float(row["predicted_tokens_per_s_per_gpu"]) == pytest.approx(same[row["id"]], rel=1e-3)


def test_a_session_goes_on_where_it_was_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs.csv"
    given = flags(out, grid=grid(tmp_path))
    stopped = Machine({"full": {"raises": True}})
    assert measure(given, worker=stopped, check=lambda: None) == 130
    done = rows_of(out)
    assert 0 < len(done) < 6
    assert "--append goes on" in capsys.readouterr().err
    with pytest.raises(InputError, match="--append"):
        measure(given, worker=Machine(), check=lambda: None)
    again = Machine()
    assert measure(given | {"append": True}, worker=again, check=lambda: None) == 0
    assert len([job for job in again.asked if job["kind"] == "train"]) == 6 - len(done)
    rows = rows_of(out)
    assert len(rows) == 6
    assert rows[: len(done)] == done
    idle = Machine()
    assert measure(given | {"append": True}, worker=idle, check=lambda: None) == 0
    assert [job["kind"] for job in idle.asked] == ["device"]


def test_crashes_are_tried_again_and_nothing_but_crashes_is_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "runs.csv"
    broken: Answer = {"outcome": "crashed", "message": "ended by signal 9"}
    given = flags(out, model="qwen2.5-0.5b")
    assert measure(given, worker=Machine({"lora": broken}), check=lambda: None) == 1
    assert rows_of(out)[0]["notes"] == "ended by signal 9"
    assert measure(given | {"append": True}, worker=Machine(), check=lambda: None) == 0
    assert [row["outcome"] for row in rows_of(out)] == ["ok"]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"method": "lora", "quantization": "nf4"}, "goes with method = qlora"),
        ({"method": "full", "lora_rank": "8"}, "adapter method"),
        ({"method": "lora", "weights_dtype": "fp32"}, "autocast = yes"),
        ({"method": "lora", "recompute": "selective"}, "full, none"),
        ({"method": "lora", "stack": "megatron"}, "hf, hf-compile"),
        ({"method": "lora", "micro_batch": "0.5"}, "whole number"),
        ({"method": "lora", "micro_batch": "0"}, "positive"),
        ({"method": "lora", "model": "bigscience/bloom-560m"}, "bloom"),
        ({"method": "qlora", "autocast": "no"}, "under autocast only"),
        ({"method": "lora", "model": "gemma-2-2b", "loss": "fused"}, "after the head"),
        ({"method": "lora", "colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(cells: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        setting({"model": "qwen2.5-0.5b", "seq_len": "512", **cells}, where="line 3")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("grid.csv", "model,method,seq_length\n7b,lora,512\n", "seq_len"),
        ("grid.csv", "model,method,seq_len\n7b,lora,512\n7b,lorra,512\n", "line 3"),
        ("grid.csv", "model,method,seq_len\n", "holds no setting"),
        ("grid.toml", "[[setting]]\nmodel = '7b'\nmethod = 'lora'\n", "seq_len is empty"),
        ("grid.toml", "model = '7b'\n", "[[setting]]"),
        ("grid.toml", "model = \n", "grid.toml"),
        ("grid.txt", "", "small"),
    ],
)
def test_a_bad_grid_is_refused_with_its_place(name: str, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_grid(str(path))
    assert says in str(refused.value)


def test_a_model_takes_the_place_of_the_grid_s_own() -> None:
    settings = read_grid("small", model="mistral-7b")
    assert {one.cells["model"] for one in settings} == {"mistralai/Mistral-7B-v0.3"}
    assert len({one.id for one in settings}) == len(settings)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("measure", "--out", "a.csv"), 2, "--grid"),
        (("measure", "--model", "7b"), 2, "--out"),
        (("measure", "--model", "7b", "--out", "a.txt"), 1, "a.csv"),
        (("measure", "--model", "7b", "--out", "a.csv", "--steps", "0"), 1, "--steps 0"),
        (("measure", "--model", "7b", "--out", "a.csv", "--device", "gpu"), 1, "unknown device"),
        (("measure", "--model", "7b", "--out", "a.csv", "--predict-only"), 1, "--gpu"),
        (("measure", "--model", "7b", "--out", "a.csv", "--predict-only", "--gpu", "h10"), 1, "H100"),
        (("measure", "--grid", "tiny", "--out", "a.csv"), 1, "full, small"),
        (("calibrate",), 2, "RUNS.CSV"),
        (("calibrate", "missing.csv"), 1, "missing.csv"),
        (("calibrate", "missing.csv", "--name", "../up"), 1, "letters, digits"),
    ],
)
def test_wrong_usage_has_one_message_and_a_code(
    words: tuple[str, ...],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTCOST_CONFIG_DIR", str(tmp_path))
    out, err, found = run(monkeypatch, capsys, *words)
    assert (out, found) == ("", code)
    assert says in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_message_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"torch.*pip install 'ftcost\[measure\]'"):
        check_packages()


@pytest.mark.parametrize(
    ("name", "gpu", "found"),
    [("NVIDIA H200", None, "h200-sxm"), ("NVIDIA A100-SXM4-40GB", None, "a100-40gb-sxm"), ("x", "l40s", "l40s")],
)
def test_the_card_is_known_by_the_name_that_torch_gives_it(name: str, gpu: str | None, found: str) -> None:
    device = find_device(worker=Machine(name=name), cpu=False, gpu=gpu)
    assert device.gpu == found
    assert bool(device.warnings) == (found != "h200-sxm")


def test_an_unknown_card_or_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"GeForce RTX 9999.*--gpu"):
        find_device(worker=Machine(name="GeForce RTX 9999"), cpu=False, gpu=None)
    with pytest.raises(InputError, match="--device cpu"):
        find_device(worker=lambda job, limit_s: {"outcome": "ok", "count": 0}, cpu=False, gpu=None)


def test_predictions_can_be_made_before_and_without_a_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "planned.csv"
    words = ("measure", "--grid", "full", "--predict-only", "--gpu", "h200", "--out", str(path))
    out, _, code = run(monkeypatch, capsys, *words)
    assert code == 0
    rows = rows_of(path)
    assert len(rows) == len(read_grid("full"))
    assert {row["outcome"] for row in rows} == {"not run"}
    assert all(float(row["predicted_tokens_per_s_per_gpu"]) > 0 and not row["peak_memory_gib"] for row in rows)
    assert max(len(line) for line in out.splitlines()) <= 80


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import json, sys, time, os\njob = json.load(open(sys.argv[1]))\n{code}")


@pytest.mark.parametrize(
    ("code", "outcome", "says"),
    [
        ("json.dump({'outcome': 'ok', 'seen': job['x']}, open(sys.argv[2], 'w'))", "ok", ""),
        ("sys.exit('no such kernel')", "crashed", "ended with code 1: no such kernel"),
        ("sys.exit('Error out of memory at line 380')", "out-of-memory", "Error out of memory at line 380"),
        ("os.kill(os.getpid(), 9)", "crashed", "ended by signal 9"),
        ("open(sys.argv[2], 'w').write('{half')", "crashed", "ended with code 0"),
        ("time.sleep(60)", "timed-out", "not done after 1 s"),
    ],
)
def test_whatever_a_child_does_is_an_answer(code: str, outcome: str, says: str) -> None:
    begun = time.monotonic()
    answer = run_job({"x": 3}, 1.0 if outcome == "timed-out" else 30.0, command=child(code))
    assert answer["outcome"] == outcome
    assert says in answer.get("message", "")
    assert answer.get("seen") == (3 if outcome == "ok" else None)
    assert time.monotonic() - begun < 20


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_an_interrupt_ends_the_child_and_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "beats"
    beats = f"import time\nwhile True:\n    open({str(mark)!r}, 'a').write('x')\n    time.sleep(0.05)"
    code = f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {beats!r}])\ntime.sleep(60)"
    script = (
        "import sys\nfrom estimator.measuring.runner import run_job\n"
        f"try:\n    run_job({{}}, 60.0, command={child(code)!r})\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    for _ in range(100):
        if mark.exists():
            break
        time.sleep(0.1)
    parent.send_signal(2)
    assert parent.wait(timeout=20) == 130
    time.sleep(0.2)
    size = mark.stat().st_size
    time.sleep(0.4)
    assert mark.stat().st_size == size > 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore"), "out-of-memory"),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED when calling cublasCreate"), "out-of-memory"),
        (MemoryError(), "out-of-memory"),
        (InputError("built 5 parameters"), "refused"),
        (ModuleNotFoundError("no", name="bitsandbytes"), "refused"),
        (ValueError("odd\nlines"), "crashed"),
    ],
)
def test_the_worker_names_what_went_wrong(error: Exception, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(job: Mapping[str, Any]) -> Answer:
        raise error

    monkeypatch.setattr("estimator.measuring.steps.train", fails)
    answer = perform({"kind": "train"})
    assert answer["outcome"] == outcome
    assert "\n" not in answer["message"]


def test_what_nvidia_smi_says_without_the_card_is_no_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A slice of a card has a UUID that nvidia-smi does not know: it says so on stdout, with a code."""
    smi = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    cuda = types.SimpleNamespace(get_device_properties=lambda device: types.SimpleNamespace(uuid="1-2"))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    said = []
    for text, code in (("1980, 700.00, 570.86", 0), ("No devices were found", 6)):
        smi.write_text(f'#!/bin/sh\n[ "$4" = GPU-1-2 ] && echo "{text}"\nexit {code}\n', encoding="utf-8")
        smi.chmod(0o755)
        said.append(clocks(None, busy=lambda: time.sleep(0.05)))
    assert said == [{"clock_mhz": "1980", "power_cap_watt": "700.00", "driver": "570.86"}, {}]


def test_a_mixture_is_quantised_without_its_experts(tmp_path: Path) -> None:
    cells = {"model": "allenai/OLMoE-1B-7B-0924", "method": "qlora", "seq_len": "512"}
    one = setting(cells, where="test").on("h200-sxm")
    assert (one.cells["experts_quantized"], one.cells["autocast"]) == ("no", "yes")
    assert not one.run.experts_quantized
    out = tmp_path / "runs.csv"
    given = flags(out, model=cells["model"], method="qlora", seq_len=512)
    assert measure(given, worker=Machine(), check=lambda: None) == 0
    (row,) = rows_of(out)
    assert "PEFT holds in fp32" in row["notes"]
    experts = 16 * 64 * 3 * 2048 * 1024
    assert float(row["predicted_allocated_gib"]) * GIB > 4 * experts
    read, _ = read_runs(out)
    assert not read[0].run.experts_quantized


def test_the_planned_grid_was_built_and_stepped_without_a_card() -> None:
    """Peaks that PyTorch's tracker counts when the harness trains on fake tensors, against the predictions.

    Modules run uncompiled there.
    """
    settings = {one.id: one for one in read_grid("full")}
    rows = rows_of(DRY_RUN)
    assert set(settings) < {row["id"] for row in rows}
    errors = []
    for row in rows:
        one = settings.get(row["id"]) or setting(
            {k: row[k] for k in ("model", "method", "seq_len", "micro_batch")}, where=""
        )
        run = one.run.with_(stack="hf")
        assert int(row["parameters"]) == total_parameters(architecture=run.architecture)
        assert int(row["trainable_parameters"]) == round(float(trainable_parameters(run=run)))
        error = float(memory(run=run, constants=shipped()).allocated_bytes) / float(row["peak_bytes"]) - 1
        errors.append(abs(error))
    assert len(errors) == 63
    assert np.median(errors) < 0.0025
    assert max(errors) < 0.015


def test_every_family_that_can_be_built_is_in_the_catalogue() -> None:
    families = {record.architecture.family for record in models().values()}
    assert set(KEYS) <= families
    assert module_names(family="phi3", roles=("q", "k", "v", "o")) == ["qkv_proj", "o_proj"]
    assert config_keys(resolve_model("mixtral-8x7b").architecture)["num_local_experts"] == 8


TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "intermediate_size": 64, "vocab_size": 128, "max_position_embeddings": 256,
}  # fmt: skip
EXTRA: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
}


@needs_torch
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {"method": "full"}),
        ("llama", {"method": "lora", "loss": "fused", "recompute": "none"}),
        ("qwen2", {"method": "lora", "lora_targets": "q v", "lora_rank": 4.0}),
        ("qwen2", {"method": "full", "attention": "eager", "optimizer": "adamw-fused"}),
        ("qwen3_moe", {"method": "lora", "weights_dtype": "fp32", "autocast": True}),
        ("qwen3_moe", {"method": "full", "loss": "fused"}),
        pytest.param("llama", {"method": "qlora", "loss": "fused"}, marks=needs_bitsandbytes),
        pytest.param("qwen3_moe", {"method": "qlora"}, marks=needs_bitsandbytes),
    ],
)
def test_tiny_models_train_on_the_cpu_with_the_counted_parameters(
    family: str, more: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / f"{family}.json"
    config.write_text(json.dumps({"model_type": family, **TINY, **EXTRA[family]}), encoding="utf-8")
    out = tmp_path / "runs.csv"
    given = flags(out, model=str(config), device="cpu", seq_len=32, micro_batch=2, steps=2, **more)
    assert measure(given) == 0
    (row,) = rows_of(out)
    cells = {key: str(value) for key, value in {"lora_rank": 16, "lora_targets": "all", **more}.items()}
    shape = resolve_model(str(config)).architecture
    assert int(row["parameters"]) == total_parameters(architecture=shape)
    wanted = {"model": str(config), "seq_len": "32", "method": cells["method"]}
    if cells["method"] != "full":
        wanted |= {"lora_rank": f"{float(cells['lora_rank']):g}", "lora_targets": cells["lora_targets"]}
    asked = setting(wanted, where="test")
    assert int(row["trainable_parameters"]) == round(float(trainable_parameters(run=asked.run)))
    assert float(row["tokens_per_s_per_gpu"]) == pytest.approx(64 / float(row["step_s_median"]), rel=1e-3)
    assert 0 < float(row["step_s_low"]) <= float(row["step_s_median"]) <= float(row["step_s_high"])
    assert (row["gpu"], row["peak_memory_gib"], row["outcome"]) == ("cpu", "", "ok")
    _, problems = read_runs(out)
    assert "CPU" in problems[0].reason


@needs_torch
def test_the_fused_loss_is_the_full_one_with_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from estimator.measuring import fused_loss

    monkeypatch.setattr(fused_loss, "chunk_tokens", lambda **_: 5)
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (2, 9))
    hidden, weight = torch.randn(2, 9, 4, requires_grad=True), torch.randn(11, 4, requires_grad=True)
    full = torch.nn.functional.cross_entropy(
        (hidden[:, :-1] @ weight.T).reshape(-1, 11), tokens[:, 1:].reshape(-1)
    )
    wanted = torch.autograd.grad(full, (hidden, weight))
    own = fused_loss.fused_loss(hidden, weight, tokens)
    found = torch.autograd.grad(3.0 * own, (hidden, weight))
    assert own.item() == pytest.approx(full.item(), rel=1e-6)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, 3.0 * other, atol=1e-6)


@needs_torch
def test_a_model_too_large_for_the_cpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{MOST_CPU_PARAMETERS:,}"):
        measure(flags(tmp_path / "a.csv", model="7b", device="cpu"))


@needs_torch
def test_the_ceilings_of_the_cpu_are_probed() -> None:
    answer = perform({"kind": "ceilings", "device": "cpu"})
    kinds = {(row["kind"], row["dtype"]) for row in answer["ceilings"] if float(row["value"]) > 0}
    assert kinds == {("matrix product", "fp32"), ("matrix product", "bf16"), ("copy", "")}
