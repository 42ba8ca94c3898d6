"""The what-if panel's part of the web page: its data, and the plan's formulas as JavaScript."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

from estimator.result import GROUPS, Plan
from reports.flags import WORKLOAD
from reports.style import KIND_LABELS
from reports.web.javascript import javascript
from reports.workbook.names import identifiers, series_formulas

SLIDERS: dict[str, float] = {
    "requests_per_day": 100.0,
    "input_tokens": 10.0,
    "output_tokens": 10.0,
    "gpu_price_ratio": 4.0,
    "retrain_every_months": 12.0,
    "rows": 20.0,
}
"""Assumptions with a slider, and by what factor it reaches to either side."""

FIXED = ("horizon_months",)
"""Assumptions that the page does not let change: the charts are laid out over these months."""


def shipped(name: str) -> str:
    """A text file that comes with the package."""
    return resources.files("reports").joinpath("data", name).read_text(encoding="utf-8")


@cache
def _series() -> dict[str, str]:
    return series_formulas()


def inputs(plan: Plan) -> dict[str, Any]:
    """The assumptions that the panel can change: name to what its field needs, sliders first."""
    texts = list(_series().values())
    for arm in plan.arms:
        texts += [text for line in arm.lines for text in (line.quantity_formula, line.unit_price_formula)]
    read = set().union(*map(identifiers, dict.fromkeys(texts))) | {"contingency_fraction"}
    flags = {name: f"--{flag.replace('_', '-')}" for flag, name in WORKLOAD.items()}
    rows = {row.name: row for row in plan.scenario.assumptions.rows if row.name in read}
    order = [*(name for name in SLIDERS if name in rows), *(name for name in rows if name not in SLIDERS)]
    return {
        name: {
            "label": rows[name].label,
            "unit": rows[name].unit,
            "base": rows[name].base,
            "low": rows[name].minimum,
            "high": rows[name].maximum if math.isfinite(rows[name].maximum) else None,
            "reach": SLIDERS.get(name) if rows[name].base > 0 else None,
            "flag": flags.get(name),
        }
        for name in order
        if name not in FIXED
    }


def panel_data(plan: Plan) -> dict[str, Any]:
    """What the panel computes with: values, arms, and for each line the places of its formulas."""
    places = {text: place for place, text in enumerate(_formulas(plan))}
    return {
        "inputs": inputs(plan),
        "values": dict(plan.scenario.assumptions),
        "groups": list(GROUPS),
        "kinds": KIND_LABELS,
        "series": list(_series()),
        "chosen": plan.verdict.arm,
        "arms": [
            {
                "id": arm.id,
                "label": arm.label,
                "kind": arm.kind,
                "own": {row.name: row.base for row in arm.parameters},
                "usd": sum(arm.monthly_usd),
                "lines": [
                    [
                        GROUPS.index(line.group),
                        line.timing,
                        places[line.quantity_formula],
                        places[line.unit_price_formula],
                    ]
                    for line in arm.lines
                ],
            }
            for arm in plan.arms
        ],
    }


def json_for_script(value: Any) -> str:
    """JSON that nothing in it can end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def script(plan: Plan) -> str:
    """The formulas of the plan as functions, and the program that computes with them."""
    series = ",\n".join(f"v=>{javascript(text)}" for text in _series().values())
    lines = ",\n".join(f"v=>{javascript(text)}" for text in _formulas(plan))
    return f'"use strict";\nconst SERIES=[\n{series}\n];\nconst FORMULAS=[\n{lines}\n];\n{shipped("report.js")}'


def _formulas(plan: Plan) -> list[str]:
    """Every formula of the plan's lines, once."""
    texts = (
        text
        for arm in plan.arms
        for line in arm.lines
        for text in (line.quantity_formula, line.unit_price_formula)
    )
    return list(dict.fromkeys(texts))
