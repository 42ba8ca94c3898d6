"""The rental market as arrays: what a number of cards costs by the hour, whole instances billed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accelerators import AcceleratorRecord, accelerators, cpus, resolve_accelerator
from estimator.errors import InputError, NothingFitsError, UnknownNameError
from estimator.numbers import Array
from estimator.scenario import Purchase, Scenario
from pricing import OLD_AFTER_DAYS, Offer, age_days, cpu_offers, offers, own_defaults, own_hardware, providers

OWN = "own"
"""The provider under which bought hardware is offered: at its cost per hour of use beside rented cards, else per
hour that it is held."""

QUOTED = "quoted"
"""The provider of prices that the user was quoted."""

DEFAULT_VENDORS = ("nvidia", "amd")
STACK_VENDORS = {
    "optimum-habana": ("intel",),
    "megatron": ("nvidia",),
    "nemo-automodel": ("nvidia",),
    "llm-foundry": ("nvidia",),
}
"""Makers whose cards a training stack runs on; no stack for TPU or Trainium is modelled."""


def stack_vendors(stack: str) -> tuple[str, ...]:
    """Makers whose cards a training stack runs on.

    >>> stack_vendors("optimum-habana")
    ('intel',)
    """
    return STACK_VENDORS.get(stack, DEFAULT_VENDORS)


LARGEST_MACHINE = 16.0
"""Cards of the largest single machine; a node with more of them is a rack or a pod of machines."""


@dataclass(frozen=True, kw_only=True)
class Market:
    """Offers that a scenario allows, by accelerator.

    Attributes:
        records: accelerators with at least one offer, in catalogue order.
        offers: the offers, sorted so that ties always fall to the same one.
        gpu_index: for each offer, the index of its accelerator in ``records``.
        instance_gpus: cards that are billed together, per offer.
        machine_gpus: cards of the largest machine at that price, per offer.
        usd_per_gpu_hour: price, per offer.
    """

    records: tuple[AcceleratorRecord, ...]
    offers: tuple[Offer, ...]
    gpu_index: NDArray[np.int64]
    instance_gpus: Array
    machine_gpus: Array
    usd_per_gpu_hour: Array

    def cheapest(self, counts: Sequence[float]) -> tuple[Array, NDArray[np.int64]]:
        """Cheapest hourly price of each accelerator at each count.

        An offer counts only where its machines hold the whole job or a full node of it: single-card machines
        are not tied together over a network. Where a fabric joins many machines (racks, pods), any will do.

        Returns:
            (accelerators, counts) USD per hour of the cheapest way to rent that many (infinite where nobody
            rents it so), and the index of its offer.
        """
        wanted = np.asarray(counts, dtype=float)[None, :]
        billed = billed_gpus(gpus=wanted, instance_gpus=self.instance_gpus[:, None])
        sizes = np.array([float(np.max(record.accelerator.gpus_per_node)) for record in self.records])
        node = np.where(sizes > LARGEST_MACHINE, 1.0, sizes)[self.gpu_index]
        whole = self.machine_gpus[:, None] >= np.minimum(wanted, node[:, None])
        hourly = np.where(whole, billed * self.usd_per_gpu_hour[:, None], np.inf)
        usd = np.full((len(self.records), wanted.shape[1]), np.inf)
        chosen = np.zeros(usd.shape, dtype=np.int64)
        for index in range(len(self.records)):
            own = np.flatnonzero(self.gpu_index == index)
            best = np.argmin(hourly[own], axis=0)
            usd[index] = hourly[own][best, np.arange(wanted.shape[1])]
            chosen[index] = own[best]
        return usd, chosen


def billed_gpus(*, gpus: Array, instance_gpus: Array) -> Array:
    """Cards that are paid for: whole instances. Source: derived."""
    return np.ceil(gpus / instance_gpus) * instance_gpus


def price_of(offer: Offer, purchase: Purchase) -> float | None:
    """The offer's price per GPU-hour for this kind of purchase, or None where it has none."""
    return offer.spot_usd_per_gpu_hour if purchase == "spot" else offer.on_demand_usd_per_gpu_hour


