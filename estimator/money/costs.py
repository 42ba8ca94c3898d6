"""Cost lines of every way to do the task: quantity x unit price, written once for numbers and spreadsheet cells.

Each function takes ``x``, a mapping from parameter name to a float, an array of draws or a ``Cell``, and
returns lines. A line happens once (month 0), at every retrain, or every month; what changes with time enters
through the monthly series of ``estimator.money.series``. Sources of the parameters are in the registry; the
formulas are derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from estimator.algebra import Value, ceil, exponential, less, maximum, minimum
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR
from estimator.serving.traffic import mean_requests_per_s, peak_replicas
from estimator.speed.job import job_time

Timing = Literal["once", "retrain", "monthly"]
Parameters = Mapping[str, Value]

TOKENS_PER_MILLION = 1e6


@dataclass(frozen=True, kw_only=True)
class Line:
    """One cost line: ``usd = quantity x unit_price_usd`` at each of its occurrences."""

    group: str
    name: str
    timing: Timing
    unit: str
    quantity: Value
    unit_price_usd: Value


def run_parts_s(x: Parameters, *, rows: Value, epochs: Value) -> dict[str, Value]:
    """Seconds of one run by part, see ``job_time``: validation and a checkpoint several times an epoch."""
    kept = minimum(x["tokens_per_row"], x["seq_len"])
    passes = epochs * x["checkpoints_per_epoch"]
    return job_time(
        tokens_per_s=x["train_tokens_per_s_per_gpu"] * x["speed_ratio"] * x["train_gpus"],
        train_tokens=rows * epochs * kept * x["processed_per_useful_token"],
        evaluation_tokens=minimum(x["evaluation_rows"], rows) * kept,
        evaluations=passes,
        weights_bytes=x["loaded_bytes"],
        checkpoint_bytes=x["checkpoint_bytes"],
        checkpoints=passes,
        interruptions_per_hour=x["spot_interruptions_per_hour"] * x["train_spot_machines"],
        constants=x,
    )


def run_hours(x: Parameters, *, rows: Value, epochs: Value) -> Value:
    """Hours that the cards of one run are held."""
    start, *rest = run_parts_s(x, rows=rows, epochs=epochs).values()
    for part in rest:
        start = start + part
    return start / SECONDS_PER_HOUR


def train_gpu_price(x: Parameters) -> Value:
    """Price paid per billed GPU-hour of training."""
    return x["train_usd_per_gpu_hour"] * x["gpu_price_ratio"]


def replicas(x: Parameters) -> Value:
    """Whole replicas for the peak hour of the month, see ``peak_replicas``."""
    return peak_replicas(
        requests_per_s=mean_requests_per_s(requests_per_month=x["requests_in_month"]),
        peak_to_mean=x["peak_to_mean_ratio"],
        requests_per_s_per_replica=x["requests_per_s_per_replica"] * x["serving_speed_ratio"],
        slo_fraction=x["slo_throughput_fraction"],
        max_load_fraction=x["max_load_fraction"],
        minimum_replicas=x["minimum_replicas"],
    )


# Lines that several arms share


def api_request_lines(
    x: Parameters, *, static_tokens: Value, dynamic_tokens: Value, price_factor: Value
) -> list[Line]:
    """Tokens of an API per month, by the price they are billed at.

    A static prompt is cached where it reaches the provider's smallest cacheable length: a share of its tokens is
    read from the cache, the rest is written to it at the write price. Retries multiply all; the share of
    requests that may wait gets the batch discount, which is taken not to stack with caching.
    """
    cacheable = 1 - less(static_tokens, x["cache_minimum_tokens"])
    hit = x["cache_hit_fraction"] * cacheable * (1 - x["api_batch_fraction"])
    write = cacheable * (1 - x["cache_hit_fraction"]) * (1 - x["api_batch_fraction"])
    calls = x["requests_in_month"] * x["retry_ratio"] / TOKENS_PER_MILLION
    discount = (1 - x["api_batch_fraction"] * (1 - x["batch_price_ratio"])) * price_factor
    plain = dynamic_tokens + static_tokens * (1 - hit - write)
    return [
        _monthly("serving", "input tokens", "million tokens", calls * plain, x["input_price"] * discount),
        _monthly(
            "serving",
            "input tokens written to the prompt cache",
            "million tokens",
            calls * static_tokens * write,
            x["cache_write_price"] * price_factor,
        ),
        _monthly(
            "serving",
            "input tokens read from the prompt cache",
            "million tokens",
            calls * static_tokens * hit,
            x["cached_input_price"] * price_factor,
        ),
        _monthly(
            "serving",
            "output tokens",
            "million tokens",
            calls * x["output_tokens"],
            x["output_price"] * discount,
        ),
    ]


def watch_lines(x: Parameters, *, ops_hours: Value) -> list[Line]:
    """Monitoring a sample of requests, and operations."""
    return [
        _monthly(
            "upkeep",
            "requests judged in production",
            "request",
            x["requests_in_month"] * x["monitoring_fraction"],
            x["judge_usd_per_request"],
        ),
        _monthly("people", "operations and on-call", "hour", ops_hours, x["engineer_usd_per_hour"]),
    ]


def release_evaluation(x: Parameters, *, timing: Timing, group: str) -> Line:
    """Judging the held-out set before a release."""
    return Line(
        group=group,
        name="held-out rows judged",
        timing=timing,
        unit="row",
        quantity=x["evaluation_rows"] * x["evaluation_runs"],
        unit_price_usd=x["review_usd_per_row"],
    )


def data_lines(x: Parameters) -> list[Line]:
    """Rows collected and labelled (those of the pilot are among them), rejects done again, one clean-up."""
    pilot_rows = minimum(x["pilot_rows"], x["rows"])
    price = x["label_usd_per_row"]
    return [
        _once("pilot", "rows of the pilot labelled", "row", pilot_rows, price),
        _once("data", "further rows labelled", "row", x["rows"] - pilot_rows, price),
        _once("data", "rejected rows done again", "row", x["rows"] * x["label_redo_fraction"], price),
        _once("data", "clean-up", "once", 1, x["cleanup_usd"]),
    ]


def self_training_lines(x: Parameters) -> list[Line]:
    """Pilot, experiments, the production run and what fails, in billed GPU-hours."""
    epochs = x["epochs"] * x["early_stopping_fraction"]
    price = train_gpu_price(x)
    billed = x["train_gpus_billed"]
    pilot = run_hours(x, rows=minimum(x["pilot_rows"], x["rows"]), epochs=epochs) * billed
    full = run_hours(x, rows=x["rows"], epochs=epochs) * billed
    trial = run_hours(x, rows=x["rows"] * x["experiment_fraction"], epochs=epochs) * billed
    again = x["failed_run_fraction"] / (1 - x["failed_run_fraction"])
    useful = pilot + full + trial * x["experiments"]
    return [
        _once("pilot", "pilot run", "GPU-hour", pilot, price),
        _once("experiments", "experiments", "GPU-hour", trial * x["experiments"], price),
        _once("training", "production run", "GPU-hour", full, price),
        _once("training", "failed and repeated runs", "GPU-hour", useful * again, price),
    ]


def retrain_lines(x: Parameters) -> list[Line]:
    """What every retrain costs beside the run: new rows, evaluation, hours."""
    new_rows = x["rows"] * x["new_rows_fraction"] * (1 + x["label_redo_fraction"])
    return [
        _retrain("retrains", "new rows labelled", "row", new_rows, x["label_usd_per_row"]),
        release_evaluation(x, timing="retrain", group="retrains"),
        _retrain(
            "retrains",
            "engineer hours of retrains",
            "hour",
            x["retrain_engineer_hours"],
            x["engineer_usd_per_hour"],
        ),
    ]


def self_retrain_lines(x: Parameters) -> list[Line]:
    """Retrain runs from scratch on the grown set, with their experiments and failures."""
    rows = x["rows"] * (1 + x["new_rows_fraction"] * x["retrains_so_far"])
    epochs = x["epochs"] * x["early_stopping_fraction"]
    full = run_hours(x, rows=rows, epochs=epochs)
    trial = run_hours(x, rows=rows * x["experiment_fraction"], epochs=epochs) * x["retrain_experiments"]
    hours = (full + trial) / (1 - x["failed_run_fraction"]) * x["train_gpus_billed"]
    return [
        *retrain_lines(x),
        _retrain("retrains", "runs and experiments of retrains", "GPU-hour", hours, train_gpu_price(x)),
    ]


def self_serving_lines(x: Parameters) -> list[Line]:
    """Cards of all replicas in whole instances, at the GPU's price with its surroundings; weights in storage."""
    price = (
        x["serving_usd_per_gpu_hour"] * x["gpu_price_ratio"] * x["cloud_overhead_ratio"] * x["gpu_price_factor"]
    )
    per_instance = x["serving_gpus_per_instance"]
    cards = ceil(replicas(x) * x["serving_gpus_per_replica"] / per_instance) * per_instance
    hours = (cards + x["staging_replicas"] * x["serving_gpus_per_replica"]) * HOURS_PER_MONTH
    return [
        _monthly("serving", "GPU-hours of replicas", "GPU-hour", hours, price),
        *stored_versions_lines(x),
    ]


