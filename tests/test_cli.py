"""The command line as a user meets it: answers, refusals, exit codes, and what goes where."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from estimator.assumptions import shipped
from estimator.memory.peak import PARTS
from estimator.speed.bound import RESOURCE
from reports.cli import main
from reports.commands.estimate import MEMORY_FORMULAS, TIME_FORMULAS
from reports.commands.explain import formulas


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str, int]:
    """Stdout, stderr and exit code of one command."""
    monkeypatch.setattr(sys, "argv", ["ftcost", *words])
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return out, err, code


ON_EIGHT = ("estimate", "--model", "7b", "--gpus", "8")
ESTIMATE = ("estimate", "--model", "llama-3.1-8b", "--gpu", "h100-80gb-sxm", "--json")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("plan", "--model", "lama-3.1-8b"), 1, "llama-3.1-8b"),
        (("plan", "--model", "7b", "--rows", "0"), 1, "outside 1 to 1e+12"),
        (("plan", "--model", "7b", "--rows", "-5"), 1, "outside 1 to 1e+12"),
        (("plan", "--model", "7b", "--rows", "nan"), 1, "outside 1 to 1e+12"),
        (("plan", "--model", "7b", "--epochs", "inf"), 1, "outside 0.01 to 1000"),
        (("plan", "--model", "7b", "--rows", "2e12"), 1, "outside 1 to 1e+12"),
        (("plan", "--model", "7b", "--rows", "many"), 2, "not a valid float"),
        (("plan", "--model", "7b", "--gpu", "h10"), 1, "h100"),
        (("plan", "--model", "7b", "--provider", "awz"), 1, "aws"),
        (("plan", "--model", "7b", "--provider", "own", "--provider", "lambda"), 1, "goes alone"),
        (("plan", "--model", "7b", "--baseline", "openai/gtp-6-luna"), 1, "gpt-6-luna"),
        (("plan", "--model", "7b", "--method", "lorra"), 1, "lora"),
        (("plan", "--model", "7b", "--set", "rows"), 1, "--set name=value"),
        (("plan", "--model", "7b", "--set", "enginer_usd_per_hour=9"), 1, "engineer_usd_per_hour"),
        (("plan", "--model", "7b", "--rows", "10", "--set", "rows=20"), 1, "Keep one"),
        (("plan", "--model", "7b", "--as-of", "yesterday"), 1, "2026-11-21"),
        (("plan", "--model", "7b", "--as-of", "1999-01-01"), 1, "starts on"),
        (("plan", "--model", "7b", "--gpus", "0"), 1, "--gpus 0"),
        (("plan", "--model", "7b", "--budget", "-1"), 1, "--budget"),
        (("plan", "--model", "7b", "--seed", "-1"), 1, "--seed"),
        (("plan",), 2, "--model"),
        (("plan", "--modl", "7b"), 2, "--model"),
        (("plam",), 2, "plam"),
        (("plan", "--model", "405b", "--gpus", "1", "--gpu", "h100"), 3, "nothing fits"),
        (("plan", "--model", "7b", "--deadline-hours", "0.01"), 3, "--deadline-hours"),
        (("estimate", "--model", "7b", "--gpus", "3", "--tp", "2"), 1, "multiple of 2"),
        (("estimate", "--model", "7b", "--method", "full", "--quantization", "nf4"), 1, "qlora"),
        (("estimate", "--model", "/no/such/config.json"), 1, "config.json"),
        (("estimate", "--model", "7b", "--pp", "64", "--gpus", "64"), 1, "28 layers"),
        (("estimate", "--model", "7b", "--ep", "2", "--gpus", "2"), 1, "it is dense"),
        ((*ON_EIGHT, "--global-batch", "4"), 1, "multiple of 8"),
        ((*ON_EIGHT, "--global-batch", "12"), 1, "multiple of 8"),
        ((*ON_EIGHT, "--sharding", "none"), 1, "makes 8. Use ddp"),
        ((*ON_EIGHT, "--tp", "8"), 1, "Allowed: 1, 2, 4, 7, 14, 28"),
        (("estimate", "--model", "7b", "--gpu", "a100", "--compute-dtype", "fp8"), 1, "Allowed: bf16, fp16."),
        (("estimate", "--model", "7b", "--gpu", "h100", "--compute-dtype", "mxfp8"), 1, "bf16, fp16, fp8."),
        (("estimate", "--model", "7b", "--gpu", "h100", "--compute-dtype", "nvfp4"), 1, "no units"),
        (("estimate", "--model", "7b", "--method", "full", "--lora-rank", "8"), 1, "trains none"),
        (("estimate", "--model", "7b", "--method", "full", "--lora-targets", "all"), 1, "trains none"),
        (("estimate", "--model", "gpt2", "--lora-targets", "gate"), 1, "q k v o up down"),
        (("plan", "--model", "gpt2", "--lora-targets", "gate"), 1, "q k v o up down"),
        (("plan", "--model", "7b", "--input-tokens", "1e7"), 3, "positions of Qwen/Qwen2.5-7B"),
        (("explain", "gpu_price_facter"), 1, "gpu_price_factor"),
        (("explain", "nope"), 1, "unknown formula or assumption 'nope'. Closest: "),
        (("explain", "loaded cost"), 1, "Closest: engineer_usd_per_hour. `ftcost assumptions`"),
        (("gpus", "no such card"), 1, "ftcost gpus"),
        (("prices", "--kind", "gpus"), 1, "gpu"),
        (("validate", "--runs", "/no/such/runs.csv"), 1, "runs.csv"),
        (("completion", "tcsh"), 1, "bash"),
        (("breakeven", "--model", "7b", "--vary", "rows=1:9", "--vary", "epochs=1:3"), 1, "2 times"),
        (("breakeven", "--model", "7b", "--vary", "rows=100:1000", "--rows", "50"), 1, "--rows gives one value"),
        (("breakeven", "--model", "7b", "--vary", "rows=100:1000", "--set", "rows=50"), 1, "--set rows gives"),
        (("sweep", "--model", "7b", "--vary", "gpu=h100,l4", "--gpu", "a100"), 1, "--gpu gives one value"),
        (
            ("sweep", "--model", "7b", "--vary", "retrain-every=1,2", "--set", "retrain_every_months=3"),
            1,
            "Drop one",
        ),
        (("measure", "--grid", "small", "--micro-batch", "4", "--out", "x.csv"), 1, "--micro-batch is of one"),
        (("measure", "--grid", "small", "--no-autocast", "--out", "x.csv"), 1, "--autocast is of one"),
    ],
)
def test_a_refusal_says_what_is_allowed(
    words: tuple[str, ...],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, err, got = run(monkeypatch, capsys, *words)
    assert got == code, err
    assert says.lower() in err.lower()
    assert out == ""
    assert "Traceback" not in err


def test_estimate_answers_in_its_published_schema(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err, code = run(monkeypatch, capsys, *ESTIMATE)
    answer = json.loads(out)
    assert (code, err, answer["schema"]) == (0, "", 1)
    assert set(answer["model"]) == {"id", "parameters", "active_parameters", "trainable_parameters"}
    assert {"allocated_bytes", "reserved_bytes", "device_bytes", "fits", "parts_bytes"} <= set(answer["memory"])
    assert {"micro_batch_matmul_flop", "model_flop_per_token", "hardware_flop_per_token"} == set(answer["flop"])
    assert {"tokens_per_s_per_gpu", "step_s", "mfu", "hfu", "parts_s"} <= set(answer["speed"])
    assert sum(answer["memory"]["parts_bytes"].values()) == pytest.approx(answer["memory"]["allocated_bytes"])
    assert sum(answer["speed"]["parts_s"].values()) == pytest.approx(answer["speed"]["step_s"])


def test_estimate_says_what_transformers_5_makes_of_a_quantised_mixture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("estimate", "--model", "mixtral-8x7b", "--method", "qlora", "--gpu", "b200", "--json")
    usual = json.loads(run(monkeypatch, capsys, *words)[0])["memory"]
    whole = json.loads(run(monkeypatch, capsys, *words, "--no-experts-quantized")[0])["memory"]
    assert usual["whole_experts_bytes"] == whole["allocated_bytes"] > usual["allocated_bytes"]
    assert "whole_experts_bytes" not in whole
    out, _, _ = run(monkeypatch, capsys, *words[:-1])
    peaks = [f"{memory['allocated_bytes'] / 2**30:.2f} GiB" for memory in (whole, usual)]
    assert " instead of ".join(peaks) in " ".join(out.split())


def test_a_config_file_gives_the_same_answer_as_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    named = json.loads(run(monkeypatch, capsys, *ESTIMATE)[0])
    words = [str(path) if word == "llama-3.1-8b" else word for word in ESTIMATE]
    read = json.loads(run(monkeypatch, capsys, *words)[0])
    for part in ("memory", "flop", "speed"):
        assert read[part] == named[part]


@pytest.mark.parametrize("command", ["models", "gpus", "prices", "assumptions"])
def test_a_catalogue_prints_sourced_rows_as_json(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(run(monkeypatch, capsys, command, "--json")[0])
    assert len(rows) > 30
    assert all(row["source"] for row in rows)


@pytest.mark.parametrize(("columns", "sourced"), [(80, False), (100, True)])
def test_assumptions_keep_their_names_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, sourced: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out, _, code = run(monkeypatch, capsys, "assumptions")
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    firsts = {line.split(" ")[0] for line in out.splitlines()}
    assert {row.name for row in shipped().rows} <= firsts
    assert re.search(r"^requests_per_day +10,000 ", out, re.MULTILINE)
    assert "e+04" not in out
    assert ("checked 2026" in out) is sourced
    assert ("--json" in out) is not sourced


def test_explain_shows_formula_and_the_assumptions_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _, code = run(monkeypatch, capsys, "explain", "replicas")
    assert code == 0
    assert "peak_to_mean_ratio = 3" in out
    assert "Defined in estimator.money.serving_costs" in out


def test_every_command_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("plan", "estimate", "validate", "models", "gpus", "prices", "assumptions", "explain"):
        out, _, code = run(monkeypatch, capsys, command, "--help")
        assert code == 0
        assert f"Usage: ftcost {command}" in out


def test_serving_is_cheapest_first_and_counts_its_replicas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("serve-plan", "--model", "8b", "--requests-per-day", "1e6", "--json")
    rows = json.loads(run(monkeypatch, capsys, *words)[0])["rows"]
    assert rows[0]["usd_per_month"] <= min(row["usd_per_month"] for row in rows) * 1.1
    for row in rows:
        assert row["headroom_ratio"] >= 1.0
        assert row["usd_per_month"] == pytest.approx(row["gpus_billed"] * row["usd_per_gpu_hour"] * 730 * 1.35)
    slower = json.loads(run(monkeypatch, capsys, *words, "--latency-ms", "50")[0])["rows"]
    assert all(row["time_per_output_token_s"] <= 0.0501 for row in slower)
    assert slower[0]["usd_per_month"] >= rows[0]["usd_per_month"]
    assert run(monkeypatch, capsys, *words, "--latency-ms", "0.1")[2] == 3


def test_what_if_lists_only_what_fits_cheapest_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("estimate", "--model", "7b", "--method", "full", "--gpu", "rtx-4090", "--what-if", "--json")
    changes = json.loads(run(monkeypatch, capsys, *words)[0])["what_if"]
    assert changes
    assert all(change["fits"] in ("yes", "likely") for change in changes)
    costs = [change["relative_cost"] for change in changes]
    assert costs == sorted(costs)


def test_what_if_of_a_run_that_fits_does_not_say_that_it_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for gpu, title in (("h100", "It fits; what else would"), ("rtx-3070", "What would make it fit")):
        out, _, code = run(monkeypatch, capsys, "estimate", "--model", "7b", "--gpu", gpu, "--what-if")
        assert (code, title in out) == (0, True)


@pytest.mark.parametrize(
    ("asked", "helps"),
    [
        ("--model 13b --method full --gpu h100", "--method lora"),
        ("--model 13b --method full --gpu rtx-4090", "--method qlora"),
        ("--model 13b --method full --gpu h100 --gpus 4", "--method lora"),
        ("--model 70b --method full --gpu h100", "--method qlora"),
        ("--model 70b --method full --gpu h100", "--gpus 32 --sharding fsdp"),
        ("--model llama-3.1-8b --method qlora --gpu rtx-4090 --seq-len 8192", "--offload activations"),
        (
            "--model llama-3.1-8b --method qlora --gpu rtx-4090 --seq-len 32768",
            "--stack hf-fused --loss fused --offload activations",
        ),
        ("--model mixtral-8x7b --method qlora --gpu a100-40gb --no-experts-quantized", "--gpus 4"),
    ],
)
def test_asking_for_what_a_change_says_gives_its_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str, helps: str
) -> None:
    words = ["estimate", *asked.split(), "--json"]
    changes = json.loads(run(monkeypatch, capsys, *words, "--what-if")[0])["what_if"]
    assert any(helps in change["flags"] for change in changes)
    for change in changes:
        again = json.loads(run(monkeypatch, capsys, *words, *change["flags"].split())[0])
        assert again["memory"]["allocated_bytes"] == pytest.approx(change["allocated_bytes"])


def test_of_changes_that_differ_in_degree_a_stronger_one_is_named_only_where_it_is_surer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "7b", "--method", "lora", "--gpu", "h100", "--micro-batch", "16", "--json", "--what-if")
    changes = json.loads(run(monkeypatch, capsys, "estimate", *words)[0])["what_if"]
    batches = [change["fits"] for change in changes if change["flags"].startswith("--micro-batch")]
    assert batches
    assert len(set(batches)) == len(batches)


def test_a_fused_loss_that_the_stack_lacks_is_said_to_be_full_and_not_advised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lean = ("estimate", "--model", "llama-3.1-8b", "--gpu", "h100", "--stack", "hf-lean")
    out, _, _ = run(monkeypatch, capsys, *lean, "--loss", "fused")
    assert "Loss fused is taken as full: hf-lean has no fused loss" in " ".join(out.split())
    usual, _, _ = run(monkeypatch, capsys, *lean[:-1], "hf", "--loss", "fused")
    assert "taken as full" not in usual
    asked = (*lean, "--seq-len", "32768", "--what-if", "--json")
    advised = json.loads(run(monkeypatch, capsys, *asked)[0])["what_if"]
    assert not [change for change in advised if "--loss fused" in change["flags"]]


def test_what_is_longer_than_the_model_or_the_sequence_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for length, said in (("4096", False), ("4097", True)):
        out, _, _ = run(monkeypatch, capsys, "estimate", "--model", "llama-2-7b", "--seq-len", length)
        assert (
            "4,097 tokens exceed the 4,096 positions of meta-llama/Llama-2-7b-hf" in out.replace("\n", " ")
        ) == said
    for row, said in (("2048", False), ("5000", True)):
        words = ("plan", "--model", "7b", "--gpu", "h100", "--draws", "100", "--tokens-per-row", row)
        out = " ".join(run(monkeypatch, capsys, *words)[0].split())
        assert ("2,048 tokens (of 5,000; --seq-len cuts off the rest) x 3 epochs" in out) == said


def test_a_card_that_the_stack_lacks_is_said_by_estimate_and_refused_by_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for gpu, way_out in (("tpu-v5e", "Choose another --gpu."), ("gaudi3", "Choose --stack optimum-habana, or")):
        out, _, code = run(monkeypatch, capsys, "estimate", "--model", "7b", "--gpu", gpu)
        assert (code, f"The stack hf does not run on {gpu}" in out) == (0, True)
        _, err, code = run(monkeypatch, capsys, "plan", "--model", "7b", "--gpu", gpu)
        assert (code, f"the stack hf does not run on {gpu}. {way_out}" in err) == (3, True)
    assert "does not run on" not in run(monkeypatch, capsys, "estimate", "--model", "7b", "--gpu", "mi300x")[0]


def test_a_plan_says_what_transformers_5_makes_of_its_quantised_mixture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", "--gpu", "a100-40gb", "--method", "qlora", "--draws", "100", "--model")
    mixture = " ".join(run(monkeypatch, capsys, *words, "mixtral-8x7b")[0].split())
    assert "bitsandbytes under Transformers 5 leaves them whole" in mixture
    assert "3 of 3 runs would not fit" in mixture
    assert "Transformers 5" not in run(monkeypatch, capsys, *words, "7b")[0]


def test_what_the_search_has_tried_is_not_advised_where_nothing_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", "--model", "70b", "--gpu", "rtx-4090", "--gpus", "1")
    _, err, code = run(monkeypatch, capsys, *words)
    assert code == 3
    assert "Change one of: --gpus (more cards), --gpu (larger cards), --loss fused, --seq-len (shorter);" in err
    _, err, _ = run(monkeypatch, capsys, *words, "--method", "lora", "--recompute", "none", "--loss", "fused")
    assert "(larger cards), --method qlora, --recompute full, --seq-len (shorter);" in err


def test_every_part_of_an_estimate_names_a_formula_that_can_be_explained() -> None:
    known = set(formulas())
    assert {*MEMORY_FORMULAS.values(), *TIME_FORMULAS.values()} <= known
    assert set(MEMORY_FORMULAS) == set(PARTS)
    assert set(TIME_FORMULAS) == set(RESOURCE)


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    command = f"{sys.executable} -m reports assumptions | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_an_empty_path_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out, err, code = run(monkeypatch, capsys, "plan", "--model", "7b", "--out", "")
    assert (out, code) == ("", 2)
    assert "the path is empty" in err
    assert list(tmp_path.iterdir()) == []


def test_a_day_after_every_price_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err, code = run(monkeypatch, capsys, "plan", "--model", "7b", "--as-of", "2030-01-01")
    assert code == 3
    assert "seen more than 180 days before" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--no-api", "--teacher", "openai/gpt-6-luna"),
        ("--on-prem", "--spot"),
        ("--classes", "3", "--task", "generation"),
        ("--gpu-price", "h100"),
        ("--gpu-price", "h100=-1"),
        ("--gpu-price", "h100=2:1:3"),
        ("--gpu-price", "h100=1:3"),
    ],
)
def test_flags_that_cannot_go_together_or_mean_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    out, err, code = run(monkeypatch, capsys, "plan", "--model", "7b", *words)
    assert (out, code) == ("", 1)
    assert words[0] in err


def test_a_profile_where_there_is_none_yet_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTCOST_CONFIG_DIR", str(tmp_path))
    _, err, code = run(monkeypatch, capsys, "estimate", "--model", "7b", "--profile", "mybox")
    assert (code, "there is none yet" in err, "ftcost calibrate" in err) == (1, True, True)


@pytest.mark.parametrize(
    ("words", "unit"),
    [
        (("models",), "parameters"),
        (("gpus",), "dense peaks"),
        (("prices",), "USD per GPU-hour"),
        (("prices", "--kind", "api"), "USD per million tokens"),
        (("prices", "--kind", "hosted"), "USD per hour of a deployment"),
    ],
)
def test_listings_fit_the_terminal_keep_names_whole_and_tell_units(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], unit: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown, _, _ = run(monkeypatch, capsys, *words)
    assert max(map(len, shown.splitlines())) <= 80
    assert unit in " ".join(shown.split())
    rows, _, _ = run(monkeypatch, capsys, *words, "--json")
    names = {next(row[key] for key in ("id", "gpu", "model") if key in row) for row in json.loads(rows)}
    assert names <= {line[: len(name)] for line in shown.splitlines() for name in names if line.startswith(name)}


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_swallows_what_is_written(closed: str, tmp_path: Path) -> None:
    number = {"stdout": 1, "stderr": 2}[closed]
    script = (
        f"exec {number}>&-; exec {sys.executable} -m reports sweep -m 7b --vary epochs=1 --out {tmp_path}/x.csv"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "x.csv").read_text().startswith("epochs,")


def test_characters_that_a_stream_lacks_are_written_as_escapes() -> None:
    words = [sys.executable, "-m", "reports", "plan", "--model", "7b", "--format", "markdown"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"1 \xd7 NVIDIA" in done.stdout


@pytest.mark.parametrize("flag", ["validate --runs", "plan --model 7b --traffic", "measure --out m.csv --grid"])
def test_a_table_of_semicolons_is_told_to_use_commas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("model;method\n7b;lora\n")
    _, err, code = run(monkeypatch, capsys, *flag.split(), str(table))
    assert code == 1
    assert err.endswith("Its cells are separated by semicolons: write commas, and decimals with a point.\n")


def test_what_if_asks_for_nothing_that_estimate_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("estimate", "--model", "7b", "--method", "lora", "--gpu", "a10g", "--json", "--global-batch", "6")
    out, _, _ = run(monkeypatch, capsys, *asked, "--micro-batch", "6", "--what-if")
    changes = [change["flags"] for change in json.loads(out)["what_if"]]
    assert changes
    for change in changes:
        _, err, code = run(monkeypatch, capsys, *asked, "--micro-batch", "6", *change.split())
        assert code == 0, (change, err)
