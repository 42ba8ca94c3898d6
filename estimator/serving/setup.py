"""The configuration of a serving replica, and what the model answers about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from estimator.accelerator import Accelerator
from estimator.architecture import Architecture
from estimator.numbers import Number

ServedDtype = Literal["fp16", "fp8", "fp4", "int8", "int4"]
KvDtype = Literal["fp16", "fp8"]
Engine = Literal["vllm", "vllm-0.6", "tensorrt-llm", "sglang", "lmdeploy"]

Flags = Any
"""A bool, or an array of bool of the block's shape."""


@dataclass(frozen=True, kw_only=True)
class ServingSetup:
    """One replica of an inference engine under full load, or a block of them.

    Categories are single strings; numbers are floats or arrays that broadcast (accelerators along the first
    axis, tensor-parallel degrees along the second).

    Attributes:
        architecture, accelerator: what is served, and on what.
        weights_dtype: of the stored weights. fp16 stands for bf16 too. fp8 and fp4 also run the matrix
            products at that rate where the part has such units; int8 and int4 are weight-only.
        kv_dtype: of the key-value cache.
        engine: inference engine.
        tp, pp: tensor and pipeline parallel degrees.
        ep: expert parallel degree: experts are spread over ``ep`` ranks while attention runs on each rank
            for its own sequences (data-parallel attention). The replica has tp x pp x ep accelerators.
        input_tokens, output_tokens: mean tokens of a request's prompt and answer.
        input_tokens_cv, output_tokens_cv: standard deviation of either over its mean; 0 where all are alike.
        cached_input_fraction: part of the prompt whose keys and values are found in the prefix cache.
        adapters: unmerged low-rank adapters that share the replica; 0 where merged or none.
        batch: sequences in flight per replica; None for as many as memory and the engine allow.
        draft_tokens: tokens drafted per step by speculative decoding; 0 for none.
        draft_acceptance_fraction: chance that a drafted token is accepted.
        draft_cost_fraction: time of drafting one token over the time of one step of the served model.
    """

    architecture: Architecture
    accelerator: Accelerator
    weights_dtype: ServedDtype
    kv_dtype: KvDtype
    engine: Engine = "vllm"
    tp: Number = 1.0
    pp: Number = 1.0
    ep: Number = 1.0
    input_tokens: Number
    output_tokens: Number
    input_tokens_cv: Number = 0.0
    output_tokens_cv: Number = 0.0
    cached_input_fraction: Number = 0.0
    adapters: int = 0
    batch: Number | None = None
    draft_tokens: Number = 0.0
    draft_acceptance_fraction: Number = 0.0
    draft_cost_fraction: Number = 0.0

    @property
    def gpus(self) -> Number:
        """Accelerators of the replica: TP x PP x EP."""
        return self.tp * self.pp * self.ep

    @property
    def held_output_tokens(self) -> Number:
        """Mean whole length of the answers in flight: O (1 + cv^2), as long answers stay longer."""
        return self.output_tokens * (1.0 + self.output_tokens_cv**2)

    def with_(self, **changes: Any) -> ServingSetup:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What one replica delivers. Arrays where the setup is a block; zeros where the model does not fit.

    Attributes:
        fits: weights and at least one sequence fit in memory.
        batch: sequences in flight per replica.
        weights_bytes: per accelerator.
        kv_bytes_per_token: per accelerator and token of one sequence, at the mean sequence length held.
        kv_capacity_tokens: tokens of context that the replica's cache holds.
        output_tokens_per_s_per_gpu: generated tokens, at full load.
        requests_per_s_per_replica: finished requests, at full load.
        ttft_s: from the start of a request's prefill to its first token, at that batch (no queueing).
        time_per_output_token_s: between tokens of one sequence, at that batch.
        decode_step_s: one step of that batch without any prompt in it.
        prefill_s: what one request's prompt adds to the steps that carry it, at that batch.
        parts_s: accelerator time of one request by part, per replica; the values add up to
            1 / ``requests_per_s_per_replica``.
        low_factor, high_factor: P10 and P90 of measured over predicted throughput for this kind of setup.
    """

    fits: Flags
    batch: Number
    weights_bytes: Number
    kv_bytes_per_token: Number
    kv_capacity_tokens: Number
    output_tokens_per_s_per_gpu: Number
    requests_per_s_per_replica: Number
    ttft_s: Number
    time_per_output_token_s: Number
    decode_step_s: Number
    prefill_s: Number
    parts_s: Mapping[str, Number]
    low_factor: Number
    high_factor: Number


def engine_key(engine: str) -> str:
    """The engine's name as it stands in names of the registry.

    >>> engine_key("tensorrt-llm")
    'tensorrt_llm'
    """
    return engine.replace("-", "_").replace(".", "_")


def by_family(*, accelerator: Accelerator, values: Mapping[str, float], default: float) -> Number:
    """A constant per accelerator family: a float, or an array of the shape of the accelerator's fields."""
    if isinstance(accelerator.family, str):
        return values.get(accelerator.family, default)
    found = [values.get(family, default) for family in accelerator.family]
    return np.reshape(np.asarray(found, dtype=np.float64), np.shape(accelerator.memory_bytes))
