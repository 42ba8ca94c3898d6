"""Pipeline parallelism: uneven stages and the bubble."""

from __future__ import annotations

import numpy as np

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants

#: Stacks whose pipeline cuts the local batch into single sequences (the others feed whole micro-batches).
SPLITS_LOCAL_BATCH = frozenset({"torchtitan", "nemo-automodel"})


def pipeline_chunks(*, run: Run, constants: Constants) -> Number:
    """Model chunks per stage of the interleaved schedule: the stack's usual number, and no more than layers
    allow. 1 without pipeline."""
    wanted = constants.of_stack("pipeline_chunks", run.stack)
    return np.maximum(np.minimum(wanted, run.architecture.layers / run.pp), 1.0)


def bubble_fraction(*, run: Run, constants: Constants) -> Number:
    """Idle time over busy time: (pp - 1) / (chunks x micro-batches). Source: Narayanan et al. 2021
    (arXiv 2104.04473), section 2.2.
    """
    pieces = run.micro_batches
    if run.stack in SPLITS_LOCAL_BATCH:
        pieces = pieces * run.micro_batch
    return (run.pp - 1.0) / (pipeline_chunks(run=run, constants=constants) * pieces)


def stage_share(*, run: Run, constants: Constants) -> Number:
    """Share of head and loss in the time of the slowest stage: 1/pp if spread evenly, 1 if the last stage
    carries them on top of its layers; the stack's balance lies between."""
    uneven = constants["pipeline_imbalance_fraction"]
    return (1.0 - uneven) / run.pp + uneven * np.ones_like(run.pp)
