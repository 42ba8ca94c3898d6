"""The moments at which memory can peak, and what is alive at each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.memory.activations import Activations, activations
from estimator.memory.stacks import Traits, traits, upcast_base
from estimator.memory.states import States, quantized_bytes_per_parameter, states
from estimator.memory.widths import Counts, adapted, counts, widths
from estimator.numbers import Number
from estimator.run import DTYPE_BYTES, Run

Parts = dict[str, Number]

DEEPSPEED_STACKS = ("hf", "hf-lean", "hf-fused", "hf-compile", "axolotl", "xtuner", "llm-foundry")
"""Stacks in which ZeRO-1 and -2 mean DeepSpeed."""

PARTS = (
    "weights",
    "quantization_constants",
    "adapters",
    "masters",
    "moments",
    "gradients",
    "update_temporary",
    "activations",
    "layer_working_set",
    "logits_and_loss",
    "gathered_shards",
    "weight_casts",
    "dequantization",
)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Unsharded buffers of fully sharded training, bytes per accelerator.

    Attributes:
        root: embedding and head, gathered for the whole pass where one unit holds both.
        layer: one gathered layer.
        layer_gradient: the unreduced gradient of one layer.
        root_gradient: the unreduced gradient of embedding and head.
    """

    root: Number
    layer: Number
    layer_gradient: Number
    root_gradient: Number


def gathered(*, run: Run, tr: Traits, shape: Counts, state: States, constants: Mapping[str, float]) -> Gathered:
    """Buffers that sharding needs around the computation.

    Full sharding gathers one unit with embedding and head, and the layer at hand; trained units also hold their
    unreduced gradient. ZeRO-1 and -2 under DeepSpeed hold reduce buckets. Source: derived from PyTorch's FSDP;
    DeepSpeed's defaults.
    """
    if run.sharding not in ("fsdp", "hsdp"):
        bucket: Number = 0.0
        if run.sharding in ("zero1", "zero2") and run.stack in DEEPSPEED_STACKS:
            bucket = np.minimum(constants["memory_zero_bucket_bytes"], 2.0 * state.gradients)
        return Gathered(root=0.0, layer=0.0, layer_gradient=bucket, root_gradient=0.0)
    apart = 1.0 / run.tp
    each = 2.0
    if run.quantization:
        each = sum(
            quantized_bytes_per_parameter(
                quantization=run.quantization, nested=tr.nested_constants, constants=constants
            )
        )
    layer = (shape.layer - shape.layer_expert) + shape.layer_expert / run.ep
    layer_bytes = layer * each
    if not run.experts_quantized:
        layer_bytes = layer_bytes + shape.layer_expert / run.ep * (2.0 - each)
    trained = 0.0 if run.adapters else 1.0
    return Gathered(
        root=apart * 2.0 * (shape.embedding + shape.head),
        layer=apart * layer_bytes,
        layer_gradient=apart * trained * layer * 2.0,
        root_gradient=apart * trained * 2.0 * (shape.embedding + shape.head),
    )


