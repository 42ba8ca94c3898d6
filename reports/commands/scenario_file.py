"""A scenario as a TOML file: the flags of ``ftcost plan`` by name, and a table [set] of assumptions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
import tomli
from click.core import ParameterSource

from estimator.errors import InputError, UnknownNameError
from reports.flags import scenario_of
from reports.options import OUTPUT, SETTINGS_NAME, Flag, plan_flags

Given = dict[str, Any]
"""Value of every flag of ``ftcost plan`` by its name with underscores."""

SET_TABLE = "set"
HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*(?:\.|=)""")
PLACE = re.compile(r"(.*?) \(at (?:line (\d+), column \d+|end of document)\)$", re.DOTALL)


def file_flags(flags: Sequence[click.Parameter]) -> dict[str, Flag]:
    """Flags that a scenario file may give, by key: what is asked, not how the answer is shown."""
    return {
        flag.name: flag
        for flag in flags
        if isinstance(flag, Flag) and flag.name and flag.name != SETTINGS_NAME and flag.panel != OUTPUT
    }


def defaults() -> Given:
    """Every flag of ``ftcost plan`` where none is given."""
    return click.Command("plan", params=list(plan_flags())).make_context("plan", []).params


def planned_as(path: Path) -> Given:
    """The flags that ``ftcost plan PATH`` means.

    Raises:
        InputError: a file that cannot be used.
    """
    return with_file(click.Command("plan", params=list(plan_flags())).make_context("plan", [str(path)]))


def with_file(context: click.Context, *, model_needed: bool = True) -> Given:
    """The flags of a command with those of its scenario file, where the command line does not give them.

    Raises:
        InputError: a file that cannot be used, or no model in either place.
    """
    path: Path = context.params["file"]
    typed = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    given = overlaid(overlaid(context.params, read(path)), typed)
    if model_needed and given["model"] is None:
        raise InputError(f'{path} names no model. Add a line such as model = "7b", or give --model.')
    return given


def overlaid(given: Mapping[str, Any], changes: Mapping[str, Any]) -> Given:
    """The flags with others in their place; an assumption keeps its last value, by its flag or by --set."""
    own = {flag.assumption: name for name, flag in file_flags(plan_flags()).items() if flag.assumption}
    newly_set = {_setting_name(text) for text in changes.get(SETTINGS_NAME, ())}
    replaced = newly_set | {assumption for assumption, name in own.items() if name in changes}
    kept = [text for text in given[SETTINGS_NAME] if _setting_name(text) not in replaced]
    cleared = {own[name]: None for name in newly_set if name in own and own[name] not in changes}
    settings = (*kept, *changes.get(SETTINGS_NAME, ()))
    return {**given, **cleared, **changes, SETTINGS_NAME: settings}


def _setting_name(text: str) -> str:
    return text.partition("=")[0].strip()


def read(path: Path) -> Given:
    """The flags that a scenario file gives, checked one by one.

    Raises:
        UnknownNameError: a key or an assumption that does not exist.
        InputError: no such file, no TOML, or a value that its flag refuses; with the line.
    """
    text = _text(path)
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = PLACE.match(str(error))
        problem, line = (found[1], found[2]) if found else (str(error), None)
        raise InputError(
            f"{path}, line {line or len(text.splitlines())}: {problem}. Write key = value, text in quotes."
        ) from None
    lines = _lines(text)
    known = file_flags(plan_flags())
    empty = defaults()
    given: Given = {}
    for key, value in table.items():
        where = f"{path}, line {lines.get(('', key), 1)}"
        if key == SET_TABLE:
            given[SETTINGS_NAME] = _settings(path, value, lines, empty)
        elif key not in known:
            hint = f"Assumptions without a flag stand under [{SET_TABLE}]; `ftcost init` lists the keys."
            raise UnknownNameError("key", key, [*known, SET_TABLE], where=where, hint=hint)
        else:
            given[key] = _checked(known[key], value, where=where)
            mean = key.removesuffix("_p95")
            beside = {mean: float(table[mean])} if mean != key and isinstance(table.get(mean), int | float) else {}
            _try(overlaid(empty, {**beside, key: given[key]}), where=where)
    return given


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such scenario file. `ftcost init > plan.toml` writes one; a model goes behind --model."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        problem = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise InputError(f"{path}: cannot be read as a scenario file ({problem}).") from None


def _settings(path: Path, table: Any, lines: Mapping[tuple[str, str], int], empty: Given) -> tuple[str, ...]:
    """The table [set] as ``name=value`` texts."""
    first = lines.get(("", SET_TABLE), 1)
    if not isinstance(table, dict):
        raise InputError(
            f"{path}, line {first}: {SET_TABLE} is not a table. Write [{SET_TABLE}], then name = number."
        )
    texts = []
    for name, value in table.items():
        where = f"{path}, line {lines.get((SET_TABLE, name), first)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{where}: {name} = {_shown(value)} is not a number.")
        texts.append(f"{name}={float(value)!r}")
        _try(overlaid(empty, {SETTINGS_NAME: texts[-1:]}), where=where)
    return tuple(texts)


def _try(given: Given, *, where: str) -> None:
    """Refuse a value by itself, so that the message can name its line."""
    try:
        scenario_of(given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _checked(flag: Flag, value: Any, *, where: str) -> Any:
    """The value as the command line would give it."""
    key = flag.name
    if flag.multiple:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{where}: {key} = {_shown(value)} is not a list of texts. Write {_example(flag)}.")
        return tuple(texts)
    if flag.is_flag:
        if not isinstance(value, bool):
            raise InputError(f"{where}: {key} = {_shown(value)} is neither true nor false.")
        return value
    if flag.type in (click.FLOAT, click.INT):
        whole = flag.type is click.INT
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        if not usable or (whole and value != value // 1):
            what = "a whole number" if whole else "a number"
            raise InputError(f"{where}: {key} = {_shown(value)} is not {what}. Write {_example(flag)}.")
        return int(value) if whole else float(value)
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise InputError(f"{where}: {key} = {_shown(value)} is not text. Write {_example(flag)}.")
    return value


def _example(flag: Flag) -> str:
    return f"{flag.name} = {flag.example}" if flag.example else f"{flag.name} = 10000"


def _shown(value: Any) -> str:
    """A value as TOML writes it, shortened."""
    text = (
        str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    )
    return text if len(text) <= 40 else f"{text[:37]}..."


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Line of every key by (table, key): the parser tells none. A table is itself a key of the table ""."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            table = header[1]
            found.setdefault(("", table), number)
        elif key := KEY.match(line):
            name = key[1] or key[2] or key[3]
            found.setdefault((table, name), number)
            if line[: key.end()].endswith(".") and (inner := KEY.match(line[key.end() :])):
                found.setdefault((name, inner[1] or inner[2] or inner[3]), number)
    return found
