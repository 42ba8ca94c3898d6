"""What each training stack does that a formula must know: dtypes, kernels, life times. Facts, not fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from estimator.run import Run, Stack

Norm = Literal["upcast", "native"]
AdapterInput = Literal["per-module", "shared", "dropout"]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """How a stack runs a layer.

    Attributes:
        norm: "upcast" keeps an fp32 copy of the norm's input, "native" the input in its own dtype.
        activation_saved: the activation's output is kept beside its input (no fused kernel, no compiler).
        compiled: a compiler fuses every feed-forward block; kernels do so only where they also hold the adapters.
        composed_activations: activations that a model class composes of elementary steps keep each step's input.
        adapter_dtype_bytes: bytes of an adapter's parameters (PEFT: fp32).
        adapter_input: every adapted module keeps its own cast of its input; modules that read one tensor share
            one copy; or dropout's output and mask are kept.
        kbit_upcast: what a bitsandbytes base leaves unquantised is cast to fp32, and with it the residual stream.
        masters: bf16 weights are copies of fp32 masters that the optimizer holds.
        gradient_bytes: of a trained parameter where it is not that of the parameter; 0: same.
        nested_constants: block constants of a plain NF4 base are quantised again.
        fused_optimizer: AdamW runs as one kernel, without the temporary of the multi-tensor version.
        unties_head: tied embedding and head are held as two tensors.
        quantizes_head: the head is quantised with the other linear modules.
        expands_keys: keys and values are repeated to the number of query heads before flash attention too.
        keeps_quantized_inputs: modules of a quantised base keep their input to the end of the backward pass, as
            bitsandbytes did in the versions that the stack pins.
        unsharded_accumulation: gradients stay unsharded while micro-batches accumulate.
        retains_input_gradients: sharded frozen layers keep the gradient of their input to the end of backward.
        fused_cross_entropy: one kernel reads all 16-bit logits and writes their 16-bit gradient.
        constants: suffix of the stack's fitted rows in the registry.
    """

    norm: Norm = "native"
    activation_saved: bool = True
    compiled: bool = False
    composed_activations: bool = False
    adapter_dtype_bytes: float = 4.0
    adapter_input: AdapterInput = "per-module"
    kbit_upcast: bool = False
    masters: bool = False
    gradient_bytes: float = 0.0
    nested_constants: bool = True
    fused_optimizer: bool = False
    unties_head: bool = False
    quantizes_head: bool = False
    expands_keys: bool = False
    keeps_quantized_inputs: bool = False
    unsharded_accumulation: bool = False
    retains_input_gradients: bool = False
    fused_cross_entropy: bool = False
    constants: str = "other"


_HF = Traits(
    norm="upcast", composed_activations=True, kbit_upcast=True, retains_input_gradients=True, constants="hf"
)
_COMPILED = Traits(activation_saved=False, compiled=True, adapter_dtype_bytes=2.0, adapter_input="shared")

TRAITS: dict[Stack, Traits] = {
    "hf": _HF,
    "hf-lean": replace(_HF, kbit_upcast=False, constants="hf_lean"),
    "hf-fused": replace(
        _HF,
        norm="native",
        activation_saved=False,
        adapter_input="shared",
        kbit_upcast=False,
        constants="hf_fused",
    ),
    "hf-compile": replace(_HF, norm="native", activation_saved=False, compiled=True, composed_activations=False),
    "axolotl": replace(
        _HF, activation_saved=False, kbit_upcast=False, retains_input_gradients=False, constants="axolotl"
    ),
    "litgpt": Traits(
        norm="upcast",
        adapter_dtype_bytes=2.0,
        adapter_input="dropout",
        nested_constants=False,
        unties_head=True,
        quantizes_head=True,
        expands_keys=True,
        keeps_quantized_inputs=True,
        unsharded_accumulation=True,
        constants="litgpt",
    ),
    "torchtune": replace(_COMPILED, fused_optimizer=True, constants="torchtune"),
    "torchtune-compile": replace(_COMPILED, fused_optimizer=True, constants="torchtune"),
    "llm-foundry": Traits(fused_cross_entropy=True),
    "fms-fsdp": replace(_COMPILED, fused_optimizer=True, constants="compiled"),
    "torchtitan": replace(_COMPILED, fused_optimizer=True, masters=True, gradient_bytes=4.0, constants="compiled"),
    "internevo": replace(_COMPILED, fused_optimizer=True, masters=True, fused_cross_entropy=True),
    "xtuner": replace(_COMPILED, fused_optimizer=True, masters=True),
    "megatron": replace(_COMPILED, fused_optimizer=True, masters=True, gradient_bytes=4.0),
    "nemo-automodel": Traits(norm="upcast", adapter_dtype_bytes=2.0, adapter_input="shared"),
    "optimum-habana": replace(_HF, retains_input_gradients=False, kbit_upcast=False, constants="other"),
}

KBIT = ("nf4", "nf4-double", "int8")
"""Quantisations of bitsandbytes, which PEFT's k-bit preparation is made for."""

