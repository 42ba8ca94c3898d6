"""All report files of one plan, written together."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from estimator.result import Plan
from reports import images
from reports.files import check_directory, write_files
from reports.pdf import budget_pdf
from reports.plan_json import plan_json_text
from reports.workbook import budget_xlsx

REPORTS: dict[str, Callable[[Plan], bytes]] = {
    "plan.json": lambda plan: plan_json_text(plan).encode(),
    "budget.xlsx": budget_xlsx,
    "budget.pdf": budget_pdf,
    "cost-over-time.png": lambda plan: images.png(plan, images.cost_over_time(plan)),
    "options.png": lambda plan: images.png(plan, images.options(plan)),
    "memory.png": lambda plan: images.png(plan, images.memory(plan)),
}
"""Every file by name, with what makes its bytes."""


def write_reports(
    plan: Plan, directory: Path, *, progress: Callable[[str], None] | None = None
) -> tuple[Path, ...]:
    """Make every report of the plan, then write all of them into the directory.

    Args:
        plan: the answer.
        directory: where to; made if it does not exist. Files of the same names are replaced, others left alone.
        progress: told the name of each file before it is made.

    Raises:
        InputError: the directory cannot be used; nothing was changed.
    """
    check_directory(directory)
    files: dict[str, bytes] = {}
    with _collector_paused():
        for name, make in REPORTS.items():
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
