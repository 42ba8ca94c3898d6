"""What a model family's code fixes whatever its configuration says: the traits that every member shares.

The catalogue and the reader of ``config.json`` both build on this table, so each fact about a family stands
once. A trait is the value of a field of `estimator.architecture.Architecture`; families whose members are
plain (RMSNorm, gated feed-forward block, separate projections, no biases) have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from estimator.architecture import Architecture
from estimator.errors import InputError

_PLAIN: dict[str, Any] = {"gated_mlp": True}
_BIASED_LAYERNORM: dict[str, Any] = {
    "gated_mlp": False,
    "norm": "layernorm",
    "qkv_bias": True,
    "o_bias": True,
    "mlp_bias": True,
}
_COHERE = _PLAIN | {"norm": "layernorm-no-bias", "norms_per_layer": 1, "parallel_blocks": True}

TRAITS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "apertus": {"gated_mlp": False, "qk_norm": "per-head-dim"},
        "arcee": {"gated_mlp": False},
        "baichuan": _PLAIN | {"fused_qkv": True},
        "bloom": _BIASED_LAYERNORM | {"fused_qkv": True, "embedding_norm": True},
        "chatglm": _PLAIN | {"fused_qkv": True, "fused_gate_up": True},
        "cohere": _COHERE,
        "cohere2": _COHERE,
        "deepseek_v2": _PLAIN,
        "deepseek_v3": _PLAIN,
        "falcon": {"gated_mlp": False, "norm": "layernorm", "fused_qkv": True, "parallel_blocks": True},
        "gemma": _PLAIN,
        "gemma2": _PLAIN | {"norms_per_layer": 4},
        "gemma3_text": _PLAIN | {"norms_per_layer": 4, "qk_norm": "per-head-dim"},
        "gemma4_text": _PLAIN | {"norms_per_layer": 4, "qk_norm": "per-head-dim"},
        "glm": _PLAIN | {"fused_gate_up": True},
        "glm4": _PLAIN | {"fused_gate_up": True, "norms_per_layer": 4},
        "glm4_moe": _PLAIN,
        "gpt2": _BIASED_LAYERNORM | {"fused_qkv": True},
        "gpt_bigcode": _BIASED_LAYERNORM | {"fused_qkv": True},
        "gpt_neox": _BIASED_LAYERNORM | {"fused_qkv": True, "parallel_blocks": True},
        "gpt_oss": _PLAIN
        | {
            "fused_gate_up": True,
            "qkv_bias": True,
            "o_bias": True,
            "mlp_bias": True,
            "router_bias": True,
        },
        "granite": _PLAIN,
        "granitemoehybrid": _PLAIN | {"fused_gate_up": True},
        "hunyuan_v1_dense": _PLAIN | {"qk_norm": "per-head-dim"},
        "internlm": _PLAIN | {"qkv_bias": True, "o_bias": True},
        "internlm2": _PLAIN | {"fused_qkv": True},
        "lfm2": _PLAIN | {"qk_norm": "per-head-dim"},
        "lfm2_moe": _PLAIN | {"qk_norm": "per-head-dim"},
        "llama": _PLAIN,
        "llama4_text": _PLAIN | {"fused_gate_up": True},
        "mimo": _PLAIN | {"qkv_bias": True},
        "ministral": _PLAIN,
        "ministral3": _PLAIN,
        "mistral": _PLAIN,
        "mixtral": _PLAIN,
        "mpt": {"gated_mlp": False, "norm": "layernorm-no-bias", "fused_qkv": True},
        "olmo": _PLAIN | {"norm": "layernorm-no-params"},
        "olmo2": _PLAIN | {"qk_norm": "full"},
        "olmo3": _PLAIN | {"qk_norm": "full"},
        "olmoe": _PLAIN | {"qk_norm": "full"},
        "opt": _BIASED_LAYERNORM,
        "phi": _BIASED_LAYERNORM | {"norms_per_layer": 1, "head_bias": True, "parallel_blocks": True},
        "phi3": _PLAIN | {"fused_qkv": True, "fused_gate_up": True},
        "phimoe": _PLAIN | {"norm": "layernorm"},
        "qwen": _PLAIN | {"fused_qkv": True, "qkv_bias": True},
        "qwen2": _PLAIN | {"qkv_bias": True},
        "qwen2_moe": _PLAIN | {"qkv_bias": True, "shared_expert_gate": True},
        "qwen3": _PLAIN | {"qk_norm": "per-head-dim"},
        "qwen3_moe": _PLAIN | {"qk_norm": "per-head-dim"},
        "qwen3_5_moe_text": _PLAIN
        | {"qk_norm": "per-head-dim", "attention_gate": True, "shared_expert_gate": True},
        "qwen3_5_text": _PLAIN | {"qk_norm": "per-head-dim", "attention_gate": True},
        "qwen3_next": _PLAIN | {"qk_norm": "per-head-dim", "attention_gate": True, "shared_expert_gate": True},
        "seed_oss": _PLAIN | {"qkv_bias": True},
        "smollm3": _PLAIN,
        "stablelm": _PLAIN | {"norm": "layernorm"},
        "starcoder2": _BIASED_LAYERNORM,
    }
)

# Smallest and largest value that any real model comes near, for each whole-number field.
LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "layers": (1, 1_000),
        "hidden": (1, 262_144),
        "heads": (1, 4_096),
        "kv_heads": (1, 4_096),
        "head_dim": (1, 8_192),
        "vocab": (2, 10_000_000),
        "intermediate": (0, 4_194_304),
        "max_position": (1, 1_000_000_000),
        "learned_positions": (0, 16_777_216),
        "sliding_window": (0, 1_000_000_000),
        "sliding_layers": (0, 1_000),
        "experts": (0, 65_536),
        "experts_per_token": (0, 65_536),
        "expert_intermediate": (0, 4_194_304),
        "shared_expert_intermediate": (0, 4_194_304),
        "dense_layers": (0, 1_000),
        "norms_per_layer": (0, 8),
        "extra_parameters": (0, 10**13),
    }
)


def build_architecture(*, id: str, family: str, fields: Mapping[str, Any], where: str) -> Architecture:
    """An `Architecture` from a family's traits and one model's own fields, checked.

    Args:
        id: hub id, or a path.
        family: a key of `TRAITS`.
        fields: fields of `Architecture` by name; they override the traits.
        where: file and row, or file and key, that a message should name.

    Raises:
        InputError: a size out of its range, or sizes that contradict each other.
    """
    shape = {**TRAITS[family], **fields}
    for name, (low, high) in LIMITS.items():
        value = shape.get(name, low)
        if not low <= value <= high:
            raise InputError(f"{where}: {name} is {value}; allowed is {low} to {high}.")
    architecture = Architecture(id=id, family=family, **shape)
    problem = _contradiction(architecture)
    if problem:
        raise InputError(f"{where}: {problem}.")
    return architecture


def _contradiction(shape: Architecture) -> str:
    mixers = shape.mixer.layers if shape.mixer else 0
    checks = (
        (
            shape.heads % shape.kv_heads == 0,
            f"heads {shape.heads} is no multiple of kv_heads {shape.kv_heads}",
        ),
        (mixers <= shape.layers, f"{mixers} mixer layers of {shape.layers} layers"),
        (
            shape.sliding_layers <= shape.layers - mixers,
            f"sliding_layers {shape.sliding_layers} exceeds the {shape.layers - mixers} attention layers",
        ),
        (
            bool(shape.sliding_layers) == bool(shape.sliding_window),
            "sliding_window and sliding_layers go together: both or neither",
        ),
        (
            bool(shape.experts) == bool(shape.experts_per_token) == bool(shape.expert_intermediate),
            "experts, experts_per_token and expert_intermediate go together: all or none",
        ),
        (
            shape.experts_per_token <= shape.experts,
            f"experts_per_token {shape.experts_per_token} exceeds experts {shape.experts}",
        ),
        (
            shape.dense_layers <= shape.layers,
            f"dense_layers {shape.dense_layers} exceeds layers {shape.layers}",
        ),
        (
            shape.intermediate > 0 or shape.moe_layers == shape.layers,
            "intermediate is 0 but some layers have a dense feed-forward block",
        ),
    )
    return next((message for holds, message in checks if not holds), "")
