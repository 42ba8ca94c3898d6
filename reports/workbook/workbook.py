"""The workbook: inputs, months and answers as formulas that a spreadsheet program computes again."""

from __future__ import annotations

from datetime import UTC, datetime, time
from io import BytesIO

from estimator.result import Plan
from reports.layout import Paper
from reports.style import stamp
from reports.workbook.answers import write_break_even, write_checks, write_summary
from reports.workbook.book import FORMATS, Book
from reports.workbook.monthly import write_assumptions, write_monthly
from reports.workbook.names import names_of
from reports.workbook.tables import write_not_included, write_prices, write_sensitivity, write_training

SHEETS = (
    "Summary",
    "Assumptions",
    "Prices used",
    "Training options",
    "Monthly",
    "Break-even",
    "Sensitivity",
    "Not included",
    "Checks",
)


def budget_xlsx(plan: Plan, *, paper: Paper = "a4") -> bytes:
    """The workbook with live formulas and the program's values cached; the same plan gives the same bytes."""
    import xlsxwriter
    from xlsxwriter.worksheet import Worksheet

    class PlainSheet(Worksheet):  # type: ignore[misc]
        """A sheet whose formulas use no function that would need a prefix: to look for some takes a second."""

        def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
            return formula.removeprefix("=")

    stream = BytesIO()
    workbook = xlsxwriter.Workbook(
        stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    workbook.set_properties(
        {
            "title": f"Budget: {plan.model.id}",
            "author": f"ftcost {plan.version}",
            "comments": f"{stamp(plan)}; {plan.command}",
            "created": datetime.combine(plan.scenario.as_of, time(), tzinfo=UTC),
        }
    )
    workbook.set_calc_mode("auto")
    book = Book(
        plan=plan,
        names=names_of(plan),
        workbook=workbook,
        paper=paper,
        formats={name: workbook.add_format({"font_name": "Calibri", **style}) for name, style in FORMATS.items()},
        sheets={name: workbook.add_worksheet(name, PlainSheet) for name in SHEETS},
    )
    inputs = write_assumptions(book)
    write_monthly(book)
    write_summary(book)
    write_prices(book)
    write_training(book)
    write_break_even(book)
    write_sensitivity(book)
    write_not_included(book)
    write_checks(book, inputs)
    workbook.close()
    return stream.getvalue()
