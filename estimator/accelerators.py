"""The catalogue of accelerators: looked up by id, alias or the name a driver prints; stacked for a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np

from estimator.accelerator import Accelerator
from estimator.accelerator_rows import AcceleratorRecord, name_key, read_accelerators
from estimator.errors import InputError, UnknownNameError
from estimator.numbers import Array

__all__ = ["AcceleratorRecord", "accelerators", "cpus", "resolve_accelerator", "stack_accelerators"]

FILE = "accelerators.csv"
CPU_FILE = "cpus.csv"
HINT = "`ftcost gpus` lists them."


@cache
def accelerators() -> Mapping[str, AcceleratorRecord]:
    """Every accelerator of the catalogue, by id, in file order.

    Raises:
        InputError: a row that breaks the rules of the catalogue; the message names file, row and key.

    >>> accelerators()["h100-80gb-sxm"].accelerator.bf16_flop_per_s / 1e12
    989.4
    """
    path = Path(__file__).parent / "data" / FILE
    return read_accelerators(path.read_text(encoding="utf-8"), file=FILE)


@cache
def cpus() -> Mapping[str, AcceleratorRecord]:
    """Processors without an accelerator, as rented: for serving small models, never for training.

    >>> round(cpus()["c8g-8xlarge"].accelerator.memory_bytes_per_s / 1e9, 1)
    179.2
    """
    path = Path(__file__).parent / "data" / CPU_FILE
    return read_accelerators(path.read_text(encoding="utf-8"), file=CPU_FILE)


def resolve_accelerator(text: str) -> AcceleratorRecord:
    """The accelerator that a person means by an id, an alias or the name its driver prints.

    Case, spaces, punctuation and the maker's name do not matter.

    Raises:
        UnknownNameError: no accelerator has that name.

    >>> resolve_accelerator("NVIDIA H100 80GB HBM3").id, resolve_accelerator("4090").id
    ('h100-80gb-sxm', 'rtx-4090')
    """
    found = _ids_by_key().get(name_key(text))
    if found is None:
        names = [name for record in accelerators().values() for name in (record.id, *record.aliases)]
        raise UnknownNameError("accelerator", text, names, hint=HINT)
    return accelerators()[found]


def stack_accelerators(records: Sequence[AcceleratorRecord], *, axes: int = 3) -> Accelerator:
    """Several accelerators side by side, as one whose figures are arrays along the first of ``axes`` axes.

    >>> pair = stack_accelerators([resolve_accelerator("a100"), resolve_accelerator("h100")], axes=2)
    >>> pair.id, pair.memory_bytes_per_s.shape
    (('a100-80gb-sxm', 'h100-80gb-sxm'), (2, 1))
    """
    if not records or axes < 1:
        raise InputError(f"cannot stack {len(records)} accelerators along {axes} axes; at least 1 of each.")
    shape = (len(records),) + (1,) * (axes - 1)
    figures: dict[str, Array] = {
        field.name: np.array([getattr(record.accelerator, field.name) for record in records]).reshape(shape)
        for field in fields(Accelerator)
        if field.name not in ("id", "family")
    }
    return Accelerator(
        id=tuple(record.id for record in records),
        family=tuple(record.family for record in records),
        **figures,
    )


@cache
def _ids_by_key() -> Mapping[str, str]:
    return {
        name_key(name): record.id for record in accelerators().values() for name in (record.id, *record.aliases)
    }
