"""What it costs to rent an accelerator: dated offers of clouds and marketplaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
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

KINDS = ("hyperscaler", "gpu-cloud", "marketplace")
LOWEST_USD_PER_GPU_HOUR = 0.05
HIGHEST_USD_PER_GPU_HOUR = 50.0

OFFERS = DATA / "gpu_offers.csv"
CPU_OFFERS = DATA / "cpu_offers.csv"
PROVIDERS = DATA / "providers.csv"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Who rents accelerators, and what comes on top of the hourly price.

    Attributes:
        id: the name in the tables and on the command line ("runpod-secure").
        label: the name that people read.
        kind: hyperscaler, gpu-cloud or marketplace.
        url: the price page.
        storage_usd_per_gb_month: the storage a training run is usually given there; None where not known.
        egress_usd_per_gb: traffic to the internet after any free amount; None where not known.
        minimum_billing_s: smallest billed time; None where not known.
        seen, source, status, notes: where the storage, egress and billing figures come from.
    """

    id: str
    label: str
    kind: str
    url: str
    storage_usd_per_gb_month: float | None
    egress_usd_per_gb: float | None
    minimum_billing_s: float | None
    seen: date
    source: str
    status: str
    notes: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One accelerator offer of one provider, in USD per GPU and hour; None where a price is not known.

    Attributes:
        kind: that of the provider; "own" for own hardware.
        region: the provider's region name; "global" where one price holds everywhere.
        instance: the provider's name of the machine.
        gpu: id in the accelerator catalogue.
        gpus: accelerators in the machine as priced.
        max_gpus: accelerators of one machine that can be had at the same price per GPU; equals `gpus` for a
            machine of fixed size.
        reserved_term_months: commitment behind `reserved_usd_per_gpu_hour`; None where the source does not say.
        low_usd_per_gpu_hour, high_usd_per_gpu_hour: P10 and P90 of a quoted price; None where it is firm, and for
            listed prices.
        seen: the day the price was read.
        status: published (the provider's page or interface), secondary (a third party's list), recalled.
    """

    provider: str
    provider_label: str
    kind: str
    region: str
    instance: str
    gpu: str
    gpus: int
    max_gpus: int
    on_demand_usd_per_gpu_hour: float | None
    spot_usd_per_gpu_hour: float | None
    reserved_usd_per_gpu_hour: float | None
    reserved_term_months: int | None
    seen: date
    source: str
    url: str
    status: str
    notes: str
    low_usd_per_gpu_hour: float | None = None
    high_usd_per_gpu_hour: float | None = None


_USD_PER_INSTANCE_HOUR = number(
    LOWEST_USD_PER_GPU_HOUR, 16 * HIGHEST_USD_PER_GPU_HOUR, "USD per instance and hour"
)

_OFFER_COLUMNS = {
    "provider": Column(required=True),
    "region": Column(required=True),
    "instance": Column(required=True),
    "gpu": Column(required=True),
    "gpus": Column(whole(1, 128, "accelerators"), required=True),
    "max_gpus": Column(whole(1, 128, "accelerators")),
    "on_demand_usd_per_instance_hour": Column(_USD_PER_INSTANCE_HOUR),
    "spot_usd_per_instance_hour": Column(_USD_PER_INSTANCE_HOUR),
    "reserved_usd_per_instance_hour": Column(_USD_PER_INSTANCE_HOUR),
    "reserved_term_months": Column(whole(1, 60, "months")),
    "seen": Column(day, required=True),
    "status": Column(choice(*STATUSES), required=True),
    "source": Column(required=True),
    "url": Column(required=True),
    "notes": Column(),
}

_PROVIDER_COLUMNS = {
    "id": Column(required=True),
    "label": Column(required=True),
    "kind": Column(choice(*KINDS), required=True),
    "url": Column(required=True),
    "storage_usd_per_gb_month": Column(number(0, 2, "USD per GB and month")),
    "egress_usd_per_gb": Column(number(0, 1, "USD per GB")),
    "minimum_billing_s": Column(number(0, 86400, "seconds")),
    "seen": Column(day, required=True),
    "source": Column(required=True),
    "status": Column(choice(*STATUSES), required=True),
    "notes": Column(),
}


def read_providers(path: Path) -> Mapping[str, Provider]:
    """The provider table of one file, by id."""
    table: dict[str, Provider] = {}

    def build(values: dict[str, Any], line: int) -> None:
        provider = Provider(**values)
        if provider.id in table:
            raise InputError(f"{where(path, line, 'id')}: {provider.id!r} appears twice. Remove one.")
        table[provider.id] = provider

    read_table(path, _PROVIDER_COLUMNS, build)
    return MappingProxyType(table)


@cache
def providers() -> Mapping[str, Provider]:
    """Every provider of the offers, by id."""
    return read_providers(PROVIDERS)


def read_offers(path: Path, known: Mapping[str, Provider]) -> tuple[Offer, ...]:
    """Every dated row of one offer table, checked.

    Raises:
        InputError: a cell that its column does not allow, an unknown provider, a row without any price, a price
            per GPU-hour outside what any accelerator costs, a spot or reserved price above the on-demand price.
    """
    lines: list[int] = []

    def build(values: dict[str, Any], line: int) -> Offer:
        lines.append(line)
        gpus: int = values["gpus"]
        for term in ("on_demand", "spot", "reserved"):
            price: float | None = values.pop(f"{term}_usd_per_instance_hour")
            per_gpu = None if price is None else price / gpus
            if per_gpu is not None and not LOWEST_USD_PER_GPU_HOUR <= per_gpu <= HIGHEST_USD_PER_GPU_HOUR:
                place = where(path, line, f"{term}_usd_per_instance_hour")
                raise InputError(
                    f"{place}: {price:g} for {gpus} x {values['gpu']} is {per_gpu:g} USD per GPU and hour; "
                    f"allowed: {LOWEST_USD_PER_GPU_HOUR:g} to {HIGHEST_USD_PER_GPU_HOUR:g}. "
                    "The column holds the price of the whole instance: check the unit and the count."
                )
            values[f"{term}_usd_per_gpu_hour"] = per_gpu
        listed = values["on_demand_usd_per_gpu_hour"]
        spot, reserved = values["spot_usd_per_gpu_hour"], values["reserved_usd_per_gpu_hour"]
        if listed is None and spot is None and reserved is None:
            raise InputError(f"{path.name} row {line}: no price. Fill in on-demand, spot or reserved.")
        for term, cheaper in (("spot", spot), ("reserved", reserved)):
            if listed is not None and cheaper is not None and cheaper > listed:
                raise InputError(
                    f"{where(path, line, f'{term}_usd_per_instance_hour')}: above the on-demand price; "
                    "the two may be swapped."
                )
        provider = known.get(values["provider"])
        if provider is None:
            raise UnknownNameError(
                "provider",
                values["provider"],
                known,
                where=where(path, line, "provider"),
                hint=f"Add it to {PROVIDERS.name}.",
            )
        if values["max_gpus"] is None:
            values["max_gpus"] = gpus
        return Offer(provider_label=provider.label, kind=provider.kind, **values)

    rows = read_table(path, _OFFER_COLUMNS, build)
    refuse_duplicates(path, (((*_key(row), row.seen), line) for row, line in zip(rows, lines, strict=True)))
    return tuple(rows)


def _key(offer: Offer) -> tuple[str, str, str, str, int]:
    return offer.provider, offer.region, offer.instance, offer.gpu, offer.gpus


@cache
def all_offers() -> tuple[Offer, ...]:
    """Every dated row of the table, also those that a newer one replaces."""
    return read_offers(OFFERS, providers())


def offers(*, as_of: date) -> tuple[Offer, ...]:
    """The offers known on a day: per provider, region, instance, GPU and count the newest row seen by then.

    Raises:
        InputError: `as_of` is before the first price of the table.
    """
    return newest(OFFERS, all_offers(), as_of=as_of, key=_key)


@cache
def all_cpu_offers() -> tuple[Offer, ...]:
    """Every dated row of machines without accelerators; ``gpu`` is the id of the processor."""
    return read_offers(CPU_OFFERS, providers())


def cpu_offers(*, as_of: date) -> tuple[Offer, ...]:
    """Machines without accelerators known on a day, the newest row of each seen by then; none before the first."""
    rows = all_cpu_offers()
    if as_of < min(row.seen for row in rows):
        return ()
    return newest(CPU_OFFERS, rows, as_of=as_of, key=_key)