HF_STACKS = ("hf", "hf-lean", "hf-fused", "hf-compile")
"""Stacks that run the model classes of Transformers."""

FUSED_KERNELS = frozenset({"hf-fused", "axolotl"})
"""Stacks whose fused loss and norm kernels replace a model class's own code, family by family."""

NO_FUSED_KERNELS = frozenset(
    {
        "gpt_bigcode",
        "gpt2",
        "gpt_neox",
        "gptj",
        "bloom",
        "opt",
        "mpt",
        "falcon",
        "baichuan",
        "chatglm",
        "qwen",
    }
)
"""Families that those kernels do not reach: they run with the model class's own norm and full logits."""

NO_FUSED_LOSS = NO_FUSED_KERNELS | {"granite"}
"""Families whose logits a fused loss does not reach (unsupported, or scaled after the head)."""

LOSS_IN_LOGIT_DTYPE = frozenset({"gpt_bigcode", "qwen", "baichuan"})
"""Families whose class computes its loss in the dtype of the logits, without an fp32 copy."""

FP32_LOGITS_UNDER_AUTOCAST = frozenset({"gpt_bigcode"})
"""Of those, families whose logits themselves are fp32 under autocast; elsewhere the loss casts them, as usual."""

SCALED_LOGITS = frozenset({"granite"})
"""Families that rescale their logits, so that no 16-bit copy stays beside the fp32 one."""

SOFT_CAPPED_LOGITS = frozenset({"gemma2", "gemma4", "gemma4_text"})
"""Families that bound their logits with a hyperbolic tangent, whose output is kept."""

OWN_ATTENTION = frozenset({"baichuan", "bloom", "chatglm", "mpt"})
"""Families whose own model code computes the score matrix whatever kernel is asked for."""


ONE_HEAD_KEYS = frozenset({"falcon"})
"""Families whose class hands one unrepeated key head to PyTorch's attention, which no fused kernel takes."""


def traits(run: Run) -> Traits:
    """How this run's stack treats this run's model family."""
    if run.stack in FUSED_KERNELS and run.architecture.family in NO_FUSED_KERNELS:
        return replace(TRAITS["hf-lean"], constants=TRAITS[run.stack].constants)
    return TRAITS[run.stack]


def upcast_base(run: Run) -> bool:
    """Whether norms, embeddings and head of a quantised base are held in fp32 (PEFT's k-bit preparation).

    Sharded training needs one dtype per unit and leaves them as they are.
    """
    return run.quantization in KBIT and traits(run).kbit_upcast and run.sharding not in ("fsdp", "hsdp")


def leaves_experts(run: Run) -> bool:
    """Whether this stack on Transformers 5 leaves the routed experts of a quantised base as they are.

    bitsandbytes replaces linear modules. Since version 5 every mixture of Transformers holds a layer's routed
    experts as two tensors (`experts.gate_up_proj`, `experts.down_proj`), which are none; shared experts are
    linear modules. PEFT's k-bit preparation then holds the routed ones in fp32 (`upcast_base`). Source: read in
    Transformers 5.23 (integrations/bitsandbytes.py, the model classes) and PEFT 0.21 (utils/other.py).
    """
    return (
        bool(run.architecture.experts)
        and run.quantization in KBIT
        and run.stack in ("hf", "hf-lean", "hf-compile")
    )


def own_attention(run: Run) -> bool:
    """Whether the model's own code computes attention, whatever kernel is asked for."""
    return run.stack in HF_STACKS and run.architecture.family in OWN_ATTENTION


def plain_attention(run: Run) -> bool:
    """Whether PyTorch's attention falls back to plain matrix products, which keep the fp32 softmax."""
    a = run.architecture
    return run.stack in HF_STACKS and a.family in ONE_HEAD_KEYS and a.kv_heads == 1 < a.heads


def eager(run: Run) -> bool:
    """Whether attention keeps its score matrices."""
    return run.attention == "eager" or own_attention(run)
