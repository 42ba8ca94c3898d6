"""Cost lines of every way to do the task: quantity x unit price, written once for numbers and spreadsheet cells.

Each function takes ``x``, a mapping from parameter name to a float, an array of draws or a ``Cell``, and
returns lines. A line happens once (month 0), at every retrain, or every month; what changes with time enters
through the monthly series of ``estimator.money.series``. Sources of the parameters are in the registry; the
formulas are derived.
"""

from __future__ import annotations

from estimator.algebra import Value, less
from estimator.money.common_costs import (
    TOKENS_PER_MILLION,
    api_request_lines,
    release_evaluation,
    watch_lines,
    with_announced_prices,
)
from estimator.money.lines import Line, Parameters, monthly, once
from estimator.money.series import api_moves_so_far
from estimator.money.serving_costs import replicas
from estimator.money.tuning_costs import (
    data_lines,
    hosted_training_lines,
    released_weights_lines,
    self_retrain_lines,
    self_training_lines,
    tuning_people_lines,
)
from estimator.numbers import HOURS_PER_MONTH
from estimator.scenario import Retraining


def forced_move(x: Parameters) -> Value:
    """1 in the month in which the model stops answering, else 0; months are counted from the plan's day."""
    return less(x["month"] - 1, x["retired_after_months"]) - less(x["month"], x["retired_after_months"])


def prompting_lines(x: Parameters, *, retired: bool = False) -> list[Line]:
    """What prompting an API model costs in any style: prompt work, moves to newer models, watching.

    A model that is ``retired`` inside the horizon forces a move, at the price level of today, unless one was made
    before its end.
    """
    moves = x["api_moves_in_month"]
    if retired:
        moves = moves + forced_move(x) * less(api_moves_so_far(x), 1)
    return [
        once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
        release_evaluation(x, timing="once", group="evaluation"),
        monthly(
            "people",
            "moves to a newer API model",
            "hour",
            moves * x["migration_hours"],
            x["engineer_usd_per_hour"],
        ),
        monthly(
            "evaluation",
            "held-out rows judged at a move",
            "row",
            moves * x["evaluation_rows"] * x["evaluation_runs"],
            x["review_usd_per_row"],
        ),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]


def calling_lines(x: Parameters, *, style: str, price_changes: int = 0) -> list[Line]:
    """Calls of an API model: zero-shot, few-shot, with retrieval, or split into several smaller ones.

    A split request carries its instructions in every call, and its input and output in parts. Prices announced
    for a later day hold from that day on.
    """
    if price_changes:
        x = with_announced_prices(x, changes=price_changes)
    static = x["input_tokens"] * x["static_input_fraction"]
    dynamic = x["input_tokens"] * (1 - x["static_input_fraction"])
    lines: list[Line] = []
    if style == "few-shot":
        static = static + x["few_shot_tokens"]
    calls: Value = 1
    if style == "split":
        calls = x["calls_per_request"]
        dynamic = dynamic * x["split_overlap_ratio"]
        lines.append(
            once(
                "people",
                "splitting the task",
                "hour",
                x["prompt_engineering_hours"] * (x["calls_per_request"] - 1),
                x["engineer_usd_per_hour"],
            )
        )
    if style == "retrieval":
        dynamic = dynamic + x["context_tokens"]
        lines += retrieval_lines(x)
    return lines + api_request_lines(
        x, static_tokens=static, calls=calls, dynamic_tokens=dynamic, price_factor=x["api_price_factor"]
    )


def retrieval_lines(x: Parameters) -> list[Line]:
    """Building retrieval, its store, and its embeddings: the corpus at every refresh, and each request."""
    embedded = x["retrieval_corpus_tokens"] * x["corpus_refreshes_per_month"] + x["requests_in_month"] * (
        x["input_tokens"] * (1 - x["static_input_fraction"])
    )
    return [
        once("people", "building retrieval", "hour", x["retrieval_build_hours"], x["engineer_usd_per_hour"]),
        monthly(
            "upkeep",
            "tokens embedded",
            "million tokens",
            embedded / TOKENS_PER_MILLION,
            x["embedding_usd_per_million_tokens"],
        ),
        monthly("upkeep", "vector database", "month", 1, x["vector_store_usd_per_month"]),
    ]


def tuned_lines(x: Parameters, *, retraining: Retraining = "scratch") -> list[Line]:
    """Tuning an open model on rented GPUs, and keeping it tuned."""
    return [
        *data_lines(x),
        *self_training_lines(x),
        release_evaluation(x, timing="once", group="evaluation"),
        *tuning_people_lines(x),
        *self_retrain_lines(x, retraining=retraining),
    ]


def released_lines(x: Parameters) -> list[Line]:
    """What serving oneself costs beside the replicas: weights that move, and watching."""
    return [
        *released_weights_lines(x),
        *watch_lines(x, ops_hours=x["self_host_ops_hours_per_month"]),
    ]


def ready_made_lines(x: Parameters) -> list[Line]:
    """Readying the open model as it is, with a few-shot prompt, and watching it: no rows, no training."""
    return [
        once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
        release_evaluation(x, timing="once", group="evaluation"),
        *watch_lines(x, ops_hours=x["self_host_ops_hours_per_month"]),
    ]


def hosted_lines(x: Parameters, *, retraining: Retraining = "scratch") -> list[Line]:
    """Hosted tuning, and calling the tuned model there per token.

    Static prompt tokens that tuning makes needless are dropped; the hosting fee runs whether used or not.
    """
    static = x["input_tokens"] * x["static_input_fraction"] * (1 - x["prompt_saving_fraction"])
    dynamic = x["input_tokens"] * (1 - x["static_input_fraction"])
    return [
        *hosted_training_lines(x, retraining=retraining),
        *api_request_lines(x, static_tokens=static, dynamic_tokens=dynamic, price_factor=1.0),
        monthly("serving", "hosting fee", "hour", HOURS_PER_MONTH, x["hosting_usd_per_hour"]),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]


def endpoint_lines(x: Parameters) -> list[Line]:
    """Dedicated endpoints of a service, billed per GPU-hour while they are up."""
    hours = replicas(x) * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    return [monthly("serving", "GPU-hours of endpoints", "GPU-hour", hours, x["hosting_usd_per_hour"])]


def dedicated_lines(x: Parameters, *, retraining: Retraining = "scratch") -> list[Line]:
    """Hosted tuning, and what is served beside the endpoints."""
    return [
        *hosted_training_lines(x, retraining=retraining),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]
