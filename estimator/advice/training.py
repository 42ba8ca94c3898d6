"""Conditions about the method, the run, and what is learnt or forgotten in it."""

from __future__ import annotations

from estimator.advice.facts import Condition, Facts, Words
from estimator.assumptions import shipped
from estimator.memory.stacks import NO_FUSED_LOSS
from estimator.models import resolve_model
from estimator.money.arms import METHOD_LABELS
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import GIB
from estimator.result import TrainingOption
from estimator.words import count, counted, interval, money, percent

MANY_EPOCHS = 5
FEW_EXPERIMENTS = 2
CROWDED, LOGITS_MATTER = 0.8, 0.25
"""Shares of a card that is taken, and of the peak that the logits are, from which a fused loss is advised."""

NEARLY_ALL = 0.9
"""Share of the static prompt from which tuning is taken to make it needless."""

FEW_TOKENS_PER_PARAMETER = 0.1
"""Tokens seen per trainable parameter below which training mostly memorises."""


def _option(facts: Facts) -> TrainingOption | None:
    return facts.tuned.training if facts.tuned else None


def _cheapest(facts: Facts, method: str) -> TrainingOption | None:
    return next((o for o in facts.training if o.method == method and "cheapest" in o.roles), None)


def _full_and_lora_fit(facts: Facts) -> Words | None:
    full, lora = _cheapest(facts, "full"), _cheapest(facts, "lora")
    if full is None or lora is None or not facts.tunes_the_model:
        return None
    return {
        "ratio": count(full.trainable_parameters / lora.trainable_parameters),
        "lora_parameters": count(lora.trainable_parameters),
        "all_parameters": count(full.trainable_parameters),
        "lora_usd": money(lora.usd.base),
        "full_usd": money(full.usd.base),
    }


def _one_card_is_enough(facts: Facts) -> Words | None:
    option = _option(facts)
    if option is None or option.gpus != 1:
        return None
    method = "full fine-tuning" if option.method == "full" else METHOD_LABELS[option.method]
    return {
        "gpu": option.gpu_label,
        "method": method[0].upper() + method[1:],
        "fill": percent(option.device_bytes / option.limit_bytes),
        "hours": counted(float(f"{option.hours.base:.2g}"), "hour"),
    }


def _cluster_is_not_needed(facts: Facts) -> Words | None:
    option = _option(facts)
    if option is None or option.gpus == 1 or option.sharding != "ddp":
        return None
    return {
        "gpu": option.gpu_label,
        "gpus": f"{option.gpus}",
        "fill": percent(option.device_bytes / option.limit_bytes),
        "hours": counted(float(f"{option.hours.base:.2g}"), "hour"),
        "usd": money(option.usd.base),
    }


def _logits_decide(facts: Facts) -> Words | None:
    option = _option(facts)
    if option is None or facts.scenario.loss != "full":
        return None
    logits = option.memory_parts_bytes.get("logits_and_loss", 0.0)
    crowded = option.gpus > 1 or option.device_bytes > CROWDED * option.limit_bytes
    fusable = resolve_model(facts.model.id).architecture.family not in NO_FUSED_LOSS
    if not (fusable and crowded and logits >= LOGITS_MATTER * option.allocated_bytes):
        return None
    return {
        "logits": f"{logits / GIB:.2g}",
        "peak": f"{option.allocated_bytes / GIB:.3g}",
        "cards": f"{option.gpus} x {option.gpu_label}",
    }


def _experts_stay_whole(facts: Facts) -> Words | None:
    option = _option(facts) or _cheapest(facts, "qlora")
    if option is None or not option.whole_experts_bytes:
        return None
    return {
        "whole": f"{option.whole_experts_bytes / GIB:.0f}",
        "quantised": f"{option.allocated_bytes / GIB:.0f}",
        "card": f"{option.limit_bytes / GIB:.0f}",
    }


def _many_epochs(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or values["epochs"] <= MANY_EPOCHS:
        return None
    return {"epochs": f"{values['epochs']:g}", "rows": f"{values['rows']:,.0f}"}


def _overfitting(facts: Facts) -> Words | None:
    option = _option(facts)
    values = facts.scenario.assumptions
    if option is None:
        return None
    seen = values["rows"] * values["epochs"] * facts.workload.tokens_per_row
    if seen >= FEW_TOKENS_PER_PARAMETER * option.trainable_parameters:
        return None
    lower_rank = f"Lower the rank (now {values['lora_rank']:g})"
    return {
        "smaller": "Train adapters instead" if option.method == "full" else lower_rank,
        "parameters": count(option.trainable_parameters),
        "tokens": count(seen),
    }


def _few_experiments(facts: Facts) -> Words | None:
    option = _option(facts)
    if option is None or facts.scenario.assumptions["experiments"] >= FEW_EXPERIMENTS:
        return None
    return {"run_usd": money(option.usd.base)}


def _unproven_model(facts: Facts) -> Words | None:
    option = _option(facts)
    if option is None or not facts.given("unproven-model"):
        return None
    return {"model": facts.model.id, "run_usd": money(option.usd.base)}


def _no_retrain(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    published = shipped().row("retrain_every_months")
    none = values["retrain_every_months"] >= values["horizon_months"] > published.base
    if facts.tuned is None or not none:
        return None
    return {
        "low": f"{published.low:g}",
        "high": f"{published.high:g}",
        "decay": percent(shipped()["quality_decay_fraction"]),
        "horizon": counted(values["horizon_months"], "month"),
        "retrain_usd": money(facts.tuned.retrain_usd),
    }


def _forgets(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or values["retrain_every_months"] >= values["horizon_months"]:
        return None
    return {"interval": interval(values["retrain_every_months"], days_per_month=DAYS_PER_MONTH)}


def _prompt_is_dropped(facts: Facts) -> Words | None:
    saving = facts.scenario.assumptions["prompt_saving_fraction"]
    if facts.tuned is None or saving < NEARLY_ALL:
        return None
    return {"saving": percent(saving), "usual": percent(shipped()["prompt_saving_fraction"])}


def _no_evaluation(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    lacks = []
    if values["evaluation_rows"] * values["evaluation_runs"] == 0:
        lacks.append("no held-out rows judged")
    if values["monitoring_fraction"] == 0:
        lacks.append("no request judged in production")
    return {"missing": " and ".join(lacks)} if lacks else None


CONDITIONS: dict[str, Condition] = {
    "full_and_lora_fit": _full_and_lora_fit,
    "one_card_is_enough": _one_card_is_enough,
    "cluster_is_not_needed": _cluster_is_not_needed,
    "logits_decide": _logits_decide,
    "experts_stay_whole": _experts_stay_whole,
    "many_epochs": _many_epochs,
    "overfitting": _overfitting,
    "few_experiments": _few_experiments,
    "unproven_model": _unproven_model,
    "no_retrain": _no_retrain,
    "forgets": _forgets,
    "prompt_is_dropped": _prompt_is_dropped,
    "no_evaluation": _no_evaluation,
}
