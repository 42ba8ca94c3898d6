"""One training configuration, or a block of them: the thing that memory, FLOP and time are computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from estimator.accelerator import Accelerator
from estimator.architecture import Architecture
from estimator.errors import InputError, UnknownNameError
from estimator.numbers import Number

Method = Literal["full", "lora", "qlora"]
Quantization = Literal["", "nf4", "nf4-double", "int8", "gptq-int4", "gptq-int8"]
WeightsDtype = Literal["bf16", "fp16", "fp32"]
ComputeDtype = Literal["bf16", "fp16", "fp8", "mxfp8", "nvfp4"]
Optimizer = Literal["adamw", "adamw-fused", "adamw-8bit", "adamw-4bit", "paged-adamw", "lion"]
Sharding = Literal["none", "ddp", "zero1", "zero2", "fsdp", "hsdp"]
Offload = Literal["", "params", "activations", "all"]
Recompute = Literal["none", "selective", "full"]
Attention = Literal["flash", "eager"]
Loss = Literal["full", "chunked", "fused"]
Stack = Literal[
    "hf",
    "hf-lean",
    "hf-fused",
    "hf-compile",
    "litgpt",
    "torchtune",
    "torchtune-compile",
    "axolotl",
    "llm-foundry",
    "fms-fsdp",
    "torchtitan",
    "internevo",
    "xtuner",
    "megatron",
    "nemo-automodel",
    "optimum-habana",
]

LORA_ROLES = ("q", "k", "v", "o", "gate", "up", "down", "head")

DTYPE_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "mxfp8": 1.0, "int8": 1.0, "nvfp4": 0.5}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training run's settings. Categories are single strings; numbers are floats, or arrays that broadcast.

    A block of candidates is one ``Run`` whose accelerator and numeric fields are arrays of broadcastable
    shapes (for instance accelerators along the first axis, counts along the second, micro-batches along the
    third): the same formulas then answer for all of them at once.

    Attributes:
        architecture, accelerator: what is trained, and on what.
        method: full, lora or qlora.
        quantization: of the frozen base ("" for none).
        experts_quantized: routed experts are quantised with it; no where they are one fused tensor a layer,
            which bitsandbytes under Transformers 5 leaves as it is.
        weights_dtype: of the parameters that the trainer keeps (fp32: full-precision masters under autocast
            or sharded mixed precision).
        compute_dtype: of the matrix products.
        autocast: matrix products run under autocast.
        optimizer, optimizer_in_backward: the optimizer; whether its step is fused into the backward pass.
        lora_rank, lora_targets: adapters, by canonical module role (q k v o gate up down head).
        also_trained: modules trained whole beside the adapters (embeddings, head).
        gpus: accelerators of the whole job.
        sharding: none, ddp, zero1, zero2, fsdp (= ZeRO-3), hsdp (sharded inside a node, replicated across).
        tp, pp, cp, ep: tensor, pipeline, context and expert parallel degrees.
        offload: what lives in host memory.
        micro_batch: sequences per accelerator group and micro-step.
        global_batch: sequences per optimizer step, whole job.
        seq_len: tokens per sequence.
        packed: every sequence has that length; no where the rows of a batch are padded to the longest of them.
        recompute, attention, stack, loss: as in the glossary of the measured runs.
    """

    architecture: Architecture
    accelerator: Accelerator
    method: Method
    quantization: Quantization = ""
    experts_quantized: bool = True
    weights_dtype: WeightsDtype = "bf16"
    compute_dtype: ComputeDtype = "bf16"
    autocast: bool = False
    optimizer: Optimizer = "adamw"
    optimizer_in_backward: bool = False
    lora_rank: Number = 16.0
    lora_targets: tuple[str, ...] = ()
    also_trained: tuple[str, ...] = ()
    gpus: Number = 1.0
    sharding: Sharding = "none"
    tp: Number = 1.0
    pp: Number = 1.0
    cp: Number = 1.0
    ep: Number = 1.0
    offload: Offload = ""
    micro_batch: Number = 1.0
    global_batch: Number = 1.0
    seq_len: Number = 2048.0
    packed: bool = True
    recompute: Recompute = "none"
    attention: Attention = "flash"
    stack: Stack = "hf"
    loss: Loss = "full"

    @property
    def data_parallel(self) -> Number:
        """Model replicas (GPUs / (TP x PP x CP)); expert parallelism divides these, it adds none."""
        return self.gpus / (self.tp * self.pp * self.cp)

    @property
    def shards(self) -> Number:
        """Ranks over which sharded state is divided (context-parallel ranks share in it)."""
        ranks = self.gpus / (self.tp * self.pp)
        if self.sharding == "hsdp":
            return np.minimum(ranks, self.accelerator.gpus_per_node)
        return ranks if self.sharding in ("zero1", "zero2", "fsdp") else ranks * 0.0 + 1.0

    @property
    def micro_batches(self) -> Number:
        """Micro-batches per optimizer step and replica (gradient accumulation), at least 1."""
        return np.maximum(self.global_batch / (self.micro_batch * self.data_parallel), 1.0)

    @property
    def micro_batch_tokens(self) -> Number:
        """Tokens of one micro-batch on one context-parallel rank."""
        return self.micro_batch * self.seq_len / self.cp

    @property
    def adapters(self) -> bool:
        """Whether the base is frozen and low-rank adapters are trained."""
        return self.method != "full"

    def with_(self, **changes: Any) -> Run:
        """A copy with some fields changed."""
        return replace(self, **changes)


CHOICES: dict[str, tuple[str, ...]] = {
    "method": get_args(Method),
    "quantization": get_args(Quantization),
    "weights_dtype": get_args(WeightsDtype),
    "compute_dtype": get_args(ComputeDtype),
    "optimizer": get_args(Optimizer),
    "sharding": get_args(Sharding),
    "offload": get_args(Offload),
    "recompute": get_args(Recompute),
    "attention": get_args(Attention),
    "stack": get_args(Stack),
    "loss": get_args(Loss),
}


def choice(field: str, value: str, *, where: str) -> str:
    """The value, if the field allows it; else an error that names what is allowed."""
    if value not in CHOICES[field]:
        raise UnknownNameError(field.replace("_", " "), value, [c for c in CHOICES[field] if c], where=where)
    return value


def lora_roles(text: str, *, where: str) -> tuple[str, ...]:
    """Adapter targets from "q k v o", "q,v", "attention" or "all"."""
    named = {"all": ("q", "k", "v", "o", "gate", "up", "down"), "attention": ("q", "k", "v", "o")}
    if text.strip() in named:
        return named[text.strip()]
    roles = tuple(text.replace(",", " ").split())
    if not roles:
        raise InputError(f"{where} is empty. Allowed: {' '.join(LORA_ROLES)}, all, attention.")
    for role in roles:
        if role not in LORA_ROLES:
            raise UnknownNameError("adapter target", role, [*LORA_ROLES, *named], where=where)
    return tuple(role for role in LORA_ROLES if role in roles)
