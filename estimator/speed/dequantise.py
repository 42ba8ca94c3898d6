"""Unpacking a quantised base before every product that uses it."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.parameters import block_linear_parameters
from estimator.run import Run
from estimator.speed.constants import Constants

BITS = {"nf4": 4, "nf4-double": 4, "int8": 8, "gptq-int4": 4, "gptq-int8": 8}


def dequantise_s(*, run: Run, constants: Constants, passes: Number) -> Number:
    """Seconds of dequantisation over one micro-batch: parameters x passes x bytes per parameter / bandwidth.

    A pass is a forward, a recomputed forward or the gradient of the input. The bytes are effective ones: the
    ideal is 0.5 read and 2 written, kernels reach a fifth to a half of bandwidth and double quantisation
    adds a pass over the block scales. Experts are unpacked whether a token visits them or not.
    Source: fitted; 13 bytes are the 6.5 ms per billion parameters of an 80 GB A100.
    """
    if not run.quantization:
        return 0.0
    kind = run.quantization.split("-")[0]
    per_parameter = constants.of_stack(f"{kind}_dequantise_bytes_per_parameter", run.stack)
    if run.quantization == "nf4-double":
        per_parameter = per_parameter + constants["double_quantisation_bytes_per_parameter"]
    return unpacked_parameters(run=run, passes=passes) * per_parameter / run.accelerator.memory_bytes_per_s


def unpacked_parameters(*, run: Run, passes: Number) -> Number:
    """Parameters unpacked on one card over one micro-batch. Source: derived."""
    return float(block_linear_parameters(architecture=run.architecture)) / (run.tp * run.ep) * passes
