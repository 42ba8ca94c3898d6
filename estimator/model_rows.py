"""Rows of the model catalogue: ``data/models.csv`` read, checked and turned into records.

The columns are those of `COLUMNS`. ``shape`` holds what a model has beyond the plain columns and beyond the
traits of its family (`estimator.families`), as ``field=value`` pairs separated by blanks; ``latent.x``,
``mixer.x`` and ``global_attention.x`` are the fields of those parts of `Architecture`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

from estimator.architecture import Architecture, GlobalAttention, LatentAttention, Mixer, Norm, QkNorm
from estimator.errors import InputError
from estimator.families import LIMITS, TRAITS, build_architecture

CommercialUse = Literal["yes", "conditions", "no"]
Status = Literal["published", "recalled", "guess", "benchmark"]

SIZES = ("layers", "hidden", "intermediate", "heads", "kv_heads", "head_dim", "vocab", "max_position")
COLUMNS = (
    *("id", "aliases", "family", *SIZES[:7], "tied_embeddings", "max_position", "shape"),
    *("published_parameters", "basis", "license", "commercial_use", "commercial_note", "license_source"),
    *("gated", "released", "source", "checked", "status", "notes"),
)
_REQUIRED = ("id", "published_parameters", "basis", "license", "license_source", "source")
_PLAIN = {"id", "family", *SIZES, "tied_embeddings", "latent", "mixer", "global_attention"}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "commercial_use": get_args(CommercialUse),
    "status": get_args(Status),
    "tied_embeddings": ("yes", "no"),
    "gated": ("yes", "no"),
}
_WORDS: Mapping[str, tuple[str, ...]] = {"norm": get_args(Norm), "qk_norm": get_args(QkNorm)}
_FLAGS = {entry.name for entry in fields(Architecture) if entry.type == "bool"} - _PLAIN
_NUMBERS = {entry.name for entry in fields(Architecture) if entry.type == "int"} - _PLAIN
_PARTS: Mapping[str, type[LatentAttention] | type[Mixer] | type[GlobalAttention]] = {
    "latent": LatentAttention,
    "mixer": Mixer,
    "global_attention": GlobalAttention,
}
_PART_KEYS = {f"{part}.{entry.name}": str(entry.type) for part, shape in _PARTS.items() for entry in fields(shape)}
_SHAPE_KEYS = _FLAGS | _NUMBERS | set(_WORDS) | set(_PART_KEYS)


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """One model of the catalogue.

    Attributes:
        id: hub id.
        aliases: other names it answers to.
        family: Hugging Face ``model_type``.
        published_parameters: count that its makers or the hub state, of the part described here.
        basis: where that count comes from and what it covers.
        license: name of the licence.
        commercial_use: yes, conditions (see the note) or no.
        commercial_note: what the licence asks in one line; empty where nothing beyond attribution.
        license_source: where the licence was read; "recalled" where it was not read again.
        gated: the weights can be downloaded only after accepting terms with an account.
        released: YYYY-MM or YYYY-MM-DD.
        source: where the shape was read.
        checked: day on which the row was last checked.
        status: published (shape read in the source), recalled (known shape, only the count confirms it), guess,
            or benchmark (a shape defined by a benchmark; no weights to download).
        notes: what else one should know.
        shape: own fields of the architecture, as parsed.
    """

    id: str
    aliases: tuple[str, ...]
    family: str
    published_parameters: int
    basis: str
    license: str
    commercial_use: CommercialUse
    commercial_note: str
    license_source: str
    gated: bool
    released: str
    source: str
    checked: str
    status: Status
    notes: str
    shape: Mapping[str, Any] = field(repr=False, compare=False)

    @cached_property
    def architecture(self) -> Architecture:
        """The shape, built when first asked for."""
        return build_architecture(id=self.id, family=self.family, fields=self.shape, where=self.id)


def read_rows(path: Path) -> tuple[ModelRecord, ...]:
    """Every record of a catalogue file, each row checked.

    Raises:
        InputError: an unknown or missing column, a value of the wrong type or outside its range, an unknown
            family or shape key, or an id that stands twice. The message names file, row and key.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream)
        header = next(lines, [])
        if tuple(header) != COLUMNS:
            odd = sorted(set(header) ^ set(COLUMNS)) or header
            raise InputError(
                f"{path.name}: columns do not match ({', '.join(odd)}); needed, in this order: "
                f"{', '.join(COLUMNS)}."
            )
        records = tuple(_records(path.name, lines))
    owners: dict[str, str] = {}
    for record in records:
        for name in (record.id, *record.aliases):
            owner = owners.setdefault(name.casefold(), record.id)
            if owner != record.id or (name == record.id and name in record.aliases):
                raise InputError(f"{path.name}: {name} stands for {owner} and for {record.id}; keep one.")
    if len({record.id.casefold() for record in records}) != len(records):
        twice = next(record.id for record in records if sum(r.id == record.id for r in records) > 1)
        raise InputError(f"{path.name}: id {twice} stands twice; keep one row.")
    return records


