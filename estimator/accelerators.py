"""The catalogue of accelerators: data-sheet figures with their sources, names and aliases."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from estimator.accelerator import Accelerator
from estimator.errors import InputError, UnknownNameError
from estimator.numbers import GB, GIB, Array

Vendor = Literal["nvidia", "amd", "intel", "google", "aws"]
Family = Literal[
    "volta",
    "turing",
    "ampere",
    "ampere-consumer",
    "ada",
    "hopper",
    "blackwell",
    "blackwell-consumer",
    "cdna2",
    "cdna3",
    "cdna4",
    "gaudi",
    "tpu",
    "trainium",
]
Form = Literal["sxm", "pcie", "consumer", "workstation", "superchip", "oam", "tpu", "trn", "inf"]
FigureStatus = Literal["published", "measured", "recalled", "guess"]

FILE = "accelerators.csv"
TERA = 1e12
HINT = "`ftcost gpus` lists them."


@dataclass(frozen=True, kw_only=True)
class AcceleratorRecord:
    """One row of the catalogue: the numbers, and what a person must know about them.

    Attributes:
        accelerator: the figures that formulas use, as floats in base units.
        id: canonical name ("h100-80gb-sxm").
        label: name for people.
        vendor, family, form: maker; key of the measured constants; how it is built in.
        year: of first shipment.
        aliases: other names that ``resolve_accelerator`` takes.
        marketing_memory_gb: memory as sold.
        interconnect: the link inside the node, in words.
        link_scope: among whom the link runs at that rate ("node", "bridged pair", "NVL72 rack").
        peak_status, memory_status, link_status: published (read at the source), measured, recalled
            (not read again) or guess; of the matrix peaks, of capacity and bandwidth, of both links.
        source, checked: where the figures come from, and the ISO date of the last look.
        notes: pitfalls of this part.
    """

    accelerator: Accelerator
    id: str
    label: str
    vendor: str
    family: str
    form: str
    year: int
    aliases: tuple[str, ...]
    marketing_memory_gb: float
    interconnect: str
    link_scope: str
    peak_status: str
    memory_status: str
    link_status: str
    source: str
    checked: str
    notes: str

    @property
    def status(self) -> str:
        """The weakest status among peaks, memory and links."""
        order = get_args(FigureStatus)
        return max((self.peak_status, self.memory_status, self.link_status), key=order.index)


@cache
def accelerators() -> Mapping[str, AcceleratorRecord]:
    """Every accelerator of the catalogue, by id, in file order.

    Raises:
        InputError: a row that breaks the rules of the catalogue; the message names file, row and key.

    >>> accelerators()["h100-80gb-sxm"].accelerator.bf16_flop_per_s / 1e12
    989.4
    """
    path = resources.files("estimator") / "data" / FILE
    return read_accelerators(path.read_text(encoding="utf-8"), file=FILE)


def resolve_accelerator(text: str) -> AcceleratorRecord:
    """The accelerator that a person means by an id, an alias or the name its driver prints.

    Case, spaces, hyphens and the maker's name do not matter.

    Raises:
        UnknownNameError: no accelerator has that name.

    >>> resolve_accelerator("NVIDIA H100 80GB HBM3").id, resolve_accelerator("4090").id
    ('h100-80gb-sxm', 'rtx-4090')
    """
    records = accelerators()
    found = _ids_by_key().get(_key(text))
    if found is None:
        raise UnknownNameError("accelerator", text, records, hint=HINT)
    return records[found]


NUMERIC = tuple(name for name in Accelerator.__dataclass_fields__ if name not in ("id", "family"))


def stack_accelerators(records: Sequence[AcceleratorRecord], *, axes: int = 3) -> Accelerator:
    """Several accelerators side by side, as one whose figures are arrays along the first of ``axes`` axes.

    >>> pair = stack_accelerators([resolve_accelerator("a100"), resolve_accelerator("h100")], axes=2)
    >>> pair.id, pair.memory_bytes_per_s.shape
    (('a100-80gb-sxm', 'h100-80gb-sxm'), (2, 1))
    """
    if not records:
        raise InputError("no accelerator to stack; name at least one.")
    if axes < 1:
        raise InputError(f"axes = {axes}; at least 1 is needed.")
    shape = (len(records),) + (1,) * (axes - 1)
    fields: dict[str, Array] = {
        name: np.array([getattr(record.accelerator, name) for record in records], dtype=float).reshape(shape)
        for name in NUMERIC
    }
    return Accelerator(
        id=tuple(record.id for record in records),
        family=tuple(record.family for record in records),
        **fields,
    )


_TEXT = (
    "id",
    "label",
    "vendor",
    "family",
    "form",
    "aliases",
    "interconnect",
    "link_scope",
    "peak_status",
    "memory_status",
    "link_status",
    "source",
    "checked",
    "notes",
)
_MAY_BE_EMPTY = ("aliases", "notes")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "vendor": get_args(Vendor),
    "family": get_args(Family),
    "form": get_args(Form),
    "peak_status": get_args(FigureStatus),
    "memory_status": get_args(FigureStatus),
    "link_status": get_args(FigureStatus),
}
# Column: (lowest, highest) that a real part can have; catches slips of unit and of digit.
_RANGES: Mapping[str, tuple[float, float]] = {
    "year": (2017, 2030),
    "marketing_memory_gb": (4, 1000),
    "memory_gib": (4, 1000),
    "memory_gb_per_s": (100, 30_000),
    "fp32_tflop_per_s": (1, 500),
    "fp16_tflop_per_s": (0, 6_000),
    "bf16_tflop_per_s": (0, 6_000),
    "fp8_tflop_per_s": (0, 12_000),
    "int8_tflop_per_s": (0, 12_000),
    "fp4_tflop_per_s": (0, 25_000),
    "link_gb_per_s": (1, 3_000),
    "node_link_gb_per_s": (0.1, 400),
    "gpus_per_node": (1, 144),
    "power_watt": (20, 3_000),
}
COLUMNS = (*_TEXT, *_RANGES)


def read_accelerators(text: str, *, file: str) -> Mapping[str, AcceleratorRecord]:
    """The rows of a catalogue file, checked.

    Args:
        text: CSV with the columns of the shipped catalogue.
        file: its name, for messages.

    Raises:
        InputError: unknown or missing column, value out of range, duplicate id, alias of two parts, a peak
            that looks like the sparse figure.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    header = reader.fieldnames or ()
    for column in header:
        if column not in COLUMNS:
            raise UnknownNameError("column", column, COLUMNS, where=file)
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InputError(f"{file} lacks the column {missing[0]!r}; every row needs one.")
    records: dict[str, AcceleratorRecord] = {}
    owners: dict[str, str] = {}
    for number, row in enumerate(reader, start=2):
        where = f"{file}, line {number} ({row['id'] or 'no id'})"
        record = _record(row, where)
        if record.id in records:
            raise InputError(f"{where}: the id {record.id} stands twice; rename or remove one row.")
        records[record.id] = record
        for name in (record.id, *record.aliases):
            owner = owners.setdefault(_key(name), record.id)
            if owner != record.id:
                raise InputError(
                    f"{where}: {name!r} already means {owner}; a name may mean one part only, remove it from one."
                )
    return MappingProxyType(records)


