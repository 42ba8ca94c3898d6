"""How the answer is to look: format of the output; of the files their charts, resolution, colours, paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from estimator.errors import InputError, UnknownNameError
from reports.drawn.theme import Theme

ChartFormat = Literal["png", "svg"]
Paper = Literal["a4", "letter"]
Format = Literal["tables", "markdown", "json"]

PAPER_IN: dict[Paper, tuple[float, float]] = {"a4": (8.27, 11.69), "letter": (8.5, 11.0)}
"""Width and height in inches."""
DPI = 150
DPI_RANGE = (50, 1200)
FLAGS = ("charts", "dpi", "theme", "paper", "focus")
"""Flags of ``ftcost plan`` that shape the files."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is written, and how it looks.

    Attributes:
        charts: formats of the chart files.
        dpi: pixels per inch of a PNG.
        theme: colours of the chart files; the PDF is for paper, the web page follows the reader's setting.
        paper: of the PDF, and of what is printed from the workbook and the web page.
        focus: also write focus.csv.
    """

    charts: tuple[ChartFormat, ...] = ("png",)
    dpi: int = DPI
    theme: Theme = "light"
    paper: Paper = "a4"
    focus: bool = False


def layout_of(given: Mapping[str, Any]) -> Layout:
    """The layout that the flags ask for.

    Raises:
        InputError: a value that does not exist, or a flag without --out.
    """
    asked = {name: given[name] for name in FLAGS if given[name] is not None and given[name] is not False}
    if asked and given["out"] is None:
        raise InputError(f"--{next(iter(asked))} shapes the files of --out. Name a folder: --out ftcost-report.")
    if "charts" in asked:
        asked["charts"] = tuple(
            dict.fromkeys(
                _one(text.strip(), get_args(ChartFormat), flag="--charts") for text in asked["charts"].split(",")
            )
        )
    for name, kind in (("theme", Theme), ("paper", Paper)):
        if name in asked:
            asked[name] = _one(asked[name], get_args(kind), flag=f"--{name}")
    if "dpi" in asked:
        asked["dpi"] = dots_per_inch(asked["dpi"])
    return Layout(**asked)


def dots_per_inch(dpi: int) -> int:
    """The resolution of a PNG, if it is a usable one.

    Raises:
        InputError: it is not.
    """
    low, high = DPI_RANGE
    if not low <= dpi <= high:
        raise InputError(f"--dpi {dpi} is outside {low} to {high} pixels per inch.")
    return dpi


def format_of(given: Mapping[str, Any]) -> Format:
    """What goes to stdout.

    Raises:
        InputError: a format that does not exist, or two at once.
    """
    if given["format"] is None:
        return "json" if given["as_json"] else "tables"
    form = _one(given["format"], get_args(Format), flag="--format")
    if given["as_json"] and form != "json":
        raise InputError(f"--json and --format {form} are given. Keep one.")
    return form  # type: ignore[return-value]


def _one(value: str, allowed: tuple[str, ...], *, flag: str) -> str:
    if value not in allowed:
        raise UnknownNameError("value", value, allowed, where=flag)
    return value
