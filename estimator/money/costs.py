"""Cost lines of every way to do the task: quantity x unit price, written once for numbers and spreadsheet cells.

Each function takes ``x``, a mapping from parameter name to a float, an array of draws or a ``Cell``, and
returns lines. A line happens once (month 0), at every retrain, or every month; what changes with time enters
through the monthly series of ``estimator.money.series``. Sources of the parameters are in the registry; the
formulas are derived.
"""

from __future__ import annotations

from estimator.algebra import Value, less, maximum, minimum
from estimator.money.lines import Line, Parameters, Timing, monthly, once, retrain
from estimator.money.serving_costs import SERVING_LINES, replicas, self_serving_lines
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR
from estimator.speed.job import job_time

TOKENS_PER_MILLION = 1e6


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


# Lines that several arms share


def api_request_lines(
    x: Parameters, *, static_tokens: Value, dynamic_tokens: Value, price_factor: Value, calls: Value = 1
) -> list[Line]:
    """Tokens of an API per month, by the price they are billed at.

    A static prompt is cached where it reaches the provider's smallest cacheable length: a share of its tokens is
    read from the cache, the rest is written to it at the write price. Retries multiply all; the share of
    requests that may wait gets the batch discount, which is taken not to stack with caching.
    """
    cacheable = 1 - less(static_tokens, x["cache_minimum_tokens"])
    static_tokens = static_tokens * calls
    hit = x["cache_hit_fraction"] * cacheable * (1 - x["api_batch_fraction"])
    write = cacheable * (1 - x["cache_hit_fraction"]) * (1 - x["api_batch_fraction"])
    calls = x["requests_in_month"] * x["retry_ratio"] / TOKENS_PER_MILLION
    discount = (1 - x["api_batch_fraction"] * (1 - x["batch_price_ratio"])) * price_factor
    plain = dynamic_tokens + static_tokens * (1 - hit - write)
    return [
        monthly("serving", "input tokens", "million tokens", calls * plain, x["input_price"] * discount),
        monthly(
            "serving",
            "input tokens written to the prompt cache",
            "million tokens",
            calls * static_tokens * write,
            x["cache_write_price"] * price_factor,
        ),
        monthly(
            "serving",
            "input tokens read from the prompt cache",
            "million tokens",
            calls * static_tokens * hit,
            x["cached_input_price"] * price_factor,
        ),
        monthly(
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
        monthly(
            "upkeep",
            "requests judged in production",
            "request",
            x["requests_in_month"] * x["monitoring_fraction"],
            x["judge_usd_per_request"],
        ),
        monthly("people", "operations and on-call", "hour", ops_hours, x["engineer_usd_per_hour"]),
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


def attempts_per_row(x: Parameters) -> Value:
    """Rows paid per row accepted, where a share of every attempt is rejected: 1 / (1 - share)."""
    return 1 / (1 - x["label_reject_fraction"])


def data_lines(x: Parameters) -> list[Line]:
    """Rows collected and labelled (those of the pilot are among them), rejects done again, one clean-up."""
    pilot_rows = minimum(x["pilot_rows"], x["rows"])
    price = x["label_usd_per_row"]
    again = attempts_per_row(x) - 1
    return [
        once("pilot", "rows of the pilot labelled", "row", pilot_rows, price),
        once("pilot", "rejected rows of the pilot done again", "row", pilot_rows * again, price),
        once(
            "pilot", "held-out rows judged after the pilot", "row", x["evaluation_rows"], x["review_usd_per_row"]
        ),
        once("data", "further rows labelled", "row", x["rows"] - pilot_rows, price),
        once("data", "rejected rows done again", "row", (x["rows"] - pilot_rows) * again, price),
        once("data", "clean-up", "once", 1, x["cleanup_usd"]),
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
        once("pilot", "pilot run", "GPU-hour", pilot, price),
        once("experiments", "experiments", "GPU-hour", trial * x["experiments"], price),
        once("training", "production run", "GPU-hour", full, price),
        once("training", "failed and repeated runs", "GPU-hour", useful * again, price),
    ]


def retrain_lines(x: Parameters) -> list[Line]:
    """What every retrain costs beside the run: new rows, evaluation, hours."""
    new_rows = x["rows"] * x["new_rows_fraction"] * attempts_per_row(x)
    return [
        retrain("retrains", "new rows labelled", "row", new_rows, x["label_usd_per_row"]),
        release_evaluation(x, timing="retrain", group="retrains"),
        retrain(
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
        retrain(
            "retrains",
            "runs and experiments of retrains",
            "GPU-hour",
            hours,
            train_gpu_price(x) * x["gpu_price_factor"],
        ),
    ]


def tuning_people_lines(x: Parameters) -> list[Line]:
    """Engineer hours of the pilot and of the way to production."""
    return [
        once(
            "pilot",
            "engineer hours of the pilot",
            "hour",
            x["pilot_engineer_hours"],
            x["engineer_usd_per_hour"],
        ),
        once(
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
        once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
        release_evaluation(x, timing="once", group="evaluation"),
        monthly(
            "people",
            "moves to a newer API model",
            "hour",
            x["api_moves_in_month"] * x["migration_hours"],
            x["engineer_usd_per_hour"],
        ),
        monthly(
            "evaluation",
            "held-out rows judged at a move",
            "row",
            x["api_moves_in_month"] * x["evaluation_rows"] * x["evaluation_runs"],
            x["review_usd_per_row"],
        ),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]
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
        once("people", "prompt work", "hour", x["prompt_engineering_hours"], x["engineer_usd_per_hour"]),
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
    repeated = (billed(grown, 1) + billed(grown * x["experiment_fraction"], x["retrain_experiments"])) / (
        1 - x["failed_run_fraction"]
    )
    unit = "million tokens"
    return [
        *data_lines(x),
        once("pilot", "pilot run", unit, pilot, price),
        once("experiments", "experiments", unit, trials, price),
        once("training", "production run", unit, full, price),
        once("training", "failed and repeated runs", unit, (pilot + full + trials) * again, price),
        release_evaluation(x, timing="once", group="evaluation"),
        *tuning_people_lines(x),
        *retrain_lines(x),
        retrain("retrains", "runs and experiments of retrains", unit, repeated, price),
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
        monthly("serving", "hosting fee", "hour", HOURS_PER_MONTH, x["hosting_usd_per_hour"]),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]


def dedicated_lines(x: Parameters) -> list[Line]:
    """Hosted tuning, and serving on the service's dedicated endpoints, billed per GPU-hour while they are up."""
    hours = replicas(x) * x["serving_gpus_per_replica"] * HOURS_PER_MONTH
    return [
        *hosted_training_lines(x),
        monthly("serving", "GPU-hours of endpoints", "GPU-hour", hours, x["hosting_usd_per_hour"]),
        *watch_lines(x, ops_hours=x["api_ops_hours_per_month"]),
    ]
