"""Which assumptions move together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import tomli

from estimator.assumptions import Status, shipped
from estimator.errors import InputError, UnknownNameError

PATH = Path(__file__).parent / "data" / "correlations.toml"


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """The follower's draws go with the leader's, at this rank correlation; its own range stays as it is."""

    follower: str
    leader: str
    correlation: float
    status: Status
    source: str
    checked: str


@cache
def correlations() -> Mapping[str, Correlation]:
    """Every pair, by its follower."""
    return read_correlations(PATH)


def read_correlations(path: Path) -> dict[str, Correlation]:
    """The pairs of one file, checked: known names, one leader each, and none that follows itself in the end.

    Raises:
        InputError, UnknownNameError: a row that breaks the rules; the message names file and pair.
    """
    found: dict[str, Correlation] = {}
    for place, fields in enumerate(tomli.loads(path.read_text(encoding="utf-8")).get("pair", ()), 1):
        row = _row(fields, f"{path.name}: pair {place}")
        if row.follower in found:
            raise InputError(f"{path.name}: pair {place}: {row.follower} follows twice. Keep one leader.")
        found[row.follower] = row
    for name in found:
        leader = found[name].leader
        while leader in found and leader != name:
            leader = found[leader].leader
        if leader == name:
            raise InputError(f"{path.name}: {name} follows itself. Remove one pair of the circle.")
    return found


def _row(fields: Mapping[str, Any], where: str) -> Correlation:
    allowed = Correlation.__dataclass_fields__
    for key in fields:
        if key not in allowed:
            raise UnknownNameError("key", key, allowed, where=where)
    for key in allowed:
        if key not in fields:
            raise InputError(f"{where} lacks {key!r}; every pair needs one.")
    row = Correlation(**fields)
    for name in (row.follower, row.leader):
        if name not in shipped():
            raise UnknownNameError("assumption", name, shipped(), where=where)
    if row.status not in get_args(Status):
        raise UnknownNameError("status", row.status, get_args(Status), where=where)
    if not -1 < row.correlation < 1:
        raise InputError(f"{where}: correlation {row.correlation:g} is outside -1 to 1 (both excluded).")
    return row
