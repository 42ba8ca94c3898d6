"""The model catalogue, and the rule by which the name that a person types becomes an architecture.

What is typed is tried in this order, without regard to case; the first that matches decides:

1. a path: it ends in ``.json`` or is a directory. Its ``config.json`` is read (`estimator.hf_config`).
2. a short name of ``data/model_names.csv`` (``7b``, ``mistral``, ``llama-3``), each row with its reason. A bare
   size means a dense model of that size whose licence allows commercial use without conditions and whose
   download is not gated, the one most used as a base for fine-tuning; where the catalogue has none, the most
   used one of that size. Such names stand for what is common, never for an average.
3. a hub id, or an alias of a row.
4. a hub id without its organisation, or under another organisation (mirrors keep the name).
5. the same without the words that mark a variant of the same shape (``base``, ``hf``, ``instruct``, ``chat``,
   ``it``), so that a tuned variant finds the shape of its base.

A name that fits several rows at its step is refused with the candidates.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.architecture import Architecture
from estimator.errors import InputError, UnknownNameError
from estimator.hf_config import read_config
from estimator.model_rows import ModelRecord, read_rows

__all__ = ["ModelRecord", "ResolvedModel", "ShortName", "models", "resolve_model", "short_names"]

DATA = Path(__file__).parent / "data"
VARIANT_WORDS = frozenset({"base", "hf", "instruct", "chat", "it", "text", "pt", "sft", "dpo"})
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
    path = Path(name).expanduser()
    if name.endswith(".json") or path.is_dir():
        architecture = read_config(path)
        return ResolvedModel(
            architecture=architecture,
            record=None,
            how=f"{name} is read as a Hugging Face configuration of family {architecture.family}.",
        )
    folded = name.casefold()
    short = short_names().get(folded)
    if short:
        return _resolved(models()[short.id], f"{name!r} is short for {short.id}: {short.reason}.")
    for rule, index, key in (
        ("by its hub id", _by_id(), folded),
        ("by an alias", _by_alias(), folded),
        ("by its name without the organisation", _by_name(), _name_key(folded)),
        (
            "by its name; variants such as instruct share the shape of their base",
            _by_base(),
            _base_key(folded),
        ),
    ):
        ids = index.get(key, ())
        if len(ids) > 1:
            raise InputError(f"model {name!r} is ambiguous: {', '.join(ids)}. Type one of these in full.")
        if ids:
            return _resolved(models()[ids[0]], f"{name!r} is {ids[0]}, {rule}.")
    known = {*models(), *short_names(), *(id.rpartition("/")[2] for id in models())}
    raise UnknownNameError("model", name, known, hint=HINT)


def _resolved(record: ModelRecord, how: str) -> ResolvedModel:
    return ResolvedModel(architecture=record.architecture, record=record, how=how)


def _name_key(folded: str) -> str:
    return folded.rpartition("/")[2].replace("_", "-").replace(" ", "-")


def _base_key(folded: str) -> str:
    return "-".join(word for word in _name_key(folded).split("-") if word not in VARIANT_WORDS)


def _index(keys: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for id, names in keys.items():
        for name in names:
            if id not in found.get(name, ()):
                found[name] = (*found.get(name, ()), id)
    return found


@cache
def _by_id() -> Mapping[str, tuple[str, ...]]:
    return _index({id: (id.casefold(),) for id in models()})


@cache
def _by_alias() -> Mapping[str, tuple[str, ...]]:
    return _index({id: tuple(map(str.casefold, record.aliases)) for id, record in models().items()})


@cache
def _by_name() -> Mapping[str, tuple[str, ...]]:
    return _index({id: (_name_key(id.casefold()),) for id in models()})


@cache
def _by_base() -> Mapping[str, tuple[str, ...]]:
    return _index(
        {
            id: tuple(_base_key(name.casefold()) for name in (id, *record.aliases))
            for id, record in models().items()
        }
    )
