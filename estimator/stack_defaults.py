"""What each training stack does unless it is told otherwise."""

from __future__ import annotations

_ADAPT_ALL = ("hf-fused", "axolotl", "megatron", "nemo-automodel", "xtuner")
_KEEP_ALL = ("litgpt", "internevo", "llm-foundry", "fms-fsdp", "optimum-habana")
_SELECTIVE = ("torchtitan", "megatron", "nemo-automodel")
_LOSS = {"hf-fused": "fused", "axolotl": "fused", "litgpt": "chunked", "torchtune": "chunked"}


def stack_defaults(*, stack: str, method: str, gpus: float) -> dict[str, str]:
    """What a run that does not say otherwise is taken to have used.

    Recompute: none in litgpt, InternEvo, LLM Foundry, FMS-FSDP and Optimum Habana, selective in torchtitan,
    Megatron and NeMo AutoModel, full elsewhere. Autocast: only in axolotl, whose recipes set it. Adapters: rank 8
    on q and v (PEFT, litgpt, torchtune), rank 16 on all modules (Megatron: q, k and v) where the stack's recipes
    do so. Several accelerators: full fine-tuning fully sharded, adapters data parallel. Loss: the stack's own.
    """
    everything = stack in _ADAPT_ALL
    several = "fsdp" if method == "full" else "ddp"
    return {
        "recompute": "none" if stack in _KEEP_ALL else "selective" if stack in _SELECTIVE else "full",
        "autocast": "yes" if stack == "axolotl" else "no",
        "quantization": "nf4" if method == "qlora" else "",
        "weights_dtype": "bf16",
        "compute_dtype": "bf16",
        "optimizer": "adamw",
        "lora_rank": "16" if everything else "8",
        "lora_targets": "q k v" if stack == "megatron" else "all" if everything else "q v",
        "sharding": several if gpus > 1.0 else "none",
        "attention": "flash",
        "loss": _LOSS.get(stack, "full"),
    }
