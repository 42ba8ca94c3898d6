"""Measured throughput of inference engines beside the model's answer."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from estimator.accelerator import Accelerator
from estimator.architecture import Architecture
from estimator.errors import InputError
from estimator.serving.setup import ENGINES, SERVED_DTYPES, Engine, KvDtype, ServedDtype, ServingSetup
from estimator.serving.throughput import serving


def setup_of_row(*, row: Mapping[str, str], architecture: Architecture, accelerator: Accelerator) -> ServingSetup:
    """The setup of one measured row (columns: model, gpu, gpus, tp, weights_dtype, engine, input_tokens,
    output_tokens, batch, notes).

    ``gpus`` above ``tp`` are further replicas. The cache follows the weights: 8 bits for fp8 and fp4 weights
    under tensorrt-llm, else 16.
    """
    dtype, engine = row["weights_dtype"], row["engine"]
    if dtype not in SERVED_DTYPES:
        raise InputError(f"weights_dtype {dtype!r} is not one of {', '.join(SERVED_DTYPES)}.")
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not one of {', '.join(ENGINES)}.")
    kv: KvDtype = "fp8" if engine == "tensorrt-llm" and dtype in ("fp8", "fp4") else "fp16"
    return ServingSetup(
        architecture=architecture,
        accelerator=accelerator,
        weights_dtype=dtype,  # type: ignore[arg-type]
        kv_dtype=kv,
        engine=engine,  # type: ignore[arg-type]
        tp=float(row["tp"] or 1),
        input_tokens=float(row["input_tokens"]),
        output_tokens=float(row["output_tokens"]),
        batch=float(row["batch"]) if row.get("batch") else None,
    )
