"""``ftcost explain NAME``: the docstring of a formula, or the row of an assumption."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from estimator.assumptions import Assumption, shipped
from estimator.errors import UnknownNameError, close_matches
from estimator.money.owned import with_own_hardware
from reports.screen import Screen
from reports.style import quantity

APART = (" ", ">>>", "Args:", "Returns:", "Raises:")
NEAREST = 3
"""Names that are told in place of one that nothing has."""
FORMULA_PACKAGES = ("estimator.memory", "estimator.speed", "estimator.serving")
FORMULA_MODULES = (
    "estimator.parameters",
    "estimator.flop",
    "estimator.money.series",
    "estimator.money.common_costs",
    "estimator.money.tuning_costs",
    "estimator.money.costs",
    "estimator.money.serving_costs",
    "estimator.search.market",
    "estimator.scenario",
    "estimator.money.breakeven",
    "estimator.risk",
    "estimator.money.derived",
    "estimator.money.retraining",
    "pricing.own",
)


def formulas() -> Mapping[str, Callable[..., Any]]:
    """Every public function with a docstring in the modules that hold formulas, by name."""
    modules = [importlib.import_module(name) for name in (*FORMULA_PACKAGES, *FORMULA_MODULES)]
    for package in modules[: len(FORMULA_PACKAGES)]:
        modules += [
            importlib.import_module(f"{package.__name__}.{found.name}")
            for found in pkgutil.iter_modules(package.__path__)
        ]
    names: dict[str, Callable[..., Any]] = {}
    for module in modules:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_") and function.__doc__:
                names.setdefault(name, function)
    return names


def show_explanation(name: str, screen: Screen) -> None:
    """Print a formula or an assumption.

    Raises:
        UnknownNameError: neither a formula nor an assumption has that name.
    """
    rows = {row.name: row for row in with_own_hardware(shipped()).rows}
    if name in rows:
        _show_assumption(rows[name], screen)
        return
    found = formulas()
    if name not in found:
        raise UnknownNameError("formula or assumption", name, [*found, *rows], hint=_hint(name, found, rows))
    function = found[name]
    screen.line(f"{name}{inspect.signature(function)}")
    screen.line()
    screen.line(_reflowed(inspect.getdoc(function) or ""))
    screen.line()
    screen.line(f"Defined in {function.__module__}.")
    used = sorted(row for row in rows if f'"{row}"' in inspect.getsource(function))
    for row in used:
        screen.line()
        _show_assumption(rows[row], screen)


def _hint(name: str, found: Mapping[str, object], rows: Mapping[str, Assumption]) -> str:
    """Where names are listed; before it, where no name is alike as a whole, what comes nearest to it."""
    every = [*found, *rows]
    listing = "`ftcost assumptions` lists the assumptions."
    if close_matches(name, every):
        return listing
    folded = name.casefold()
    labelled = [row.name for row in rows.values() if folded and folded in row.label.casefold()]
    nearest = labelled[:NEAREST] or get_close_matches(folded, every, n=NEAREST, cutoff=0.0)
    return f"Closest: {', '.join(nearest)}. {listing}"


def _show_assumption(row: Assumption, screen: Screen) -> None:
    spread = f" ({quantity(row.low)} to {quantity(row.high)}, P10 to P90)" if row.low < row.high else ", fixed"
    screen.line(f"{row.name} = {quantity(row.base)} {row.unit}{spread}")
    screen.item(f"{row.label}; {row.status}; checked {row.checked}", "")
    screen.item(f"source: {row.source}", "")


def _reflowed(text: str) -> str:
    """The lines of a paragraph as one, to be wrapped at the width of the screen; indented lines stay apart."""
    found: list[str] = []
    for line in text.split("\n"):
        flows = (
            found and found[-1] and line and not line.startswith((" ", ">>>")) and not found[-1].startswith(APART)
        )
        if flows:
            found[-1] += f" {line}"
        else:
            found.append(line)
    return "\n".join(found)
