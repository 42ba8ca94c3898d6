"""Memory of a replica: weights, key-value cache, and the batch that both leave room for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from estimator.architecture import Architecture
from estimator.numbers import Number
from estimator.parameters import linear_parameters, mixer_parameters, total_parameters
from estimator.serving.setup import ServingSetup, engine_key

STORED_BYTES: Mapping[str, float] = {
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0 + 2.0 / 128.0,
    "fp4": 0.5 + 1.0 / 16.0,
    "int4": 0.5 + 2.5 / 128.0,
}
"""Bytes per quantised weight with its scales: fp8 per tensor; int8 and int4 an fp16 scale (int4 also a
4-bit zero point) per 128 weights; fp4 an fp8 scale per 16 weights (NVFP4)."""

MXFP4_BYTES = 0.5 + 1.0 / 32.0
MXFP4_FAMILIES = ("gpt_oss",)
KV_BYTES: Mapping[str, float] = {"fp16": 2.0, "fp8": 1.0}
UNQUANTIZED_BYTES = 2.0
FP32_BYTES = 4.0


@lru_cache(maxsize=256)
def parameter_split(architecture: Architecture) -> Mapping[str, float]:
    """Parameters by how serving treats them.

    ``expert``: routed experts, all of them; ``block``: every other matrix of the layers; ``head``: the
    language-model head as it is read each step, tied or not; ``other``: what is stored beside (embedding,
    norms, biases). Their sum less a tied head is the model.
    """
    groups: dict[str, float] = {"expert": 0.0, "block": 0.0}
    for linear in architecture.linears:
        if linear.group != "head":
            key = "expert" if linear.group == "expert" else "block"
            groups[key] += linear_parameters(linear=linear)
    groups["block"] += mixer_parameters(architecture=architecture)
    groups["head"] = float(architecture.hidden * architecture.vocab)
    stored_head = 0.0 if architecture.tied_embeddings else groups["head"]
    groups["other"] = (
        total_parameters(architecture=architecture) - sum(groups.values()) + (groups["head"] - stored_head)
    )
    return groups


def expert_bytes_per_parameter(*, setup: ServingSetup) -> float:
    """Stored bytes of one expert weight; families published in MXFP4 only stay so in every dtype."""
    if setup.architecture.family in MXFP4_FAMILIES and setup.weights_dtype != "fp16":
        return MXFP4_BYTES
    return STORED_BYTES[setup.weights_dtype]


def weights_bytes(*, setup: ServingSetup) -> Number:
    """Weights on one accelerator.

    (block / tp + expert / (tp ep)) / pp in the stored type, embedding and head in 16 bits over tp. Experts
    are spread over ``ep``, everything else stands on each of its ranks. Source: derived.
    """
    split = parameter_split(setup.architecture)
    stored_head = 0.0 if setup.architecture.tied_embeddings else split["head"]
    block = split["block"] * STORED_BYTES[setup.weights_dtype]
    expert = split["expert"] * expert_bytes_per_parameter(setup=setup)
    outside = (split["other"] + stored_head) * UNQUANTIZED_BYTES
    return (block / setup.tp + expert / (setup.tp * setup.ep)) / setup.pp + outside / setup.tp


def local_layers(architecture: Architecture) -> int:
    """Layers whose window an engine makes use of: those of models that mix local and full attention.

    Engines hold and read the whole context of models whose every layer is local: published throughput of
    Mistral-7B-v0.1 at 22,000 tokens equals that of the like shape without a window.
    """
    mixed = 0 < architecture.sliding_layers < architecture.attention_layers
    return architecture.sliding_layers if mixed and architecture.sliding_window else 0


def _cached_numbers_per_gpu(*, setup: ServingSetup) -> Number:
    """Numbers cached per token and attention layer on one accelerator.

    Tensor parallelism splits key-value heads and keeps at least one whole head per rank; the latent vector
    of latent attention stands whole on each rank.
    """
    architecture = setup.architecture
    if architecture.latent:
        return float(architecture.kv_cache_features)
    return architecture.kv_cache_features / architecture.kv_heads * np.ceil(architecture.kv_heads / setup.tp)


def mixer_state_bytes(*, architecture: Architecture, constants: Mapping[str, float]) -> float:
    """State of the layers without softmax attention, per sequence, whole model; it does not grow with context.

    Recurrent mixers keep heads x key width x value width in fp32, close to 256 numbers per hidden feature
    (Mamba-2: expansion 2 x state 128; Gated DeltaNet alike). A short convolution keeps its last three inputs.
    """
    if not architecture.mixer:
        return 0.0
    per_hidden = 3.0 if "conv" in architecture.mixer.kind else constants["serving_mixer_state_per_hidden"]
    return architecture.mixer.layers * architecture.hidden * per_hidden * FP32_BYTES


def sequence_kv_bytes(*, setup: ServingSetup, context_tokens: Number, constants: Mapping[str, float]) -> Number:
    """Key-value cache of one sequence on one accelerator.

    (full layers x c + local layers x min(c, window)) x numbers cached per token x bytes / pp, plus the
    constant state of a mixer. c is the context in tokens. Source: derived.
    """
    a = setup.architecture
    local = local_layers(a)
    tokens = (a.attention_layers - local) * context_tokens
    if local:
        tokens = tokens + local * np.minimum(context_tokens, a.sliding_window)
    numbers = tokens * _cached_numbers_per_gpu(setup=setup)
    state = mixer_state_bytes(architecture=a, constants=constants) / setup.tp
    return (numbers * KV_BYTES[setup.kv_dtype] + state) / setup.pp


def mean_read_kv_bytes(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Key-value bytes read for one generated token of one sequence on one accelerator, mean over the answer.

    The context runs from I to I + O; for local layers the mean of min(c, window) over that span is exact:
    with g(x) = min(x, w)^2 / 2 + w max(x - w, 0), it is (g(I + O) - g(I)) / O. Answers of unlike length count
    by their tokens, so O is their length-weighted mean, mean (1 + cv^2) (for local layers an approximation).
    A mixer's state is read and written. Source: derived.
    """
    a = setup.architecture
    start, end = setup.input_tokens, setup.input_tokens + setup.held_output_tokens
    local = local_layers(a)
    tokens = (a.attention_layers - local) * (start + end) / 2.0
    if local:
        tokens = tokens + local * (
            (_capped_integral(end, a.sliding_window) - _capped_integral(start, a.sliding_window))
            / setup.held_output_tokens
        )
    numbers = tokens * _cached_numbers_per_gpu(setup=setup)
    state = 2.0 * mixer_state_bytes(architecture=a, constants=constants) / setup.tp
    return (numbers * KV_BYTES[setup.kv_dtype] + state) / setup.pp


