"""Time of one step of the engine: every sequence in flight gains a token and new prompts are prefilled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from estimator.numbers import Number
from estimator.serving.kv_cache import (
    STORED_BYTES,
    UNQUANTIZED_BYTES,
    expert_bytes_per_parameter,
    local_layers,
    mean_read_kv_bytes,
    parameter_split,
)
from estimator.serving.rates import (
    Rates,
    expert_dtype,
    is_amd,
)
from estimator.serving.setup import ServingSetup

MATMUL_BYTES: Mapping[str, float] = {
    "fp16": 2.0,
    "int8": 2.0,
    "int4": 2.0,
    "fp8": 1.0,
    "fp4": STORED_BYTES["fp4"],
}
"""Bytes per number of the inputs of products against weights of a type."""


def touched_experts_fraction(*, routed_fraction: float, tokens: Number) -> Number:
    """Share of a layer's experts that a step reads: 1 - (1 - k / E)^tokens, for independent even routing.

    >>> round(float(touched_experts_fraction(routed_fraction=8 / 128, tokens=16.0)), 3)
    0.644
    """
    return 1.0 - (1.0 - routed_fraction) ** tokens


def prefill_attention_flop(*, setup: ServingSetup) -> Number:
    """Score and value products of one prompt's causal attention, whole model.

    Each of the I - I_cached new tokens attends to all before it; local layers to at most a window:
    2 (query + value features) x layers x sum over new positions of min(position, window). Prompts of unlike
    length cost full layers E[I^2] = I^2 (1 + cv^2). Source: derived.
    """
    a = setup.architecture
    features = a.query_features + a.value_features
    first = setup.input_tokens * setup.cached_input_fraction
    last = setup.input_tokens
    whole = (last**2 - first**2) / 2.0 * (1.0 + setup.input_tokens_cv**2)
    local = local_layers(a)
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
    context = setup.input_tokens + setup.held_output_tokens / 2.0
    if a.latent:
        per_token = 2.0 * a.heads * (2.0 * a.latent.kv_lora_rank + a.latent.qk_rope_head_dim)
    else:
        per_token = 2.0 * (a.query_features + a.value_features)
    local = local_layers(a)
    tokens = (a.attention_layers - local) * context
    if local:
        tokens = tokens + local * np.minimum(context, a.sliding_window)
    return per_token * tokens


def matmul_s(*, flop: Number, weight_bytes: Number, flop_per_s: Number, bytes_per_s: Number) -> Number:
    """Time of products that stream their weights: weight bytes / bandwidth + FLOP / rate.

    The sum says that the rate grows with the tokens of a step, half of it being reached where reading the
    weights takes as long as computing with them; measured engines show no better overlap than this.

    >>> matmul_s(flop=3e12, weight_bytes=4e9, flop_per_s=1e12, bytes_per_s=1e9)
    7.0
    """
    return weight_bytes / bytes_per_s + flop / flop_per_s


def products_s(
    *, setup: ServingSetup, rates: Rates, tokens: Number, sampled: Number, constants: Mapping[str, float]
) -> Number:
    """Every matrix product against weights: ``tokens`` through the layers, ``sampled`` through the head.

    Both per rank of data-parallel attention. Experts see the tokens of all ranks and read the weights that
    these touch; each touched expert's rows are padded to whole tiles. With expert parallelism the busiest rank
    sets the pace: 1 + c sqrt((ep - 1) / E) times the mean, as for E experts of uneven load dealt to ep ranks.
    """
    a = setup.architecture
    split = parameter_split(a)
    total = matmul_s(
        flop=2.0 * split["block"] * tokens / setup.tp,
        weight_bytes=split["block"] * STORED_BYTES[setup.weights_dtype] / setup.tp,
        flop_per_s=rates.block_flop_per_s,
        bytes_per_s=rates.memory_bytes_per_s,
    ) + matmul_s(
        flop=2.0 * split["head"] * sampled / setup.tp,
        weight_bytes=split["head"] * UNQUANTIZED_BYTES / setup.tp,
        flop_per_s=rates.half_flop_per_s,
        bytes_per_s=rates.memory_bytes_per_s,
    )
    if not a.experts:
        return total
    all_tokens = tokens * setup.ep
    read_fraction = touched_experts_fraction(routed_fraction=a.experts_per_token / a.experts, tokens=all_tokens)
    padded = a.experts * read_fraction * constants["serving_expert_tile_tokens"]
    rows = all_tokens * a.experts_per_token + padded
    imbalance = 1.0 + constants["serving_expert_imbalance"] * np.sqrt((setup.ep - 1.0) / a.experts)
    ranks = setup.tp * setup.ep
    return total + matmul_s(
        flop=2.0 * split["expert"] / a.experts * rows / ranks * imbalance,
        weight_bytes=split["expert"] * read_fraction * expert_bytes_per_parameter(setup=setup) / ranks,
        flop_per_s=rates.expert_flop_per_s,
        bytes_per_s=rates.memory_bytes_per_s,
    )


def cache_s(
    *, setup: ServingSetup, rates: Rates, sequences: Number, verified: Number, constants: Mapping[str, float]
) -> Number:
    """Attention of generated tokens: cache bytes over bandwidth, or its products where these take longer.

    The latter only under latent attention, whose every head meets the whole latent vector.
    """
    read_bytes = sequences * setup.pp * mean_read_kv_bytes(setup=setup, constants=constants)
    compute_s = verified * decode_attention_flop(setup=setup) / (setup.tp * rates.half_flop_per_s)
    return np.maximum(read_bytes / rates.memory_bytes_per_s, compute_s)


def activations_s(*, setup: ServingSetup, rates: Rates, tokens: Number, constants: Mapping[str, float]) -> Number:
    """Hidden-wide vectors that pass through memory between products: norms, residuals, inputs, outputs.

    Half of them wait in 16 bits, half in the type that the next product takes.
    """
    a = setup.architecture
    vectors = a.layers * constants["serving_activation_passes"]
    mean_bytes = (UNQUANTIZED_BYTES + MATMUL_BYTES[setup.weights_dtype]) / 2.0
    return vectors * a.hidden * mean_bytes * tokens / (setup.tp * rates.memory_bytes_per_s)


def exchange_s(*, setup: ServingSetup, rates: Rates, tokens: Number, constants: Mapping[str, float]) -> Number:
    """Activations that cross links.

    Tensor parallelism: two ring all-reduces a layer, 2 (tp - 1) / tp x bytes each. Expert parallelism: each
    token's vector to its experts' ranks, in the type that the experts compute in, and back in 16 bits.
    Pipeline: one vector per stage boundary. Each exchange starts with a latency; vLLM 0.6 on AMD parts, without
    an all-reduce of its own, paid far more among eight than among four (the cube of the peers suits both).
    """
    a = setup.architecture
    vectors_s = a.hidden * UNQUANTIZED_BYTES * tokens / rates.link_bytes_per_s
    start_s: Number = constants["serving_exchange_s"]
    if setup.engine == "vllm-0.6":
        amd = is_amd(accelerator=setup.accelerator)
        start_s = start_s + amd * constants["serving_peer_s_vllm_0_6"] * (setup.tp - 1.0) ** 3
    total: Number = 2.0 * a.layers * 2.0 * (setup.tp - 1.0) / setup.tp * vectors_s
    total = total + np.where(setup.tp > 1.0, 2.0 * a.layers * start_s, 0.0)
    if a.experts:
        copies = np.minimum(a.experts_per_token, setup.ep) * (setup.ep - 1.0) / setup.ep
        there_and_back = 1.0 + MATMUL_BYTES[expert_dtype(setup=setup)] / UNQUANTIZED_BYTES
        total = total + there_and_back * a.moe_layers * copies * vectors_s
        total = total + np.where(setup.ep > 1.0, 2.0 * a.moe_layers * start_s, 0.0)
    return total + (setup.pp - 1.0) * (vectors_s + start_s)


def step_parts_s(
    *, setup: ServingSetup, rates: Rates, batch: Number, prompt_tokens: Number, constants: Mapping[str, float]
) -> dict[str, Number]:
    """Seconds of one engine step by part.

    ``batch`` sequences of the replica each gain a token (and have their drafted tokens verified) while
    ``prompt_tokens`` prompt tokens are prefilled in the same pass over the weights (continuous batching).
    Ranks of data-parallel attention split the sequences. Pipeline stages work on batch / pp sequences at a
    time, so a token takes pp stages of 1 / pp of the layers, and the replica serves pp such groups at once.
    Prompts longer than one step's share of tokens launch the layers again.
    Source: derived.
    """
    a = setup.architecture
    lanes = setup.pp * setup.ep
    sequences = batch / lanes
    verified = sequences * (1.0 + setup.draft_tokens)
    tokens = verified + prompt_tokens / lanes
    new_tokens = np.maximum(setup.input_tokens * (1.0 - setup.cached_input_fraction), 1.0)
    prompts = prompt_tokens / lanes / new_tokens
    launches = a.layers * constants["serving_layer_s"]
    passes = np.maximum(tokens / constants["serving_step_tokens"], 1.0)
    parts: dict[str, Number] = {
        "matrix products": products_s(
            setup=setup, rates=rates, tokens=tokens, sampled=verified + prompts, constants=constants
        ),
        "cache": cache_s(setup=setup, rates=rates, sequences=sequences, verified=verified, constants=constants),
        "prompt attention": prompts * prefill_attention_flop(setup=setup) / (setup.tp * rates.half_flop_per_s),
        "activations": activations_s(setup=setup, rates=rates, tokens=tokens, constants=constants),
        "exchange": exchange_s(setup=setup, rates=rates, tokens=tokens, constants=constants),
        "launches": launches * passes,
        "sequences": sequences * constants["serving_sequence_s"] + prompts * constants["serving_request_s"],
    }
    drafting = 1.0 + setup.draft_tokens * setup.draft_cost_fraction
    return {part: value * drafting for part, value in parts.items()}
