"""Every setting of the measuring grid on a CUDA device of fake tensors: measure_dry_run.csv.

    python benchmarks/measure_dry_run.py [OUT.csv]

The harness's own code builds the model, makes the optimizer and takes its steps, as it would on a card; only the
device is none (`fake_cuda`), so that nothing is computed and no memory is needed. It shows that every setting is
built and trained with the right shapes, and `peak_bytes` is the highest total of tensors on the device, as
PyTorch's tracker counts it (`torch_memory`), over the steps that the harness takes for the peak.

Needs torch, transformers, peft, accelerate, bitsandbytes and g++. What differs from a card: attention takes the
kernel that a card would (flash; memory-efficient under a mask; plain in fp32 with grouped keys) by its shapes
alone; modules that the harness compiles run uncompiled; paged optimizer state lies on the host; there is one
warm-up step instead of several; and what `torch_memory` says of fake tensors. bitsandbytes runs its own
operators, on plain parameters.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fake_cuda

from estimator.measuring.session import Device, train_job
from estimator.measuring.settings import Setting, read_grid
from estimator.measuring.settings import setting as planned

COLUMNS = [
    "id", "model", "method", "quantization", "experts_quantized", "weights_dtype", "autocast", "optimizer",
    "recompute", "attention", "stack", "loss", "lora_rank", "lora_targets", "micro_batch", "seq_len", "parameters",
     "trainable_parameters", "peak_bytes", "versions",
]  # fmt: skip
STEPS = 1
MIXTURE = {"model": "allenai/OLMoE-1B-7B-0924", "method": "qlora", "micro_batch": "4", "seq_len": "2048"}
"""Beside the grid: QLoRA of a mixture, whose experts stay unquantised."""


def tracker_class() -> type:
    from torch_memory import PeakTracker

    class CardTracker(PeakTracker):
        """The tracker of storages alone: what a card's allocator would be asked about."""

        def _pre_fw_hook(self, *_: Any) -> None:
            return None

        _post_fw_hook = _pre_bw_hook = _post_bw_hook = _pre_fw_hook

        def peak_bytes(self) -> int:
            return sum(held["Total"] for device, held in self._peak_mem_snap.items() if device.type == "cuda")

        def reset_peak(self) -> None:
            self._peak_mem_snap = self.get_tracker_snapshot()
            self._peak_mem = {device: held["Total"] for device, held in self._peak_mem_snap.items()}

    return CardTracker


