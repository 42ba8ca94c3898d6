"""How much PyTorch's caching allocator reserves beyond its tensors, by replay and without a GPU: torch_pool.csv.

    python benchmarks/torch_pool.py [OUT.csv]

One LoRA micro-batch of a real Hugging Face model class on fake tensors gives the tape of its storages: when each
is taken and given back, at two lengths. All sizes are affine in the length, so the tape of any other length
follows. Replayed through the allocator's rules, with every batch of one length or with lengths drawn from a
log-normal and cut at a limit, the tapes say how large the pool grows. What it holds beyond the peak of its tensors
is given as a share of what is not weights (`gaps_per_dynamic`) and of the logits of the longest batch at 12 bytes
each (`gaps_per_logits`); means over several orders.

What a replay leaves out: tensors inside kernels, loading, evaluation, other streams. A real process holds more.
The fit of the memory model starts from these figures, so that batches of many lengths are predicted by them
where the rows of the team that measured such batches are left out.
"""

from __future__ import annotations

import bisect
import csv
import math
import random
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch_models import VERSIONS, build, fake_mode, materialise, unpacked_batches

MIB = 2**20
ROUND, SMALL, LARGE = 512, MIB, 10 * MIB
SMALL_SEGMENT, MIDDLE_SEGMENT, SEGMENT_STEP = 2 * MIB, 20 * MIB, 2 * MIB
LENGTHS = (512, 1024)
STEPS, MICRO_BATCHES, ORDERS, SHORTEST = 12, 8, 5, 32
LOGIT_BYTES = 12
HEADS = {"num_attention_heads": 32, "num_key_value_heads": 32, "tie_word_embeddings": False}
SEVEN = {**HEADS, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
TWO = {**HEADS, "hidden_size": 2048, "intermediate_size": 5504, "num_hidden_layers": 24}
SHAPES: dict[str, dict[str, Any]] = {
    "7b, 32k words": {**SEVEN, "vocab_size": 32000},
    "7b, 128k words": {**SEVEN, "vocab_size": 128256},
    "2b, 152k words": {**TWO, "vocab_size": 151936},
}
LIMITS = (2048, 4096, 8192)
SPREADS = ((0, 0.0), (500, 1.0), (800, 1.3))
"""Median length and spread of its logarithm; 0: every batch at the limit."""
COLUMNS = (
    "shape", "limit", "median_length", "log_spread", "orders", "allocated_bytes", "reserved_bytes",
    "gaps_per_dynamic", "gaps_per_logits", "versions",
)  # fmt: skip

Event = tuple[str, int]
"""("take", bytes), ("return", place among this part's takes) or ("drop", place among the survivors before)."""


@dataclass(eq=False)
class Block:
    """A stretch of a segment, with its neighbours in it."""

    address: int
    size: int
    small: bool
    before: Block | None = None
    after: Block | None = None
    free: bool = False


class Pool:
    """The rules of the caching allocator: rounding, best fit, splitting, merging of free neighbours.

    Up to 1 MiB from segments of 2 MiB, below 10 MiB from segments of 20 MiB, else from one of its own in steps of
    2 MiB. Source: documentation of PyTorch's CUDA memory management, default settings.
    """

    def __init__(self) -> None:
        self.free: dict[bool, list[tuple[int, int, Block]]] = {True: [], False: []}
        self.reserved = self.allocated = self.peak_allocated = self.end = 0

    def take(self, wanted: int) -> Block:
        """A block for this many bytes: the smallest free one that holds them, else a new segment."""
        size = max(ROUND, math.ceil(wanted / ROUND) * ROUND)
        small = size <= SMALL
        free = self.free[small]
        place = bisect.bisect_left(free, (size, -1))
        if place < len(free):
            block = free.pop(place)[2]
        else:
            block = Block(address=self.end, size=self._segment(size), small=small)
            self.end += block.size + SEGMENT_STEP
            self.reserved += block.size
        block.free = False
        left = block.size - size
        if left >= ROUND if small else left > SMALL:
            rest = Block(block.address + size, left, small, before=block, after=block.after)
            if block.after:
                block.after.before = rest
            block.after, block.size = rest, size
            self._keep(rest)
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def give_back(self, block: Block) -> None:
        """Free a block and merge it with free neighbours."""
        self.allocated -= block.size
        if block.before and block.before.free:
            block = self._merge(block.before, block, free=block.before)
        if block.after and block.after.free:
            block = self._merge(block, block.after, free=block.after)
        self._keep(block)

    def _merge(self, left: Block, right: Block, *, free: Block) -> Block:
        """Two neighbours as one, the free one out of the list."""
        kept = self.free[free.small]
        kept.pop(bisect.bisect_left(kept, (free.size, free.address)))
        left.size += right.size
        left.after = right.after
        if right.after:
            right.after.before = left
        return left

    def _keep(self, block: Block) -> None:
        block.free = True
        bisect.insort(self.free[block.small], (block.size, block.address, block))

    @staticmethod
    def _segment(size: int) -> int:
        if size <= SMALL:
            return SMALL_SEGMENT
        return MIDDLE_SEGMENT if size < LARGE else math.ceil(size / SEGMENT_STEP) * SEGMENT_STEP


class Tape(TorchDispatchMode):
    """Writes down every storage that an operator returns, and when the last tensor on it is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, int] = {}
        self.sizes: list[int] = []
        self.events: list[tuple[int, bool]] = []

    def see(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self.known:
            number = self.known[key] = len(self.sizes)
            self.sizes.append(storage.nbytes())
            self.events.append((number, True))
            weakref.finalize(storage, self._gone, key, number)

    def _gone(self, key: int, number: int) -> None:
        self.known.pop(key, None)
        self.events.append((number, False))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.see(leaf.untyped_storage())
        return out


def parts(config: dict[str, Any]) -> tuple[list[int], dict[str, list[Event]]]:
    """Sizes of the weights, and the events of each part of training.

    Parts: the first micro-batch of a step and a later one, at both lengths, and the first and a later step of the
    optimizer.
    """
    settings = {"model_type": "llama", "max_position_embeddings": max(LIMITS), **config}
    model = build(
        settings, dtype=torch.bfloat16, attention="flash", method="lora", lora_rank=8, lora_targets="q k v",
        recompute=True, reentrant=True,
    )  # fmt: skip
    found: dict[str, list[Event]] = {}
    with fake_mode(), unpacked_batches():
        materialise(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        tape = Tape()
        for tensor in (*model.parameters(), *model.buffers()):
            tape.see(tensor.untyped_storage())
        weights = list(tape.sizes)
        survivors: dict[int, int] = {}

        def part(name: str, work: Callable[[], None]) -> None:
            begun = len(tape.events)
            with tape:
                work()
            taken: dict[int, int] = {}
            events: list[Event] = []
            for number, alive in tape.events[begun:]:
                if alive:
                    taken[number] = len(taken)
                    events.append(("take", tape.sizes[number]))
                elif number in taken:
                    events.append(("return", taken[number]))
                else:
                    events.append(("drop", survivors[number]))
            gone = {number for number, alive in tape.events[begun:] if not alive}
            fresh = {number: place for number, place in taken.items() if number not in gone}
            if name.startswith("first"):
                survivors.update(fresh)
            found[name] = events

        def batch(length: int) -> Callable[[], None]:
            def work() -> None:
                tokens = torch.zeros(1, length, dtype=torch.long)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
                loss.backward()

            return work

        def step() -> None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        for length in LENGTHS:
            for name in (f"first {length}", f"later {length}"):
                part(name, batch(length))
            part("first step" if length == LENGTHS[0] else "step", step)
    return weights, found


def replay(weights: list[int], tapes: dict[str, list[Event]], lengths: Iterator[int]) -> tuple[int, int, int]:
    """Peak bytes of tensors and of the pool, and the longest batch."""
    pool = Pool()
    for size in weights:
        pool.take(size)
    longest = 0
    for number in range(STEPS):
        gradients: dict[int, Block] = {}
        for micro in range(MICRO_BATCHES):
            length = next(lengths)
            longest = max(longest, length)
            name = "later" if micro else "first"
            blocks = _run(pool, tapes[f"{name} {LENGTHS[0]}"], tapes[f"{name} {LENGTHS[1]}"], length, gradients)
            gradients = gradients if micro else blocks
        tape = tapes["step" if number else "first step"]
        _run(pool, tape, tape, LENGTHS[0], gradients)
    return pool.peak_allocated, pool.reserved, longest


def _run(
    pool: Pool, short: list[Event], long: list[Event], length: int, survivors: dict[int, Block]
) -> dict[int, Block]:
    """Play one part at a length; what is left of it."""
    share = (length - LENGTHS[0]) / (LENGTHS[1] - LENGTHS[0])
    blocks: dict[int, Block] = {}
    taken = 0
    for (what, value), (_, other) in zip(short, long, strict=True):
        if what == "take":
            blocks[taken] = pool.take(round(value + share * (other - value)))
            taken += 1
        elif what == "return":
            pool.give_back(blocks.pop(value))
        else:
            pool.give_back(survivors[value])
    return blocks


def drawn(limit: int, median: int, spread: float, *, seed: int) -> Iterator[int]:
    """Lengths of the batches."""
    source = random.Random(seed)
    while True:
        length = int(median * math.exp(spread * source.gauss(0.0, 1.0))) if median else limit
        yield min(max(length, SHORTEST), limit)


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("torch_pool.csv")
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, config in SHAPES.items():
            weights, tapes = parts(config)
            for limit in LIMITS:
                for median, spread in SPREADS:
                    orders = ORDERS if median else 1
                    runs = [
                        replay(weights, tapes, drawn(limit, median, spread, seed=seed)) for seed in range(orders)
                    ]
                    logit = LOGIT_BYTES * config["vocab_size"]
                    figures = [
                        (allocated, reserved, gaps / (allocated - sum(weights)), gaps / (logit * longest))
                        for allocated, reserved, longest in runs
                        for gaps in (reserved - allocated,)
                    ]
                    low, high, dynamic, logits = (sum(each) / orders for each in zip(*figures, strict=True))
                    writer.writerow(
                        [name, limit, median, spread, orders, round(low), round(high), f"{dynamic:.3f}",
                         f"{logits:.3f}", VERSIONS]
                    )  # fmt: skip


if __name__ == "__main__":
    main()
