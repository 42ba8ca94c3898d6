"""Cards that an inference engine and a type of weights run on; the others are left out with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from estimator.accelerators import AcceleratorRecord
from estimator.scenario import Scenario
from estimator.search.market import Market

ENGINE_VENDORS: Mapping[str, tuple[str, ...]] = {"tensorrt-llm": ("nvidia",), "lmdeploy": ("nvidia",)}
"""Makers of the cards that an engine runs on, where not of all that are offered.

Source: NVIDIA TensorRT-LLM's support matrix; LMDeploy's installation pages (CUDA, Ascend, Cambricon, MetaX).
"""

UNITS = {"fp8": "fp8_flop_per_s", "fp4": "fp4_flop_per_s"}
"""The figure that a card must have for weights of this type; int8 and int4 are weight-only and run everywhere."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A card, or all machines without one, and why it does not serve."""

    gpu: str
    reason: str


def unfit_reason(record: AcceleratorRecord, *, engine: str, dtype: str | None) -> str:
    """Why a card does not serve with this engine and these weights; "" where it does."""
    vendors = ENGINE_VENDORS.get(engine)
    if vendors and record.vendor not in vendors:
        return f"{engine} does not run on cards of {record.vendor}"
    if dtype in UNITS and not np.all(getattr(record.accelerator, UNITS[dtype]) > 0):
        return f"it has no {dtype} units"
    return ""


def processors_unfit_reason(*, engine: str, dtype: str | None) -> str:
    """Why machines without accelerators do not serve so; "" where they do."""
    if engine in ENGINE_VENDORS:
        return f"{engine} does not run on them"
    return f"they have no {dtype} units" if dtype in UNITS else ""


def serving_market(offered: Market, *, scenario: Scenario) -> tuple[Market | None, tuple[LeftOut, ...]]:
    """The offers of the cards on which the scenario's engine and weights run, and the cards left out.

    None where no card is left.
    """
    reasons = [
        unfit_reason(record, engine=scenario.engine, dtype=scenario.served_dtype) for record in offered.records
    ]
    left_out = tuple(
        LeftOut(gpu=record.id, reason=reason)
        for record, reason in zip(offered.records, reasons, strict=True)
        if reason
    )
    if not left_out:
        return offered, ()
    runs = np.array([not reason for reason in reasons])
    if not runs.any():
        return None, left_out
    kept = runs[offered.gpu_index]
    place = np.cumsum(runs) - 1
    fewer = replace(
        offered,
        records=tuple(record for record, fits in zip(offered.records, runs, strict=True) if fits),
        offers=tuple(offer for offer, fits in zip(offered.offers, kept, strict=True) if fits),
        gpu_index=place[offered.gpu_index[kept]],
        instance_gpus=offered.instance_gpus[kept],
        machine_gpus=offered.machine_gpus[kept],
        usd_per_gpu_hour=offered.usd_per_gpu_hour[kept],
    )
    return fewer, left_out
