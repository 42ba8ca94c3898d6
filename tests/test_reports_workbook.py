"""The workbook: live formulas, the program's values in them, and a spreadsheet engine that agrees."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from estimator.assumptions import shipped
from estimator.money.ownership import ArmSpec, base_lines
from estimator.money.series import SERIES
from estimator.planning import plan as answer
from estimator.result import Plan, RuledOut
from estimator.scenario import Scenario
from reports.workbook.book import NUMBER, USD
from reports.workbook.names import CONSTANTS, defined_name, identifiers, names_of
from reports.workbook.workbook import SHEETS, budget_xlsx
from tests.plan_example import default_specs, make_plan, twelve_specs

FIRST_MONTH = 8
TOTAL = 7
SOFFICE = shutil.which("soffice")
needs_engine = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan()


@pytest.fixture(scope="module")
def content(plan: Plan) -> bytes:
    return budget_xlsx(plan)


@pytest.fixture(scope="module")
def formulas(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))


@pytest.fixture(scope="module")
def values(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content), data_only=True)


def cells(workbook: Any) -> Iterator[tuple[str, Any]]:
    for sheet in workbook:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.value is not None:
                    yield sheet.title, cell


def totals(workbook: Any, plan: Plan) -> dict[str, float]:
    """The total of every arm on the sheet Monthly, by label."""
    return {
        row[0].value: row[TOTAL - 1].value
        for row in workbook["Monthly"].iter_rows(min_row=5)
        if row[2].value == "total"
    }


def test_sheets_stand_in_order(formulas: Any) -> None:
    assert tuple(formulas.sheetnames) == SHEETS


def test_formulas_are_many_and_hold_the_program_s_values(formulas: Any, values: Any, plan: Plan) -> None:
    live = [(sheet, cell) for sheet, cell in cells(formulas) if cell.data_type == "f"]
    assert len(live) > 1000
    for sheet, cell in live:
        cached = values[sheet][cell.coordinate].value
        assert cached is not None
        assert not str(cached).startswith("#")
    for arm in plan.arms:
        assert totals(values, plan)[arm.label] == pytest.approx(arm.total_usd.base, rel=1e-12)


def test_a_row_of_months_is_one_formula_without_constants(formulas: Any, plan: Plan) -> None:
    sheet = formulas["Monthly"]
    rows = 0
    for row in sheet.iter_rows(min_row=6):
        months = [cell for cell in row[FIRST_MONTH - 1 :] if cell.data_type == "f"]
        if not months:
            continue
        rows += 1
        relative = {re.sub(rf"\b{cell.column_letter}(?=\$?\d)", "HERE", cell.value) for cell in months}
        assert len(relative) == 1, f"row {row[0].row} has more than one formula"
        numbers = set(re.findall(r"(?<![A-Za-z_$0-9.])\d+(?:\.\d+)?(?:e-?\d+)?(?![A-Za-z_0-9:])", relative.pop()))
        assert numbers <= {"0", "1", "2"}, f"row {row[0].row} has constants {numbers}"
    lines = sum(len(arm.lines) for arm in plan.arms)
    assert rows == len(SERIES) + len(("build", "running")) + lines + len(plan.arms) * len(
        ("total", "present value")
    )


def test_every_name_in_a_formula_is_defined_and_holds_its_value(formulas: Any, values: Any, plan: Plan) -> None:
    used = set()
    for _, cell in cells(formulas):
        if cell.data_type == "f":
            plain = re.sub(r'"[^"]*"', "", cell.value)
            used |= set(re.findall(r"\b[a-z_][a-z0-9_]*\b", plain))
    known = set(formulas.defined_names)
    assert used <= known
    assert set(CONSTANTS) <= known
    registry = plan.scenario.assumptions
    for name in known & set(registry):
        sheet, reference = next(iter(formulas.defined_names[name].destinations))
        assert values[sheet][reference.replace("$", "")].value == registry[name]


def test_break_even_stands_by_the_month_too(values: Any, plan: Plan) -> None:
    sheet = values["Break-even"]
    by_day, by_month = (row[column].value for column in (1, 6) for row in [sheet[6]])
    assert by_day == pytest.approx(plan.break_evens[0].lowest_per_day)
    assert by_month == pytest.approx(by_day * 730 / 24)


def test_inputs_are_coloured_and_nothing_else_is(formulas: Any) -> None:
    sheet = formulas["Assumptions"]
    named = set()
    for entry in formulas.defined_names.values():
        _, reference = next(iter(entry.destinations))
        named.add(reference.replace("$", ""))
    coloured = {
        cell.coordinate
        for row in sheet.iter_rows(min_row=5)
        for cell in row
        if cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb == "FFFFF2CC"
    }
    assert coloured
    assert coloured < named
    assert all(sheet[place].data_type == "n" for place in coloured)


def test_arms_that_share_a_price_follow_one_cell(plan: Plan) -> None:
    twins = names_of(plan).twins
    assert twins["api:openai/gpt-5-mini:few-shot", "input_price"] == "api:openai/gpt-5-mini:zero-shot"
    assert ("api:anthropic/claude-opus-5:retrieval", "batch_input_price") not in twins
    assert twins["self:full", "serving_usd_per_gpu_hour"] in ("ready-made", "self:lora")
    assert ("self:full", "train_usd_per_gpu_hour") not in twins


def test_prefixes_are_legal_and_apart() -> None:
    names = names_of(make_plan(twelve_specs()))
    assert len(set(names.prefixes.values())) == 12
    for prefix in names.prefixes.values():
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix)
        assert len(prefix) < 200


@pytest.mark.parametrize("name", ["r", "C", "r1c1", "a1", "xfd1048576", "fp8", "R12"])
def test_names_that_read_as_cells_are_changed(name: str) -> None:
    assert defined_name(name) == f"{name}_"


def test_identifiers_leave_functions_and_numbers_out() -> None:
    assert identifiers("MAX(rows,1e-09)*IF(month<horizon_months,1,0)") == {"rows", "month", "horizon_months"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_text_that_looks_like_a_formula_stays_text(start: str) -> None:
    evil = f'{start}HYPERLINK("http://example.org","x")'
    specs = list(default_specs())
    specs[0] = replace(specs[0], label=f"{evil} arm", notes=(evil,))
    plan = make_plan(
        specs,
        command=evil,
        not_included=(evil,),
        ruled_out=(RuledOut(what=evil, reason=evil),),
        defaults_used=(evil,),
    )
    workbook = openpyxl.load_workbook(io.BytesIO(budget_xlsx(plan)))
    found = [cell for _, cell in cells(workbook) if str(cell.value).startswith(evil)]
    assert len(found) > 20
    assert {cell.data_type for cell in found} == {"s"}
    assert not any(cell.hyperlink for cell in found)


def test_checks_hold(values: Any, plan: Plan) -> None:
    sheet = values["Checks"]
    assert sheet["E5"].value is True
    held = [row[4].value for row in sheet.iter_rows(min_row=8, max_row=7 + 3 * len(plan.arms))]
    assert held == [True] * 3 * len(plan.arms)


def test_stamp_stands_on_the_first_sheet(values: Any, plan: Plan) -> None:
    first = [row[0].value for row in values["Summary"].iter_rows(max_row=5)]
    assert any(plan.scenario_hash in str(text) for text in first)
    assert plan.command in first
    assert values.properties.created.date() == plan.scenario.as_of


def with_inputs(content: bytes, changes: Mapping[str, Any], path: Path) -> Path:
    """The workbook with named cells changed and every cached value gone."""
    workbook = openpyxl.load_workbook(io.BytesIO(content))
    for name, value in changes.items():
        sheet, reference = next(iter(workbook.defined_names[name].destinations))
        workbook[sheet][reference.replace("$", "")] = value
    workbook.save(path)
    return path


def converted(paths: list[Path], out: Path, to: str) -> None:
    """Lets LibreOffice write the workbooks in another format, or in their own."""
    assert SOFFICE is not None
    profile = f"-env:UserInstallation=file://{out}/profile"
    command = [SOFFICE, profile, "--headless", "--convert-to", to, "--outdir", str(out), *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)


def recalculated(paths: list[Path], out: Path) -> list[Any]:
    """The workbooks as LibreOffice computes them."""
    converted(paths, out, "xlsx")
    return [openpyxl.load_workbook(out / path.name, data_only=True) for path in paths]


def program_totals(specs: tuple[ArmSpec, ...], changes: Mapping[str, float]) -> dict[str, float]:
    """What the cost lines give for the same change, with the arms as they are."""
    values = dict(make_plan(specs).scenario.assumptions)
    prefixes = names_of(make_plan(specs)).prefixes
    found = {}
    for spec in specs:
        start = f"{prefixes[spec.id]}__"
        rows = tuple(replace(row, base=changes.get(f"{start}{row.name}", row.base)) for row in spec.parameters)
        shared = values | {name: value for name, value in changes.items() if "__" not in name}
        lines = base_lines(spec=replace(spec, parameters=rows), values=shared)
        found[spec.label] = sum(line.total_usd for line in lines)
    return found


CHANGES: dict[str, dict[str, float]] = {
    "nothing": {},
    "requests": {"requests_per_day": 2_500_000.0},
    "rows": {"rows": 40_000.0},
    "retrains": {"retrain_every_months": 0.5},
    "price": {"self_lora__train_usd_per_gpu_hour": 29.0},
    "shorter": {"horizon_months": 7.0},
    "several": {
        "rows": 2500.0,
        "requests_per_day": 333_333.0,
        "contingency_fraction": 0.2,
        "api_migrations_per_year": 2.0,
        "traffic_growth_fraction_per_year": 0.7,
        "self_full__train_tokens_per_s_per_gpu": 100.0,
    },
}


@needs_engine
def test_a_spreadsheet_engine_gives_what_the_program_gives(
    content: bytes, formulas: Any, values: Any, plan: Plan, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    paths = [with_inputs(content, change, source / f"{name}.xlsx") for name, change in CHANGES.items()]
    books = dict(zip(CHANGES, recalculated(paths, out), strict=True))
    specs = default_specs()
    for name, change in CHANGES.items():
        expected = program_totals(specs, change)
        assert totals(books[name], plan) == pytest.approx(expected, rel=1e-9), name
        summary = {row[0].value: row[2].value for row in books[name]["Summary"].iter_rows(min_row=10, max_row=15)}
        assert summary == pytest.approx(expected, rel=1e-9), name
        assert books[name]["Checks"]["E5"].value is True, name
        errors = [cell for _, cell in cells(books[name]) if cell.data_type == "e"]
        assert not errors
    moved = totals(books["price"], plan)
    base = totals(values, plan)
    assert {label for label in base if moved[label] != pytest.approx(base[label], rel=1e-12)} == {
        "lora, self-hosted"
    }
    for sheet, cell in cells(formulas):
        if cell.data_type != "f":
            continue
        cached, computed = values[sheet][cell.coordinate].value, books["nothing"][sheet][cell.coordinate].value
        expected_value = pytest.approx(cached, rel=1e-9, abs=1e-9) if isinstance(cached, float | int) else cached
        assert computed == expected_value, f"{sheet}!{cell.coordinate}"


def answered(**settings: float) -> Plan:
    """A plan of the program itself."""
    scenario = Scenario(model="7b", as_of=date(2026, 11, 21), assumptions=shipped().setting(settings))
    return answer(scenario, command="ftcost plan --model 7b")


SETTINGS: dict[str, dict[str, float]] = {
    "plan": {},
    "rows": {"rows": 11_000.0},
    "requests": {"requests_per_day": 12_000.0},
    "interval": {"retrain_every_months": 3.0},
    "people": {"engineer_usd_per_hour": 80.0, "label_usd_per_row": 0.5},
}


REFUSED: dict[str, dict[str, Any]] = {
    "longer": {"horizon_months": 36.0},
    "negative": {"contingency_fraction": -0.5},
    "two": {"rows": -3.0, "contingency_fraction": 99.0},
    "words": {"requests_per_day": "many"},
    "empty": {"requests_per_day": None},
    "error": {"requests_per_day": "=1/0"},
}


@needs_engine
def test_an_input_outside_its_limits_fails_the_checks(content: bytes, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    paths = [with_inputs(content, change, source / f"{case}.xlsx") for case, change in REFUSED.items()]
    for case, book in zip(REFUSED, recalculated(paths, out), strict=True):
        assert book["Checks"]["E5"].value is False, case
        assert book["Summary"]["C6"].value is False, case
        if case != "error":
            assert book["Checks"]["E6"].value == len(REFUSED[case]), case
            said = "1 input outside" if len(REFUSED[case]) == 1 else f"{len(REFUSED[case])} inputs outside"
            assert book["Summary"]["D6"].value.startswith(said), case
            assert book["Summary"]["B6"].value == "DO NOT USE", case


def test_every_input_refuses_what_its_assumption_does_not_allow(formulas: Any, plan: Plan) -> None:
    sheet = formulas["Assumptions"]
    rules = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation}
    coloured = {
        cell.coordinate
        for row in sheet.iter_rows(min_row=5)
        for cell in row
        if cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb == "FFFFF2CC"
    }
    assert set(rules) == coloured
    for row in plan.scenario.assumptions.rows:
        if row.name not in formulas.defined_names:
            continue
        _, place = next(iter(formulas.defined_names[row.name].destinations))
        rule = rules[place.replace("$", "")]
        assert not rule.allowBlank
        assert rule.error == rule.prompt
        assert float(rule.formula1) == row.minimum
        if row.name == "horizon_months":
            assert (rule.type, float(rule.formula2)) == ("whole", row.base)
            assert rule.error.startswith(f"A whole number from 1 to {row.base:g} (month).")
        else:
            assert rule.type == "decimal"
            assert float(rule.formula2 or "inf") == row.maximum


@needs_engine
def test_a_changed_workbook_gives_what_the_changed_plan_gives(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    plans = {name: answered(**settings) for name, settings in SETTINGS.items()}
    content = budget_xlsx(plans["plan"])
    paths = [with_inputs(content, settings, source / f"{name}.xlsx") for name, settings in SETTINGS.items()]
    books = dict(zip(SETTINGS, recalculated(paths, out), strict=True))
    before = {arm.id: arm for arm in plans["plan"].arms}
    for name, plan in plans.items():
        found = totals(books[name], plan)
        alike = [arm for arm in plan.arms if arm.id in before and arm.parameters == before[arm.id].parameters]
        assert len(alike) > len(plan.arms) / 2, name
        assert any(arm.kind == "self-hosted" for arm in alike), name
        for arm in alike:
            assert found[arm.label] == pytest.approx(arm.total_usd.base, rel=1e-9), (name, arm.id)
        assert books[name]["Checks"]["E5"].value is True, name


@needs_engine
def test_a_spreadsheet_engine_prints_it(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "budget.xlsx"
    source.write_bytes(content)
    converted([source], tmp_path / "out", "pdf")
    assert (tmp_path / "out" / "budget.pdf").read_bytes().startswith(b"%PDF")


@needs_engine
def test_numbers_keep_their_sign_in_a_spreadsheet_engine(tmp_path: Path) -> None:
    source = tmp_path / "numbers.xlsx"
    with xlsxwriter.Workbook(source) as workbook:
        sheet = workbook.add_worksheet()
        for row, value in enumerate((-12345.678, -0.3, 0.3, 12345.678)):
            for column, shape in enumerate((NUMBER, USD)):
                sheet.write_number(row, column, value, workbook.add_format({"num_format": shape}))
    as_shown = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true"
    converted([source], tmp_path / "out", as_shown)
    lines = (tmp_path / "out" / "numbers.csv").read_text().splitlines()
    assert lines == ['"-12,345.678","-12,345.68"', "-0.3,-0.30", "0.3,0.30", '"12,346","12,346"']
