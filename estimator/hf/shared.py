"""Keys that many families of ``config.json`` name alike, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from estimator.hf.values import Values

Fields = dict[str, Any]
Reader = Callable[[Values], Fields]
LOCAL = ("sliding_attention", "chunked_attention")


def sizes(
    v: Values, *, tied: bool, max_position: int, head_dim: int | None = None, kv_heads: int | None = None
) -> Fields:
    """The sizes that most families name alike."""
    return {
        **outer_sizes(v, tied=tied, max_position=max_position, head_dim=head_dim, kv_heads=kv_heads),
        "intermediate": v.whole("intermediate_size"),
    }


def outer_sizes(
    v: Values, *, tied: bool, max_position: int, head_dim: int | None = None, kv_heads: int | None = None
) -> Fields:
    """`sizes` without the width of the dense feed-forward block, for models that have none."""
    hidden = v.whole("hidden_size")
    heads = v.whole("num_attention_heads")
    return {
        "layers": v.whole("num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": v.whole("num_key_value_heads", default=kv_heads or heads),
        "head_dim": v.whole("head_dim", default=head_dim or max(1, hidden // heads)),
        "vocab": v.whole("vocab_size"),
        "intermediate": 0,
        "tied_embeddings": v.flag("tie_word_embeddings", tied),
        "max_position": v.whole("max_position_embeddings", default=max_position),
    }


def bias(v: Values, *, default: bool = False, o: bool | None = None) -> Fields:
    """Biases of the attention projections; ``o`` where the output projection has its own rule."""
    bias = v.flag("attention_bias", default)
    return {"qkv_bias": bias, "o_bias": bias if o is None else o}


def window(v: Values, fields: Fields, *, reach: int, local: int) -> Fields:
    """Local layers: by ``layer_types`` where given, else ``local`` of them; none where it never binds."""
    named = v.names("layer_types", fields["layers"])
    count = sum(name in LOCAL for name in named) if named is not None else local
    if not reach or not count or reach >= fields["max_position"]:
        return {}
    return {"sliding_window": reach, "sliding_layers": count}


def experts(v: Values, *keys: str, width: int, active: int, dense: int = 0, shared: int = 0) -> Fields:
    """A mixture of experts: their number under ``keys``, their width, and the layers that stay dense."""
    fields: Fields = {
        "experts": v.whole(*keys, "num_local_experts"),
        "experts_per_token": v.whole("num_experts_per_tok", "experts_per_token", default=active),
        "expert_intermediate": width,
        "shared_expert_intermediate": shared,
        "dense_layers": dense,
    }
    return fields if dense else {**fields, "intermediate": 0}


def delta_net_layers(v: Values, layers: int) -> int:
    """Layers with a gated delta net: by ``layer_types``, else all but every fourth."""
    named = v.names("layer_types", layers)
    if named is not None:
        return sum(name == "linear_attention" for name in named)
    every = v.whole("full_attention_interval", default=4)
    return layers - layers // every


def convolutions(v: Values, fields: Fields) -> int:
    """Layers with a short convolution in place of attention."""
    layers: int = fields["layers"]
    named = v.names("layer_types", layers)
    if named is not None:
        return sum(name != "full_attention" for name in named)
    full = v.numbers("full_attn_idxs")
    return layers - len(full) if full is not None else 0


def qwen_window(v: Values, fields: Fields) -> Fields:
    """Local layers of the Qwen families: those from ``max_window_layers`` on, where the window is used."""
    if not v.flag("use_sliding_window", False):
        return {}
    full = min(v.whole("max_window_layers", default=28, low=0), fields["layers"])
    reach = v.whole("sliding_window", default=4096)
    return window(v, fields, reach=reach, local=fields["layers"] - full)