def _capped_integral(tokens: Number, cap: float) -> Number:
    return np.minimum(tokens, cap) ** 2 / 2.0 + cap * np.maximum(tokens - cap, 0.0)


def cache_bytes(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Memory left for the key-value cache on one accelerator, never negative.

    usable fraction x (memory - engine - weights). The engine's part holds its runtime, graphs and
    activations. Source: derived; the fraction and the engine's bytes in the registry.
    """
    rest = setup.accelerator.memory_bytes - constants["serving_engine_bytes_per_gpu"] - weights_bytes(setup=setup)
    return constants["serving_usable_memory_fraction"] * np.maximum(rest, 0.0)


def largest_batch(*, setup: ServingSetup, constants: Mapping[str, float]) -> Number:
    """Most sequences in flight per replica: floor(cache / a whole sequence), at most the engine's limit.

    A sequence is admitted when its prompt and its whole answer have room, so none is evicted; measured
    throughput agrees with that better than with admission on less. Answers in flight are longer than the mean
    one, O (1 + cv^2) where lengths differ, because long ones stay longer. The limit holds per rank of
    data-parallel attention and per pipeline stage; the ranks' batches add up. 0 where no sequence fits.
    Source: derived.
    """
    whole = sequence_kv_bytes(
        setup=setup, context_tokens=setup.input_tokens + setup.held_output_tokens, constants=constants
    )
    room = cache_bytes(setup=setup, constants=constants)
    limit = constants["serving_max_sequences_" + engine_key(setup.engine)]
    return np.minimum(np.floor(room / whole), limit * setup.pp) * setup.ep
