"""Plain advice: rules as data, each with its condition here, its words in ``estimator/data/advice.toml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomli

from estimator.advice import data, ownership, training
from estimator.advice.facts import Condition, Facts
from estimator.errors import InputError, UnknownNameError
from estimator.result import Advice

__all__ = ["CONDITIONS", "Facts", "Rule", "advice", "rules"]

FILE = "advice.toml"
NEEDED = ("when", "about", "text", "because", "changes", "factor")
KEYS = (*NEEDED, "quoted")
ABOUT = ("any", "tuning")
CONDITIONS: Mapping[str, Condition] = data.CONDITIONS | training.CONDITIONS | ownership.CONDITIONS
LEAD = "If you tune: "


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule as shipped; its texts hold placeholders that its condition fills.

    Attributes:
        when: the name of its condition.
        about: "tuning" where it only matters to who tunes; it then says so where tuning does not win.
        text, because, changes: what to do, why, and what would change it.
        factor: the factor of the source articles that it carries.
        quoted: numbers in its texts that a source states and no assumption holds.
    """

    when: str
    about: str
    text: str
    because: str
    changes: str
    factor: str
    quoted: Sequence[str] = ()


@cache
def rules() -> Mapping[str, Rule]:
    """The rules as shipped, in the order of the file.

    Raises:
        InputError: a rule that lacks a key, has one too many, or names a condition that does not exist.
    """
    text = (Path(__file__).parent.parent / "data" / FILE).read_text(encoding="utf-8")
    return {name: _rule(name, fields) for name, fields in tomli.loads(text).items()}


def _rule(name: str, fields: Mapping[str, Any]) -> Rule:
    where = f"{FILE}: [{name}]"
    for key in fields:
        if key not in KEYS:
            raise UnknownNameError("key", key, KEYS, where=where)
    missing = [key for key in NEEDED if key not in fields]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; every rule needs {', '.join(NEEDED)}.")
    for what, value, allowed in (("condition", fields["when"], CONDITIONS), ("subject", fields["about"], ABOUT)):
        if value not in allowed:
            raise UnknownNameError(what, value, allowed, where=where)
    return Rule(**fields)


def advice(*, facts: Facts) -> tuple[Advice, ...]:
    """The rules whose condition holds, in the order of the file; where tuning does not win, its own come last."""
    found = []
    ranked = sorted(rules().items(), key=lambda item: not facts.tuning_wins and item[1].about == "tuning")
    for name, rule in ranked:
        words = CONDITIONS[rule.when](facts)
        if words is not None:
            text = rule.text.format(**words)
            if rule.about == "tuning" and not facts.tuning_wins:
                text = f"{LEAD}{text[0].lower()}{text[1:]}"
            found.append(
                Advice(
                    rule=name,
                    text=text,
                    because=rule.because.format(**words),
                    changes=rule.changes.format(**words),
                    factor=rule.factor,
                )
            )
    return tuple(found)
