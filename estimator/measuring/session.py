"""A measuring session: the device that is there, its ceilings, and the settings one after the other."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estimator.accelerator_rows import AcceleratorRecord
from estimator.accelerators import resolve_accelerator
from estimator.assumptions import Assumptions
from estimator.errors import InputError, UnknownNameError
from estimator.measured import CPU
from estimator.measuring.configs import config_keys, module_names
from estimator.measuring.rows import Row, described, measured, predicted
from estimator.measuring.runner import Worker
from estimator.measuring.settings import Setting
from estimator.numbers import GIB
from estimator.parameters import total_parameters
from estimator.version import VERSION

PACKAGES = ("torch", "transformers", "peft", "accelerate")
INSTALL = "pip install 'ftcost[measure]'"
SOURCE = "ftcost measure"
DEVICE_LIMIT_S = 180.0
START_S = 20.0
"""Seconds of a child process before its first step, for the time left."""

WARM_STEPS = 4.0
MOST_CPU_PARAMETERS = 500_000_000
OTHERS_BYTES = 2.0 * GIB
"""In use before the first setting: more than a bare context is someone else's."""

MEMORY_TOLERANCE = 0.05
DONE = ("ok", "out-of-memory")
"""Outcomes that running a setting again would not change."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where the settings run.

    Attributes:
        kind: torch's name of it ("cuda", "cpu").
        gpu: id in the catalogue; "cpu" for none.
        name: what torch calls it.
        warnings: what the reader of the figures must know.
    """

    kind: str
    gpu: str
    name: str
    warnings: tuple[str, ...] = ()


def missing_packages() -> tuple[str, ...]:
    """Packages of the optional extra that are not installed; none of them is imported."""
    return tuple(name for name in PACKAGES if importlib.util.find_spec(name) is None)


def check_packages() -> None:
    """Refuse where the optional extra is not installed.

    Raises:
        InputError: with the command that installs it.
    """
    missing = missing_packages()
    if missing:
        raise InputError(f"measuring needs {', '.join(missing)}, not installed here. {INSTALL} brings them.")


def find_device(*, worker: Worker, cpu: bool, gpu: str | None) -> Device:
    """The device to measure on.

    Args:
        worker: what runs the job that looks.
        cpu: the CPU was asked for.
        gpu: what the user says the card is.

    Raises:
        InputError: there is no accelerator, or one that the catalogue does not know.
    """
    if cpu:
        return Device(kind="cpu", gpu=CPU, name="CPU")
    found = worker({"kind": "device"}, DEVICE_LIMIT_S)
    if found["outcome"] != "ok":
        raise InputError(f"torch cannot be used here: {found.get('message', '')}")
    if not found["count"]:
        raise InputError(
            "torch sees no accelerator here (CUDA or ROCm). Measure where there is one; --device cpu runs tiny"
            " models, and --predict-only --gpu NAME writes the predictions of any card."
        )
    record = _record(str(found["device"]), gpu)
    return Device(kind="cuda", gpu=record.id, name=str(found["device"]), warnings=_warnings(record, found))


def _record(name: str, gpu: str | None) -> AcceleratorRecord:
    if gpu is not None:
        return resolve_accelerator(gpu)
    try:
        return resolve_accelerator(name)
    except UnknownNameError as error:
        raise InputError(
            f"the catalogue does not know this card by its name: {error} If it is one of them, name it by --gpu."
        ) from None


def _warnings(record: AcceleratorRecord, found: Mapping[str, Any]) -> tuple[str, ...]:
    said = []
    total, known = float(found["total_bytes"]), float(record.accelerator.memory_bytes)
    if abs(total / known - 1.0) > MEMORY_TOLERANCE:
        said.append(
            f"the card has {total / GIB:.1f} GiB, {record.id} in the catalogue {known / GIB:.1f} GiB: another"
            " variant or a slice of one? --gpu names another."
        )
    if float(found["used_bytes"]) > OTHERS_BYTES:
        said.append(
            f"{float(found['used_bytes']) / GIB:.1f} GiB of the card are in use by others: memory and speed will"
            " suffer."
        )
    return tuple(said)


def in_order(settings: Sequence[Setting], constants: Assumptions, *, device: Device) -> list[tuple[Setting, Row]]:
    """The settings on the device with their predictions, the smallest first; none are predicted for the CPU.

    Raises:
        InputError: a model too large for the CPU.
    """
    if device.gpu == CPU:
        for one in settings:
            count = total_parameters(architecture=one.run.architecture)
            if count > MOST_CPU_PARAMETERS:
                raise InputError(
                    f"{one.id}: {count:,} parameters are too many for --device cpu, at most"
                    f" {MOST_CPU_PARAMETERS:,}. Give the config.json of a tiny model."
                )
        sized = sorted(settings, key=lambda one: total_parameters(architecture=one.run.architecture))
        return [(one, {}) for one in sized]
    placed = [one.on(device.gpu) for one in settings]
    pairs = [(one, predicted(one, constants, version=VERSION)) for one in placed]
    return sorted(pairs, key=lambda pair: float(pair[1]["predicted_reserved_gib"]))


def weight_s(setting: Setting, forecast: Row, *, steps: int) -> float:
    """Seconds that a setting is expected to take, its process and warm-up included."""
    rate = float(forecast.get("predicted_tokens_per_s_per_gpu") or "inf")
    return START_S + (steps + WARM_STEPS) * _tokens(setting) / rate


def _tokens(setting: Setting) -> float:
    return float(setting.cells["micro_batch"]) * float(setting.cells["seq_len"])


def train_job(setting: Setting, *, device: Device, steps: int) -> dict[str, Any]:
    """What the child process needs to run a setting."""
    shape = setting.run.architecture
    targets = setting.run.lora_targets if setting.run.adapters else ()
    return {
        "kind": "train",
        "device": device.kind,
        "steps": steps,
        "cells": dict(setting.cells),
        "config": config_keys(shape),
        "modules": module_names(family=shape.family, roles=targets),
        "parameters": total_parameters(architecture=shape),
    }


@dataclass(frozen=True, kw_only=True)
class Done:
    """One setting that was run: its row, how many came before it, and the seconds that the others will take."""

    row: Row
    place: int
    total: int
    left_s: float


def run_settings(
    pairs: Sequence[tuple[Setting, Row]],
    *,
    worker: Worker,
    device: Device,
    steps: int,
    limit_s: float,
    day: str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Done]:
    """Run the settings one after the other; each gives a row, whatever became of it.

    The time left is that of the expected seconds still to come, scaled as those behind turned out.
    """
    weights = [weight_s(one, forecast, steps=steps) for one, forecast in pairs]
    begun = clock()
    for place, (one, forecast) in enumerate(pairs):
        answer = worker(train_job(one, device=device, steps=steps), limit_s)
        row = {
            **described(one, source=SOURCE, day=day),
            **forecast,
            **measured(answer, tokens=_tokens(one)),
            "gpu": device.gpu,
            "device": device.name,
        }
        spent, behind = clock() - begun, sum(weights[: place + 1])
        yield Done(row=row, place=place + 1, total=len(pairs), left_s=spent / behind * sum(weights[place + 1 :]))
