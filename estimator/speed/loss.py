"""The language-model head's other half: softmax and cross-entropy over the vocabulary."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants

#: Bytes per logit, forward and backward. full: written in 16 bits (2), up-cast (2+4), shifted copy (4+4),
#: log-softmax (4+4), loss (4), and backward: gradient of the log-softmax (4+4), copies (8) and the cast to
#: 16 bits (4+2). chunked: the same without the copies. fused: logits written, read and replaced by their
#: gradient in place (2+2+2+2). Source: derived from the operations.
LOGIT_BYTES = {"full": 54.0, "chunked": 36.0, "fused": 8.0}


def loss_s(*, run: Run, constants: Constants) -> Number:
    """Seconds of the loss over one micro-batch: the bytes of `loss_bytes` over the bandwidth that such kernels
    reach. Source: fraction fitted.
    """
    traffic = loss_bytes(run=run, constants=constants)
    return traffic / (run.accelerator.memory_bytes_per_s * constants["bandwidth_fraction"])


def loss_bytes(*, run: Run, constants: Constants) -> Number:
    """Bytes that the loss moves over one micro-batch: tokens x vocabulary x bytes per logit.

    Tensor parallelism splits the vocabulary. A stack with its own cross-entropy kernel moves fewer bytes for
    ``full`` than one kernel per operation, by its ``fusion_fraction``. Source: derived.
    """
    per_logit = LOGIT_BYTES[run.loss]
    if run.loss == "full":
        fused = constants.of_stack("fusion_fraction", run.stack)
        per_logit = per_logit + fused * (LOGIT_BYTES["fused"] * 2.0 - per_logit)
    return run.micro_batch_tokens * float(run.architecture.vocab) * per_logit / run.tp
