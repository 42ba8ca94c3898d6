"""Profiles: factors measured on someone's machine, kept as TOML files in the user's configuration folder.

A profile is a set of assumptions with status "measured": a row for each factor of each card and stack that it
was calibrated on. It changes predictions for those only.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tomli

from estimator.accelerators import resolve_accelerator
from estimator.assumptions import Assumptions
from estimator.errors import InputError, UnknownNameError
from estimator.machine import FACTORS, PROFILE_SOURCE, machine_name
from estimator.run import choice

FOLDER_VARIABLE = "FTCOST_CONFIG_DIR"
ENDING = ".toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LISTING = "`ftcost calibrate --list` lists them, `ftcost calibrate runs.csv` makes one."


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One card with one stack: what was fitted, on which runs, and what it gained.

    ``factors`` holds base, low and high by the factor's name; ``gains`` and ``runs`` are for people.
    """

    gpu: str
    stack: str
    runs: tuple[str, ...]
    factors: Mapping[str, tuple[float, float, float]]
    gains: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named set of machines.

    Attributes:
        name: of its file, or its path where it was read from elsewhere.
        created: ISO date.
        program: version of ftcost that fitted it.
        source: the file of measured runs.
        versions: software of the measured runs, by name.
        machines: what was fitted.
    """

    name: str
    created: str
    program: str
    source: str
    versions: Mapping[str, str]
    machines: tuple[Machine, ...]


def config_folder(*, environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the user's configuration lives.

    FTCOST_CONFIG_DIR if set; else ``ftcost`` under APPDATA on Windows, under Library/Application Support on macOS,
    under XDG_CONFIG_HOME or ~/.config elsewhere.

    >>> config_folder(environment={"XDG_CONFIG_HOME": "/home/me/.cfg"}, platform="linux").as_posix()
    '/home/me/.cfg/ftcost'
    """
    known = os.environ if environment is None else environment
    if known.get(FOLDER_VARIABLE):
        return Path(known[FOLDER_VARIABLE]).expanduser()
    if platform == "win32":
        return Path(known.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "ftcost"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ftcost"
    return Path(known.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ftcost"


def profile_folder(folder: Path | None = None) -> Path:
    """Where profiles lie."""
    return (folder or config_folder()) / "profiles"


def check_name(name: str) -> str:
    """A name that can be a file's on every system.

    Raises:
        InputError: it cannot.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"profile name {name!r} cannot be used. Use up to 64 letters, digits, dots, hyphens and underscores."
        )
    return name


def profile_names(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the profiles that there are."""
    place = profile_folder(folder)
    return tuple(sorted(path.stem for path in place.glob(f"*{ENDING}"))) if place.is_dir() else ()


def read_profile(text: str, *, folder: Path | None = None) -> Profile:
    """The profile of a name, or of a path that ends in .toml.

    Raises:
        UnknownNameError: no such profile; names the closest.
        InputError: a file that is none.
    """
    if text.casefold().endswith(ENDING):
        path = Path(text).expanduser()
    else:
        known = profile_names(folder)
        if not known:
            raise InputError(
                f"no profile {text!r}: there is none yet. `ftcost calibrate runs.csv` makes one, of runs of"
                " `ftcost measure` on your machine."
            )
        if text not in known:
            raise UnknownNameError("profile", text, known, hint=LISTING)
        path = profile_folder(folder) / f"{text}{ENDING}"
    try:
        table = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {LISTING}") from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a profile in TOML ({error}).") from None
    return _profile(text, table, where=str(path))


def _profile(name: str, table: Mapping[str, Any], *, where: str) -> Profile:
    machines = table.get("machine")
    if not isinstance(machines, list) or not machines:
        raise InputError(f"{where}: has no [[machine]]; it is no profile. `ftcost calibrate runs.csv` makes one.")
    for key in ("created", "program", "source"):
        if not isinstance(table.get(key), str):
            raise InputError(f"{where}: {key} is missing or no text.")
    versions = table.get("versions", {})
    if not isinstance(versions, Mapping):
        raise InputError(f"{where}: versions is no table.")
    found = tuple(_machine(entry, where=f"{where}: machine {place}") for place, entry in enumerate(machines, 1))
    return Profile(
        name=name,
        created=table["created"],
        program=table["program"],
        source=table["source"],
        versions={key: str(value) for key, value in versions.items()},
        machines=found,
    )


def _machine(entry: Any, *, where: str) -> Machine:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: is no table.")
    given, runs = entry.get("factors", {}), entry.get("runs", [])
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: factors is no table.")
    if not isinstance(runs, list):
        raise InputError(f"{where}: runs is no list.")
    for key in ("gpu", "stack"):
        if not isinstance(entry.get(key), str):
            raise InputError(f"{where}: {key} is missing or no text.")
    factors: dict[str, tuple[float, float, float]] = {}
    for name, values in given.items():
        if name not in FACTORS:
            raise UnknownNameError("factor", name, FACTORS, where=where)
        good = isinstance(values, Mapping) and all(
            isinstance(values.get(key), int | float) and math.isfinite(values[key])
            for key in ("base", "low", "high")
        )
        if not good or not 0 < values["low"] <= values["base"] <= values["high"]:
            raise InputError(f"{where}: {name} needs base, low and high with 0 < low <= base <= high.")
        factors[name] = (float(values["base"]), float(values["low"]), float(values["high"]))
    return Machine(
        gpu=str(resolve_accelerator(entry["gpu"]).id),
        stack=choice("stack", entry["stack"], where=where),
        runs=tuple(map(str, runs)),
        factors=factors,
        gains=tuple(entry.get("gain") or ()),
    )


def profile_toml(profile: Profile) -> str:
    """The profile as the text of its file."""
    lines = [
        "# Written by `ftcost calibrate`; `--profile` applies it. Factors multiply the shipped constants.",
        f"created = {_quoted(profile.created)}",
        f"program = {_quoted(profile.program)}",
        f"source = {_quoted(profile.source)}",
        "",
        "[versions]",
        *(f"{_quoted(key)} = {_quoted(value)}" for key, value in profile.versions.items()),
    ]
    for machine in profile.machines:
        lines += [
            "",
            "[[machine]]",
            f"gpu = {_quoted(machine.gpu)}",
            f"stack = {_quoted(machine.stack)}",
            "runs = [",
        ]
        lines += [f"  {_quoted(run)}," for run in machine.runs]
        lines += ["]", "", "[machine.factors]"]
        lines += [
            f"{name} = {{ base = {base:.5g}, low = {low:.5g}, high = {high:.5g} }}"
            for name, (base, low, high) in machine.factors.items()
        ]
        for gain in machine.gains:
            lines += ["", "[[machine.gain]]"]
            lines += [f"{key} = {_value(value)}" for key, value in gain.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.5g}" if isinstance(value, float) else _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def with_profile(assumptions: Assumptions, profile: Profile) -> Assumptions:
    """The registry with a row for each factor of the profile.

    Raises:
        InputError: a factor outside what its row allows.
    """
    rows = []
    for machine in profile.machines:
        for what, (base, low, high) in machine.factors.items():
            row = assumptions.row(what)
            if not row.minimum <= base <= row.maximum:
                raise InputError(
                    f"profile {profile.name}: {what} = {base:g} is outside {row.minimum:g} to {row.maximum:g}."
                )
            rows.append(
                replace(
                    row,
                    name=machine_name(what=what, gpu=machine.gpu, stack=machine.stack),
                    label=f"{machine.gpu}, {machine.stack}: {row.label.removeprefix('Machine: ')}",
                    base=base,
                    low=max(low, row.minimum),
                    high=min(high, row.maximum),
                    status="measured",
                    source=f"{PROFILE_SOURCE}{profile.name}: {_runs(machine)} of {profile.source}",
                    checked=profile.created,
                )
            )
    return assumptions.adding(rows)


def _runs(machine: Machine) -> str:
    """How many runs."""
    return f"{len(machine.runs)} {'run' if len(machine.runs) == 1 else 'runs'}"


def machines_of(fits: Iterable[Any]) -> tuple[Machine, ...]:
    """Machines as a profile keeps them, of fits of `estimator.calibration`."""
    return tuple(
        Machine(
            gpu=fit.gpu,
            stack=fit.stack,
            runs=fit.ids,
            factors={factor.what: (factor.base, factor.low, factor.high) for factor in fit.factors},
            gains=tuple(asdict(gain) for gain in fit.gains),
        )
        for fit in fits
    )
