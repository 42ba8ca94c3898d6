"""The model catalogue, and the rule by which the name that a person types becomes an architecture.

What is typed is tried in this order, without regard to case; the first step that matches decides:

1. a path: it ends in ``.json`` or is a directory with a ``config.json``, which `estimator.hf.config` reads;
2. a hub id, or an alias of a row;
3. a short name of ``data/model_names.csv`` (``7b``, ``mistral``, ``llama-3``), each row with its reason;
4. a hub id without its organisation, or under another one (mirrors keep the name);
5. either of these without the words that mark a variant of the same shape (``base``, ``hf``, ``instruct``,
   ``chat``, ``it``) and without separators, so that ``llama3-8b-instruct`` finds Meta-Llama-3-8B.

A bare size means a dense model of that size whose licence allows commercial use without conditions and whose
download is not gated, the one most used as a base for fine-tuning: a plan must not rest on a licence that the
reader has not seen. Where the catalogue has none, it is the most used model of that size. A family without a
size means its usual base of 7 to 9 billion parameters, or the size named in the row's reason. The answer
always says which model was taken and why. A name that fits several rows at its step is refused with the
candidates.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.architecture import Architecture
from estimator.errors import InputError, UnknownNameError
from estimator.model_rows import ModelRecord, read_rows

__all__ = ["ModelRecord", "ResolvedModel", "ShortName", "models", "resolve_model", "short_names"]

DATA = Path(__file__).parent / "data"
VARIANT_WORDS = frozenset({"base", "chat", "hf", "instruct", "it", "meta", "pt", "text"})
HINT = "`ftcost models` lists them; a path to a config.json works too."


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """What a typed name stands for.

    Attributes:
        architecture: the shape.
        record: its row in the catalogue; None for a ``config.json``.
        how: one sentence that says what it resolved to and by which rule.
    """

    architecture: Architecture
    record: ModelRecord | None
    how: str


@dataclass(frozen=True, kw_only=True)
class ShortName:
    """A name people type, the row it stands for, and why that one."""

    name: str
    id: str
    reason: str


@cache
def models() -> Mapping[str, ModelRecord]:
    """Every record of the catalogue by hub id, in the order of the file."""
    return MappingProxyType({record.id: record for record in read_rows(DATA / "models.csv")})


@cache
def short_names() -> Mapping[str, ShortName]:
    """Short names by name, folded to lower case. Raises `InputError` where a row is broken."""
    path = DATA / "model_names.csv"
    known = models()
    found: dict[str, ShortName] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            where = f"{path.name} row {number}"
            if set(row) != {"name", "id", "reason"} or not all(row.values()):
                raise InputError(f"{where}: needs exactly name, id and reason, none empty.")
            if row["id"] not in known:
                raise UnknownNameError("model", row["id"], known, where=where, hint="Use an id of models.csv.")
            if row["name"] != row["name"].casefold() or row["name"] in found:
                raise InputError(f"{where}: {row['name']!r} must be in lower case and stand once.")
            found[row["name"]] = ShortName(**row)
    return MappingProxyType(found)


def resolve_model(text: str) -> ResolvedModel:
    """The architecture that a name, a hub id or a path stands for, by the rule of this module.

    Raises:
        UnknownNameError: nothing matches; names the closest.
        InputError: several rows match, or a ``config.json`` cannot be used.

    >>> resolve_model("7B").record.id
    'Qwen/Qwen2.5-7B'
    """
    name = text.strip()
    if not name:
        raise InputError(f"the model name is empty. {HINT}")
    path = Path(os.path.expanduser(name))
    if name.casefold().endswith(".json") or os.path.isfile(path / "config.json"):
        return _from_file(name, path)
    key = name.casefold()
    for how, index, wanted in (
        ("by its hub id", _by_id, key),
        ("by an alias", _by_alias, key),
        ("", _by_short_name, key),
        ("by its name without the organisation", _by_name, key.rpartition("/")[2]),
        ("by its name; tuned variants share the shape of their base", _by_base, _base(key)),
        ("", _by_short_base, _base(key)),
    ):
        ids = index().get(wanted, ())
        if len(ids) > 1:
            raise InputError(f"model {name!r} is ambiguous: {', '.join(ids)}. Type one of these in full.")
        if ids:
            record = models()[ids[0]]
            reason = f"{name!r} is {record.id}, {how}." if how else _short_reason(name, record.id, wanted)
            return ResolvedModel(architecture=record.architecture, record=record, how=reason)
    if os.path.isdir(path):
        return _from_file(name, path)
    known = {*models(), *short_names(), *(id.rpartition("/")[2] for id in models())}
    raise UnknownNameError("model", name, known, hint=HINT)


def _from_file(name: str, path: Path) -> ResolvedModel:
    from estimator.hf.config import read_config

    architecture = read_config(path)
    how = f"{name} is a Hugging Face configuration of family {architecture.family}."
    return ResolvedModel(architecture=architecture, record=None, how=how)


def _short_reason(name: str, id: str, wanted: str) -> str:
    reason = next(short.reason for short in short_names().values() if wanted in (short.name, _base(short.name)))
    return f"{name!r} is short for {id}: {reason}."


def _base(key: str) -> str:
    """The name without organisation, variant words and separators."""
    words = key.rpartition("/")[2].replace("_", "-").replace(" ", "-").split("-")
    return "".join(word for word in words if word not in VARIANT_WORDS)


Index = Mapping[str, tuple[str, ...]]


def _index(names: Iterable[tuple[str, str]]) -> Index:
    found: dict[str, tuple[str, ...]] = {}
    for name, id in names:
        ids = found.get(name, ())
        found[name] = ids if id in ids else (*ids, id)
    return found


@cache
def _by_id() -> Index:
    return _index((id.casefold(), id) for id in models())


@cache
def _by_alias() -> Index:
    return _index((alias.casefold(), id) for id, record in models().items() for alias in record.aliases)


@cache
def _by_short_name() -> Index:
    return _index((short.name, short.id) for short in short_names().values())


@cache
def _by_name() -> Index:
    return _index((id.casefold().rpartition("/")[2], id) for id in models())


@cache
def _by_base() -> Index:
    return _index(
        (_base(name.casefold()), id) for id, record in models().items() for name in (id, *record.aliases)
    )


@cache
def _by_short_base() -> Index:
    return _index((_base(short.name), short.id) for short in short_names().values())
