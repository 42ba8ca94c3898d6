"""Time of one step of the engine: every sequence in flight gains a token and new prompts are prefilled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from estimator.numbers import Number
from estimator.serving.kv_cache import (
    STORED_BYTES,
    UNQUANTIZED_BYTES,
    expert_bytes_per_parameter,
    mean_read_kv_bytes,
    parameter_split,
)
from estimator.serving.rates import (
    half_flop_per_s,
    link_bytes_per_s,
    matmul_flop_per_s,
    memory_bytes_per_s,
)
from estimator.serving.setup import ServingSetup


def touched_experts(*, experts: float, experts_per_token: float, tokens: Number) -> Number:
    """Experts of a layer that a step reads: E (1 - (1 - k / E)^tokens), for independent even routing.

    >>> float(touched_experts(experts=128, experts_per_token=8, tokens=1))
    8.0
    """
    return experts * (1.0 - (1.0 - experts_per_token / experts) ** tokens)


def overlapped(*, compute_s: Number, memory_s: Number, exponent: float) -> Number:
    """Time of work that computes and reads at once: (c^p + m^p)^(1/p).

    p = 1 is one after the other, p = infinity perfect overlap. Both arguments in seconds.

    >>> float(overlapped(compute_s=3.0, memory_s=4.0, exponent=2.0))
    5.0
    """
    larger = np.maximum(compute_s, memory_s)
    ratio = np.minimum(compute_s, memory_s) / np.maximum(larger, 1e-300)
    return larger * (1.0 + ratio**exponent) ** (1.0 / exponent)


def prefill_attention_flop(*, setup: ServingSetup) -> Number:
    """Score and value products of one prompt's causal attention, whole model.

    Each of the I - I_cached new tokens attends to all before it; local layers to at most a window:
    2 (query + value features) x layers x sum over new positions of min(position, window).
    Source: derived.
    """
    a = setup.architecture
    features = a.query_features + a.value_features
    first = setup.input_tokens * setup.cached_input_fraction
    last = setup.input_tokens
    whole = (last**2 - first**2) / 2.0
    local = a.sliding_layers if a.sliding_window else 0
    pairs = (a.attention_layers - local) * whole
    if local:
        pairs = pairs + local * (_capped(last, a.sliding_window) - _capped(first, a.sliding_window))
    return 2.0 * features * pairs


def _capped(tokens: Number, cap: float) -> Number:
    return np.minimum(tokens, cap) ** 2 / 2.0 + cap * np.maximum(tokens - cap, 0.0)


def decode_attention_flop(*, setup: ServingSetup) -> Number:
    """Products of one generated token with its cache, whole model, at the mean context.

    Latent attention works in the latent space: each head meets the whole latent vector twice.
    """
    a = setup.architecture
    context = setup.input_tokens + setup.output_tokens / 2.0
    if a.latent:
        per_token = 2.0 * a.heads * (2.0 * a.latent.kv_lora_rank + a.latent.qk_rope_head_dim)
    else:
        per_token = 2.0 * (a.query_features + a.value_features)
    local = a.sliding_layers if a.sliding_window else 0
    tokens = (a.attention_layers - local) * context
    if local:
        tokens = tokens + local * np.minimum(context, a.sliding_window)
    return per_token * tokens


def step_parts_s(
    *, setup: ServingSetup, batch: Number, prompt_tokens: Number, constants: Mapping[str, float]
) -> dict[str, Number]:
    """Seconds of one engine step by part, for one sequence's view of the pipeline.

    ``batch`` sequences of the replica gain ``1 + draft`` tokens' worth of work each and ``prompt_tokens``
    prompt tokens are prefilled beside them (continuous batching: both share one pass over the weights).
    Ranks of data-parallel attention split the sequences; pipeline stages work on batch / pp at a time, so a
    token takes pp stages of 1 / pp of the layers each.

    matrix products: overlapped compute (2 x parameters x tokens / rate) and weight traffic; cache: bytes
    read over bandwidth, or its products where latent attention makes these dearer; attention of prompts;
    activations: hidden-wide vectors moved per token and layer; exchange: two ring all-reduces a layer for
    tensor parallelism (2 (tp - 1) / tp x bytes) and dispatch and combine for expert parallelism; fixed: per
    layer and step; sequences: per sequence and step on the host.
    """
    a, c = setup.architecture, constants
    split = parameter_split(a)
    lanes = setup.pp * setup.ep
    sequences = batch / lanes
    verified = sequences * (1.0 + setup.draft_tokens)
    tokens = verified + prompt_tokens / lanes
    expert_tokens = tokens * setup.ep
    memory = memory_bytes_per_s(accelerator=setup.accelerator, constants=c)
    half = half_flop_per_s(accelerator=setup.accelerator, constants=c)
    exponent = c["serving_overlap_exponent"]

    block_rate = matmul_flop_per_s(setup=setup, weights_dtype=setup.weights_dtype, constants=c)
    products = overlapped(
        compute_s=2.0 * split["block"] * tokens / (setup.tp * block_rate),
        memory_s=split["block"] * STORED_BYTES[setup.weights_dtype] / (setup.tp * memory),
        exponent=exponent,
    ) + overlapped(
        compute_s=2.0 * split["head"] * verified / (setup.tp * half),
        memory_s=split["head"] * UNQUANTIZED_BYTES / (setup.tp * memory),
        exponent=exponent,
    )
    hidden_vectors = a.layers * c["serving_activation_passes"]
    layers_exchanging = a.layers
    if a.experts:
        touched = touched_experts(
            experts=float(a.experts), experts_per_token=float(a.experts_per_token), tokens=expert_tokens
        )
        active = split["expert"] * a.experts_per_token / a.experts
        products = products + overlapped(
            compute_s=2.0 * active * tokens / (setup.tp * block_rate * c["serving_expert_fraction"]),
            memory_s=split["expert"]
            * (touched / a.experts)
            * expert_bytes_per_parameter(setup=setup)
            / (setup.tp * setup.ep * memory),
            exponent=exponent,
        )
        hidden_vectors = hidden_vectors + a.moe_layers * a.experts_per_token * c["serving_expert_passes"]
    vector_bytes = a.hidden * UNQUANTIZED_BYTES
    activations = hidden_vectors * vector_bytes * tokens / (setup.tp * memory)

    cache = np.maximum(
        sequences * setup.pp * mean_read_kv_bytes(setup=setup, constants=c) / memory,
        verified * decode_attention_flop(setup=setup) / (setup.tp * half),
    )
    new_tokens = np.maximum(setup.input_tokens * (1.0 - setup.cached_input_fraction), 1.0)
    prompts = prompt_tokens / lanes / new_tokens
    attention = prompts * prefill_attention_flop(setup=setup) / (setup.tp * half)

    link = link_bytes_per_s(setup=setup, constants=c)
    ring = 2.0 * (setup.tp - 1.0) / setup.tp
    exchange = 2.0 * layers_exchanging * ring * vector_bytes * tokens / link
    exchange = exchange + np.where(
        setup.tp > 1.0, 2.0 * a.layers * c["serving_exchange_s"], 0.0
    )
    if a.experts:
        crossing = 2.0 * a.moe_layers * a.experts_per_token * (setup.ep - 1.0) / setup.ep
        exchange = exchange + crossing * vector_bytes * tokens / link
        exchange = exchange + np.where(setup.ep > 1.0, 2.0 * a.moe_layers * c["serving_exchange_s"], 0.0)
    stages = setup.pp - 1.0
    exchange = exchange + stages * (vector_bytes * tokens / link + c["serving_exchange_s"])

    drafting = 1.0 + setup.draft_tokens * setup.draft_cost_fraction
    parts: dict[str, Number] = {
        "weights and products": products,
        "cache": cache,
        "prompt attention": attention,
        "activations": activations,
        "exchange": exchange,
        "layer launches": a.layers * c["serving_layer_s"] + tokens * 0.0,
        "sequences": sequences * c["serving_sequence_s"] + prompts * c["serving_request_s"],
    }
    return {part: value * drafting for part, value in parts.items()}
