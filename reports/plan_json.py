"""The plan as JSON, schema 1: everything that a program needs, with the names and units of the result object.

Keys of the document:
    schema: 1. A key may be added within a schema; none changes its meaning or goes.
    ftcost: version, command, scenario_hash, as_of, seed, draws.
    scenario: what was asked, category by category, and the assumptions in force (``assumptions``, by name: label,
        base, low, high, unit, status, source, checked).
    model, workload: the model that was resolved, and the tokens of one run.
    verdict: arm (an id of ``arms``), headline, reasons, flips.
    best_tuned, best_rival: ids of ``arms``; null where there is none.
    arms: in the order of the plan: id, label, kind, style, ``total_usd`` and ``npv_usd`` (base, p10, p50, p90),
        ``groups_usd``, ``monthly_usd`` (month 0 is what is spent before the first), ``lines`` (quantity x unit
        price by month, with both formulas), ``parameters``, ``training``, ``serving``, ``notes``,
        ``expected_regret_usd``.
    training_options, serving_options: what the searches chose, memory in bytes and time in seconds by part.
    payback_month: first month by whose end best_tuned has cost no more in all than best_rival, or null.
    retraining: retrain intervals of best_tuned, shortest first, with their cost and the quality that they hold.
    break_evens, sensitivities, advice, ruled_out, prices: lists, most important first as in the plan.
    defaults_used, not_included, next_commands: lists of text.
    search_candidates: training configurations compared.

Dates are ISO 8601, numbers plain; what is not a number or endless is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from estimator.result import Plan

SCHEMA = 1
APART = ("version", "command", "scenario_hash", "scenario")


def plan_json(plan: Plan) -> dict[str, Any]:
    """The document as plain dictionaries, lists, text and numbers."""
    scenario = plan.scenario
    asked = {f.name: _plain(getattr(scenario, f.name)) for f in fields(scenario) if f.name != "assumptions"}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "ftcost": {
            "version": plan.version,
            "command": plan.command,
            "scenario_hash": plan.scenario_hash,
            "as_of": scenario.as_of.isoformat(),
            "seed": scenario.seed,
            "draws": scenario.draws,
        },
        "scenario": {**asked, "assumptions": {row.name: _plain(row) for row in scenario.assumptions.rows}},
    }
    for field in fields(plan):
        if field.name not in APART:
            document[field.name] = _plain(getattr(plan, field.name))
    for key in ("best_tuned", "best_rival"):
        document[key] = document[key] or None
    return document


def plan_json_text(plan: Plan) -> str:
    """The document as text; the same plan gives the same text."""
    return json.dumps(plan_json(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
