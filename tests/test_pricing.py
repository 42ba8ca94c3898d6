"""Price tables: what loads, what is refused and how, and that the rows are sane."""

from __future__ import annotations

import csv
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import pricing
from pricing import api, caching, gpu, hosted, lookup, own, table
from pricing.errors import InputError, UnknownNameError

TODAY = date(2026, 11, 21)
ROOT = Path(pricing.__file__).parent.parent
Edit = Callable[[str, int, dict[str, str]], Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of one table with some cells of one line (as an editor counts) replaced."""

    def edit(name: str, line: int, cells: dict[str, str]) -> Path:
        with (table.DATA / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        for key, value in cells.items():
            rows[line - 1][rows[0].index(key)] = value
        copy = tmp_path / name
        with copy.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return copy

    return edit


def line_of(name: str, **cells: str) -> int:
    with (table.DATA / name).open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if all(row[key] == value for key, value in cells.items()):
                return line
    raise AssertionError(cells)


# Offers


def test_enough_offers_of_enough_providers() -> None:
    offers = pricing.offers(as_of=TODAY)
    assert len(offers) >= 150
    assert len({offer.provider for offer in offers}) >= 12
    assert {offer.kind for offer in offers} == set(pricing.KINDS)


def test_every_offer_names_an_accelerator_of_the_catalogue() -> None:
    catalogue = ROOT / "estimator" / "data" / "accelerators.csv"
    with catalogue.open(newline="", encoding="utf-8") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    assert {offer.gpu for offer in gpu.all_offers()} <= known
    assert {row.gpu for row in pricing.own_hardware()} <= known


def test_price_is_per_gpu() -> None:
    offers = {(o.provider, o.region, o.instance): o for o in pricing.offers(as_of=TODAY)}
    p5 = offers["aws", "us-east-1", "p5.48xlarge"]
    assert p5.on_demand_usd_per_gpu_hour == pytest.approx(55.04 / 8)
    azure = offers["azure", "eastus", "Standard_ND96isr_H100_v5"]
    assert azure.spot_usd_per_gpu_hour == pytest.approx(18.1695 / 8)


def test_the_newest_row_on_the_day_is_taken() -> None:
    def h100(as_of: date) -> float | None:
        (offer,) = (
            o for o in pricing.offers(as_of=as_of) if (o.provider, o.instance) == ("runpod-secure", "H100 SXM")
        )
        return offer.on_demand_usd_per_gpu_hour

    assert [h100(date(2026, 9, 25)), h100(date(2026, 10, 9)), h100(date(2026, 10, 10)), h100(TODAY)] == [
        3.49,
        3.49,
        3.99,
        3.99,
    ]


def test_no_price_comes_from_after_the_day() -> None:
    for as_of in (date(2026, 6, 18), date(2026, 9, 1), TODAY):
        assert max(offer.seen for offer in pricing.offers(as_of=as_of)) <= as_of


def test_a_day_before_the_first_price_names_the_first() -> None:
    first = min(offer.seen for offer in gpu.all_offers())
    with pytest.raises(InputError, match=f"gpu_offers.csv starts on {first}. Use --as-of {first} or later"):
        pricing.offers(as_of=date(2000, 1, 1))
    assert pricing.offers(as_of=first)


def test_on_demand_prices_of_one_accelerator_lie_within_a_factor_of_twelve() -> None:
    prices = defaultdict(list)
    for offer in gpu.all_offers():
        if offer.on_demand_usd_per_gpu_hour is not None:
            prices[offer.gpu].append((offer.on_demand_usd_per_gpu_hour, offer))
    for listed in prices.values():
        middle = statistics.median(price for price, _ in listed)
        for price, offer in listed:
            if offer.kind != "marketplace" and offer.gpu != "v100-16gb-sxm":
                assert middle / 12 <= price <= middle * 12, offer


def test_a_fixed_machine_has_no_more_accelerators_than_it_has() -> None:
    for offer in gpu.all_offers():
        assert 1 <= offer.gpus <= offer.max_gpus
        if offer.kind == "hyperscaler" and not offer.gpu.startswith("tpu"):
            assert offer.max_gpus == offer.gpus


@pytest.mark.parametrize("price", ["0.02", "200"])
def test_a_price_that_no_h100_has_is_refused(edited: Edit, price: str) -> None:
    line = line_of("gpu_offers.csv", provider="aws", instance="p5.4xlarge", region="us-east-1")
    path = edited("gpu_offers.csv", line, {"on_demand_usd_per_instance_hour": price})
    with pytest.raises(InputError) as caught:
        gpu.read_offers(path, pricing.providers())
    assert f"gpu_offers.csv row {line}, on_demand_usd_per_instance_hour" in str(caught.value)
    assert "allowed: 0.05 to" in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"seen": "2026-13-01"}, "seen: '2026-13-01'; allowed: a day as YYYY-MM-DD"),
        ({"seen": ""}, "seen: empty, but required"),
        ({"gpus": "0"}, "gpus: '0'; allowed: a whole number of accelerators, 1 to 128"),
        ({"gpus": "1.5"}, "gpus: '1.5'; allowed: a whole number"),
        ({"on_demand_usd_per_instance_hour": "nan"}, "'nan'; allowed: 0.05 to 800"),
        ({"on_demand_usd_per_instance_hour": "six"}, "'six'; allowed: 0.05 to 800"),
        ({"status": "publshed"}, "allowed: published, secondary, recalled (closest: published)"),
        ({"provider": "amazn"}, "unknown provider 'amazn' in gpu_offers.csv row 2, provider."),
        ({"spot_usd_per_instance_hour": "30"}, "above the on-demand price"),
        ({"on_demand_usd_per_instance_hour": ""}, "row 2: no price"),
    ],
)
def test_a_bad_cell_is_refused_with_place_and_remedy(edited: Edit, cells: dict[str, str], said: str) -> None:
    clean = {"spot_usd_per_instance_hour": "", "reserved_usd_per_instance_hour": "", "gpus": "8"}
    path = edited("gpu_offers.csv", 2, clean | {"on_demand_usd_per_instance_hour": "20"} | cells)
    with pytest.raises(InputError) as caught:
        gpu.read_offers(path, pricing.providers())
    assert said in str(caught.value)


def test_a_repeated_row_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "gpu_offers.csv"
    shutil.copy(gpu.OFFERS, copy)
    lines = copy.read_text(encoding="utf-8").splitlines()
    copy.write_text("\n".join([*lines, lines[1]]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"row {len(lines) + 1} repeats row 2 "):
        gpu.read_offers(copy, pricing.providers())


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("on_demand_usd_per_instanc_hour", "Closest: on_demand_usd_per_instance_hour"),
        ("region", "missing column 'on_demand_usd_per_instance_hour'"),
    ],
)
def test_a_wrong_column_is_refused(tmp_path: Path, header: str, said: str) -> None:
    copy = tmp_path / "gpu_offers.csv"
    text = gpu.OFFERS.read_text(encoding="utf-8")
    copy.write_text(text.replace("on_demand_usd_per_instance_hour", header, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        gpu.read_offers(copy, pricing.providers())
    assert said in str(caught.value)


def test_every_provider_has_an_offer() -> None:
    assert set(pricing.providers()) == {offer.provider for offer in gpu.all_offers()}


def test_age_is_counted_to_the_day_of_the_plan() -> None:
    offer = gpu.all_offers()[0]
    assert pricing.age_days(offer, offer.seen) == 0
    assert pricing.age_days(offer, date.fromordinal(offer.seen.toordinal() + 181)) > pricing.OLD_AFTER_DAYS


# Hosted fine-tuning


def test_enough_hosted_services() -> None:
    rows = pricing.hosted_finetuning(as_of=TODAY)
    assert len({row.provider for row in rows}) >= 8


def test_a_service_that_has_ended_is_left_out() -> None:
    def openai(as_of: date) -> set[str]:
        return {row.model for row in pricing.hosted_finetuning(as_of=as_of) if row.provider == "openai"}

    assert "gpt-4.1-nano-2025-04-14" in openai(date(2026, 10, 22))
    assert "gpt-4.1-nano-2025-04-14" not in openai(date(2026, 10, 23))
    assert openai(date(2027, 1, 13))
    assert not openai(date(2027, 1, 14))


def test_a_closing_service_says_when_it_takes_its_last_jobs() -> None:
    (row,) = (r for r in pricing.hosted_finetuning(as_of=TODAY) if r.model == "gpt-4.1-mini-2025-04-14")
    assert row.closed
    assert row.new_customers_until == date(2026, 5, 7)
    assert row.new_jobs_until == date(2027, 1, 6)


def test_brackets_cover_a_model_by_size_and_names_by_name() -> None:
    rows = pricing.hosted_finetuning(as_of=TODAY)
    base, parameters = "meta-llama/Llama-3.1-8B", 8.03e9
    covering = [row for row in rows if row.covers(base_model=base, parameters=parameters)]
    together = [row for row in covering if row.provider == "together"]
    assert {row.model for row in together} == {"up to 16B"}
    assert {(row.method, row.objective) for row in together} == {
        (m, o) for m in ("lora", "full") for o in ("sft", "dpo")
    }
    assert "tinker" not in {row.provider for row in covering}
    named = [row for row in rows if row.covers(base_model="Qwen/Qwen3-8B", parameters=8.19e9)]
    assert "tinker" in {row.provider for row in named}


def test_a_new_training_price_is_a_new_row() -> None:
    def price(model: str, as_of: date) -> tuple[float | None, float | None]:
        (row,) = (
            row
            for row in pricing.hosted_finetuning(as_of=as_of, include_ended=True)
            if (row.provider, row.model, row.method, row.objective) == (*model.split("/"), "lora", "sft")
        )
        return row.train_usd_per_million_tokens, row.hosting_usd_per_hour

    assert price("fireworks/up to 16B", date(2026, 10, 7)) == (0.5, 7.0)
    assert price("fireworks/up to 16B", date(2026, 10, 8)) == (0.5, 8.0)
    assert price("together/up to 16B", date(2026, 7, 30)) == (0.48, 3.99)
    assert price("together/up to 16B", TODAY) == (0.48, 5.49)
    assert price("together/Qwen3.5-9B", TODAY) == (0.34, 5.49)
    assert price("tinker/Qwen3.5-4B", date(2026, 9, 9)) == (0.67, 0.0)
    assert price("tinker/Qwen3.5-4B", TODAY) == (0.737, 0.0)


def test_brackets_of_one_service_do_not_overlap() -> None:
    brackets = defaultdict(list)
    for row in pricing.hosted_finetuning(as_of=TODAY):
        if not row.base_model and row.base_parameters_max is not None:
            low = row.base_parameters_min or 0.0
            brackets[row.provider, row.method, row.objective].append((low, row.base_parameters_max))
    for spans in brackets.values():
        spans.sort()
        assert all(high <= low for (_, high), (low, _) in pairwise(spans))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"train_usd_per_million_tokens": "", "train_usd_per_hour": ""}, "row 2: no training price"),
        ({"base_parameters_max": "1e10"}, "is no range"),
        ({"base_model": "a/b", "base_parameters_min": "", "base_parameters_max": ""}, "an open model needs"),
        ({"method": "qlora"}, "allowed: lora, full, undisclosed"),
    ],
)
def test_a_bad_hosted_row_is_refused(edited: Edit, cells: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        hosted.read_hosted(edited("hosted_finetuning.csv", 2, cells))
    assert said in str(caught.value)


# API models


def test_every_tier_has_baselines_of_several_providers() -> None:
    for tier in pricing.TIERS:
        assert len({row.provider for row in pricing.api_models(as_of=TODAY) if row.tier == tier}) >= 2


def test_the_snapshot_is_what_genai_prices_says() -> None:
    import genai_prices

    installed = f"genai-prices {genai_prices.__version__}"
    rows = [row for row in api.all_api_models() if row.source == installed]
    if not rows:
        pytest.skip(f"the snapshot is not of {installed}")
    prices = [name for name in api.ApiModel.__annotations__ if name.endswith("_usd_per_million_tokens")]
    for row in rows:
        fresh = lookup.look_up(row.provider, row.model, as_of=row.effective_from or TODAY, ends={})
        for name in (*prices, "long_input_from_tokens", "context_window"):
            assert getattr(row, name) == getattr(fresh, name), (row.reference, name)


def test_a_model_is_found_by_reference_or_unique_name() -> None:
    assert pricing.api_model("openai/gpt-6-luna", as_of=TODAY).output_usd_per_million_tokens == 0.5
    assert pricing.api_model("claude-haiku-4-5", as_of=TODAY).provider == "anthropic"


def test_other_models_are_looked_up() -> None:
    model = pricing.api_model("anthropic/claude-opus-4-8", as_of=TODAY)
    assert (model.input_usd_per_million_tokens, model.output_usd_per_million_tokens) == (5.0, 25.0)
    assert (model.batch_input_usd_per_million_tokens, model.tier) == (2.5, "")


def test_no_batch_price_is_made_up() -> None:
    nova = pricing.api_model("aws/amazon.nova-lite-v1:0", as_of=TODAY)
    assert nova.batch_input_usd_per_million_tokens is None
    before = lookup.look_up("openai", "gpt-5-mini", as_of=date(2026, 10, 13), ends={})
    after = lookup.look_up("openai", "gpt-5-mini", as_of=date(2026, 10, 14), ends={})
    assert (before.batch_input_usd_per_million_tokens, after.batch_input_usd_per_million_tokens) == (None, 0.125)


def test_a_price_by_the_hour_is_the_mean_of_the_day() -> None:
    flash = lookup.look_up("deepseek", "deepseek-flash", as_of=TODAY, ends={})
    assert flash.output_usd_per_million_tokens == pytest.approx((7 * 1.2 + 17 * 0.6) / 24)
    assert "depend on the hour" in flash.notes


def test_an_announced_price_waits_for_its_day_in_the_snapshot_as_in_the_package() -> None:
    def looked_up(as_of: date) -> pricing.ApiModel:
        return lookup.look_up("google", "gemini-4-argon", as_of=as_of, ends={})

    def in_snapshot(as_of: date) -> pricing.ApiModel:
        return pricing.api_model("google/gemini-4-argon", as_of=as_of)

    for argon in (looked_up, in_snapshot):
        before, after = argon(date(2026, 11, 30)), argon(date(2026, 12, 1))
        assert (before.input_usd_per_million_tokens, before.output_usd_per_million_tokens) == (2.0, 10.0)
        (change,) = before.changes
        assert (change.effective_from, change.output_usd_per_million_tokens) == (date(2026, 12, 1), 20.0)
        assert (change.batch_input_usd_per_million_tokens, change.seen) == (2.0, before.seen)
        assert (after.input_usd_per_million_tokens, after.changes) == (4.0, ())


def test_an_announcement_that_a_newer_reading_does_not_repeat_is_dropped() -> None:
    now, change = (row for row in api.all_api_models() if row.model == "gemini-4-argon")
    later = replace(now, seen=date(2026, 11, 20))
    (kept,) = api.in_force([now, change, later], as_of=date(2026, 12, 15))
    assert (kept.input_usd_per_million_tokens, kept.changes) == (2.0, ())


def test_a_price_announced_for_a_day_that_has_come_is_refused(edited: Edit) -> None:
    line = line_of("api_models.csv", provider="google", model="gemini-4-argon")
    with pytest.raises(InputError, match=f"row {line}, effective_from: 2026-11-04 is no later"):
        api.read_api_models(edited("api_models.csv", line, {"effective_from": "2026-11-04"}))


def test_an_alias_with_an_old_price_is_refused() -> None:
    with pytest.raises(InputError, match=r"takes the alias for mistral-large, .*mistral-large-4"):
        pricing.api_model("mistral/mistral-large-latest", as_of=TODAY)


def test_a_retired_model_is_refused() -> None:
    with pytest.raises(InputError, match="openai/o4-mini stopped answering after 2026-10-22"):
        pricing.api_model("openai/o4-mini", as_of=TODAY)
    luna = {row.reference for row in pricing.api_models(as_of=TODAY)}
    later = {row.reference for row in pricing.api_models(as_of=date(2027, 1, 14))}
    assert {"openai/gpt-4o-mini", "openai/gpt-4.1-mini"} <= luna - later


@pytest.mark.parametrize(
    ("reference", "closest"),
    [
        ("openai/gpt-6-lun", "openai/gpt-6-luna"),
        ("opnai/gpt-6-luna", "openai"),
        ("claude-haiku-4-4", "claude-haiku-4-5"),
    ],
)
def test_an_unknown_model_names_the_closest(reference: str, closest: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        pricing.api_model(reference, as_of=TODAY)
    assert closest in caught.value.close_matches


# Long requests


def test_one_token_above_the_threshold_reprices_the_whole_request() -> None:
    haiku = pricing.api_model("anthropic/claude-haiku-5-5", as_of=TODAY)
    standard = (0.1, 0.01, 0.125, 0.5, 0.05, 0.005, 0.0625, 0.25)
    assert pricing.prices_for(haiku, input_tokens=100_000) == standard
    assert pricing.prices_for(haiku, input_tokens=100_001) == tuple(5 * price for price in standard)


@pytest.mark.parametrize(
    ("reference", "tokens", "expected"),
    [
        ("openai/gpt-5.6-luna", 272_001, (0.4, 0.04, 0.5, 1.8, 0.2, 0.02, 0.25, 0.9)),
        ("google/gemini-3.1-pro-preview", 200_001, (4.0, 0.4, None, 18.0, 2.0, 0.4, None, 9.0)),
        ("x-ai/grok-4.3", 200_000, (2.5, 0.4, None, 5.0, 2.0, 0.32, None, 4.0)),
        ("x-ai/grok-4.7", 200_000, (4.0, 1.0, None, 12.0, None, None, None, None)),
        ("anthropic/claude-sonnet-5-5", 900_000, (2.0, 0.1, 2.5, 10.0, 1.0, 0.05, 1.25, 5.0)),
    ],
)
def test_long_prices_are_those_of_the_price_pages(
    reference: str, tokens: int, expected: tuple[float | None, ...]
) -> None:
    model = pricing.api_model(reference, as_of=TODAY)
    assert pricing.prices_for(model, input_tokens=tokens) == expected


def test_many_requests_are_priced_at_once() -> None:
    luna = pricing.api_model("openai/gpt-6-luna", as_of=TODAY)
    prices = pricing.prices_for(luna, input_tokens=np.array([1e3, 272e3, 273e3]))
    assert np.array_equal(np.asarray(prices.output_usd_per_million_tokens), [0.5, 0.5, 0.75])


def test_an_unknown_long_price_is_not_made_up() -> None:
    pro = lookup.look_up("openai", "gpt-5.5-pro", as_of=TODAY, ends={})
    assert (pro.batch_input_usd_per_million_tokens, pro.long_batch_input_usd_per_million_tokens) == (15.0, None)
    short, long = (pricing.prices_for(pro, input_tokens=tokens) for tokens in (272_000, 272_001))
    assert (short.batch_input_usd_per_million_tokens, long.batch_input_usd_per_million_tokens) == (15.0, None)
    mixed = pricing.prices_for(pro, input_tokens=np.array([272_000.0, 272_001.0]))
    assert mixed.batch_input_usd_per_million_tokens is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"long_input_usd_per_million_tokens": ""}, "long_input_usd_per_million_tokens: empty, but"),
        ({"long_input_from_tokens": ""}, "long_input_usd_per_million_tokens: a long price needs"),
        ({"long_output_usd_per_million_tokens": "0.4"}, "0.4 is below the standard price 0.5."),
        ({"long_cached_input_usd_per_million_tokens": "0.3"}, "0.3 is above the long price 0.2"),
        ({"batch_cached_input_usd_per_million_tokens": "0.02"}, "0.02 is above the standard price 0.01"),
        ({"cache_write_usd_per_million_tokens": ""}, "0.25 has no standard price beside it"),
    ],
)
def test_prices_that_contradict_each_other_are_refused(edited: Edit, cells: dict[str, str], said: str) -> None:
    line = line_of("api_models.csv", provider="openai", model="gpt-6-luna")
    with pytest.raises(InputError) as caught:
        api.read_api_models(edited("api_models.csv", line, cells))
    assert f"api_models.csv row {line}, " in str(caught.value)
    assert said in str(caught.value)


def test_a_long_price_below_the_standard_one_needs_a_reason(edited: Edit) -> None:
    line = line_of("api_models.csv", provider="openai", model="gpt-6-luna")
    cells = {"long_output_usd_per_million_tokens": "0.4", "notes": "promotion"}
    rows = api.read_api_models(edited("api_models.csv", line, cells))
    assert rows[line - 2].long_output_usd_per_million_tokens == 0.4


# Prompt caching


@pytest.mark.parametrize(
    ("reference", "minimum_tokens", "batch_stacks"),
    [
        ("anthropic/claude-haiku-5-5", 512, True),
        ("anthropic/claude-haiku-4-5", 4096, True),
        ("anthropic/claude-sonnet-5", 1024, True),
        ("openai/gpt-6-luna", 1024, True),
        ("openai/gpt-4.1-mini", 1024, False),
        ("google/gemini-2.5-flash-lite", 2048, False),
        ("google/gemini-3.8-flash", 4096, True),
        ("mistral/mistral-large-4", 64, True),
        ("aws/global.amazon.nova-2-lite-v1:0", 1024, False),
        ("aws/global.anthropic.claude-haiku-5-5", 512, False),
        ("deepseek/deepseek-flash", None, None),
        ("cohere/command-a", None, None),
    ],
)
def test_the_longest_prefix_says_when_a_prompt_is_cached(
    reference: str, minimum_tokens: int | None, batch_stacks: bool | None
) -> None:
    model = pricing.api_model(reference, as_of=TODAY)
    assert (model.cache_minimum_tokens, model.batch_stacks_with_caching) == (minimum_tokens, batch_stacks)


def test_batches_that_do_not_stack_keep_the_standard_cached_price() -> None:
    def batch_cached(reference: str) -> float | None:
        return pricing.api_model(reference, as_of=TODAY).batch_cached_input_usd_per_million_tokens

    assert batch_cached("google/gemini-2.5-flash-lite") == 0.01
    assert batch_cached("google/gemini-3.8-flash") == 0.0375
    assert batch_cached("openai/gpt-4.1-mini") is None


def test_every_baseline_that_sells_cached_tokens_has_a_caching_rule() -> None:
    for row in pricing.api_models(as_of=TODAY):
        assert row.caching is not None, row.reference
        if row.cache_write_usd_per_million_tokens is not None:
            assert row.caching.write_costs_extra, row.reference
        batch, plain = row.batch_cached_input_usd_per_million_tokens, row.cached_input_usd_per_million_tokens
        if batch is not None and plain is not None:
            assert row.caching.cached_in_batches
            assert row.caching.batch_stacks == (batch < plain), row.reference


def test_a_rule_changes_on_its_day(edited: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    old = line_of("prompt_caching.csv", provider="google", model_prefix="gemini-2.5")
    new = line_of("prompt_caching.csv", provider="google", model_prefix="gemini-3.1")
    cells = {"model_prefix": "gemini-2.5", "minimum_tokens": "8192", "seen": "2026-11-01"}
    rules = {"google": caching.read_caching(edited("prompt_caching.csv", new, cells))[old - 2 : new - 1]}
    monkeypatch.setattr(caching, "all_caching", lambda: rules)
    minima = []
    for day in (date(2026, 6, 1), date(2026, 10, 31), date(2026, 11, 1)):
        rule = caching.caching_rule(provider="google", model="gemini-2.5-flash-lite", as_of=day)
        assert rule is not None
        minima.append(rule.minimum_tokens)
    assert minima == [2048, 2048, 8192]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"minimum_tokens": "1k"}, "'1k'; allowed: a whole number of tokens"),
        ({"batch_stacks": "maybe"}, "'maybe'; allowed: yes, no, unknown"),
        ({"batch_stacks": "yes", "cached_in_batches": "no"}, "'yes' needs 'yes' in cached_in_batches"),
        ({"write_costs_extra": ""}, "write_costs_extra: empty, but required"),
    ],
)
def test_a_bad_caching_rule_is_refused(edited: Edit, cells: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        caching.read_caching(edited("prompt_caching.csv", 2, cells))
    assert said in str(caught.value)


# Own hardware


def test_own_hour_by_hand() -> None:
    values = {
        "purchase_usd": 30000.0,
        "server_overhead_ratio": 1.4,
        "years": 4.0,
        "residual_fraction": 0.1,
        "utilisation_fraction": 0.5,
        "power_watt": 700.0,
        "idle_power_fraction": 0.2,
        "server_power_ratio": 1.5,
        "pue_ratio": 1.4,
        "electricity_usd_per_kwh": 0.1,
        "hosting_usd_per_gpu_month": 73.0,
        "upkeep_fraction_per_year": 0.05,
        "capital_fraction_per_year": 0.08,
    }
    capital = 42000 * (0.9 / 4 + 0.08 * 0.55 + 0.05)  # 13,398 USD a year
    expected = (capital + 876) / 4380 + 0.147 * 1.2
    assert own.own_usd_per_gpu_hour(**values) == pytest.approx(expected)
    shares = np.array([0.1, 0.5, 1.0])
    hours = np.asarray(own.own_usd_per_gpu_hour(**values | {"utilisation_fraction": shares}))
    assert hours[1] == pytest.approx(expected)
    assert hours[0] > hours[1] > hours[2]


def test_own_hardware_takes_known_overrides_only() -> None:
    card = next(row for row in pricing.own_hardware() if row.gpu == "h100-80gb-sxm")
    assert card.usd_per_gpu_hour(utilisation_fraction=0.9) < card.usd_per_gpu_hour()
    with pytest.raises(UnknownNameError, match="utilisation_fraction"):
        card.usd_per_gpu_hour(utilization_fraction=0.9)


def test_own_hardware_is_an_offer_too() -> None:
    card = pricing.own_hardware()[0]
    offer = card.offer(max_gpus=4, years=3.0)
    assert (offer.kind, offer.gpu, offer.max_gpus) == ("own", card.gpu, 4)
    assert offer.on_demand_usd_per_gpu_hour == card.usd_per_gpu_hour(years=3.0)


def test_own_hardware_is_priced_by_the_day() -> None:
    def pro_6000(as_of: date | None) -> list[float]:
        return [row.purchase_usd for row in pricing.own_hardware(as_of=as_of) if row.gpu == "rtx-pro-6000"]

    days = (None, date(2026, 8, 1), date(2026, 7, 31), date(2025, 12, 30))
    assert [pro_6000(day) for day in days] == [[16000.0], [16000.0], [8500.0], []]


def test_a_bad_own_hardware_row_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "own_hardware.toml"
    text = own.OWN_HARDWARE.read_text(encoding="utf-8")
    copy.write_text(text.replace("low_usd = 500.0", "low_usd = 5000.0"), encoding="utf-8")
    with pytest.raises(InputError, match="rtx-3090: purchase_usd must lie between"):
        own.read_own_hardware(copy)
    copy.write_text(text.replace("seen = 2026-08-01", "seen = 2025-12-31"), encoding="utf-8")
    with pytest.raises(InputError, match="rtx-pro-6000: appears twice with one day"):
        own.read_own_hardware(copy)
    copy.write_text(text.replace("power_watt = 350.0", 'power_watt = "350"', 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"number 1, power_watt: '350' is not a float"):
        own.read_own_hardware(copy)


# The floor


def test_loading_the_tables_imports_nothing_heavy() -> None:
    program = (
        "import sys, datetime, pricing\n"
        "day = datetime.date(2026, 11, 21)\n"
        "pricing.offers(as_of=day), pricing.hosted_finetuning(as_of=day), pricing.api_models(as_of=day)\n"
        "pricing.prices_for(pricing.api_models(as_of=day)[0], input_tokens=300_000)\n"
        "print([name for name in ('numpy', 'genai_prices', 'tomli', 'pydantic', 'estimator', 'reports') "
        "if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"
