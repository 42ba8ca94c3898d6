"""All report files of one plan, written together."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from estimator.result import Plan
from reports.drawn import images
from reports.drawn.pdf import budget_pdf
from reports.files import check_directory, write_files
from reports.layout import Layout
from reports.plan_json import plan_json_text
from reports.table_files import focus_csv, plan_csv
from reports.web.page import report_html
from reports.workbook.workbook import budget_xlsx

Maker = Callable[[Plan], bytes]


def report_files(layout: Layout) -> dict[str, Maker]:
    """Every file by name, with what makes its bytes."""
    found: dict[str, Maker] = {
        "plan.json": lambda plan: plan_json_text(plan).encode(),
        "report.html": partial(report_html, paper=layout.paper),
        "budget.xlsx": partial(budget_xlsx, paper=layout.paper),
        "budget.pdf": partial(budget_pdf, paper=layout.paper),
    }
    found["plan.csv"] = plan_csv
    if layout.focus:
        found["focus.csv"] = focus_csv
    for name, picture in images.PICTURES.items():
        for kind in layout.charts:
            found[f"{name}.{kind}"] = partial(_chart, picture=picture, kind=kind, layout=layout)
    return found


def _chart(plan: Plan, *, picture: Callable[[Plan], images.Picture], kind: str, layout: Layout) -> bytes:
    if kind == "svg":
        return images.svg(plan, picture(plan), theme=layout.theme)
    return images.png(plan, picture(plan), dpi=layout.dpi, theme=layout.theme)


def write_reports(
    plan: Plan, directory: Path, *, layout: Layout | None = None, progress: Callable[[str], None] | None = None
) -> tuple[Path, ...]:
    """Make every report of the plan, then write all of them into the directory.

    Args:
        plan: the answer.
        directory: where to; made if it does not exist. Files of the same names are replaced, others left alone.
        layout: which files, and how they look.
        progress: told the name of each file before it is made.

    Raises:
        InputError: the directory cannot be used; nothing was changed.
    """
    check_directory(directory)
    files: dict[str, bytes] = {}
    with _collector_paused():
        for name, make in report_files(layout or Layout()).items():
            if progress:
                progress(name)
            files[name] = make(plan)
    return write_files(directory, files)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No cyclic garbage collection meanwhile: drawing keeps most of what it makes, so it only costs time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
