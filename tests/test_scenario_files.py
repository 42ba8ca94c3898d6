"""Scenario files: what a key means, what overrides what, what is refused on which line, and the template."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import tomli

from estimator.assumptions import shipped
from estimator.planning import plan
from estimator.scenario import Scenario
from reports.commands.scenario_file import defaults, file_flags, overlaid, planned_as, read, with_file
from reports.commands.template import GIVEN, template
from reports.flags import scenario_of
from reports.options import Flag, plan_flags
from tests.test_cli import run

KEYS = file_flags(plan_flags())
PROFILE = """created = "2026-11-21"
program = "0"
source = "runs.csv"
[[machine]]
gpu = "l40s"
stack = "hf"
[machine.factors]
machine_rate_factor = { base = 0.9, low = 0.8, high = 1.0 }
"""
DEFAULT = re.compile(r"^#(\[set\]|[a-z_]+ = )", re.MULTILINE)
EXAMPLE = re.compile(r"^# e\.g\. (.*)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _profile(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The profile of the example exists."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "mybox.toml").write_text(PROFILE, encoding="utf-8")
    monkeypatch.setenv("FTCOST_CONFIG_DIR", str(folder))


def asked(*words: str) -> Scenario:
    """The scenario that `ftcost plan WORDS` asks."""
    context = click.Command("plan", params=list(plan_flags())).make_context("plan", list(words))
    return scenario_of(with_file(context) if context.params["file"] else context.params)


def written(folder: Path, text: str) -> str:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def sample(flag: Flag) -> Any:
    """A value of a flag that is not its default, where that matters."""
    if flag.is_flag:
        return not defaults()[str(flag.name)]
    if flag.assumption:
        return min(33, shipped().row(flag.assumption).maximum / 2)
    return (
        tomli.loads(f"x = {flag.example}")["x"]
        if flag.example
        else {"seed": 3, "goal": "facts", "draws": 64, "retraining": "incremental"}[str(flag.name)]
    )


def with_tables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables that the examples of flags name, in a folder to work in."""
    monkeypatch.chdir(folder)
    Path("traffic.csv").write_text("requests\n100\n300\n", encoding="utf-8")
    Path("lengths.csv").write_text("input_tokens,output_tokens\n100,20\n300,20\n", encoding="utf-8")


def as_words(flag: Flag, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag.opts[0] if value else flag.secondary_opts[0]]
    return [word for one in (value if isinstance(value, list) else [value]) for word in (flag.opts[0], str(one))]


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"model"}))
def test_a_key_means_what_its_flag_means(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tables(tmp_path, monkeypatch)
    value = sample(KEYS[key])
    file = written(tmp_path, f'model = "7b"\n{key} = {json.dumps(value)}\n')
    by_file, by_flag = asked(file), asked("--model", "7b", *as_words(KEYS[key], value))
    assert by_file == by_flag or by_file.hash == by_flag.hash
    if key not in ("quantization", "optimizer", "stack", "loss", "lora_targets", "as_of"):
        assert by_file.hash != asked("--model", "7b").hash


def test_flags_override_the_file_even_with_their_default(tmp_path: Path) -> None:
    file = written(tmp_path, 'model = "7b"\nrows = 50\nseed = 5\nmethod = ["full"]\npacking = false\n')
    assert asked(file).assumptions["rows"] == 50
    over = asked(file, "--rows", "10000", "--seed", "0", "--method", "lora", "--packing", "--model", "8b")
    assert (over.assumptions["rows"], over.seed, over.methods, over.packing) == (10000, 0, ("lora",), True)
    assert over.model == "8b"


def test_an_assumption_keeps_its_last_value_however_it_was_given(tmp_path: Path) -> None:
    file = written(tmp_path, 'model = "7b"\nepochs = 2\n[set]\nrows = 50\nengineer_usd_per_hour = 80\n')
    assert asked(file).assumptions["engineer_usd_per_hour"] == 80
    over = asked(file, "--rows", "60", "--set", "epochs=4", "--set", "contingency_fraction=0.1").assumptions
    assert (over["rows"], over["epochs"], over["engineer_usd_per_hour"]) == (60, 4, 80)
    assert over["contingency_fraction"] == 0.1
    twice = written(tmp_path, 'model = "7b"\nrows = 5\n[set]\nrows = 50\n')
    with pytest.raises(ValueError, match="rows is given by its flag and by --set"):
        asked(twice)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rows = 5\nrowz = 6\n", 2, ["unknown key 'rowz'", "Closest: rows", "ftcost init"]),
        ("rows = 5\n\n[sets]\nx = 1\n", 3, ["unknown key 'sets'", "set"]),
        ("json = true\n", 1, ["unknown key 'json'"]),
        ('# rows = 1\nrows = "many"\n', 2, ['rows = "many" is not a number', "rows = 10000"]),
        ("rows = true\n", 1, ["rows = true is not a number"]),
        ("gpus = 2.5\n", 1, ["gpus = 2.5 is not a whole number", "gpus = 8"]),
        ("packing = 1\n", 1, ["packing = 1 is neither true nor false"]),
        ("method = 3\n", 1, ["method = 3 is not a list of texts", 'method = ["lora", "qlora"]']),
        ("gpu = [1]\n", 1, ["gpu = [1] is not a list of texts"]),
        ("model = 7\n", 1, ["model = 7 is not text", 'model = "7b"']),
        ('\n"method" = ["lorra"]\n', 2, ["unknown method 'lorra'", "lora"]),
        ("epochs = 1\nrows = -5\n", 2, ["rows = -5 is outside 1 to 1e+12"]),
        ("rows = nan\n", 1, ["rows = nan is outside"]),
        ("horizon_months = 1.5\n", 1, ["not whole"]),
        ("[set]\nrows = 5\nenginer_usd_per_hour = 9\n", 3, ["engineer_usd_per_hour"]),
        ("rows = 1\n[set]\nrows = 2\nepochs = '3'\n", 4, ['epochs = "3" is not a number']),
        ("set.epochs = -1\n", 1, ["epochs = -1 is outside"]),
        ("set = 3\n", 1, ["[set]"]),
        ("rows = 5\nepochs 3\n", 2, ["Expected '='"]),
        ("rows = 5\nepochs = \n", 2, ["Invalid value"]),
        ("rows = 5\nrows = 6\n", 2, ["Cannot overwrite a value"]),
        ('rows = 5\nmodel = "7b', 2, ["line"]),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, line: int, says: list[str], tmp_path: Path) -> None:
    path = Path(written(tmp_path, text))
    with pytest.raises(ValueError) as refused:
        read(path)
    message = str(refused.value)
    assert f"plan.toml, line {line}" in message
    for part in says:
        assert part in message


