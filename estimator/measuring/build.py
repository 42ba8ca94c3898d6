"""A real Transformers model with random weights on the device, adapted or quantised as a setting asks.

Runs in the child process only; needs torch, transformers, accelerate, and peft or bitsandbytes where used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimator.errors import InputError
from estimator.memory.stacks import TRAITS

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
SPREAD = 0.02
"""Standard deviation of random weights: the usual one, so that nothing overflows."""

FUSED_SINCE = 5
"""Major version of Transformers from which the experts of a layer are one tensor."""

RECOMPUTE = {"use_reentrant": False}
"""How the Trainer of Transformers 5 recomputes; the other way is the default of Transformers 4."""


def build_model(job: Mapping[str, Any], *, device: Any) -> Any:
    """The model of a job, in training mode: weights on the device, adapters in place, recompute set.

    Args:
        job: ``config`` (keys of the configuration), ``modules`` (names that adapters go to) and ``cells``.
        device: torch device.
    """
    import torch
    import transformers
    from accelerate import init_empty_weights

    cells = job["cells"]
    keys = dict(job["config"])
    attention = {"flash": "sdpa"}.get(cells["attention"], cells["attention"])
    dtype = getattr(torch, DTYPES[cells["weights_dtype"]])
    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(keys.pop("model_type"), **keys)
    with init_empty_weights(include_buffers=False):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    model.tie_weights()
    built = sum(parameter.numel() for parameter in model.parameters())
    if built != job["parameters"]:
        raise InputError(f"built {built:,} parameters where the catalogue counts {job['parameters']:,}.")
    quantization = cells.get("quantization", "")
    if quantization:
        if "experts_quantized" in cells and int(transformers.__version__.partition(".")[0]) < FUSED_SINCE:
            raise InputError(
                f"transformers {transformers.__version__} keeps experts as modules, which would be quantised;"
                f" a mixture is measured with QLoRA from version {FUSED_SINCE} on."
            )
        double = quantization == "nf4-double" or TRAITS["hf"].nested_constants
        _quantise(model, double=double, compute=dtype, device=device)
    _materialise(model, device=device)
    model.train()
    recompute = cells["recompute"] == "full"
    if quantization:
        import peft

        model.is_loaded_in_4bit = True
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if recompute:
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable(RECOMPUTE)
    if cells["method"] != "full":
        import peft

        adapters = peft.LoraConfig(r=int(cells["lora_rank"]), target_modules=job["modules"], task_type="CAUSAL_LM")
        if recompute:
            model.enable_input_require_grads()
        model = peft.get_peft_model(model, adapters)
    return model


def _random(tensor: Any, *, name: str, device: Any) -> Any:
    """A tensor of this shape and dtype: matrices random, biases zero, other vectors one."""
    import torch

    new = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    if new.dim() > 1:
        return new.normal_(0.0, SPREAD)
    return new.zero_() if name.endswith("bias") else new.fill_(1.0)


def _materialise(model: Any, *, device: Any) -> None:
    """Give every parameter without storage random values on the device; tied ones stay tied; move the rest."""
    import torch

    done: dict[int, Any] = {}
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is None or parameter.device.type != "meta":
                    continue
                if id(parameter) not in done:
                    fresh = _random(parameter, name=name, device=device)
                    done[id(parameter)] = (parameter, torch.nn.Parameter(fresh, requires_grad=True))
                module._parameters[name] = done[id(parameter)][1]
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = buffer.to(device)


def _quantise(model: Any, *, double: bool, compute: Any, device: Any) -> None:
    """Put 4-bit modules of bitsandbytes in place of every linear module but the head, one at a time."""
    import bitsandbytes
    import torch

    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not torch.nn.Linear or child is head:
                continue
            with torch.device("meta"):
                new = bitsandbytes.nn.Linear4bit(
                    child.in_features,
                    child.out_features,
                    bias=child.bias is not None,
                    compute_dtype=compute,
                    compress_statistics=double,
                    quant_type="nf4",
                )
            weight = _random(child.weight, name="weight", device=device)
            new.weight = bitsandbytes.nn.Params4bit(
                weight, requires_grad=False, quant_type="nf4", compress_statistics=double, module=new
            ).to(device)
            if child.bias is not None:
                bias = _random(child.bias, name="bias", device=device)
                new.bias = torch.nn.Parameter(bias, requires_grad=False)
            setattr(parent, name, new)


def count_parameters(model: Any) -> int:
    """Parameters that are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def build_optimizer(name: str, model: Any) -> Any:
    """The optimizer of a setting over the trained parameters, with the Trainer's usual settings."""
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if name == "adamw":
        return torch.optim.AdamW(trained, lr=1e-5, foreach=True)
    if name == "adamw-fused":
        return torch.optim.AdamW(trained, lr=1e-5, fused=True)
    import bitsandbytes

    kind = {"adamw-8bit": "AdamW8bit", "paged-adamw": "PagedAdamW32bit"}[name]
    return getattr(bitsandbytes.optim, kind)(trained, lr=1e-5)
