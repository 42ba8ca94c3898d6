"""What one micro-batch leaves behind: saved tensors of the layers, a layer's working set, logits and loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.memory.stacks import (
    FP32_LOGITS_UNDER_AUTOCAST,
    HF_STACKS,
    LOSS_IN_LOGIT_DTYPE,
    NO_FUSED_LOSS,
    SCALED_LOGITS,
    SOFT_CAPPED_LOGITS,
    Traits,
    eager,
    own_attention,
    plain_attention,
    upcast_base,
)
from estimator.memory.widths import FP32_LAYER_NORM, FP32_NORM_WEIGHT, Adapted, Widths
from estimator.numbers import Number
from estimator.run import DTYPE_BYTES, Run

DROPOUT_MASK_BYTES = 1.0
CAST_GRADIENTS = 2.0 / 3.0
"""Share of the gradients in a feed-forward block that 4-bit modules take in, with fp32 ones cast to 16 bits."""


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Bytes per accelerator of one micro-batch.

    Attributes:
        saved: everything the forward pass of the layers keeps for the backward pass.
        layer: one layer's own saved tensors, rebuilt by full recompute.
        turn: gradients and temporaries alive while one layer's backward runs.
        retained: gradients of layer inputs that frozen sharded layers keep to the end of backward.
        final: last hidden state and final norm.
        loss: logits, their fp32 copies and gradients at the peak of the loss.
        cast_bytes_per_weight: 2 where autocast keeps 16-bit copies of fp32 weights for backward, else 0.
    """

    saved: Number
    layer: Number
    turn: Number
    retained: Number
    final: Number
    loss: Number
    cast_bytes_per_weight: float


def residual_bytes(*, run: Run) -> float:
    """Bytes of a number of the residual stream: fp32 where embeddings or norms are kept in fp32."""
    full_precision = run.weights_dtype == "fp32" and run.sharding not in ("fsdp", "hsdp")
    return 4.0 if full_precision or upcast_base(run) else 2.0


def autocast_copies(run: Run) -> bool:
    """Whether autocast casts fp32 weights and activations for each matrix product."""
    return run.autocast and run.weights_dtype == "fp32" and run.sharding not in ("fsdp", "hsdp")


def compute_bytes(*, run: Run) -> float:
    """Bytes of an activation: 2 under 16-bit or autocast, 4 where fp32 weights run without autocast."""
    sharded = run.sharding in ("fsdp", "hsdp")
    return 4.0 if run.weights_dtype == "fp32" and not run.autocast and not sharded else 2.0


def linear_output_bytes(*, run: Run) -> float:
    """Bytes of a number that a linear module of a layer returns.

    A 4-bit module of bitsandbytes computes in 16 bits and returns what it was given: fp32 where the residual
    stream is fp32. Source: derived from its code; checked against PyTorch's memory tracker.
    """
    return 4.0 if upcast_base(run) else compute_bytes(run=run)


def feed_forward_bytes(*, run: Run, traits: Traits, widths: Widths, adapted: Adapted) -> Number:
    """Bytes per token that one layer's feed-forward block keeps inside: gate, up, what the activation needs.

    Source: derived from the module code.
    """
    saved = widths.feed_forward_saved
    if run.architecture.gated_mlp:
        kernel = not traits.activation_saved and (traits.compiled or not run.adapters or adapted.down_input > 0.0)
        saved = (2.0 if kernel else 3.0) * widths.feed_forward
    elif not traits.composed_activations:
        saved = widths.feed_forward
    return linear_output_bytes(run=run) * saved


def attention_bytes(*, run: Run, traits: Traits, widths: Widths) -> Number:
    """Bytes per token that one layer's attention keeps between its projections. Source: derived."""
    e = compute_bytes(run=run)
    copied = e * widths.attention_out_copied if not run.adapters else 0.0
    if eager(run):
        total: Number = e * widths.expanded_qkv + widths.heads * run.seq_len * (4.0 + e)
        return total + (0.0 if run.adapters else e * widths.attention_out)
    qkv = widths.expanded_qkv if traits.expands_keys else widths.qkv
    masked = masked_layers(run=run)
    qkv = qkv + masked * np.maximum(widths.expanded_qkv - qkv, 0.0)
    rows = run.seq_len if plain_attention(run) else 1.0
    kept: Number = e * (qkv + widths.attention_out) + 4.0 * widths.heads * rows + copied
    return kept + masked * e * run.seq_len


