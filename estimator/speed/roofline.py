"""The roofline picture as numbers: intensity and attained rate of every kind of work of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.numbers import Number
from estimator.run import DTYPE_BYTES, Run
from estimator.speed.attention import BACKWARD_PRODUCTS, attention_bytes, attention_flop, attention_s
from estimator.speed.bound import RESOURCE
from estimator.speed.constants import Constants
from estimator.speed.dequantise import dequantise_s, dequantise_work
from estimator.speed.elementwise import (
    elementwise_bytes,
    elementwise_s,
    forward_bytes_per_token,
    low_precision_cast_elements,
    low_precision_cast_s,
)
from estimator.speed.lora import adapters_s, adapters_work
from estimator.speed.loss import loss_bytes, loss_s
from estimator.speed.matmul import (
    LOW_PRECISION,
    Counts,
    base_peak_flop_per_s,
    peak_flop_per_s,
    products_bytes,
    products_flop,
    rate_flop_per_s,
)
from estimator.speed.optimizer import (
    accumulation_bytes,
    accumulation_s,
    optimizer_s,
    step_bytes_per_parameter,
    updated_parameters,
)
from estimator.speed.pipeline import stage_share
from estimator.speed.shapes import Sums
from estimator.speed.step import (
    dense_products,
    dense_s,
    expert_products,
    experts_s,
    head_products,
    head_s,
    passes,
)

VECTOR = "fp32 vector units"

#: The kinds of matrix products of a block, by the groups of modules that they join. A mixture's router, a
#: thousandth of the work, is counted with the projections.
PRODUCTS = {
    "attention projections": ("attention", "router"),
    "feed-forward": ("mlp", "shared_expert"),
    "mixers": ("mixer",),
}

#: An element-wise operation on 16-bit numbers reads two operands and writes one: 6 bytes, 1 FLOP. Fused kernels
#: do the same FLOP on fewer bytes.
BYTES_PER_ELEMENTWISE_FLOP = 6.0
#: Per logit: maximum, difference, exponential, sum and gather forward; difference and scale backward.
LOSS_FLOP_PER_LOGIT = 7.0
#: Per parameter of Adam: two for each mean, two corrections, square root, sum, quotient, decay, scale, difference.
OPTIMIZER_FLOP_PER_PARAMETER = 12.0
#: Per element quantised: absolute maximum and scale. Per gradient added: sum.
CAST_FLOP, ACCUMULATE_FLOP = 2.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One kind of work of one optimizer step on one card.

    Attributes:
        name: what it is.
        part: the part of the step's ``parts_s`` that its seconds belong to.
        flop, traffic_bytes: executed, and moved to and from the card's memory.
        seconds: that they take.
        ceiling: the ceiling over it, by name.
    """

    name: str
    part: str
    flop: float
    traffic_bytes: float
    seconds: float
    ceiling: str

    @property
    def intensity_flop_per_byte(self) -> float:
        """Arithmetic intensity."""
        return self.flop / self.traffic_bytes

    @property
    def flop_per_s(self) -> float:
        """Attained rate."""
        return self.flop / self.seconds

    @property
    def resource(self) -> str:
        """What it waits for; the loss shares a part with the head's products but waits for memory."""
        return "memory bandwidth" if self.name == "loss" else RESOURCE[self.part]


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Ceilings of one card and the work under them.

    Attributes:
        ceilings_flop_per_s: dense peaks by name: each number type of the run's matrix products, and the vector
            units, which do all else in fp32.
        memory_bytes_per_s: the slope.
        points: kinds of work that take time, in the order of the step.
    """

    ceilings_flop_per_s: dict[str, float]
    memory_bytes_per_s: float
    points: tuple[Point, ...]


def ridge_flop_per_byte(*, peak_flop_per_s: Number, memory_bytes_per_s: Number) -> Number:
    """Intensity from which on arithmetic, not memory, is the limit: peak / bandwidth.

    Source: Williams, Waterman and Patterson 2009, "Roofline".

    >>> round(ridge_flop_per_byte(peak_flop_per_s=312e12, memory_bytes_per_s=2.039e12), 1)
    153.0
    """
    return peak_flop_per_s / memory_bytes_per_s


def attainable_flop_per_s(
    *, intensity_flop_per_byte: Number, peak_flop_per_s: Number, memory_bytes_per_s: Number
) -> Number:
    """The roof over an intensity: min(peak, intensity x bandwidth). Source: as `ridge_flop_per_byte`.

    >>> float(attainable_flop_per_s(intensity_flop_per_byte=2.0, peak_flop_per_s=1e15, memory_bytes_per_s=3e12))
    6000000000000.0
    """
    return np.minimum(intensity_flop_per_byte * memory_bytes_per_s, peak_flop_per_s)


def ceilings(*, run: Run) -> dict[str, float]:
    """Dense peaks that the run's work stands under, by the name of the units and their number type."""
    found = {_wide(run): float(base_peak_flop_per_s(run=run))}
    if _narrow(run) != _wide(run):
        found[_narrow(run)] = float(peak_flop_per_s(run=run))
    return found | {VECTOR: float(run.accelerator.fp32_flop_per_s)}


def _wide(run: Run) -> str:
    sixteen = run.compute_dtype == "fp16" or not run.accelerator.bf16_flop_per_s
    return "fp16 matrix units" if sixteen else "bf16 matrix units"


def _narrow(run: Run) -> str:
    """The units of the blocks' products; a card without the narrow type uses the next wider one."""
    card = run.accelerator
    if run.compute_dtype not in LOW_PRECISION or not card.fp8_flop_per_s:
        return _wide(run)
    return "fp4 matrix units" if run.compute_dtype == "nvfp4" and card.fp4_flop_per_s else "fp8 matrix units"


