"""Conditions about money, serving, vendors and people."""

from __future__ import annotations

from estimator.advice.facts import Condition, Facts, Words, expert_hours, parameter
from estimator.result import REPLICA_LINES, Arm, LineResult
from estimator.words import count, counted, money, percent

WAITING_LINES = ("input tokens", "output tokens")
"""Lines of an API arm that a batch discount would lower."""


def _prompt_untried(facts: Facts) -> Words | None:
    values = facts.scenario.assumptions
    if facts.tuned is None or facts.given("prompt-tuned"):
        return None
    hours = values["prompt_engineering_hours"]
    return {
        "prompt_hours": counted(hours, "hour"),
        "prompt_usd": money(hours * values["engineer_usd_per_hour"]),
        "risk_usd": money(facts.tuned.groups_usd["pilot"]),
    }


def _api_beside(facts: Facts) -> Words | None:
    arm = facts.cheapest("api", but=facts.winner)
    if arm is None:
        return None
    share = facts.scenario.assumptions["api_batch_fraction"]
    saved = sum(_saved_in_batches(arm, line) for line in arm.lines) * (1 - share)
    batch = f"Requests that may wait save up to {money(saved)} of that in batches. " if saved >= 1 else ""
    return {"api": arm.label, "api_usd": money(arm.total_usd.base), "batch": batch}


def _saved_in_batches(arm: Arm, line: LineResult) -> float:
    """What a line of tokens would cost less if all of it were billed at the prices of batches."""
    price = next((name for name in line.parameters if f"batch_{name}" in line.parameters), None)
    plain = parameter(arm, price) if price else None
    if price is None or not plain:
        return 0.0
    batched = parameter(arm, f"batch_{price}") or 0.0
    return float(line.total_usd * (1 - batched / plain))


def _tuning_pays_somewhere(facts: Facts) -> Words | None:
    if facts.break_even is None or facts.rival is None or facts.break_even.lowest_per_day is None:
        return None
    requests = facts.scenario.assumptions["requests_per_day"]
    shared = facts.tuning_wins and facts.break_even.lowest_per_day > requests
    return {
        "crossing": count(facts.break_even.lowest_per_day),
        "rival": facts.rival.label,
        "requests": count(requests),
        "counted": f" {facts.winner.label} pays earlier; the break-even leaves it out." if shared else "",
    }


def _tuning_pays_nowhere(facts: Facts) -> Words | None:
    if facts.tuning_wins or facts.break_even is None or facts.rival is None:
        return None
    if facts.break_even.lowest_per_day is not None:
        return None
    return {"searched": count(facts.break_even.searched_per_day[1]), "rival": facts.rival.label}


def _latency_limit(facts: Facts) -> Words | None:
    serving = facts.tuned.serving if facts.tuned else None
    limit = facts.scenario.latency_ms, facts.scenario.ttft_ms
    if serving is None or limit == (None, None):
        return None
    return {
        "gpu": f"{serving.gpus_per_replica} x {serving.gpu_label}",
        "token_ms": f"{1000 * serving.time_per_output_token_s:.2g}",
        "first_ms": f"{1000 * serving.ttft_s:.2g}",
    }


def _replica_floor_binds(facts: Facts) -> Words | None:
    serving = facts.tuned.serving if facts.tuned else None
    if facts.tuned is None or serving is None or serving.binding != "availability":
        return None
    if not any(line.name in REPLICA_LINES for line in facts.tuned.lines):
        return None
    best = min(
        (arm for arm in facts.arms.values() if arm.style.startswith("tuned") and arm is not facts.tuned),
        key=lambda arm: arm.groups_usd["serving"],
        default=None,
    )
    saved = facts.tuned.groups_usd["serving"] - best.groups_usd["serving"] if best else 0.0
    return {
        "idle": percent(1 - serving.utilisation_fraction),
        "replicas": counted(serving.replicas, "replica"),
        "alternative": f" {best.label}, would save {money(saved)} of serving." if best and saved > 0 else "",
    }


def _no_api(facts: Facts) -> Words | None:
    return {"way": facts.winner.label} if facts.scenario.no_api else None


