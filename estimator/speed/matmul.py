"""Time of matrix products: FLOP at a ceiling, plus the part of a wave that runs idle, plus operand traffic."""

from __future__ import annotations

from dataclasses import dataclass

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
    process. Source: derived; exponent fitted on one part at 500 W and 700 W and on cards of one chip.
    """
    card = run.accelerator
    watt_per_tflop = card.power_watt / (base_peak_flop_per_s(run=run) / 1e12)
    reference = constants.of_family("reference_watt_per_tflop", card.family, card.power_watt)
    return np.minimum(watt_per_tflop / reference, 1.0) ** constants["power_cap_exponent"]


def rate_flop_per_s(*, run: Run, constants: Constants, low_precision: bool) -> Number:
    """FLOP/s of large matrix products in training, in the compute dtype (``low_precision``) or in 16 bits.

    peak x ceiling measured for the family and number type x fraction of it that is sustained in training x
    power_fraction. A card without the narrow type works in 16 bits.
    """
    card = run.accelerator
    power = power_fraction(run=run, constants=constants)

    def share(kind: str) -> Number:
        ceiling = constants.of_family(f"{kind}_matmul_ceiling_fraction", card.family, card.power_watt)
        return ceiling * constants.of_family(f"{kind}_matmul_sustained_fraction", card.family, card.power_watt)

    wide = base_peak_flop_per_s(run=run) * share("bf16")
    if not low_precision or run.compute_dtype not in LOW_PRECISION:
        return wide * power
    narrow = peak_flop_per_s(run=run) * share(LOW_PRECISION[run.compute_dtype])
    return np.where(np.asarray(card.fp8_flop_per_s) > 0.0, narrow, wide) * power


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What carries out matrix products.

    Attributes:
        flop_per_s: rate of large products.
        memory_bytes_per_s: bandwidth of the card's memory.
        idle_outputs: outputs' worth of idle tiles in the last wave of a product.
        operand_fraction: part of the operand traffic that arithmetic does not hide.
    """

    flop_per_s: Number
    memory_bytes_per_s: Number
    idle_outputs: float
    operand_fraction: float


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How often each product of a linear module runs in one micro-batch."""

    forward: float
    input_gradient: float = 0.0
    weight_gradient: float = 0.0

    @property
    def total(self) -> float:
        """Products of any kind."""
        return self.forward + self.input_gradient + self.weight_gradient


def products_flop(*, sums: Sums, counts: Counts, tokens: Number, tp: Number) -> Number:
    """FLOP of the matrix products of some modules over one micro-batch: 2 m k n each. Source: derived.

    >>> sums = Sums(weights=8.0, in_whole=2.0, out_split=4.0, modules=1.0)
    >>> products_flop(sums=sums, counts=Counts(forward=1.0), tokens=10.0, tp=2.0)
    80.0
    """
    return 2.0 * tokens * sums.active * sums.weights / tp * counts.total


def products_bytes(*, sums: Sums, counts: Counts, tokens: Number, tp: Number, ep: Number = 1.0) -> Number:
    """Operand bytes of the same products, each matrix once and in 16 bits: 2 (mk + kn + mn). Source: derived.

    >>> sums = Sums(weights=8.0, in_whole=2.0, out_split=4.0, modules=1.0)
    >>> products_bytes(sums=sums, counts=Counts(forward=1.0), tokens=10.0, tp=1.0)
    136.0
    """
    fan_in = sums.in_whole + sums.in_split / tp
    fan_out = sums.out_whole + sums.out_split / tp
    held = sums.weights / tp * sums.resident(ep)
    return 2.0 * counts.total * (tokens * sums.active * (fan_in + fan_out) + held)


def products_s(
    *, sums: Sums, unit: Unit, counts: Counts, tokens: Number, tp: Number, ep: Number = 1.0, grouped: bool = True
) -> Number:
    """Seconds of the matrix products of some modules over one micro-batch.

    For an (m x k)(k x n) product: FLOP / rate; plus 2 k x idle outputs / rate, for the last wave of tiles
    is on average part empty whatever m and n are; plus operand bytes times the fraction of them that does not
    hide behind arithmetic, over bandwidth; and at least all operand bytes over bandwidth. Summed over modules
    it needs only the sums of `shapes.Sums`, so no loop is left, and tensor parallelism shows as narrower
    products.

    Args:
        sums: of the modules.
        unit: what carries them out.
        counts: how often (recompute is a forward).
        tokens: of the micro-batch.
        tp, ep: tensor- and expert-parallel degrees.
        grouped: experts run in one grouped kernel (else one kernel each).

    Source: derived; rates and fractions fitted. Validity: 16-bit and narrower operands, m above about 100.
    """
    launches = 1.0 if grouped else sums.resident(ep)
    fan_in = sums.in_whole + sums.in_split / tp
    fan_out = sums.out_whole + sums.out_split / tp
    flop = products_flop(sums=sums, counts=counts, tokens=tokens, tp=tp)
    edges = launches * (counts.forward * fan_in + counts.input_gradient * fan_out)
    edges = edges + counts.weight_gradient * tokens * sums.active * sums.modules
    arithmetic = (flop + 2.0 * unit.idle_outputs * edges) / unit.flop_per_s
    traffic = products_bytes(sums=sums, counts=counts, tokens=tokens, tp=tp, ep=ep) / unit.memory_bytes_per_s
    return np.maximum(arithmetic + unit.operand_fraction * traffic, traffic)
