"""Readers of the families with mixtures of experts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from estimator.architecture import LatentAttention
from estimator.hf.mixers import gated_delta_net, mamba2, short_convolution
from estimator.hf.shared import (
    Fields,
    Reader,
    bias,
    convolutions,
    delta_net_layers,
    experts,
    outer_sizes,
    qwen_window,
    sizes,
    window,
)
from estimator.hf.values import Values


def _mixtral(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=131072, kv_heads=8)
    reach = v.whole("sliding_window", default=0)
    return {
        **fields,
        **window(v, fields, reach=reach, local=fields["layers"]),
        **experts(v, "num_local_experts", width=fields["intermediate"], active=2),
    }


def _sparse_dense_layers(v: Values, layers: int) -> int:
    step = v.whole("decoder_sparse_step", default=1)
    dense = set(v.numbers("mlp_only_layers") or ())
    return sum(layer in dense or (layer + 1) % step != 0 for layer in range(layers))


def _qwen2_moe(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=32768, kv_heads=16)
    return {
        **fields,
        **qwen_window(v, fields),
        "qkv_bias": v.flag("qkv_bias", True),
        **experts(
            v,
            "num_experts",
            width=v.whole("moe_intermediate_size"),
            shared=v.whole("shared_expert_intermediate_size"),
            dense=_sparse_dense_layers(v, fields["layers"]),
            active=4,
        ),
    }


def _qwen3_moe(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=32768, kv_heads=4)
    return {
        **fields,
        **bias(v),
        **qwen_window(v, fields),
        **experts(
            v,
            "num_experts",
            width=v.whole("moe_intermediate_size"),
            dense=_sparse_dense_layers(v, fields["layers"]),
            active=8,
        ),
    }


def _qwen3_next(v: Values) -> Fields:
    fields = outer_sizes(v, tied=False, max_position=32768, head_dim=256, kv_heads=2)
    layers = fields["layers"]
    dense = _sparse_dense_layers(v, layers)
    linear = delta_net_layers(v, layers)
    return {
        **fields,
        **bias(v),
        "intermediate": v.whole("intermediate_size", default=None if dense else 0),
        "mixer": gated_delta_net(v, hidden=fields["hidden"], layers=linear),
        **experts(
            v,
            "num_experts",
            width=v.whole("moe_intermediate_size"),
            shared=v.whole("shared_expert_intermediate_size", default=512),
            dense=dense,
            active=10,
        ),
    }


def _qwen3_5_moe(v: Values) -> Fields:
    fields = outer_sizes(v, tied=False, max_position=32768, head_dim=256, kv_heads=2)
    linear = delta_net_layers(v, fields["layers"])
    return {
        **fields,
        **bias(v),
        "mixer": gated_delta_net(v, hidden=fields["hidden"], layers=linear),
        **experts(
            v,
            "num_experts",
            width=v.whole("moe_intermediate_size"),
            shared=v.whole("shared_expert_intermediate_size", default=512),
            active=8,
        ),
    }


def _phimoe(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=131072, kv_heads=8)
    width = fields["intermediate"]
    local = window(v, fields, reach=v.whole("sliding_window", default=0), local=fields["layers"])
    return {
        **fields,
        **bias(v),
        **local,
        "head_bias": v.flag("lm_head_bias", False),
        **experts(v, "num_local_experts", width=width, active=2),
    }


def _olmoe(v: Values) -> Fields:
    fields = {**sizes(v, tied=False, max_position=4096), **bias(v)}
    return {**fields, **experts(v, "num_experts", width=fields["intermediate"], active=8)}


def _latent(v: Values) -> LatentAttention:
    return LatentAttention(
        q_lora_rank=v.whole("q_lora_rank", default=0 if "q_lora_rank" in v.raw else 1536, low=0),
        kv_lora_rank=v.whole("kv_lora_rank"),
        qk_nope_head_dim=v.whole("qk_nope_head_dim"),
        qk_rope_head_dim=v.whole("qk_rope_head_dim"),
        v_head_dim=v.whole("v_head_dim"),
    )


def _deepseek(v: Values, *, dense: int, shared: int, positions: int) -> Fields:
    v.refuse(v.flag("attention_bias", False), "attention_bias = true")
    v.refuse(v.whole("moe_layer_freq", default=1) != 1, "moe_layer_freq other than 1")
    latent = _latent(v)
    fields = sizes(v, tied=False, max_position=positions)
    width = v.whole("moe_intermediate_size")
    dense = v.whole("first_k_dense_replace", default=dense, low=0)
    shared = v.whole("n_shared_experts", default=0 if "n_shared_experts" in v.raw else shared, low=0) * width
    return {
        **fields,
        "kv_heads": fields["heads"],
        "head_dim": latent.qk_nope_head_dim + latent.qk_rope_head_dim,
        "latent": latent,
        **experts(v, "n_routed_experts", width=width, dense=dense, shared=shared, active=8),
    }


def _deepseek_v2(v: Values) -> Fields:
    return _deepseek(v, dense=0, shared=2, positions=2048)


def _deepseek_v3(v: Values) -> Fields:
    return _deepseek(v, dense=3, shared=1, positions=4096)


def _gpt_oss(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=131072, head_dim=64, kv_heads=8)
    reach = v.whole("sliding_window", default=128)
    return {
        **fields,
        **bias(v, default=True),
        **window(v, fields, reach=reach, local=(fields["layers"] + 1) // 2),
        **experts(v, "num_local_experts", width=fields["intermediate"], active=4),
        "extra_parameters": fields["layers"] * fields["heads"],
    }


def _glm4_moe(v: Values) -> Fields:
    width = v.whole("moe_intermediate_size")
    dense = v.whole("first_k_dense_replace", default=1, low=0)
    shared = v.whole("n_shared_experts", default=1, low=0) * width
    return {
        **sizes(v, tied=False, max_position=131072, kv_heads=8),
        **bias(v, o=False),
        "qk_norm": "per-head-dim" if v.flag("use_qk_norm", False) else "",
        **experts(v, "n_routed_experts", width=width, dense=dense, shared=shared, active=8),
    }


def _llama4(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=131072, head_dim=128, kv_heads=8)
    layers = fields["layers"]
    width = fields["intermediate"]
    step = v.whole("interleave_moe_layer_step", default=1)
    listed = v.numbers("moe_layers")
    sparse = len(listed) if listed is not None else layers // step
    chunk = v.whole("attention_chunk_size", default=8192)
    rope = v.numbers("no_rope_layers")
    every = v.whole("no_rope_layer_interval", default=4)
    local = sum(map(bool, rope)) if rope else layers - layers // every
    return {
        **fields,
        **bias(v),
        **window(v, fields, reach=chunk, local=local),
        "intermediate": v.whole("intermediate_size_mlp", default=16384),
        **experts(v, "num_local_experts", width=width, dense=layers - sparse, shared=width, active=1),
    }


def _lfm2_moe(v: Values) -> Fields:
    fields = sizes(v, tied=v.flag("tie_embedding", True), max_position=128000, kv_heads=8)
    width = v.whole("moe_intermediate_size")
    dense = v.whole("num_dense_layers", default=2, low=0)
    mixers = convolutions(v, fields)
    return {
        **fields,
        "mixer": short_convolution(v, hidden=fields["hidden"], layers=mixers),
        **experts(v, "num_experts", width=width, dense=dense, active=4),
    }


def _granite_hybrid(v: Values) -> Fields:
    fields = {**sizes(v, tied=False, max_position=2048), **bias(v)}
    named = v.names("layer_types", fields["layers"])
    mixers = sum(name not in ("attention", "full_attention") for name in named) if named else fields["layers"]
    shared = v.whole("shared_intermediate_size", default=1024)
    fields["mixer"] = mamba2(v, hidden=fields["hidden"], layers=mixers)
    if not v.whole("num_local_experts", default=8, low=0):
        return {**fields, "intermediate": shared}
    mixture = experts(v, "num_local_experts", width=fields["intermediate"], shared=shared, active=2)
    return {**fields, **mixture}


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "deepseek_v2": _deepseek_v2,
        "deepseek_v3": _deepseek_v3,
        "glm4_moe": _glm4_moe,
        "gpt_oss": _gpt_oss,
        "granitemoehybrid": _granite_hybrid,
        "lfm2_moe": _lfm2_moe,
        "llama4_text": _llama4,
        "mixtral": _mixtral,
        "olmoe": _olmoe,
        "phimoe": _phimoe,
        "qwen2_moe": _qwen2_moe,
        "qwen3_5_moe_text": _qwen3_5_moe,
        "qwen3_moe": _qwen3_moe,
        "qwen3_next": _qwen3_next,
    }
)
