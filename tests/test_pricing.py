"""Price tables: what loads, what is refused and how, and that the rows are sane."""

from __future__ import annotations

import csv
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import pricing
from pricing import api, gpu, hosted, lookup, own, table
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
        fresh = lookup.look_up(row.provider, row.model, as_of=TODAY, ends={})
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


def test_a_bad_own_hardware_row_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "own_hardware.toml"
    text = own.OWN_HARDWARE.read_text(encoding="utf-8")
    copy.write_text(text.replace("low_usd = 500.0", "low_usd = 5000.0"), encoding="utf-8")
    with pytest.raises(InputError, match="rtx-3090: purchase_usd must lie between"):
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
        "print([name for name in ('numpy', 'genai_prices', 'tomllib', 'pydantic', 'estimator', 'reports') "
        "if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"
