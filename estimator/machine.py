"""How one machine differs from the card of its name: factors on the shipped constants, 1 unless measured.

A profile (`estimator.profiles`) adds rows of its own for a card and a training stack; they are named
``<card>_<stack>_<factor>`` and stand in place of the common row for runs on that card with that stack only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from estimator.assumptions import Assumptions
from estimator.numbers import Number
from estimator.run import Run
from estimator.words import counted

RATE = "machine_rate_factor"
BANDWIDTH = "machine_bandwidth_factor"
LAUNCH = "machine_launch_factor"
LINK = "machine_link_factor"
MEMORY = "machine_memory_factor"
SPEED_FACTORS = (RATE, BANDWIDTH, LAUNCH, LINK)
FACTORS = (*SPEED_FACTORS, MEMORY)

PROFILE_SOURCE = "profile "
"""How the source of a row begins that a profile brought."""

_NAMES: list[tuple[Mapping[str, float], int, frozenset[str]]] = []


def registry_names(values: Mapping[str, float]) -> frozenset[str]:
    """The names of a registry, built once per registry object and size (they are asked for at every call)."""
    if _NAMES and _NAMES[0][0] is values and _NAMES[0][1] == len(values):
        return _NAMES[0][2]
    names = frozenset(values)
    _NAMES[:] = [(values, len(values), names)]
    return names


def machine_name(*, what: str, gpu: str, stack: str) -> str:
    """The row that holds a factor measured on one card with one stack.

    >>> machine_name(what="machine_rate_factor", gpu="rtx-4090", stack="hf-fused")
    'rtx_4090_hf_fused_machine_rate_factor'
    """
    return f"{gpu}_{stack}_{what}".replace("-", "_")


@cache
def _rows(what: str, gpus: tuple[str, ...], stack: str, names: frozenset[str]) -> tuple[str, ...]:
    """The row of every card, or the common row alone where no card has its own."""
    own = tuple(machine_name(what=what, gpu=gpu, stack=stack) for gpu in gpus)
    if not names.intersection(own):
        return (what,)
    return tuple(name if name in names else what for name in own)


def machine_factor(*, what: str, run: Run, constants: Mapping[str, float]) -> Number:
    """The factor of a run's card and stack; for cards side by side an array in their shape.

    >>> from estimator.assumptions import shipped
    >>> from estimator.measured import measured_row
    >>> cells = {"model": "7b", "method": "lora", "gpu": "l4", "micro_batch": "1", "seq_len": "512"}
    >>> run = measured_row(cells, name="one").run
    >>> machine_factor(what=RATE, run=run, constants={**shipped(), "l4_hf_machine_rate_factor": 0.9})
    0.9
    """
    card = run.accelerator
    gpus = (card.id,) if isinstance(card.id, str) else card.id
    rows = _rows(what, gpus, run.stack, registry_names(constants))
    if len(rows) == 1:
        return constants[rows[0]]
    return np.array([constants[row] for row in rows]).reshape(np.shape(card.power_watt))


def on_machine(*, run: Run, constants: Mapping[str, float]) -> Run:
    """The run on the card as this machine has it: rates, bandwidth and links times their factors.

    Board power goes with the matrix rate, so that the power limit, a ratio of the two, stays the card's own.
    Source: derived; the factors are 1 or measured.
    """
    rate, bandwidth, link = (
        machine_factor(what=what, run=run, constants=constants) for what in (RATE, BANDWIDTH, LINK)
    )
    if all(isinstance(factor, float) and factor == 1.0 for factor in (rate, bandwidth, link)):
        return run
    card = run.accelerator
    peaks = ("fp32_flop_per_s", "fp16_flop_per_s", "bf16_flop_per_s", "fp8_flop_per_s", "fp4_flop_per_s")
    changed = {name: getattr(card, name) * rate for name in (*peaks, "power_watt")}
    changed["memory_bytes_per_s"] = card.memory_bytes_per_s * bandwidth
    changed["link_bytes_per_s"] = card.link_bytes_per_s * link
    changed["node_link_bytes_per_s"] = card.node_link_bytes_per_s * link
    return run.with_(accelerator=replace(card, **changed))


def profile_in_force(assumptions: Assumptions) -> str:
    """Name of the profile whose factors stand in the registry, "" for none."""
    sources = (row.source for row in assumptions.rows if row.status == "measured" and row.name.endswith(FACTORS))
    return next((source.removeprefix(PROFILE_SOURCE).partition(": ")[0] for source in sources), "")


def profile_notes(assumptions: Assumptions) -> tuple[str, ...]:
    """One sentence for every card and stack of the profiles in force."""
    found: dict[str, list[str]] = {}
    for row in assumptions.rows:
        if row.status == "measured" and row.name.endswith(FACTORS):
            machine, _, _ = row.label.partition(":")
            found.setdefault(f"{row.source}, {row.checked}: {machine}", []).append(row.name)
    return tuple(
        f"{source[0].upper()}{source[1:]}; {counted(len(names), 'factor')}." for source, names in found.items()
    )
