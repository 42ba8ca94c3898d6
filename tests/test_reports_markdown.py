"""The plan as Markdown: whole tables, escaped text, and the choice of the output."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from estimator.errors import InputError
from estimator.result import Plan
from reports.layout import format_of
from reports.markdown import plan_markdown
from tests.plan_example import make_plan

NASTY = "a|b <img src=x> @team #12 `code` *bold* [link](http://x)\nnext"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan()


def tables(text: str) -> list[list[list[str]]]:
    """Cells of every table, its head first, its ruler left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def test_answer_first_then_every_way_cheapest_first(plan: Plan) -> None:
    text = plan_markdown(plan)
    assert text.startswith(f"## {plan.verdict.headline}\n")
    first = tables(text)[0]
    order = sorted(plan.arms, key=lambda arm: arm.total_usd.base)
    assert [row[0].strip() for row in first[1:]] == [arm.label for arm in order]
    assert text.endswith(f"```sh\n{plan.command}\n```\n")
    assert plan.scenario_hash in text


def test_every_row_has_the_cells_of_its_head_whatever_the_text(plan: Plan) -> None:
    arms = tuple(replace(arm, label=f"{index} {NASTY}") for index, arm in enumerate(plan.arms))
    prices = tuple(replace(price, what=NASTY, source=NASTY) for price in plan.prices)
    found = tables(plan_markdown(replace(plan, arms=arms, prices=prices)))
    assert len(found) == 6
    for rows in found:
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}


def test_text_neither_marks_up_nor_calls(plan: Plan) -> None:
    verdict = replace(plan.verdict, headline=NASTY, reasons=(NASTY,))
    text = plan_markdown(replace(plan, verdict=verdict))
    shown = r"a\|b &lt;img src=x&gt; &#64;team &#35;12 \`code\` \*bold\* \[link\](http://x) next"
    assert text.startswith(f"## {shown}\n")
    assert "<img" not in text
    assert "@team" not in text


def test_folds_are_closed_and_fences_longer_than_what_they_hold(plan: Plan) -> None:
    text = plan_markdown(replace(plan, command="ftcost plan --model '```'"))
    assert text.count("<details>") == text.count("</details>") == 6
    assert text.endswith("````sh\nftcost plan --model '```'\n````\n")


def test_a_plan_without_training_or_rival(plan: Plan) -> None:
    arms = tuple(arm for arm in plan.arms if arm.training is None)
    bare = replace(
        plan, arms=arms, training_options=(), sensitivities=(), best_tuned="", break_evens=(), prices=()
    )
    text = plan_markdown(bare)
    assert "No training run of one's own is part of this plan." in text
    assert "hangs on" not in text


@pytest.mark.parametrize(
    ("form", "as_json", "wanted"),
    [(None, False, "tables"), (None, True, "json"), ("markdown", False, "markdown"), ("json", True, "json")],
)
def test_format_of_flags(form: str | None, as_json: bool, wanted: str) -> None:
    assert format_of({"format": form, "as_json": as_json}) == wanted


@pytest.mark.parametrize(("form", "as_json"), [("html", False), ("markdown", True)])
def test_a_format_that_cannot_be_is_refused(form: str, as_json: bool) -> None:
    with pytest.raises(InputError, match="--format"):
        format_of({"format": form, "as_json": as_json})