def _records(file: str, lines: Iterable[list[str]]) -> Iterator[ModelRecord]:
    for number, cells in enumerate(lines, start=2):
        where = f"{file} row {number} ({cells[0] if cells else 'empty'})"
        if len(cells) != len(COLUMNS):
            raise InputError(f"{where}: {len(cells)} cells; {len(COLUMNS)} are needed. Quote cells with commas.")
        yield _record(dict(zip(COLUMNS, cells, strict=True)), where)


def _record(row: Mapping[str, str], where: str) -> ModelRecord:
    for key in _REQUIRED:
        if not row[key].strip():
            raise InputError(f"{where}: {key} is empty; every row needs it.")
    for key, allowed in _CHOICES.items():
        if row[key] not in allowed:
            raise InputError(f"{where}: {key} is {row[key]!r}; allowed: {', '.join(allowed)}.")
    for key in ("released", "checked"):
        if not _is_date(row[key]):
            raise InputError(f"{where}: {key} is {row[key]!r}; write YYYY-MM or YYYY-MM-DD.")
    if row["family"] not in TRAITS:
        raise InputError(f"{where}: family {row['family']!r} is unknown; known: {', '.join(sorted(TRAITS))}.")
    shape: dict[str, Any] = {name: _whole(row[name], name, where) for name in SIZES}
    shape["tied_embeddings"] = row["tied_embeddings"] == "yes"
    shape |= _shape(row["shape"], where)
    return ModelRecord(
        id=row["id"],
        aliases=tuple(row["aliases"].split()),
        family=row["family"],
        published_parameters=_whole(row["published_parameters"], "published_parameters", where),
        basis=row["basis"],
        license=row["license"],
        commercial_use=cast(CommercialUse, row["commercial_use"]),
        commercial_note=row["commercial_note"],
        license_source=row["license_source"],
        gated=row["gated"] == "yes",
        released=row["released"],
        source=row["source"],
        checked=row["checked"],
        status=cast(Status, row["status"]),
        notes=row["notes"],
        shape=shape,
    )


def _shape(text: str, where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for pair in text.split():
        key, equals, value = pair.partition("=")
        if not equals or key not in _SHAPE_KEYS:
            raise InputError(
                f"{where}: shape has {pair!r}; write field=value with one of: {', '.join(sorted(_SHAPE_KEYS))}."
            )
        group, _, name = key.rpartition(".")
        target = parts[group] if group else plain
        if name in target:
            raise InputError(f"{where}: shape names {key} twice; keep one.")
        target[name] = _value(key, value, where)
    for part, found in parts.items():
        if not found:
            continue
        missing = [key for key in _PART_KEYS if key.startswith(f"{part}.") and key.partition(".")[2] not in found]
        if missing:
            raise InputError(f"{where}: shape misses {', '.join(missing)}.")
        plain[part] = _PARTS[part](**found)
    return plain


def _value(key: str, value: str, where: str) -> Any:
    if _PART_KEYS.get(key) == "str":
        return value
    flag = key in _FLAGS or _PART_KEYS.get(key) == "bool"
    if key in _WORDS or flag:
        allowed = _WORDS.get(key, ("yes", "no"))
        if value not in allowed:
            raise InputError(f"{where}: {key} is {value!r}; allowed: {', '.join(allowed)}.")
        return value == "yes" if flag else value
    return _whole(value, key, where)


def _whole(text: str, key: str, where: str) -> int:
    low, high = LIMITS.get(key, (0, 10**14))
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise InputError(f"{where}: {key} is {text!r}; a whole number from {low} to {high} is needed.")
    return int(text)


def _is_date(text: str) -> bool:
    parts = text.split("-")
    if [len(part) for part in parts] not in ([4, 2], [4, 2, 2]) or not all(part.isdigit() for part in parts):
        return False
    return 1 <= int(parts[1]) <= 12 and (len(parts) == 2 or 1 <= int(parts[2]) <= 31)
