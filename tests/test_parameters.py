"""Parameter counts against published ones, worked out by hand."""

from estimator.architecture import Architecture
from estimator.parameters import adapter_parameters, total_parameters

LLAMA_2_7B = Architecture(
    id="llama-2-7b",
    family="llama",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    vocab=32000,
    intermediate=11008,
    gated_mlp=True,
    tied_embeddings=False,
    max_position=4096,
)


def test_llama_2_7b_has_the_published_count() -> None:
    assert total_parameters(architecture=LLAMA_2_7B) == 6_738_415_616


def test_rank_16_on_queries_and_values_of_a_7b_is_8_4_million() -> None:
    assert adapter_parameters(architecture=LLAMA_2_7B, targets=("q", "v"), lora_rank=16) == 32 * 2 * 16 * 8192
