"""Cost lines of tuning: rows, pilot, experiments, runs, retrains and people, on rented GPUs or at a service."""

from __future__ import annotations

from estimator.algebra import Value, maximum, minimum
from estimator.money.common_costs import (
    TOKENS_PER_MILLION,
    paid_usd_per_gpu_hour,
    release_evaluation,
    text_gb,
)
from estimator.money.lines import Line, Parameters, monthly, once, retrain
from estimator.money.serving_costs import own_power_usd_per_gpu_hour
from estimator.numbers import SECONDS_PER_HOUR
from estimator.scenario import Retraining
from estimator.speed.job import job_time


def run_parts_s(x: Parameters, *, rows: Value, epochs: Value) -> dict[str, Value]:
    """Seconds of one run by part, see ``job_time``: validation and a checkpoint several times an epoch.

    Only machines that may be interrupted have ``train_spot_machines``.
    """
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
        interruptions_per_hour=x["spot_interruptions_per_hour"] * x["train_spot_machines"]
        if "train_spot_machines" in x
        else None,
        machines=x["train_machines"],
        constants=x,
    )


def run_hours(x: Parameters, *, rows: Value, epochs: Value) -> Value:
    """Hours that the cards of one run are held."""
    start, *rest = run_parts_s(x, rows=rows, epochs=epochs).values()
    for part in rest:
        start = start + part
    return start / SECONDS_PER_HOUR


def train_gpu_price(x: Parameters, *, of_month: Value = 1) -> Value:
    """Price paid per billed GPU-hour of training, see ``paid_usd_per_gpu_hour``.

    Of bought cards (only these have ``own_purchase_usd``) the power: the cards are paid for by the month.
    """
    if "own_purchase_usd" in x:
        return own_power_usd_per_gpu_hour(x)
    return paid_usd_per_gpu_hour(
        usd_per_gpu_hour=x["train_usd_per_gpu_hour"],
        listed=x["train_price_listed"],
        paid_ratio=x["gpu_price_ratio"],
        price_factor=of_month,
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
        monthly(
            "upkeep",
            "training rows stored",
            "GB-month",
            text_gb(x, (x["rows"] + new_rows(x) * x["retrains_so_far"]) * x["tokens_per_row"]),
            x["storage_usd_per_gb_month"],
        ),
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


def new_rows(x: Parameters) -> Value:
    """Rows that have come in since the last retrain: they come with time, not with retrains."""
    return x["rows"] * x["new_rows_fraction_per_month"] * x["retrain_every_months"]


def retrain_rows(x: Parameters, *, retraining: Retraining) -> Value:
    """Rows that one retrain sees: from scratch all of the grown set, else the new ones with replayed old ones.

    Incremental runs mix new / (1 - replayed share) rows, at most the grown set, against forgetting.
    """
    grown = x["rows"] + new_rows(x) * x["retrains_so_far"]
    if retraining == "scratch":
        return grown
    return minimum(new_rows(x) / (1 - x["replay_fraction"]), grown)


def retrain_lines(x: Parameters) -> list[Line]:
    """What every retrain costs beside the run: new rows, evaluation, hours."""
    labelled = new_rows(x) * attempts_per_row(x)
    return [
        retrain("retrains", "new rows labelled", "row", labelled, x["label_usd_per_row"]),
        release_evaluation(x, timing="retrain", group="retrains"),
        retrain(
            "retrains",
            "engineer hours of retrains",
            "hour",
            x["retrain_engineer_hours"],
            x["engineer_usd_per_hour"],
        ),
    ]


def self_retrain_lines(x: Parameters, *, retraining: Retraining) -> list[Line]:
    """Retrain runs with their experiments and failures."""
    rows = retrain_rows(x, retraining=retraining)
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
            train_gpu_price(x, of_month=x["gpu_price_factor"]),
        ),
    ]


def released_weights_lines(x: Parameters) -> list[Line]:
    """What each release carries from the provider that trains to the one that serves, where they differ."""
    price = x["egress_usd_per_gb"]
    return [
        once("training", "trained weights moved to serving", "GB", x["moved_gb_per_release"], price),
        retrain("retrains", "retrained weights moved to serving", "GB", x["moved_gb_per_release"], price),
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


def hosted_training_lines(x: Parameters, *, retraining: Retraining) -> list[Line]:
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
    seen = retrain_rows(x, retraining=retraining)
    repeated = (billed(seen, 1) + billed(seen * x["experiment_fraction"], x["retrain_experiments"])) / (
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
