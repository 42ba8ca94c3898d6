"""Configurations of published models, as in their ``config.json``, and small ones of every family."""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]


def _config(
    family: str,
    layers: int,
    hidden: int,
    intermediate: int,
    heads: int,
    kv_heads: int,
    vocab: int,
    *,
    tied: bool = False,
    **more: Any,
) -> Config:
    return {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        **more,
    }


def _gpt2(layers: int, hidden: int, heads: int, vocab: int) -> Config:
    return {
        "model_type": "gpt2",
        "n_layer": layers,
        "n_embd": hidden,
        "n_head": heads,
        "vocab_size": vocab,
        "n_positions": 2048,
        "tie_word_embeddings": True,
    }


def _opt(layers: int, hidden: int, ffn: int, heads: int, vocab: int) -> Config:
    return {
        "model_type": "opt",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "word_embed_proj_dim": hidden,
        "ffn_dim": ffn,
        "num_attention_heads": heads,
        "vocab_size": vocab,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }


def _falcon(layers: int, hidden: int, heads: int, vocab: int, **more: Any) -> Config:
    return {
        "model_type": "falcon",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "vocab_size": vocab,
        "tie_word_embeddings": True,
        **more,
    }


def _gemma(family: str, *shape: int, head_dim: int, **more: Any) -> Config:
    return _config(family, *shape, tied=True, head_dim=head_dim, pad_token_id=0, **more)


def _mixture(family: str, **more: Any) -> Config:
    """A small mixture of experts; only its plain loop over experts is made of products that torch counts."""
    small = _config(family, 3, 128, 192, 4, more.pop("num_key_value_heads", 2), 800)
    return {**small, "experts_implementation": "eager", "num_experts_per_tok": 2, **more}


_LATENT = {
    "num_key_value_heads": 4,
    "n_routed_experts": 8,
    "moe_intermediate_size": 96,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
}

