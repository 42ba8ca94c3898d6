"""Names of the workbook's cells, and the cost formulas over them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from estimator.algebra import Cell
from estimator.money.common_costs import TOKENS_PER_MILLION
from estimator.money.series import DAYS_PER_MONTH, MONTHS_PER_YEAR, SERIES
from estimator.numbers import GB, HOURS_PER_MONTH, SECONDS_PER_HOUR, WATT_PER_KW
from estimator.result import Arm, Plan

CONSTANTS: dict[str, tuple[float, str]] = {
    "hours_per_month": (HOURS_PER_MONTH, "hours in a month"),
    "days_per_month": (DAYS_PER_MONTH, "days in a month"),
    "months_per_year": (float(MONTHS_PER_YEAR), "months in a year"),
    "seconds_per_hour": (SECONDS_PER_HOUR, "seconds in an hour"),
    "tokens_per_million": (TOKENS_PER_MILLION, "tokens in a million"),
    "bytes_per_gb": (GB, "bytes in a gigabyte"),
    "watts_per_kilowatt": (WATT_PER_KW, "watts in a kilowatt"),
    "least_divisor": (1e-9, "in place of zero where something is divided by it"),
}
"""Conversions that the formulas read by name; numbers that are left in a formula are 0, 1 and 2."""

_REPLACED: dict[float, str] = {
    **{value: name for name, (value, _) in CONSTANTS.items()},
    HOURS_PER_MONTH * SECONDS_PER_HOUR: "(hours_per_month*seconds_per_hour)",
    1 / MONTHS_PER_YEAR: "(1/months_per_year)",
}
_TOKEN = re.compile(r"(?P<number>(?<![A-Za-z_0-9.])\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_CELL_LIKE = re.compile(r"[A-Za-z]{1,3}\d+|[rR]\d*(?:[cC]\d*)?|[cC]\d*")
MONTH = "month"


def defined_name(name: str) -> str:
    """The name as a spreadsheet allows it: names that read as a cell's address get a tail.

    >>> defined_name("rows"), defined_name("r"), defined_name("fp8")
    ('rows', 'r_', 'fp8_')
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "x"
    if plain[0].isdigit():
        plain = f"_{plain}"
    return f"{plain}_" if _CELL_LIKE.fullmatch(plain) else plain


def identifiers(formula: str) -> set[str]:
    """The parameters and series that a formula reads; what is written in capitals is a function."""
    return {match["name"] for match in _TOKEN.finditer(formula) if match["name"] and not match["name"].isupper()}


def series_formulas() -> dict[str, str]:
    """The formula of every monthly series, over parameters and the month."""

    class Anything(dict[str, Cell]):
        def __missing__(self, name: str) -> Cell:
            return Cell(name)

    return {name: function(Anything()).text for name, function in SERIES.items()}


@dataclass(frozen=True)
class Names:
    """Which cell a parameter's name stands for.

    Attributes:
        prefixes: by arm id, what comes before the names of its own parameters.
        twins: (arm id, parameter) to the earlier arm whose parameter is the same thing, and is read instead.
    """

    prefixes: Mapping[str, str]
    twins: Mapping[tuple[str, str], str]

    def own(self, arm_id: str, parameter: str) -> str:
        """The defined name of an arm's own parameter."""
        return f"{self.prefixes[arm_id]}__{parameter}"

    def formula(self, text: str, *, arm: Arm | None, column: str, series_rows: Mapping[str, int]) -> str:
        """The spreadsheet formula of one month's column: names in place of parameters and of conversions."""
        parameters = {row.name for row in arm.parameters} if arm else set()

        def cell(match: re.Match[str]) -> str:
            if match["number"]:
                return _REPLACED.get(float(match["number"]), match["number"])
            name = match["name"]
            if name.isupper():
                return name
            if name in series_rows:
                return f"{column}${series_rows[name]}"
            if arm and name in parameters:
                return self.own(arm.id, name)
            return defined_name(name)

        return _TOKEN.sub(cell, text)


def names_of(plan: Plan) -> Names:
    """Prefixes that tell the arms apart, and the parameters that several arms share."""
    prefixes: dict[str, str] = {}
    for arm in plan.arms:
        plain = defined_name(arm.id.lower())
        taken = set(prefixes.values())
        prefixes[arm.id] = next(
            name for name in (plain, *(f"{plain}_{n}" for n in range(2, 1000))) if name not in taken
        )
    twins: dict[tuple[str, str], str] = {}
    for index, arm in enumerate(plan.arms):
        for row in arm.parameters:
            for other in plan.arms[:index]:
                if row in other.parameters and _same_thing(arm, other, row.name):
                    twins[arm.id, row.name] = other.id
                    break
    return Names(prefixes, twins)


def _same_thing(arm: Arm, other: Arm, parameter: str) -> bool:
    """The prices of one API model in several styles; the cards that serve several ways of training."""
    if arm.kind == other.kind == "api":
        return arm.id.removesuffix(arm.style) == other.id.removesuffix(other.style)
    return arm.serving is not None and arm.serving == other.serving and not parameter.startswith("train_")
