"""The sheets Summary, Break-even and Checks: formulas over the totals of the sheet Monthly."""

from __future__ import annotations

from typing import Any

from estimator.money.series import DAYS_PER_MONTH
from estimator.result import GROUPS, Arm
from reports import findings
from reports.style import GROUP_COLOURS, KIND_LABELS
from reports.workbook.book import Book, letter
from reports.workbook.monthly import (
    BASE_COLUMN,
    FIRST_MONTH_COLUMN,
    LEAST_COLUMN,
    MOST_COLUMN,
    VALUE_COLUMN,
    moves_with_requests,
)

TOTAL = letter(FIRST_MONTH_COLUMN - 1)
BUILD_COLUMN = letter(FIRST_MONTH_COLUMN)
SUMMARY_HEAD_ROW = 8
REQUESTS = "requests_in_month"
HOLD, OUTSIDE = "E5", "E6"
"""Where the sheet Checks says whether all checks hold, and how many inputs are outside their limits."""


def write_summary(book: Book) -> None:
    """What every way costs, by group, and which is the cheapest now."""
    plan, arms = book.plan, book.plan.arms
    sheet = book.sheet(
        "Summary",
        plan.verdict.headline,
        "US dollars. Black numbers are live; grey ones were pasted by the program and do not move.",
        (46, 22, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14),
    )
    _heading(book, sheet)
    heads = (
        "way",
        "kind",
        "total",
        "rank",
        "above the cheapest",
        "before month 1",
        "present value",
        "per 1,000 requests",
        "P10 (pasted)",
        "P50 (pasted)",
        "P90 (pasted)",
        "cheapest in (pasted)",
    )
    book.heads(sheet, SUMMARY_HEAD_ROW, heads, numbers=range(2, len(heads)))
    first = SUMMARY_HEAD_ROW + 2
    last = first + len(arms) - 1
    totals = [sum(arm.monthly_usd) for arm in arms]
    order = sorted(totals)
    for index, arm in enumerate(arms):
        row, place = first - 1 + index, first + index
        book.text(sheet, row, 0, arm.label, "bold" if arm.id == plan.verdict.arm else "text")
        book.text(sheet, row, 1, KIND_LABELS[arm.kind])
        total = book.totals[arm.id]
        book.formula(sheet, row, 2, f"=Monthly!{TOTAL}{total}", totals[index], "usd")
        rank = f"=RANK(C{place},C${first}:C${last},1)"
        book.formula(sheet, row, 3, rank, float(order.index(totals[index]) + 1), "whole")
        above = f"=C{place}-MIN(C${first}:C${last})"
        book.formula(sheet, row, 4, above, totals[index] - order[0], "usd")
        book.formula(sheet, row, 5, f"=Monthly!{BUILD_COLUMN}{total}", arm.monthly_usd[0], "usd")
        book.formula(sheet, row, 6, f"=Monthly!{TOTAL}{book.present[arm.id]}", arm.npv_usd.base, "usd")
        each = f"=1000*C{place}/{_requests(book)}"
        book.formula(sheet, row, 7, each, arm.usd_per_1000_requests, "usd")
        for column, value in ((8, arm.total_usd.p10), (9, arm.total_usd.p50), (10, arm.total_usd.p90)):
            book.number(sheet, row, column, value, "pasted")
        book.number(sheet, row, 11, arm.probability_cheapest, "pasted_share")
    book.text(sheet, 5, 0, "inputs are within limits and checks hold", "bold")
    book.formula(sheet, 5, 1, '=IF(C6,"usable","DO NOT USE")', "usable", "check")
    book.formula(sheet, 5, 2, f"=Checks!{HOLD}", True, "check")
    told = f'IF(Checks!{OUTSIDE}=1," input"," inputs")&" outside the limits beside them on the sheet Assumptions"'
    cached = "0 inputs outside the limits beside them on the sheet Assumptions"
    book.formula(sheet, 5, 3, f"=Checks!{OUTSIDE}&{told}", cached, "note_beside")
    cheapest = min(range(len(arms)), key=lambda index: totals[index])
    book.text(sheet, 6, 0, "cheapest at the values now on the sheet Assumptions", "bold")
    formula = f"=INDEX(A{first}:A{last},MATCH(MIN(C{first}:C{last}),C{first}:C{last},0))"
    book.formula(sheet, 6, 2, formula, arms[cheapest].label, "bold")
    _groups(book, sheet, last + 1)