def moments(*, run: Run, constants: Mapping[str, float]) -> dict[str, Parts]:
    """What is alive at each moment that can hold the peak, by part, bytes per accelerator.

    load: weights as they arrive, one of them still unquantised. loss: every saved activation with logits and
    loss. backward: the first layer to turn, with its working set. end of backward: all gradients beside the
    last layer to turn. embedding gradient: the two gradients of a tied embedding are added. step: all gradients
    and the optimizer's temporary. Gradients of earlier micro-batches stay through forward passes when they
    accumulate. Source: derived.
    """
    architecture = run.architecture
    tr = traits(run)
    shape = counts(architecture, untied=tr.unties_head, head_quantized=tr.quantizes_head)
    wide = widths(architecture)
    state = states(run=run, traits=tr, counts=shape, constants=constants)
    acts = activations(
        run=run,
        traits=tr,
        widths=wide,
        adapted=adapted(architecture, run.lora_targets if run.adapters else ()),
        constants=constants,
    )
    buffers = gathered(run=run, tr=tr, shape=shape, state=state, constants=constants)
    ddp = state.gradients if run.sharding == "ddp" else 0.0
    if run.optimizer_in_backward:
        accumulated: Number = 0.0
        all_gradients: Number = state.largest_gradient
    else:
        accumulating = np.where(run.micro_batches > 1.0, 1.0, 0.0)
        accumulated = accumulating * state.gradients
        all_gradients = state.gradients
        if tr.unsharded_accumulation and run.sharding in ("fsdp", "hsdp") and not run.adapters:
            spread = accumulating * (run.shards - 1.0) * state.gradients
            accumulated = accumulated + spread
            all_gradients = all_gradients + spread
    # The last layer to turn has no gradients of its own yet, nor has the embedding, unless they accumulate.
    missing = 0.0
    if not run.adapters and not run.optimizer_in_backward:
        missing = shape.layer + (0.0 if architecture.tied_embeddings and not tr.unties_head else shape.embedding)
    last_layer_gradients = np.maximum(accumulated, all_gradients * (1.0 - missing / shape.total))
    step_gradients = state.largest_gradient if run.optimizer_in_backward else state.gradients
    fixed: Parts = {
        "weights": state.weights,
        "quantization_constants": state.quantization_constants,
        "adapters": state.adapters,
        "masters": state.masters,
        "moments": state.moments,
    }
    casts = _weight_casts(run=run, shape=shape, acts=acts)
    dequantized: Number = 0.0
    dequantized_head: Number = 0.0
    if run.quantization:
        largest = shape.largest_linear if run.experts_quantized else shape.largest_dense_linear
        dequantized = largest / run.tp * DTYPE_BYTES["bf16"]
        per_weight = constants["memory_dequantized_head_bytes_per_weight"]
        dequantized_head = shape.quantizable_head / run.tp * per_weight
    layers_ahead = 1.0 if run.adapters else 2.0
    turn = acts.layer + acts.turn
    # A weight is dequantised while one of the three feed-forward gradients is alive, so it adds only the excess.
    spare = np.maximum(dequantized - acts.turn * 2.0 / 3.0, 0.0)
    one_layer = acts.saved / wide.layers
    return {
        "load": {
            "weights": state.weights,
            "quantization_constants": state.quantization_constants,
            "adapters": state.adapters,
            "dequantization": dequantized,
        },
        "loss": fixed
        | {
            "gradients": accumulated + ddp,
            "activations": acts.saved + acts.final,
            "logits_and_loss": acts.loss,
            "gathered_shards": buffers.root,
            "weight_casts": casts + _head_cast(run=run, tr=tr, shape=shape),
            "dequantization": dequantized_head,
        },
        "backward": fixed
        | {
            "gradients": np.maximum(accumulated, _head_gradient(run, state, shape)) + ddp,
            "activations": acts.saved + acts.retained,
            "layer_working_set": turn,
            "gathered_shards": buffers.root
            + buffers.layer * layers_ahead
            + buffers.layer_gradient
            + buffers.root_gradient,
            "weight_casts": casts,
            "dequantization": spare,
        },
        "end of backward": fixed
        | {
            "gradients": last_layer_gradients + ddp,
            "activations": one_layer,
            "layer_working_set": turn,
            "gathered_shards": buffers.root + buffers.layer + buffers.layer_gradient + buffers.root_gradient,
            "weight_casts": casts,
            "dequantization": spare,
        },
        "embedding gradient": fixed | {"gradients": all_gradients + ddp + state.tied_gradients},
        "step": fixed
        | {
            "gradients": step_gradients + ddp,
            "update_temporary": state.update_temporary,
        },
    }


def _head_gradient(run: Run, state: States, shape: Counts) -> Number:
    if run.adapters or run.sharding in ("fsdp", "hsdp", "zero2"):
        return 0.0
    return np.minimum((shape.head or shape.embedding) / run.tp * DTYPE_BYTES[run.weights_dtype], state.gradients)


def _head_cast(*, run: Run, tr: Traits, shape: Counts) -> Number:
    """The 16-bit copy that autocast makes of an fp32 head, kept until the head's backward pass."""
    if not (run.autocast and upcast_base(run)) or tr.quantizes_head:
        return 0.0
    return DTYPE_BYTES["bf16"] * (shape.head or shape.embedding) / run.tp


def _weight_casts(*, run: Run, shape: Counts, acts: Activations) -> Number:
    head = shape.head or shape.embedding
    everything = shape.quantizable + head
    if run.recompute == "full" and run.adapters:
        everything = shape.quantizable / run.architecture.layers + head
    return acts.cast_bytes_per_weight * everything / (run.tp * run.pp)
