"""Comparing, varying and sweeping: every figure is that of the plan, crossings are where costs cross."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from estimator.money.varied import crossings, root, saving_usd
from estimator.planning import plan
from reports.commands import breakeven
from reports.commands.compare import compared, lines, show
from reports.commands.scenario_file import Given, defaults, overlaid
from reports.commands.sweep import COLUMNS, sweep_csv
from reports.commands.vary import MAX_POINTS, axis, grid
from reports.flags import scenario_of
from reports.screen import Screen
from tests.test_cli import run

A = 'model = "7b"\nrows = 5000\nrequests_per_day = 2e6\n'
B = 'model = "14b"\nrows = 5000\nrequests_per_day = 2e6\n[set]\nengineer_usd_per_hour = 90\n'
C = 'model = "7b"\nretrain_every = 2\n'


def given(**changes: Any) -> Given:
    """The flags of `ftcost plan --model 7b` with these values."""
    return overlaid(defaults(), {"model": "7b", **changes})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenarios")
    paths = [folder / f"{name}.toml" for name in ("low", "high", "a-name-that-is-much-too-long")]
    for path, text in zip(paths, (A, B, C), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def volumes() -> breakeven.Curve:
    """Cost against requests a day, on few points."""
    return breakeven.curve(given(), "requests-per-day=1e4:1e7:7", command="")


# compare


def test_a_comparison_has_the_figures_of_each_plan(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = json.loads(run(monkeypatch, capsys, "compare", *map(str, files[:2]), "--json")[0])
    for place, path in enumerate(files[:2]):
        alone = json.loads(run(monkeypatch, capsys, "plan", str(path), "--json")[0])
        one = both["scenarios"][place]
        arms = {arm["id"]: arm for arm in alone["arms"]}
        assert one["scenario_hash"] == alone["ftcost"]["scenario_hash"]
        assert one["recommended"]["arm"] == alone["verdict"]["arm"]
        assert one["best_tuned"]["arm"] == alone["best_tuned"]
        assert one["best_tuned"]["total_usd"] == arms[alone["best_tuned"]]["total_usd"]
        assert one["best_tuned"]["groups_usd"] == arms[alone["best_tuned"]]["groups_usd"]
        pays = {each["rival"]: each["lowest_per_day"] for each in alone["break_evens"]}
        assert {rival: values[place] for rival, values in both["pays_from_requests_per_day"].items()} == pays
        total = sum(line["usd"][place] for line in both["best_tuned_lines"])
        assert total == pytest.approx(one["best_tuned"]["total_usd"]["base"])
    assert both["asked_differently"] == {"model": ["7b", "14b"], "engineer_usd_per_hour": ["115", "90"]}
    hours = next(line for line in both["best_tuned_lines"] if line["name"] == "operations and on-call")
    assert hours["usd"][1] / hours["usd"][0] == pytest.approx(90 / 115)
    assert hours["usd_less_first"] == [0.0, hours["usd"][1] - hours["usd"][0]]


def test_a_scenario_does_not_differ_from_itself(files: list[Path]) -> None:
    found = compared([files[0], files[0], files[0]])
    assert len({one.name for one in found}) == 3
    assert all(len(set(costs)) == 1 for costs in lines(found).values())
    stream = io.StringIO()
    show(found, Screen(stream, 80))
    assert "Nothing." in stream.getvalue()
    assert "No line differs." in stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("count", [2, 3])
def test_scenarios_stand_side_by_side_within_the_width(files: list[Path], width: int, count: int) -> None:
    stream = io.StringIO()
    show(compared(files[-count:]), Screen(stream, width))
    assert max(map(len, stream.getvalue().splitlines())) <= width


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["low"], 1, "two scenario files"),
        ([], 2, "A.TOML"),
        (["low", "missing.toml"], 1, "missing.toml: no such scenario file"),
        (["low", "huge"], 3, "huge.toml: nothing fits"),
        (["low", "typo"], 1, "typo.toml: unknown accelerator 'h10'"),
    ],
)
def test_a_comparison_names_the_file_that_fails(
    words: list[str],
    code: int,
    says: str,
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {"low": files[0], "huge": tmp_path / "huge.toml", "typo": tmp_path / "typo.toml"}
    paths["huge"].write_text('model = "405b"\ngpus = 1\ngpu = ["h100"]\n', encoding="utf-8")
    paths["typo"].write_text('model = "7b"\ngpu = ["h10"]\n', encoding="utf-8")
    out, err, got = run(monkeypatch, capsys, "compare", *(str(paths.get(word, word)) for word in words))
    assert (out, got) == ("", code)
    assert says in err


# what is varied


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("requests-per-day=1e3:1e7:5", "requests_per_day", (1e3, 1e4, 1e5, 1e6, 1e7)),
        ("--rows=100:200:3", "rows", (100.0, 150.0, 200.0)),
        ("epochs=1,2.5", "epochs", (1.0, 2.5)),
        ("gpus=1:64:7", "gpus", (1, 2, 4, 8, 16, 32, 64)),
        ("gpu=h100, l40s", "gpu", ("h100", "l40s")),
        ("spot=yes,no", "spot", (True, False)),
        ("engineer_usd_per_hour=50:100:2", "engineer_usd_per_hour", (50.0, 100.0)),
        ("horizon_months=12,24", "horizon_months", (12, 24)),
    ],
)
def test_an_axis_is_read(text: str, name: str, values: tuple[Any, ...]) -> None:
    one = axis(text)
    assert one.name == name
    assert one.values == values
    assert [type(value) for value in one.values] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rows", "name=low"),
        ("rows=", "rows=1e3:1e7"),
        ("rowz=1,2", "Closest: rows"),
        ("json=1,2", "unknown name 'json'"),
        ("rows=9:3", "low end 9 is not below"),
        ("rows=1:2:3:4", "low:high:points"),
        ("rows=1:2:1", "2 to 10,000"),
        ("rows=1:2:2.5", "2.5 points"),
        ("rows=1:many", "'many' is not a number"),
        ("rows=1:inf", "not finite"),
        ("rows=1,1.0", "twice"),
        ("gpus=1:8:4", "whole numbers"),
        ("horizon-months=1:12:3", "whole numbers"),
        ("spot=maybe", "neither true nor false"),
        ("gpu=h100,,l40s", "empty value"),
    ],
)
def test_an_axis_that_cannot_be_used_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        axis(text)
    assert says.replace("name=low", "rows=1e3:1e7") in str(refused.value)


def test_what_is_varied_replaces_what_was_given() -> None:
    base = given(rows=5.0, settings=("engineer_usd_per_hour=1", "epochs=9"))
    points = grid(base, [axis("epochs=1,2"), axis("engineer_usd_per_hour=50,60"), axis("rows=7,8")])
    assert [point.values for point in points][:3] == [(1.0, 50.0, 7.0), (1.0, 50.0, 8.0), (1.0, 60.0, 7.0)]
    values = scenario_of(points[-1].given).assumptions
    assert (values["epochs"], values["engineer_usd_per_hour"], values["rows"]) == (2, 60, 8)


def test_a_grid_has_a_largest_size() -> None:
    assert len(grid(given(), [axis("rows=1:100:100"), axis("epochs=1:9:100")])) == MAX_POINTS
    with pytest.raises(ValueError, match="101 x 100 = 10,100 points"):
        grid(given(), [axis("rows=1:101:101"), axis("epochs=1:9:100")])
    with pytest.raises(ValueError, match="rows is given twice"):
        grid(given(), [axis("rows=1,2"), axis("rows=3,4")])


# where costs cross


@pytest.mark.parametrize("logarithmic", [True, False])
def test_a_root_is_found_on_a_line_in_one_step_and_at_a_jump_to_a_thousandth(logarithmic: bool) -> None:
    tried: list[float] = []

    def line(x: float) -> float:
        tried.append(x)
        return 30.0 - 2.0 * x

    at = root(line, ends=(1.0, 100.0), at_ends=(28.0, -170.0), equal_usd=1e-6, logarithmic=logarithmic)
    assert at == pytest.approx(15.0)
    assert len(tried) == 1
    jump = root(
        lambda x: -1.0 if x < 37.0 else 500.0,
        ends=(1.0, 100.0),
        at_ends=(-1.0, 500.0),
        equal_usd=1e-6,
        logarithmic=logarithmic,
    )
    assert jump == pytest.approx(37.0, rel=3e-3)


def test_tuning_and_its_rival_cost_the_same_where_they_cross(volumes: breakeven.Curve) -> None:
    found = {rival: ones for rival, ones in volumes.crossings.items() if ones}
    assert len(found) >= 5
    for rival, ones in found.items():
        for one in ones:
            below, above = (
                saving_usd(plan(scenario_of(given(requests_per_day=one.value * factor))), rival) or 0.0
                for factor in (0.99, 1.01)
            )
            assert (below < 0 < above) == one.tuning_wins_above


def test_points_of_the_curve_are_plans(volumes: breakeven.Curve) -> None:
    place = 3
    alone = plan(scenario_of(given(requests_per_day=volumes.axis.values[place])))
    tuned = volumes.tuned()[place]
    assert tuned
    assert tuned.total_usd == alone.arm(tuned.id).total_usd
    for rival in volumes.rivals:
        assert volumes.costs(rival)[place] == alone.arm(rival).total_usd


def test_no_crossing_is_found_where_none_is() -> None:
    values = [1e3, 1e4]
    plans = [plan(scenario_of(given(requests_per_day=value))) for value in values]
    rival = next(arm.id for arm in plans[0].arms if arm.kind == "api")
    scenarios = {value: answer.scenario for value, answer in zip(values, plans, strict=True)}
    assert (
        crossings(scenario_at=scenarios.__getitem__, values=values, plans=plans, rival=rival, logarithmic=True)
        == ()
    )


def test_a_cost_that_falls_with_the_number_is_told_as_below() -> None:
    found = breakeven.curve(given(requests_per_day=5e5), "engineer-usd-per-hour=20:200:5", command="")
    rival = next(rival for rival in found.rivals if found.crossings[rival])
    assert breakeven.outcome(found, rival).startswith("below ")
    texts = {breakeven.outcome(found, each) for each in found.rivals}
    assert {"nowhere in this range", "in all of this range"} <= texts


def test_a_curve_follows_the_same_api_models_where_the_default_ones_change() -> None:
    ends = [20.0, 2000.0]
    found = breakeven.curve(given(), "output-tokens=20,2000", command="")
    chosen = [
        {arm.id for arm in plan(scenario_of(given(output_tokens=end))).arms if arm.kind == "api"} for end in ends
    ]
    assert chosen[0] != chosen[1]
    followed = {arm.id for arm in plan(scenario_of(given())).arms if arm.kind == "api"}
    assert set(found.rivals) == followed
    assert all(all(found.costs(rival)) for rival in found.rivals)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_a_curve_keeps_the_width(volumes: breakeven.Curve, width: int) -> None:
    stream = io.StringIO()
    breakeven.show(volumes, Screen(stream, width))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for label in volumes.rivals.values():
        assert label in text


def test_the_files_of_a_curve_are_its_plans_and_always_the_same(volumes: breakeven.Curve) -> None:
    first, second = breakeven.files(volumes), breakeven.files(volumes)
    assert first == second
    assert first["breakeven.png"].startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(first["breakeven.csv"].decode())))
    assert len(rows) == sum(len(answer.arms) for answer in volumes.plans if answer)
    by_arm: dict[str, list[float]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], []).append(float(row["base_usd"]))
    for place, arm in enumerate(volumes.tuned()):
        assert arm
        assert by_arm[arm.id][place] == pytest.approx(arm.total_usd.base, abs=0.01)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--vary", "gpu=h100,l40s"], 1, "number's range"),
        (["--vary", "rows=5"], 1, "number's range"),
        (["--vary", "rows=0.1,5"], 1, "outside 1 to"),
        ([], 2, "--vary"),
        (
            ["--vary", "rows=1,5", "--gpu", "rtx-4090", "--gpus", "1", "--deadline-hours", "1e-6"],
            3,
            "nothing fits",
        ),
        (["--vary", "rows=1,5", "--out", __file__], 1, "is a file"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused(
    words: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err, got = run(monkeypatch, capsys, "breakeven", "--model", "7b", *words)
    assert (out, got) == ("", code)
    assert says in err


def test_a_curve_as_json_has_numbers_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("breakeven", "--model", "7b", "--vary", "rows=1000,9000", "--json", "--out", str(tmp_path / "new"))
    out, err, code = run(monkeypatch, capsys, *words)
    document = json.loads(out)
    assert (document["schema"], code) == (1, 0)
    assert [point["value"] for point in document["points"]] == [1000, 9000]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["breakeven.csv", "breakeven.png"]
    assert err.count("wrote ") == 2


# sweep


def test_a_cell_of_the_grid_is_the_plan_of_its_flags() -> None:
    texts = ["gpu=h100-80gb-sxm,l40s", "rows=1000,20000", "engineer_usd_per_hour=50,100"]
    rows = list(csv.DictReader(io.StringIO(sweep_csv(given(), texts).decode())))
    assert list(rows[0])[:3] == ["gpu", "rows", "engineer_usd_per_hour"]
    assert list(rows[0])[3:] == list(COLUMNS)
    places = list(dict.fromkeys((row["gpu"], row["rows"], row["engineer_usd_per_hour"]) for row in rows))
    assert places == [
        (g, r, e) for g in ("h100-80gb-sxm", "l40s") for r in ("1000", "20000") for e in ("50", "100")
    ]
    alone = plan(scenario_of(given(gpu=("l40s",), rows=20000.0, settings=("engineer_usd_per_hour=50",))))
    cell = [
        row for row in rows if (row["gpu"], row["rows"], row["engineer_usd_per_hour"]) == ("l40s", "20000", "50")
    ]
    assert {row["arm"] for row in cell} == {arm.id for arm in alone.arms}
    for row in cell:
        arm = alone.arm(row["arm"])
        for name, value in (("base_usd", arm.total_usd.base), ("p90_usd", arm.total_usd.p90)):
            assert math.isclose(float(row[name]), value, abs_tol=0.006)
        assert float(row["usd_per_1000_requests"]) == pytest.approx(arm.usd_per_1000_requests, rel=1e-5)
        assert row["recommended"] == str(arm.id == alone.verdict.arm).lower()
        assert (row["run_gpu"], row["run_gpus"]) == (
            (arm.training.gpu, str(arm.training.gpus)) if arm.training else ("", "")
        )


def test_a_point_at_which_nothing_fits_is_a_row_with_the_reason() -> None:
    content = sweep_csv(given(model="70b", gpu=("rtx-4090",), no_api=True), ["gpus=1,8"]).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert rows[0]["gpus"] == "1"
    assert rows[0]["arm"] == ""
    assert rows[0]["note"].startswith("nothing fits")
    assert all(row["arm"] and not row["note"] for row in rows if row["gpus"] == "8")


def test_a_wrong_name_is_found_before_the_grid_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[object] = []

    def counted(scenario: Any) -> Any:
        planned.append(scenario)
        return plan(scenario)

    monkeypatch.setattr("reports.commands.sweep.plan", counted)
    with pytest.raises(ValueError, match="at gpu = h10, rows = 10, epochs = 1: unknown accelerator 'h10'"):
        sweep_csv(given(), ["gpu=l40s,h10", "rows=10,20,30", "epochs=1,2,3"])
    assert len(planned) <= 6


def test_a_sweep_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err, code = run(monkeypatch, capsys, "sweep", "--vary", "model=7b,14b", "--rows", "50")
    assert (err, code) == ("", 0)
    target = tmp_path / "new" / "grid.csv"
    words = ("sweep", "--vary", "model=7b,14b", "--rows", "50", "--out", str(target))
    assert run(monkeypatch, capsys, *words) == ("", f"wrote {target}\n", 0)
    assert target.read_text(encoding="utf-8") == out
    assert [path.name for path in target.parent.iterdir()] == ["grid.csv"]
    for name, says in (("grid.xlsx", "only .csv"), ("new", "only .csv"), ("new/grid.csv/x.csv", "is a file")):
        out, err, code = run(monkeypatch, capsys, *words[:-1], str(tmp_path / name))
        assert (out, code) == ("", 1)
        assert says in err


@pytest.mark.parametrize("command", ["init", "compare", "breakeven", "sweep"])
def test_every_command_of_scenarios_explains_itself(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err, code = run(monkeypatch, capsys, command, "--help")
    assert (err, code) == ("", 0)
    assert f"Usage: ftcost {command}" in out


def test_parquet_is_written_where_pyarrow_is_and_refused_by_name_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "grid.parquet"
    words = ("sweep", "--vary", "rows=50,5000", "--model", "7b", "--out", str(target))
    if importlib.util.find_spec("pyarrow"):
        from pyarrow import parquet

        assert run(monkeypatch, capsys, *words)[2] == 0
        table = parquet.read_table(target)
        assert {"rows", "arm", "base_usd"} <= set(table.column_names)
        assert set(table.column("rows").to_pylist()) == {50, 5000}
        target.unlink()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    out, err, code = run(monkeypatch, capsys, *words)
    assert (out, code) == ("", 1)
    assert "pip install 'ftcost[parquet]'" in err
    assert not target.exists()