def roofline(*, run: Run, constants: Mapping[str, float]) -> Roofline:
    """Every kind of work of one optimizer step on one card, with its ceilings.

    The seconds are those of `speed`, so the points of a part sum to that part, except that launching,
    communication, waiting and host memory are no work of the card and have no point. Validity: scalar runs.
    """
    known = Constants(constants)
    machine = known.on_machine(run)
    points = (*_product_points(machine, known), *_other_points(machine, known))
    return Roofline(
        ceilings_flop_per_s=ceilings(run=run),
        memory_bytes_per_s=float(run.accelerator.memory_bytes_per_s),
        points=tuple(point for point in points if point.seconds > 0.0),
    )


def _point(name: str, part: str, work: tuple[Number, Number, Number], times: Number, ceiling: str) -> Point:
    flop, traffic, seconds = (float(amount * times) for amount in work)
    return Point(name=name, part=part, flop=flop, traffic_bytes=traffic, seconds=seconds, ceiling=ceiling)


def _amounts(run: Run, products: tuple[tuple[Sums, Counts], ...]) -> tuple[Number, Number]:
    """FLOP and operand bytes of some products over one micro-batch."""
    tokens, tp = run.micro_batch_tokens, run.tp
    flop = [products_flop(sums=s, counts=c, tokens=tokens, tp=tp) for s, c in products]
    moved = [products_bytes(sums=s, counts=c, tokens=tokens, tp=tp, ep=run.ep) for s, c in products]
    return sum(flop), sum(moved)


def _product_points(run: Run, constants: Constants) -> list[Point]:
    wide = rate_flop_per_s(run=run, constants=constants, low_precision=False)
    narrow = rate_flop_per_s(run=run, constants=constants, low_precision=True)
    blocks = run.micro_batches / run.pp
    points = []
    for name, groups in PRODUCTS.items():
        amounts = _amounts(run, dense_products(run=run, constants=constants, groups=groups))
        seconds = dense_s(run=run, constants=constants, rate=narrow, groups=groups)
        points.append(_point(name, "matrix products", (*amounts, seconds), blocks, _narrow(run)))
    if run.architecture.experts:
        amounts = _amounts(run, expert_products(run=run, constants=constants))
        seconds = experts_s(run=run, constants=constants, rate=narrow)
        points.append(_point("experts", "expert products", (*amounts, seconds), blocks, _narrow(run)))
    amounts = _amounts(run, (head_products(run=run),))
    seconds = head_s(run=run, constants=constants, rate=wide)
    stage = run.micro_batches * stage_share(run=run, constants=constants)
    return [*points, _point("vocabulary head", "vocabulary", (*amounts, seconds), stage, _wide(run))]


def _other_points(run: Run, constants: Constants) -> list[Point]:
    times, tokens = passes(run=run, constants=constants), run.micro_batch_tokens
    blocks = run.micro_batches / run.pp
    forward, fused = times.attention, times.elementwise
    flop = attention_flop(run=run, constants=constants) * (forward + BACKWARD_PRODUCTS)
    work: dict[str, tuple[Number, Number, Number]] = {
        "attention": (
            flop,
            attention_bytes(run=run, constants=constants, forward=forward),
            attention_s(run=run, constants=constants, forward=forward),
        ),
        "element-wise": (
            tokens
            * forward_bytes_per_token(run.architecture, 0)
            / run.tp
            * (fused + 2.0)
            / BYTES_PER_ELEMENTWISE_FLOP,
            elementwise_bytes(run=run, constants=constants, forward=fused),
            elementwise_s(run=run, constants=constants, forward=fused),
        ),
    }
    elements = low_precision_cast_elements(run=run, forward=times.matmul)
    per_element = constants.of_stack("cast_bytes_per_element", run.stack)
    casts = low_precision_cast_s(run=run, constants=constants, forward=times.matmul)
    work["casts"] = (elements * CAST_FLOP, elements * per_element, casts)
    wide = rate_flop_per_s(run=run, constants=constants, low_precision=False)
    adapted = adapters_work(run=run, constants=constants, forward=times.matmul)
    seconds = adapters_s(run=run, constants=constants, rate=wide, forward=times.matmul)
    work["adapters"] = (*adapted, seconds)
    if run.quantization:
        unpacked = dequantise_work(run=run, constants=constants, passes=times.matmul + 1.0)
        seconds = dequantise_s(run=run, constants=constants, passes=times.matmul + 1.0)
        work["dequantisation"] = (*unpacked, seconds)
    units = {"attention": _wide(run), "adapters": _wide(run)}
    points = [_point(name, name, amounts, blocks, units.get(name, VECTOR)) for name, amounts in work.items()]
    logits = tokens * float(run.architecture.vocab) / run.tp * LOSS_FLOP_PER_LOGIT
    loss = (logits, loss_bytes(run=run, constants=constants), loss_s(run=run, constants=constants))
    stage = run.micro_batches * stage_share(run=run, constants=constants)
    points.append(_point("loss", "vocabulary", loss, stage, VECTOR))
    moved = accumulation_bytes(run=run)
    added = moved / (3.0 * DTYPE_BYTES[run.weights_dtype]) * ACCUMULATE_FLOP
    adding = (added, moved, accumulation_s(run=run, constants=constants))
    points.append(_point("gradient accumulation", "gradient accumulation", adding, run.micro_batches, VECTOR))
    if run.offload not in ("params", "all"):
        parameters = updated_parameters(run=run)
        moved = parameters * step_bytes_per_parameter(run=run)
        step = (parameters * OPTIMIZER_FLOP_PER_PARAMETER, moved, optimizer_s(run=run, constants=constants))
        points.append(_point("optimizer", "optimizer", step, 1.0, VECTOR))
    return points
