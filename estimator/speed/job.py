"""A training run beyond its steps: loading, warm-up, evaluation, checkpoints, restarts."""

from __future__ import annotations

from collections.abc import Mapping

from estimator.numbers import SECONDS_PER_HOUR, Number


def load_s(*, weights_bytes: Number, storage_bytes_per_s: Number) -> Number:
    """Seconds to read the weights from storage: bytes / rate.

    >>> load_s(weights_bytes=16e9, storage_bytes_per_s=1e9)
    16.0
    """
    return weights_bytes / storage_bytes_per_s


def evaluation_s(
    *, evaluation_tokens: Number, evaluations: Number, tokens_per_s: Number, forward_fraction: Number
) -> Number:
    """Seconds of all evaluation passes: a forward costs a fraction of a training step on the same tokens.

    >>> evaluation_s(evaluation_tokens=1e6, evaluations=3.0, tokens_per_s=1e4, forward_fraction=0.25)
    75.0
    """
    return evaluation_tokens * evaluations * forward_fraction / tokens_per_s


def checkpoints_s(*, checkpoint_bytes: Number, checkpoints: Number, storage_bytes_per_s: Number) -> Number:
    """Seconds that writing checkpoints stops training: count x bytes / rate.

    >>> checkpoints_s(checkpoint_bytes=2e9, checkpoints=4.0, storage_bytes_per_s=5e8)
    16.0
    """
    return checkpoints * checkpoint_bytes / storage_bytes_per_s


def restarts_s(
    *,
    working_s: Number,
    interruptions_per_hour: Number,
    restart_s: Number,
    checkpoint_interval_s: Number,
) -> Number:
    """Seconds lost to interruptions: each costs a restart and, on average, half a checkpoint interval of work.

    With rate r and loss l per interruption, work w takes w / (1 - r l) of wall time; the loss is the excess.
    Valid while r l < 1 (held at 0.9: beyond that a run hardly advances). Source: derived (Young 1974, first
    order).

    >>> round(restarts_s(working_s=36000.0, interruptions_per_hour=0.1, restart_s=300.0,
    ...                  checkpoint_interval_s=1800.0), 1)
    1241.4
    """
    import numpy as np

    lost = interruptions_per_hour / SECONDS_PER_HOUR * (restart_s + checkpoint_interval_s / 2.0)
    held = np.minimum(lost, 0.9)
    return working_s * held / (1.0 - held)
