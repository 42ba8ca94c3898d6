"""A training run beyond its steps: loading, warm-up, evaluation, checkpoints, restarts.

Written for numbers, arrays and spreadsheet cells alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from estimator.algebra import Value, maximum, minimum
from estimator.numbers import SECONDS_PER_HOUR


def load_s(*, weights_bytes: Value, storage_bytes_per_s: Value) -> Value:
    """Seconds to read the weights from storage: bytes / rate.

    >>> load_s(weights_bytes=16e9, storage_bytes_per_s=1e9)
    16.0
    """
    return weights_bytes / storage_bytes_per_s


def evaluation_s(
    *, evaluation_tokens: Value, evaluations: Value, tokens_per_s: Value, forward_fraction: Value
) -> Value:
    """Seconds of all evaluation passes: a forward costs a fraction of a training step on the same tokens.

    >>> evaluation_s(evaluation_tokens=1e6, evaluations=3.0, tokens_per_s=1e4, forward_fraction=0.25)
    75.0
    """
    return evaluation_tokens * evaluations * forward_fraction / tokens_per_s


def checkpoints_s(*, checkpoint_bytes: Value, checkpoints: Value, storage_bytes_per_s: Value) -> Value:
    """Seconds that writing checkpoints stops training: count x bytes / rate.

    >>> checkpoints_s(checkpoint_bytes=2e9, checkpoints=4.0, storage_bytes_per_s=5e8)
    16.0
    """
    return checkpoints * checkpoint_bytes / storage_bytes_per_s


def restarts_s(
    *,
    working_s: Value,
    interruptions_per_hour: Value,
    restart_s: Value,
    checkpoint_interval_s: Value,
    most_lost_fraction: Value,
) -> Value:
    """Seconds lost to interruptions: each costs a restart and, on average, half a checkpoint interval of work.

    With rate r and loss l per interruption, work w takes w / (1 - r l) of wall time; the loss is the excess.
    Valid while r l < 1; held at ``most_lost_fraction``, beyond which a run hardly advances. Source: derived
    (Young 1974, first order).

    >>> round(restarts_s(working_s=36000.0, interruptions_per_hour=0.1, restart_s=300.0,
    ...                  checkpoint_interval_s=1800.0, most_lost_fraction=0.9), 1)
    1241.4
    """
    lost = interruptions_per_hour / SECONDS_PER_HOUR * (restart_s + checkpoint_interval_s / 2.0)
    held = minimum(lost, most_lost_fraction)
    return working_s * held / (1 - held)


def job_time(
    *,
    tokens_per_s: Value,
    train_tokens: Value,
    evaluation_tokens: Value,
    evaluations: Value,
    weights_bytes: Value,
    checkpoint_bytes: Value,
    checkpoints: Value,
    interruptions_per_hour: Value | None,
    machines: Value,
    constants: Mapping[str, Value],
) -> dict[str, Value]:
    """Wall seconds of one training job by part; the parts sum to the whole.

    Provisioning of the machine is in ``start-up``; waiting in a queue for a free one is not included.

    Args:
        tokens_per_s: throughput of the whole job (not per accelerator).
        train_tokens: tokens processed in training, padding included, early stopping taken off.
        evaluation_tokens: tokens of one evaluation pass.
        evaluations: evaluation passes during the run.
        weights_bytes: read from storage at the start and after each interruption.
        checkpoint_bytes, checkpoints: size and number of checkpoints written.
        interruptions_per_hour: of the whole job; None for machines that are not interrupted.
        machines: each reads and writes its share of the bytes.
        constants: the registry of empirical numbers.
    """
    loading = load_s(
        weights_bytes=weights_bytes, storage_bytes_per_s=constants["storage_read_bytes_per_s"] * machines
    )
    warm_up = constants["job_start_s"] + constants["job_warm_up_s"]
    training = train_tokens / tokens_per_s
    evaluation = evaluation_s(
        evaluation_tokens=evaluation_tokens,
        evaluations=evaluations,
        tokens_per_s=tokens_per_s,
        forward_fraction=constants["evaluation_forward_fraction"],
    )
    saving = checkpoints_s(
        checkpoint_bytes=checkpoint_bytes,
        checkpoints=checkpoints,
        storage_bytes_per_s=constants["storage_write_bytes_per_s"] * machines,
    )
    working = training + evaluation + saving
    return {
        "start-up": warm_up,
        "loading": loading,
        "training": training,
        "evaluation": evaluation,
        "checkpoints": saving,
        "restarts": 0.0
        if interruptions_per_hour is None
        else restarts_s(
            working_s=working,
            interruptions_per_hour=interruptions_per_hour,
            restart_s=warm_up + loading,
            checkpoint_interval_s=working / maximum(checkpoints, 1),
            most_lost_fraction=constants["most_lost_fraction"],
        ),
    }