def shared_serving_lines(x: Parameters) -> list[Line]:
    """A share of replicas that hold one base model and several teams' adapters, unmerged.

    The floor is shared, the load is not; unmerged adapters slow a replica down.
    """
    usable = x["requests_per_s_per_replica"] * x["serving_speed_ratio"] * (1 - x["adapter_slowdown_fraction"])
    peak = mean_requests_per_s(requests_per_month=x["requests_in_month"]) * x["peak_to_mean_ratio"]
    held = maximum(
        x["minimum_replicas"] / x["adapters_sharing"],
        peak / (usable * x["slo_throughput_fraction"] * x["max_load_fraction"]),
    )
    price = (
        x["serving_usd_per_gpu_hour"] * x["gpu_price_ratio"] * x["cloud_overhead_ratio"] * x["gpu_price_factor"]
    )
    hours = held * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    return [
        _monthly("serving", "share of the GPU-hours of replicas", "GPU-hour", hours, price),
        *stored_versions_lines(x),
    ]


def scale_to_zero_lines(x: Parameters) -> list[Line]:
    """Serverless GPUs: a replica is up while requests come, and for a while after the last.

    Arrivals at random: the chance that a moment lies within the keep-alive time of a request is
    1 - exp(-rate x keep-alive); above that the mean load decides, with the slack of an autoscaler that follows
    it. Start-up delays are not priced.
    """
    rate = mean_requests_per_s(requests_per_month=x["requests_in_month"])
    up = 1 - exponential(0 - rate * SECONDS_PER_HOUR * x["keep_alive_hours"])
    usable = (
        x["requests_per_s_per_replica"]
        * x["serving_speed_ratio"]
        * x["slo_throughput_fraction"]
        * x["max_load_fraction"]
    )
    held = maximum(up, rate / usable * x["autoscaling_slack_ratio"])
    hours = held * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    price = x["serving_usd_per_gpu_hour"] * x["gpu_price_ratio"] * x["serverless_price_ratio"]
    return [
        _monthly("serving", "GPU-hours while up", "GPU-hour", hours, price * x["gpu_price_factor"]),
        *stored_versions_lines(x),
    ]


