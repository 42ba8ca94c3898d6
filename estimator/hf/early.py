"""Readers of families whose ``config.json`` has key names of its own, most of them early."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from estimator.hf.shared import Fields, Reader, bias, sizes
from estimator.hf.values import Values


def _falcon(v: Values) -> Fields:
    new = v.flag("new_decoder_architecture", False)
    hidden = v.whole("hidden_size", "n_embed")
    heads = v.whole("num_attention_heads", "n_head")
    kv_heads = v.whole("num_kv_heads", "n_head_kv", default=heads) if new else heads
    if not new and v.flag("multi_query", True):
        kv_heads = 1
    parallel = new or v.flag("parallel_attn", True)
    norms = v.whole("num_ln_in_parallel_attn", default=2 if new else 1) if parallel else 2
    bias = v.flag("bias", False)
    return {
        "layers": v.whole("num_hidden_layers", "n_layer"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": max(1, hidden // heads),
        "vocab": v.whole("vocab_size"),
        "intermediate": v.whole("ffn_hidden_size", default=4 * hidden),
        "tied_embeddings": v.flag("tie_word_embeddings", True),
        "max_position": v.whole("max_position_embeddings", default=2048),
        "norms_per_layer": norms,
        "parallel_blocks": parallel,
        "qkv_bias": bias,
        "o_bias": bias,
        "mlp_bias": bias,
    }


def _gpt_neox(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=2048)
    return {
        **fields,
        **bias(v, default=True),
        "kv_heads": fields["heads"],
        "parallel_blocks": v.flag("use_parallel_residual", True),
    }


def _gpt2(v: Values) -> Fields:
    hidden = v.whole("n_embd", "hidden_size")
    heads = v.whole("n_head", "num_attention_heads")
    positions = v.whole("n_positions", "max_position_embeddings", "n_ctx", default=1024)
    return {
        "layers": v.whole("n_layer", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": max(1, hidden // heads),
        "vocab": v.whole("vocab_size"),
        "intermediate": v.whole("n_inner", default=4 * hidden),
        "tied_embeddings": v.flag("tie_word_embeddings", True),
        "max_position": positions,
        "learned_positions": positions,
    }


def _gpt_bigcode(v: Values) -> Fields:
    fields = _gpt2(v)
    return {**fields, "kv_heads": 1 if v.flag("multi_query", True) else fields["heads"]}


def _opt(v: Values) -> Fields:
    hidden = v.whole("hidden_size")
    heads = v.whole("num_attention_heads")
    positions = v.whole("max_position_embeddings", default=2048)
    projected = v.whole("word_embed_proj_dim", default=hidden)
    v.refuse(projected != hidden, "word_embed_proj_dim other than hidden_size")
    v.refuse(not v.flag("layer_norm_elementwise_affine", True), "layer_norm_elementwise_affine = false")
    bias = v.flag("enable_bias", True)
    before = v.flag("do_layer_norm_before", True)
    return {
        "layers": v.whole("num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": max(1, hidden // heads),
        "vocab": v.whole("vocab_size"),
        "intermediate": v.whole("ffn_dim"),
        "tied_embeddings": v.flag("tie_word_embeddings", True),
        "max_position": positions,
        "learned_positions": positions + 2,
        "final_norm": before and not v.flag("_remove_final_layer_norm", False),
        "qkv_bias": bias,
        "o_bias": bias,
        "mlp_bias": bias,
    }


def _bloom(v: Values) -> Fields:
    hidden = v.whole("hidden_size", "n_embed")
    heads = v.whole("n_head", "num_attention_heads")
    return {
        "layers": v.whole("n_layer", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": max(1, hidden // heads),
        "vocab": v.whole("vocab_size"),
        "intermediate": 4 * hidden,
        "tied_embeddings": v.flag("tie_word_embeddings", True),
        "max_position": v.whole("seq_length", default=2048),
    }


def _mpt(v: Values) -> Fields:
    hidden = v.whole("d_model", "hidden_size")
    heads = v.whole("n_heads", "num_attention_heads")
    attention = v.section("attn_config")
    v.refuse(attention.flag("qk_ln", False), "attn_config.qk_ln")
    kind = attention.raw.get("attn_type", "multihead_attention")
    v.refuse(kind != "multihead_attention", f"attn_config.attn_type {kind!r}")
    positions = v.whole("max_seq_len", default=2048)
    learned = not attention.flag("alibi", True) and v.flag("learned_pos_emb", True)
    bias = not v.flag("no_bias", True)
    return {
        "layers": v.whole("n_layers", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": max(1, hidden // heads),
        "vocab": v.whole("vocab_size"),
        "intermediate": v.whole("expansion_ratio", default=4) * hidden,
        "tied_embeddings": v.flag("tie_word_embeddings", True),
        "max_position": positions,
        "learned_positions": positions if learned else 0,
        "norm": "layernorm" if bias else "layernorm-no-bias",
        "qkv_bias": bias,
        "o_bias": bias,
        "mlp_bias": bias,
    }


def _chatglm(v: Values) -> Fields:
    heads = v.whole("num_attention_heads")
    grouped = v.flag("multi_query_attention", False)
    bias = v.flag("add_bias_linear", False)
    return {
        "layers": v.whole("num_layers"),
        "hidden": v.whole("hidden_size"),
        "heads": heads,
        "kv_heads": v.whole("multi_query_group_num", default=1) if grouped else heads,
        "head_dim": v.whole("kv_channels", default=128),
        "vocab": v.whole("padded_vocab_size", "vocab_size"),
        "intermediate": v.whole("ffn_hidden_size"),
        "tied_embeddings": v.flag("tie_word_embeddings", False),
        "max_position": v.whole("seq_length", default=2048),
        "qkv_bias": bias or v.flag("add_qkv_bias", False),
        "o_bias": bias,
        "mlp_bias": bias,
    }


def _qwen1(v: Values) -> Fields:
    fields = sizes(v, tied=False, max_position=8192)
    bias = not v.flag("no_bias", True)
    return {
        **fields,
        "head_dim": v.whole("kv_channels", default=128),
        "kv_heads": fields["heads"],
        "intermediate": fields["intermediate"] // 2,
        "o_bias": bias,
        "mlp_bias": bias,
    }


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "bloom": _bloom,
        "chatglm": _chatglm,
        "falcon": _falcon,
        "gpt2": _gpt2,
        "gpt_bigcode": _gpt_bigcode,
        "gpt_neox": _gpt_neox,
        "mpt": _mpt,
        "opt": _opt,
        "qwen": _qwen1,
    }
)