def layer_bytes_per_token(*, run: Run, traits: Traits, widths: Widths, adapted: Adapted) -> Number:
    """Bytes that one layer saves per token for its backward pass, without recompute.

    Norms keep their input (in fp32 where the stack upcasts) and, if their weight is trained, what it
    multiplies; attention keeps queries, keys, values, output and a log-sum per head (without a fused kernel the
    fp32 softmax), or under eager attention the fp32 and the 16-bit score matrix; the feed-forward block keeps
    what its activation and product need; trained linear modules keep their input; adapters keep their own copy
    of it, in fp32 unless autocast casts it to 16 bit. Source: derived from the module code; checked against
    PyTorch's memory tracker.
    """
    e = compute_bytes(run=run)
    trained = not run.adapters
    casts = autocast_copies(run)
    if run.architecture.norm.startswith("layernorm"):
        norm = 4.0 if casts or run.architecture.family in FP32_LAYER_NORM else e
    elif traits.norm == "upcast":
        norm = 4.0
        if trained:
            norm += 4.0 if casts or run.architecture.family in FP32_NORM_WEIGHT else e
    else:
        norm = e
    total: Number = norm * widths.norm_inputs + attention_bytes(run=run, traits=traits, widths=widths)
    total = total + feed_forward_bytes(run=run, traits=traits, widths=widths, adapted=adapted)
    total = total + linear_output_bytes(run=run) * (widths.mixed + widths.routed)
    if trained:
        return total + e * (widths.cast_inputs if casts else widths.trained_inputs)
    each = adapter_input_bytes(run=run, traits=traits)
    if traits.adapter_input == "dropout":
        return total + each * adapted.fused_inputs + e * adapted.pairs * run.lora_rank
    if _kernels_skip_casts(run=run, traits=traits):
        return total + each * adapted.distinct_inputs + e * adapted.pairs * run.lora_rank
    return total + each * (adapted.inputs + adapted.pairs * run.lora_rank)


def _kernels_skip_casts(*, run: Run, traits: Traits) -> bool:
    return traits.adapter_input == "shared" and bool(run.quantization or traits.adapter_dtype_bytes < 4)


def adapter_input_bytes(*, run: Run, traits: Traits) -> float:
    """Bytes kept of each number that an adapter reads: dropout's output and mask, or the input as it is cast.

    Source: derived from PEFT's and litgpt's adapter code.
    """
    if traits.adapter_input == "dropout":
        return DTYPE_BYTES["bf16"] + DROPOUT_MASK_BYTES
    if _kernels_skip_casts(run=run, traits=traits):
        return compute_bytes(run=run)
    return 2.0 if run.autocast else 4.0


def masked_layers(*, run: Run) -> Number:
    """Share of layers whose attention gets a mask: sliding ones, from the length of their window on.

    Transformers then repeats keys and values to the number of query heads, and every layer keeps the mask in
    16 bits. Source: derived from the masks of Transformers; checked against PyTorch's memory tracker.
    """
    a = run.architecture
    if run.stack not in HF_STACKS or not a.sliding_window:
        return 0.0
    return np.where(run.seq_len >= a.sliding_window, a.sliding_layers / a.layers, 0.0)


def turn_bytes_per_token(
    *, run: Run, traits: Traits, widths: Widths, adapted: Adapted, constants: Mapping[str, float]
) -> Number:
    """Bytes per token of gradients and temporaries while one layer's backward runs.

    The feed-forward block turns first and holds the gradients of gate, up and activation at once; around it live
    a few hidden-sized tensors (fitted count). Attention without a fused kernel holds two score matrices. Eager
    attention turns when the feed-forward block's own tensors are gone: beside the saved fp32 softmax live its
    gradient and that of the scores in fp32, while the 16-bit copy of the softmax is freed. Model code of its own
    is taken to free nothing in between. Source: derived; checked against PyTorch's memory tracker.
    """
    e = compute_bytes(run=run)
    wide = linear_output_bytes(run=run)
    hidden = constants["memory_turn_hidden_copies"] * wide * widths.hidden
    feed_forward = wide * widths.feed_forward_turn
    if wide > e:
        feed_forward += e * widths.feed_forward_turn * CAST_GRADIENTS
    if not eager(run):
        softmax_and_scores = 8.0 * widths.heads * run.seq_len if plain_attention(run) else 0.0
        return np.maximum(feed_forward, softmax_and_scores) + hidden
    if own_attention(run):
        return np.maximum(feed_forward, widths.heads * run.seq_len * (8.0 + e)) + hidden
    gone = feed_forward_bytes(run=run, traits=traits, widths=widths, adapted=adapted)
    gone = gone + adapter_input_bytes(run=run, traits=traits) * adapted.down_input
    return np.maximum(feed_forward, widths.heads * run.seq_len * (8.0 - e) - gone) + hidden