def stored_versions_lines(x: Parameters) -> list[Line]:
    """Weights and checkpoints in storage, and the hours to stand serving up."""
    return [
        _monthly(
            "upkeep",
            "weights and checkpoints stored",
            "GB-month",
            x["stored_gb_per_version"] * x["versions_kept"],
            x["storage_usd_per_gb_month"],
        ),
        _once("people", "standing up serving", "hour", x["serving_build_hours"], x["engineer_usd_per_hour"]),
    ]


def tuning_people_lines(x: Parameters) -> list[Line]:
    """Engineer hours of the pilot and of the way to production."""
    return [
        _once(
            "pilot",
            "engineer hours of the pilot",
            "hour",
            x["pilot_engineer_hours"],
            x["engineer_usd_per_hour"],
        ),
        _once(
            "people",
            "engineer hours from pilot to production",
            "hour",
            x["build_engineer_hours"],
            x["engineer_usd_per_hour"],
        ),
    ]


# Arms


def api_lines(x: Parameters, *, style: str) -> list[Line]:
    """Prompting an API model: zero-shot, few-shot, with retrieval, or split into several smaller calls.

    A split request carries its instructions in every call, and its input and output in parts.
    """
    static = x["input_tokens"] * x["static_input_fraction"]
    dynamic = x["input_tokens"] * (1 - x["static_input_fraction"])
    lines = [
        _once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
        release_evaluation(x, timing="once", group="evaluation"),
        _monthly(
            "people",
            "moves to a newer API model",
            "hour",
            x["api_moves_in_month"] * x["migration_hours"],
            x["engineer_usd_per_hour"],
        ),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]
    if style == "few-shot":
        static = static + x["few_shot_tokens"]
    if style == "split":
        static = static * x["calls_per_request"]
        dynamic = dynamic * x["split_overlap_ratio"]
        lines.append(
            _once(
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
        x, static_tokens=static, dynamic_tokens=dynamic, price_factor=x["api_price_factor"]
    )


def retrieval_lines(x: Parameters) -> list[Line]:
    """Building retrieval, its store, and its embeddings: the corpus at every refresh, and each request."""
    embedded = x["retrieval_corpus_tokens"] * x["corpus_refreshes_per_month"] + x["requests_in_month"] * (
        x["input_tokens"] * (1 - x["static_input_fraction"])
    )
    return [
        _once("people", "building retrieval", "hour", x["retrieval_build_hours"], x["engineer_usd_per_hour"]),
        _monthly(
            "upkeep",
            "tokens embedded",
            "million tokens",
            embedded / TOKENS_PER_MILLION,
            x["embedding_usd_per_million_tokens"],
        ),
        _monthly("upkeep", "vector database", "month", 1, x["vector_store_usd_per_month"]),
    ]


SERVING_LINES = {
    "dedicated": self_serving_lines,
    "shared": shared_serving_lines,
    "scale-to-zero": scale_to_zero_lines,
}
"""Ways to serve a tuned model on rented GPUs."""


def self_hosted_lines(x: Parameters, *, serving: str = "dedicated") -> list[Line]:
    """Tuning an open model on rented GPUs and serving it on rented GPUs."""
    return [
        *data_lines(x),
        *self_training_lines(x),
        release_evaluation(x, timing="once", group="evaluation"),
        *tuning_people_lines(x),
        *self_retrain_lines(x),
        *SERVING_LINES[serving](x),
        *watch_lines(x, ops_hours=x["self_host_ops_hours_per_month"]),
    ]


def ready_made_lines(x: Parameters) -> list[Line]:
    """Serving the open model as it is, with a few-shot prompt: no rows, no training."""
    return [
        _once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
        release_evaluation(x, timing="once", group="evaluation"),
        *self_serving_lines(x),
        *watch_lines(x, ops_hours=x["self_host_ops_hours_per_month"]),
    ]


def hosted_training_lines(x: Parameters) -> list[Line]:
    """Rows, pilot, experiments, production run and retrains through a service billed per training token."""
    epochs = x["epochs"] * x["early_stopping_fraction"]
    price = x["train_price"]

    def billed(rows: Value, runs: Value) -> Value:
        tokens = rows * epochs * minimum(x["tokens_per_row"], x["seq_len"]) / TOKENS_PER_MILLION
        return maximum(tokens, x["train_minimum_usd"] / maximum(price, 1e-9)) * runs

    pilot = billed(minimum(x["pilot_rows"], x["rows"]), 1)
    full = billed(x["rows"], 1)
    trials = billed(x["rows"] * x["experiment_fraction"], x["experiments"])
    again = x["failed_run_fraction"] / (1 - x["failed_run_fraction"])
    grown = x["rows"] * (1 + x["new_rows_fraction"] * x["retrains_so_far"])
    retrain = (billed(grown, 1) + billed(grown * x["experiment_fraction"], x["retrain_experiments"])) / (
        1 - x["failed_run_fraction"]
    )
    unit = "million tokens"
    return [
        *data_lines(x),
        _once("pilot", "pilot run", unit, pilot, price),
        _once("experiments", "experiments", unit, trials, price),
        _once("training", "production run", unit, full, price),
        _once("training", "failed and repeated runs", unit, (pilot + full + trials) * again, price),
        release_evaluation(x, timing="once", group="evaluation"),
        *tuning_people_lines(x),
        *retrain_lines(x),
        _retrain("retrains", "runs and experiments of retrains", unit, retrain, price),
    ]


def hosted_lines(x: Parameters) -> list[Line]:
    """Hosted tuning, and calling the tuned model there per token.

    Static prompt tokens that tuning makes needless are dropped; the hosting fee runs whether used or not.
    """
    static = x["input_tokens"] * x["static_input_fraction"] * (1 - x["prompt_saving_fraction"])
    dynamic = x["input_tokens"] * (1 - x["static_input_fraction"])
    return [
        *hosted_training_lines(x),
        *api_request_lines(x, static_tokens=static, dynamic_tokens=dynamic, price_factor=1.0),
        _monthly("serving", "hosting fee", "hour", HOURS_PER_MONTH, x["hosting_usd_per_hour"]),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]


def dedicated_lines(x: Parameters) -> list[Line]:
    """Hosted tuning, and serving on the service's dedicated endpoints, billed per GPU-hour while they are up."""
    hours = replicas(x) * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    return [
        *hosted_training_lines(x),
        _monthly("serving", "GPU-hours of endpoints", "GPU-hour", hours, x["hosting_usd_per_hour"]),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]


def _once(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    return Line(group=group, name=name, timing="once", unit=unit, quantity=quantity, unit_price_usd=price)


def _retrain(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    return Line(group=group, name=name, timing="retrain", unit=unit, quantity=quantity, unit_price_usd=price)


def _monthly(group: str, name: str, unit: str, quantity: Value, price: Value) -> Line:
    return Line(group=group, name=name, timing="monthly", unit=unit, quantity=quantity, unit_price_usd=price)
