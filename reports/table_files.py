"""Costs as CSV: plan.csv, long and tidy; focus.csv, with the column names of FinOps FOCUS."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from estimator.result import Arm, LineResult, Plan

CSV_COLUMNS = (
    "scenario_hash",
    "as_of",
    "arm_id",
    "label",
    "kind",
    "group",
    "line",
    "timing",
    "unit",
    "month",
    "quantity",
    "unit_price_usd",
    "contingency_fraction",
    "usd",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def plan_csv(plan: Plan) -> bytes:
    """Every cost line of every arm in every month in which it occurs (0 = before the first).

    ``usd = quantity x unit_price_usd x (1 + contingency_fraction)``; the sum over an arm is its total. The arms
    are alternatives: a sum over several means nothing. Text that a spreadsheet program would take for a formula
    stands behind an apostrophe.
    """
    contingency = plan.scenario.assumptions["contingency_fraction"]
    head = (plan.scenario_hash, plan.scenario.as_of.isoformat())
    rows = (
        (
            *head,
            *(
                plain_text(text)
                for text in (arm.id, arm.label, arm.kind, line.group, line.name, line.timing, line.unit)
            ),
            month,
            _number(line.quantity[month]),
            _number(line.unit_price_usd[month]),
            _number(contingency),
            _number(line.usd[month]),
        )
        for arm in plan.arms
        for line in arm.lines
        for month in _months(line)
    )
    return _written(CSV_COLUMNS, rows)


def _months(line: LineResult) -> Iterator[int]:
    return (month for month, quantity in enumerate(line.quantity) if quantity != 0)


FOCUS_COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "x_CostGroup",
    "x_IsForecast",
    "x_ScenarioHash",
    "x_WayId",
)
"""Names of FOCUS 1.2 (github.com/FinOps-Open-Cost-and-Usage-Spec, read 2026-11-21); x_ marks columns beyond it."""

SERVICE_CATEGORIES = {
    "GPU-hour": "Compute",
    "million tokens": "AI and Machine Learning",
    "request": "AI and Machine Learning",
    "GB-month": "Storage",
}
"""By the unit that is billed; people, rows and the like are Other."""
OWN_WORK = "own staff and contractors"


def focus_csv(plan: Plan) -> bytes:
    """The arm that the plan advises, as charges under FOCUS names: a forecast, of which nothing has been billed.

    One row per cost line and month, and one Adjustment row per month and group for the contingency, so that list
    unit price x quantity is list cost and the sum is the plan's total. Month 0 is the calendar month of the price
    date, month k the k-th after it. The other arms are left out: they are alternatives and must not be added up.
    """
    arm = plan.arm(plan.verdict.arm)
    contingency = plan.scenario.assumptions["contingency_fraction"]
    rows: list[dict[str, str]] = []
    for month in range(len(arm.monthly_usd)):
        extra: dict[str, float] = {}
        for line in arm.lines:
            if line.quantity[month] == 0:
                continue
            rows.append(_charge(plan, arm, line, month))
            usd = line.quantity[month] * line.unit_price_usd[month] * contingency
            extra[line.group] = extra.get(line.group, 0.0) + usd
        rows += [_contingency(plan, arm, group, month, usd) for group, usd in extra.items() if usd != 0]
    return _written(FOCUS_COLUMNS, ([plain_text(row.get(name, "")) for name in FOCUS_COLUMNS] for row in rows))


def _charge(plan: Plan, arm: Arm, line: LineResult, month: int) -> dict[str, str]:
    provider, service = _provider(arm, line)
    used = line.unit in SERVICE_CATEGORIES
    price = _number(line.unit_price_usd[month])
    cost = line.quantity[month] * line.unit_price_usd[month]
    frequency = "Usage-Based" if used else "One-Time" if line.timing == "once" else "Recurring"
    return _row(plan, arm, line.group, month, cost) | {
        "ChargeCategory": "Usage" if used else "Purchase",
        "ChargeDescription": f"Forecast: {line.name}",
        "ChargeFrequency": frequency,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingQuantity": _number(line.quantity[month]),
        "PricingUnit": line.unit,
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": SERVICE_CATEGORIES.get(line.unit, "Other"),
        "ServiceName": service,
    }


def _contingency(plan: Plan, arm: Arm, group: str, month: int, usd: float) -> dict[str, str]:
    return _row(plan, arm, group, month, usd) | {
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"Forecast: contingency on {group}",
        "ChargeFrequency": "One-Time" if month == 0 else "Recurring",
        "InvoiceIssuerName": OWN_WORK,
        "ProviderName": OWN_WORK,
        "PublisherName": OWN_WORK,
        "ServiceCategory": "Other",
        "ServiceName": "contingency",
    }


def _row(plan: Plan, arm: Arm, group: str, month: int, usd: float) -> dict[str, str]:
    start, end = (_first_of(plan.scenario.as_of, month + offset) for offset in (0, 1))
    cost = _number(usd)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        "BillingAccountId": f"forecast-{plan.scenario_hash}",
        "BillingAccountName": f"Forecast by ftcost {plan.version}, not billed",
        "BillingCurrency": "USD",
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "x_CostGroup": group,
        "x_IsForecast": "true",
        "x_ScenarioHash": plan.scenario_hash,
        "x_WayId": arm.id,
    }


def _provider(arm: Arm, line: LineResult) -> tuple[str, str]:
    """Who would send the bill, and for what service."""
    rented = arm.serving if line.group == "serving" or line.unit == "GB-month" else arm.training
    if line.unit in ("GPU-hour", "GB-month") and rented is not None:
        return rented.provider, rented.gpu_label if line.unit == "GPU-hour" else line.name
    if line.unit in ("GPU-hour", "million tokens") and line.name != "tokens embedded":
        return arm.id.split(":")[1].split("/")[0], arm.label
    return (OWN_WORK if line.unit in ("hour", "row", "once") else "not chosen"), line.name


def _first_of(day: date, months: int) -> str:
    """Start of the calendar month so many months after the day's.

    >>> _first_of(date(2026, 11, 21), 0), _first_of(date(2026, 11, 21), 2)
    ('2026-11-01T00:00:00Z', '2027-01-01T00:00:00Z')
    """
    years, month = divmod(day.month - 1 + months, 12)
    return f"{day.year + years:04d}-{month + 1:02d}-01T00:00:00Z"


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def plain_text(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: what starts like one and is no number gets a quote."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue().encode()