def _heading(book: Book, sheet: Any) -> None:
    from reports.style import stamp

    plan = book.plan
    book.text(sheet, 2, 0, stamp(plan), "note")
    book.text(sheet, 3, 0, plan.command, "note")
    book.text(
        sheet,
        4,
        0,
        "Cards, replica types and API models stay as chosen at the program's values: for another choice run ftcost"
        " again.",
        "note",
    )


def _requests(book: Book) -> str:
    row = book.series_rows[REQUESTS]
    return f"SUM(Monthly!{BUILD_COLUMN}${row}:{letter(FIRST_MONTH_COLUMN + book.months)}${row})"


def _groups(book: Book, sheet: Any, row: int) -> None:
    """Cost by group, and a chart of it."""
    arms = book.plan.arms
    book.heads(sheet, row + 1, ("way", "by cost group", *GROUPS, "sum"), numbers=range(2, len(GROUPS) + 3))
    head = row + 2
    for index, arm in enumerate(arms):
        at = row + 2 + index
        book.text(sheet, at, 0, arm.label)
        rows = f"{book.first_line[arm.id]}:${{column}}${book.last_line[arm.id]}"
        amounts = "Monthly!$" + TOTAL + "$" + rows.format(column=TOTAL)
        groups = "Monthly!$B$" + rows.format(column="B")
        for offset, group in enumerate(GROUPS):
            column = letter(2 + offset)
            value = arm.groups_usd.get(group, 0.0)
            book.formula(sheet, at, 2 + offset, f"=SUMIF({groups},{column}${head},{amounts})", value, "usd")
        ends = f"{letter(2)}{at + 1}:{letter(1 + len(GROUPS))}{at + 1}"
        book.formula(sheet, at, 2 + len(GROUPS), f"=SUM({ends})", sum(arm.monthly_usd), "usd_sum")
    chart = book.workbook.add_chart({"type": "bar", "subtype": "stacked"})
    for offset, group in enumerate(GROUPS):
        chart.add_series(
            {
                "name": ["Summary", row + 1, 2 + offset],
                "categories": ["Summary", row + 2, 0, row + 1 + len(arms), 0],
                "values": ["Summary", row + 2, 2 + offset, row + 1 + len(arms), 2 + offset],
                "fill": {"color": GROUP_COLOURS[group]},
                "gap": 60,
            }
        )
    chart.set_y_axis({"reverse": True, "num_font": {"size": 8}})
    chart.set_x_axis({"num_format": "$#,##0", "num_font": {"size": 8}, "label_position": "low"})
    chart.set_title({"name": "Cost over the horizon by group, USD", "name_font": {"size": 11}})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 1050, "height": 150 + 30 * len(arms)})
    sheet.insert_chart(row + 3 + len(arms), 0, chart)


