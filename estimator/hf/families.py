"""Every reader of a ``config.json`` by family, and the family names that are another spelling of one.

A reader takes the values of a configuration and returns fields of `Architecture`. Defaults are those of the
family's published code (Hugging Face Transformers 5.23; the model's own repository for qwen, baichuan, chatglm,
internlm, internlm2 and mimo). Traits that no configuration changes stand in `estimator.families`.
`benchmarks/count_parameters.py` compares every reader with the real model classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from estimator.hf import dense, early, mixtures
from estimator.hf.shared import Reader

READERS: Mapping[str, Reader] = MappingProxyType({**dense.READERS, **early.READERS, **mixtures.READERS})

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "gemma3": "gemma3_text",
        "gemma4": "gemma4_text",
        "gemma4_unified_text": "gemma4_text",
        "kimi_k2": "deepseek_v3",
        "llama4": "llama4_text",
        "qwen3_5": "qwen3_5_text",
        "qwen3_5_moe": "qwen3_5_moe_text",
        "RefinedWeb": "falcon",
        "RefinedWebModel": "falcon",
    }
)
