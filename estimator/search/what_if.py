"""Changes that would make a run fit, cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from estimator.memory import Memory, fits_word, memory
from estimator.run import Run
from estimator.speed import speed
from estimator.stack_defaults import stack_defaults

FITS_AT_LEAST = 0.6
"""From "likely" on."""

MOST_CHANGES = 3
"""Changes that are combined where fewer do not help."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change, or a few together, after which the run fits.

    Attributes:
        flags: how to ask for it.
        allocated_bytes, device_bytes, fits, fits_probability: memory per card after the change.
        relative_cost: GPU-seconds per token after over before.
    """

    flags: str
    allocated_bytes: float
    device_bytes: float
    fits: str
    fits_probability: float
    relative_cost: float


def what_if(*, run: Run, constants: Mapping[str, float]) -> tuple[Change, ...]:
    """The single changes that make a run fit, else the pairs, else the triples; cheapest per token first.

    Looked at: a fused loss, full recompute, a smaller micro-batch that divides the same global batch, 8-bit
    moments, QLoRA in place of LoRA, LoRA in place of full training, twice the cards under FSDP, offloaded
    parameters.
    Where a change would move the stack's default sharding or dtype of the weights, the flags say what is meant.
    """
    before = _gpu_seconds_per_token(run, constants)
    steps = list(_steps(run))
    for size in range(1, MOST_CHANGES + 1):
        found = []
        for chosen in combinations(steps, size):
            changed, flags = run, []
            for flag, change in chosen:
                changed = changed.with_(**change)
                flags.append(flag)
            was, now = _usual(run), _usual(changed)
            if run.sharding == was["sharding"] and changed.sharding == run.sharding != now["sharding"]:
                flags.append(f"--sharding {run.sharding}")
            if run.weights_dtype == was["weights_dtype"] != now["weights_dtype"]:
                changed = changed.with_(weights_dtype=now["weights_dtype"])
                flags.append(f"--weights-dtype {now['weights_dtype']}")
            if run.autocast == (was["autocast"] == "yes"):
                changed = changed.with_(autocast=now["autocast"] == "yes")
            if not _whole_micro_steps(changed):
                continue
            held = memory(run=changed, constants=constants)
            if float(held.fits_probability) >= FITS_AT_LEAST and _distinct(chosen):
                cost = _gpu_seconds_per_token(changed, constants) / before
                found.append(_change(" ".join(flags), held, cost))
        if found:
            return tuple(sorted(found, key=lambda change: (change.relative_cost, change.flags)))
    return ()


def _steps(run: Run) -> Iterator[tuple[str, dict[str, object]]]:
    """Each change with the flag that asks for it, where it changes anything."""
    if run.loss != "fused":
        yield "--loss fused", {"loss": "fused"}
    if run.recompute != "full":
        yield "--recompute full", {"recompute": "full"}
    micro = float(run.micro_batch)
    while micro > 1:
        micro = float(np.ceil(micro / 2))
        yield f"--micro-batch {micro:.0f}", {"micro_batch": micro}
    if run.optimizer.startswith("adamw") and run.optimizer not in ("adamw-8bit", "adamw-4bit"):
        yield "--optimizer adamw-8bit", {"optimizer": "adamw-8bit"}
    if run.method == "lora":
        yield "--method qlora", {"method": "qlora", "quantization": "nf4-double"}
    if run.method == "full":
        everything = ("q", "k", "v", "o", "gate", "up", "down")
        yield "--method lora", {"method": "lora", "lora_targets": everything, "lora_rank": 16.0}
    if float(run.tp) * float(run.pp) == 1:
        more = 2 * float(run.gpus)
        at_once = float(run.micro_batch) * more
        batch = at_once * np.ceil(max(float(run.global_batch), at_once) / at_once)
        asked = f" --global-batch {batch:.0f}" if batch not in (float(run.global_batch), at_once) else ""
        yield (
            f"--gpus {more:.0f} --sharding fsdp{asked}",
            {"gpus": more, "sharding": "fsdp", "global_batch": batch},
        )
    if not run.offload and float(run.gpus) > 1 and run.sharding == "fsdp":
        yield "--offload params", {"offload": "params"}


def _whole_micro_steps(run: Run) -> bool:
    """The global batch is a whole number of micro-batches on every replica, as `ftcost estimate` demands."""
    return float(run.global_batch) % (float(run.micro_batch) * float(run.data_parallel)) == 0


def _distinct(chosen: tuple[tuple[str, dict[str, object]], ...]) -> bool:
    """No two changes of one setting."""
    names = [name for _, change in chosen for name in change]
    return len(names) == len(set(names))


def _usual(run: Run) -> dict[str, str]:
    """What the stack does by default in such a run."""
    return stack_defaults(
        stack=run.stack,
        method=run.method,
        gpus=float(run.gpus),
        sharding=run.sharding,
        quantization=run.quantization,
    )


def _gpu_seconds_per_token(run: Run, constants: Mapping[str, float]) -> float:
    return 1.0 / float(speed(run=run, constants=constants).tokens_per_s_per_gpu)


def _change(flags: str, held: Memory, relative_cost: float) -> Change:
    probability = float(held.fits_probability)
    return Change(
        flags=flags,
        allocated_bytes=float(held.allocated_bytes),
        device_bytes=float(held.device_bytes),
        fits=fits_word(probability),
        fits_probability=probability,
        relative_cost=relative_cost,
    )
