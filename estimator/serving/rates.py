"""Rates that a part sustains in serving: matrix products by type, memory, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from estimator.accelerator import Accelerator
from estimator.numbers import Number
from estimator.serving.kv_cache import MXFP4_FAMILIES
from estimator.serving.setup import Flags, ServingSetup, by_family

GENERATIONS: tuple[str, ...] = ("ampere", "ada", "hopper", "blackwell_consumer", "blackwell", "cdna", "cpu")
_AMD, _CPU = "cdna", "cpu"
PFLOP = 1e15
SLOW_LINK_BYTES_PER_S = 1e11
"""Links below this are a shared bus (PCI Express); above it they are switched or meshed (NVLink, xGMI)."""


@lru_cache
def generation(family: str) -> str:
    """The generation whose constants a family uses ("cdna3" -> "cdna"); "other" where none was measured."""
    return next((name for name in GENERATIONS if family.replace("-", "_").startswith(name)), "other")


def _per_generation(*, accelerator: Accelerator, prefix: str, constants: Mapping[str, float]) -> Number:
    families = (accelerator.family,) if isinstance(accelerator.family, str) else tuple(set(accelerator.family))
    values = {family: constants[prefix + generation(family)] for family in families}
    return by_family(accelerator=accelerator, values=values, default=constants[prefix + "other"])


def is_amd(*, accelerator: Accelerator) -> Number:
    """1.0 for AMD accelerators, else 0.0."""
    return _is_of(accelerator, _AMD)


def is_cpu(*, accelerator: Accelerator) -> Number:
    """1.0 for processors without an accelerator, else 0.0."""
    return _is_of(accelerator, _CPU)


def _is_of(accelerator: Accelerator, wanted: str) -> Number:
    if isinstance(accelerator.family, str):
        return float(generation(accelerator.family) == wanted)
    values = {family: float(generation(family) == wanted) for family in set(accelerator.family)}
    return by_family(accelerator=accelerator, values=values, default=0.0)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the parts of a setup sustain.

    Attributes:
        half_flop_per_s: 16-bit matrix products.
        block_flop_per_s: products against the weights of the layers, in their type.
        expert_flop_per_s: grouped products of one rank's slices of the experts.
        memory_bytes_per_s: memory.
        link_bytes_per_s: between the ranks that exchange activations, one direction.
    """

    half_flop_per_s: Number
    block_flop_per_s: Number
    expert_flop_per_s: Number
    memory_bytes_per_s: Number
    link_bytes_per_s: Number


def rates(*, setup: ServingSetup, constants: Mapping[str, float]) -> Rates:
    """Every sustained rate of a setup, each computed once."""
    fraction = matmul_fraction(setup=setup, constants=constants)
    half, block, expert = (
        matmul_flop_per_s(
            accelerator=setup.accelerator, weights_dtype=dtype, fraction=fraction, constants=constants
        )
        for dtype in ("fp16", setup.weights_dtype, expert_dtype(setup=setup))
    )
    return Rates(
        half_flop_per_s=half,
        block_flop_per_s=block,
        expert_flop_per_s=expert_flop_per_s(setup=setup, dense_flop_per_s=expert, constants=constants),
        memory_bytes_per_s=memory_bytes_per_s(accelerator=setup.accelerator, constants=constants),
        link_bytes_per_s=link_bytes_per_s(setup=setup, constants=constants),
    )


def memory_bytes_per_s(*, accelerator: Accelerator, constants: Mapping[str, float]) -> Number:
    """Sustained bandwidth of memory: a fraction of the data sheet's, less on processors."""
    fraction = np.where(
        is_cpu(accelerator=accelerator) > 0.0,
        constants["serving_memory_fraction_cpu"],
        constants["serving_memory_fraction"],
    )
    return accelerator.memory_bytes_per_s * fraction


def matmul_fraction(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Part of its dense peak that an accelerator sustains in matrix products.

    The generation's fraction x (power / usual power)^gamma: cards of one chip under a lower power limit hold
    lower clocks. The usual power is that of the generation's leading part, in watts per FLOP/s of 16-bit peak.
    """
    accelerator = setup.accelerator
    half_peak = np.maximum(accelerator.fp16_flop_per_s, accelerator.bf16_flop_per_s)
    usual_watt = half_peak * _per_generation(
        accelerator=accelerator, prefix="serving_watt_per_flop_per_s_", constants=constants
    )
    power = np.minimum(accelerator.power_watt / usual_watt, 1.0) ** constants["serving_power_exponent"]
    release = constants["serving_matmul_factor_vllm_0_6"] if setup.engine == "vllm-0.6" else 1.0
    fraction = _per_generation(accelerator=accelerator, prefix="serving_matmul_fraction_", constants=constants)
    return fraction * power * release


def matmul_flop_per_s(
    *, accelerator: Accelerator, weights_dtype: str, fraction: Number, constants: Mapping[str, float]
) -> Number:
    """Sustained rate of the matrix products against weights of a type.

    fp8 and fp4 run at the part's own peak for that type where it has one; where it has not, and for the
    weight-only types, the weights are widened and the 16-bit rate holds.
    """
    half = np.maximum(accelerator.fp16_flop_per_s, accelerator.bf16_flop_per_s) * fraction
    if weights_dtype == "fp8":
        return np.maximum(half, accelerator.fp8_flop_per_s * fraction * constants["serving_fp8_fraction"])
    if weights_dtype == "fp4":
        return np.maximum(half, accelerator.fp4_flop_per_s * fraction * constants["serving_fp4_fraction"])
    return half


def link_bytes_per_s(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Sustained bandwidth between the ranks that exchange activations in every layer, one direction.

    Inside a node the accelerator's own link; across nodes the slower network.
    """
    accelerator = setup.accelerator
    link = np.where(
        setup.tp * setup.ep > accelerator.gpus_per_node,
        accelerator.node_link_bytes_per_s,
        accelerator.link_bytes_per_s,
    )
    fraction = np.where(
        link < SLOW_LINK_BYTES_PER_S,
        constants["serving_bus_fraction"],
        constants["serving_link_fraction"],
    )
    return np.maximum(link, 1.0) * fraction


def expert_dtype(*, setup: ServingSetup) -> str:
    """Type of the experts' matrix products: 4-bit floats where the family is published only so."""
    if setup.architecture.family in MXFP4_FAMILIES and setup.weights_dtype != "fp16":
        return "fp4"
    return setup.weights_dtype


def expert_widened(*, setup: ServingSetup) -> Flags:
    """Whether 4-bit or 8-bit expert weights are widened on the way to the 16-bit units."""
    dtype = expert_dtype(setup=setup)
    if dtype == "fp16":
        return False
    own = {"fp8": setup.accelerator.fp8_flop_per_s, "fp4": setup.accelerator.fp4_flop_per_s}
    return np.asarray(own.get(dtype, 0.0)) <= 0.0


def expert_flop_per_s(*, setup: ServingSetup, dense_flop_per_s: Number, constants: Mapping[str, float]) -> Number:
    """Sustained rate of one rank's grouped expert products.

    Dense rate x expert fraction x w / (w + h), w the width of the rank's slice of an expert and h in
    proportion to the rate: narrow slices leave fast units idle. Widened 4-bit and 8-bit experts have a
    fraction of their own.
    """
    fraction = np.where(
        expert_widened(setup=setup),
        constants["serving_widened_expert_fraction"],
        constants["serving_expert_fraction"],
    )
    width = setup.architecture.expert_intermediate / setup.tp
    half_width = constants["serving_expert_half_width"] * dense_flop_per_s / PFLOP
    return dense_flop_per_s * fraction * width / (width + half_width)