def test_every_key_and_assumption_is_looked_for_in_its_own_table(tmp_path: Path) -> None:
    text = 'model = "7b"\nrows = 5\n[set]\ncontingency_fraction = 0.1\nrows = 1\nrows_ = 2\n'
    with pytest.raises(ValueError, match=r"line 6: unknown assumption 'rows_'"):
        read(Path(written(tmp_path, text)))


def test_the_template_asks_what_the_bare_command_asks(tmp_path: Path) -> None:
    values = read(Path(written(tmp_path, template())))
    assert values == {"model": "7b", "rows": 10000.0}
    assert asked(str(tmp_path / "plan.toml")).hash == asked("--model", "7b", "--rows", "10000").hash


def test_the_template_without_its_marks_is_the_default_scenario(tmp_path: Path) -> None:
    shown = DEFAULT.sub(r"\1", template(model='a "b" c'))
    bare, full = asked("--model", 'a "b" c'), asked(written(tmp_path, shown))
    assert dict(full.assumptions) == dict(bare.assumptions)
    for field in fields(Scenario):
        if field.name != "assumptions":
            assert getattr(full, field.name) == getattr(bare, field.name), field.name
    assert len(read(tmp_path / "plan.toml")["settings"]) == 5


def test_the_template_has_every_key_once_with_a_range_where_there_is_one() -> None:
    text = template()
    keys = re.findall(r"^(?:#|# e\.g\. |)([a-z_0-9]+) = ", text.partition("#[set]")[0], re.MULTILINE)
    assert sorted(keys) == sorted(KEYS)
    assert [key for key in KEYS if re.search(rf"^{key} = ", text, re.MULTILINE)] == list(GIVEN)
    assert "# Months between retrains, 3 to 6.\n#retrain_every = 4\n" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("line", EXAMPLE.findall(template()))
def test_every_example_of_the_template_can_be_planned(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tables(tmp_path, monkeypatch)
    answer = plan(asked(written(tmp_path, f'model = "7b"\n{line}\n')))
    assert answer.arms


def test_overlaying_twice_changes_nothing() -> None:
    changes = {"rows": 5.0, "settings": ("epochs=2",)}
    once = overlaid(defaults(), changes)
    assert overlaid(once, changes) == once
    assert (once["rows"], once["settings"]) == (5.0, ("epochs=2",))


def test_init_and_plan_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, err, code = run(monkeypatch, capsys, "init", "--model", "llama-3.1-8b")
    assert (err, code) == ("", 0)
    file = written(tmp_path, text)
    answer = json.loads(run(monkeypatch, capsys, "plan", file, "--rows", "2000", "--json")[0])
    assert answer["ftcost"]["command"] == shlex.join(["ftcost", "plan", file, "--rows", "2000", "--json"])
    assert answer["model"]["id"] == "meta-llama/Llama-3.1-8B"
    assert answer["scenario"]["assumptions"]["rows"]["base"] == 2000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["plan", "no-such.toml"], 1, ["no-such.toml: no such scenario file", "ftcost init"]),
        (["plan", "."], 1, ["cannot be read"]),
        (["plan", "EMPTY"], 1, ["names no model", "--model"]),
        (["plan"], 2, ["--model", "ftcost init"]),
        (["init", "--model", "lama-3.1-8b"], 1, ["Closest: Llama-3.1-8B"]),
    ],
)
def test_what_is_missing_is_named(
    words: list[str],
    code: int,
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    empty = written(tmp_path, "rows = 5\n")
    out, err, got = run(monkeypatch, capsys, *(empty if word == "EMPTY" else word for word in words))
    assert (out, got) == ("", code)
    for part in says:
        assert part in err


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        planned_as(path)


def test_a_plan_from_flags_loads_nothing_of_scenario_files() -> None:
    code = (
        "import sys; sys.argv = ['ftcost', 'plan', '--model', '7b', '--json']\n"
        "from reports.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "names = ('scenario_file', 'vary', 'compare', 'template')\n"
        "late = {f'reports.commands.{name}' for name in names} | {'matplotlib'}\n"
        "print(sorted(late & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
