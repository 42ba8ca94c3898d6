"""What is to be measured: one training setting, or a grid of them from a CSV or TOML file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import tomli

from estimator.errors import InputError, UnknownNameError, separator_hint
from estimator.measured import GENERIC_ACCELERATOR, measured_row
from estimator.measuring.configs import config_keys, module_names
from estimator.run import Run

GRIDS = ("small", "full")
GRID_FILE = "measure_grid.csv"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": ("full", "lora", "qlora"),
    "quantization": ("nf4", "nf4-double"),
    "weights_dtype": ("bf16", "fp16", "fp32"),
    "autocast": ("yes", "no"),
    "optimizer": ("adamw", "adamw-fused", "adamw-8bit", "paged-adamw"),
    "recompute": ("none", "full"),
    "attention": ("flash", "eager"),
    "stack": ("hf", "hf-compile"),
    "loss": ("full", "fused"),
}
"""What the harness can run, of what a measured row can say."""

COLUMNS = ("model", *CHOICES, "lora_rank", "lora_targets", "micro_batch", "seq_len")
DEFAULTS = {
    "weights_dtype": "bf16",
    "autocast": "no",
    "optimizer": "adamw",
    "recompute": "full",
    "attention": "flash",
    "stack": "hf",
    "loss": "full",
    "micro_batch": "1",
}
SCALED_LOGITS = frozenset({"cohere", "gemma2", "granite"})
"""Families that change their logits after the head, which the fused loss does not."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One training setting: its cells in the columns of measured runs, and the run that they mean.

    ``run`` stands on some card; `on` puts it on another.
    """

    id: str
    cells: Mapping[str, str]
    run: Run

    def on(self, gpu: str) -> Setting:
        """The same setting on a card of the catalogue."""
        cells = {**self.cells, "gpu": gpu}
        return Setting(id=self.id, cells=cells, run=measured_row(cells, name=self.id).run)


def setting(cells: Mapping[str, str], *, where: str) -> Setting:
    """A setting from its cells, checked; what is left empty takes the stack's usual value.

    Raises:
        InputError, UnknownNameError: a cell that cannot be run here, with the place it stands in.
    """
    try:
        return _setting({key: value.strip() for key, value in cells.items() if value and value.strip()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _setting(given: dict[str, str]) -> Setting:
    for column in given:
        if column not in COLUMNS:
            raise UnknownNameError("column", column, COLUMNS)
    for column in ("model", "method", "seq_len"):
        if column not in given:
            raise InputError(f"{column} is empty.")
    for column, allowed in CHOICES.items():
        if column in given and given[column] not in allowed:
            raise UnknownNameError(column.replace("_", " "), given[column], allowed)
    cells = {**DEFAULTS, **given, "gpus": "1", "sharding": "none", "packed": "yes"}
    method = cells["method"]
    cells["compute_dtype"] = "fp16" if cells["weights_dtype"] == "fp16" else "bf16"
    if method == "qlora":
        cells.setdefault("quantization", "nf4")
        if given.get("autocast") == "no":
            raise InputError(
                "method = qlora is measured under autocast only, as the Trainer runs it: without it, attention"
                " would run in fp32, for which fused kernels are missing. Drop autocast = no."
            )
        cells["autocast"] = "yes"
    elif "quantization" in cells:
        raise InputError(f"quantization = {cells['quantization']} goes with method = qlora, not {method}.")
    if method == "full":
        for column in ("lora_rank", "lora_targets"):
            if column in given:
                raise InputError(f"{column} goes with an adapter method, not full.")
    else:
        cells.setdefault("lora_rank", "16")
        cells.setdefault("lora_targets", "all")
    if cells["weights_dtype"] == "fp32" and cells["autocast"] == "no":
        raise InputError("weights_dtype = fp32 is measured under autocast only; say autocast = yes.")
    for column in ("micro_batch", "seq_len", "lora_rank"):
        if column in cells and not cells[column].isdecimal():
            raise InputError(f"{column} = {cells[column]!r} is not a whole number above 0.")
    run = measured_row({**cells, "gpu": GENERIC_ACCELERATOR}, name="setting").run
    shape = run.architecture
    config_keys(shape)
    if method != "full":
        if shape.experts and set(run.lora_targets) & {"gate", "up", "down"}:
            run = _attention_only(cells, given)
        module_names(family=shape.family, roles=run.lora_targets)
    if shape.experts and method == "qlora":
        cells["experts_quantized"] = "no"
        run = run.with_(experts_quantized=False)
    if cells["loss"] == "fused" and shape.family in SCALED_LOGITS:
        raise InputError(f"loss = fused is not made for {shape.family}, which changes its logits after the head.")
    if cells["loss"] == "fused" and "head" in run.lora_targets:
        raise InputError("loss = fused reads the head's own weight, so adapters cannot sit on the head.")
    cells["model"] = shape.id
    cells["lora_targets"] = " ".join(run.lora_targets)
    return Setting(id=_id(cells), cells={key: value for key, value in cells.items() if value}, run=run)


def _attention_only(cells: dict[str, str], given: Mapping[str, str]) -> Run:
    """Adapters of a mixture go to attention: Transformers keeps its experts as one tensor, not as modules."""
    if given.get("lora_targets", "all") != "all":
        raise InputError("adapters cannot go to gate, up or down of a mixture here. Use lora_targets = attention.")
    cells["lora_targets"] = "attention"
    return measured_row({**cells, "gpu": GENERIC_ACCELERATOR}, name="setting").run


def _id(cells: Mapping[str, str]) -> str:
    """A name that tells settings apart: model, method, batch and length, then what is not usual."""
    parts = [cells["model"].rpartition("/")[2].removesuffix(".json").lower(), cells["method"]]
    parts.append(f"{cells['micro_batch']}x{cells['seq_len']}")
    parts.append("recompute" if cells["recompute"] == "full" else "keep")
    usual = {**DEFAULTS, "quantization": "nf4", "lora_rank": "16"}
    for column in ("weights_dtype", "optimizer", "attention", "stack", "loss", "quantization", "lora_rank"):
        value = cells.get(column, "")
        if value and value != usual[column]:
            parts.append({"lora_rank": f"r{value}", "loss": f"{value}-loss"}.get(column, value))
    if cells["autocast"] == "yes" and cells["method"] != "qlora":
        parts.append("autocast")
    roles = cells.get("lora_targets", "").split()
    if roles and roles != ["q", "k", "v", "o", "gate", "up", "down"]:
        parts.append("".join(role[0] for role in roles))
    return "-".join(parts)


def read_grid(name: str, *, model: str | None = None) -> list[Setting]:
    """The settings of a shipped grid ("small", "full") or of a CSV or TOML file, each once, in file order.

    A TOML file holds [[setting]] tables; a list of values stands for one setting each, in all combinations.
    ``model`` takes the place of the file's models.

    Raises:
        InputError: no such file, or a setting that cannot be run; with its place.
    """
    if name in GRIDS:
        text = (resources.files("estimator") / "data" / GRID_FILE).read_text(encoding="utf-8")
        rows = [
            (place, row)
            for place, row in _csv(text, where=GRID_FILE, extra=("grid",))
            if name == "full" or row.pop("grid") == name
        ]
        entries: Iterable[tuple[str, dict[str, str]]] = [
            (place, {key: value for key, value in row.items() if key != "grid"}) for place, row in rows
        ]
    else:
        path = Path(name)
        if path.suffix.lower() not in (".csv", ".toml"):
            raise UnknownNameError("grid", name, GRIDS, hint="Or the path of a .csv or .toml file.")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"--grid {path}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})."
            ) from None
        entries = _csv(text, where=path.name) if path.suffix.lower() == ".csv" else _toml(text, where=path.name)
    found: dict[str, Setting] = {}
    for where, cells in entries:
        one = setting({**cells, **({"model": model} if model else {})}, where=where)
        found.setdefault(one.id, one)
    if not found:
        raise InputError(f"--grid {name}: holds no setting.")
    return list(found.values())


def _csv(text: str, *, where: str, extra: tuple[str, ...] = ()) -> list[tuple[str, dict[str, str]]]:
    table = csv.DictReader(text.splitlines())
    for column in table.fieldnames or ():
        if column not in (*COLUMNS, *extra):
            hint = separator_hint(column).strip()
            raise UnknownNameError("column", column, COLUMNS, where=where, hint=hint)
    rows = []
    for row in table:
        place = f"{where}, line {table.line_num}"
        if None in row:
            raise InputError(f"{place}: more cells than columns.")
        rows.append((place, {key: value or "" for key, value in row.items()}))
    return rows


def _toml(text: str, *, where: str) -> list[tuple[str, dict[str, str]]]:
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise InputError(f"{where}: {error}.") from None
    tables = document.get("setting")
    if not isinstance(tables, list) or set(document) != {"setting"}:
        raise InputError(f"{where}: write [[setting]] tables only, with keys such as model and seq_len.")
    rows = []
    for place, entry in enumerate(tables, 1):
        values = {key: value if isinstance(value, list) else [value] for key, value in entry.items()}
        for chosen in product(*values.values()):
            cells = {key: _text(value) for key, value in zip(values, chosen, strict=True)}
            rows.append((f"{where}, setting {place}", cells))
    return rows


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
