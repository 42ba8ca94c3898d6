"""Compares every computed parameter count with the real model classes, instantiated without memory.

    python benchmarks/count_parameters.py            # compare and print
    python benchmarks/count_parameters.py --write    # also rewrite tests/data/*.json

Needs torch and transformers, which the estimator itself never imports. Two comparisons:

- every row of the catalogue whose family has a class in transformers: the class is built on the meta device
  from the row's shape, its parameters are counted, and its configuration goes through the reader of
  ``config.json``, which must give the row's shape again;
- for every such family a few random small configurations with every optional key that its reader knows,
  so that the tests can hold the readers to exact counts without torch.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from estimator.architecture import Architecture  # noqa: E402
from estimator.hf.config import architecture_of  # noqa: E402
from estimator.hf.families import READERS  # noqa: E402
from estimator.models import models  # noqa: E402
from estimator.parameters import total_parameters  # noqa: E402

DATA = ROOT / "tests" / "data"
NO_CLASS = {"baichuan", "chatglm", "internlm", "internlm2", "mimo", "qwen"}


def count(family: str, config: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Parameters of the real class (shared tensors once) and its full configuration."""
    full = CONFIG_MAPPING[family](**{key: value for key, value in config.items() if key != "model_type"})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(full)
    return sum(parameter.numel() for parameter in model.parameters()), full.to_dict()


def config_of(shape: Architecture) -> dict[str, Any]:
    """The configuration that describes a shape, in the family's own key names."""
    family = shape.family
    if family in ("gpt2", "gpt_bigcode"):
        return {
            "n_embd": shape.hidden,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "n_inner": shape.intermediate,
            "n_positions": shape.learned_positions,
            "vocab_size": shape.vocab,
            "tie_word_embeddings": shape.tied_embeddings,
            **({"multi_query": shape.kv_heads == 1} if family == "gpt_bigcode" else {}),
        }
    if family == "mpt":
        return {
            "d_model": shape.hidden,
            "n_layers": shape.layers,
            "n_heads": shape.heads,
            "expansion_ratio": shape.intermediate // shape.hidden,
            "max_seq_len": shape.max_position,
            "vocab_size": shape.vocab,
            "tie_word_embeddings": shape.tied_embeddings,
        }
    if family == "bloom":
        return {
            "hidden_size": shape.hidden,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "vocab_size": shape.vocab,
            "tie_word_embeddings": shape.tied_embeddings,
        }
    config: dict[str, Any] = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied_embeddings,
        "max_position_embeddings": shape.max_position,
    }
    if family == "opt":
        return {**config, "ffn_dim": shape.intermediate, "word_embed_proj_dim": shape.hidden}
    if family == "falcon":
        new = shape.norms_per_layer == 2 and shape.parallel_blocks
        return {
            **config,
            "parallel_attn": shape.parallel_blocks,
            "bias": shape.qkv_bias,
            "ffn_hidden_size": shape.intermediate,
            "new_decoder_architecture": new,
            "num_kv_heads": shape.kv_heads,
            "multi_query": shape.kv_heads == 1,
        }
    config |= {"intermediate_size": shape.intermediate, "num_key_value_heads": shape.kv_heads}
    if family not in ("gpt_neox", "phi", "starcoder2", "stablelm", "deepseek_v2", "deepseek_v3"):
        config["head_dim"] = shape.head_dim
    if family == "granitemoehybrid" and not shape.experts:
        config |= {"num_local_experts": 0, "shared_intermediate_size": shape.intermediate}
        config["layer_types"] = ["attention"] * shape.layers
    if family == "stablelm":
        config["use_qkv_bias"] = shape.qkv_bias
    elif family not in ("starcoder2",):
        config["attention_bias"] = shape.qkv_bias
    if family in ("cohere", "glm4_moe"):
        config["use_qk_norm"] = bool(shape.qk_norm)
    if family == "phimoe":
        config["lm_head_bias"] = shape.head_bias
    config |= _window(shape) | _mixture(shape) | _hybrid(shape)
    return config


