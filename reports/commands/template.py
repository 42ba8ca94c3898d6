"""``ftcost init``: a scenario file with every key, its meaning and its default, written from the flags."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from estimator.assumptions import shipped
from reports.commands.scenario_file import SET_TABLE, defaults, file_flags
from reports.options import Flag, plan_flags

WIDTH = 79
GIVEN = ("model", "rows")
"""Keys that the template gives; all others are commented out."""
SET_EXAMPLES = (
    "engineer_usd_per_hour",
    "label_usd_per_row",
    "peak_to_mean_ratio",
    "minimum_replicas",
    "contingency_fraction",
)

HEAD = (
    "A scenario of ftcost. `ftcost plan plan.toml` plans it; flags on the command line override it.",
    "A line such as #epochs = 3 shows a default: take away its # and change the value. A number that is given"
    " counts as known exactly; the range in its comment holds only while it is commented out.",
    "Behind e.g. stands an example: without the key, the choice is searched or there is no limit.",
)


def template(*, model: str = "7b") -> str:
    """The text of a scenario file that asks what ``ftcost plan --model MODEL`` asks.

    Args:
        model: what the line of the model says.
    """
    lines = [line for paragraph in HEAD for line in _comment(paragraph)]
    flags = list(file_flags(plan_flags()).values())
    empty = defaults()
    for panel in dict.fromkeys(flag.panel for flag in flags):
        lines += ["", f"# ---- {panel} ----"]
        for flag in flags:
            if flag.panel == panel:
                lines += ["", *_entry(flag, model, empty[str(flag.name)])]
    lines += ["", "# ---- Assumptions without a flag; `ftcost assumptions` lists them ----", "", f"#[{SET_TABLE}]"]
    for name in SET_EXAMPLES:
        row = shipped().row(name)
        lines.append(f"#{name} = {_number(row.base)}  # {row.label}, {row.unit}{_range(name)}")
    return "\n".join(lines) + "\n"


def _entry(flag: Flag, model: str, default: Any) -> list[str]:
    text = (flag.help or "").replace("; repeatable", "")
    if flag.name == "model":
        return [*_comment(text), f"model = {json.dumps(model, ensure_ascii=False)}"]
    if flag.assumption:
        mark = "" if flag.name in GIVEN else "#"
        value = _number(shipped()[flag.assumption])
        return [*_comment(f"{text.rstrip('.')}{_range(flag.assumption)}."), f"{mark}{flag.name} = {value}"]
    if flag.example:
        return [*_comment(text), f"# e.g. {flag.name} = {flag.example}"]
    return [*_comment(text), f"#{flag.name} = {json.dumps(default)}"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False, break_long_words=False
    )


def _range(name: str) -> str:
    row = shipped().row(name)
    return f", {row.low:g} to {row.high:g}" if row.low < row.high else ""


def _number(value: float) -> str:
    """As short as it can be without loss.

    >>> _number(10000.0), _number(0.15)
    ('10000', '0.15')
    """
    return repr(value).removesuffix(".0")
