"""Quantities that change from month to month and that several cost lines read.

Each is a function of ``x`` with ``x["month"]`` = 1 .. horizon; a plan computes each once, a workbook gives each a
row. Formulas derived; parameters with their sources are in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimator.algebra import Value, floor, less, maximum, minimum
from estimator.numbers import HOURS_PER_MONTH

Parameters = Mapping[str, Value]

DAYS_PER_MONTH = HOURS_PER_MONTH / 24
MONTHS_PER_YEAR = 12


def requests_in_month(x: Parameters) -> Value:
    """Requests of the month: per day x 730/24 x (1 + growth)^((month - 1) / 12)."""
    growth = (1 + x["traffic_growth_fraction_per_year"]) ** ((x["month"] - 1) / MONTHS_PER_YEAR)
    return x["requests_per_day"] * DAYS_PER_MONTH * growth


def retrains_so_far(x: Parameters) -> Value:
    """Retrains up to and with this month: floor(month / interval); intervals below a month count several."""
    return floor(x["month"] / x["retrain_every_months"])


def retrains_in_month(x: Parameters) -> Value:
    """Retrains of this month: floor(t / m) - floor((t - 1) / m), and none in the horizon's last month."""
    every = x["retrain_every_months"]
    count = floor(x["month"] / every) - floor((x["month"] - 1) / every)
    return count * less(x["month"], x["horizon_months"])


def gpu_price_factor(x: Parameters) -> Value:
    """GPU price of the month over today's: (1 + change per year)^(month / 12)."""
    return (1 + x["gpu_price_change_fraction_per_year"]) ** (x["month"] / MONTHS_PER_YEAR)


def api_moves_so_far(x: Parameters) -> Value:
    """Moves to a newer API model before this month ends; the first falls a full interval after the start."""
    return floor((x["month"] - 1) * x["api_migrations_per_year"] / MONTHS_PER_YEAR)


def api_moves_in_month(x: Parameters) -> Value:
    """Moves to a newer API model in this month."""
    before = floor(maximum(x["month"] - 2, 0) * x["api_migrations_per_year"] / MONTHS_PER_YEAR)
    return api_moves_so_far(x) - before


def api_price_factor(x: Parameters) -> Value:
    """API price over the listed one of today: what is paid of it, and a step at each move, fraction^(moves / moves
    per year).

    The same model's price seldom moves; the fall comes from moving to another model.
    """
    years = api_moves_so_far(x) / maximum(x["api_migrations_per_year"], 1e-9)
    return x["api_price_ratio"] * x["api_migration_price_fraction"] ** years


def discount_factor(x: Parameters) -> Value:
    """Present value of a dollar in this month: (1 + rate)^(-month / 12)."""
    return (1 + x["discount_fraction_per_year"]) ** (x["month"] * (-1 / MONTHS_PER_YEAR))


def log_months_kept(x: Parameters) -> Value:
    """Months of request logs in storage: since the start, at most as many as are kept."""
    return minimum(x["month"], x["log_retention_months"])


SERIES: dict[str, Callable[[Parameters], Value]] = {
    "requests_in_month": requests_in_month,
    "retrains_so_far": retrains_so_far,
    "retrains_in_month": retrains_in_month,
    "gpu_price_factor": gpu_price_factor,
    "api_moves_in_month": api_moves_in_month,
    "api_price_factor": api_price_factor,
    "discount_factor": discount_factor,
    "log_months_kept": log_months_kept,
}
"""Every series by the name under which cost lines read it."""
