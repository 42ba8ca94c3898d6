"""Readers of the dense families."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from estimator.architecture import GlobalAttention
from estimator.hf.mixers import gated_delta_net, short_convolution
from estimator.hf.shared import (
    LOCAL,
    Fields,
    Reader,
    bias,
    convolutions,
    delta_net_layers,
    qwen_window,
    sizes,
    window,
)
from estimator.hf.values import Values


def _llama(v: Values) -> Fields:
    return {
        **sizes(v, tied=False, max_position=2048),
        **bias(v),
        "mlp_bias": v.flag("mlp_bias", False),
    }


def _arcee(v: Values) -> Fields:
    return {**_llama(v), "max_position": v.whole("max_position_embeddings", default=4096)}


def _smollm3(v: Values) -> Fields:
    return {
        **sizes(v, tied=True, max_position=32768, kv_heads=4),
        **bias(v),
        "mlp_bias": v.flag("mlp_bias", False),
    }


def _mistral(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=131072, kv_heads=8)
    reach = v.whole("sliding_window", default=0 if "sliding_window" in v.raw else 4096)
    return {**fields, **window(v, fields, reach=reach, local=fields["layers"])}


def _ministral3(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=262144, kv_heads=8, head_dim=128)
    return {
        **fields,
        **window(v, fields, reach=v.whole("sliding_window", default=0), local=fields["layers"]),
    }


def _qwen2(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=32768, kv_heads=32)
    return {**fields, **qwen_window(v, fields)}


def _qwen3(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=32768, head_dim=128, kv_heads=32)
    return {**fields, **bias(v), **qwen_window(v, fields)}


def _qwen3_5(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=32768, head_dim=256, kv_heads=4)
    linear = delta_net_layers(v, fields["layers"])
    return {**fields, **bias(v), "mixer": gated_delta_net(v, hidden=fields["hidden"], layers=linear)}


def _gemma(v: Values) -> Fields:
    return {**sizes(v, tied=True, max_position=8192, head_dim=256, kv_heads=16), **bias(v)}


def _gemma2(v: Values) -> Fields:
    fields = sizes(v, tied=True, max_position=8192, head_dim=256, kv_heads=4)
    reach = v.whole("sliding_window", default=4096)
    return {**fields, **bias(v), **window(v, fields, reach=reach, local=(fields["layers"] + 1) // 2)}


def _gemma3(v: Values) -> Fields:
    v = v.defaulting(num_attention_heads=8, num_key_value_heads=4, vocab_size=262208)
    fields = sizes(v, tied=True, max_position=131072, head_dim=256)
    every = v.whole("sliding_window_pattern", "_sliding_window_pattern", default=6)
    reach = v.whole("sliding_window", default=4096)
    local = fields["layers"] - fields["layers"] // every
    return {**fields, **bias(v), **window(v, fields, reach=reach, local=local)}


def _gemma4(v: Values) -> Fields:
    v.refuse(v.whole("hidden_size_per_layer_input", default=256, low=0) > 0, "an embedding per layer")
    v.refuse(v.whole("num_kv_shared_layers", default=0, low=0) > 0, "sharing keys between layers")
    v.refuse(v.flag("enable_moe_block", False), "a mixture of experts beside the dense block")
    fields = sizes(v, tied=True, max_position=131072, head_dim=256, kv_heads=4)
    named = v.names("layer_types", fields["layers"])
    default = ["full_attention" if (layer + 1) % 6 == 0 else LOCAL[0] for layer in range(fields["layers"])]
    local = sum(name in LOCAL for name in (named or default)[:-1])
    shared = v.flag("attention_k_eq_v", False)
    wide = v.section("per_layer_config").first_section()
    kv_heads = v.whole("num_global_key_value_heads", default=fields["kv_heads"]) if shared else fields["kv_heads"]
    other = GlobalAttention(
        head_dim=wide.whole("head_dim", default=v.whole("global_head_dim", default=512)),
        kv_heads=wide.whole("num_key_value_heads", default=kv_heads),
        keys_are_values=shared,
    )
    return {
        **fields,
        **bias(v),
        "sliding_window": v.whole("sliding_window", default=512) if local else 0,
        "sliding_layers": local,
        "global_attention": other,
    }


def _phi(v: Values) -> Fields:
    v.refuse(v.flag("qk_layernorm", False), "qk_layernorm")
    return sizes(v, tied=False, max_position=2048)


def _phi3(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=4096)
    reach = v.whole("sliding_window", default=0)
    return {**fields, **window(v, fields, reach=reach, local=fields["layers"])}


def _stablelm(v: Values) -> Fields:
    parallel = v.flag("use_parallel_residual", False)
    return {
        **sizes(v, tied=False, max_position=4096, kv_heads=32),
        "qkv_bias": v.flag("use_qkv_bias", False),
        "qk_norm": "per-head" if v.flag("qk_layernorm", False) else "",
        "norms_per_layer": 1 if parallel else 2,
        "parallel_blocks": parallel,
    }


def _olmo(v: Values) -> Fields:
    return {**sizes(v, tied=False, max_position=2048), **bias(v)}


def _olmo3(v: Values) -> Fields:
    fields = _olmo(v)
    reach = v.whole("sliding_window", default=4096)
    return {**fields, **window(v, fields, reach=reach, local=fields["layers"] - fields["layers"] // 4)}


def _cohere(v: Values) -> Fields:
    return {
        **sizes(v, tied=True, max_position=8192),
        **bias(v),
        "qk_norm": "per-head" if v.flag("use_qk_norm", False) else "",
    }


def _cohere2(v: Values) -> Fields:
    fields = sizes(v, tied=True, max_position=8192)
    every = v.whole("sliding_window_pattern", "_sliding_window_pattern", default=4)
    local = fields["layers"] - fields["layers"] // every
    reach = v.whole("sliding_window", default=4096)
    return {**fields, **bias(v), **window(v, fields, reach=reach, local=local)}


def _glm(v: Values) -> Fields:
    return {
        **sizes(v, tied=False, max_position=131072, head_dim=128, kv_heads=2),
        **bias(v, default=True, o=False),
    }


def _glm4(v: Values) -> Fields:
    return {
        **sizes(v, tied=False, max_position=131072, head_dim=128, kv_heads=2),
        **bias(v, default=True, o=False),
    }


def _internlm(v: Values) -> Fields:
    bias = v.flag("bias", True)
    return {**sizes(v, tied=False, max_position=2048), "qkv_bias": bias, "o_bias": bias}


def _internlm2(v: Values) -> Fields:
    bias = v.flag("bias", True)
    return {**sizes(v, tied=False, max_position=32768), "qkv_bias": bias, "o_bias": bias}


def _starcoder2(v: Values) -> Fields:
    fields = sizes(v, tied=True, max_position=4096, kv_heads=2)
    bias = v.flag("use_bias", True)
    reach = v.whole("sliding_window", default=0)
    return {
        **fields,
        **window(v, fields, reach=reach, local=fields["layers"]),
        "qkv_bias": bias,
        "o_bias": bias,
        "mlp_bias": bias,
    }


def _baichuan(v: Values) -> Fields:
    positions = v.whole("max_position_embeddings", "model_max_length", default=4096)
    return {**sizes(v, tied=False, max_position=4096), "max_position": positions}


def _apertus(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=65536)
    return {**fields, **bias(v), "extra_parameters": 2 * fields["layers"]}


def _seed_oss(v: Values) -> Fields:
    return {
        **sizes(v, tied=False, max_position=524288, head_dim=128, kv_heads=8),
        **bias(v, default=True, o=v.flag("attention_out_bias", False)),
        "mlp_bias": v.flag("mlp_bias", False),
    }


def _hunyuan(v: Values) -> Fields:
    return {**sizes(v, tied=False, max_position=2048), **bias(v)}


def _lfm2(v: Values) -> Fields:
    fields = sizes(v, tied=v.flag("tie_embedding", True), max_position=128000, kv_heads=8)
    width = v.whole("block_ff_dim", "intermediate_size")
    if v.flag("block_auto_adjust_ff_dim", True):
        factor = v.number("block_ffn_dim_multiplier", 1.0)
        width = int(2 * width / 3)
        if factor is not None:
            multiple = v.whole("block_multiple_of", default=256)
            width = -(-int(factor * width) // multiple) * multiple
    mixers = convolutions(v, fields)
    return {
        **fields,
        "intermediate": width,
        "mixer": short_convolution(v, hidden=fields["hidden"], layers=mixers),
    }


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "apertus": _apertus,
        "arcee": _arcee,
        "baichuan": _baichuan,
        "cohere": _cohere,
        "cohere2": _cohere2,
        "gemma": _gemma,
        "gemma2": _gemma2,
        "gemma3_text": _gemma3,
        "gemma4_text": _gemma4,
        "glm": _glm,
        "glm4": _glm4,
        "granite": _llama,
        "hunyuan_v1_dense": _hunyuan,
        "internlm": _internlm,
        "internlm2": _internlm2,
        "lfm2": _lfm2,
        "llama": _llama,
        "mimo": _qwen2,
        "ministral": _mistral,
        "ministral3": _ministral3,
        "mistral": _mistral,
        "olmo": _olmo,
        "olmo2": _olmo,
        "olmo3": _olmo3,
        "phi": _phi,
        "phi3": _phi3,
        "qwen2": _qwen2,
        "qwen3": _qwen3,
        "qwen3_5_text": _qwen3_5,
        "seed_oss": _seed_oss,
        "smollm3": _smollm3,
        "stablelm": _stablelm,
        "starcoder2": _starcoder2,
    }
)
