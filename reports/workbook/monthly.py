"""The sheets Assumptions and Monthly: the inputs, and every cost line by month as formulas over them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from estimator.assumptions import Assumption
from estimator.money.ownership import month_column, with_series
from estimator.result import Arm, LineResult
from estimator.words import counted
from reports.style import quantity
from reports.workbook.book import Book, letter
from reports.workbook.names import CONSTANTS, MONTH, defined_name, identifiers, series_formulas

ASSUMPTION_HEADS = (
    "assumption",
    "name",
    "value",
    "low (P10)",
    "base",
    "high (P90)",
    "least allowed",
    "most allowed",
    "unit",
    "status",
    "source",
    "checked",
)
VALUE_COLUMN, BASE_COLUMN = 2, 4
LEAST_COLUMN, MOST_COLUMN = 6, 7
FIRST_MONTH_COLUMN = 7
MONTHLY_HEADS = ("way", "group", "line", "unit", "when", "moves with requests", "total USD")
WHEN = {"once": "before month 1", "retrain": "each retrain", "monthly": "every month"}
SERIES_LABELS = {
    "requests_in_month": "requests",
    "retrains_so_far": "retrains so far",
    "retrains_in_month": "retrains",
    "gpu_price_factor": "GPU price over today's",
    "api_moves_in_month": "moves to a newer API model",
    "api_price_factor": "API price over today's",
    "discount_factor": "present value of a dollar",
}
ANY_COLUMN = "?"
"""Stands for the letters of a month's column until its formula is written; no formula has it."""
BUILD, RUNNING = "before month 1", "months within the horizon"
ALWAYS_READ = {"contingency_fraction", "horizon_months"}


def live_names(book: Book) -> set[str]:
    """The parameters that some formula of the workbook reads."""
    texts = list(series_formulas().values())
    for arm in book.plan.arms:
        texts += [text for line in arm.lines for text in (line.quantity_formula, line.unit_price_formula)]
    return set().union(*(identifiers(text) for text in texts)) | ALWAYS_READ


def write_assumptions(book: Book) -> tuple[int, int]:
    """Inputs that move the totals, coloured and named; below them what the workbook cannot move.

    Returns:
        The first and last row (counted from 0) that may hold an input.
    """
    sheet = book.sheet(
        "Assumptions",
        "Assumptions",
        "Change a coloured cell and every total that depends on it moves. Grey values follow another cell.",
        (52, 44, 17, 17, 17, 17, 12, 20, 20, 12, 100, 12),
    )
    sheet.freeze_panes(4, 2)
    book.heads(sheet, 3, ASSUMPTION_HEADS, numbers=range(VALUE_COLUMN, MOST_COLUMN + 1))
    live = live_names(book)
    row = 4
    first = row
    rows = book.plan.scenario.assumptions.rows
    row = _section(book, sheet, row, "For every way")
    for item in (item for item in rows if item.name in live):
        _assumption(book, sheet, row, item, defined_name(item.name))
        row += 1
    for arm in book.plan.arms:
        row = _section(book, sheet, row, arm.label)
        for item in arm.parameters:
            twin = book.names.twins.get((arm.id, item.name))
            source = book.names.own(twin, item.name) if twin else ""
            _assumption(book, sheet, row, item, book.names.own(arm.id, item.name), follows=source)
            row += 1
    last = row - 1
    _redden(book, sheet, first, last)
    row = _section(book, sheet, row, "Conversions")
    for name, (value, label) in CONSTANTS.items():
        book.text(sheet, row, 0, label)
        book.text(sheet, row, 1, name)
        book.number(sheet, row, VALUE_COLUMN, value, "linked")
        book.workbook.define_name(name, f"=Assumptions!${letter(VALUE_COLUMN)}${row + 1}")
        row += 1
    row = _section(
        book,
        sheet,
        row,
        "Behind the choice of cards, memory, speed: not live here, change them with ftcost plan --set name=value",
    )
    for item in (item for item in rows if item.name not in live):
        _assumption(book, sheet, row, item, "")
        row += 1
    return first, last


def _section(book: Book, sheet: Any, row: int, title: str) -> int:
    for column in range(len(ASSUMPTION_HEADS)):
        book.text(sheet, row, column, title if column == 0 else "", "section")
    return row + 1


