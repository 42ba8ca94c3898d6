"""API prices from the genai-prices package, with what it answers too willingly refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricing.api import PRICE_NAMES, ApiModel
from pricing.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

BATCH = {"processing": "batch"}
_KEYS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "output_mtok": "output",
}


def look_up(provider: str, name: str, *, as_of: date, ends: Mapping[tuple[str, str], date]) -> ApiModel:
    """The prices of one model on a day, from the installed genai-prices.

    The package matches names by prefix and falls back from one provider to another, prices retired models, and
    answers a batch question with the standard price where it has no batch price. So: a name that ends in
    "-latest" must be a model of its own; a fallback is named in the notes; a batch price exists only where the
    package lists one that is in force, and a long one only where its tier starts where the standard one does; a
    price that depends on the hour is the mean over the day.

    Args:
        provider: as genai-prices names it ("openai").
        name: the model.
        as_of: the day.
        ends: announced last days, by (provider, model).

    Raises:
        UnknownNameError: no such provider or model.
        InputError: an alias whose price cannot be trusted; a model without token prices.
    """
    import genai_prices
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    known = get_snapshot().providers
    vendor = find_provider_by_id(known, provider)
    if vendor is None:
        ids = sorted(entry.id for entry in known)
        hint = f"Known: {', '.join(ids)}."
        raise UnknownNameError("API provider", provider, ids, hint=hint)
    model = vendor.find_model(name, all_providers=known)
    if model is None:
        listed = [f"{vendor.id}/{entry.id}" for entry in vendor.models]
        raise UnknownNameError("API model", f"{vendor.id}/{name}", listed)
    if name.casefold().endswith("-latest") and model.id.casefold() != name.casefold():
        stem = name.casefold().removesuffix("-latest")
        dated = [m.id for m in vendor.models if m.id.casefold().startswith(stem)]
        raise InputError(
            f"API model {vendor.id}/{name}: genai-prices takes the alias for {model.id}, whose price may be an "
            f"old one. Name the model itself: {', '.join(dated)}."
        )
    own = any(model is candidate for candidate in vendor.models)
    notes = [] if own else ["priced as the maker's own interface, batch price not known"]
    if model.id.casefold() != name.casefold():
        notes.append(f"{name} read as {model.id}")
    if model.deprecated:
        notes.append("marked deprecated by genai-prices")
    threshold = _long_input_from(model, as_of)
    standard, varies = _mean_prices(model, as_of)
    if varies:
        notes.append("mean over the day of prices that depend on the hour")
    if standard.get("input") is None or standard.get("output") is None:
        raise InputError(
            f"API model {vendor.id}/{model.id} has no price per input and output token. Name another."
        )
    prices = dict(standard)
    if threshold is not None:
        prices |= _named("long_", _mean_prices(model, as_of, long=True)[0])
        if len(_tiers(model, as_of)) > 1:
            notes.append("a further price for still longer requests is left out")
    batched = _batch_names(model, as_of) if own else frozenset()
    if batched:
        prices |= _named("batch_", _mean_prices(model, as_of, batch=True)[0], only=batched)
        if threshold is not None and _long_input_from(model, as_of, batch=True) == threshold:
            long_batch = _mean_prices(model, as_of, batch=True, long=True)[0]
            prices |= _named("long_batch_", long_batch, only=batched)
    named: dict[str, Any] = {
        f"{prefix}{name}_usd_per_million_tokens": prices.get(prefix + name)
        for prefix in ("", "long_")
        for name in PRICE_NAMES
    }
    version = genai_prices.__version__
    seen = newest_evidence(as_of)
    return ApiModel(
        provider=vendor.id,
        model=model.id,
        tier="",
        long_input_from_tokens=threshold,
        **named,
        context_window=model.context_window,
        available_until=ends.get((vendor.id, model.id)),
        seen=seen,
        source=f"genai-prices {version}",
        status="secondary",
        notes="; ".join(notes),
        changes=_announced(model, as_of, standard, vendor.id, seen=seen),
    )


def newest_evidence(as_of: date) -> date:
    """The newest day on or before `as_of` that the package's own price comments name.

    The package does not say when it was made; a price is taken to be as old as that day.
    """
    return max((day for day in _days_in_data() if day <= as_of), default=as_of)


@cache
def _days_in_data() -> frozenset[date]:
    spec = find_spec("genai_prices.data")
    if spec is None or spec.origin is None:
        return frozenset()
    text = Path(spec.origin).read_text(encoding="utf-8")
    days = set()
    for year, month, day in set(re.findall(r"\b(20\d\d)-(\d\d)-(\d\d)\b", text)):
        try:
            days.add(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return frozenset(days)


def _announced(
    model: ModelInfo, as_of: date, standard: Mapping[str, float], provider: str, *, seen: date
) -> tuple[ApiModel, ...]:
    """The model at every later price that the package knows of, seen today."""
    listed: Any = model.prices if isinstance(model.prices, list) else ()
    starts = {getattr(entry.constraint, "start_date", None) for entry in listed}
    for day in sorted(start for start in starts if start is not None and start > as_of):
        if _mean_prices(model, day)[0] != standard:
            then = look_up(provider, model.id, as_of=day, ends={})
            changed = (replace(then, effective_from=day, changes=()), *then.changes)
            return tuple(replace(one, seen=seen) for one in changed)
    return ()


def _named(prefix: str, prices: Mapping[str, float], *, only: Iterable[str] = PRICE_NAMES) -> dict[str, float]:
    return {prefix + name: price for name, price in prices.items() if name in only}


def _mean_prices(
    model: ModelInfo, as_of: date, *, batch: bool = False, long: bool = False
) -> tuple[dict[str, float], bool]:
    """USD per million tokens by name, the mean over the hours of a day, and whether they differ by the hour."""
    hours = [_prices(model, as_of, hour, batch=batch, long=long) for hour in range(24)]
    mean = {key: sum(prices[key] for prices in hours) / len(hours) for key in hours[0]}
    varies = any(prices != hours[0] for prices in hours)
    return ({key: round(price, 6) for key, price in mean.items()} if varies else hours[0]), varies


def _prices(model: ModelInfo, as_of: date, hour: int, *, batch: bool, long: bool) -> dict[str, float]:
    """A price listed without tiers holds for every length."""
    prices = _at(model, as_of, hour, batch=batch)
    found: dict[str, float] = {}
    for key, name in _KEYS.items():
        price: Any = getattr(prices, key)
        if price is not None:
            tiers = getattr(price, "tiers", None)
            found[name] = float(tiers[0].price if long and tiers else getattr(price, "base", price))
    return found


def _at(model: ModelInfo, as_of: date, hour: int, *, batch: bool = False) -> ModelPrice:
    moment = datetime.combine(as_of, time(hour, 30), tzinfo=UTC)
    return model.get_prices(moment, BATCH if batch else None)


def _batch_names(model: ModelInfo, as_of: date) -> frozenset[str]:
    """Which batch prices the package lists itself; for the others it would answer with the standard price."""
    noon = datetime.combine(as_of, time(12), tzinfo=UTC)
    for variant in model.price_variants or ():
        if variant.when == BATCH and (variant.constraint is None or variant.constraint.active(noon)):
            return frozenset(name for key, name in _KEYS.items() if getattr(variant.prices, key) is not None)
    return frozenset()


def _tiers(model: ModelInfo, as_of: date, *, batch: bool = False) -> list[Any]:
    prices: Any = _at(model, as_of, 12, batch=batch).input_mtok
    return list(getattr(prices, "tiers", ()))


def _long_input_from(model: ModelInfo, as_of: date, *, batch: bool = False) -> int | None:
    tiers = _tiers(model, as_of, batch=batch)
    return tiers[0].start if tiers else None
