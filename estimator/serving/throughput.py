"""Throughput and latency of a replica at full load."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from estimator.numbers import Number
from estimator.serving.kv_cache import (
    cache_bytes,
    largest_batch,
    sequence_kv_bytes,
    weights_bytes,
)
from estimator.serving.rates import is_amd, is_cpu, rates
from estimator.serving.roofline import step_parts_s
from estimator.serving.setup import Serving, ServingSetup, engine_key

UNMEASURED_ENGINES = ("vllm", "sglang")


def tokens_per_step(*, draft_tokens: Number, acceptance_fraction: Number) -> Number:
    """Mean tokens that one step of speculative decoding yields: (1 - a^(k + 1)) / (1 - a).

    k drafted tokens, each accepted with chance a until the first refusal; the served model always adds one.
    Source: Leviathan et al. 2023, equation 1.

    >>> float(tokens_per_step(draft_tokens=0.0, acceptance_fraction=0.7))
    1.0
    >>> round(float(tokens_per_step(draft_tokens=3.0, acceptance_fraction=0.7)), 3)
    2.533
    """
    accepted = np.minimum(acceptance_fraction, 1.0 - 1e-9)
    return (1.0 - accepted ** (draft_tokens + 1.0)) / (1.0 - accepted)


def speed_factor(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Throughput of this engine over the reference one (tensorrt-llm), on this maker's parts, with adapters.

    Unmerged adapters cost a fraction that hardly grows with their number.
    """
    engine = constants["serving_engine_factor_" + engine_key(setup.engine)]
    adapters = 1.0 - (constants["serving_adapter_fraction"] if setup.adapters else 0.0)
    return engine * adapters


def spread(*, setup: ServingSetup, constants: Mapping[str, float]) -> tuple[Number, Number]:
    """P10 and P90 of measured over predicted throughput.

    By kind: AMD, else fp4, else mixture, else dense; wider for engines of which no run was measured. Processors
    have a spread of their own.
    """
    mixture = "moe" if setup.architecture.experts else "dense"
    kind = "fp4" if setup.weights_dtype == "fp4" else mixture
    amd, cpu = is_amd(accelerator=setup.accelerator), is_cpu(accelerator=setup.accelerator)

    def bound(end: str) -> Number:
        own = np.where(amd > 0.0, constants[f"serving_{end}_amd"], constants[f"serving_{end}_{kind}"])
        unmeasured = setup.engine in UNMEASURED_ENGINES
        engine = constants[f"serving_{end}_engine"] if unmeasured else 1.0
        return plain(np.where(cpu > 0.0, constants[f"serving_{end}_cpu"], own * engine))

    return bound("low"), bound("high")


def plain(value: Number) -> Number:
    """A float where the formulas made a zero-dimensional array, else the array as it is."""
    array = np.asarray(value, dtype=np.float64)
    return array if array.ndim else float(array)


def serving(*, setup: ServingSetup, constants: Mapping[str, float]) -> Serving:
    """What one replica delivers at full load: B requests in flight, each done after its O tokens.

    In the steady state every step gives each of B sequences y tokens (y = 1 without speculation), ends
    B y / O requests and therefore prefills B y / O prompts. With the time s of that step,
    requests per second = B y / (O s), and output tokens per second and GPU = B y / (s x GPUs).
    Time to the first token is a lone prefill after half a step's wait; time per token is s / y.

    ``setup.batch`` above what memory holds is cut to it, as an engine queues the rest. Source: derived;
    constants in the registry, fitted on published throughput of engines (dense and mixture models of 7 to
    671 billion parameters, Ampere to Blackwell and MI300X).
    """
    held = largest_batch(setup=setup, constants=constants)
    batch = held if setup.batch is None else np.minimum(setup.batch, held)
    fits = batch >= 1.0
    work = np.maximum(batch, 1.0)
    yielded = tokens_per_step(draft_tokens=setup.draft_tokens, acceptance_fraction=setup.draft_acceptance_fraction)
    factor = speed_factor(setup=setup, constants=constants)
    new_tokens = setup.input_tokens * (1.0 - setup.cached_input_fraction)
    finished = work * yielded / setup.output_tokens
    sustained = rates(setup=setup, constants=constants)
    parts = step_parts_s(
        setup=setup, rates=sustained, batch=work, prompt_tokens=finished * new_tokens, constants=constants
    )
    step_s = sum(parts.values()) / factor
    requests_per_s = np.where(fits, finished / step_s, 0.0)
    alone = step_parts_s(
        setup=setup.with_(draft_tokens=0.0),
        rates=sustained,
        batch=work * 0.0,
        prompt_tokens=new_tokens,
        constants=constants,
    )
    prefill_s = sum(alone.values()) / factor
    decode = step_parts_s(setup=setup, rates=sustained, batch=work, prompt_tokens=work * 0.0, constants=constants)
    decode_step_s = sum(decode.values()) / factor
    low, high = spread(setup=setup, constants=constants)
    held_tokens = setup.input_tokens + setup.held_output_tokens / 2.0
    per_token = sequence_kv_bytes(setup=setup, context_tokens=held_tokens, constants=constants) / held_tokens
    room = cache_bytes(setup=setup, constants=constants)
    return Serving(
        fits=fits if np.ndim(fits) else bool(fits),
        batch=plain(batch),
        weights_bytes=plain(weights_bytes(setup=setup)),
        kv_bytes_per_token=plain(per_token),
        kv_capacity_tokens=plain(room / per_token * setup.ep),
        output_tokens_per_s_per_gpu=plain(requests_per_s * setup.output_tokens / setup.gpus),
        requests_per_s_per_replica=plain(requests_per_s),
        ttft_s=plain(prefill_s + step_s / 2.0),
        time_per_output_token_s=plain(step_s / yielded),
        decode_step_s=plain(decode_step_s),
        prefill_s=plain((step_s - decode_step_s) / finished),
        parts_s={part: plain(value / factor / finished) for part, value in parts.items()},
        low_factor=low,
        high_factor=high,
    )