def _assumption(book: Book, sheet: Any, row: int, item: Assumption, name: str, *, follows: str = "") -> None:
    book.text(sheet, row, 0, item.label)
    book.text(sheet, row, 1, name or item.name)
    if follows:
        book.formula(sheet, row, VALUE_COLUMN, f"={follows}", item.base, "linked")
    else:
        book.number(sheet, row, VALUE_COLUMN, item.base, "input" if name else "linked")
        if name:
            _limits(book, sheet, row, item)
    for column, value in ((3, item.low), (BASE_COLUMN, item.base), (5, item.high)):
        book.number(sheet, row, column, value)
    book.text(sheet, row, 8, item.unit, "unit")
    for column, text in ((9, item.status), (10, item.source), (11, item.checked)):
        book.text(sheet, row, column, text)
    if name:
        book.workbook.define_name(name, f"=Assumptions!${letter(VALUE_COLUMN)}${row + 1}")


def _limits(book: Book, sheet: Any, row: int, item: Assumption) -> None:
    """What the cell of an input takes: written beside it, and refused otherwise when it is typed."""
    least, most = item.minimum, item.maximum
    horizon = item.name == "horizon_months"
    if horizon:
        most = float(book.months)
    book.number(sheet, row, LEAST_COLUMN, least)
    if math.isfinite(most):
        book.number(sheet, row, MOST_COLUMN, most)
        limits: dict[str, Any] = {"criteria": "between", "minimum": least, "maximum": most}
        span = f"from {quantity(least)} to {quantity(most)}"
    else:
        book.text(sheet, row, MOST_COLUMN, "none", "right")
        limits = {"criteria": ">=", "value": least}
        span = f"of at least {quantity(least)}"
    allowed = f"A {'whole ' if horizon else ''}number {span} ({item.unit})."
    if horizon:
        allowed += " No more months are laid out here: for a longer horizon run ftcost plan --horizon-months."
    sheet.data_validation(
        row,
        VALUE_COLUMN,
        row,
        VALUE_COLUMN,
        {
            "validate": "integer" if horizon else "decimal",
            "ignore_blank": False,
            **limits,
            "input_message": allowed,
            "error_title": "Outside its limits",
            "error_message": allowed,
        },
    )


def _redden(book: Book, sheet: Any, first: int, last: int) -> None:
    """Marks an input that got past the validation, as one that is pasted does."""
    at, least, most = (f"${letter(column)}{first + 1}" for column in (VALUE_COLUMN, LEAST_COLUMN, MOST_COLUMN))
    outside = f"=AND(ISNUMBER({least}),OR(NOT(ISNUMBER({at})),{at}<{least},{at}>{most}))"
    sheet.conditional_format(
        first,
        VALUE_COLUMN,
        last,
        VALUE_COLUMN,
        {"type": "formula", "criteria": outside, "format": book.formats["outside"]},
    )


def write_monthly(book: Book) -> None:
    """Months across; first the series that many lines read, then one block per arm."""
    months = book.months
    sheet = book.sheet(
        "Monthly",
        "Cost by month, US dollars",
        f"Laid out for {counted(months, 'month')}, the most that horizon_months may be here; a shorter one empties"
        " the last. Cards and replica types stay as the program chose them.",
        (40, 13, 44, 16, 15, 11, 14, *([12] * (months + 1)), 60, 60),
    )
    after = FIRST_MONTH_COLUMN + months + 1
    heads = (*MONTHLY_HEADS, *(f"month {month}" for month in range(months + 1)))
    book.heads(sheet, 3, heads, numbers=range(FIRST_MONTH_COLUMN - 1, after))
    book.text(sheet, 3, after, "quantity", "head")
    book.text(sheet, 3, after + 1, "unit price", "head")
    sheet.freeze_panes(4, FIRST_MONTH_COLUMN)
    sheet.repeat_rows(3)
    row = _series(book, sheet, 4)
    for arm in book.plan.arms:
        row = _arm(book, sheet, row + 1, arm)
    sheet.print_area(0, 0, row, after - 1)


def _columns(book: Book) -> list[str]:
    return [letter(FIRST_MONTH_COLUMN + month) for month in range(book.months + 1)]


