"""What the sheets of the workbook share: formats, the plan, and where things stand."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from estimator.result import Plan
from reports.layout import Paper
from reports.style import ALERT, INK, PAPER, SOFT
from reports.workbook.names import Names

PAPER_CODES: dict[Paper, int] = {"a4": 9, "letter": 1}
"""Paper as the file format numbers it."""

INPUT_FILL = "#fff2cc"
HEAD_FILL = "#e4e7ec"
NUMBER = "[>=1000]#,##0;[<0]-#,##0.####;#,##0.####"
"""Decimals where they tell something; the cell holds them all. LibreOffice wants the minus said."""
USD = "[>=100]#,##0;[<0]-#,##0.00;#,##0.00"
FORMATS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14, "font_color": INK},
    "note": {"italic": True, "font_color": SOFT},
    "head": {"bold": True, "bg_color": HEAD_FILL, "text_wrap": True, "valign": "top", "bottom": 1},
    "head_right": {
        "bold": True,
        "bg_color": HEAD_FILL,
        "text_wrap": True,
        "valign": "top",
        "bottom": 1,
        "align": "right",
    },
    "text": {},
    "unit": {"indent": 1},
    "right": {"align": "right", "font_color": SOFT},
    "wrap": {"text_wrap": True, "valign": "top"},
    "bold": {"bold": True},
    "section": {"bold": True, "font_color": INK, "top": 1},
    "number": {"num_format": NUMBER},
    "small": {"num_format": "0.00E+00"},
    "usd": {"num_format": USD},
    "usd_bold": {"num_format": USD, "bold": True, "top": 1},
    "usd_sum": {"num_format": USD, "bold": True},
    "share": {"num_format": "0.0%"},
    "whole": {"num_format": "#,##0"},
    "date": {"num_format": "yyyy-mm-dd"},
    "input": {"num_format": NUMBER, "bg_color": INPUT_FILL, "border": 1, "border_color": "#d9b95b"},
    "linked": {"num_format": NUMBER, "font_color": SOFT},
    "pasted_text": {"indent": 1, "font_color": SOFT},
    "pasted_share": {"num_format": "0.0%", "font_color": SOFT},
    "pasted_whole": {"num_format": "#,##0", "font_color": SOFT},
    "pasted": {"num_format": USD, "font_color": SOFT},
    "check": {"bold": True},
    "note_beside": {"italic": True, "font_color": SOFT, "indent": 1},
    "outside": {"bold": True, "font_color": PAPER, "bg_color": ALERT},
}


@dataclass(kw_only=True)
class Book:
    """The workbook while it is written.

    Attributes:
        totals: by arm id, the row of its total on the sheet Monthly (counted from 1).
        first_line, last_line: by arm id, the rows of its first and last cost line.
        present: by arm id, the row of its present value.
        series_rows: by name, the row of every monthly series.
        discount: present value of a dollar of each month from 0 on, at the base values.
    """

    plan: Plan
    names: Names
    workbook: Any
    formats: dict[str, Any]
    paper: Paper = "a4"
    sheets: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    first_line: dict[str, int] = field(default_factory=dict)
    last_line: dict[str, int] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)
    series_rows: dict[str, int] = field(default_factory=dict)
    discount: tuple[float, ...] = ()

    @property
    def months(self) -> int:
        """Months laid out, month 0 left out."""
        return len(self.plan.arms[0].monthly_usd) - 1

    def sheet(self, name: str, title: str, note: str, widths: Sequence[float]) -> Any:
        """A new sheet with its title, a note under it and its column widths, set to print."""
        from reports.style import stamp

        sheet = self.sheets[name]
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.write_string(0, 0, title, self.formats["title"])
        sheet.write_string(1, 0, note, self.formats["note"])
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(PAPER_CODES[self.paper])
        sheet.fit_to_pages(1, 0)
        sheet.set_footer(f"&L&8{stamp(self.plan).replace('&', '&&')}&R&8&A, &P / &N")
        return sheet

    def text(self, sheet: Any, row: int, column: int, text: str, style: str = "text") -> None:
        """Text that stays text, whatever it starts with."""
        sheet.write_string(row, column, text, self.formats[style])

    def number(self, sheet: Any, row: int, column: int, value: float, style: str = "number") -> None:
        """A pasted number."""
        if style == "number" and 0 < abs(value) < 1e-3:
            style = "small"
        sheet.write_number(row, column, float(value), self.formats[style])

    def formula(
        self, sheet: Any, row: int, column: int, formula: str, value: float | str | bool, style: str = "number"
    ) -> None:
        """A live formula with the value that the program has for it."""
        sheet.write_formula(row, column, formula, self.formats[style], value)

    def heads(self, sheet: Any, row: int, heads: Sequence[str], *, numbers: Container[int]) -> None:
        """The head line of a table; over the columns of numbers it stands right, as they do."""
        sheet.set_row(row, 32)
        for column, head in enumerate(heads):
            self.text(sheet, row, column, head, "head_right" if column in numbers else "head")


def letter(column: int) -> str:
    """The letters of a column counted from 0.

    >>> letter(0), letter(26), letter(701)
    ('A', 'AA', 'ZZ')
    """
    found = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found
