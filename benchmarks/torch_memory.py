"""Peak memory of real Hugging Face model classes by PyTorch's own tracker, without a GPU: torch_memory.csv.

    python benchmarks/torch_memory.py [OUT.csv]

Every row is one training setting: bfloat16 weights and no autocast, PEFT's default adapters (float32), fused
AdamW, the loss that Transformers computes (its logits are dropped before the backward pass, as the Trainer
does), gradients set to None after each of two steps, reentrant recompute. `peak_bytes` is the highest total of
`torch.distributed._tools.mem_tracker.MemTracker` in both steps on fake tensors; the columns after it are what
the tracker says that peak consists of. `peak_bytes_masked` is the same run with the block mask and the repeated
keys and values that Transformers adds under fake tensors only (see `torch_models.unpacked_batches`).

What the tracker counts: the storage of every tensor that an operator returns, views once, without the rounding
of an allocator, and no scratch space inside an operator. Under fake tensors autograd sums gradients out of
place, so that a tied embedding has three gradients of its size for a moment, where a device has two.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import json
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.distributed._tools.mem_tracker import MemTracker
from torch_models import VERSIONS, build, fake_mode, materialise, unpacked_batches
from torch_shapes import SHAPES

PARTS = {
    "parameter_bytes": "Parameter",
    "gradient_bytes": "Gradient",
    "optimizer_bytes": "Optstate",
    "activation_bytes": "Activation",
    "temporary_bytes": "Temp",
}
COLUMNS = [
    "id", "family", "method", "lora_rank", "lora_targets", "recompute", "attention", "micro_batch", "seq_len",
    "peak_bytes", "peak_bytes_masked", *PARTS, "config",
    "versions",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    shape: str
    method: str
    lora_rank: int
    lora_targets: str
    recompute: bool
    micro_batch: int
    seq_len: int
    attention: str = "flash"


def full(shape: str, micro_batch: int, seq_len: int, recompute: bool = False, **more: Any) -> Case:
    return Case(shape, "full", 0, "", recompute, micro_batch, seq_len, **more)


def lora(
    shape: str, micro_batch: int, seq_len: int, recompute: bool = False, targets: str = "q v", rank: int = 16
) -> Case:
    return Case(shape, "lora", rank, targets, recompute, micro_batch, seq_len)


CASES = [
    full("llama-3.2-1b", 2, 1024),
    lora("llama-3.2-1b", 2, 1024),
    lora("llama-3.2-1b", 2, 1024, targets="all"),
    full("llama-3.2-1b", 2, 1024, recompute=True),
    lora("llama-2-7b", 1, 2048, recompute=True),
    lora("llama-2-7b", 1, 2048, targets="all"),
    full("qwen2.5-0.5b", 4, 1024),
    lora("qwen2.5-0.5b", 4, 1024, targets="all"),
    full("pythia-410m", 4, 2048),
    lora("pythia-410m", 4, 2048, targets="all"),
    full("gemma-2b", 1, 2048, recompute=True),
    lora("phi3-mini", 1, 4096),
    full("qwen3-0.6b", 2, 2048, recompute=True),
    lora("qwen3-0.6b", 2, 2048, targets="all"),
    full("olmo2-1b", 2, 2048),
    lora("olmo2-1b", 2, 2048),
    full("tinyllama-1.1b", 4, 2048),
    full("tinyllama-1.1b", 16, 2048, recompute=True),
    lora("tinyllama-1.1b", 8, 512, targets="all", rank=64),
    full("smollm2-360m", 8, 1024),
    full("llama-2-7b", 1, 512),
    full("llama-2-7b", 4, 4096, recompute=True),
    lora("llama-3-8b", 1, 8192, recompute=True, targets="all"),
    lora("llama-3-8b", 2, 1024, targets="q k v o"),
    full("qwen2.5-1.5b", 1, 4096, recompute=True),
    lora("qwen2.5-1.5b", 4, 512),
    lora("qwen2.5-7b", 1, 2048, targets="all", rank=8),
    full("qwen3-0.6b", 4, 512),
    lora("qwen3-4b", 1, 2048, recompute=True, targets="all", rank=32),
    full("mistral-7b", 1, 2048),
    lora("mistral-7b", 2, 2048, targets="all", rank=64),
    lora("mistral-7b", 4, 2048, recompute=True),
    lora("mistral-nemo", 1, 1024),
    full("gemma-2b", 2, 512),
    lora("gemma-2b", 4, 512, targets="all"),
    lora("gemma-2b", 2, 2048, recompute=True),
    full("phi3-mini", 1, 2048),
    lora("phi3-mini", 2, 1024, targets="all"),
    full("phi3-mini", 4, 2048, recompute=True),
    full("olmo2-1b", 8, 1024, recompute=True),
    lora("olmo2-1b", 4, 512, targets="all"),
    full("pythia-2.8b", 1, 2048),
    lora("pythia-2.8b", 2, 2048, recompute=True, targets="all"),
    lora("pythia-410m", 16, 512),
    full("llama-3.2-1b", 1, 2048, attention="eager"),
    lora("qwen2.5-0.5b", 8, 256),
    full("llama-mid", 3, 1536),
    lora("llama-mid", 6, 768, targets="all", rank=8),
    lora("qwen2-mid", 2, 3072),
    full("qwen2-mid", 5, 640, recompute=True),
    full("qwen3-mid", 1, 1024),
    lora("qwen3-mid", 3, 1280, recompute=True, targets="all", rank=48),
    lora("mistral-mid", 2, 2560, targets="q k v o", rank=128),
    full("mistral-mid", 8, 1024, recompute=True),
    lora("gemma-mid", 4, 1024, targets="all"),
    full("gemma-mid", 3, 900),
    full("phi3-mid", 2, 1800),
    lora("phi3-mid", 8, 1024, recompute=True, targets="all"),
    lora("olmo2-mid", 6, 700, targets="gate up down"),
    full("olmo2-mid", 12, 512, recompute=True),
    full("pythia-mid", 4, 1100),
    lora("pythia-mid", 7, 900, targets="q v", rank=256),
]


class _NoHook:
    def remove(self) -> None:
        return None


class PeakTracker(MemTracker):
    """The tracker without its peaks per module, whose upkeep grows with the square of the module count."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        for parameter in model.parameters():
            if not parameter.requires_grad:  # its gradient hook, which torch refuses on a frozen parameter
                self._param_to_grad_hook_handles[parameter] = (_NoHook(), _NoHook())

    def _update_peak_stats(self, peak_state: Any) -> None:
        for device, snapshot in self._curr_mem_snap.items():
            if self._peak_mem.get(device, 0) < snapshot["Total"]:
                self._peak_mem[device] = snapshot["Total"]
                self._peak_mem_snap[device] = dict(snapshot)