def loss_kind(*, run: Run, traits: Traits) -> str:
    """The loss that really runs: fused kernels pass by families that they do not know, and hf-lean."""
    group = traits.constants
    if group.startswith("hf") and (group == "hf_lean" or run.architecture.family in NO_FUSED_LOSS):
        return "full"
    return run.loss


def loss_bytes_per_logit(*, run: Run, traits: Traits, constants: Mapping[str, float]) -> float:
    """Bytes per token and vocabulary entry at the peak of the loss.

    Full: 16-bit logits, an fp32 copy, its log-softmax and two gradients, as far as they live at once; 4 where
    one kernel goes from 16-bit logits to their gradient. Chunked: all 16-bit logits and one chunk. Fused: none,
    where the stack's kernel supports the family. Classes that compute the loss in the logits' own dtype keep a
    few copies in it; under autocast the loss casts them. Source: fitted per stack, within what the class code
    allows.
    """
    kind = loss_kind(run=run, traits=traits)
    group = traits.constants
    family = run.architecture.family
    plain = not run.autocast or family in FP32_LOGITS_UNDER_AUTOCAST
    if kind == "full" and group.startswith("hf") and family in LOSS_IN_LOGIT_DTYPE and plain:
        return constants["memory_plain_loss_copies"] * (4.0 if run.autocast else 2.0)
    if kind == "fused":
        return 0.0
    if traits.fused_cross_entropy:
        return 2.0 * DTYPE_BYTES["bf16"]
    if group == "hf_lean" and family in SCALED_LOGITS:
        group = "hf"
    capped = 2.0 if kind == "full" and family in SOFT_CAPPED_LOGITS else 0.0
    return constants[f"memory_{kind}_loss_bytes_per_logit_{group}"] + capped


def _unasked(*, run: Run, traits: Traits, widths: Widths) -> Number:
    """Bytes per token that the first layer's attention need not keep: nothing up to it is trained.

    So where no adapter makes its queries, keys or values. Source: derived; checked against PyTorch's memory
    tracker.
    """
    if not run.adapters or run.also_trained or set(run.lora_targets) & {"q", "k", "v"}:
        return 0.0
    return np.where(run.pp > 1.0, 0.0, attention_bytes(run=run, traits=traits, widths=widths))


def activations(
    *, run: Run, traits: Traits, widths: Widths, adapted: Adapted, constants: Mapping[str, float]
) -> Activations:
    """One micro-batch's bytes. Tensor parallelism divides all of them (sequence parallel regions assumed)."""
    tokens = run.micro_batch_tokens / run.tp
    e = compute_bytes(run=run)
    stream = max(residual_bytes(run=run), e)
    inputs = stream * widths.hidden
    extra = (stream - 2.0) * 2.0 * widths.hidden if e == 2.0 else 0.0
    if run.quantization and traits.keeps_quantized_inputs:
        inputs_read = widths.trained_inputs + widths.attention_out
        extra += constants["memory_quantized_input_bytes"] * inputs_read
    layer = layer_bytes_per_token(run=run, traits=traits, widths=widths, adapted=adapted) + extra
    # 1F1B keeps as many micro-batches as there are stages in flight on the first stage.
    in_flight = np.minimum(run.pp, run.micro_batches)
    layers = widths.layers / run.pp * in_flight
    full = run.recompute == "full"
    if full:
        kept: Number = layers * inputs
    elif run.recompute == "selective":
        kept = layers * (inputs + constants["memory_selective_saved_fraction"] * (layer - inputs))
    else:
        kept = layers * layer - _unasked(run=run, traits=traits, widths=widths)
    if run.offload in ("activations", "all"):
        kept = np.minimum(kept, constants["memory_offload_layers_in_flight"] * kept / layers)
    retained: Number = 0.0
    if traits.retains_input_gradients and run.adapters and run.sharding in ("fsdp", "hsdp") and full:
        retained = np.maximum(widths.layers - 2.0, 0.0) * inputs
    final = (4.0 if traits.norm == "upcast" else e) * widths.hidden + e * widths.hidden
    if not run.adapters:
        final += e * widths.hidden
    return Activations(
        saved=tokens * kept,
        layer=tokens * (layer if run.recompute != "none" else 0.0),
        turn=tokens
        * turn_bytes_per_token(run=run, traits=traits, widths=widths, adapted=adapted, constants=constants),
        retained=tokens * retained,
        final=tokens * final,
        loss=tokens * widths.vocab * loss_bytes_per_logit(run=run, traits=traits, constants=constants),
        cast_bytes_per_weight=DTYPE_BYTES["bf16"] if autocast_copies(run) else 0.0,
    )
