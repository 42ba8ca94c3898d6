"""Rates that a part sustains in serving: matrix products by type, memory, links."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from estimator.accelerator import Accelerator
from estimator.numbers import Number
from estimator.serving.setup import ServingSetup, by_family

GENERATIONS: tuple[str, ...] = ("ampere", "ada", "hopper", "blackwell_consumer", "blackwell", "cdna")
_AMD = ("cdna",)
SLOW_LINK_BYTES_PER_S = 1e11
"""Links below this share of a bus (PCI Express); above it they are switched or meshed (NVLink, xGMI)."""


def generation(family: str) -> str:
    """The generation whose constants a family uses ("cdna3" -> "cdna"); "other" where none was measured."""
    return next((name for name in GENERATIONS if family.replace("-", "_").startswith(name)), "other")


def _per_generation(*, accelerator: Accelerator, prefix: str, constants: Mapping[str, float]) -> Number:
    families = (
        (accelerator.family,) if isinstance(accelerator.family, str) else tuple(set(accelerator.family))
    )
    values = {family: constants[prefix + generation(family)] for family in families}
    return by_family(accelerator=accelerator, values=values, default=constants[prefix + "other"])


def is_amd(*, accelerator: Accelerator) -> Number:
    """1.0 for AMD parts, else 0.0."""
    if isinstance(accelerator.family, str):
        return float(generation(accelerator.family) in _AMD)
    values = {family: float(generation(family) in _AMD) for family in set(accelerator.family)}
    return by_family(accelerator=accelerator, values=values, default=0.0)


def half_flop_per_s(*, accelerator: Accelerator, constants: Mapping[str, float]) -> Number:
    """Sustained rate of 16-bit matrix products: dense peak x the generation's fraction."""
    peak = np.maximum(accelerator.fp16_flop_per_s, accelerator.bf16_flop_per_s)
    return peak * _per_generation(
        accelerator=accelerator, prefix="serving_matmul_fraction_", constants=constants
    )


def matmul_flop_per_s(
    *, setup: ServingSetup, weights_dtype: str, constants: Mapping[str, float]
) -> Number:
    """Sustained rate of the matrix products against weights of a type.

    fp8 and fp4 run at the part's own peak for that type where it has one; where it has not, and for the
    weight-only types, the weights are widened and the 16-bit rate holds.
    """
    accelerator = setup.accelerator
    fraction = _per_generation(
        accelerator=accelerator, prefix="serving_matmul_fraction_", constants=constants
    )
    half = np.maximum(accelerator.fp16_flop_per_s, accelerator.bf16_flop_per_s) * fraction
    if weights_dtype not in ("fp8", "fp4"):
        return half
    eight = np.maximum(half, accelerator.fp8_flop_per_s * fraction * constants["serving_fp8_fraction"])
    if weights_dtype == "fp8":
        return eight
    four = accelerator.fp4_flop_per_s * fraction * constants["serving_fp4_fraction"]
    return np.where(accelerator.fp4_flop_per_s > 0.0, np.maximum(four, half), half)


def memory_bytes_per_s(*, accelerator: Accelerator, constants: Mapping[str, float]) -> Number:
    """Sustained memory bandwidth."""
    return accelerator.memory_bytes_per_s * constants["serving_memory_fraction"]


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
