"""``ftcost validate``: every row is predicted or named, and the summary is of what was measured."""

import json
from pathlib import Path

import pytest

from estimator.accuracy import NOTHING, accuracies
from estimator.assumptions import shipped
from estimator.errors import InputError
from estimator.measured import KNOWN
from estimator.measuring.rows import COLUMNS as MEASURED_BY_US
from estimator.validation import MEMORY, SERVING, SPEED, Validation, validate
from reports.commands.validation import validation_json
from tests.test_cli import run

HEAD = "model,method,gpu,micro_batch,seq_len,peak_memory_gib,tokens_per_s_per_gpu\n"


def of(tmp_path: Path, text: str) -> Validation:
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return validate(path=path, constants=shipped())


def test_five_columns_are_enough_and_bad_rows_are_named(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        HEAD
        + "llama-3.1-8b,lora,h100,4,2048,40,9000\nnosuch,lora,h100,4,2048,,\n7b,full,h100,1,2048,,\n"
        + "7b,lorra,h100,1,2048,9,\n7b,lora,h100,x,2048,9,\n",
    )
    assert [problem.line for problem in found.problems] == [3, 5, 6]
    answer = validation_json(found)
    first, unmeasured = answer["runs"]
    assert set(first["predicted"]) == set(first["measured"]) == set(first["error"]) == {MEMORY, SPEED}
    assert first["error"][MEMORY] == pytest.approx(first["predicted"][MEMORY] / 40 - 1)
    assert set(unmeasured["predicted"]) == {MEMORY, SPEED}
    assert unmeasured["measured"] == {}
    assert answer["summary"][MEMORY]["all"]["all"]["runs"] == 1
    assert "recompute=full" in first["assumed"]


def test_a_summary_of_measured_runs_lists_no_prediction_of_single_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    title = "Predicted where nothing was measured"
    for cells, summary, listed in (("40,", False, True), ("40,", True, False), (",", True, True)):
        path.write_text(f"{HEAD}llama-3.1-8b,lora,h100,4,2048,{cells}\n", encoding="utf-8")
        words = ("validate", "--runs", str(path), *(("--summary",) if summary else ()))
        assert (title in run(monkeypatch, capsys, *words)[0]) == listed


def test_serving_rows_are_predicted_too(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        "id,model,gpu,gpus,tp,weights_dtype,engine,input_tokens,output_tokens,batch,output_tokens_per_s_per_gpu\n"
        "a,meta-llama/Llama-3.1-8B,h100-80gb-sxm,1,1,fp8,tensorrt-llm,128,128,,28000\n"
        "b,nosuch,h100-80gb-sxm,1,1,fp8,tensorrt-llm,128,128,,28000\n",
    )
    assert [check.id for check in found.checks] == ["a"]
    assert found.checks[0].quantity == SERVING
    assert [problem.id for problem in found.problems] == ["b"]


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="micro_batch"):
        of(tmp_path, "a,b\n1,2\n")
    with pytest.raises(InputError, match="cannot be read"):
        validate(path=tmp_path, constants=shipped())


def test_all_shipped_runs_are_predicted_and_within_the_errors_that_are_stated() -> None:
    found = validate(path=None, constants=shipped())
    assert found.problems == ()
    overall = {row.quantity: row for row in found.summaries if row.grouping == "all"}
    for stated in accuracies():
        row = overall[stated.quantity]
        assert row.runs == stated.runs
        if stated.left_out == NOTHING:
            assert row.median_error == pytest.approx(stated.median_error, abs=0.006)
            assert row.p90_error == pytest.approx(stated.p90_error, abs=0.02)
        else:
            assert stated.p90_error >= row.p90_error - 0.02


def test_columns_that_are_not_read_are_named_with_the_closest_known_one(tmp_path: Path) -> None:
    found = of(tmp_path, "model,method,gpu,micro_batch,seq_len,peak_gib\n7b,lora,a100,1,2048,22\n")
    assert found.unread == ("peak_gib (closest: peak_memory_gib)",)
    assert set(MEASURED_BY_US) <= set(KNOWN)


def test_a_header_alone_is_refused_and_so_is_a_file_of_which_nothing_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="no run"):
        of(tmp_path, HEAD)
    path = tmp_path / "runs.csv"
    path.write_text(HEAD + "7b,lorra,h100,1,2048,9,\n", encoding="utf-8")
    out, err, code = run(monkeypatch, capsys, "validate", "--runs", str(path))
    assert (code, "line 2: unknown method 'lorra'" in out, "its one row cannot be predicted" in err) == (
        1,
        True,
        True,
    )
    path.write_text(HEAD + "7b,lorra,h100,1,2048,9,\n7b,lora,h100,1,2048,9,\n", encoding="utf-8")
    assert run(monkeypatch, capsys, "validate", "--runs", str(path))[2] == 0


def test_serving_rows_without_a_figure_or_a_name_are_problems(tmp_path: Path) -> None:
    header = "model,gpu,gpus,weights_dtype,engine,input_tokens,output_tokens,output_tokens_per_s_per_gpu"
    found = of(tmp_path, f"{header}\n8b,h100,1,fp8,vllm,128,128,28000\n8b,h100,1,fp8,vllm,128,128,\n")
    assert [check.id for check in found.checks] == ["line 2"]
    assert [(problem.id, problem.line) for problem in found.problems] == [("line 3", 3)]


def test_what_was_assumed_is_said_and_a_row_that_says_it_agrees_with_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(HEAD + "7b,lora,a100,1,2048,,\n", encoding="utf-8")
    said = " ".join(run(monkeypatch, capsys, "validate", "--runs", str(path))[0].split())
    for entry in ("recompute=full (1 of 1 run)", "lora_rank=8", "lora_targets=q v", "rank 16 on all modules"):
        assert entry in said
    told = of(
        tmp_path, "model,method,gpu,micro_batch,seq_len,lora_rank,lora_targets\n7b,lora,a100,1,2048,16,all\n"
    )
    words = ("estimate", "--model", "7b", "--gpu", "a100", "--json")
    answer = json.loads(run(monkeypatch, capsys, *words)[0])
    memory, speed = (check.predicted for check in told.checks)
    assert speed == pytest.approx(answer["speed"]["tokens_per_s_per_gpu"])
    assert memory == pytest.approx(answer["memory"]["device_bytes"] / 2**30)
