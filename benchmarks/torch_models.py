"""Real Hugging Face model classes without weights: what both PyTorch cross-checks build and step.

Needs torch, transformers and peft, which ftcost itself never imports.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import peft
import torch
import transformers
import transformers.masking_utils
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

VERSIONS = f"torch {torch.__version__} transformers {transformers.__version__} peft {peft.__version__}"

_SPLIT = {
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "o": "o_proj",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
}
_PYTHIA = {
    "q": "query_key_value",
    "k": "query_key_value",
    "v": "query_key_value",
    "o": "dense",
    "up": "dense_h_to_4h",
    "down": "dense_4h_to_h",
}
_LATENT = {"q": "q_b_proj", "k": "kv_b_proj", "v": "kv_b_proj", "o": "o_proj"}
_FUSED_UP = {**_SPLIT, "gate": "gate_up_proj", "up": "gate_up_proj"}
MODULE_NAMES: dict[str, dict[str, str]] = {
    "bloom": _PYTHIA,
    "falcon": _PYTHIA,
    "gpt_neox": _PYTHIA,
    "mpt": {"q": "Wqkv", "k": "Wqkv", "v": "Wqkv", "o": "out_proj", "up": "up_proj", "down": "down_proj"},
    "glm": _FUSED_UP,
    "glm4": _FUSED_UP,
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "gpt2": {
        "q": "attn.c_attn",
        "k": "attn.c_attn",
        "v": "attn.c_attn",
        "o": "attn.c_proj",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
    "opt": {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj", "up": "fc1", "down": "fc2"},
    "phi": {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "dense", "up": "fc1", "down": "fc2"},
    "starcoder2": {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "up": "c_fc", "down": "c_proj"},
    "phi3": {
        "q": "qkv_proj",
        "k": "qkv_proj",
        "v": "qkv_proj",
        "o": "o_proj",
        "gate": "gate_up_proj",
        "up": "gate_up_proj",
        "down": "down_proj",
    },
}


def module_names(family: str, roles: str) -> list[str]:
    """The family's module names for canonical roles; "all" is every linear module of a block."""
    names = MODULE_NAMES.get(family, _SPLIT)
    wanted = list(names) if roles == "all" else roles.split()
    return sorted({names[role] for role in wanted})


@contextlib.contextmanager
def unpacked_batches() -> Iterator[None]:
    """No 4-D mask for batches without padding, as on a device.

    Transformers looks at the position ids for packed sequences and cannot read fake ones, so that under fake
    tensors it always builds a block mask and repeats grouped keys and values; real batches skip both.
    """
    original = transformers.masking_utils.find_packed_sequence_indices
    transformers.masking_utils.find_packed_sequence_indices = lambda position_ids: None
    try:
        yield
    finally:
        transformers.masking_utils.find_packed_sequence_indices = original


def build(
    config: dict[str, Any],
    *,
    dtype: torch.dtype,
    attention: str,
    method: str,
    lora_rank: int,
    lora_targets: str,
    recompute: bool,
    reentrant: bool,
) -> torch.nn.Module:
    """A model of this configuration on the meta device, adapted and set to recompute as asked."""
    settings = dict(config)
    family = settings.pop("model_type")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(family, **settings, dtype=dtype),
            attn_implementation={"flash": "sdpa"}.get(attention, attention),
            dtype=dtype,
        )
        model.train()
        if method == "lora":
            targets = module_names(family, lora_targets)
            adapters = LoraConfig(r=lora_rank, target_modules=targets, task_type="CAUSAL_LM")
            model = get_peft_model(model, adapters)
    if recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
        model.enable_input_require_grads()
    return model


def materialise(model: torch.nn.Module, *, device: str = "cpu") -> None:
    """Give every meta parameter and buffer a tensor on this device; tied ones stay tied.

    Under a fake mode the tensors are fake.
    """
    done: dict[int, torch.Tensor] = {}

    def fresh(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in done:
            new = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
            if isinstance(tensor, torch.nn.Parameter):
                new = torch.nn.Parameter(new, requires_grad=tensor.requires_grad)
            done[id(tensor)] = new
        return done[id(tensor)]

    keep = list(model.modules())
    for module in keep:
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    table[name] = fresh(tensor)


def fake_mode() -> FakeTensorMode:
    return FakeTensorMode(allow_non_fake_inputs=True)
