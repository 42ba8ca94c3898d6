"""When a provider caches a prompt: the shortest one, its lifetime, what a write costs, whether batches count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pricing.errors import InputError
from pricing.table import (
    DATA,
    STATUSES,
    Column,
    choice,
    day,
    number,
    read_table,
    refuse_duplicates,
    where,
    whole,
)

CACHING = DATA / "prompt_caching.csv"
ROUTES = ("global.", "regional.")
_ANSWERS = {"yes": True, "no": False, "unknown": None}


@dataclass(frozen=True, kw_only=True)
class CachingRule:
    """How one provider caches the prompts of its models, or of those whose name starts with `model_prefix`.

    Attributes:
        provider: as genai-prices names it.
        model_prefix: start of the model names the row is about, without the route ("global.") that Amazon Bedrock
            puts before them; empty for every model without a longer prefix.
        minimum_tokens: shortest prompt that is cached; a shorter one is charged in full, without an error. None
            where not known.
        write_costs_extra: a token written to the cache costs more than, or apart from, an input token.
        lifetime_minutes: how long an unused entry is kept at least, in the tier that `write_costs_extra` is about;
            None where nothing is promised.
        storage_billed: a cache made explicitly is billed for every hour that it is kept.
        cached_in_batches: requests of a batch read from the cache at all.
        batch_stacks: a token read from the cache in a batch costs less than the same token outside one.
            These four: None where not known.
        seen, source, url, status, notes: where the row comes from.
    """

    provider: str
    model_prefix: str
    minimum_tokens: int | None
    write_costs_extra: bool | None
    lifetime_minutes: float | None
    storage_billed: bool | None
    cached_in_batches: bool | None
    batch_stacks: bool | None
    seen: date
    source: str
    url: str
    status: str
    notes: str


def _answer(text: str) -> bool | None:
    return _ANSWERS[choice(*_ANSWERS)(text)]


_COLUMNS = {
    "provider": Column(required=True),
    "model_prefix": Column(),
    "minimum_tokens": Column(whole(1, 10**6, "tokens")),
    "write_costs_extra": Column(_answer, required=True),
    "lifetime_minutes": Column(number(1, 10**5, "minutes")),
    "storage_billed": Column(_answer, required=True),
    "cached_in_batches": Column(_answer, required=True),
    "batch_stacks": Column(_answer, required=True),
    "seen": Column(day, required=True),
    "status": Column(choice(*STATUSES), required=True),
    "source": Column(required=True),
    "url": Column(required=True),
    "notes": Column(),
}


def read_caching(path: Path) -> tuple[CachingRule, ...]:
    """Every dated row of one table of caching rules, checked."""
    lines: list[int] = []

    def build(values: dict[str, Any], line: int) -> CachingRule:
        lines.append(line)
        if values["batch_stacks"] and not values["cached_in_batches"]:
            raise InputError(
                f"{where(path, line, 'batch_stacks')}: 'yes' needs 'yes' in cached_in_batches. Mend one of them."
            )
        return CachingRule(**values)

    rows = read_table(path, _COLUMNS, build)
    keys = ((row.provider, row.model_prefix, row.seen) for row in rows)
    refuse_duplicates(path, zip(keys, lines, strict=True))
    return tuple(rows)


@cache
def all_caching() -> dict[str, tuple[CachingRule, ...]]:
    """Every dated row of the table, also those that a newer one replaces, by provider."""
    rules: dict[str, tuple[CachingRule, ...]] = {}
    for row in read_caching(CACHING):
        rules[row.provider] = (*rules.get(row.provider, ()), row)
    return rules


def caching_rule(*, provider: str, model: str, as_of: date) -> CachingRule | None:
    """The rule for one model: of the provider's rows the one with the longest prefix, as it was on a day.

    Of several rows with that prefix the newest one seen by `as_of` holds. Where all were seen later the oldest one
    does: a rule is no price, and none was read before the table began.

    Args:
        provider, model: as in `ApiModel`.
        as_of: the plan's day.
    """
    for route in ROUTES:
        model = model.removeprefix(route)
    fitting = [row for row in all_caching().get(provider, ()) if model.startswith(row.model_prefix)]
    if not fitting:
        return None
    longest = max(len(row.model_prefix) for row in fitting)
    dated = sorted((row for row in fitting if len(row.model_prefix) == longest), key=_seen)
    return ([row for row in dated if row.seen <= as_of] or dated[:1])[-1]


def _seen(row: CachingRule) -> date:
    return row.seen
