"""plan.schema.json: what the package ships describes what the program writes, no less and no more."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from typing import Any

import jsonschema
import pytest

from estimator.planning import plan as answer
from estimator.result import Plan
from estimator.scenario import Scenario
from reports.plan_json import plan_json_text
from reports.plan_schema import plan_schema_text
from reports.web.script import shipped
from tests.plan_example import make_plan, twelve_specs

SCHEMA = json.loads(shipped("plan.schema.json"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    plan = answer(Scenario(model="7b", as_of=date(2026, 11, 21)), command="ftcost plan --model 7b")
    return json.loads(plan_json_text(plan))


def closed(schema: Any) -> Any:
    """The schema with no key allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(item) for key, item in schema.items()}
    return found | {"additionalProperties": False} if "properties" in schema and "type" in schema else found


def test_shipped_schema_is_that_of_the_types() -> None:
    message = "write it anew: python -m reports.plan_schema > reports/data/plan.schema.json"
    assert shipped("plan.schema.json") == plan_schema_text(), message


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_plan_of_the_program_has_every_key_and_no_other(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(closed(SCHEMA)).validate(document)


@pytest.mark.parametrize(
    "plan",
    [make_plan(twelve_specs()), replace(make_plan(), best_tuned="", best_rival="", break_evens=())],
    ids=["twelve ways", "nothing tuned"],
)
def test_other_plans_pass(plan: Plan) -> None:
    VALIDATOR.validate(json.loads(plan_json_text(plan)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("ftcost", "as_of"), 20261121),
        (("ftcost", "scenario_hash"), "xyz"),
        (("arms", 0, "kind"), "magic"),
        (("arms", 0, "total_usd", "p90"), "12"),
        (("arms", 0, "lines", 0, "usd", 0), None),
        (("scenario", "assumptions", "rows", "status"), "rumour"),
        (("break_evens", 0, "searched_per_day"), [1.0]),
        (("best_tuned",), 3),
    ],
)
def test_a_wrong_value_is_refused(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(document)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError) as caught:
        VALIDATOR.validate(broken)
    assert list(caught.value.absolute_path)[: len(path)] == list(path)


def test_a_missing_key_is_refused(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    del broken["arms"][0]["total_usd"]
    with pytest.raises(jsonschema.ValidationError, match="total_usd"):
        VALIDATOR.validate(broken)