def _regulated(facts: Facts) -> Words | None:
    own = facts.cheapest("self-hosted", "ready-made")
    if not facts.given("regulated") or own is None or facts.winner.kind in ("self-hosted", "ready-made"):
        return None
    return {
        "own": own.label,
        "premium": money(own.total_usd.base - facts.winner.total_usd.base),
        "own_usd": money(own.total_usd.base),
        "winner": facts.winner.label,
        "winner_usd": money(facts.winner.total_usd.base),
    }


def _vendor_wins(facts: Facts) -> Words | None:
    if facts.winner.kind not in ("api", "hosted"):
        return None
    notes = [note for note in facts.winner.notes if "stops answering" in note]
    return {
        "migration_hours": counted(facts.scenario.assumptions["migration_hours"], "hour"),
        "end": "".join(f" {note}" for note in notes),
    }


def _closed_model_wins(facts: Facts) -> Words | None:
    if facts.winner.style != "closed model" or facts.tuned is None:
        return None
    open_one = facts.cheapest("self-hosted")
    if open_one is None:
        return None
    return {
        "winner": facts.winner.label,
        "open": open_one.label,
        "more": money(open_one.total_usd.base - facts.winner.total_usd.base),
    }


def _licence_limits(facts: Facts) -> Words | None:
    if facts.model.commercial_use in ("yes", "") or not facts.tunes_the_model:
        return None
    use = {"no": "not allowed", "conditions": "allowed under conditions"}[facts.model.commercial_use]
    return {"model": facts.model.id, "license": facts.model.license, "use": use}


def _self_hosting_wins(facts: Facts) -> Words | None:
    if facts.winner.kind not in ("self-hosted", "ready-made"):
        return None
    values = facts.scenario.assumptions
    hours = values["self_host_ops_hours_per_month"]
    return {
        "hours": counted(hours, "hour"),
        "usd": money(hours * values["engineer_usd_per_hour"] * values["horizon_months"]),
        "way": facts.winner.label,
    }


def _many_tasks(facts: Facts) -> Words | None:
    shared = next((arm for arm in facts.arms.values() if arm.style == "tuned, shared"), None)
    if not facts.given("many-tasks") or shared is None:
        return None
    dedicated = facts.arms[shared.id.removesuffix(":shared")]
    return {
        "shared_usd": money(shared.groups_usd["serving"]),
        "dedicated_usd": money(dedicated.groups_usd["serving"]),
        "tasks": count(facts.scenario.assumptions["adapters_sharing"]),
    }


def _ready_made(facts: Facts) -> Words | None:
    as_it_is = facts.cheapest("ready-made")
    if not facts.given("ready-made-model") or facts.tuned is None or as_it_is is None:
        return None
    spent = ("data", "pilot", "experiments", "training", "retrains")
    return {
        "saved": money(sum(facts.tuned.groups_usd[group] for group in spent)),
        "usd": money(as_it_is.total_usd.base),
    }


def _no_experts(facts: Facts) -> Words | None:
    if not facts.given("no-experts") or facts.tuned is None:
        return None
    hours, usd = expert_hours(facts)
    hosted = facts.cheapest("hosted")
    other = f" {hosted.label}, costs {money(hosted.total_usd.base)} in all." if hosted else ""
    return {"hours": count(hours), "usd": usd, "hosted": other}


def _sensitive(facts: Facts) -> Words | None:
    return {} if facts.given("sensitive-decisions") else None


CONDITIONS: dict[str, Condition] = {
    "prompt_untried": _prompt_untried,
    "api_beside": _api_beside,
    "tuning_pays_somewhere": _tuning_pays_somewhere,
    "tuning_pays_nowhere": _tuning_pays_nowhere,
    "latency_limit": _latency_limit,
    "replica_floor_binds": _replica_floor_binds,
    "no_api": _no_api,
    "regulated": _regulated,
    "vendor_wins": _vendor_wins,
    "closed_model_wins": _closed_model_wins,
    "licence_limits": _licence_limits,
    "self_hosting_wins": _self_hosting_wins,
    "many_tasks": _many_tasks,
    "ready_made": _ready_made,
    "no_experts": _no_experts,
    "sensitive": _sensitive,
}