def write_break_even(book: Book) -> None:
    """The program's crossings, pasted; and a live one between two steps of whole replicas."""
    plan = book.plan
    sheet = book.sheet(
        "Break-even",
        "Requests from which tuning costs less",
        "Above, in grey: found by the program. Below, in black: what the workbook finds for the values now on the"
        " sheet Assumptions.",
        (46, 20, 20, 24, 20, 18, 18, 44),
    )
    if not plan.break_evens:
        (reason,) = findings.break_even(plan)
        book.text(sheet, 3, 0, reason)
        return
    tuned = plan.arm(plan.best_tuned)
    book.text(
        sheet,
        3,
        0,
        "Pasted: at each volume with the cheapest way of tuning and the replicas that it needs",
        "bold",
    )
    heads = (
        "rival",
        "lowest, a day",
        "P10, a day",
        "P90, a day",
        "never, share of draws",
        "always above, a day",
        "lowest, a month",
        "every crossing, a day",
    )
    book.heads(sheet, 4, heads, numbers=range(1, 7))
    row = 5
    for item in plan.break_evens:
        book.text(sheet, row, 0, plan.arm(item.rival).label)
        for column, value in ((1, item.lowest_per_day), (2, item.low_per_day), (3, item.high_per_day)):
            _number_or(book, sheet, row, column, value, "never")
        book.number(sheet, row, 4, item.never_probability, "pasted_share")
        _number_or(book, sheet, row, 5, item.always_above_per_day, "nowhere")
        crossings = ", ".join(f"{value:,.0f}" for value in item.crossings_per_day) or "none"
        monthly = "never" if item.lowest_per_day is None else item.lowest_per_day * DAYS_PER_MONTH
        cell = f"B{row + 1}"
        book.formula(sheet, row, 6, f"=IF(ISNUMBER({cell}),{cell}*days_per_month,{cell})", monthly, "whole")
        book.text(sheet, row, 7, crossings, "pasted_text")
        row += 1
    low, high = plan.break_evens[0].searched_per_day
    book.text(sheet, row, 0, f"Searched from {low:,.0f} to {high:,.0f} requests a day.", "note")
    row += 2
    book.text(
        sheet,
        row,
        0,
        f"Live: {tuned.label}, with as many replicas as the volume now on the sheet Assumptions needs",
        "bold",
    )
    row += 1
    book.text(
        sheet,
        row,
        0,
        "Both costs drawn on as straight lines. Where a larger volume needs more replicas, tuning pays later than"
        " this says: the table above counts them; so does this one once requests_per_day is near the break-even.",
        "note",
    )
    row += 1
    live_heads = (
        "way",
        "fixed or in steps, USD",
        "in proportion to requests, USD",
        "live break-even, requests a day",
        "total, USD",
        "break-even, requests a month",
    )
    book.heads(sheet, row, live_heads, numbers=range(1, 6))
    shown = [tuned, *(plan.arm(item.rival) for item in plan.break_evens)]
    per_day = plan.scenario.assumptions["requests_per_day"]
    fixed_here, moving_here = _split(tuned)
    top = row + 2
    for index, arm in enumerate(shown):
        at, place = row + 1 + index, row + 2 + index
        book.text(sheet, at, 0, arm.label, "bold" if index == 0 else "text")
        fixed, moving = _split(arm)
        span = f"{book.first_line[arm.id]}:${{0}}${book.last_line[arm.id]}"
        amounts = f"Monthly!${TOTAL}${span.format(TOTAL)}"
        moves = f"Monthly!$F${span.format('F')}"
        book.formula(sheet, at, 1, f"=E{place}-C{place}", fixed, "usd")
        book.formula(sheet, at, 2, f'=SUMIF({moves},"in proportion",{amounts})', moving, "usd")
        book.formula(sheet, at, 4, f"=Monthly!{TOTAL}{book.totals[arm.id]}", sum(arm.monthly_usd), "usd")
        if index == 0:
            continue
        crossing = (
            max(0.0, per_day * (fixed_here - fixed) / (moving - moving_here)) if moving > moving_here else "never"
        )
        formula = f'=IF(C{place}>C${top},MAX(0,requests_per_day*(B${top}-B{place})/(C{place}-C${top})),"never")'
        book.formula(sheet, at, 3, formula, crossing, "whole")
        monthly = crossing if isinstance(crossing, str) else crossing * DAYS_PER_MONTH
        live = f"=IF(ISNUMBER(D{place}),D{place}*days_per_month,D{place})"
        book.formula(sheet, at, 5, live, monthly, "whole")


