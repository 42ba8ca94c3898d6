"""Changes that would make a run fit, cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from estimator.memory import Memory, fits_word, fuses_loss, memory
from estimator.memory.stacks import NO_FUSED_LOSS
from estimator.run import Run
from estimator.speed import speed
from estimator.stack_defaults import stack_defaults

FITS_AT_LEAST = 0.6
"""From "likely" on."""

MOST_CHANGES = 3
"""Changes that are combined where fewer do not help."""

MOST_CARDS = 64
"""Cards that are tried, as many as a plan searches."""

ADAPTERS: dict[str, object] = {"lora_targets": ("q", "k", "v", "o", "gate", "up", "down"), "lora_rank": 16.0}


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


@dataclass(frozen=True)
class _Step:
    """One change: its kind, how to ask for it, what it sets, and how strong it is among its kind."""

    kind: str
    flags: str
    settings: Mapping[str, object]
    strength: float = 0.0


_Found = tuple[tuple[_Step, ...], Change]


def what_if(*, run: Run, constants: Mapping[str, float]) -> tuple[Change, ...]:
    """The single changes that make a run fit, else the pairs, else the triples; cheapest per token first.

    Looked at: a fused loss, or all fused kernels, full recompute, a smaller micro-batch that divides the same
    global batch, 8-bit moments, QLoRA in place of LoRA, LoRA or QLoRA in place of full training, twice the cards
    under FSDP, offloaded activations or parameters. The fewest cards that do alone, up to `MOST_CARDS`, are
    named beside those; more than twice the cards together with other changes only where nothing else helps. Of
    changes that differ in degree, a stronger one is named only where it is surer.
    Where a change would move the stack's default sharding or dtype of the weights, the flags say what is meant.
    """
    steps, cards = list(_steps(run)), list(_more_cards(run))
    twice, more = cards[:1], cards[1:]
    found = _fewest([*steps, *twice], run=run, constants=constants)
    if not any([step.kind for step in chosen] == ["cards"] for chosen, _ in found):
        alone = (((card,), _tried((card,), run=run, constants=constants)) for card in more)
        found += [(chosen, change) for chosen, change in alone if change][:1]
    for card in more if not found else ():
        found = _fewest([*steps, card], run=run, constants=constants)
        if found:
            break
    return tuple(sorted((change for _, change in found), key=lambda change: (change.relative_cost, change.flags)))


def _fewest(steps: Sequence[_Step], *, run: Run, constants: Mapping[str, float]) -> list[_Found]:
    """What fits with one of the steps, else with two, else with three."""
    for size in range(1, MOST_CHANGES + 1):
        found: list[_Found] = []
        for chosen in combinations(steps, size):
            change = _tried(chosen, run=run, constants=constants)
            if change and not any(_milder(other, chosen) and was.fits == change.fits for other, was in found):
                found.append((chosen, change))
        if found:
            return found
    return []


def _milder(one: tuple[_Step, ...], other: tuple[_Step, ...]) -> bool:
    """Whether one is the same changes as the other, each at most as strong."""
    strengths = {step.kind: step.strength for step in other}
    return {step.kind for step in one} == set(strengths) and all(
        step.strength <= strengths[step.kind] for step in one
    )


def _tried(chosen: tuple[_Step, ...], *, run: Run, constants: Mapping[str, float]) -> Change | None:
    """The run after the changes; None where they exclude each other or it still does not fit."""
    names = [name for step in chosen for name in step.settings]
    if len(names) != len(set(names)):
        return None
    changed, flags = run, [step.flags for step in chosen]
    for step in chosen:
        changed = changed.with_(**step.settings)
    was, now = _usual(run), _usual(changed)
    if run.sharding == was["sharding"] and changed.sharding == run.sharding != now["sharding"]:
        flags.append(f"--sharding {run.sharding}")
    if run.weights_dtype == was["weights_dtype"] != now["weights_dtype"]:
        changed = changed.with_(weights_dtype=now["weights_dtype"])
        flags.append(f"--weights-dtype {now['weights_dtype']}")
    if run.autocast == (was["autocast"] == "yes"):
        changed = changed.with_(autocast=now["autocast"] == "yes")
    if not _whole_micro_steps(changed):
        return None
    held = memory(run=changed, constants=constants)
    if float(held.fits_probability) < FITS_AT_LEAST:
        return None
    relative = _gpu_seconds_per_token(changed, constants) / _gpu_seconds_per_token(run, constants)
    return _change(" ".join(flags), held, relative)


def _steps(run: Run) -> Iterator[_Step]:
    """Each change on the same cards, where it changes anything; milder ones of a kind first."""
    family = run.architecture.family
    if run.loss != "fused" and fuses_loss(run.with_(loss="fused")):
        yield _Step("loss", "--loss fused", {"loss": "fused"})
    if run.stack == "hf" and family not in NO_FUSED_LOSS:
        fused = {"stack": "hf-fused", "loss": "fused"}
        yield _Step("loss", "--stack hf-fused --loss fused", fused, strength=1.0)
    if run.recompute != "full":
        yield _Step("recompute", "--recompute full", {"recompute": "full"})
    micro = float(run.micro_batch)
    while micro > 1:
        micro = float(np.ceil(micro / 2))
        yield _Step("batch", f"--micro-batch {micro:.0f}", {"micro_batch": micro}, strength=-micro)
    if run.optimizer.startswith("adamw") and run.optimizer not in ("adamw-8bit", "adamw-4bit"):
        yield _Step("optimizer", "--optimizer adamw-8bit", {"optimizer": "adamw-8bit"})
    if run.method == "full":
        yield _Step("method", "--method lora", {"method": "lora", **ADAPTERS})
    if run.method != "qlora":
        adapters = ADAPTERS if run.method == "full" else {}
        quantised = {"method": "qlora", "quantization": "nf4", **adapters}
        yield _Step("method", "--method qlora", quantised, strength=1.0)
    if not run.offload:
        yield _Step("offload activations", "--offload activations", {"offload": "activations"})
    if not run.offload and float(run.gpus) > 1 and run.sharding == "fsdp":
        yield _Step("offload parameters", "--offload params", {"offload": "params"})


def _more_cards(run: Run) -> Iterator[_Step]:
    """Twice the cards under FSDP, four times, and so on; none where a model is cut otherwise."""
    more = 2 * float(run.gpus)
    while more <= MOST_CARDS and float(run.tp) * float(run.pp) == 1:
        at_once = float(run.micro_batch) * more
        batch = at_once * np.ceil(max(float(run.global_batch), at_once) / at_once)
        asked = f" --global-batch {batch:.0f}" if batch not in (float(run.global_batch), at_once) else ""
        settings = {"gpus": more, "sharding": "fsdp", "global_batch": batch}
        yield _Step("cards", f"--gpus {more:.0f} --sharding fsdp{asked}", settings, strength=more)
        more *= 2


def _whole_micro_steps(run: Run) -> bool:
    """The global batch is a whole number of micro-batches on every replica, as `ftcost estimate` demands."""
    return float(run.global_batch) % (float(run.micro_batch) * float(run.data_parallel)) == 0


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
