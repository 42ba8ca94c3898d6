"""Conditions about rows, their source, and what they are to teach."""

from __future__ import annotations

from estimator.advice.facts import Condition, Facts, Words, parameter
from estimator.assumptions import shipped
from estimator.money.derived import generated_row_usd
from estimator.money.series import DAYS_PER_MONTH
from estimator.words import count, every, interval, money, percent

LEADING_SHARE = 0.25
"""Share of a total from which a cost leads it."""

DAYS_OF_A_RETRAIN = 7.0
"""Facts that change as often as this outrun any retraining."""

OFTEN_MONTHS = 1.0


def _rows_below_pilot(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or values["rows"] >= values["pilot_rows"]:
        return None
    return {
        "rows": f"{values['rows']:,.0f}",
        "pilot_rows": f"{values['pilot_rows']:,.0f}",
        "enough_rows": f"{shipped()['rows']:,.0f}",
    }


def _rows_above_pilot(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or values["rows"] <= values["pilot_rows"]:
        return None
    pilot = facts.tuned.groups_usd["pilot"]
    return {
        "pilot_rows": f"{values['pilot_rows']:,.0f}",
        "pilot_usd": money(pilot),
        "rest_usd": money(facts.tuned.build_usd - pilot),
    }


def _task_words(facts: Facts) -> tuple[Words, bool] | None:
    """Rows that the named task wants, and whether they are there; None where no task is named."""
    values, classes = facts.scenario.assumptions, facts.scenario.classes or 2
    needed = {
        "": None,
        "classification": values["rows_per_class"] * classes,
        "generation": values["rows_for_generation"],
        "complex": values["rows_for_complex"],
    }[facts.scenario.task]
    if needed is None:
        return None
    names = {
        "classification": f"classification into {classes} classes",
        "generation": "a text-writing task",
        "complex": "a complex task",
    }
    words = {
        "needed": count(needed),
        "task": names[facts.scenario.task],
        "rows": f"{values['rows']:,.0f}",
        "per_class": count(values["rows_per_class"]),
        "generation": count(values["rows_for_generation"]),
        "complex": count(values["rows_for_complex"]),
    }
    return words, values["rows"] >= needed


def _task_lacks_rows(facts: Facts) -> Words | None:
    found = _task_words(facts)
    return found[0] if found and not found[1] else None


def _task_has_rows(facts: Facts) -> Words | None:
    found = _task_words(facts)
    return found[0] if found and found[1] else None


def _goal_is_form(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.scenario.goal != "form" or facts.tuned is None:
        return None
    saved = values["input_tokens"] * values["static_input_fraction"] * values["prompt_saving_fraction"]
    return {"saved": count(round(saved)), "input": count(values["input_tokens"])}


def _goal_is_facts(facts: Facts) -> Words | None:
    if facts.scenario.goal != "facts":
        return None
    looked_up = facts.cheapest("api", "ready-made")
    cost = f" {looked_up.label} costs {money(looked_up.total_usd.base)}." if looked_up else ""
    equal = " The comparison of costs takes quality to be equal; for facts it seldom is."
    return {"retrieval": f"{cost}{equal if facts.tuning_wins else ''}"}


def _data_changes_fast(facts: Facts) -> Words | None:
    days, yearly = facts.scenario.data_changes_every_days, facts.keeping_up_usd_per_year
    if days is None or days > DAYS_OF_A_RETRAIN or yearly is None:
        return None
    return {"often": every(days), "yearly": money(yearly)}


def _retrains_often(facts: Facts) -> Words | None:
    months = facts.scenario.assumptions["retrain_every_months"]
    if facts.tuned is None or months > OFTEN_MONTHS:
        return None
    spent = facts.tuned.groups_usd["retrains"]
    return {
        "interval": interval(months, days_per_month=DAYS_PER_MONTH),
        "retrain_usd": money(spent),
        "share": percent(spent / facts.tuned.total_usd.base),
    }


def _language(facts: Facts) -> Words | None:
    return {} if facts.given("proprietary-language") and facts.tuned else None


def _unaudited(facts: Facts) -> Words | None:
    row = facts.scenario.assumptions.row("cleanup_usd")
    if not facts.given("unaudited-data") or facts.tuned is None:
        return None
    spread = f", likely {money(row.low)} to {money(row.high)}" if row.low < row.high else ""
    return {"cleanup": money(row.base), "spread": spread}


def _labels_lead(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    writers = [arm for arm in facts.arms.values() if arm.kind == "api"]
    if facts.tuned is None or _by_teacher(facts) or not writers:
        return None
    writer = max(writers, key=lambda arm: parameter(arm, "output_price") or 0.0)
    labels = sum(line.total_usd for line in facts.tuned.lines if "label_usd_per_row" in line.parameters)
    share = labels / facts.tuned.total_usd.base
    if share < LEADING_SHARE:
        return None
    generated = generated_row_usd(
        tokens_per_row=values["tokens_per_row"],
        answer_fraction=values["teacher_answer_fraction"],
        prompt_tokens=values["few_shot_tokens"],
        input_usd_per_million_tokens=parameter(writer, "input_price") or 0.0,
        output_usd_per_million_tokens=parameter(writer, "output_price") or 0.0,
    )
    kept = 1 - values["label_reject_fraction"]
    return {
        "share": percent(share),
        "price": f"${values['label_usd_per_row'] / kept:.2f}",
        "generated": f"${float(generated) / (1 - values['teacher_rejected_fraction']):.2g}",
        "writer": writer.label.partition(",")[0],
    }


def _by_teacher(facts: Facts) -> bool:
    return facts.scenario.assumptions.row("label_usd_per_row").status == "computed"


def _teacher(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or not _by_teacher(facts):
        return None
    return {
        "price": f"${values['label_usd_per_row'] / (1 - values['label_reject_fraction']):.2g}",
        "rejected": percent(values["label_reject_fraction"]),
    }


def _rows_truncated(facts: Facts) -> Words | None:
    if not facts.workload.truncated or facts.tuned is None:
        return None
    return {
        "tokens": f"{facts.scenario.assumptions['tokens_per_row']:,.0f}",
        "kept": f"{facts.workload.tokens_per_row:,.0f}",
    }


CONDITIONS: dict[str, Condition] = {
    "rows_below_pilot": _rows_below_pilot,
    "rows_above_pilot": _rows_above_pilot,
    "task_lacks_rows": _task_lacks_rows,
    "task_has_rows": _task_has_rows,
    "goal_is_form": _goal_is_form,
    "goal_is_facts": _goal_is_facts,
    "data_changes_fast": _data_changes_fast,
    "retrains_often": _retrains_often,
    "language": _language,
    "unaudited": _unaudited,
    "labels_lead": _labels_lead,
    "teacher": _teacher,
    "rows_truncated": _rows_truncated,
}