def market(*, scenario: Scenario) -> Market:
    """The offers that the scenario's accelerators, providers, regions and kind of purchase leave.

    Bought hardware counts where the provider "own" is named. Prices seen more than 180 days before the plan's day
    count only where the scenario names the provider: the cheapest of many offers would else be the stalest.
    Marketplaces rent out strangers' machines, at prices that move daily and are often the floor of a range: they
    count only where the scenario asks for them or names one. Cards without bf16 (Volta, Turing) train in fp16,
    in which most models of today overflow sooner or later: they count only where the scenario names them. A
    price that the user was quoted replaces every other of its card. Cards that the training stack does not run
    on never count (``STACK_VENDORS``).

    Raises:
        UnknownNameError: a provider, region or accelerator that no table has.
        NothingFitsError: known names whose combination nobody offers.
    """
    every = offers(as_of=scenario.as_of)
    if OWN in scenario.providers:
        every += tuple(card.offer(**_held(scenario)) for card in own_hardware(as_of=scenario.as_of))
    _check_names(scenario, every)
    quoted = quoted_offers(scenario)
    every = (*(offer for offer in every if offer.gpu not in {one.gpu for one in quoted}), *quoted)
    wanted_gpus = {resolve_accelerator(gpu).id for gpu in scenario.gpus}
    vendors = stack_vendors(scenario.stack)
    runs = {name for name, record in accelerators().items() if record.vendor in vendors}
    modern = {name for name in runs if np.all(accelerators()[name].accelerator.bf16_flop_per_s > 0)}
    kept = [
        (offer, price)
        for offer in every
        if (price := price_of(offer, scenario.purchase)) is not None
        and offer.gpu in (wanted_gpus & runs if wanted_gpus else modern)
        and (not scenario.providers or offer.provider in (QUOTED, *scenario.providers))
        and (not scenario.regions or offer.region in (QUOTED, *scenario.regions))
        and (scenario.marketplaces or offer.kind != "marketplace" or offer.provider in scenario.providers)
        and (age_days(offer, scenario.as_of) <= OLD_AFTER_DAYS or offer.provider in scenario.providers)
    ]
    if not kept:
        raise NothingFitsError(_nothing_offered(scenario, every))
    return _arranged(kept, accelerators())


def cpu_market(*, scenario: Scenario) -> Market | None:
    """Machines without accelerators that the scenario's providers, regions and kind of purchase leave.

    None where there is none, or where the scenario names accelerators and says nothing of processors. The same
    limit on old prices holds as in ``market``.
    """
    if scenario.cpu == "none" or (scenario.gpus and scenario.cpu is None):
        return None
    kept = [
        (offer, price)
        for offer in cpu_offers(as_of=scenario.as_of)
        if (price := price_of(offer, scenario.purchase)) is not None
        and (not scenario.providers or offer.provider in scenario.providers)
        and (not scenario.regions or offer.region in scenario.regions)
        and (age_days(offer, scenario.as_of) <= OLD_AFTER_DAYS or offer.provider in scenario.providers)
    ]
    return _arranged(kept, cpus()) if kept else None


def _arranged(kept: list[tuple[Offer, float]], catalogue: Mapping[str, AcceleratorRecord]) -> Market:
    kept.sort(key=lambda pair: (pair[1], pair[0].provider, pair[0].region, pair[0].instance))
    sold = {offer.gpu for offer, _ in kept}
    records = tuple(record for record in catalogue.values() if record.id in sold)
    position = {record.id: index for index, record in enumerate(records)}
    return Market(
        records=records,
        offers=tuple(offer for offer, _ in kept),
        gpu_index=np.array([position[offer.gpu] for offer, _ in kept]),
        instance_gpus=np.array([float(offer.gpus) for offer, _ in kept]),
        machine_gpus=np.array([float(offer.max_gpus) for offer, _ in kept]),
        usd_per_gpu_hour=np.array([price for _, price in kept]),
    )