def _window(shape: Architecture) -> dict[str, Any]:
    if shape.family == "llama4_text" or not shape.sliding_layers:
        return {"sliding_window": None} if shape.family == "mistral" else {}
    named = {"gemma2", "gemma3_text", "gemma4_text", "gpt_oss", "olmo3", "ministral", "cohere2"}
    window: dict[str, Any] = {"sliding_window": shape.sliding_window}
    if shape.family in named:
        every = shape.layers // max(1, shape.layers - shape.sliding_layers)
        window["layer_types"] = [
            "full_attention" if every and (layer + 1) % every == 0 else "sliding_attention"
            for layer in range(shape.layers)
        ]
    return window


def _mixture(shape: Architecture) -> dict[str, Any]:
    if not shape.experts:
        return {}
    family = shape.family
    config: dict[str, Any] = {"num_experts_per_tok": shape.experts_per_token}
    if family in ("mixtral", "phimoe", "gpt_oss", "llama4_text", "granitemoehybrid"):
        config |= {"num_local_experts": shape.experts, "intermediate_size": shape.expert_intermediate}
    elif family in ("deepseek_v2", "deepseek_v3", "glm4_moe"):
        config |= {
            "n_routed_experts": shape.experts,
            "moe_intermediate_size": shape.expert_intermediate,
            "n_shared_experts": shape.shared_expert_intermediate // shape.expert_intermediate,
            "first_k_dense_replace": shape.dense_layers,
        }
    elif family == "olmoe":
        config |= {"num_experts": shape.experts, "intermediate_size": shape.expert_intermediate}
    else:
        config |= {"num_experts": shape.experts, "moe_intermediate_size": shape.expert_intermediate}
    if family in ("qwen2_moe", "qwen3_next", "qwen3_5_moe_text"):
        config["shared_expert_intermediate_size"] = shape.shared_expert_intermediate
    if family == "granitemoehybrid":
        config["shared_intermediate_size"] = shape.shared_expert_intermediate
    if family == "lfm2_moe":
        config["num_dense_layers"] = shape.dense_layers
    if family == "llama4_text":
        config["intermediate_size_mlp"] = shape.intermediate or 16384
        config["interleave_moe_layer_step"] = 2 if shape.dense_layers else 1
    if not config.get("intermediate_size") and family not in ("llama4_text",):
        config["intermediate_size"] = shape.intermediate or shape.expert_intermediate
    return config


def _hybrid(shape: Architecture) -> dict[str, Any]:
    if shape.latent:
        latent = {
            "q_lora_rank": shape.latent.q_lora_rank or None,
            "kv_lora_rank": shape.latent.kv_lora_rank,
            "qk_nope_head_dim": shape.latent.qk_nope_head_dim,
            "qk_rope_head_dim": shape.latent.qk_rope_head_dim,
            "v_head_dim": shape.latent.v_head_dim,
        }
        return {**latent, "attention_bias": False}
    if shape.global_attention:
        return {
            "hidden_size_per_layer_input": 0,
            "global_head_dim": shape.global_attention.head_dim,
            "num_global_key_value_heads": shape.global_attention.kv_heads,
            "attention_k_eq_v": shape.global_attention.keys_are_values,
        }
    return {}


def _kinds(layers: int, full: tuple[int, ...], other: str, name: str = "full_attention") -> list[str]:
    return [name if layer in full else other for layer in range(layers)]


LFM2_FULL = (2, 5, 8, 10, 12, 14)
GRANITE_FULL = (5, 15, 25, 35)
GRANITE = {
    "num_hidden_layers": 40,
    "tie_word_embeddings": True,
    "mamba_d_state": 128,
    "max_position_embeddings": 131072,
    "layer_types": _kinds(40, GRANITE_FULL, "mamba", "attention"),
}
GRANITE_TINY = {
    **GRANITE,
    "hidden_size": 1536,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "intermediate_size": 512,
    "num_experts_per_tok": 6,
    "shared_intermediate_size": 1024,
    "mamba_n_heads": 48,
}
QWEN3_5 = {"vocab_size": 248320, "head_dim": 256, "max_position_embeddings": 262144}
EXPERTS_512 = {"num_experts_per_tok": 8, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512}
LFM2 = {"vocab_size": 65536, "num_key_value_heads": 8, "max_position_embeddings": 128000}


