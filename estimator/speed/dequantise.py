"""Unpacking a quantised base before every product that uses it."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.parameters import block_linear_parameters, expert_parameters
from estimator.run import Run
from estimator.speed.constants import Constants

BITS = {"nf4": 4, "nf4-double": 4, "int8": 8, "gptq-int4": 4, "gptq-int8": 8}


def dequantise_s(*, run: Run, constants: Constants, passes: Number) -> Number:
    """Seconds of dequantisation over one micro-batch, before every product that uses the weights.

    A pass is a forward, a recomputed forward or the gradient of the input. Traffic over the bandwidth that such
    kernels reach, plus vector work over the card's fp32 rate, for unpacking four bits by comparisons or shifts is
    tens of instructions. Quantised experts are unpacked whether a token visits them or not.
    Source: traffic derived, work fitted: on an A100 unpacking NF4 is two thirds work, on a GeForce card traffic.
    """
    if not run.quantization:
        return 0.0
    card = run.accelerator
    flop, traffic = dequantise_work(run=run, constants=constants, passes=passes)
    return traffic / (card.memory_bytes_per_s * constants["bandwidth_fraction"]) + flop / card.fp32_flop_per_s


def dequantise_work(*, run: Run, constants: Constants, passes: Number) -> tuple[Number, Number]:
    """FLOP and bytes of dequantisation on one card over one micro-batch, as `dequantise_s` counts them."""
    kind = run.quantization.split("-")[0]
    per_parameter = constants.of_stack(f"{kind}_dequantise_bytes_per_parameter", run.stack)
    if run.quantization == "nf4-double":
        per_parameter = per_parameter + constants["double_quantisation_bytes_per_parameter"]
    whole = float(block_linear_parameters(architecture=run.architecture))
    if not run.experts_quantized:
        whole -= float(expert_parameters(architecture=run.architecture))
    parameters = whole / (run.tp * run.ep) * passes
    return parameters * constants[f"{kind}_dequantise_flop_per_parameter"], parameters * per_parameter
