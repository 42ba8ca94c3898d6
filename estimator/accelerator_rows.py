"""Rows of the accelerator catalogue: what a row holds, and the checks that every row passes before use."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Literal, get_args

from estimator.accelerator import Accelerator
from estimator.errors import InputError, UnknownNameError
from estimator.numbers import GB, GIB

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
    "cpu",
]
Form = Literal["sxm", "pcie", "consumer", "workstation", "superchip", "oam", "tpu", "trn", "inf", "cpu"]
#: From firmest to weakest.
FigureStatus = Literal["measured", "published", "computed", "recalled", "guess"]

TERA = 1e12


@dataclass(frozen=True, kw_only=True)
class AcceleratorRecord:
    """One accelerator of the catalogue: the numbers, and what a person must know about them.

    Attributes:
        accelerator: the figures that formulas use, as floats in base units.
        id: canonical name ("h100-80gb-sxm").
        label: name for people.
        vendor, family, form: maker; key of the measured constants; how it is built in.
        year: of first shipment.
        aliases: other names that mean this part.
        marketing_memory_gb: memory as sold.
        interconnect: the link inside the node, in words.
        link_scope: among whom the link runs at that rate ("node", "NVL72 rack", "pod").
        peak_status: of the matrix peaks: measured, published (re-read at the source named), computed (from
            published figures), recalled (not re-read) or guess.
        memory_status: of capacity and bandwidth; measured where the driver's total was seen.
        link_status: of the link inside the node.
        node_link_status: of the link between nodes: what rented machines usually have, a guess where they
            differ widely.
        source, checked: where the figures come from, and the ISO date on which the row was last gone over.
        notes: pitfalls, and where sources disagree.
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
    node_link_status: str
    source: str
    checked: str
    notes: str

    @property
    def status(self) -> str:
        """The weakest status among peaks, memory and the link inside the node."""
        order = get_args(FigureStatus)
        return max((self.peak_status, self.memory_status, self.link_status), key=order.index)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "vendor": get_args(Vendor),
    "family": get_args(Family),
    "form": get_args(Form),
    "peak_status": get_args(FigureStatus),
    "memory_status": get_args(FigureStatus),
    "link_status": get_args(FigureStatus),
    "node_link_status": get_args(FigureStatus),
}
_NEEDED = ("id", "label", *_CHOICES, "interconnect", "link_scope", "source", "checked")
_OPTIONAL = ("aliases", "notes")
#: Lowest and highest value that a real part has; catches slips of unit and of digit.
_RANGES: Mapping[str, tuple[float, float]] = {
    "year": (2017, 2030),
    "marketing_memory_gb": (4, 1_000),
    "memory_gib": (4, 1_000),
    "memory_gb_per_s": (100, 30_000),
    "fp32_tflop_per_s": (1, 500),
    "fp16_tflop_per_s": (0, 6_000),
    "bf16_tflop_per_s": (0, 6_000),
    "fp8_tflop_per_s": (0, 12_000),
    "int8_tflop_per_s": (0, 12_000),
    "fp4_tflop_per_s": (0, 25_000),
    "link_gb_per_s": (1, 3_000),
    "node_link_gb_per_s": (0.1, 400),
    "gpus_per_node": (1, 10_000),
    "power_watt": (20, 3_000),
}
#: A processor's share of a socket has less of everything.
_CPU_RANGES = {**_RANGES, "memory_gb_per_s": (20, 2_000), "fp32_tflop_per_s": (0.1, 50)}
COLUMNS = (*_NEEDED, *_OPTIONAL, *_RANGES)


