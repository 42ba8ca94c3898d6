"""Matrix-product FLOP of real Hugging Face model classes by PyTorch's own counter: torch_flop.csv.

    python benchmarks/torch_flop.py [OUT.csv]

Every row is one forward and backward pass under `torch.utils.flop_counter.FlopCounterMode`, adapters by PEFT,
on fake tensors (mixtures of experts, which route by value, on real ones). `matmul_flop` is the counter's
total; with recompute, of the reentrant checkpoint, which runs every block again to its end.
`matmul_flop_early_stop` is the same with the non-reentrant checkpoint, which stops as soon as the last tensor
that the backward pass needs is there.

The attention column says which path the counter saw: eager, or math, which is what
`scaled_dot_product_attention` becomes on the meta device. On the CPU its fused kernel is not counted at all,
and on CUDA a fused kernel's backward pass counts 5 products where these two count 4.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch_models import VERSIONS, build, fake_mode, materialise
from torch_shapes import SHAPES

COLUMNS = [
    "id", "family", "method", "lora_rank", "lora_targets", "recompute", "attention", "micro_batch", "seq_len",
    "matmul_flop", "matmul_flop_early_stop", "config", "versions",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    shape: str
    method: str = "full"
    lora_rank: int = 0
    lora_targets: str = ""
    recompute: bool = False
    micro_batch: int = 1
    seq_len: int = 2048
    attention: str = "eager"

    @property
    def name(self) -> str:
        adapters = f"{self.lora_targets.replace(' ', '')}{self.lora_rank}" if self.method == "lora" else ""
        parts = (self.shape, self.method, adapters, "recompute" if self.recompute else "", self.attention)
        return "-".join(part for part in (*parts, f"{self.micro_batch}x{self.seq_len}") if part)


MIXTURES = [name for name, config in SHAPES.items() if "experts_implementation" in config]
SMALL = [name for name in SHAPES if name.endswith("-tiny") and name not in MIXTURES]
LARGE = [name for name in SHAPES if not name.endswith("-tiny")]
CASES = [
    *(
        Case(shape, method, rank, targets, recompute, micro_batch=3, seq_len=96)
        for shape in SMALL
        for method, rank, targets in (
            ("full", 0, ""),
            ("lora", 8, "q v"),
            ("lora", 16, "all"),
            ("lora", 4, "up down"),
            ("lora", 4, "o"),
            ("lora", 4, "down"),
        )
        for recompute in (False, True)
    ),
    *(
        Case(shape, method, rank, targets, recompute)
        for shape in LARGE
        for method, rank, targets, recompute in (
            ("full", 0, "", False),
            ("full", 0, "", True),
            ("lora", 16, "q v", False),
            ("lora", 64, "all", False),
            ("lora", 64, "all", True),
        )
    ),
    *(
        Case(shape, method, rank, targets, recompute, micro_batch=3, seq_len=96)
        for shape in MIXTURES
        for method, rank, targets in (("full", 0, ""), ("lora", 8, "q v"), ("lora", 8, "q k v o"))
        for recompute in (False, True)
    ),
    Case("llama-3-8b", "lora", 16, "q k", micro_batch=2, seq_len=512),
    Case("llama-3-8b", "lora", 16, "gate", micro_batch=2, seq_len=512),
    Case("llama-3-8b", "lora", 16, "v", micro_batch=1, seq_len=8192),
    Case("llama-3-8b", micro_batch=4, seq_len=8192, recompute=True),
    Case("llama-3-8b", attention="math"),
    Case("llama-3-8b", "lora", 16, "q v", attention="math"),
    Case("qwen2.5-7b", "lora", 16, "all", recompute=True, attention="math"),
]


def counted_flop(case: Case, *, reentrant: bool) -> int:
    """The counter's total for one forward and backward pass."""
    model = build(
        SHAPES[case.shape],
        dtype=torch.bfloat16,
        attention="sdpa" if case.attention == "math" else case.attention,
        method=case.method,
        lora_rank=case.lora_rank,
        lora_targets=case.lora_targets,
        recompute=case.recompute,
        reentrant=reentrant,
    )
    device = "meta" if case.attention == "math" else "cpu"
    with contextlib.nullcontext() if case.shape in MIXTURES else fake_mode():
        materialise(model, device=device)
        tokens = torch.zeros(case.micro_batch, case.seq_len, dtype=torch.long, device=device)
        with FlopCounterMode(display=False) as counter:
            model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    return int(counter.get_total_flops())


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("torch_flop.csv")
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for case in CASES:
            started = time.perf_counter()
            flop = counted_flop(case, reentrant=True)
            early = counted_flop(case, reentrant=False) if case.recompute else flop
            config = SHAPES[case.shape]
            writer.writerow(
                [
                    case.name, config["model_type"], case.method, case.lora_rank, case.lora_targets,
                    "full" if case.recompute else "none", case.attention, case.micro_batch, case.seq_len,
                    flop, early, json.dumps(config), VERSIONS,
                ]
            )  # fmt: skip
            file.flush()
            print(f"{case.name}: {flop:.4e}, {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
