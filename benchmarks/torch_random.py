"""Peak memory of random shapes and settings by PyTorch's own tracker, without a GPU: torch_random.csv.

    python benchmarks/torch_random.py [OUT.csv]

What `torch_memory.py` counts, for shapes that nobody chose: families, sizes, heads, vocabularies, windows,
adapters and settings are drawn, always alike. Nothing is fitted to these rows.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path
from typing import Any

from torch_memory import COLUMNS, Case, recorded, tracked
from torch_shapes import SHAPES

SEED, COUNT = 20261121, 100
BASES = {
    "llama": "llama-mid",
    "qwen2": "qwen2-mid",
    "qwen3": "qwen3-mid",
    "mistral": "mistral-mid",
    "gemma": "gemma-mid",
    "phi3": "phi3-mid",
    "olmo2": "olmo2-mid",
    "gpt_neox": "pythia-mid",
}
TARGETS = ("q v", "all", "q k v o", "gate up down", "o down")
PLAIN_TARGETS = TARGETS[:3]
"""For feed-forward blocks without a gate."""


def drawn(source: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A configuration and the settings of a run."""
    family = source.choice(sorted(BASES))
    config = dict(SHAPES[BASES[family]])
    width, heads = source.choice((64, 96, 128)), source.choice((8, 12, 16, 20, 24, 32))
    config["num_attention_heads"], config["hidden_size"] = heads, heads * width
    shared = source.choice([count for count in (1, 2, 4, 8, heads) if heads % count == 0])
    own_width = source.choice((64, 128, 256))
    if family == "gpt_neox":
        config.pop("num_key_value_heads", None)
    else:
        config["num_key_value_heads"] = shared
    if "head_dim" in config:
        config["head_dim"] = own_width
    config["num_hidden_layers"] = source.choice((6, 12, 18, 26))
    config["intermediate_size"] = int(config["hidden_size"] * source.uniform(2.2, 6.0)) // 64 * 64
    config["vocab_size"] = source.choice((8192, 32064, 50304, 100352, 128256, 151936, 256000))
    config["tie_word_embeddings"] = source.random() < 0.4
    window = source.choice((None, 512, 1024, 2047))
    if family in ("mistral", "phi3"):
        config["sliding_window"] = window
    adapted = source.random() < 2.0 / 3.0
    targets = source.choice(PLAIN_TARGETS if family == "gpt_neox" else TARGETS)
    rank = source.choice((4, 8, 16, 64, 128))
    settings = {
        "method": "lora" if adapted else "full",
        "lora_rank": rank if adapted else 0,
        "lora_targets": targets if adapted else "",
        "recompute": source.random() < 0.5,
        "micro_batch": source.choice((1, 2, 3, 5, 8)),
        "seq_len": source.choice((256, 640, 1024, 1500, 2048, 4096)),
        "attention": "eager" if source.random() < 0.25 else "flash",
    }
    return config, settings


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("torch_random.csv")
    source = random.Random(SEED)
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number in range(COUNT):
            config, settings = drawn(source)
            name = f"random-{number:03d}"
            SHAPES[name] = config
            case = Case(shape=name, **settings)
            peak = tracked(case, masked=False)
            writer.writerow(recorded(case, peak, None))
            file.flush()
            print(f"{case}: {peak['Total'] / 2**30:.2f} GiB", file=sys.stderr)


if __name__ == "__main__":
    main()