SHAPES: dict[str, Config] = {
    "llama-tiny": _config("llama", 3, 256, 704, 8, 2, 1000),
    "llama-3.2-1b": _config("llama", 16, 2048, 8192, 32, 8, 128256, tied=True),
    "llama-2-7b": _config("llama", 32, 4096, 11008, 32, 32, 32000),
    "llama-3-8b": _config("llama", 32, 4096, 14336, 32, 8, 128256),
    "tinyllama-1.1b": _config("llama", 22, 2048, 5632, 32, 4, 32000),
    "smollm2-360m": _config("llama", 32, 960, 2560, 15, 5, 49152, tied=True),
    "llama-3-70b": _config("llama", 80, 8192, 28672, 64, 8, 128256),
    "qwen2-tiny": _config("qwen2", 2, 192, 512, 6, 2, 2000, tied=True),
    "qwen2.5-0.5b": _config("qwen2", 24, 896, 4864, 14, 2, 151936, tied=True),
    "qwen2.5-1.5b": _config("qwen2", 28, 1536, 8960, 12, 2, 151936, tied=True),
    "qwen2.5-7b": _config("qwen2", 28, 3584, 18944, 28, 4, 152064),
    "qwen3-tiny": _config("qwen3", 3, 256, 768, 4, 2, 3000, tied=True, head_dim=128),
    "qwen3-0.6b": _config("qwen3", 28, 1024, 3072, 16, 8, 151936, tied=True, head_dim=128),
    "qwen3-4b": _config("qwen3", 36, 2560, 9728, 32, 8, 151936, tied=True, head_dim=128),
    "mistral-tiny": _config("mistral", 2, 320, 896, 5, 5, 800, head_dim=64, sliding_window=None),
    "mistral-7b": _config("mistral", 32, 4096, 14336, 32, 8, 32000, sliding_window=4096),
    "mistral-nemo": _config("mistral", 40, 5120, 14336, 32, 8, 131072, head_dim=128, sliding_window=None),
    "gemma-tiny": _gemma("gemma", 2, 256, 1024, 4, 1, 4000, head_dim=64),
    "gemma-2b": _gemma("gemma", 18, 2048, 16384, 8, 1, 256000, head_dim=256),
    "gemma2-tiny": _gemma("gemma2", 3, 256, 768, 4, 2, 4000, head_dim=64),
    "gemma2-2b": _gemma("gemma2", 26, 2304, 9216, 8, 4, 256000, head_dim=256),
    "gemma3-1b": _gemma("gemma3_text", 26, 1152, 6912, 4, 1, 262144, head_dim=256),
    "phi3-tiny": _config("phi3", 2, 256, 704, 4, 4, 1200, pad_token_id=0),
    "phi3-mini": _config("phi3", 32, 3072, 8192, 32, 32, 32064, pad_token_id=32000),
    "phi-tiny": _config("phi", 3, 256, 1024, 4, 4, 1200),
    "phi-2": _config("phi", 32, 2560, 10240, 32, 32, 51200),
    "olmo2-tiny": _config("olmo2", 3, 256, 704, 4, 4, 1500),
    "olmo2-1b": _config("olmo2", 16, 2048, 8192, 16, 16, 100352),
    "pythia-tiny": _config("gpt_neox", 3, 256, 1024, 4, 4, 1500),
    "pythia-410m": _config("gpt_neox", 24, 1024, 4096, 16, 16, 50304),
    "pythia-2.8b": _config("gpt_neox", 32, 2560, 10240, 32, 32, 50304),
    "redpajama-3b": _config("gpt_neox", 32, 2560, 10240, 32, 32, 50432, use_parallel_residual=False),
    "gpt2-tiny": _gpt2(3, 192, 6, 900),
    "gpt2-medium": _gpt2(24, 1024, 16, 50257),
    "opt-tiny": _opt(3, 192, 768, 6, 900),
    "opt-1.3b": _opt(24, 2048, 8192, 32, 50272),
    "falcon-tiny": _falcon(3, 256, 4, 900, multi_query=True),
    "falcon-7b": _falcon(32, 4544, 71, 65024, multi_query=True, alibi=False, bias=False, parallel_attn=True),
    "falcon-40b": _falcon(60, 8192, 128, 65024, new_decoder_architecture=True, num_kv_heads=8),
    "falcon-rw-1b": _falcon(24, 2048, 32, 50304, alibi=True, bias=True, multi_query=False, parallel_attn=False),
    "stablelm-tiny": _config("stablelm", 2, 256, 704, 4, 4, 1500),
    "stablelm-2-12b": _config(
        "stablelm", 40, 5120, 13824, 32, 8, 100352, use_parallel_residual=True, qk_layernorm=True
    ),
    "granite-tiny": _config("granite", 2, 256, 704, 4, 2, 1500, tied=True),
    "granite-3-2b": _config("granite", 40, 2048, 8192, 32, 8, 49155, tied=True),
    "cohere-tiny": _config("cohere", 3, 256, 704, 4, 2, 1500, tied=True),
    "aya-8b": _config("cohere", 32, 4096, 14336, 32, 8, 256000, tied=True),
    "cohere2-tiny": _config("cohere2", 4, 256, 704, 4, 2, 1500, tied=True),
    "glm-tiny": _config("glm", 2, 256, 704, 4, 2, 1500, head_dim=64, pad_token_id=0),
    "glm4-tiny": _config("glm4", 2, 256, 704, 4, 2, 1500, head_dim=64, pad_token_id=0),
    "smollm3-tiny": _config("smollm3", 4, 256, 704, 4, 2, 1500, pad_token_id=0),
    "olmo3-tiny": _config("olmo3", 4, 256, 704, 4, 2, 1500, pad_token_id=0),
    "seed-oss-tiny": _config("seed_oss", 2, 256, 704, 4, 2, 1500, head_dim=64, pad_token_id=0),
    "bloom-tiny": {"model_type": "bloom", "hidden_size": 192, "n_layer": 3, "n_head": 6, "vocab_size": 900},
    "mpt-tiny": {"model_type": "mpt", "d_model": 192, "n_layers": 3, "n_heads": 6, "vocab_size": 900},
    "mixtral-tiny": _mixture("mixtral", num_local_experts=4),
    "qwen2-moe-tiny": _mixture(
        "qwen2_moe", num_experts=8, moe_intermediate_size=96, shared_expert_intermediate_size=160
    ),
    "qwen3-moe-tiny": _mixture("qwen3_moe", num_experts=8, moe_intermediate_size=96, head_dim=64),
    "deepseek-v2-tiny": _mixture("deepseek_v2", **_LATENT),
    "deepseek-v3-tiny": _mixture("deepseek_v3", **_LATENT, n_group=2, topk_group=1),
    "llama-mid": _config("llama", 12, 1280, 3456, 20, 4, 65536),
    "qwen2-mid": _config("qwen2", 10, 1536, 4096, 12, 4, 32000),
    "qwen3-mid": _config("qwen3", 14, 1792, 6144, 14, 2, 100000, head_dim=96),
    "mistral-mid": _config("mistral", 8, 3072, 7168, 24, 6, 20000, head_dim=128, sliding_window=None),
    "gemma-mid": _gemma("gemma", 10, 1536, 8192, 12, 4, 64000, head_dim=128),
    "phi3-mid": _config("phi3", 9, 2048, 5632, 16, 8, 50000, pad_token_id=0),
    "olmo2-mid": _config("olmo2", 11, 1664, 4608, 13, 13, 40000),
    "pythia-mid": _config("gpt_neox", 13, 1408, 5632, 11, 11, 30000),
    "starcoder2-3b": _config("starcoder2", 30, 3072, 12288, 24, 2, 49152, tied=True),
    "olmo-1b": _config("olmo", 16, 2048, 8192, 16, 16, 50304, tied=True),
}
