"""The JSON Schema of plan.json, written from the types of the result; the package ships it.

To write it anew:

    python -m reports.plan_schema > reports/data/plan.schema.json
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from estimator.assumptions import Assumption
from estimator.result import Plan
from estimator.scenario import Scenario
from reports.plan_json import APART, SCHEMA

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ENDLESS = ("maximum",)
"""Numbers that may be endless, and are null then."""
PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    date: {"type": "string", "format": "date"},
    type(None): {"type": "null"},
}


def plan_schema() -> dict[str, Any]:
    """The schema of the document that ``plan_json`` makes."""
    known: dict[str, Any] = {}
    head = {
        "schema": {"const": SCHEMA, "description": "Version of this schema."},
        "ftcost": _object(
            {
                "version": PLAIN[str],
                "command": PLAIN[str],
                "scenario_hash": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
                "as_of": PLAIN[date],
                "seed": PLAIN[int],
                "draws": PLAIN[int],
            }
        ),
        "scenario": _scenario(known),
    }
    hints, told = get_type_hints(Plan), _attributes(Plan)
    body = {
        field.name: _field(field.name, hints, told, known) for field in fields(Plan) if field.name not in APART
    }
    for name in ("best_tuned", "best_rival"):
        body[name] = {"type": ["string", "null"], "description": "An id of arms, or null where there is none."}
    return {
        "$schema": DIALECT,
        "title": "ftcost plan",
        "description": "What fine-tuning a language model will cost. USD, bytes, seconds; fractions from 0 to 1."
        " A key may be added within a schema version; none changes its meaning or goes.",
        **_object({**head, **body}),
        "$defs": dict(sorted(known.items())),
    }


def plan_schema_text() -> str:
    """The schema as the package ships it."""
    return json.dumps(plan_schema(), indent=1, ensure_ascii=False) + "\n"


def _scenario(known: dict[str, Any]) -> dict[str, Any]:
    hints, told = get_type_hints(Scenario), _attributes(Scenario)
    asked = {f.name: _field(f.name, hints, told, known) for f in fields(Scenario) if f.name != "assumptions"}
    rows = {
        "type": "object",
        "description": "Every assumption in force, by name.",
        "additionalProperties": _of(Assumption, known),
    }
    return _object({**asked, "assumptions": rows})


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _field(name: str, hints: Mapping[str, Any], told: Mapping[str, str], known: dict[str, Any]) -> dict[str, Any]:
    found = {"type": ["number", "null"]} if name in ENDLESS else _of(hints[name], known)
    return {**found, "description": told[name]} if name in told else found


def _of(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; those of dataclasses go to ``known``."""
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in known:
            known[kind.__name__] = {}
            hints, told = get_type_hints(kind), _attributes(kind)
            inside = _object({field.name: _field(field.name, hints, told, known) for field in fields(kind)})
            known[kind.__name__] = {"description": _summary(kind), **inside}
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(one, known) for one in inner]}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _of(inner[0], known)}
    if origin is tuple:
        items = [_of(one, known) for one in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(inner[1], known)}
    raise TypeError(f"no JSON Schema for {kind!r}")


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _attributes(kind: type) -> dict[str, str]:
    """What the docstring says of each attribute: lines "name, other: text" under "Attributes:"."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", f"\n{listed}"):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            for name in names.split(", "):
                found[name] = " ".join(text.split())
    return found


if __name__ == "__main__":
    print(plan_schema_text(), end="")
