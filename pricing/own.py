"""What an hour of one's own accelerator costs: purchase, power and hosting spread over the hours it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pricing.errors import InputError, UnknownNameError
from pricing.gpu import Offer
from pricing.table import DATA, STATUSES, check_keys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Number = float | NDArray[np.float64]

OWN_HARDWARE = DATA / "own_hardware.toml"
HOURS_PER_YEAR = 8760.0
T = TypeVar("T")


def own_usd_per_gpu_hour(
    *,
    purchase_usd: Number,
    server_overhead_ratio: Number,
    years: Number,
    residual_fraction: Number,
    utilisation_fraction: Number,
    power_watt: Number,
    idle_power_fraction: Number,
    server_power_ratio: Number,
    pue_ratio: Number,
    electricity_usd_per_kwh: Number,
    hosting_usd_per_gpu_month: Number,
    upkeep_fraction_per_year: Number,
    capital_fraction_per_year: Number,
) -> Number:
    """Cost of one hour in which an own accelerator works, all its idle hours included.

        c = [P*s*((1 - R)/Y + k*(1 + R)/2 + m) + 12*H] / (8760*u)
            + W*w*PUE*e/1000 * (1 + (1 - u)/u*i)

    Straight-line depreciation to the residual value, capital cost on the mean book value; power at full draw
    while working and at the idle share otherwise. Staff is not included: engineer hours are a line of their own.

    Args:
        purchase_usd: P, price of the accelerator alone (USD per GPU).
        server_overhead_ratio: s, price of the whole server with network, per GPU, over P.
        years: Y, time until it is sold or written off.
        residual_fraction: R, share of the price still worth then (0 to 1).
        utilisation_fraction: u, share of all hours in which it works (above 0, at most 1).
        power_watt: W, board power of the accelerator.
        idle_power_fraction: i, draw when idle over draw at work.
        server_power_ratio: w, power of the whole server per GPU over W.
        pue_ratio: PUE, power at the building's meter over power of the servers (at least 1).
        electricity_usd_per_kwh: e.
        hosting_usd_per_gpu_month: H, rack and connectivity, power not included.
        upkeep_fraction_per_year: m, repair and support contracts, share of P*s a year.
        capital_fraction_per_year: k, cost of capital a year.

    Returns:
        USD per GPU-hour of work.

    Source: derived (annuity by straight line; PUE as The Green Grid, 2007, defines it).

    >>> round(own_usd_per_gpu_hour(
    ...     purchase_usd=8760.0, server_overhead_ratio=2.0, years=4.0, residual_fraction=0.0,
    ...     utilisation_fraction=0.5, power_watt=500.0, idle_power_fraction=0.2, server_power_ratio=1.0,
    ...     pue_ratio=1.5, electricity_usd_per_kwh=0.1, hosting_usd_per_gpu_month=0.0,
    ...     upkeep_fraction_per_year=0.0, capital_fraction_per_year=0.0), 6)
    1.09
    """
    capital_usd_per_year = (
        purchase_usd
        * server_overhead_ratio
        * (
            (1.0 - residual_fraction) / years
            + capital_fraction_per_year * (1.0 + residual_fraction) / 2.0
            + upkeep_fraction_per_year
        )
    )
    fixed_usd_per_hour = (capital_usd_per_year + 12.0 * hosting_usd_per_gpu_month) / (
        HOURS_PER_YEAR * utilisation_fraction
    )
    working_kw = power_watt / 1000.0 * server_power_ratio * pue_ratio
    idle_hours_per_hour = (1.0 - utilisation_fraction) / utilisation_fraction
    power_usd_per_hour = working_kw * electricity_usd_per_kwh * (1.0 + idle_hours_per_hour * idle_power_fraction)
    return fixed_usd_per_hour + power_usd_per_hour


@dataclass(frozen=True, kw_only=True)
class OwnValue:
    """One default of the formula for own hardware, with its range and where it comes from."""

    label: str
    base: float
    low: float
    high: float
    unit: str
    seen: date
    source: str
    status: str


@dataclass(frozen=True, kw_only=True)
class OwnHardware:
    """What one accelerator costs to buy.

    Attributes:
        gpu: id in the accelerator catalogue.
        purchase_usd, low_usd, high_usd: price of one, new or as `notes` say, and its range.
        server_overhead_ratio: price of the whole server per GPU over the accelerator's price.
        gpus_sold_together: smallest number of them that is sold, a board or a server.
        power_watt: board power, for a first estimate without the accelerator catalogue.
        seen, source, status, notes: where the row comes from.
    """

    gpu: str
    purchase_usd: float
    low_usd: float
    high_usd: float
    server_overhead_ratio: float
    gpus_sold_together: float
    power_watt: float
    seen: date
    source: str
    status: str
    notes: str

    def usd_per_gpu_hour(self, **values: float) -> float:
        """Cost of a working hour with the table's defaults, any argument of `own_usd_per_gpu_hour` overridden."""
        known = own_defaults()
        for name in values:
            if name not in known and name not in ("purchase_usd", "server_overhead_ratio", "power_watt"):
                raise UnknownNameError("own-hardware value", name, known)
        arguments: dict[str, float] = {name: value.base for name, value in known.items()}
        arguments.update(
            purchase_usd=self.purchase_usd,
            server_overhead_ratio=self.server_overhead_ratio,
            power_watt=self.power_watt,
        )
        arguments.update(values)
        return float(own_usd_per_gpu_hour(**arguments))

    def offer(self, *, max_gpus: int = 8, **values: float) -> Offer:
        """The card as an offer beside the rented ones, of kind "own".

        Args:
            max_gpus: cards in the machine.
            values: as in `usd_per_gpu_hour`.
        """
        return Offer(
            provider="own",
            provider_label="Own hardware",
            kind="own",
            region="own",
            instance=f"own {self.gpu}",
            gpu=self.gpu,
            gpus=1,
            max_gpus=max_gpus,
            on_demand_usd_per_gpu_hour=self.usd_per_gpu_hour(**values),
            spot_usd_per_gpu_hour=None,
            reserved_usd_per_gpu_hour=None,
            reserved_term_months=None,
            seen=self.seen,
            source=self.source,
            url="",
            status=self.status,
            notes=self.notes,
        )


