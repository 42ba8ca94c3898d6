"""Hardware of one's own: bought for training and serving together, held over the horizon, at work or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial

from estimator.algebra import Value, ceil
from estimator.assumptions import Assumption, Assumptions
from estimator.money.arms import own, status_of
from estimator.money.lines import Line, Parameters, monthly
from estimator.money.ownership import ArmSpec, in_first_month
from estimator.money.series import MONTHS_PER_YEAR
from estimator.money.serving_costs import (
    full_rate,
    of_all_tasks,
    own_kw,
    own_power_usd_per_gpu_hour,
    replicas,
    stored_versions_lines,
)
from estimator.numbers import HOURS_PER_MONTH, SECONDS_PER_HOUR
from estimator.result import REPLICA_LINES
from estimator.words import count, money
from pricing import own_defaults, own_hardware

OWN_PREFIX = "own_"
NOT_HELD = ("utilisation_fraction",)
"""Defaults of an own hour that follow from the load where hardware is held."""

BOUGHT_LINE = REPLICA_LINES[1]
BOUGHT_NOTE = "Bought:"
"""Start of the note of an arm on hardware of one's own."""


def with_own_hardware(values: Assumptions) -> Assumptions:
    """The registry with what hardware of one's own costs beside its price; rows that it has stay as they are."""
    rows = [
        Assumption(
            name=OWN_PREFIX + name,
            label=f"own hardware: {value.label[0].lower()}{value.label[1:]}",
            base=value.base,
            low=value.low,
            high=value.high,
            unit=value.unit,
            status=status_of(value.status),
            source=value.source,
            checked=value.seen.isoformat(),
            shape="lognormal" if value.low > 0 else "normal",
            minimum=0.0 if value.low == 0 else 0.1 * value.low,
        )
        for name, value in own_defaults().items()
        if name not in NOT_HELD
    ]
    return values.adding(row for row in rows if row.name not in values)


def owned_lines(x: Parameters, *, serving: str = "dedicated", trains: bool = True) -> list[Line]:
    """Cards bought for training and serving, held in every month, and what they draw.

    As many as replicas of the month's busiest hour and one run need at once, so that a retrain takes none from
    serving; staging runs on the cards of training. Whole boards are bought. Shared replicas are an equal share of
    those that all tasks need. Price less what is left of it, by the month over its life; cost of the mean capital;
    repairs; rack; power of idle cards at all hours, and what work draws beyond.
    """
    tasks: Value = 1.0
    pool = x
    if serving == "shared":
        tasks, pool = x["adapters_sharing"], of_all_tasks(x)
    needed = replicas(pool) * x["serving_gpus_per_replica"]
    if trains:
        needed = needed + x["train_gpus"]
    cards = ceil(needed / x["own_gpus_sold_together"]) * x["own_gpus_sold_together"] / tasks
    price = x["own_purchase_usd"] * x["own_server_overhead_ratio"]
    left, years = x["own_residual_fraction"], x["own_years"]
    idle = cards * own_kw(x) * x["own_idle_power_fraction"] * HOURS_PER_MONTH
    worked = x["requests_in_month"] / (full_rate(pool) * SECONDS_PER_HOUR) * x["serving_gpus_per_replica"]
    unit = "card-month"
    return [
        monthly("serving", BOUGHT_LINE, unit, cards, price * (1 - left) / (years * MONTHS_PER_YEAR)),
        monthly(
            "serving",
            "capital tied up in bought cards",
            unit,
            cards,
            price * x["own_capital_fraction_per_year"] * (1 + left) / 2 / MONTHS_PER_YEAR,
        ),
        monthly(
            "serving",
            "repairs and support of bought cards",
            unit,
            cards,
            price * x["own_upkeep_fraction_per_year"] / MONTHS_PER_YEAR,
        ),
        monthly("serving", "rack and connectivity", unit, cards, x["own_hosting_usd_per_gpu_month"]),
        monthly("serving", "power of cards held, idle", "kWh", idle, x["own_electricity_usd_per_kwh"]),
        monthly("serving", "power of serving, beyond idle", "GPU-hour", worked, own_power_usd_per_gpu_hour(x)),
        *stored_versions_lines(x),
    ]


def owned_parameters(gpu: str, *, as_of: date) -> tuple[Assumption, ...]:
    """What a card of this kind costs to buy, how it is sold and what it draws."""
    card = next(row for row in own_hardware(as_of=as_of) if row.gpu == gpu)

    def row(name: str, label: str, base: float, unit: str) -> Assumption:
        return own(
            name,
            label,
            base,
            unit,
            status=status_of(card.status),
            source=card.source,
            checked=card.seen.isoformat(),
        )

    price = row("own_purchase_usd", f"price of one {gpu}, {card.notes}", card.purchase_usd, "USD/GPU")
    if card.low_usd < card.high_usd:
        price = replace(price, low=card.low_usd, high=card.high_usd, shape="lognormal")
    return (
        price,
        row(
            "own_server_overhead_ratio", "server with network over its cards", card.server_overhead_ratio, "ratio"
        ),
        row("own_gpus_sold_together", "cards sold together", card.gpus_sold_together, "GPU"),
        row("own_power_watt", "board power", card.power_watt, "W"),
    )


def on_owned(spec: ArmSpec, *, serving: str, values: Mapping[str, float], as_of: date) -> ArmSpec:
    """The arm on bought cards of the kind that serves it; the same cards train."""
    assert spec.serving is not None
    bought = owned_parameters(spec.serving.gpu, as_of=as_of)
    lines = partial(owned_lines, serving=serving, trains=spec.training is not None)
    held = replace(spec, stepped_lines=lines, parameters=(*spec.parameters, *bought))
    x = in_first_month(held, values)
    line = lines(x)[0]
    usd = line.quantity * x["own_purchase_usd"] * x["own_server_overhead_ratio"]
    use = "training and serving" if spec.training else "serving"
    share = " as the share of this task" if serving == "shared" else ""
    note = (
        f"{BOUGHT_NOTE} {count(line.quantity)} x {spec.serving.gpu_label} for {use}{share},"
        f" {money(usd)} with their servers, written off over {x['own_years']:g} years; idle cards cost too. Staff"
        " is in operations and on-call."
    )
    return replace(held, notes=(*spec.notes, note))