def read_accelerators(text: str, *, file: str) -> Mapping[str, AcceleratorRecord]:
    """The rows of a catalogue file by id, checked.

    Args:
        text: CSV with the columns of the shipped catalogue.
        file: its name, for messages.

    Raises:
        InputError: unknown or missing column, empty or wrong cell, value out of range, id or alias that
            stands twice, peak that looks like a sparse figure. The message names file, line, row and key.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    header = reader.fieldnames or ()
    for column in header:
        if column not in COLUMNS:
            raise UnknownNameError("column", column, COLUMNS, where=file)
    for column in COLUMNS:
        if column not in header:
            raise InputError(f"{file} lacks the column {column!r}; every accelerator needs one.")
    records: dict[str, AcceleratorRecord] = {}
    owners: dict[str, str] = {}
    for row in reader:
        where = f"{file}, line {reader.line_num} ({row['id'] or 'no id'})"
        record = _record(row, where)
        if record.id in records:
            raise InputError(f"{where}: the id {record.id} stands twice; rename or remove one row.")
        records[record.id] = record
        for name in (record.id, *record.aliases):
            owner = owners.setdefault(name_key(name), record.id)
            if owner != record.id:
                raise InputError(
                    f"{where}: {name!r} already means {owner}; a name means one part only, remove it from one."
                )
    return MappingProxyType(records)


_MAKERS = frozenset(("nvidia", "geforce", "amd", "instinct", "intel", "habana", "google", "cloud", "aws", "tesla"))


def name_key(name: str) -> str:
    """A name without case, punctuation and makers: two names with one key mean the same part.

    >>> name_key("NVIDIA GeForce RTX 4090"), name_key("rtx-4090")
    ('rtx4090', 'rtx4090')
    """
    return "".join(word for word in re.split(r"[^a-z0-9]+", name.casefold()) if word not in _MAKERS)


def _record(row: Mapping[str, Any], where: str) -> AcceleratorRecord:
    if None in row or None in row.values():
        raise InputError(f"{where}: more or fewer cells than columns; quote the cells that hold commas.")
    for key in _NEEDED:
        if not row[key].strip():
            raise InputError(f"{where}: {key} is empty; every accelerator needs one.")
    for key, allowed in _CHOICES.items():
        if row[key] not in allowed:
            raise UnknownNameError(key.replace("_", " "), row[key], allowed, where=where)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"]):
        raise InputError(f"{where}: id = {row['id']!r}; write small letters and digits joined by hyphens.")
    try:
        date.fromisoformat(row["checked"])
    except ValueError:
        raise InputError(f"{where}: checked = {row['checked']!r} is no date; write it as 2026-11-21.") from None
    ranges = _CPU_RANGES if row["form"] == "cpu" else _RANGES
    values = {key: _number(row[key], key, limits, where) for key, limits in ranges.items()}
    _check_peaks(values, vendor=row["vendor"], family=row["family"], form=row["form"], where=where)
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
        node_link_status=row["node_link_status"],
        source=row["source"],
        checked=row["checked"],
        notes=row["notes"],
    )


def _number(cell: str, key: str, limits: tuple[float, float], where: str) -> float:
    low, high = limits
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{where}: {key} = {cell!r} is no number; allowed: {low:g} to {high:g}.") from None
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"{where}: {key} = {value:g} is outside {low:g} to {high:g}; check unit and digits.")
    return value


_SPARSE = "it looks like the figure with sparsity, which is twice the dense one; write the dense one"


def _check_peaks(values: Mapping[str, float], *, vendor: str, family: str, form: str, where: str) -> None:
    """Halving the width of a number at most doubles the dense rate; GeForce cards have their own ratios.

    GeForce cards run tensor cores at half rate with fp32 accumulation, integers and 4-bit floats at full
    rate: int8 and fp4 are up to four times the 16-bit and the fp8 peak there. Three allows for parts whose
    4-bit units were widened (B300). Cards from Ampere on do at most two 16-bit FLOP with fp32 accumulation
    per fp32 FLOP where they are GeForce.
    """
    sixteen = max(values["fp16_tflop_per_s"], values["bf16_tflop_per_s"])
    fp8, int8 = values["fp8_tflop_per_s"], values["int8_tflop_per_s"]
    if not sixteen:
        raise InputError(f"{where}: fp16_tflop_per_s and bf16_tflop_per_s are both 0; write at least one.")
    geforce = form == "consumer"
    limits = (
        ("fp8_tflop_per_s", 2.1, "16-bit", sixteen),
        ("int8_tflop_per_s", 4.1 if geforce else 2.1, "16-bit", sixteen),
        ("fp4_tflop_per_s", 4.1 if geforce else 3.1, "fp8", fp8),
    )
    for key, times, than, peak in limits:
        if values[key] > times * peak:
            raise InputError(
                f"{where}: {key} = {values[key]:g} is more than {times:g} times the {than} peak {peak:g}:"
                f" {_SPARSE}."
            )
    eight = fp8 or int8
    if vendor == "nvidia" and eight and sixteen > eight / 1.9:
        raise InputError(
            f"{where}: the 16-bit peak {sixteen:g} is more than half of the 8-bit peak {eight:g}: {_SPARSE}."
        )
    if geforce and family != "turing" and sixteen > 2.1 * values["fp32_tflop_per_s"]:
        raise InputError(
            f"{where}: the 16-bit peak {sixteen:g} is more than 2.1 times the fp32 peak: GeForce cards run at"
            " half rate with fp32 accumulation; write that rate."
        )