def _lfm2(hidden: int, heads: int, width: int) -> dict[str, Any]:
    kinds = _kinds(16, LFM2_FULL, "conv")
    sizes = {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": width}
    return {**LFM2, **sizes, "num_hidden_layers": 16, "layer_types": kinds}


def _qwen3_5(hidden: int, layers: int, heads: int, width: int, **more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    return {**QWEN3_5, **sizes, "num_key_value_heads": 4, "intermediate_size": width, **more}


# Hybrid rows keep only the sums of their mixers, so their full configurations stand here.
HYBRIDS: dict[str, dict[str, Any]] = {
    "LiquidAI/LFM2-350M": _lfm2(1024, 16, 6656),
    "LiquidAI/LFM2-700M": _lfm2(1536, 24, 10240),
    "LiquidAI/LFM2-1.2B": _lfm2(2048, 32, 12288),
    "LiquidAI/LFM2-8B-A1B": {
        **LFM2,
        "hidden_size": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "intermediate_size": 7168,
        "moe_intermediate_size": 1792,
        "num_experts": 32,
        "num_experts_per_tok": 4,
        "num_dense_layers": 2,
        "layer_types": _kinds(24, (2, 6, 10, 14, 18, 21), "conv"),
    },
    "Qwen/Qwen3.5-4B": _qwen3_5(2560, 32, 16, 9216, tie_word_embeddings=True),
    "Qwen/Qwen3.5-9B": _qwen3_5(4096, 32, 16, 12288),
    "Qwen/Qwen3.5-27B": _qwen3_5(5120, 64, 24, 17408, linear_num_value_heads=48),
    "Qwen/Qwen3.5-35B-A3B": {
        **QWEN3_5,
        **EXPERTS_512,
        "hidden_size": 2048,
        "num_hidden_layers": 40,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "num_experts": 256,
    },
    "Qwen/Qwen3-Next-80B-A3B-Instruct": {
        **QWEN3_5,
        **EXPERTS_512,
        "hidden_size": 2048,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "vocab_size": 151936,
        "num_key_value_heads": 2,
        "num_experts": 512,
        "num_experts_per_tok": 10,
    },
    "ibm-granite/granite-4.0-tiny-preview": {**GRANITE_TINY, "vocab_size": 49160, "num_local_experts": 62},
    "ibm-granite/granite-4.0-h-tiny": {**GRANITE_TINY, "vocab_size": 100352, "num_local_experts": 64},
    "ibm-granite/granite-4.0-h-small": {
        **GRANITE,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 768,
        "num_local_experts": 72,
        "num_experts_per_tok": 10,
        "shared_intermediate_size": 1536,
        "mamba_n_heads": 128,
        "vocab_size": 100352,
    },
}


def check_catalogue() -> dict[str, int]:
    """Counts of the real classes by hub id; prints every difference."""
    counts: dict[str, int] = {}
    for record in models().values():
        shape = record.architecture
        if shape.family in NO_CLASS:
            continue
        config = HYBRIDS[record.id] if shape.mixer else config_of(shape)
        real, full = count(shape.family, config)
        counts[record.id] = real
        computed = total_parameters(architecture=shape)
        if computed != real:
            print(f"{record.id}: computed {computed:,}, class {real:,} ({computed - real:+,})")
        read = replace(architecture_of({**full, "model_type": shape.family}, file=""), id=shape.id)
        if read != shape:
            names = [entry.name for entry in fields(shape)]
            odd = [name for name in names if getattr(shape, name) != getattr(read, name)]
            print(f"{record.id}: reader differs in {[(n, getattr(shape, n), getattr(read, n)) for n in odd]}")
    print(f"{len(counts)} of {len(models())} rows compared with transformers {transformers.__version__}")
    return counts


OPTIONS: dict[str, dict[str, list[Any]]] = {
    "llama": {"attention_bias": [True, False], "mlp_bias": [True, False], "head_dim": [None, 24]},
    "granite": {"attention_bias": [True, False], "mlp_bias": [True, False]},
    "smollm3": {"attention_bias": [True, False], "mlp_bias": [True, False]},
    "arcee": {"attention_bias": [True, False], "mlp_bias": [True, False]},
    "mistral": {"head_dim": [None, 24], "sliding_window": [None, 64]},
    "ministral": {"head_dim": [16, 24]},
    "ministral3": {"head_dim": [None, 24]},
    "mixtral": {"num_local_experts": [2, 5]},
    "qwen2": {"use_sliding_window": [True, False]},
    "qwen3": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "qwen2_moe": {
        "num_experts": [3, 4],
        "moe_intermediate_size": [48],
        "shared_expert_intermediate_size": [56],
        "decoder_sparse_step": [1, 2],
        "mlp_only_layers": [[], [1]],
        "qkv_bias": [True, False],
    },
    "qwen3_moe": {
        "num_experts": [3, 4],
        "moe_intermediate_size": [48],
        "decoder_sparse_step": [1, 2],
        "mlp_only_layers": [[], [0]],
        "head_dim": [None, 24],
        "attention_bias": [True, False],
    },
    "qwen3_next": {
        "num_experts": [3, 4],
        "moe_intermediate_size": [48],
        "shared_expert_intermediate_size": [56],
        "linear_num_value_heads": [4, 8],
        "linear_num_key_heads": [2, 4],
        "linear_key_head_dim": [16],
        "mlp_only_layers": [[], [0]],
        "decoder_sparse_step": [1, 2],
    },
    "qwen3_5_text": {
        "linear_num_value_heads": [4, 8],
        "linear_num_key_heads": [2, 4],
        "linear_value_head_dim": [24],
        "linear_conv_kernel_dim": [3, 4],
    },
    "qwen3_5_moe_text": {
        "num_experts": [3, 4],
        "moe_intermediate_size": [48],
        "shared_expert_intermediate_size": [56],
        "linear_num_value_heads": [4, 8],
        "linear_num_key_heads": [2, 4],
    },
    "gemma": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "gemma2": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "gemma3_text": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "gemma4_text": {
        "hidden_size_per_layer_input": [0],
        "global_head_dim": [32, 64],
        "attention_k_eq_v": [True, False],
        "num_global_key_value_heads": [None, 1],
        "head_dim": [24],
    },
    "phi": {},
    "phi3": {"sliding_window": [None, 64]},
    "phimoe": {"attention_bias": [True, False], "lm_head_bias": [True, False], "num_local_experts": [3]},
    "falcon": {
        "new_decoder_architecture": [True, False],
        "parallel_attn": [True, False],
        "bias": [True, False],
        "multi_query": [True, False],
        "num_kv_heads": [None, 2],
        "ffn_hidden_size": [None, 96],
        "num_ln_in_parallel_attn": [None, 1, 2],
    },
    "gpt_neox": {"attention_bias": [True, False]},
    "gpt2": {"n_inner": [None, 96]},
    "gpt_bigcode": {"multi_query": [True, False], "n_inner": [None, 96]},
    "opt": {"enable_bias": [True, False], "do_layer_norm_before": [True, False]},
    "bloom": {},
    "mpt": {},
    "stablelm": {
        "use_qkv_bias": [True, False],
        "qk_layernorm": [True, False],
        "use_parallel_residual": [True, False],
    },
    "olmo": {"attention_bias": [True, False]},
    "olmo2": {"attention_bias": [True, False]},
    "olmo3": {"attention_bias": [True, False]},
    "olmoe": {"num_experts": [3, 4], "attention_bias": [True, False]},
    "deepseek_v2": {
        "q_lora_rank": [None, 24],
        "kv_lora_rank": [16],
        "qk_nope_head_dim": [8],
        "qk_rope_head_dim": [4],
        "v_head_dim": [12],
        "n_routed_experts": [3],
        "n_shared_experts": [1, 2],
        "moe_intermediate_size": [48],
        "first_k_dense_replace": [0, 1],
    },
    "deepseek_v3": {
        "q_lora_rank": [None, 24],
        "kv_lora_rank": [16],
        "qk_nope_head_dim": [8],
        "qk_rope_head_dim": [4],
        "v_head_dim": [12],
        "n_routed_experts": [4],
        "n_shared_experts": [1, 2],
        "moe_intermediate_size": [48],
        "first_k_dense_replace": [0, 1],
    },
    "cohere": {"attention_bias": [True, False], "use_qk_norm": [True, False]},
    "cohere2": {"attention_bias": [True, False]},
    "gpt_oss": {"attention_bias": [True, False], "num_local_experts": [3]},
    "glm": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "glm4": {"attention_bias": [True, False], "head_dim": [None, 24]},
    "glm4_moe": {
        "attention_bias": [True, False],
        "use_qk_norm": [True, False],
        "n_routed_experts": [3],
        "n_shared_experts": [1, 2],
        "moe_intermediate_size": [48],
        "first_k_dense_replace": [0, 1],
    },
    "starcoder2": {"use_bias": [True, False]},
    "llama4_text": {
        "interleave_moe_layer_step": [1, 2],
        "num_local_experts": [3],
        "intermediate_size_mlp": [72],
        "attention_bias": [True, False],
    },
    "apertus": {"attention_bias": [True, False]},
    "seed_oss": {
        "attention_bias": [True, False],
        "attention_out_bias": [True, False],
        "mlp_bias": [True, False],
        "head_dim": [None, 24],
    },
    "hunyuan_v1_dense": {"attention_bias": [True, False], "head_dim": [24]},
    "lfm2": {
        "full_attn_idxs": [[0, 2], [1]],
        "conv_bias": [True, False],
        "block_multiple_of": [32],
        "block_auto_adjust_ff_dim": [True, False],
        "block_ffn_dim_multiplier": [1.0, 1.3],
    },
    "lfm2_moe": {
        "num_experts": [3],
        "moe_intermediate_size": [48],
        "num_dense_layers": [0, 1],
        "conv_bias": [True, False],
        "layer_types": [["conv", "conv", "full_attention", "conv"], ["full_attention"] * 4],
    },
    "granitemoehybrid": {
        "num_local_experts": [0, 3],
        "shared_intermediate_size": [56],
        "mamba_n_heads": [8],
        "mamba_d_head": [16],
        "mamba_d_state": [16],
        "mamba_proj_bias": [True, False],
        "mamba_conv_bias": [True, False],
        "attention_bias": [True, False],
        "layer_types": [["mamba", "mamba", "attention", "mamba"], ["attention"] * 4],
    },
}


def small_config(family: str, draw: random.Random) -> dict[str, Any]:
    """A random small configuration of a family, without the keys drawn as None."""
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "vocab_size": 320,
        "intermediate_size": draw.choice([96, 160]),
        "num_key_value_heads": draw.choice([1, 2, 4]),
        "max_position_embeddings": 256,
        "tie_word_embeddings": draw.choice([True, False, None]),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if family in ("gpt2", "gpt_bigcode"):
        sizes = {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 320, "n_positions": 128}
    elif family == "mpt":
        sizes = {"d_model": 64, "n_layers": 4, "n_heads": 4, "vocab_size": 320, "max_seq_len": 128}
    elif family == "bloom":
        sizes = {"hidden_size": 64, "n_layer": 4, "n_head": 4, "vocab_size": 320}
    elif family == "opt":
        sizes |= {"ffn_dim": 96, "word_embed_proj_dim": 64}
    if family in ("gpt_neox", "opt", "falcon", "deepseek_v2", "deepseek_v3"):
        sizes.pop("num_key_value_heads", None)
    if any("experts" in key for key in OPTIONS[family]):
        sizes["num_experts_per_tok"] = 2
    config = sizes | {key: draw.choice(values) for key, values in OPTIONS[family].items()}
    nullable = {"sliding_window", "q_lora_rank"}
    return {key: value for key, value in config.items() if value is not None or key in nullable}


def bare_config(family: str) -> dict[str, Any]:
    """Only the keys that no default can stand for."""
    sizes = {"hidden_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 64, "vocab_size": 1000}
    sizes |= {"intermediate_size": 512}
    if family in ("gpt2", "gpt_bigcode"):
        sizes = {"n_embd": 2048, "n_layer": 8, "n_head": 64, "vocab_size": 1000}
    elif family == "mpt":
        sizes = {"d_model": 2048, "n_layers": 8, "n_heads": 64, "vocab_size": 1000}
    elif family == "bloom":
        sizes = {"hidden_size": 2048, "n_layer": 8, "n_head": 64, "vocab_size": 1000}
    elif family == "opt":
        sizes |= {"ffn_dim": 512, "word_embed_proj_dim": 2048}
    elif family == "gemma4_text":
        sizes |= {"hidden_size_per_layer_input": 0}
    elif family == "lfm2_moe":
        return {**sizes, "layer_types": ["full_attention"] * 8, "num_experts": 16, "moe_intermediate_size": 64}
    experts = {"mixtral": "num_local_experts", "deepseek_v2": "n_routed_experts"}
    for name in ("phimoe", "gpt_oss", "llama4_text", "granitemoehybrid"):
        experts[name] = "num_local_experts"
    for name in ("deepseek_v3", "glm4_moe"):
        experts[name] = "n_routed_experts"
    for name in ("qwen2_moe", "qwen3_moe", "qwen3_next", "qwen3_5_moe_text", "olmoe"):
        experts[name] = "num_experts"
    if family in experts:
        sizes |= {experts[family]: 16, "num_experts_per_tok": 2}
        if family not in ("mixtral", "phimoe", "gpt_oss", "llama4_text", "granitemoehybrid", "olmoe"):
            sizes |= {"moe_intermediate_size": 64}
    if family in ("deepseek_v2", "deepseek_v3"):
        sizes |= {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}
    if family == "qwen2_moe":
        sizes |= {"shared_expert_intermediate_size": 128}
    return sizes


def check_readers() -> list[dict[str, Any]]:
    """Small configurations of every family with the real counts; prints every difference."""
    draw = random.Random(7)
    cases: list[dict[str, Any]] = []
    for family in sorted(set(READERS) - NO_CLASS):
        for _ in range(6):
            config = small_config(family, draw)
            real, _ = count(family, config)
            shape = architecture_of({**config, "model_type": family}, file=family)
            computed = total_parameters(architecture=shape)
            if computed != real:
                print(f"reader {family}: computed {computed:,}, class {real:,} ({computed - real:+,}) {config}")
            case = {"model_type": family, "parameters": real, "config": config}
            if case not in cases:
                cases.append(case)
        bare = {**bare_config(family), "model_type": family}
        known = {key: value for key, value in bare.items() if key != "model_type"}
        full = CONFIG_MAPPING[family](**known).to_dict()
        mine = architecture_of(bare, file=family)
        theirs = architecture_of({**full, "model_type": family}, file=family)
        if mine != theirs:
            odd = [(n, getattr(mine, n), getattr(theirs, n)) for n in vars(mine)]
            print(f"defaults of {family}: {[row for row in odd if row[1] != row[2]]}")
    print(f"{len(cases)} small configurations of {len(set(READERS) - NO_CLASS)} families compared")
    return cases


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    cases = check_readers()
    counts = check_catalogue()
    if "--write" in sys.argv[1:]:
        DATA.mkdir(exist_ok=True)
        version = json.dumps(transformers.__version__)
        rows = ",\n".join(json.dumps(case) for case in cases)
        text = f'{{"transformers": {version}, "small_configs": [\n{rows}\n]}}\n'
        (DATA / "small_configs.json").write_text(text, encoding="utf-8")
        rows = ",\n".join(f"{json.dumps(id)}: {real}" for id, real in counts.items())
        text = f'{{"transformers": {version}, "class_counts": {{\n{rows}\n}}}}\n'
        (DATA / "class_counts.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
