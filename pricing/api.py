"""What the tokens of an API model cost: a checked-in snapshot of default baselines, the rest looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pricing.caching import CachingRule, caching_rule
from pricing.errors import InputError, UnknownNameError
from pricing.table import (
    DATA,
    STATUSES,
    Column,
    choice,
    day,
    newest,
    number,
    read_table,
    refuse_duplicates,
    where,
    whole,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Number = float | NDArray[np.float64]

SNAPSHOT = DATA / "api_models.csv"
RETIREMENTS = DATA / "api_retirements.csv"
TIERS = ("nano", "small", "mid", "frontier")


@dataclass(frozen=True, kw_only=True)
class ApiModel:
    """The prices of one API model, in USD per million tokens; None where the provider has no such price.

    Attributes:
        provider, model: as genai-prices names them; together the reference "provider/model".
        tier: nano, small, mid or frontier, by price; empty for a model outside the snapshot.
        input_usd_per_million_tokens, output_usd_per_million_tokens: standard requests.
        cached_input_usd_per_million_tokens: input read from the prompt cache.
        cache_write_usd_per_million_tokens: input written to the prompt cache, where that costs extra.
        batch_input_usd_per_million_tokens, batch_cached_input_usd_per_million_tokens,
            batch_cache_write_usd_per_million_tokens, batch_output_usd_per_million_tokens: asynchronous batches;
            no cached price where batches are not cached, or where that is not known.
        long_input_from_tokens: above this many input tokens in one request (those read from the cache
            included) every token of the request is charged at the long_... prices; None where one price holds
            for every length.
        long_input_usd_per_million_tokens and so on: the prices above that length, each as the price of the same
            name without "long_"; None where not known, never a guess. `prices_for` picks.
        context_window: most tokens of one request; None where not known.
        available_until: last day the model answers; None where no end has been announced.
        caching: what the provider asks of a prompt before it caches it; None where not known.
        effective_from: first day of these prices, where they were announced ahead; None where they held when seen.
        changes: the model at the prices announced for later days, in the order of these days.
        seen: the day of the newest evidence behind the price.
        source, status, notes: where the row comes from; what packages disagree about.
    """

    provider: str
    model: str
    tier: str
    input_usd_per_million_tokens: float
    cached_input_usd_per_million_tokens: float | None
    cache_write_usd_per_million_tokens: float | None
    output_usd_per_million_tokens: float
    batch_input_usd_per_million_tokens: float | None
    batch_cached_input_usd_per_million_tokens: float | None
    batch_cache_write_usd_per_million_tokens: float | None
    batch_output_usd_per_million_tokens: float | None
    long_input_from_tokens: int | None
    long_input_usd_per_million_tokens: float | None
    long_cached_input_usd_per_million_tokens: float | None
    long_cache_write_usd_per_million_tokens: float | None
    long_output_usd_per_million_tokens: float | None
    long_batch_input_usd_per_million_tokens: float | None
    long_batch_cached_input_usd_per_million_tokens: float | None
    long_batch_cache_write_usd_per_million_tokens: float | None
    long_batch_output_usd_per_million_tokens: float | None
    context_window: int | None
    available_until: date | None
    seen: date
    source: str
    status: str
    notes: str
    effective_from: date | None = None
    caching: CachingRule | None = None
    changes: tuple[ApiModel, ...] = ()

    @property
    def reference(self) -> str:
        """How people name the model: "provider/model"."""
        return f"{self.provider}/{self.model}"

    @property
    def cache_minimum_tokens(self) -> int | None:
        """Shortest prompt, in tokens, that the provider caches; None where not known."""
        return None if self.caching is None else self.caching.minimum_tokens

    @property
    def batch_stacks_with_caching(self) -> bool | None:
        """Whether a token read from the cache gets the batch discount too; None where not known."""
        return None if self.caching is None else self.caching.batch_stacks


PRICE_NAMES = (
    "input",
    "cached_input",
    "cache_write",
    "output",
    "batch_input",
    "batch_cached_input",
    "batch_cache_write",
    "batch_output",
)


class RequestPrices(NamedTuple):
    """The prices of one request, in USD per million tokens; None where there is no such price or it is not known.

    With an array of request lengths a price that depends on the length is an array of the same shape.
    """

    input_usd_per_million_tokens: Number
    cached_input_usd_per_million_tokens: Number | None
    cache_write_usd_per_million_tokens: Number | None
    output_usd_per_million_tokens: Number
    batch_input_usd_per_million_tokens: Number | None
    batch_cached_input_usd_per_million_tokens: Number | None
    batch_cache_write_usd_per_million_tokens: Number | None
    batch_output_usd_per_million_tokens: Number | None


def prices_for(row: ApiModel, *, input_tokens: Number) -> RequestPrices:
    """The prices in force for a request of a given length.

        p = p_long where n > n_long, else p_standard

    A cliff, not a bracket: one token above the threshold reprices every token of the request, output included.

    Args:
        row: the model.
        input_tokens: n, all input tokens of one request, those read from the cache included (float or array).

    Returns:
        One price per kind of token. A price whose long form is not known is None as soon as one of the requests is
        longer than the threshold; nothing is scaled from the other prices.

    Source: price pages of Anthropic, Google, OpenAI and xAI, which all charge the whole request by its length.
    """

    def in_force(name: str) -> Any:
        listed = getattr(row, f"{name}_usd_per_million_tokens")
        if row.long_input_from_tokens is None:
            return listed
        is_long = 1.0 * (input_tokens > row.long_input_from_tokens)
        long = getattr(row, f"long_{name}_usd_per_million_tokens")
        if listed is None or long is None:
            return listed if listed is not None and _none_of(is_long) else None
        return long * is_long + listed * (1.0 - is_long)

    return RequestPrices(*(in_force(name) for name in PRICE_NAMES))


def _none_of(flags: Any) -> bool:
    return not (flags.any() if hasattr(flags, "any") else flags)


_USD_PER_MILLION = number(0.001, 1000, "USD per million tokens")

_COLUMNS = {
    "provider": Column(required=True),
    "model": Column(required=True),
    "tier": Column(choice(*TIERS), required=True),
    "input_usd_per_million_tokens": Column(_USD_PER_MILLION, required=True),
    "cached_input_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "cache_write_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "output_usd_per_million_tokens": Column(_USD_PER_MILLION, required=True),
    "batch_input_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "batch_cached_input_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "batch_cache_write_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "batch_output_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "long_input_from_tokens": Column(whole(1000, 10**8, "tokens")),
    **{f"long_{name}_usd_per_million_tokens": Column(_USD_PER_MILLION) for name in PRICE_NAMES},
    "context_window": Column(whole(512, 10**8, "tokens")),
    "effective_from": Column(day),
    "seen": Column(day, required=True),
    "status": Column(choice(*STATUSES), required=True),
    "source": Column(required=True),
    "notes": Column(),
}

_RETIREMENT_COLUMNS = {
    "provider": Column(required=True),
    "model": Column(required=True),
    "available_until": Column(day, required=True),
    "seen": Column(day, required=True),
    "status": Column(choice(*STATUSES), required=True),
    "source": Column(required=True),
    "url": Column(required=True),
    "notes": Column(),
}


@cache
def retirements() -> dict[tuple[str, str], date]:
    """The announced last day of API models, by (provider, model)."""
    days: dict[tuple[str, str], date] = {}

    def build(values: dict[str, Any], line: int) -> None:
        key = values["provider"], values["model"]
        if key in days:
            raise InputError(f"{where(RETIREMENTS, line, 'model')}: {'/'.join(key)} appears twice. Remove one.")
        days[key] = values["available_until"]

    read_table(RETIREMENTS, _RETIREMENT_COLUMNS, build)
    return days


def read_api_models(path: Path) -> tuple[ApiModel, ...]:
    """Every dated row of one snapshot, checked; `available_until` comes from the table of retirements."""
    lines: list[int] = []
    ends = retirements()

    def build(values: dict[str, Any], line: int) -> ApiModel:
        lines.append(line)
        _check_order(values, path, line)
        if values["effective_from"] is not None and values["effective_from"] <= values["seen"]:
            raise InputError(
                f"{where(path, line, 'effective_from')}: {values['effective_from']} is no later than the day it"
                " was seen. Empty the cell: the price holds already."
            )
        return ApiModel(available_until=ends.get((values["provider"], values["model"])), **values)

    rows = read_table(path, _COLUMNS, build)
    refuse_duplicates(
        path,
        (((*_key(row), row.effective_from, row.seen), line) for row, line in zip(rows, lines, strict=True)),
    )
    return tuple(rows)


_PRICE_COLUMNS = tuple(
    (name, f"{name}_usd_per_million_tokens", f"long_{name}_usd_per_million_tokens") for name in PRICE_NAMES
)
_NOT_ABOVE = (
    ("cached_input", "input"),
    ("batch_input", "input"),
    ("batch_cached_input", "cached_input"),
    ("batch_cache_write", "cache_write"),
    ("batch_output", "output"),
)


def _check_order(values: dict[str, Any], path: Path, line: int) -> None:
    """Refuse a discount above its list price, a long price without a threshold or below the standard one."""

    def refuse(name: str, why: str) -> NoReturn:
        raise InputError(f"{where(path, line, f'{name}_usd_per_million_tokens')}: {why}")

    threshold = values["long_input_from_tokens"]
    standards = {name: values[column] for name, column, _ in _PRICE_COLUMNS}
    longs = {name: values[column] for name, _, column in _PRICE_COLUMNS}
    for prefix, prices in (("", standards), ("long_", longs)) if threshold else (("", standards),):
        for cheaper, listed in _NOT_ABOVE:
            low, high = prices[cheaper], prices[listed]
            if low is not None and high is not None and low > high:
                kind = "long" if prefix else "standard"
                refuse(prefix + cheaper, f"{low:g} is above the {kind} price {high:g}; the two may be swapped.")
    for name, long in longs.items():
        standard = standards[name]
        if threshold is None and long is not None:
            refuse(f"long_{name}", "a long price needs long_input_from_tokens. Fill it in, or empty this cell.")
        if threshold is not None and long is None and name in ("input", "output"):
            refuse(f"long_{name}", "empty, but long_input_from_tokens is not. Fill it in, or empty the other.")
        if long is not None and standard is None:
            refuse(f"long_{name}", f"{long:g} has no standard price beside it. Fill that in, or empty this cell.")
        if long is not None and long < standard and not values["notes"]:
            refuse(
                f"long_{name}",
                f"{long:g} is below the standard price {standard:g}. Mend the two, or say in the notes why.",
            )


def _key(row: ApiModel) -> tuple[str, str]:
    return row.provider, row.model


@cache
def all_api_models() -> tuple[ApiModel, ...]:
    """Every dated row of the snapshot, also those that a newer one replaces."""
    return read_api_models(SNAPSHOT)


def in_force(rows: Sequence[ApiModel], *, as_of: date, path: Path = SNAPSHOT) -> tuple[ApiModel, ...]:
    """Of each model the prices that hold on a day, with those announced for later ones.

    The newest reading holds; of one reading, what was announced for a day that has come replaces what held before.
    An announcement that a newer reading does not repeat is dropped.

    Raises:
        InputError: `as_of` is before the first price.
    """
    begun = [row for row in rows if row.effective_from is None or row.effective_from <= as_of]
    latest_first = sorted(begun, key=lambda row: row.effective_from or date.min, reverse=True)
    ahead = [row for row in rows if row.effective_from is not None and row.effective_from > as_of]
    return tuple(
        replace(row, changes=tuple(sorted(later, key=lambda one: one.effective_from or as_of))) if later else row
        for row in newest(path, latest_first, as_of=as_of, key=_key)
        for later in [[one for one in ahead if _key(one) == _key(row) and one.seen == row.seen]]
    )


def api_models(*, as_of: date) -> tuple[ApiModel, ...]:
    """The default baseline models that still answer on a day, the newest price of each.

    Raises:
        InputError: `as_of` is before the first price of the snapshot.
    """
    rows = in_force(all_api_models(), as_of=as_of)
    return tuple(
        _with_caching(row, as_of) for row in rows if row.available_until is None or as_of <= row.available_until
    )


def _with_caching(row: ApiModel, as_of: date) -> ApiModel:
    """The row with its caching rule; batches that keep the standard cached price get it as theirs."""
    rule = caching_rule(provider=row.provider, model=row.model, as_of=as_of)
    same: dict[str, Any] = {}
    if rule is not None and rule.cached_in_batches and rule.batch_stacks is False:
        for prefix in ("", "long_"):
            own = getattr(row, f"{prefix}batch_cached_input_usd_per_million_tokens")
            if own is None and getattr(row, f"{prefix}batch_input_usd_per_million_tokens") is not None:
                key = f"{prefix}batch_cached_input_usd_per_million_tokens"
                same[key] = getattr(row, f"{prefix}cached_input_usd_per_million_tokens")
    changes = tuple(_with_caching(one, as_of) for one in row.changes)
    return replace(row, caching=rule, changes=changes, **same)


def api_model(reference: str, *, as_of: date) -> ApiModel:
    """One API model by "provider/model", or by the model's name alone where one snapshot row has it.

    A model outside the snapshot is looked up in the genai-prices package.

    Raises:
        UnknownNameError: no such provider or model, with the closest names.
        InputError: the name means several models, the model has been retired by `as_of`, or the package knows
            it only under a price that cannot be trusted.
    """
    rows = in_force(all_api_models(), as_of=as_of)
    asked = reference.casefold()
    found = [row for row in rows if asked in (row.reference.casefold(), row.model.casefold())]
    if len(found) > 1:
        raise InputError(
            f"API model {reference!r} means {', '.join(row.reference for row in found)}. Give provider and model."
        )
    if found:
        model = found[0]
    elif "/" in reference:
        from pricing.lookup import look_up

        provider, _, name = reference.partition("/")
        model = look_up(provider, name, as_of=as_of, ends=retirements())
    else:
        raise UnknownNameError(
            "API model",
            reference,
            [row.reference for row in rows] + [row.model for row in rows],
            hint="A model outside the defaults is named provider/model.",
        )
    if model.available_until is not None and as_of > model.available_until:
        raise InputError(
            f"API model {model.reference} stopped answering after {model.available_until.isoformat()}. "
            "Name a current model, or an earlier --as-of."
        )
    return _with_caching(model, as_of)