def quoted_offers(scenario: Scenario) -> tuple[Offer, ...]:
    """The prices that the user has been quoted, as offers: by the card, up to a whole node.

    Raises:
        UnknownNameError: no such accelerator.
        InputError: one accelerator with two prices.
    """
    found: dict[str, Offer] = {}
    ranges = {resolve_accelerator(name).id: ends for name, *ends in scenario.gpu_price_ranges}
    for name, usd in scenario.gpu_prices:
        record = resolve_accelerator(name)
        if record.id in found:
            raise InputError(f"--gpu-price {record.id} is given twice. Keep one.")
        found[record.id] = Offer(
            provider=QUOTED,
            provider_label="Quoted price",
            kind=QUOTED,
            region=QUOTED,
            instance=record.id,
            gpu=record.id,
            gpus=1,
            max_gpus=int(np.max(record.accelerator.gpus_per_node)),
            on_demand_usd_per_gpu_hour=usd,
            spot_usd_per_gpu_hour=usd,
            reserved_usd_per_gpu_hour=None,
            reserved_term_months=None,
            seen=scenario.as_of,
            source="set by the user",
            url="",
            status="user",
            notes="",
            low_usd_per_gpu_hour=ranges[record.id][0] if record.id in ranges else None,
            high_usd_per_gpu_hour=ranges[record.id][1] if record.id in ranges else None,
        )
    return tuple(found.values())


def _held(scenario: Scenario) -> dict[str, Any]:
    """Values for an hour of a bought card: where nothing is rented beside, one hour of those that it is held."""
    values = scenario.assumptions
    known = {name: values[f"own_{name}"] for name in own_defaults() if f"own_{name}" in values}
    return known | ({"utilisation_fraction": 1.0} if scenario.providers == (OWN,) else {})


def is_listed(provider: str) -> bool:
    """Whether a price is read from the tables, so that what is paid may differ and move with the market."""
    return provider not in (QUOTED, OWN)


def _check_names(scenario: Scenario, every: Sequence[Offer]) -> None:
    known = {*providers(), OWN}
    for name in scenario.providers:
        if name not in known:
            raise UnknownNameError("provider", name, known, hint="`ftcost prices` lists them.")
    regions = {offer.region for offer in every}
    for name in scenario.regions:
        if name not in regions:
            raise UnknownNameError("region", name, regions, hint="`ftcost prices` lists them.")


def _nothing_offered(scenario: Scenario, every: Sequence[Offer]) -> str:
    asked = [
        f"{kind} {', '.join(names)}"
        for kind, names in (
            ("GPU", scenario.gpus),
            ("provider", scenario.providers),
            ("region", scenario.regions),
        )
        if names
    ]
    wanted_gpus = {resolve_accelerator(gpu).id for gpu in scenario.gpus}
    strange = sorted(gpu for gpu in wanted_gpus if accelerators()[gpu].vendor not in stack_vendors(scenario.stack))
    if strange:
        makers = {accelerators()[gpu].vendor for gpu in strange}
        others = [stack for stack, vendors in STACK_VENDORS.items() if makers <= set(vendors)]
        way_out = f"Choose --stack {' or '.join(others)}, or another --gpu" if others else "Choose another --gpu"
        return f"the stack {scenario.stack} does not run on {', '.join(strange)}. {way_out}."
    elsewhere = sorted(
        {offer.provider for offer in every if offer.gpu in wanted_gpus and price_of(offer, scenario.purchase)}
    )
    fresh = [offer for offer in every if age_days(offer, scenario.as_of) <= OLD_AFTER_DAYS]
    if not fresh and not scenario.providers:
        newest = max((offer.seen for offer in every), default=None)
        return (
            f"every GPU price known on {scenario.as_of} was seen more than {OLD_AFTER_DAYS} days before, the last"
            f" on {newest}. Name another --as-of, or a --provider whose old prices count."
        )
    hint = f" Offered {scenario.purchase} by: {', '.join(elsewhere)}." if elsewhere else ""
    return (
        f"nobody in the price table offers {' with '.join(asked) or 'anything'} {scenario.purchase}.{hint}"
        " Drop one of the limits, or see `ftcost prices`."
    )
