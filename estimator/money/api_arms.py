"""Prompting an API model as arms: one for each style, at the prices of requests of that length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from estimator.assumptions import Assumption
from estimator.money import costs
from estimator.money.arms import RETRIEVAL, own, status_of
from estimator.money.ownership import ArmSpec, LinesOf
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import Number
from estimator.scenario import Scenario
from pricing import ApiModel, api_model, api_models, prices_for

STYLES = ("zero-shot", "few-shot", RETRIEVAL)
SPLIT = "split"
STYLE_LABELS = {SPLIT: "smaller calls"}
"""Words for a style where its name alone says too little."""

ANNOUNCED = "announced:"
"""Start of a note on a price change to come."""

BASELINE_TIERS = ("nano", "mid", "frontier")

PRICES = {
    "input": "input tokens",
    "cached_input": "input tokens read from the cache",
    "cache_write": "input tokens written to the cache",
    "output": "output tokens",
}


def baselines(*, scenario: Scenario, horizon_end: date) -> tuple[ApiModel, ...]:
    """The API models to compare with: those named, else of each tier the one with the median price.

    Ranked is the price of a zero-shot request of this scenario without discounts, among the models of the
    snapshot that answer to the end of the horizon.
    """
    if scenario.baselines:
        named = (api_model(reference, as_of=scenario.as_of) for reference in scenario.baselines)
        return tuple({row.reference: row for row in named}.values())
    rows = api_models(as_of=scenario.as_of)
    values = scenario.assumptions

    def request_price(row: ApiModel) -> tuple[float, str]:
        usd = (
            row.input_usd_per_million_tokens * values["input_tokens"]
            + row.output_usd_per_million_tokens * values["output_tokens"]
        )
        return usd, row.reference

    found = []
    for tier in BASELINE_TIERS:
        lasting = (row for row in rows if row.available_until is None or row.available_until >= horizon_end)
        ranked = sorted((row for row in lasting if row.tier == tier), key=request_price)
        if ranked:
            found.append(ranked[(len(ranked) - 1) // 2])
    return tuple(found)


def _retirement(model: ApiModel, last_day: date, as_of: date) -> Assumption:
    months = (last_day - as_of).days / DAYS_PER_MONTH
    return own(
        "retired_after_months",
        "months until the model stops answering",
        months,
        "month",
        status=status_of(model.status),
        source=f"announced end of {model.reference}: {last_day.isoformat()}",
        checked=model.seen.isoformat(),
    )


def call_input_tokens(values: Mapping[str, float], *, style: str) -> float:
    """Input of one call in a prompting style, which decides the price tier and whether the window holds it."""
    own_input = values["input_tokens"]
    if style == SPLIT:
        static = own_input * values["static_input_fraction"]
        return static + (own_input - static) * values["split_overlap_ratio"] / values["calls_per_request"]
    return own_input + {"few-shot": values["few_shot_tokens"], "retrieval": values["context_tokens"]}.get(style, 0)


def api_arms(
    *, model: ApiModel, scenario: Scenario, horizon_end: date, styles: Sequence[str]
) -> tuple[ArmSpec, ...]:
    """One arm per prompting style."""
    notes: tuple[str, ...] = ()
    parameters: tuple[Assumption, ...] = ()
    common: LinesOf = costs.prompting_lines
    if model.available_until is not None and model.available_until < horizon_end:
        common = partial(costs.prompting_lines, retired=True)
        notes += (
            f"{model.reference} stops answering after {model.available_until.isoformat()}, inside the horizon:"
            " a move to another model is certain, and counted unless one comes before.",
        )
        parameters += (_retirement(model, model.available_until, scenario.as_of),)
    minimum = scenario.assumptions.row("cache_minimum_tokens")
    if model.caching is not None and model.caching.minimum_tokens is not None and minimum.status != "user":
        parameters += (
            own(
                minimum.name,
                minimum.label,
                model.caching.minimum_tokens,
                minimum.unit,
                status=status_of(model.caching.status),
                source=model.caching.source,
                checked=model.caching.seen.isoformat(),
            ),
        )
    return tuple(
        _arm(
            model,
            scenario.assumptions,
            style=style,
            as_of=scenario.as_of,
            horizon_end=horizon_end,
            common_lines=common,
            parameters=parameters,
            notes=notes,
        )
        for style in styles
    )


def _arm(
    model: ApiModel,
    values: Mapping[str, float],
    *,
    style: str,
    as_of: date,
    horizon_end: date,
    common_lines: LinesOf,
    parameters: tuple[Assumption, ...],
    notes: tuple[str, ...],
) -> ArmSpec:
    tokens = call_input_tokens(values, style=style)
    if model.long_input_from_tokens is not None and tokens > model.long_input_from_tokens:
        notes += (f"Prices of requests above {model.long_input_from_tokens:,} input tokens.",)
    changes = [one for one in model.changes if one.effective_from is not None and one.effective_from < horizon_end]
    notes += tuple(_announced(one, tokens) for one in changes)
    later = tuple(
        row
        for place, one in enumerate(changes, 1)
        for row in _changed_prices(one, tokens, place=place, as_of=as_of)
    )
    return ArmSpec(
        id=f"api:{model.reference}:{style}",
        label=f"{model.reference}, {STYLE_LABELS.get(style, style)}",
        kind="api",
        style=style,
        common_lines=common_lines,
        other_lines=partial(costs.calling_lines, style=style, price_changes=len(changes)),
        parameters=(*_token_prices(model, tokens), *later, *parameters),
        notes=notes,
    )


def _announced(change: ApiModel, input_tokens: float) -> str:
    prices = prices_for(change, input_tokens=input_tokens)
    return (
        f"{ANNOUNCED} from {change.effective_from} a million tokens of input cost"
        f" ${float(prices.input_usd_per_million_tokens):g} and of output"
        f" ${float(prices.output_usd_per_million_tokens):g}; counted from that day on, until a move to another"
        " model."
    )


def _changed_prices(change: ApiModel, input_tokens: float, *, place: int, as_of: date) -> tuple[Assumption, ...]:
    """The prices after one announced change, and when it comes."""
    assert change.effective_from is not None
    day = own(
        f"change_{place}_after_months",
        "months until the announced prices hold",
        (change.effective_from - as_of).days / DAYS_PER_MONTH,
        "month",
        status=status_of(change.status),
        source=f"announced for {change.effective_from}: {change.source}",
        checked=change.seen.isoformat(),
    )
    prices = (
        replace(row, name=f"change_{place}_{row.name}", label=f"{row.label}, from {change.effective_from}")
        for row in _token_prices(change, input_tokens)
    )
    return (day, *prices)


def _token_prices(row: ApiModel, input_tokens: float) -> tuple[Assumption, ...]:
    """Prices of interactive requests and of batches, at this length of a request.

    Where the provider has no price of a kind, the dearer kind that it has holds: input for what is read from or
    written to the cache, the interactive price for a batch, and the batch's plain input where its discount does
    not stack with caching.
    """
    found = prices_for(row, input_tokens=input_tokens)

    def first(*prices: Number | None) -> float:
        return next(float(price) for price in prices if price is not None)

    plain, output = found.input_usd_per_million_tokens, found.output_usd_per_million_tokens
    cached = first(found.cached_input_usd_per_million_tokens, plain)
    write = first(found.cache_write_usd_per_million_tokens, plain)
    batch = found.batch_input_usd_per_million_tokens
    usd = {
        "input": plain,
        "cached_input": cached,
        "cache_write": write,
        "output": output,
        "batch_input": first(batch, plain),
        "batch_cached_input": first(found.batch_cached_input_usd_per_million_tokens, batch, cached),
        "batch_cache_write": first(found.batch_cache_write_usd_per_million_tokens, batch, write),
        "batch_output": first(found.batch_output_usd_per_million_tokens, output),
    }
    return tuple(
        own(
            f"{name}_price",
            PRICES[name.removeprefix("batch_")] + (", in batches" if name.startswith("batch_") else ""),
            float(value),
            "USD/million tokens",
            status=status_of(row.status),
            source=row.source,
            checked=row.seen.isoformat(),
        )
        for name, value in usd.items()
    )
