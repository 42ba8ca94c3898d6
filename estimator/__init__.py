"""What happens: physics of a run, search over runs, months of ownership, risk and advice.

``plan(Scenario(...))`` answers a question; everything below it is plain functions.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.planning import plan
    from estimator.scenario import Scenario

__all__ = ["Scenario", "plan"]


def __getattr__(name: str) -> Any:
    """Load the planner on first use: catalogues and formulas work without it."""
    if name == "plan":
        from estimator.planning import plan

        return plan
    if name == "Scenario":
        from estimator.scenario import Scenario

        return Scenario
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
