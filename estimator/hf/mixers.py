"""Parameters of the layers that mix tokens without softmax attention, from a configuration's sizes.

Sources: the shapes of the modules in Hugging Face Transformers 5.23 (Qwen 3.5, Granite 4, LFM2), derived.
"""

from __future__ import annotations

from estimator.architecture import Mixer
from estimator.hf.values import Values


def gated_delta_net(v: Values, *, hidden: int, layers: int) -> Mixer | None:
    """Gated delta net: projections to queries, keys, values, output gate and two scalars a head, and back."""
    key_heads = v.whole("linear_num_key_heads", default=16)
    value_heads = v.whole("linear_num_value_heads", default=32)
    keys = key_heads * v.whole("linear_key_head_dim", default=128)
    value_dim = v.whole("linear_value_head_dim", default=128)
    values = value_heads * value_dim
    matmul = hidden * (2 * keys + 2 * values + 2 * value_heads) + values * hidden
    convolution = (2 * keys + values) * v.whole("linear_conv_kernel_dim", default=4)
    return _mixer("gated-delta-net", layers, matmul, convolution + 2 * value_heads + value_dim)


def mamba2(v: Values, *, hidden: int, layers: int) -> Mixer | None:
    """Mamba-2: one projection in (gate, state input, step), a convolution with bias, and one back."""
    inner = v.whole("mamba_expand", default=2) * hidden
    heads = v.whole("mamba_n_heads", default=128)
    width = inner + 2 * v.whole("mamba_n_groups", default=1) * v.whole("mamba_d_state", default=256)
    projections = hidden * (inner + width + heads) + inner * hidden
    kernel = v.whole("mamba_d_conv", default=4)
    convolution = width * (kernel + int(v.flag("mamba_conv_bias", True)))
    biases = inner + width + heads + hidden if v.flag("mamba_proj_bias", False) else 0
    return _mixer("mamba-2", layers, projections, convolution + biases + 3 * heads + inner)


def short_convolution(v: Values, *, hidden: int, layers: int) -> Mixer | None:
    """Double-gated short convolution: hidden to three times hidden, a depthwise convolution, and back."""
    kernel = v.whole("conv_L_cache", default=3)
    biases = 5 * hidden if v.flag("conv_bias", False) else 0
    return _mixer("short-convolution", layers, 4 * hidden * hidden, kernel * hidden + biases)


def _mixer(kind: str, layers: int, matmul: int, rest: int) -> Mixer | None:
    if not layers:
        return None
    return Mixer(kind=kind, layers=layers, parameters=matmul + rest, matmul_parameters=matmul)