def _series(book: Book, sheet: Any, row: int) -> int:
    columns = _columns(book)
    formulas = series_formulas()
    book.series_rows = {name: row + 1 + index for index, name in enumerate((MONTH, BUILD, RUNNING, *formulas))}
    at = book.series_rows
    values = with_series(dict(book.plan.scenario.assumptions), month_column(book.months))
    book.text(sheet, row, 2, MONTH, "bold")
    for index, column in enumerate(columns):
        if index == 0:
            book.number(sheet, row, FIRST_MONTH_COLUMN, 0, "whole")
        else:
            formula = f"={columns[index - 1]}{at[MONTH]}+1"
            book.formula(sheet, row, FIRST_MONTH_COLUMN + index, formula, float(index), "whole")
        build = f"=IF({column}${at[MONTH]}=0,1,0)"
        book.formula(sheet, at[BUILD] - 1, FIRST_MONTH_COLUMN + index, build, float(index == 0), "whole")
        running = f"=IF(AND({column}${at[MONTH]}>0,{column}${at[MONTH]}<=ROUND(horizon_months,0)),1,0)"
        book.formula(sheet, at[RUNNING] - 1, FIRST_MONTH_COLUMN + index, running, float(index > 0), "whole")
    book.text(sheet, at[BUILD] - 1, 2, BUILD)
    book.text(sheet, at[RUNNING] - 1, 2, RUNNING)
    for name, text in formulas.items():
        book.text(sheet, at[name] - 1, 2, SERIES_LABELS.get(name, name.replace("_", " ")))
        column_values = np.broadcast_to(np.reshape(values[name], (-1, 1)), (book.months, 1))[:, 0]
        cached = [0.0, *column_values.tolist()]
        if name == "discount_factor":
            book.discount = (1.0, *cached[1:])
        month = book.names.formula(text, arm=None, column=ANY_COLUMN, series_rows=at)
        whole = f"=IF({ANY_COLUMN}${at[RUNNING]}=1,{month},0)"
        for index, column in enumerate(columns):
            formula = whole.replace(ANY_COLUMN, column)
            book.formula(sheet, at[name] - 1, FIRST_MONTH_COLUMN + index, formula, cached[index])
    return row + len(at)


def _arm(book: Book, sheet: Any, row: int, arm: Arm) -> int:
    columns = _columns(book)
    book.first_line[arm.id] = row + 1
    for line in arm.lines:
        _line(book, sheet, row, arm, line)
        row += 1
    book.last_line[arm.id] = row
    book.totals[arm.id] = row + 1
    book.present[arm.id] = row + 2
    first, last = book.first_line[arm.id], book.last_line[arm.id]
    at = book.series_rows
    book.text(sheet, row, 0, arm.label, "bold")
    book.text(sheet, row, 2, "total", "bold")
    book.text(sheet, row + 1, 0, arm.label)
    book.text(sheet, row + 1, 2, "present value of the total")
    for index, column in enumerate(columns):
        total = f"=SUM({column}{first}:{column}{last})"
        book.formula(sheet, row, FIRST_MONTH_COLUMN + index, total, arm.monthly_usd[index], "usd_bold")
        present = f"={column}{row + 1}*({column}${at[BUILD]}+{column}${at['discount_factor']})"
        value = arm.monthly_usd[index] * book.discount[index]
        book.formula(sheet, row + 1, FIRST_MONTH_COLUMN + index, present, value, "usd")
    for offset, value in ((0, sum(arm.monthly_usd)), (1, arm.npv_usd.base)):
        place = row + offset
        across = f"=SUM({columns[0]}{place + 1}:{columns[-1]}{place + 1})"
        book.formula(sheet, place, FIRST_MONTH_COLUMN - 1, across, value, "usd_bold" if offset == 0 else "usd")
    return row + 2


def moves_with_requests(line: LineResult) -> str:
    """How a line answers to more requests: in proportion, in steps of whole replicas, or not."""
    if "requests_in_month" not in identifiers(f"{line.quantity_formula} {line.unit_price_formula}"):
        return "no"
    return "in steps" if "ROUNDUP" in line.quantity_formula else "in proportion"


def _line(book: Book, sheet: Any, row: int, arm: Arm, line: LineResult) -> None:
    columns = _columns(book)
    texts = (arm.label, line.group, line.name, line.unit, WHEN[line.timing], moves_with_requests(line))
    for column_index, text in enumerate(texts):
        book.text(sheet, row, column_index, text)
    occurs = {"once": BUILD, "retrain": "retrains_in_month", "monthly": RUNNING}[line.timing]
    at = book.series_rows
    across = f"=SUM({columns[0]}{row + 1}:{columns[-1]}{row + 1})"
    book.formula(sheet, row, FIRST_MONTH_COLUMN - 1, across, line.total_usd, "usd")
    quantity = book.names.formula(line.quantity_formula, arm=arm, column=ANY_COLUMN, series_rows=at)
    price = book.names.formula(line.unit_price_formula, arm=arm, column=ANY_COLUMN, series_rows=at)
    whole = f"={ANY_COLUMN}${at[occurs]}*{quantity}*{price}*(1+contingency_fraction)"
    for index, column in enumerate(columns):
        formula = whole.replace(ANY_COLUMN, column)
        book.formula(sheet, row, FIRST_MONTH_COLUMN + index, formula, line.usd[index], "usd")
    after = FIRST_MONTH_COLUMN + len(columns)
    book.text(sheet, row, after, line.quantity_formula)
    book.text(sheet, row, after + 1, line.unit_price_formula)
