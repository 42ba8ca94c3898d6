"""From an architecture to the keys of a Transformers configuration: the inverse of `estimator.hf`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from estimator.architecture import Architecture
from estimator.errors import InputError, UnknownNameError

Config = dict[str, Any]


def _window(a: Architecture) -> Config:
    return {"sliding_window": a.sliding_window or None}


def _qwen_window(a: Architecture) -> Config:
    local = a.sliding_layers
    return {
        "use_sliding_window": bool(local),
        **({"sliding_window": a.sliding_window, "max_window_layers": a.layers - local} if local else {}),
    }


def _attention_bias(a: Architecture) -> Config:
    if a.qkv_bias != a.o_bias:
        raise InputError(f"{a.id}: its biases do not follow from one key of a {a.family} configuration.")
    return {"attention_bias": a.qkv_bias}


def _none(_: Architecture) -> Config:
    return {}


def _llama(a: Architecture) -> Config:
    return {**_attention_bias(a), "mlp_bias": a.mlp_bias}


def _qwen3(a: Architecture) -> Config:
    return {**_attention_bias(a), **_qwen_window(a)}


def _cohere(a: Architecture) -> Config:
    return {**_attention_bias(a), "use_qk_norm": bool(a.qk_norm)}


def _starcoder2(a: Architecture) -> Config:
    return {**_window(a), "use_bias": a.qkv_bias}


def _gemma3(a: Architecture) -> Config:
    every = a.layers // max(a.layers - a.sliding_layers, 1)
    return {**_attention_bias(a), **_window(a), "sliding_window_pattern": every}


def _mixtral(a: Architecture) -> Config:
    return {
        **_window(a),
        "num_local_experts": a.experts,
        "num_experts_per_tok": a.experts_per_token,
        "intermediate_size": a.expert_intermediate,
    }


def _olmoe(a: Architecture) -> Config:
    return {
        **_attention_bias(a),
        "num_experts": a.experts,
        "num_experts_per_tok": a.experts_per_token,
        "intermediate_size": a.expert_intermediate,
    }


def _qwen_moe(a: Architecture) -> Config:
    return {
        **_qwen_window(a),
        "num_experts": a.experts,
        "num_experts_per_tok": a.experts_per_token,
        "moe_intermediate_size": a.expert_intermediate,
        "intermediate_size": a.intermediate or a.expert_intermediate,
        "mlp_only_layers": list(range(a.dense_layers)),
        "decoder_sparse_step": 1,
    }


def _qwen2_moe(a: Architecture) -> Config:
    return {
        **_qwen_moe(a),
        "qkv_bias": a.qkv_bias,
        "shared_expert_intermediate_size": a.shared_expert_intermediate,
    }


def _qwen3_moe(a: Architecture) -> Config:
    return {**_attention_bias(a), **_qwen_moe(a)}


KEYS: Mapping[str, Callable[[Architecture], Config]] = MappingProxyType(
    {
        "arcee": _llama,
        "cohere": _cohere,
        "gemma": _attention_bias,
        "gemma2": lambda a: {**_attention_bias(a), **_window(a)},
        "gemma3_text": _gemma3,
        "gpt_neox": _none,
        "granite": _llama,
        "llama": _llama,
        "mistral": _window,
        "mixtral": _mixtral,
        "olmo": _attention_bias,
        "olmo2": _attention_bias,
        "olmoe": _olmoe,
        "phi3": _window,
        "qwen2": _qwen_window,
        "qwen2_moe": _qwen2_moe,
        "qwen3": _qwen3,
        "qwen3_moe": _qwen3_moe,
        "smollm3": _llama,
        "starcoder2": _starcoder2,
    }
)
"""The keys of a family's configuration beyond the common ones. A family that is not here cannot be measured."""

_SPLIT = {
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "o": "o_proj",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
    "head": "lm_head",
}
MODULES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "arcee": {role: name for role, name in _SPLIT.items() if role != "gate"},
        "gpt_neox": {
            "q": "query_key_value",
            "k": "query_key_value",
            "v": "query_key_value",
            "o": "attention.dense",
            "up": "dense_h_to_4h",
            "down": "dense_4h_to_h",
            "head": "embed_out",
        },
        "phi3": {
            "q": "qkv_proj",
            "k": "qkv_proj",
            "v": "qkv_proj",
            "o": "o_proj",
            "gate": "gate_up_proj",
            "up": "gate_up_proj",
            "down": "down_proj",
            "head": "lm_head",
        },
        "starcoder2": {**{r: _SPLIT[r] for r in ("q", "k", "v", "o", "head")}, "up": "c_fc", "down": "c_proj"},
    }
)
"""Names of the linear modules by canonical role, where they are not the usual ones."""


def config_keys(architecture: Architecture) -> Config:
    """Keys of the Transformers configuration that builds this shape.

    Raises:
        UnknownNameError: a family that cannot be built here.
        InputError: a shape that the family's configuration cannot say.

    >>> from estimator.models import resolve_model
    >>> config_keys(resolve_model("Qwen/Qwen2.5-0.5B").architecture)["num_hidden_layers"]
    24
    """
    a = architecture
    if a.family not in KEYS:
        raise UnknownNameError(
            "family to measure", a.family, KEYS, hint=f"Families that can be built: {', '.join(sorted(KEYS))}."
        )
    return {
        "model_type": a.family,
        "vocab_size": a.vocab,
        "hidden_size": a.hidden,
        "intermediate_size": a.intermediate,
        "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads,
        "head_dim": a.head_dim,
        "max_position_embeddings": a.max_position,
        "tie_word_embeddings": a.tied_embeddings,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
        **KEYS[a.family](a),
    }


def module_names(*, family: str, roles: tuple[str, ...]) -> list[str]:
    """The family's names of the modules that adapters go to, each once.

    Raises:
        UnknownNameError: a role that the family lacks.

    >>> module_names(family="phi3", roles=("q", "k", "v"))
    ['qkv_proj']
    """
    names = MODULES.get(family, _SPLIT)
    for role in roles:
        if role not in names:
            raise UnknownNameError("adapter target", role, names, where=family)
    return list(dict.fromkeys(names[role] for role in roles))
