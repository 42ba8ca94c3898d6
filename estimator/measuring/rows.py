"""Rows of measured runs: predictions made beforehand, what was measured, and the file that holds them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from estimator.assumptions import Assumptions
from estimator.errors import InputError
from estimator.measuring.settings import Setting
from estimator.memory import memory
from estimator.numbers import GIB
from estimator.speed import speed

Row = dict[str, str]

FUSED_EXPERTS = "the experts are one tensor a layer, which bitsandbytes leaves alone and PEFT holds in fp32"
"""What QLoRA does to a mixture under Transformers 5, where `estimator.memory.stacks.upcast_base` is true."""

RUN_COLUMNS = (
    "id", "source", "date", "model", "method", "quantization", "experts_quantized", "weights_dtype",
    "compute_dtype", "autocast",
    "optimizer", "lora_rank", "lora_targets", "gpu", "gpus", "sharding", "micro_batch", "global_batch", "seq_len",
    "packed", "recompute", "attention", "stack", "loss",
    "peak_memory_gib", "memory_kind", "tokens_per_s_per_gpu", "notes",
)  # fmt: skip
PREDICTED_COLUMNS = (
    "predicted_allocated_gib", "predicted_reserved_gib", "predicted_device_gib", "predicted_tokens_per_s_per_gpu",
    "predicted_with",
)  # fmt: skip
FOUND_COLUMNS = (
    "reserved_gib", "device_gib", "outcome", "steps", "step_s_median", "step_s_low", "step_s_high", "parameters",
    "trainable_parameters", "device", "memory_total_gib", "clock_mhz", "power_cap_watt", "driver", "cuda", "torch",
    "transformers", "peft", "bitsandbytes", "python",
)  # fmt: skip
COLUMNS = (*RUN_COLUMNS, *PREDICTED_COLUMNS, *FOUND_COLUMNS)
"""Columns of measured runs first; predictions and what the harness found beside them."""


def predicted(setting: Setting, constants: Assumptions, *, version: str) -> Row:
    """What is expected of the setting on its card, before it is run."""
    held = memory(run=setting.run, constants=constants)
    going = speed(run=setting.run, constants=constants)
    return {
        "predicted_allocated_gib": f"{float(held.allocated_bytes) / GIB:.4g}",
        "predicted_reserved_gib": f"{float(held.reserved_bytes) / GIB:.4g}",
        "predicted_device_gib": f"{float(held.device_bytes) / GIB:.4g}",
        "predicted_tokens_per_s_per_gpu": f"{float(going.tokens_per_s_per_gpu):.5g}",
        "predicted_with": f"ftcost {version}",
    }


def described(setting: Setting, *, source: str, day: str) -> Row:
    """The setting's own cells as a row."""
    cells = {key: value for key, value in setting.cells.items() if key in RUN_COLUMNS}
    if cells.get("experts_quantized") == "no":
        cells["notes"] = FUSED_EXPERTS
    return {**cells, "id": setting.id, "source": source, "date": day, "global_batch": cells["micro_batch"]}


def measured(answer: Mapping[str, Any], *, tokens: float) -> Row:
    """What the child process found: figures where it came through, else the outcome and its reason."""
    found = {key: str(value) for key, value in answer.items() if key in FOUND_COLUMNS and value not in (None, "")}
    row: Row = dict(found)
    if answer.get("message"):
        row["notes"] = " ".join(str(answer["message"]).split())
    if answer["outcome"] != "ok":
        return row
    row["tokens_per_s_per_gpu"] = f"{tokens / answer['step_s_median']:.6g}"
    if answer.get("allocated_bytes"):
        row["peak_memory_gib"] = f"{answer['allocated_bytes'] / GIB:.5g}"
        row["memory_kind"] = "allocated"
        row["reserved_gib"] = f"{answer['reserved_bytes'] / GIB:.5g}"
        row["device_gib"] = f"{answer['device_bytes'] / GIB:.5g}"
    for name in ("step_s_median", "step_s_low", "step_s_high"):
        row[name] = f"{answer[name]:.5g}"
    return row


def rows_csv(rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> bytes:
    """The rows as CSV in UTF-8."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def read_rows(path: Path) -> list[Row]:
    """The rows of a file that this harness wrote.

    Raises:
        InputError: it cannot be read, or has other columns.
    """
    try:
        table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if tuple(table.fieldnames or ()) != COLUMNS:
        raise InputError(f"{path} has other columns than `ftcost measure` writes. Name another file with --out.")
    return [{key: value or "" for key, value in row.items()} for row in table]
