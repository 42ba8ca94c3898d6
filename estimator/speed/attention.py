"""Time of attention's own products, apart from the linear modules."""

from __future__ import annotations

import numpy as np

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.matmul import base_peak_flop_per_s, power_fraction

#: Backward of flash attention: five products (scores again, and the gradients of values, scores, queries and
#: keys) against two forward (Dao 2023, arXiv 2307.08691, section 3.1).
BACKWARD_PRODUCTS = 2.5

#: Stacks that call the maker's own attention kernel (cuDNN through Transformer Engine) where it is the faster.
VENDOR_KERNEL = frozenset({"megatron"})

#: Stacks whose context parallelism is PyTorch's ring: a kernel per block that arrives, and partial results
#: merged in fp32 between them. (Ulysses attends to whole sequences; the maker's kernel merges inside.)
MERGES_RING = frozenset({"torchtitan", "nemo-automodel"})


def mean_context_tokens(*, seq_len: Number, window: Number, block: float) -> Number:
    """Keys that a query attends to on average under a causal mask, whole blocks on the diagonal counted.

    Without a window (seq + block) / 2. With a window w < seq: w - w^2 / (2 seq), the early queries having
    fewer. Source: derived.

    >>> mean_context_tokens(seq_len=4096.0, window=0.0, block=0.0)
    2048.0
    >>> float(mean_context_tokens(seq_len=8192.0, window=4096.0, block=0.0))
    3072.0
    """
    if isinstance(window, float) and window == 0.0:
        return (seq_len + block) / 2.0
    reach = np.minimum(window, seq_len)
    return reach - reach * reach / (2.0 * seq_len) + block / 2.0


#: Tensors of the size of a query that a flash backward reads or writes (queries, outputs, their gradients twice),
#: and of a key (keys and values, and their gradients).
BACKWARD_QUERY_TENSORS, BACKWARD_KEY_TENSORS = 4.0, 4.0


def _layer_contexts(run: Run, constants: Constants) -> Number:
    """Keys that a query attends to, summed over the layers, wider layers counted by their width."""
    arch = run.architecture
    width = float(arch.query_features + arch.value_features)
    other = arch.global_attention
    wider = 2.0 * arch.heads * other.head_dim / width if other else 1.0
    full_layers = arch.attention_layers - arch.sliding_layers
    if run.attention == "eager":
        return run.seq_len * (arch.sliding_layers + wider * full_layers)
    block = constants["attention_block_tokens"]
    context = wider * full_layers * mean_context_tokens(seq_len=run.seq_len, window=0.0, block=block)
    if arch.sliding_layers:
        local = mean_context_tokens(seq_len=run.seq_len, window=float(arch.sliding_window), block=block)
        context = context + arch.sliding_layers * local
    return context


def attention_flop(*, run: Run, constants: Constants) -> Number:
    """FLOP of one forward of attention over one micro-batch, all layers.

    2 x tokens x context x (query width + value width) / tensor-parallel degree; the context is that of
    `mean_context_tokens` for flash kernels and the whole sequence for eager ones. Source: derived.
    """
    width = float(run.architecture.query_features + run.architecture.value_features)
    return 2.0 * run.micro_batch_tokens * _layer_contexts(run, constants) * width / run.tp


def attention_bytes(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Bytes that attention moves over one micro-batch, all layers: ``forward`` passes and one backward.

    A flash forward reads queries, keys and values and writes outputs, all in 16 bits; a backward reads and
    writes those and their gradients. Eager attention moves the score matrix several times besides.
    Source: derived.
    """
    arch = run.architecture
    queries = float(arch.query_features + arch.value_features) / 2.0
    keys = float(arch.kv_features) * run.cp
    tensors = (
        forward * (2.0 * queries + 2.0 * keys) + BACKWARD_QUERY_TENSORS * queries + BACKWARD_KEY_TENSORS * keys
    )
    traffic = 2.0 * run.micro_batch_tokens * tensors * arch.attention_layers / run.tp
    if run.attention == "eager":
        scores = run.micro_batch_tokens * _layer_contexts(run, constants) * (arch.heads / run.tp)
        traffic = traffic + scores * constants["eager_attention_bytes_per_score"] * (forward + 2.0)
    return traffic


def attention_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Seconds of attention over one micro-batch, all layers: ``forward`` passes and one backward.

    FLOP over the flash fraction of the 16-bit peak, backward 2.5 times a forward's at its own fraction; and at
    least the bytes of `attention_bytes` over bandwidth, which eager attention adds instead, for its kernels
    follow one another.

    Source: fractions fitted; counts derived. Validity: causal decoder models.
    """
    arch, card = run.architecture, run.accelerator
    width = float(arch.query_features + arch.value_features)
    flop = attention_flop(run=run, constants=constants)
    peak = base_peak_flop_per_s(run=run) * power_fraction(run=run, constants=constants)
    fraction = constants.of_family("attention_fraction", card.family, card.power_watt)
    if run.stack in VENDOR_KERNEL:
        vendor = constants.of_family("vendor_attention_fraction", card.family, card.power_watt)
        fraction = np.maximum(fraction, vendor)
    fraction = fraction * constants.of_stack("attention_kernel_ratio", run.stack)
    if run.stack in MERGES_RING:
        fraction = fraction * np.where(np.asarray(run.cp) > 1.0, constants["ring_attention_fraction"], 1.0)
    width_per_head = width / (2.0 * arch.heads)
    fraction = fraction / (1.0 + constants["attention_softmax_features"] / width_per_head)
    backward = BACKWARD_PRODUCTS / constants["attention_backward_ratio"]
    seconds = flop * (forward + backward) / (peak * fraction)
    traffic_s = attention_bytes(run=run, constants=constants, forward=forward) / card.memory_bytes_per_s
    return seconds + traffic_s if run.attention == "eager" else np.maximum(seconds, traffic_s)
