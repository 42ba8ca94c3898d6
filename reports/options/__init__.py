"""Every flag of every command, once: name, type, panel and help; defaults of assumptions are the registry's."""

from reports.options.flag import (
    LIMITS,
    MONEY,
    OUTPUT,
    SERVE,
    SETTINGS_NAME,
    TRAIN,
    WORK,
    Flag,
    as_json,
    as_of,
    listing_flags,
    model,
    profile,
    settings,
)
from reports.options.market import serve_flags
from reports.options.plan import breakeven_flags, compare_flags, plan_flags, sweep_flags
from reports.options.run import calibrate_flags, estimate_flags, measure_flags, validate_flags

__all__ = [
    "LIMITS",
    "MONEY",
    "OUTPUT",
    "SERVE",
    "SETTINGS_NAME",
    "TRAIN",
    "WORK",
    "Flag",
    "as_json",
    "as_of",
    "breakeven_flags",
    "calibrate_flags",
    "compare_flags",
    "estimate_flags",
    "listing_flags",
    "measure_flags",
    "model",
    "plan_flags",
    "profile",
    "serve_flags",
    "settings",
    "sweep_flags",
    "validate_flags",
]