def _record(row: Mapping[str, str], where: str) -> AcceleratorRecord:
    if None in row or None in row.values():
        raise InputError(f"{where}: the number of cells differs from the header's; quote cells with commas.")
    for key in _TEXT:
        if key not in _MAY_BE_EMPTY and not row[key].strip():
            raise InputError(f"{where}: {key} is empty; every accelerator needs one.")
    for key, allowed in _CHOICES.items():
        if row[key] not in allowed:
            raise UnknownNameError(key.replace("_", " "), row[key], allowed, where=where)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"]):
        raise InputError(f"{where}: an id has small letters and digits joined by single hyphens.")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", row["checked"]):
        raise InputError(f"{where}: checked = {row['checked']!r} is no date; write it as 2026-11-21.")
    values = {key: _number(row, key, where) for key in _RANGES}
    _check_peaks(values, where)
    accelerator = Accelerator(
        id=row["id"],
        family=row["family"],
        memory_bytes=values["memory_gib"] * GIB,
        memory_bytes_per_s=values["memory_gb_per_s"] * GB,
        fp32_flop_per_s=values["fp32_tflop_per_s"] * TERA,
        fp16_flop_per_s=values["fp16_tflop_per_s"] * TERA,
        bf16_flop_per_s=values["bf16_tflop_per_s"] * TERA,
        fp8_flop_per_s=values["fp8_tflop_per_s"] * TERA,
        int8_flop_per_s=values["int8_tflop_per_s"] * TERA,
        fp4_flop_per_s=values["fp4_tflop_per_s"] * TERA,
        link_bytes_per_s=values["link_gb_per_s"] * GB,
        node_link_bytes_per_s=values["node_link_gb_per_s"] * GB,
        gpus_per_node=values["gpus_per_node"],
        power_watt=values["power_watt"],
    )
    return AcceleratorRecord(
        accelerator=accelerator,
        id=row["id"],
        label=row["label"],
        vendor=row["vendor"],
        family=row["family"],
        form=row["form"],
        year=int(values["year"]),
        aliases=tuple(alias for alias in row["aliases"].split("|") if alias),
        marketing_memory_gb=values["marketing_memory_gb"],
        interconnect=row["interconnect"],
        link_scope=row["link_scope"],
        peak_status=row["peak_status"],
        memory_status=row["memory_status"],
        link_status=row["link_status"],
        source=row["source"],
        checked=row["checked"],
        notes=row["notes"],
    )


def _number(row: Mapping[str, str], key: str, where: str) -> float:
    low, high = _RANGES[key]
    try:
        value = float(row[key])
    except ValueError:
        raise InputError(f"{where}: {key} = {row[key]!r} is no number.") from None
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"{where}: {key} = {value:g} is outside {low:g} to {high:g}; check unit and digits.")
    return value


# A lower precision at most doubles the dense rate of the one above; twice that is a sparse figure.
_DOUBLING = 2.1


def _check_peaks(values: Mapping[str, float], where: str) -> None:
    sixteen = max(values["fp16_tflop_per_s"], values["bf16_tflop_per_s"])
    if not sixteen:
        raise InputError(f"{where}: both fp16 and bf16 peaks are 0; one must be known.")
    for key, against, times in (("fp8_tflop_per_s", sixteen, _DOUBLING),):
        if values[key] > times * against:
            raise InputError(
                f"{where}: {key} = {values[key]:g} is more than {times:g} times the 16-bit peak"
                f" {against:g}: it looks like the sparse figure; write the dense one."
            )


_MAKERS = re.compile(r"\b(nvidia|geforce|amd|instinct|intel|habana|google|cloud|aws|tesla)\b")


def _key(name: str) -> str:
    """What is left of a name without case, makers and punctuation."""
    return re.sub(r"[^a-z0-9]", "", _MAKERS.sub("", name.casefold()))


@cache
def _ids_by_key() -> Mapping[str, str]:
    return {
        _key(name): record.id for record in accelerators().values() for name in (record.id, *record.aliases)
    }
