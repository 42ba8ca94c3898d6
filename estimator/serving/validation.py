"""Measured throughput of inference engines beside the model's answer."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import get_args

import numpy as np

from estimator.accelerators import resolve_accelerator
from estimator.errors import InputError, UnknownNameError
from estimator.models import resolve_model
from estimator.serving.setup import Engine, KvDtype, ServedDtype, ServingSetup
from estimator.serving.throughput import serving

VLLM_V1_DATE = "2025-01"
"""vLLM measurements before this month were made with its first engine (0.6 and before)."""

DATA_PARALLEL_EXPERTS = 8
"""Mixtures of more experts than this are served with data-parallel attention and spread experts."""


DTYPE_ALIASES: Mapping[str, str] = {
    "bf16": "fp16",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "w4a16": "int4",
    "w8a16": "int8",
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measured row and its prediction.

    Attributes:
        id, model, gpu, weights_dtype, engine: of the row.
        predicted, measured: generated tokens per second and accelerator; predicted is None where there is no
            prediction.
        reason: why there is none; empty where there is one.
    """

    id: str
    model: str
    gpu: str
    weights_dtype: str
    engine: str
    predicted: float | None
    measured: float
    reason: str = ""


def calibration_rows() -> list[dict[str, str]]:
    """The measured rows that the constants were fitted on."""
    path = resources.files("estimator") / "data" / "calibration_serving.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def setup_of_row(row: Mapping[str, str]) -> ServingSetup:
    """The setup of one measured row.

    Columns: model, gpu, gpus, tp, weights_dtype, engine, input_tokens, output_tokens, batch (empty: as many as
    memory holds), date. GPUs beyond tp are further replicas; without a tp all are one. The cache has 8 bits
    where tensorrt-llm serves 8-bit or 4-bit weights, else 16. The tp ranks of a mixture of many experts hold
    its experts between them while each attends to its own sequences.

    Raises:
        InputError, UnknownNameError: a value that is not known or no number.
    """
    engine, dtype = row["engine"], DTYPE_ALIASES.get(row["weights_dtype"], row["weights_dtype"])
    if engine == "vllm" and row.get("date", "") and row["date"] < VLLM_V1_DATE:
        engine = "vllm-0.6"
    for name, value, allowed in (
        ("engine", engine, get_args(Engine)),
        ("weights dtype", dtype, get_args(ServedDtype)),
    ):
        if value not in allowed:
            raise UnknownNameError(name, value, allowed, where=row.get("id", "row"))
    kv: KvDtype = "fp8" if engine == "tensorrt-llm" and dtype in ("fp8", "fp4") else "fp16"
    architecture = resolve_model(row["model"]).architecture
    ranks = _number(row, "tp" if row.get("tp") else "gpus")
    spread = architecture.experts > DATA_PARALLEL_EXPERTS
    return ServingSetup(
        architecture=architecture,
        accelerator=resolve_accelerator(row["gpu"]).accelerator,
        weights_dtype=dtype,  # type: ignore[arg-type]
        kv_dtype=kv,
        engine=engine,  # type: ignore[arg-type]
        tp=1.0 if spread else ranks,
        ep=ranks if spread else 1.0,
        input_tokens=_number(row, "input_tokens"),
        output_tokens=_number(row, "output_tokens"),
        batch=_number(row, "batch") if row.get("batch") else None,
    )


def _number(row: Mapping[str, str], key: str) -> float:
    text = row.get(key) or ""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not value > 0.0:
        raise InputError(f"{row.get('id', 'row')}: {key} = {text!r} is not a positive number.")
    return value


def compare(*, rows: Iterable[Mapping[str, str]], constants: Mapping[str, float]) -> Iterator[Comparison]:
    """Each row with what the model says about it, in the order given."""
    for row in rows:
        predicted: float | None = None
        reason = ""
        try:
            answer = serving(setup=setup_of_row(row), constants=constants)
            if np.all(answer.fits):
                predicted = float(answer.output_tokens_per_s_per_gpu)
            else:
                reason = "does not fit in memory"
        except (InputError, UnknownNameError) as error:
            reason = str(error)
        yield Comparison(
            id=row["id"],
            model=row["model"],
            gpu=row["gpu"],
            weights_dtype=row["weights_dtype"],
            engine=row["engine"],
            predicted=predicted,
            measured=float(row["output_tokens_per_s_per_gpu"]),
            reason=reason,
        )
