"""Measured training runs in a CSV file, read into runs that can be predicted.

Columns: model, method, gpu, micro_batch and seq_len are required; the rest may be absent or empty and is then
filled by the rules of `stack_defaults`, as the stack itself would by default. A row that cannot be read is
kept as a problem with its line and reason; it is never dropped and never stops the reading.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estimator.accelerator import Accelerator
from estimator.accelerators import resolve_accelerator
from estimator.errors import InputError, UnknownNameError, close_matches, separator_hint
from estimator.models import resolve_model
from estimator.numbers import GIB
from estimator.parameters import check_targets
from estimator.run import Run, choice, lora_roles
from estimator.stack_defaults import stack_defaults

DATA = Path(__file__).parent / "data"

REQUIRED = ("model", "method", "gpu", "micro_batch", "seq_len")
SHIPPED = ("memory", "speed")
GENERIC_ACCELERATOR = "a100-80gb-sxm"
MEMORY_KINDS = ("allocated", "reserved", "active", "nvidia-smi", "unknown")

OTHER_MEMORY = {"reserved_gib": "reserved", "device_gib": "nvidia-smi"}
"""Columns of further memory figures, and which kind they are."""

MEASURED = ("peak_memory_gib", "memory_kind", "tokens_per_s_per_gpu", *OTHER_MEMORY, "outcome")
"""Columns of what was measured."""

SETTINGS = (
    *REQUIRED, "quantization", "experts_quantized", "weights_dtype", "compute_dtype", "autocast", "optimizer",
    "lora_rank", "lora_targets", "also_trained", "gpus", "sharding", "tp", "pp", "cp", "ep", "offload",
    "global_batch", "packed", "recompute", "attention", "stack", "loss",
)  # fmt: skip
"""Columns of what was run."""

UNUSED = (
    "date", "steps", "step_s_median", "step_s_low", "step_s_high", "parameters", "trainable_parameters",
    "device", "memory_total_gib", "clock_mhz", "power_cap_watt", "driver", "cuda", "torch", "transformers", "peft",
    "bitsandbytes", "python", "predicted_allocated_gib", "predicted_reserved_gib", "predicted_device_gib",
    "predicted_tokens_per_s_per_gpu", "predicted_with",
)  # fmt: skip
"""Columns that ``ftcost measure`` writes for people."""

KNOWN = ("id", "source", "notes", *SETTINGS, *MEASURED, *UNUSED)

OUT_OF_MEMORY = "out-of-memory"
"""The outcome of a run that exhausted its card."""

SAYS_OUT_OF_MEMORY = ("oom", OUT_OF_MEMORY)
"""What people write for it, in the column ``outcome`` or in place of a measured figure."""

CPU = "cpu"
"""What stands for the card in a row that was run without one."""


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """One measured run.

    Attributes:
        id, source, notes: as in the file ("line N" where there is no id).
        run: its settings.
        gpu: canonical accelerator name; "" where the row names none.
        peak_memory_bytes: what was measured, None where it was not.
        memory_kind: which figure the row means; "unknown" where it does not say.
        other_memory_bytes: further memory figures of the same run by kind (columns reserved_gib, device_gib).
        out_of_memory: the run exhausted its card.
        tokens_per_s_per_gpu: likewise.
        assumed: settings the row does not state, with the values taken ("recompute=full").
    """

    id: str
    source: str
    notes: str
    run: Run
    gpu: str
    peak_memory_bytes: float | None
    memory_kind: str
    tokens_per_s_per_gpu: float | None
    assumed: tuple[str, ...]
    other_memory_bytes: tuple[tuple[str, float], ...] = ()
    out_of_memory: bool = False

    @property
    def memories(self) -> tuple[tuple[str, float], ...]:
        """Every memory figure with its kind."""
        own = () if self.peak_memory_bytes is None else ((self.memory_kind, self.peak_memory_bytes),)
        return own + self.other_memory_bytes

    @property
    def bounds_memory(self) -> bool:
        """Whether the run says no more of its memory than that a known card has too little."""
        return self.out_of_memory and bool(self.gpu) and not self.memories


@dataclass(frozen=True, kw_only=True)
class RowProblem:
    """A row that cannot be predicted: its id, its line in the file, and why."""

    id: str
    line: int
    reason: str


def read_runs(path: str | Path | None = None) -> tuple[list[MeasuredRow], list[RowProblem]]:
    """Rows of a CSV file, or of the calibration file shipped under the name "memory" or "speed".

    None reads both shipped files.

    Raises:
        InputError: no such file, not UTF-8, or a required column is missing.
    """
    if path is None:
        both = [read_runs(name) for name in SHIPPED]
        return [row for rows, _ in both for row in rows], [p for _, found in both for p in found]
    if str(path) in SHIPPED:
        text = (DATA / f"calibration_{path}.csv").read_text(encoding="utf-8")
        return _read(text, where=f"calibration_{path}.csv")
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{file}: cannot be read as a CSV file in UTF-8 ({problem}).") from error
    return _read(text, where=str(file))


def unread_columns(columns: Iterable[str], *, known: Sequence[str] = KNOWN) -> tuple[str, ...]:
    """Columns that say nothing to us, each with the closest known names.

    >>> unread_columns(["model", "peak_gib", "colour"])
    ('peak_gib (closest: peak_memory_gib)', 'colour')
    """
    found = []
    for column in columns:
        if column and column not in known:
            names = ", ".join(close_matches(column, known, limit=1))
            found.append(f"{column} (closest: {names})" if names else column)
    return tuple(found)


def _read(text: str, *, where: str) -> tuple[list[MeasuredRow], list[RowProblem]]:
    table = csv.DictReader(text.splitlines())
    missing = [column for column in REQUIRED if column not in (table.fieldnames or [])]
    if missing:
        columns = f"column{'s' * (len(missing) > 1)} {', '.join(missing)}"
        hint = separator_hint(text.partition("\n")[0])
        raise InputError(f"{where} lacks the {columns}; required: {', '.join(REQUIRED)}.{hint}")
    rows: list[MeasuredRow] = []
    problems: list[RowProblem] = []
    for cells in table:
        line = table.line_num
        name = (cells.get("id") or "").strip() or f"line {line}"
        try:
            if cells.get(None):
                raise InputError("has more cells than the header has columns.")
            filled = {key: (value or "").strip() for key, value in cells.items()}
            rows.append(measured_row(filled, name=name))
        except (InputError, UnknownNameError) as error:
            problems.append(RowProblem(id=name, line=line, reason=str(error)))
    return rows, problems


def measured_row(cells: Mapping[str, str], *, name: str) -> MeasuredRow:
    """One row from its cells.

    Raises:
        InputError, UnknownNameError: a cell that cannot be used; the message names it and what is allowed.
    """
    for column in ("model", "method", "micro_batch", "seq_len"):
        if not cells.get(column):
            raise InputError(f"{column} is empty.")
    if cells.get("gpu") == CPU:
        raise InputError("was run on the CPU, for which nothing is predicted.")
    stack = choice("stack", cells.get("stack") or "hf", where="stack")
    method = choice("method", cells["method"], where="method")
    gpus = _number(cells, "gpus", 1.0)
    defaults = stack_defaults(
        stack=stack,
        method=method,
        gpus=gpus,
        sharding=cells.get("sharding") or "",
        autocast=cells.get("autocast") or "",
        quantization=cells.get("quantization") or "",
    )
    assumed: list[str] = []

    def cell(column: str) -> str:
        value = cells.get(column) or ""
        if not value and defaults.get(column):
            adapter_only = column in ("lora_rank", "lora_targets") and method == "full"
            if not adapter_only:
                assumed.append(f"{column}={defaults[column]}")
            return defaults[column]
        return value

    def one_of(column: str) -> Any:
        return choice(column, cell(column), where=column)

    optimizer, _, manner = cell("optimizer").partition(" ")
    if manner not in ("", "in-backward"):
        raise UnknownNameError("optimizer manner", manner, ["in-backward"], where="optimizer")

    def yes(column: str, otherwise: str) -> bool:
        value = cells.get(column) or otherwise
        if value not in ("yes", "no"):
            raise UnknownNameError(column, value, ["yes", "no"], where=column)
        return value == "yes"

    autocast = yes("autocast", cell("autocast"))
    # Of published runs of the Transformers trainer, those that state autocast are the unpacked ones.
    packed = yes("packed", "no" if cells.get("autocast") == "yes" and stack == "hf" else "yes")
    experts_quantized = yes("experts_quantized", "yes")
    gpu, accelerator = _accelerator(cells)
    if not gpu:
        assumed.append(f"gpu={GENERIC_ACCELERATOR}")
    micro_batch = _number(cells, "micro_batch", 1.0)
    degrees = {axis: _number(cells, axis, 1.0) for axis in ("tp", "pp", "cp", "ep")}
    replicas = gpus / (degrees["tp"] * degrees["pp"] * degrees["cp"])
    if replicas < 1.0:
        raise InputError(f"tp x pp x cp is more than gpus = {gpus:g}.")
    seq_len = _number(cells, "seq_len", 0.0)
    adapters = method != "full"
    run = Run(
        architecture=resolve_model(cells["model"]).architecture,
        accelerator=accelerator,
        method=method,  # type: ignore[arg-type]
        quantization=one_of("quantization"),
        experts_quantized=experts_quantized,
        weights_dtype=one_of("weights_dtype"),
        compute_dtype=one_of("compute_dtype"),
        autocast=autocast,
        optimizer=choice("optimizer", optimizer, where="optimizer"),  # type: ignore[arg-type]
        optimizer_in_backward=manner == "in-backward",
        lora_rank=_value(cell("lora_rank"), "lora_rank") if adapters else 0.0,
        lora_targets=lora_roles(cell("lora_targets"), where="lora_targets") if adapters else (),
        also_trained=_also_trained(cells),
        gpus=gpus,
        sharding=one_of("sharding"),
        offload=one_of("offload"),
        micro_batch=micro_batch,
        global_batch=_global_batch(cells, micro_batch * replicas, seq_len),
        seq_len=seq_len,
        packed=packed,
        recompute=one_of("recompute"),
        attention=one_of("attention"),
        stack=stack,  # type: ignore[arg-type]
        loss=one_of("loss"),
        **degrees,
    )
    figures = {column: cells.get(column) or "" for column in ("peak_memory_gib", "tokens_per_s_per_gpu")}
    ran_out = any(_says_out_of_memory(text) for text in (cells.get("outcome") or "", *figures.values()))
    gib, speed = ("" if _says_out_of_memory(text) else text for text in figures.values())
    kind = cells.get("memory_kind") or "unknown"
    if gib and kind not in MEMORY_KINDS:
        raise UnknownNameError("memory kind", kind, MEMORY_KINDS, where="memory_kind")
    if speed and not gpu:
        raise InputError("gpu is empty, and speed depends on it.")
    if adapters:
        check_targets(architecture=run.architecture, targets=run.lora_targets)
    return MeasuredRow(
        id=name,
        source=cells.get("source", ""),
        notes=cells.get("notes", ""),
        run=run,
        gpu=gpu,
        peak_memory_bytes=_value(gib, "peak_memory_gib") * GIB if gib else None,
        memory_kind=kind,
        tokens_per_s_per_gpu=_value(speed, "tokens_per_s_per_gpu") if speed else None,
        assumed=tuple(assumed),
        other_memory_bytes=tuple(
            (kind, _value(cells[column], column) * GIB)
            for column, kind in OTHER_MEMORY.items()
            if cells.get(column) and kind != (cells.get("memory_kind") if gib else None)
        ),
        out_of_memory=ran_out,
    )


def _says_out_of_memory(text: str) -> bool:
    return text.lower().replace(" ", "-").replace("_", "-") in SAYS_OUT_OF_MEMORY


def _accelerator(cells: Mapping[str, str]) -> tuple[str, Accelerator]:
    if not cells.get("gpu"):
        return "", resolve_accelerator(GENERIC_ACCELERATOR).accelerator
    accelerator = resolve_accelerator(cells["gpu"]).accelerator
    return str(accelerator.id), accelerator


def _also_trained(cells: Mapping[str, str]) -> tuple[str, ...]:
    names = (cells.get("also_trained") or "").split()
    for name in names:
        if name not in ("embeddings", "head"):
            raise UnknownNameError("module", name, ["embeddings", "head"], where="also_trained")
    return tuple(names)


def _global_batch(cells: Mapping[str, str], default: float, seq_len: float) -> float:
    """Sequences per step; the cell may also say tokens ("500000 tokens", "0.5M tokens")."""
    text = cells.get("global_batch") or ""
    if not text.endswith(" tokens"):
        return _number(cells, "global_batch", default)
    amount = text.removesuffix(" tokens")
    millions = amount.endswith("M")
    return _value(amount.removesuffix("M"), "global_batch") * (1e6 if millions else 1.0) / seq_len


def _number(cells: Mapping[str, str], column: str, default: float) -> float:
    text = cells.get(column) or ""
    return _value(text, column) if text else default


def _value(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{column} = {text!r} is not a number.") from None
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{column} = {text} must be a positive number.")
    return value
