"""What the tokens of an API model cost: a checked-in snapshot of default baselines, the rest looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

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
        batch_input_usd_per_million_tokens, batch_output_usd_per_million_tokens: asynchronous batches.
        long_input_from_tokens: above this many input tokens in one request the provider charges more than
            these prices; None where one price holds for every length.
        context_window: most tokens of one request; None where not known.
        available_until: last day the model answers; None where no end has been announced.
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
    batch_output_usd_per_million_tokens: float | None
    long_input_from_tokens: int | None
    context_window: int | None
    available_until: date | None
    seen: date
    source: str
    status: str
    notes: str

    @property
    def reference(self) -> str:
        """How people name the model: "provider/model"."""
        return f"{self.provider}/{self.model}"


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
    "batch_output_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "long_input_from_tokens": Column(whole(1000, 10**8, "tokens")),
    "context_window": Column(whole(512, 10**8, "tokens")),
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
        row = ApiModel(available_until=ends.get((values["provider"], values["model"])), **values)
        pairs = (
            ("cached_input", row.cached_input_usd_per_million_tokens, row.input_usd_per_million_tokens),
            ("batch_input", row.batch_input_usd_per_million_tokens, row.input_usd_per_million_tokens),
            ("batch_output", row.batch_output_usd_per_million_tokens, row.output_usd_per_million_tokens),
        )
        for name, cheaper, listed in pairs:
            if cheaper is not None and cheaper > listed:
                raise InputError(
                    f"{where(path, line, f'{name}_usd_per_million_tokens')}: {cheaper:g} is above the standard "
                    f"price {listed:g}; the two may be swapped."
                )
        return row

    rows = read_table(path, _COLUMNS, build)
    refuse_duplicates(path, (((*_key(row), row.seen), line) for row, line in zip(rows, lines, strict=True)))
    return tuple(rows)


def _key(row: ApiModel) -> tuple[str, str]:
    return row.provider, row.model


@cache
def all_api_models() -> tuple[ApiModel, ...]:
    """Every dated row of the snapshot, also those that a newer one replaces."""
    return read_api_models(SNAPSHOT)


def api_models(*, as_of: date) -> tuple[ApiModel, ...]:
    """The default baseline models that still answer on a day, the newest price of each.

    Raises:
        InputError: `as_of` is before the first price of the snapshot.
    """
    rows = newest(SNAPSHOT, all_api_models(), as_of=as_of, key=_key)
    return tuple(row for row in rows if row.available_until is None or as_of <= row.available_until)


def api_model(reference: str, *, as_of: date) -> ApiModel:
    """One API model by "provider/model", or by the model's name alone where one snapshot row has it.

    A model outside the snapshot is looked up in the genai-prices package.

    Raises:
        UnknownNameError: no such provider or model, with the closest names.
        InputError: the name means several models, the model has been retired by `as_of`, or the package knows
            it only under a price that cannot be trusted.
    """
    rows = newest(SNAPSHOT, all_api_models(), as_of=as_of, key=_key)
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
    return model