def _split(arm: Arm) -> tuple[float, float]:
    moving = sum(line.total_usd for line in arm.lines if moves_with_requests(line) == "in proportion")
    return sum(arm.monthly_usd) - moving, moving


def _number_or(book: Book, sheet: Any, row: int, column: int, value: float | None, otherwise: str) -> None:
    if value is None:
        book.text(sheet, row, column, otherwise, "right")
    else:
        book.number(sheet, row, column, value, "pasted_whole")


def write_checks(book: Book, inputs: tuple[int, int]) -> None:
    """The workbook against the program while no input is changed, and rows against totals always."""
    plan = book.plan
    sheet = book.sheet(
        "Checks",
        "Checks",
        "The comparison with the program holds as long as no coloured cell is changed; the sums hold always.",
        (46, 40, 18, 18, 12),
    )
    first, last = inputs[0] + 1, inputs[1] + 1
    value, base = letter(VALUE_COLUMN), letter(BASE_COLUMN)
    span = f"{first}:{{0}}{last}"
    changed = f"=SUMPRODUCT(--(Assumptions!{value}{span.format(value)}<>Assumptions!{base}{span.format(base)}))"
    book.text(sheet, 3, 0, "inputs changed")
    book.formula(sheet, 3, 4, changed, 0.0, "whole")
    book.text(sheet, 4, 0, "all checks hold", "bold")
    at, least, most = (
        f"Assumptions!{letter(column)}{first}:{letter(column)}{last}"
        for column in (VALUE_COLUMN, LEAST_COLUMN, MOST_COLUMN)
    )
    outside = f"=SUMPRODUCT(ISNUMBER({least})*((1-ISNUMBER({at}))+({at}<{least})+({at}>{most})>0))"
    book.text(sheet, 5, 0, "inputs outside their limits")
    book.formula(sheet, 5, 4, outside, 0.0, "whole")
    book.heads(sheet, 6, ("way", "check", "workbook", "other side", "holds"), numbers=(2, 3, 4))
    row = 7
    for arm in plan.arms:
        row = _checks_of(book, sheet, row, arm)
    hold = f"=IFERROR(AND({OUTSIDE}=0,E8:E{row}),FALSE)"
    book.formula(sheet, 4, 4, hold, True, "check")
    rule = {"type": "formula", "criteria": "=NOT($E$5)", "format": book.formats["outside"]}
    sheet.conditional_format(4, 4, 4, 4, rule)


def _checks_of(book: Book, sheet: Any, row: int, arm: Arm) -> int:
    total_row = book.totals[arm.id]
    total = sum(arm.monthly_usd)
    lines = f"Monthly!{TOTAL}{book.first_line[arm.id]}:{TOTAL}{book.last_line[arm.id]}"
    cases: tuple[tuple[str, str, str | float, float, str], ...] = (
        ("total against the program", f"=Monthly!{TOTAL}{total_row}", arm.total_usd.base, total, "OR(E$4>0,{0})"),
        (
            "present value against the program",
            f"=Monthly!{TOTAL}{book.present[arm.id]}",
            arm.npv_usd.base,
            arm.npv_usd.base,
            "OR(E$4>0,{0})",
        ),
        ("total of lines against total of months", f"=SUM({lines})", f"=Monthly!{TOTAL}{total_row}", total, "{0}"),
    )
    for name, formula, other, cached, wrap in cases:
        place = row + 1
        book.text(sheet, row, 0, arm.label)
        book.text(sheet, row, 1, name)
        book.formula(sheet, row, 2, formula, cached, "usd")
        if isinstance(other, str):
            book.formula(sheet, row, 3, other, total, "usd")
        else:
            book.number(sheet, row, 3, other, "pasted")
        near = f"ABS(C{place}-D{place})<=0.000001*(1+ABS(D{place}))"
        book.formula(sheet, row, 4, f"={wrap.format(near)}", True, "check")
        row += 1
    return row
