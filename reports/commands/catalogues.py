"""``ftcost models``, ``gpus``, ``prices`` and ``assumptions``: the catalogues as tables or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from estimator.errors import UnknownNameError
from estimator.numbers import GB, GIB
from reports.screen import Column, Screen
from reports.style import quantity

if TYPE_CHECKING:
    from estimator.assumptions import Assumption
    from pricing import ApiModel

PRICE_KINDS = ("gpu", "api", "hosted")
TERA = 1e12
PIPE_WIDTH = 1000
WIDE = 100
"""Columns from which sources are shown too."""

Row = Mapping[str, Any]
Columns = Sequence[tuple[str, str, str]]
"""Title, justification, key of the row."""


def _show(
    kind: str,
    rows: Iterable[Row],
    columns: Columns,
    *,
    text: str,
    as_json: bool,
    listing: str,
    meaning: str = "",
) -> None:
    """Print the rows that contain the text in any field; last, what the columns mean.

    Raises:
        UnknownNameError: no row contains it.
    """
    every = list(rows)
    wanted = text.casefold()
    kept = [row for row in every if wanted in " ".join(str(value) for value in row.values()).casefold()]
    if not kept:
        first = columns[0][2]
        raise UnknownNameError(kind, text, [str(row[first]) for row in every], hint=f"`{listing}` lists all.")
    if as_json:
        print(json.dumps(kept, indent=2, default=str))
        return
    screen = _screen()
    screen.table(
        [
            Column(title, number=justify == "right", whole=place == 0)
            for place, (title, justify, _) in enumerate(columns)
        ],
        [[_cell(row[key]) for _, _, key in columns] for row in kept],
    )
    screen.line(f"{len(kept)} of {len(every)}. {meaning}")


def _screen() -> Screen:
    """The terminal; in a pipe one line per row, so that other programs can read names whole."""
    return Screen() if sys.stdout.isatty() or os.environ.get("COLUMNS") else Screen(width=PIPE_WIDTH)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return quantity(value)
    return str(value)


def show_models(text: str, *, as_json: bool) -> None:
    """Models with their computed counts and licences."""
    from estimator.models import models
    from estimator.parameters import active_parameters, total_parameters

    def row(record: Any) -> Row:
        shape = record.architecture
        return {
            "id": record.id,
            "parameters": total_parameters(architecture=shape),
            "parameters_billion": total_parameters(architecture=shape) / GB,
            "active_billion": active_parameters(architecture=shape) / GB,
            "family": shape.family,
            "layers": shape.layers,
            "hidden": shape.hidden,
            "max_position": shape.max_position,
            "license": record.license,
            "commercial_use": record.commercial_use,
            "gated": record.gated,
            "released": record.released,
            "aliases": " ".join(record.aliases),
            "status": record.status,
            "source": record.source,
            "checked": record.checked,
        }

    columns = (
        ("model", "left", "id"),
        ("billion", "right", "parameters_billion"),
        ("active", "right", "active_billion"),
        ("licence", "left", "license"),
        ("commercial", "left", "commercial_use"),
    )
    _show(
        "model",
        map(row, models().values()),
        columns,
        text=text,
        as_json=as_json,
        listing="ftcost models",
        meaning="billion: parameters; active: of them used for a token.",
    )


def show_gpus(text: str, *, as_json: bool) -> None:
    """Accelerators with what matters for fit and speed."""
    from estimator.accelerators import accelerators

    def row(record: Any) -> Row:
        part = record.accelerator
        return {
            "id": record.id,
            "label": record.label,
            "family": record.family,
            "memory_gib": part.memory_bytes / GIB,
            "bandwidth_gb_s": part.memory_bytes_per_s / GB,
            "bf16_tflops": part.bf16_flop_per_s / TERA or None,
            "fp16_tflops": part.fp16_flop_per_s / TERA or None,
            "fp8_tflops": part.fp8_flop_per_s / TERA or None,
            "fp4_tflops": part.fp4_flop_per_s / TERA or None,
            "link_gb_s": part.link_bytes_per_s / GB,
            "node_link_gb_s": part.node_link_bytes_per_s / GB,
            "gpus_per_node": part.gpus_per_node,
            "power_watt": part.power_watt,
            "aliases": " ".join(record.aliases),
            "status": record.status,
            "source": record.source,
            "checked": record.checked,
            "notes": record.notes,
        }

    columns = (
        ("gpu", "left", "id"),
        ("GiB", "right", "memory_gib"),
        ("GB/s", "right", "bandwidth_gb_s"),
        ("bf16 TFLOP/s", "right", "bf16_tflops"),
        ("fp8", "right", "fp8_tflops"),
        ("link GB/s", "right", "link_gb_s"),
        ("figures", "left", "status"),
    )
    _show(
        "GPU",
        map(row, accelerators().values()),
        columns,
        text=text,
        as_json=as_json,
        listing="ftcost gpus",
        meaning="GiB: what the driver shows. TFLOP/s: dense peaks, not those of sparse matrices; fp8 alike. link:"
        " to the other cards of the machine, one direction. recalled: no source read again.",
    )


def show_prices(text: str, *, kind: str, as_of: date, as_json: bool) -> None:
    """Prices in force on a day.

    Raises:
        UnknownNameError: a kind of price that does not exist, or a text that no row contains.
    """
    import pricing

    if kind not in PRICE_KINDS:
        raise UnknownNameError("kind of price", kind, PRICE_KINDS, where="--kind")
    rows: Sequence[Any]
    columns: Columns
    if kind == "gpu":
        rows = pricing.offers(as_of=as_of)
        columns = (
            ("gpu", "left", "gpu"),
            ("provider", "left", "provider"),
            ("region", "left", "region"),
            ("x", "right", "gpus"),
            ("on-demand", "right", "on_demand_usd_per_gpu_hour"),
            ("spot", "right", "spot_usd_per_gpu_hour"),
            ("seen", "right", "seen"),
        )
        meaning = "on-demand, spot: USD per GPU-hour; x: GPUs of the instance; seen: the day the price was read."
    elif kind == "api":
        models = pricing.api_models(as_of=as_of)
        rows = models if as_json else [one for model in models for one in _with_changes(model)]
        columns = (
            ("model", "left", "model"),
            ("provider", "left", "provider"),
            ("tier", "left", "tier"),
            ("in", "right", "input_usd_per_million_tokens"),
            ("cached", "right", "cached_input_usd_per_million_tokens"),
            ("out", "right", "output_usd_per_million_tokens"),
            ("until", "right", "available_until"),
            ("seen", "right", "seen"),
        )
        meaning = (
            "in, cached, out: USD per million tokens; until: the last day of service, where it is known;"
            " seen: the day the price was read."
        )
    else:
        rows = pricing.hosted_finetuning(as_of=as_of)
        columns = (
            ("model", "left", "model"),
            ("provider", "left", "provider"),
            ("method", "left", "method"),
            ("aim", "left", "objective"),
            ("train", "right", "train_usd_per_million_tokens"),
            ("in", "right", "serve_input_usd_per_million_tokens"),
            ("out", "right", "serve_output_usd_per_million_tokens"),
            ("host/h", "right", "hosting_usd_per_hour"),
            ("until", "right", "available_until"),
        )
        meaning = (
            "train, in, out: USD per million tokens; host/h: USD per hour of a deployment; until: the last day of"
            " service, where it is known."
        )
    _show(
        f"{kind} price",
        map(asdict, rows),
        columns,
        text=text,
        as_json=as_json,
        listing=f"ftcost prices --kind {kind}",
        meaning=meaning,
    )


def _with_changes(model: ApiModel) -> list[ApiModel]:
    """The model, and below it the prices announced for later days, which stand in the place of its tier."""
    return [model, *(replace(one, tier=f"from {one.effective_from}") for one in model.changes)]


def show_assumptions(text: str, *, as_json: bool) -> None:
    """The registry: base, P10 and P90, unit, status, source."""
    from estimator.assumptions import shipped
    from estimator.money.owned import with_own_hardware

    known = with_own_hardware(shipped()).rows
    screen = _screen()
    columns: Columns
    if screen.width >= PIPE_WIDTH:
        rows: list[Row] = [asdict(row) for row in known]
        columns = (
            ("name", "left", "name"),
            ("base", "right", "base"),
            ("P10", "right", "low"),
            ("P90", "right", "high"),
            ("unit", "left", "unit"),
            ("status", "left", "status"),
            ("checked", "left", "checked"),
            ("source", "left", "source"),
        )
    else:
        wide = screen.width >= WIDE
        rows = [{**asdict(row), "basis": _basis(row, wide=wide)} for row in known]
        basis = "P10 to P90, unit; status" + ("; source; checked" if wide else "")
        columns = (("name", "left", "name"), ("base", "right", "base"), (basis, "left", "basis"))
    _show("assumption", rows, columns, text=text, as_json=as_json, listing="ftcost assumptions")
    if not as_json and screen.width < WIDE:
        screen.line("Sources and the days they were checked: --json, `ftcost explain NAME`, or 100 columns.")


def _basis(row: Assumption, *, wide: bool) -> str:
    """What an assumption rests on, in the column beside its base value."""
    spread = f"{quantity(row.low)} to {quantity(row.high)} " if row.low < row.high else ""
    if not wide:
        return f"{spread}{row.unit}; {row.status}"
    source = row.source if row.source.startswith(row.status) else f"{row.status}; {row.source}"
    return f"{spread}{row.unit}; {source}; checked {row.checked}"
