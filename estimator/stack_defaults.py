"""What each training stack does unless it is told otherwise."""

from __future__ import annotations

from estimator.memory.stacks import HF_STACKS, KBIT

_ADAPT_ALL = ("hf-fused", "axolotl", "megatron", "nemo-automodel", "xtuner")
_KEEP_ALL = ("litgpt", "internevo", "llm-foundry", "fms-fsdp", "optimum-habana")
_SELECTIVE = ("torchtitan", "megatron", "nemo-automodel")
_LOSS = {"hf-fused": "fused", "axolotl": "fused", "litgpt": "chunked", "torchtune": "chunked"}


def stack_defaults(
    *, stack: str, method: str, gpus: float, sharding: str = "", autocast: str = "", quantization: str = ""
) -> dict[str, str]:
    """What a row that does not say otherwise is taken to have used.

    Recompute: none in litgpt, InternEvo, LLM Foundry, FMS-FSDP and Optimum Habana, selective in torchtitan,
    Megatron and NeMo AutoModel, full elsewhere. Autocast: in axolotl, whose recipes set it, and where PEFT
    prepares a bitsandbytes base, which casts its norms to fp32. Adapters: rank 8 on q and v (PEFT, litgpt,
    torchtune), rank 16 on all modules (Megatron: q, k and v) where the stack's recipes do so. Several
    accelerators: full fine-tuning fully sharded, adapters data parallel. Loss: the stack's own. Weights: 16 bit;
    where the Transformers trainer fully shards a full fine-tuning, and nothing says that it runs without mixed
    precision (autocast = no), fp32, as Accelerate casts trained parameters up under FSDP and DeepSpeed keeps
    fp32 partitions under ZeRO-3. Source: Accelerate's concept guide "FSDP vs DeepSpeed" (2024).

    ``sharding``, ``autocast`` and ``quantization`` are what the row says of them ("" for nothing).

    >>> [stack_defaults(stack="hf", method="full", gpus=gpus)["weights_dtype"] for gpus in (1.0, 8.0)]
    ['bf16', 'fp32']
    """
    everything = stack in _ADAPT_ALL
    several = ("fsdp" if method == "full" else "ddp") if gpus > 1.0 else "none"
    sharded = (sharding or several) in ("fsdp", "hsdp")
    prepared = method == "qlora" and stack == "hf" and not sharded and quantization in (*KBIT, "")
    masters = sharded and method == "full" and stack in HF_STACKS and autocast != "no"
    return {
        "recompute": "none" if stack in _KEEP_ALL else "selective" if stack in _SELECTIVE else "full",
        "autocast": "yes" if stack == "axolotl" or prepared else "no",
        "quantization": "nf4" if method == "qlora" else "",
        "weights_dtype": "fp32" if masters else "bf16",
        "compute_dtype": "bf16",
        "optimizer": "adamw",
        "lora_rank": "16" if everything else "8",
        "lora_targets": "q k v" if stack == "megatron" else "all" if everything else "q v",
        "sharding": several,
        "attention": "flash",
        "loss": _LOSS.get(stack, "full"),
    }