def tracked(case: Case, *, masked: bool) -> dict[str, int]:
    """Bytes at the peak of two training steps, by the tracker's kinds and in total."""
    model = build(
        SHAPES[case.shape],
        dtype=torch.bfloat16,
        attention=case.attention,
        method=case.method,
        lora_rank=case.lora_rank,
        lora_targets=case.lora_targets,
        recompute=case.recompute,
        reentrant=True,
    )
    with fake_mode(), contextlib.nullcontext() if masked else unpacked_batches():
        materialise(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
        tokens = torch.zeros(case.micro_batch, case.seq_len, dtype=torch.long)
        tracker = PeakTracker(model)
        tracker.track_external(model, optimizer, tokens)
        with tracker:
            for _ in range(2):
                model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                tracker.reset_mod_stats()
                gc.collect()
        peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return {str(getattr(kind, "value", kind)): count for kind, count in peak.items()}


def recorded(case: Case, peak: dict[str, int], masked: int | None) -> list[Any]:
    """The row of a case, in the order of the columns."""
    config = SHAPES[case.shape]
    shape, method, rank, roles, recompute, micro_batch, seq_len, attention = astuple(case)
    name = "-".join(str(part) for part in (shape, method, roles.replace(" ", "") or "all", rank))
    return [
        f"{name}-{micro_batch}x{seq_len}-{'recompute' if recompute else 'keep'}-{attention}",
        config["model_type"], method, rank, roles, "full" if recompute else "none", attention,
        micro_batch, seq_len, peak["Total"], masked,
        *(peak[kind] for kind in PARTS.values()), json.dumps(config), VERSIONS,
    ]  # fmt: skip


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("torch_memory.csv")
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for case in CASES:
            started = time.perf_counter()
            peak = tracked(case, masked=False)
            masked = tracked(case, masked=True)["Total"]
            writer.writerow(recorded(case, peak, masked))
            file.flush()
            print(
                f"{case}: {peak['Total'] / 2**30:.2f} GiB, {time.perf_counter() - started:.0f} s", file=sys.stderr
            )


if __name__ == "__main__":
    main()
