"""The tables and percentiles of traffic that a user gives, turned into assumptions and a load by the hour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from estimator.assumptions import Assumptions
from estimator.errors import InputError
from estimator.numbers import SECONDS_PER_HOUR

HOURS_PER_DAY = 24
LENGTHS = ("input_tokens", "output_tokens")


def with_traffic(values: Assumptions, given: Mapping[str, Any]) -> tuple[Assumptions, tuple[float, ...]]:
    """The assumptions with the mean, peak and spread of the traffic, and the load of each hour over the mean.

    A table of hourly requests gives volume, peak and curve; where the volume is given too, the curve alone. A
    table of lengths gives means and spreads of both lengths, a 95th percentile the spread of one.

    Args:
        values: the registry with what the user set by flag or --set.
        given: the flags; traffic, lengths, input_tokens_p95, output_tokens_p95 are read.

    Raises:
        InputError: a table that cannot be read, or a number given twice.
    """
    values = _with_lengths(values, given["lengths"])
    for name in LENGTHS:
        values = _with_p95(values, name, given[f"{name}_p95"])
    return _with_hours(values, given["traffic"])


def _with_hours(values: Assumptions, file: str | None) -> tuple[Assumptions, tuple[float, ...]]:
    if file is None:
        return values, ()
    from estimator.serving.tables import read_hourly_requests

    _refuse_both(values, "peak_to_mean_ratio", flag="--traffic")
    rates = read_hourly_requests(_text(file, flag="--traffic"), file=file)
    load = rates / rates.mean()
    found = {"peak_to_mean_ratio": max(float(load.max()), 1.0)}
    if values.row("requests_per_day").status != "user":
        found["requests_per_day"] = float(rates.mean()) * SECONDS_PER_HOUR * HOURS_PER_DAY
    return values.setting(found, source=f"hourly requests of {file}"), tuple(float(value) for value in load)


def _with_lengths(values: Assumptions, file: str | None) -> Assumptions:
    if file is None:
        return values
    from estimator.serving.tables import read_lengths

    for name in LENGTHS:
        _refuse_both(values, name, flag="--lengths")
        _refuse_both(values, f"{name}_cv", flag="--lengths")
    return values.setting(
        read_lengths(_text(file, flag="--lengths"), file=file), source=f"requests' lengths of {file}"
    )


def _with_p95(values: Assumptions, name: str, p95: float | None) -> Assumptions:
    if p95 is None:
        return values
    from estimator.serving.tables import cv_of_p95

    flag = f"--{name.replace('_', '-')}-p95"
    _refuse_both(values, f"{name}_cv", flag=flag)
    mean = values[name]
    spread = cv_of_p95(mean=mean, p95=p95)
    if math.isnan(spread):
        raise InputError(
            f"{flag} {p95:g} does not go with a mean of {mean:g} tokens; allowed: above {mean:g}, below"
            f" {3.86 * mean:g}. The mean is that of --{name.replace('_', '-')}; for other shapes give --lengths."
        )
    return values.setting({f"{name}_cv": spread}, source=f"lognormal lengths with P95 {p95:g}")


def _refuse_both(values: Assumptions, name: str, *, flag: str) -> None:
    row = values.row(name)
    if row.status == "user":
        raise InputError(f"{name} is given ({row.base:g}, {row.source}) and by {flag}. Keep one.")


def _text(file: str, *, flag: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{flag} {file}: no such file. Give the path of a CSV table.") from None
    except (OSError, UnicodeDecodeError) as error:
        problem = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise InputError(f"{flag} {file}: cannot be read ({problem}).") from None
