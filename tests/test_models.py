"""The model catalogue, the names it answers to, and the reader of ``config.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from estimator.errors import InputError, UnknownNameError
from estimator.families import TRAITS
from estimator.hf.config import architecture_of, read_config
from estimator.hf.families import READERS
from estimator.model_rows import COLUMNS, read_rows
from estimator.models import models, resolve_model, short_names
from estimator.parameters import active_parameters, adapters, total_parameters

DATA = Path(__file__).parent / "data"
CSV = Path(__file__).parent.parent / "estimator" / "data" / "models.csv"

MEASURED = [
    "01-ai/Yi-34B",
    "01-ai/Yi-6B",
    "ByteDance-Seed/Seed-OSS-36B-Instruct",
    "Qwen/Qwen-14B",
    "Qwen/Qwen-1_8B",
    "Qwen/Qwen-72B",
    "Qwen/Qwen-7B",
    "Qwen/Qwen2.5-32B",
    "Qwen/Qwen2.5-7B",
    "Qwen/Qwen3-235B-A22B",
    "Qwen/Qwen3-30B-A3B",
    "Qwen/Qwen3.5-27B",
    "THUDM/chatglm3-6b",
    "TinyLlama/TinyLlama-1.1B",
    "XiaomiMiMo/MiMo-7B-RL",
    "allenai/Olmo-3-7B-Instruct-SFT",
    "arcee-ai/AFM-4.5B",
    "baichuan-inc/Baichuan2-13B-Base",
    "baichuan-inc/Baichuan2-7B-Base",
    "bigcode/gpt_bigcode-santacoder",
    "deepseek-ai/DeepSeek-R1",
    "deepseek-ai/DeepSeek-V3",
    "google/gemma-2-2b",
    "google/gemma-2-9b",
    "google/gemma-2b",
    "google/gemma-7b",
    "huggyllama/llama-7b",
    "ibm-granite/granite-3.1-8b-base",
    "ibm-granite/granite-4.0-tiny-preview",
    "ibm/PowerLM-3b",
    "internlm/internlm-7b",
    "katanemo/Plano-Orchestrator-4B",
    "llm-foundry/mpt-125m",
    "llm-foundry/mpt-13b",
    "llm-foundry/mpt-1b",
    "llm-foundry/mpt-350m",
    "llm-foundry/mpt-3b",
    "llm-foundry/mpt-70b",
    "llm-foundry/mpt-760m",
    "meta-llama/Llama-2-13b-hf",
    "meta-llama/Llama-2-70b-hf",
    "meta-llama/Llama-2-7b-hf",
    "meta-llama/Llama-3.1-405B",
    "meta-llama/Llama-3.1-70B",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-3.2-1B",
    "meta-llama/Llama-3.2-3B",
    "meta-llama/Llama-4-Maverick-17B-128E",
    "meta-llama/Llama-4-Scout-17B-16E",
    "meta-llama/Meta-Llama-3-70B",
    "meta-llama/Meta-Llama-3-8B",
    "microsoft/Phi-3-mini-4k-instruct",
    "microsoft/phi-2",
    "mistralai/Devstral-Small-2507",
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-v0.2",
    "mistralai/Mixtral-8x7B-v0.1",
    "moonshotai/Kimi-K2-Base",
    "mosaicml/mpt-30b",
    "mosaicml/mpt-7b",
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "stabilityai/stablelm-base-alpha-3b",
    "tencent/Hunyuan-0.5B-Instruct",
    "tiiuae/falcon-7b",
]


def test_every_model_of_the_measured_runs_is_in_the_catalogue() -> None:
    assert [id for id in MEASURED if id not in models()] == []


def test_computed_counts_equal_the_published_ones_within_half_a_percent() -> None:
    errors = {
        id: total_parameters(architecture=record.architecture) / record.published_parameters - 1
        for id, record in models().items()
    }
    assert {id: error for id, error in errors.items() if abs(error) > 0.005} == {}


def test_computed_counts_equal_the_real_classes_exactly() -> None:
    counts = json.loads((DATA / "class_counts.json").read_text(encoding="utf-8"))["class_counts"]
    computed = {id: total_parameters(architecture=models()[id].architecture) for id in counts}
    assert computed == counts
    uncovered = {record.family for id, record in models().items() if id not in counts}
    assert uncovered <= {"baichuan", "chatglm", "internlm", "internlm2", "mimo", "qwen"}


@pytest.mark.parametrize(
    ("id", "active_billions"),
    [("mistralai/Mixtral-8x7B-v0.1", 12.9), ("Qwen/Qwen3-30B-A3B", 3.35), ("deepseek-ai/DeepSeek-V3", 37.6)],
)
def test_active_parameters_of_mixtures(id: str, active_billions: float) -> None:
    active = active_parameters(architecture=models()[id].architecture)
    assert active / 1e9 == pytest.approx(active_billions, rel=0.005)


def test_llama_3_2_1b_counted_by_hand() -> None:
    attention = 2048 * 2048 * 2 + 2048 * 512 * 2
    block = attention + 3 * 2048 * 8192 + 2 * 2048
    by_hand = 128256 * 2048 + 16 * block + 2048
    record = models()["meta-llama/Llama-3.2-1B"]
    assert total_parameters(architecture=record.architecture) == by_hand == record.published_parameters


def test_restricted_models_say_why() -> None:
    silent = [id for id, r in models().items() if r.commercial_use != "yes" and not r.commercial_note]
    assert silent == []


def test_one_adapter_serves_a_fused_projection() -> None:
    for id, widths in {
        "EleutherAI/pythia-70m": {("q", "k", "v"): 3 * 512},
        "Qwen/Qwen-7B": {("q", "k", "v"): 3 * 4096},
        "THUDM/chatglm3-6b": {("q", "k", "v"): 4096 + 2 * 256, ("gate", "up"): 2 * 13696},
        "microsoft/phi-4": {("q", "k", "v"): 5120 + 2 * 1280, ("gate", "up"): 2 * 17920},
        "microsoft/phi-2": {("q",): 2560, ("k",): 2560, ("v",): 2560, ("up",): 10240},
        "zai-org/glm-4-9b-hf": {("q",): 4096, ("k",): 256, ("v",): 256, ("gate", "up"): 2 * 13696},
    }.items():
        pairs = adapters(architecture=models()[id].architecture, targets=("q", "k", "v", "gate", "up"))
        found = {pair.roles: pair.out_features for pair in pairs}
        assert {roles: found.get(roles) for roles in widths} == widths
        assert sorted(role for roles in found for role in roles) == sorted(
            {role for roles in found for role in roles}
        )


def test_gated_attention_doubles_the_query_projection() -> None:
    shape = models()["Qwen/Qwen3.5-27B"].architecture
    query = next(linear for linear in shape.linears if linear.role == "q")
    assert (query.out_features, query.layers) == (2 * 24 * 256, 16)


def test_global_layers_of_gemma_4_have_their_own_shape_and_no_values() -> None:
    shape = models()["google/gemma-4-31B"].architecture
    found = {(x.role, x.out_features): x.layers for x in shape.linears if x.group == "attention"}
    assert found == {
        ("q", 8192): 50,
        ("k", 4096): 50,
        ("v", 4096): 50,
        ("o", 5376): 10,
        ("q", 16384): 10,
        ("k", 2048): 10,
    }
    pairs = adapters(architecture=shape, targets=("q", "v"))
    assert [(pair.roles, pair.out_features, pair.layers) for pair in pairs] == [
        (("q",), 8192, 50),
        (("v",), 4096, 50),
        (("q",), 16384, 10),
    ]


# Names


@pytest.mark.parametrize(
    ("typed", "id"),
    [
        ("7b", "Qwen/Qwen2.5-7B"),
        (" 8B ", "Qwen/Qwen3-8B"),
        ("70b", "meta-llama/Llama-3.1-70B"),
        ("405b", "meta-llama/Llama-3.1-405B"),
        ("mistral", "mistralai/Mistral-7B-v0.3"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistralai/Mistral-7B-v0.2"),
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B"),
        ("Llama-2-7b-chat-hf", "meta-llama/Llama-2-7b-hf"),
        ("llama3-8b", "meta-llama/Meta-Llama-3-8B"),
        ("qwen2.5-7b-instruct", "Qwen/Qwen2.5-7B"),
        ("unsloth/Qwen3-8B-Base", "Qwen/Qwen3-8B"),
        ("gpt2", "openai-community/gpt2"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TinyLlama/TinyLlama-1.1B"),
        ("mpt-7b", "mosaicml/mpt-7b"),
        ("llm-foundry/mpt-7b", "llm-foundry/mpt-7b"),
    ],
)
def test_names_people_type(typed: str, id: str) -> None:
    found = resolve_model(typed)
    assert found.record is models()[id]
    assert found.architecture.id == id
    assert id in found.how
    assert typed.strip() in found.how


def test_every_id_and_alias_and_short_name_resolves_to_its_own_row() -> None:
    wanted = {short.name: short.id for short in short_names().values()}
    for id, record in models().items():
        wanted |= dict.fromkeys((id, *record.aliases), id)
    resolved = {name: resolve_model(name).architecture.id for name in wanted}
    assert resolved == wanted


def test_bare_sizes_keep_the_written_rule() -> None:
    for short in short_names().values():
        size = re.fullmatch(r"([\d.]+)b", short.name)
        if size is None:
            continue
        record = models()[short.id]
        billions = total_parameters(architecture=record.architecture) / 1e9
        assert billions == pytest.approx(float(size[1]), rel=0.3)
        if short.reason.startswith("dense, ungated"):
            assert record.commercial_use == "yes"
            assert not record.gated
            assert not record.architecture.experts


def test_an_ambiguous_name_is_refused_with_its_candidates() -> None:
    with pytest.raises(InputError, match=r"'mpt_7b' is ambiguous: mosaicml/mpt-7b, llm-foundry/mpt-7b\."):
        resolve_model("mpt_7b")


@pytest.mark.parametrize(
    "typed", ["llama-3.1-9b", "qwne3-8b", "30b", "gpt-4o", "~nobody/x", "instruct", "a" * 9000, "\0"]
)
def test_an_unknown_name_says_what_to_do(typed: str) -> None:
    with pytest.raises(UnknownNameError, match=r"`ftcost models` lists them; a path to a config.json works too"):
        resolve_model(typed)


def test_a_typing_error_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match=r"Closest: .*Qwen3-8B"):
        resolve_model("qwne3-8b")


# The file


def _broken(tmp_path: Path, **changes: str) -> Path:
    row = dict.fromkeys(COLUMNS, "")
    row |= {"id": "a/b", "family": "llama", "layers": "2", "hidden": "64", "intermediate": "96", "heads": "4"}
    row |= {"kv_heads": "2", "head_dim": "16", "vocab": "320", "tied_embeddings": "no", "max_position": "64"}
    row |= {"published_parameters": "1", "basis": "x", "license": "MIT", "commercial_use": "yes"}
    row |= {"license_source": "recalled"}
    row |= {"gated": "no", "released": "2024-01", "source": "x", "checked": "2026-11-21", "status": "recalled"}
    row |= changes
    path = tmp_path / "models.csv"
    path.write_text(",".join(COLUMNS) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": "-3"}, "layers is '-3'; a whole number from 1 to 1000 is needed"),
        ({"hidden": "4k"}, "hidden is '4k'"),
        ({"license": " "}, "license is empty"),
        ({"gated": "maybe"}, "gated is 'maybe'; allowed: yes, no"),
        ({"status": "sure"}, "status is 'sure'; allowed: published, recalled, guess, benchmark"),
        ({"checked": "21.11.2026"}, "write YYYY-MM or YYYY-MM-DD"),
        ({"family": "lama"}, "family 'lama' is unknown; known: apertus"),
        ({"shape": "experst=4"}, "shape has 'experst=4'; write field=value with one of"),
        ({"shape": "qkv_bias=1"}, "qkv_bias is '1'; allowed: yes, no"),
        ({"shape": "experts=4 experts=8"}, "shape names experts twice"),
        ({"shape": "latent.q_lora_rank=4"}, "shape misses latent.kv_lora_rank"),
        ({"shape": "norm=batchnorm"}, "norm is 'batchnorm'; allowed: rmsnorm"),
    ],
)
def test_a_broken_row_is_refused_with_its_place(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rows(_broken(tmp_path, **changes))
    assert str(caught.value).startswith("models.csv row 2 (a/b): ")
    assert message in str(caught.value)


def test_an_unknown_column_a_double_id_and_a_taken_alias_are_refused(tmp_path: Path) -> None:
    good = _broken(tmp_path)
    text = good.read_text(encoding="utf-8")
    assert read_rows(good)[0].architecture.layers == 2
    good.write_text(text.replace("license", "licence", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"columns do not match \(licence, license\)"):
        read_rows(good)
    row = text.splitlines()[1]
    good.write_text(f"{text}{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a/b stands twice"):
        read_rows(good)
    good.write_text(f"{text}{row},more\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 3 \(a/b\): 26 cells; 25 are needed"):
        read_rows(good)
    good.write_text(f"{text}{row.replace('a/b,,', 'c/d,A/B,', 1)}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"A/B stands for a/b and for c/d"):
        read_rows(good)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("experts=4 experts_per_token=8 expert_intermediate=16", "experts_per_token 8 exceeds experts 4"),
        ("experts=4", "experts, experts_per_token and expert_intermediate go together"),
        ("sliding_window=64", "sliding_window and sliding_layers go together"),
        ("sliding_window=64 sliding_layers=3", "sliding_layers 3 exceeds the 2 attention layers"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(tmp_path: Path, shape: str, message: str) -> None:
    record = read_rows(_broken(tmp_path, shape=shape))[0]
    with pytest.raises(InputError, match=message):
        _ = record.architecture


# config.json


def test_readers_count_small_configurations_as_the_real_classes_do() -> None:
    cases = json.loads((DATA / "small_configs.json").read_text(encoding="utf-8"))["small_configs"]
    wrong = []
    for case in cases:
        shape = architecture_of({**case["config"], "model_type": case["model_type"]}, file="config.json")
        counted = total_parameters(architecture=shape)
        if counted != case["parameters"]:
            wrong.append((case["model_type"], counted, case["parameters"]))
    assert wrong == []
    assert set(READERS) - {case["model_type"] for case in cases} == {
        *("baichuan", "chatglm", "internlm", "internlm2", "mimo", "qwen")
    }


def test_families_of_the_readers_and_of_the_traits_are_the_same() -> None:
    assert set(READERS) == set(TRAITS)


LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


def test_a_config_file_and_its_directory_give_the_same_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    found = resolve_model(str(tmp_path / "config.json"))
    assert found.record is None
    assert "family llama" in found.how
    assert total_parameters(architecture=found.architecture) == 1_235_814_400
    same = resolve_model(str(tmp_path)).architecture
    assert total_parameters(architecture=same) == 1_235_814_400


def test_the_text_part_of_a_multimodal_configuration_is_read_with_its_defaults() -> None:
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    raw = {"model_type": "gemma3", "text_config": {**text, "model_type": "gemma3_text"}}
    shape = architecture_of(raw, file="config.json")
    assert total_parameters(architecture=shape) == 3_880_263_168
    assert (shape.sliding_window, shape.sliding_layers) == (1024, 29)


def test_absent_keys_take_the_defaults_of_their_family() -> None:
    plain = {key: LLAMA[key] for key in LLAMA if key not in ("num_key_value_heads", "tie_word_embeddings")}
    llama = architecture_of(plain, file="x")
    assert (llama.kv_heads, llama.tied_embeddings) == (32, False)
    mistral = architecture_of({**plain, "model_type": "mistral"}, file="x")
    assert (mistral.kv_heads, mistral.sliding_window, mistral.sliding_layers) == (8, 4096, 16)
    null = architecture_of({**plain, "model_type": "mistral", "sliding_window": None}, file="x")
    assert (null.sliding_window, null.sliding_layers) == (0, 0)
    qwen = architecture_of({**plain, "model_type": "qwen3"}, file="x")
    assert (qwen.head_dim, qwen.qk_norm) == (128, "per-head-dim")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None, "vocab_size": None}, "missing hidden_size, vocab_size"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1; a whole number from 1 is needed"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"vocab_size": "32000"}, "vocab_size is '32000'"),
        ({"hidden_size": 10**9}, "hidden is 1000000000; allowed is 1 to 262144"),
        ({"num_key_value_heads": 5}, "heads 32 is no multiple of kv_heads 5"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'; true or false is needed"),
        ({"model_type": None}, "model_type is missing"),
        ({"model_type": "lama"}, "unknown model family 'lama'"),
        ({"text_config": [1]}, "text_config must be an object"),
        ({"model_type": "deepseek_v3"}, "missing kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim"),
        ({"model_type": "olmo3", "layer_types": ["full_attention"]}, "1 entries for 16 layers"),
    ],
)
def test_an_unusable_configuration_is_refused_in_one_message(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        architecture_of({**LLAMA, **change}, file="dir/config.json")
    assert "dir/config.json" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "top level must be an object"),
        ("\ud800".encode("utf-8", "surrogatepass"), "not valid"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_config(path)


def test_a_directory_does_not_hide_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mistral").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model("mistral").record is not None


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        resolve_model(str(tmp_path / "absent.json"))
    with pytest.raises(InputError, match=r"cannot be read|no such file"):
        resolve_model("a" * 9000 + ".json")
    with pytest.raises(InputError, match="no such file"):
        resolve_model(str(tmp_path))
