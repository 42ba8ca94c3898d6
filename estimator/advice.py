"""Plain advice: rules as data, each with its condition here, its words in ``data/advice.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimator.errors import InputError, UnknownNameError
from estimator.result import Advice, Arm, BreakEven, ModelSummary, TrainingOption
from estimator.scenario import Scenario, Workload
from estimator.words import count, money, percent

FILE = "advice.toml"
KEYS = ("when", "text", "because", "factor")
MANY_EPOCHS = 5
FEW_EXPERIMENTS = 2
OFTEN_MONTHS = 1.0
LEADING_SHARE = 0.25
DAYS_OF_A_RETRAIN = 7.0
"""Facts that change as often as this outrun any retraining."""

DAYS_PER_YEAR = 365.0
FEW_TOKENS_PER_PARAMETER = 0.1
"""Tokens seen per trainable parameter below which training mostly memorises."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the conditions look at."""

    scenario: Scenario
    model: ModelSummary
    workload: Workload
    training: Sequence[TrainingOption]
    arms: Mapping[str, Arm]
    winner: Arm
    tuned: Arm | None
    rival: Arm | None
    break_even: BreakEven | None


Words = dict[str, str]
Condition = Callable[[Facts], Words | None]


def _always(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None:
        return None
    hours = values["prompt_engineering_hours"]
    return {
        "prompt_hours": f"{hours:.0f}",
        "prompt_usd": money(hours * values["engineer_usd_per_hour"]),
        "risk_usd": money(facts.tuned.groups_usd["pilot"]),
    }


def _tuned_exists(facts: Facts) -> Words | None:
    return {} if facts.tuned else None


def _rows_below_pilot(facts: Facts) -> Words | None:
    rows = facts.scenario.assumptions["rows"]
    return {"rows": f"{rows:,.0f}"} if rows < facts.scenario.assumptions["pilot_rows"] else None


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


def _tuning_pays_somewhere(facts: Facts) -> Words | None:
    if facts.break_even is None or facts.rival is None or facts.break_even.lowest_per_day is None:
        return None
    return {
        "crossing": count(facts.break_even.lowest_per_day),
        "rival": facts.rival.label,
        "requests": f"{facts.scenario.assumptions['requests_per_day']:,.0f}",
    }


def _tuning_pays_nowhere(facts: Facts) -> Words | None:
    if facts.break_even is None or facts.rival is None or facts.break_even.lowest_per_day is not None:
        return None
    return {"searched": f"{facts.break_even.searched_per_day[1]:,.0f}", "rival": facts.rival.label}


def _replica_floor_binds(facts: Facts) -> Words | None:
    serving = facts.tuned.serving if facts.tuned else None
    if serving is None or serving.binding != "availability":
        return None
    here = facts.tuned.groups_usd["serving"] if facts.tuned else 0.0
    others = [arm for arm in facts.arms.values() if arm.style.startswith("tuned") and arm is not facts.tuned]
    best = min(others, key=lambda arm: arm.groups_usd["serving"], default=None)
    saved = here - best.groups_usd["serving"] if best else 0.0
    alternative = f" {best.label} would save {money(saved)} of serving." if best and saved > 0 else ""
    return {
        "idle": percent(1 - serving.utilisation_fraction),
        "replicas": str(serving.replicas),
        "alternative": alternative,
    }


def _full_and_lora_fit(facts: Facts) -> Words | None:
    full = _cheapest(facts, "full")
    lora = _cheapest(facts, "lora")
    if full is None or lora is None:
        return None
    return {
        "ratio": count(full.trainable_parameters / lora.trainable_parameters),
        "lora_parameters": count(lora.trainable_parameters),
        "all_parameters": count(full.trainable_parameters),
        "lora_usd": money(lora.usd.base),
        "full_usd": money(full.usd.base),
    }


def _cheapest(facts: Facts, method: str) -> TrainingOption | None:
    return next((o for o in facts.training if o.method == method and "cheapest" in o.roles), None)


def _one_card_is_enough(facts: Facts) -> Words | None:
    option = facts.tuned.training if facts.tuned else None
    if option is None or option.gpus != 1:
        return None
    return {
        "gpu": option.gpu_label,
        "method": option.method if option.method == "full" else {"lora": "LoRA", "qlora": "QLoRA"}[option.method],
        "fill": percent(option.device_bytes / option.limit_bytes),
        "hours": f"{option.hours.base:.1f}",
    }


def _no_retrain(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    none = values["retrain_every_months"] >= values["horizon_months"]
    return {} if none and facts.tuned and facts.scenario.data_changes_every_days is None else None


def _retrains_often(facts: Facts) -> Words | None:
    every = facts.scenario.assumptions["retrain_every_months"]
    if facts.tuned is None or every > OFTEN_MONTHS:
        return None
    spent = facts.tuned.groups_usd["retrains"]
    return {
        "interval": f"{every:.2g}",
        "retrain_usd": money(spent),
        "share": percent(spent / facts.tuned.total_usd.base),
    }


def _many_epochs(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if values["epochs"] <= MANY_EPOCHS or facts.tuned is None:
        return None
    return {"epochs": f"{values['epochs']:g}", "rows": f"{values['rows']:,.0f}"}


def _rows_truncated(facts: Facts) -> Words | None:
    if not facts.workload.truncated or facts.tuned is None:
        return None
    return {
        "tokens": f"{facts.scenario.assumptions['tokens_per_row']:,.0f}",
        "kept": f"{facts.workload.tokens_per_row:,.0f}",
    }


def _few_experiments(facts: Facts) -> Words | None:
    option = facts.tuned.training if facts.tuned else None
    if option is None or facts.scenario.assumptions["experiments"] >= FEW_EXPERIMENTS:
        return None
    return {"run_usd": money(option.usd.base)}


def _licence_limits(facts: Facts) -> Words | None:
    if facts.model.commercial_use in ("yes", ""):
        return None
    use = {"no": "not allowed", "conditions": "allowed under conditions"}[facts.model.commercial_use]
    return {"model": facts.model.id, "license": facts.model.license, "use": use}


def _api_or_hosted_wins(facts: Facts) -> Words | None:
    if facts.winner.kind not in ("api", "hosted"):
        return None
    return {"migration_hours": f"{facts.scenario.assumptions['migration_hours']:.0f}"}


def _labels_lead(facts: Facts) -> Words | None:
    if facts.tuned is None:
        return None
    labels = sum(line.total_usd for line in facts.tuned.lines if "label_usd_per_row" in line.parameters)
    share = labels / facts.tuned.total_usd.base
    if share < LEADING_SHARE:
        return None
    return {"share": percent(share), "price": f"${facts.scenario.assumptions['label_usd_per_row']:.2f}"}


def _needed_rows(facts: Facts) -> float | None:
    """Rows that the task is said to need, or None where no task is named."""
    values = facts.scenario.assumptions
    return {
        "": None,
        "classification": values["rows_per_class"] * (facts.scenario.classes or 2),
        "generation": values["rows_for_generation"],
        "complex": values["rows_for_complex"],
    }[facts.scenario.task]


def _task_lacks_rows(facts: Facts) -> Words | None:
    needed, rows = _needed_rows(facts), facts.scenario.assumptions["rows"]
    if needed is None or rows >= needed:
        return None
    classes = f" of {facts.scenario.classes or 2} classes" if facts.scenario.task == "classification" else ""
    return {"needed": count(needed), "task": f"{facts.scenario.task}{classes}", "rows": f"{rows:,.0f}"}


def _task_has_rows(facts: Facts) -> Words | None:
    needed, rows = _needed_rows(facts), facts.scenario.assumptions["rows"]
    if needed is None or rows < needed:
        return None
    return {"needed": count(needed), "task": facts.scenario.task, "rows": f"{rows:,.0f}"}


def _goal_is_facts(facts: Facts) -> Words | None:
    return {} if facts.scenario.goal == "facts" else None


def _data_changes_fast(facts: Facts) -> Words | None:
    days = facts.scenario.data_changes_every_days
    if days is None or days > DAYS_OF_A_RETRAIN or facts.tuned is None:
        return None
    yearly = facts.tuned.retrain_usd * DAYS_PER_YEAR / days
    return {"days": f"{days:g}", "yearly": money(yearly)}


def _privacy(facts: Facts) -> Words | None:
    return {} if facts.scenario.no_api else None


def _overfitting(facts: Facts) -> Words | None:
    option = facts.tuned.training if facts.tuned else None
    values = facts.scenario.assumptions
    if option is None:
        return None
    seen = values["rows"] * values["epochs"] * facts.workload.tokens_per_row
    if seen >= FEW_TOKENS_PER_PARAMETER * option.trainable_parameters:
        return None
    return {
        "parameters": count(option.trainable_parameters),
        "tokens": count(seen),
        "rank": f"{values['lora_rank']:g}",
    }


CONDITIONS: dict[str, Condition] = {
    "always": _always,
    "rows_below_pilot": _rows_below_pilot,
    "rows_above_pilot": _rows_above_pilot,
    "tuning_pays_somewhere": _tuning_pays_somewhere,
    "tuning_pays_nowhere": _tuning_pays_nowhere,
    "replica_floor_binds": _replica_floor_binds,
    "full_and_lora_fit": _full_and_lora_fit,
    "one_card_is_enough": _one_card_is_enough,
    "no_retrain": _no_retrain,
    "retrains_often": _retrains_often,
    "many_epochs": _many_epochs,
    "rows_truncated": _rows_truncated,
    "few_experiments": _few_experiments,
    "licence_limits": _licence_limits,
    "api_or_hosted_wins": _api_or_hosted_wins,
    "labels_lead": _labels_lead,
    "task_lacks_rows": _task_lacks_rows,
    "task_has_rows": _task_has_rows,
    "goal_is_facts": _goal_is_facts,
    "data_changes_fast": _data_changes_fast,
    "privacy": _privacy,
    "overfitting": _overfitting,
    "tuned_exists": _tuned_exists,
}


@cache
def rules() -> Mapping[str, Mapping[str, str]]:
    """The rules as shipped.

    Raises:
        InputError: a rule that lacks a key, has one too many, or names a condition that does not exist.
    """
    text = (Path(__file__).parent / "data" / FILE).read_text(encoding="utf-8")
    table = tomllib.loads(text)
    for name, rule in table.items():
        for key in rule:
            if key not in KEYS:
                raise UnknownNameError("key", key, KEYS, where=f"{FILE}: [{name}]")
        missing = [key for key in KEYS if key not in rule]
        if missing:
            raise InputError(f"{FILE}: [{name}] lacks {', '.join(missing)}; every rule needs {', '.join(KEYS)}.")
        if rule["when"] not in CONDITIONS:
            raise UnknownNameError("condition", rule["when"], CONDITIONS, where=f"{FILE}: [{name}]")
    return table


def advice(*, facts: Facts) -> tuple[Advice, ...]:
    """The rules whose condition holds, in the order of the file."""
    found = []
    for name, rule in rules().items():
        words = CONDITIONS[rule["when"]](facts)
        if words is not None:
            found.append(
                Advice(
                    rule=name,
                    text=rule["text"].format(**words),
                    because=rule["because"].format(**words),
                    factor=rule["factor"],
                )
            )
    return tuple(found)