@cache
def _document() -> tuple[dict[str, OwnValue], tuple[OwnHardware, ...]]:
    return read_own_hardware(OWN_HARDWARE)


def read_own_hardware(path: Path) -> tuple[dict[str, OwnValue], tuple[OwnHardware, ...]]:
    """The defaults and the purchase prices of one file, checked."""
    import tomli

    with path.open("rb") as file:
        document = tomli.load(file)
    check_keys(document, ("default", "hardware"), place=path.name, what="table")
    defaults = {
        name: _build(OwnValue, row, place=f"{path.name} [default.{name}]")
        for name, row in document["default"].items()
    }
    for name, value in defaults.items():
        if not value.low <= value.base <= value.high:
            raise InputError(f"{path.name} [default.{name}]: base must lie between low and high. Mend the row.")
    rows = tuple(
        _build(OwnHardware, row, place=f"{path.name} [[hardware]] number {count}")
        for count, row in enumerate(document["hardware"], start=1)
    )
    for row in rows:
        if not 0 < row.low_usd <= row.purchase_usd <= row.high_usd:
            raise InputError(
                f"{path.name}, {row.gpu}: purchase_usd must lie between low_usd and high_usd. Mend it."
            )
        if sum((other.gpu, other.seen) == (row.gpu, row.seen) for other in rows) > 1:
            raise InputError(
                f"{path.name}, {row.gpu}: appears twice with one day. A new price is a new row with a new day in "
                "'seen'; remove one of the two."
            )
    return defaults, rows


def _build(kind: type[T], row: Mapping[str, Any], *, place: str) -> T:
    fields: dict[str, str] = kind.__annotations__
    check_keys(row, fields, place=place, what="key")
    for key, declared in fields.items():
        value = row[key]
        fits = {
            "str": isinstance(value, str),
            "date": isinstance(value, date),
            "float": isinstance(value, float | int) and not isinstance(value, bool),
        }[declared]
        if not fits:
            raise InputError(f"{place}, {key}: {value!r} is not a {declared}. Mend the row.")
    if row["status"] not in (*STATUSES, "guess"):
        raise InputError(f"{place}, status: {row['status']!r}; allowed: {', '.join(STATUSES)}, guess.")
    return kind(**row)


def own_defaults() -> dict[str, OwnValue]:
    """The defaults of `own_usd_per_gpu_hour`'s arguments that do not depend on the card, by argument."""
    return dict(_document()[0])


def own_hardware(*, as_of: date | None = None) -> tuple[OwnHardware, ...]:
    """What accelerators cost to buy, one row per accelerator.

    Args:
        as_of: the newest price seen on or before that day, where there is one; None for the newest of all.
    """
    kept: dict[str, OwnHardware] = {}
    for row in _document()[1]:
        if (as_of is None or row.seen <= as_of) and (row.gpu not in kept or row.seen > kept[row.gpu].seen):
            kept[row.gpu] = row
    return tuple(kept.values())
