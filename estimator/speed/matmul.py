"""Time of matrix products: FLOP at a ceiling, plus the part of a wave that runs idle, plus operand traffic."""

from __future__ import annotations

import numpy as np

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.shapes import Sums

LOW_PRECISION = {"fp8": "fp8", "mxfp8": "fp8", "nvfp4": "fp4"}


def base_peak_flop_per_s(*, run: Run) -> Number:
    """Dense 16-bit peak: bf16 where the card has it, else fp16 (Volta and Turing train in fp16)."""
    card = run.accelerator
    peak = card.fp16_flop_per_s if run.compute_dtype == "fp16" else card.bf16_flop_per_s
    return np.where(np.asarray(peak) > 0.0, peak, np.maximum(card.fp16_flop_per_s, card.fp32_flop_per_s))


def peak_flop_per_s(*, run: Run) -> Number:
    """Dense peak of the run's compute dtype; the next wider type's where the card lacks it."""
    base = base_peak_flop_per_s(run=run)
    if run.compute_dtype not in LOW_PRECISION:
        return base
    card = run.accelerator
    fp8 = np.where(np.asarray(card.fp8_flop_per_s) > 0.0, card.fp8_flop_per_s, base)
    if run.compute_dtype != "nvfp4":
        return fp8
    return np.where(np.asarray(card.fp4_flop_per_s) > 0.0, card.fp4_flop_per_s, fp8)


def power_fraction(*, run: Run, constants: Constants) -> Number:
    """Clock that a card's power allows, against the fullest-powered card of its family.

    min(1, (board power / 16-bit peak) / (the family's reference))^exponent. Tensor cores at full load run
    into the power limit, and power grows faster than clock. Validity: cards of one family made in one
    process. Source: derived; exponent fitted on the 500 W and 700 W versions of one part.
    """
    card = run.accelerator
    watt_per_tflop = card.power_watt / (base_peak_flop_per_s(run=run) / 1e12)
    reference = constants.of_family("reference_watt_per_tflop", card.family, card.power_watt)
    return np.minimum(watt_per_tflop / reference, 1.0) ** constants["power_cap_exponent"]


def rate_flop_per_s(*, run: Run, constants: Constants, low_precision: bool) -> Number:
    """FLOP/s of large matrix products in training.

    peak x ceiling measured for the family and number type x fraction of it that is sustained in training x
    power_fraction.
    """
    card = run.accelerator
    kind = LOW_PRECISION.get(run.compute_dtype) if low_precision else None
    peak = peak_flop_per_s(run=run) if kind else base_peak_flop_per_s(run=run)
    name = kind or "bf16"
    ceiling = constants.of_family(f"{name}_matmul_ceiling_fraction", card.family, card.power_watt)
    sustained = constants.of_family(f"{name}_matmul_sustained_fraction", card.family, card.power_watt)
    return peak * ceiling * sustained * power_fraction(run=run, constants=constants)


def products_s(
    *,
    sums: Sums,
    tokens: Number,
    tp: Number,
    ep: Number,
    forward: Number,
    input_gradient: Number,
    weight_gradient: Number,
    rate: Number,
    bandwidth_bytes_per_s: Number,
    wave_outputs: float,
    operand_fraction: float,
    grouped: bool,
) -> Number:
    """Seconds of the matrix products of some modules over one micro-batch.

    For an (m x k)(k x n) product: 2 m k n / rate, plus k for each of ``wave_outputs`` outputs: the last wave
    of tiles is on average part empty, and that part costs 2 k x wave_outputs / rate whatever m is; plus
    operand bytes, 2 (mk + kn + mn), times the fraction of them that does not hide behind arithmetic, over
    bandwidth. Summed over modules it is linear in the sums of `shapes.Sums`, so no loop is left.

    Args:
        sums: of the modules.
        tokens: of the micro-batch.
        tp, ep: tensor- and expert-parallel degrees.
        forward, input_gradient, weight_gradient: how often each product runs (recompute adds to forward).
        rate: FLOP/s of large products.
        bandwidth_bytes_per_s: of the card's memory.
        wave_outputs: outputs' worth of idle wave per product.
        operand_fraction: exposed part of the operand traffic.
        grouped: experts run in one grouped kernel (else one kernel each).
    """
    routed = tokens * sums.active
    local = sums.copies / ep if sums.copies > 1.0 else 1.0
    launches = 1.0 if grouped else local
    fan_in = sums.in_whole + sums.in_split / tp
    fan_out = sums.out_whole + sums.out_split / tp
    weights = sums.weights / tp
    gradients = input_gradient + weight_gradient
    flop = 2.0 * routed * weights * (forward + gradients)
    idle = 2.0 * wave_outputs * launches * (forward * fan_in + input_gradient * fan_out)
    idle = idle + 2.0 * wave_outputs * weight_gradient * routed * sums.modules
    operands = (forward + gradients) * (routed * (fan_in + fan_out) + local * weights)
    return (flop + idle) / rate + operand_fraction * 2.0 * operands / bandwidth_bytes_per_s
