"""The roofline as numbers, checked by hand, and as a picture."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from estimator.accelerators import resolve_accelerator
from estimator.assumptions import shipped
from estimator.measured import read_runs
from estimator.models import resolve_model
from estimator.run import Run
from estimator.speed import speed
from estimator.speed.roofline import Point, attainable_flop_per_s, ridge_flop_per_byte, roofline
from reports.cli import main
from reports.drawn.labels import Label, leader, place_labels

CONSTANTS = shipped()
RUNS = {row.id: row.run for row in read_runs("speed")[0]}
BLOCK_WEIGHTS = 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
HEAD_WEIGHTS = 4096 * 128256


def a_run(**changes: object) -> Run:
    run = Run(
        architecture=resolve_model("meta-llama/Llama-3.1-8B").architecture,
        accelerator=resolve_accelerator("a100-80gb-sxm").accelerator,
        method="full",
        gpus=8.0,
        sharding="fsdp",
        micro_batch=2.0,
        global_batch=64.0,
        seq_len=4096.0,
        stack="torchtune",
    )
    return run.with_(**changes)


def points(run: Run) -> dict[str, Point]:
    return {point.name: point for point in roofline(run=run, constants=CONSTANTS).points}


def test_the_ridge_and_the_roof_by_hand() -> None:
    roof = {"peak_flop_per_s": 312e12, "memory_bytes_per_s": 2.039e12}
    assert ridge_flop_per_byte(**roof) == pytest.approx(153.02, abs=0.01)
    assert attainable_flop_per_s(intensity_flop_per_byte=100.0, **roof) == pytest.approx(203.9e12)
    assert attainable_flop_per_s(intensity_flop_per_byte=1000.0, **roof) == 312e12


def test_products_by_hand() -> None:
    found = points(a_run())
    tokens = 64 / 8 * 4096
    blocks = found["attention projections"].flop + found["feed-forward"].flop
    assert blocks == pytest.approx(6.0 * BLOCK_WEIGHTS * tokens)
    assert found["vocabulary head"].flop == pytest.approx(6.0 * HEAD_WEIGHTS * tokens)
    moved = 3 * 2.0 * (8192 * (4096 + 128256) + HEAD_WEIGHTS) * 4
    assert found["vocabulary head"].traffic_bytes == pytest.approx(moved)
    assert points(a_run(recompute="full", stack="hf"))["feed-forward"].flop == pytest.approx(
        8.0 / 6.0 * found["feed-forward"].flop
    )


def test_an_eager_update_by_hand() -> None:
    update = points(a_run())["optimizer"]
    parameters = 8030261248 / 8
    assert update.flop == pytest.approx(12.0 * parameters)
    assert update.traffic_bytes == pytest.approx(2.0 * (2 + 2 + 2 + 2 * 2 * 2) * parameters)
    assert update.flop_per_s == pytest.approx(12 / 28 * 2.039e12 * CONSTANTS["bandwidth_fraction"])
    assert "optimizer" not in points(a_run(offload="params"))


def test_ceilings_are_those_of_the_number_types_used() -> None:
    plain = roofline(run=a_run(), constants=CONSTANTS).ceilings_flop_per_s
    assert plain == {"bf16 matrix units": 312e12, "fp32 vector units": 19.5e12}
    h100 = resolve_accelerator("h100-80gb-sxm").accelerator
    narrow = roofline(run=a_run(accelerator=h100, compute_dtype="fp8"), constants=CONSTANTS)
    assert list(narrow.ceilings_flop_per_s) == ["bf16 matrix units", "fp8 matrix units", "fp32 vector units"]
    under = {point.name: point.ceiling for point in narrow.points}
    assert under["feed-forward"] == "fp8 matrix units"
    assert under["vocabulary head"] == "bf16 matrix units"
    assert under["element-wise"] == "fp32 vector units"
    turing = resolve_accelerator("t4").accelerator
    assert "fp16 matrix units" in roofline(run=a_run(accelerator=turing), constants=CONSTANTS).ceilings_flop_per_s


@pytest.mark.parametrize("seq_len", [None, 64.0])
def test_no_point_stands_above_its_roof(seq_len: float | None) -> None:
    for name, run in RUNS.items():
        shown = roofline(run=run if seq_len is None else run.with_(seq_len=seq_len), constants=CONSTANTS)
        for point in shown.points:
            roof = attainable_flop_per_s(
                intensity_flop_per_byte=point.intensity_flop_per_byte,
                peak_flop_per_s=shown.ceilings_flop_per_s[point.ceiling],
                memory_bytes_per_s=shown.memory_bytes_per_s,
            )
            assert point.flop_per_s <= roof * (1 + 1e-9), (name, point.name)


def test_points_sum_to_the_parts_of_the_step() -> None:
    for name, run in RUNS.items():
        sums: dict[str, float] = defaultdict(float)
        for point in roofline(run=run, constants=CONSTANTS).points:
            sums[point.part] += point.seconds
        parts = speed(run=run, constants=CONSTANTS).parts_s
        assert sums == pytest.approx({part: parts[part] for part in sums}), name


def test_names_stand_clear_of_one_another() -> None:
    inside = (0.0, 0.0, 400.0, 200.0)
    crowd = [Label(f"point {k}", 200.0 + 3 * k, 100.0 + 2 * k, 3.0, 70.0, 9.0) for k in range(6)]
    places = place_labels(crowd, obstacles=[(x, 100.0) for x in range(400)], fixed=[], inside=inside)
    boxes = [(x, y - 4.5, x + 70.0, y + 4.5) for x, y in places]
    for k, box in enumerate(boxes):
        assert box[0] >= 0.0
        assert box[2] <= 400.0
        assert not box[1] <= 100.0 <= box[3]
        for label in crowd:
            assert not (box[0] <= label.x <= box[2] and box[1] <= label.y <= box[3])
        for other in boxes[k + 1 :]:
            assert box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
    alone = Label("alone", 200.0, 100.0, 3.0, 70.0, 9.0)
    assert place_labels([alone], obstacles=[], fixed=[], inside=inside) == [(206.0, 100.0)]
    assert leader(alone, (206.0, 100.0)) == []


ASKED = ("estimate", "--model", "1b", "--gpu", "4090")


def ftcost(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ftcost", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_same_run_draws_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = tmp_path / "new" / "a.png", tmp_path / "b.PNG"
    second.write_bytes(b"old")
    assert ftcost(monkeypatch, *ASKED, "--plot", str(first), "--dpi", "60") == 0
    assert capsys.readouterr().err == f"wrote {first}\n"
    assert ftcost(monkeypatch, *ASKED, "--plot", str(second), "--dpi", "60", "--json") == 0
    assert capsys.readouterr().out.startswith("{")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG")
    assert b"one optimizer step" in first.read_bytes().lower()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.png", "b.PNG"]


def test_a_picture_that_cannot_be_written_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.png").mkdir()
    for words, says in (
        (("--plot", str(tmp_path / "a.jpg")), "only .png files"),
        (("--plot", str(tmp_path / "a")), "only .png files"),
        (("--plot", str(tmp_path / "folder.png")), "is a directory"),
        (("--plot", str(tmp_path / "file" / "a.png")), "is a file"),
        (("--plot", str(tmp_path / "a.png"), "--dpi", "5"), "outside 50 to 1200"),
        (("--dpi", "100"), "--plot roofline.png"),
    ):
        assert ftcost(monkeypatch, *ASKED, *words) == 1
        out, err = capsys.readouterr()
        assert says in err.replace("\n", " ")
        assert out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
    assert (tmp_path / "file").read_text() == "kept"