def attention(plain: Any) -> Any:
    """PyTorch's attention with the kernels that a card of compute capability 8 or 9 takes."""
    import torch

    def chosen(
        query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
        scale: float | None = None, enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        if torch.is_autocast_enabled("cuda"):
            narrow = torch.get_autocast_dtype("cuda")
            query, key, value = (one.to(narrow) for one in (query, key, value))
        if attn_mask is None and query.dtype != torch.float32:
            flash = torch.ops.aten._scaled_dot_product_flash_attention
            return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
        if query.shape[1] != key.shape[1]:
            return plain(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        bias = None
        if attn_mask is not None:
            bias = torch.where(attn_mask, 0.0, float("-inf")).to(query.dtype)
            bias = bias.expand(*query.shape[:3], key.shape[2])
        efficient = torch.ops.aten._scaled_dot_product_efficient_attention
        return efficient(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]

    return chosen


def converted(module: Any, change: Any, recurse: bool = True) -> Any:
    """`torch.nn.Module._apply` with new parameters in place of swapped ones, which fake tensors refuse."""
    import torch

    for child in module.children() if recurse else ():
        converted(child, change)
    with torch.no_grad():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                new = change(parameter)
                if new is not parameter:
                    module._parameters[name] = torch.nn.Parameter(new, requires_grad=parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = change(buffer)
    return module


def grouped(plain: Any) -> Any:
    """The product of tokens with frozen experts in fp32, which PyTorch computes and its fake tensors refuse."""
    import torch

    class Frozen(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tokens: Any, weight: Any) -> Any:
            ctx.save_for_backward(weight)
            return tokens.new_empty(tokens.shape[0], weight.shape[2])

        @staticmethod
        def backward(ctx: Any, outer: Any) -> Any:
            (weight,) = ctx.saved_tensors
            return outer.new_empty(outer.shape[0], weight.shape[1]), None

    def product(tokens: Any, weight: Any, offs: Any) -> Any:
        if weight.dtype == torch.bfloat16 or weight.requires_grad:
            return plain(tokens, weight, offs)
        return Frozen.apply(tokens.to(weight.dtype), weight)

    return product


def packed(
    data: Any, requires_grad: bool = False, compress_statistics: bool = True, quant_type: str = "fp4",
    module: Any = None, **_: Any,
) -> Any:  # fmt: skip
    """bitsandbytes' 4-bit parameter as a plain one, since its subclass cannot hold a fake tensor."""
    import torch
    from bitsandbytes import functional

    def parameter(tensor: Any) -> Any:
        new = torch.nn.Parameter(tensor, requires_grad=requires_grad)
        new.compress_statistics, new.quant_type, new.quant_state = compress_statistics, quant_type, None
        return new

    def to(device: Any) -> Any:
        small, state = functional.quantize_4bit(
            data.to(device), compress_statistics=compress_statistics, quant_type=quant_type
        )
        new = parameter(small)
        new.quant_state = module.quant_state = state
        return new

    whole = parameter(data)
    whole.to = to
    return whole


@contextlib.contextmanager
def as_on_a_card() -> Iterator[None]:
    """Attention, compilation and 4-bit parameters as the head of this file says."""
    import accelerate
    import bitsandbytes
    import torch
    import transformers.integrations.moe
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch_models import unpacked_batches

    empty = accelerate.init_empty_weights

    @contextlib.contextmanager
    def without_storage(**settings: Any) -> Iterator[None]:
        with unset_fake_temporarily(), empty(**settings):
            yield

    codes = bitsandbytes.functional.create_dynamic_map

    def real_codes(*values: Any, **settings: Any) -> Any:
        with unset_fake_temporarily():
            return codes(*values, **settings)

    def nothing(*_: Any, **__: Any) -> None:
        return None

    def on_host(*shape: int, dtype: Any = torch.float32, device: Any = None) -> Any:
        new = torch.zeros(shape, dtype=dtype)
        new.is_paged, new.page_deviceid = True, 0
        return new

    functional, moe = torch.nn.functional, transformers.integrations.moe
    with (
        unpacked_batches(),
        torch.autograd.set_multithreading_enabled(False),
        mock.patch.object(
            functional, "scaled_dot_product_attention", attention(functional.scaled_dot_product_attention)
        ),
        mock.patch.object(moe, "_grouped_mm", grouped(moe._grouped_mm)),
        mock.patch.object(bitsandbytes.nn, "Params4bit", packed),
        mock.patch.object(bitsandbytes.nn.modules, "Params4bit", packed),
        mock.patch.object(bitsandbytes.functional, "create_dynamic_map", real_codes),
        mock.patch.object(bitsandbytes.functional, "get_paged", on_host),
        mock.patch.object(bitsandbytes.functional, "prefetch_tensor", nothing),
        mock.patch.object(bitsandbytes.functional, "fill", nothing),
        mock.patch.object(accelerate, "init_empty_weights", without_storage),
        mock.patch.object(torch.nn.Module, "_apply", converted),
        mock.patch.object(torch.nn.Module, "compile", nothing),
    ):
        yield


def dry_run(setting: Setting, *, mode: Any) -> dict[str, Any]:
    """What the harness's training says of this setting."""
    import torch

    from estimator.measuring import steps

    tracker = tracker_class()(torch.nn.Module())
    job = train_job(setting, device=Device(kind="cuda", gpu="h200-sxm", name=""), steps=STEPS)
    once = mock.patch.object(steps, "WARM_STEPS", {"hf": 1, "hf-compile": 1})
    with mode, fake_cuda.card(tracker), tracker, as_on_a_card(), once:
        found = steps.train(job)
    gc.collect()
    return found


def main() -> None:
    fake_cuda.preload()
    import bitsandbytes
    from torch_models import VERSIONS, fake_mode

    versions = f"{VERSIONS} bitsandbytes {bitsandbytes.__version__}"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("measure_dry_run.csv")
    mode = fake_mode()
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        for setting in (*read_grid("full"), planned(MIXTURE, where="mixture")):
            started = time.perf_counter()
            found = dry_run(setting, mode=mode)
            cells = {key: value for key, value in setting.cells.items() if key in COLUMNS}
            row = {
                **cells,
                "id": setting.id,
                "parameters": found["parameters"],
                "trainable_parameters": found["trainable_parameters"],
                "peak_bytes": found["allocated_bytes"],
                "versions": versions,
            }
            writer.writerow(row)
            file.flush()
            spent = time.perf_counter() - started
            print(f"{setting.id}: {found['allocated_bytes'] / 2**30:.3f} GiB, {spent:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
