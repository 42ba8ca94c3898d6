"""Flags turned into a scenario or a run; every bad value is refused with what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from estimator.assumptions import Assumptions, shipped
from estimator.errors import InputError
from estimator.run import Method, choice, lora_roles
from estimator.scenario import Scenario

MAX_GPUS = 65_536
MAX_MICRO_BATCH = 65_536
MAX_SEED = 2**32 - 1


def parse_day(text: str | None, *, flag: str) -> date | None:
    """An ISO date.

    Raises:
        InputError: not a date.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{flag} {text!r} is not a date. Write it as 2026-11-21.") from None


def parse_settings(texts: Iterable[str]) -> dict[str, float]:
    """``name=value`` pairs of --set.

    Raises:
        InputError: no equals sign, not a number, or one name given twice.
    """
    values: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--set {text!r} lacks a name or a value. Write --set name=value.")
        if name in values:
            raise InputError(f"--set {name} is given twice. Keep one.")
        try:
            values[name] = float(number)
        except ValueError:
            raise InputError(f"--set {name}: {number!r} is not a number.") from None
    return values


def assumptions_with(workload: Mapping[str, float | None], settings: Iterable[str]) -> Assumptions:
    """The registry with the workload flags and the --set pairs in it.

    Raises:
        UnknownNameError, InputError: a name or value that the registry refuses, or a number given both ways.
    """
    flagged = {name: value for name, value in workload.items() if value is not None}
    pairs = parse_settings(settings)
    for name in pairs:
        if name in flagged:
            raise InputError(f"{name} is given by its flag and by --set. Keep one.")
    return shipped().setting(flagged | pairs)


def whole(value: int | None, *, flag: str, low: int, high: int) -> int | None:
    """A whole number in its range, or None where not given."""
    if value is not None and not low <= value <= high:
        raise InputError(f"{flag} {value} is outside {low:,} to {high:,}.")
    return value


def positive(value: float | None, *, flag: str) -> float | None:
    """A finite number above zero, or None where not given."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"{flag} {value:g} is not a finite number above 0.")
    return value


def serving_scenario(
    *,
    model: str,
    workload: Mapping[str, float | None],
    settings: Iterable[str],
    gpus: Iterable[str],
    spot: bool,
    as_of: date,
    **plain: Any,
) -> Scenario:
    """A scenario in which only serving is asked about."""
    return Scenario(
        model=model,
        assumptions=assumptions_with(workload, settings),
        gpus=tuple(dict.fromkeys(gpus)),
        purchase="spot" if spot else "on-demand",
        as_of=as_of,
        **plain,
    )


def scenario(
    *,
    model: str,
    workload: Mapping[str, float | None],
    settings: Iterable[str],
    methods: Iterable[str],
    categories: Mapping[str, str | None],
    gpus: Iterable[str],
    gpu_count: int | None,
    micro_batch: int | None,
    lora_targets: str | None,
    spot: bool,
    budget_usd: float | None,
    deadline_hours: float | None,
    as_of: date,
    seed: int,
    **plain: Any,
) -> Scenario:
    """A checked scenario.

    Args:
        workload: workload assumptions by name; None where the flag was not given.
        categories: fields of ``Run`` by name; None leaves the default or the search.
        plain: fields of ``Scenario`` that need no check.

    Raises:
        InputError: with the flag, what is allowed and the closest names.
    """
    chosen = {
        name: choice(name, value, where=f"--{name.replace('_', '-')}")
        for name, value in categories.items()
        if value is not None
    }
    wanted: tuple[Any, ...] = tuple(choice("method", name, where="--method") for name in dict.fromkeys(methods))
    every: tuple[Method, ...] = ("full", "lora", "qlora")
    if lora_targets is not None:
        plain["lora_targets"] = lora_roles(lora_targets, where="--lora-targets")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"--seed {seed} is outside 0 to {MAX_SEED:,}.")
    fields: dict[str, Any] = {**plain, **chosen}
    return Scenario(
        model=model,
        assumptions=assumptions_with(workload, settings),
        methods=wanted or every,
        gpus=tuple(dict.fromkeys(gpus)),
        gpu_count=whole(gpu_count, flag="--gpus", low=1, high=MAX_GPUS),
        micro_batch=whole(micro_batch, flag="--micro-batch", low=1, high=MAX_MICRO_BATCH),
        purchase="spot" if spot else "on-demand",
        budget_usd=positive(budget_usd, flag="--budget"),
        deadline_hours=positive(deadline_hours, flag="--deadline-hours"),
        as_of=as_of,
        seed=seed,
        **fields,
    )
