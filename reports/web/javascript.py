"""Spreadsheet formulas of the cost lines as JavaScript, so that a page computes with the same formulas."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[-+*/^<(),]))"
)
_CALLS = {"MAX": "Math.max", "MIN": "Math.min", "INT": "Math.floor", "EXP": "Math.exp"}
_LEVELS = ("<", "+-", "*/", "^")


class FormulaError(ValueError):
    """A formula that uses something the translation does not know."""


def javascript(formula: str) -> str:
    """The formula as a JavaScript expression over the properties of an object ``v``.

    Knows numbers, names, + - * / ^ <, parentheses, MAX, MIN, IF, INT, EXP and ROUNDUP to whole numbers (for
    amounts from 0 on). As in a spreadsheet, a sign binds tighter than a power, and powers go from the left.

    Raises:
        FormulaError: anything else.

    >>> javascript("((1+growth)^(month/12))")
    '(Math.pow((1+v.growth),(v.month/12)))'
    >>> javascript("MAX(minimum,ROUNDUP(load,0))*IF(month<6,1,0)")
    'Math.max(v.minimum,Math.ceil(v.load))*(v.month<6?1:0)'
    >>> javascript("month*-0.5")
    'v.month*(-0.5)'
    """
    return _Reader(formula).whole()


def _tokens(formula: str) -> Iterator[str]:
    place = 0
    while place < len(formula.rstrip()):
        match = _TOKEN.match(formula, place)
        if match is None:
            raise FormulaError(f"{formula!r}: cannot read {formula[place:].split()[0]!r}")
        yield match.group().strip()
        place = match.end()


class _Reader:
    """Reads one formula from its left."""

    def __init__(self, formula: str) -> None:
        self.formula = formula
        self.tokens = [*_tokens(formula), ""]
        self.place = 0

    def whole(self) -> str:
        text = self.binary(0)
        if self.tokens[self.place]:
            raise FormulaError(f"{self.formula!r}: {self.tokens[self.place]!r} is not expected there")
        return text

    def taken(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, mark: str) -> None:
        if self.taken() != mark:
            raise FormulaError(f"{self.formula!r}: {mark!r} is missing")

    def binary(self, level: int) -> str:
        if level == len(_LEVELS):
            return self.signed()
        text = self.binary(level + 1)
        while self.tokens[self.place] and self.tokens[self.place] in _LEVELS[level]:
            mark = self.taken()
            right = self.binary(level + 1)
            text = f"Math.pow({text},{right})" if mark == "^" else f"{text}{mark}{right}"
        return text

    def signed(self) -> str:
        if self.tokens[self.place] == "-":
            self.place += 1
            return f"(-{self.signed()})"
        return self.atom()

    def atom(self) -> str:
        token = self.taken()
        if token == "(":
            inside = self.binary(0)
            self.expect(")")
            return f"({inside})"
        if token[:1].isdigit():
            return token
        if not token.isidentifier():
            raise FormulaError(f"{self.formula!r}: {token!r} is not expected there")
        return self.call(token) if self.tokens[self.place] == "(" else f"v.{token}"

    def call(self, name: str) -> str:
        self.expect("(")
        inside = [self.binary(0)]
        while self.tokens[self.place] == ",":
            self.place += 1
            inside.append(self.binary(0))
        self.expect(")")
        if name in _CALLS and (len(inside) == 1) == (name in ("INT", "EXP")):
            return f"{_CALLS[name]}({','.join(inside)})"
        if name == "IF" and len(inside) == 3:
            return f"({inside[0]}?{inside[1]}:{inside[2]})"
        if name == "ROUNDUP" and len(inside) == 2 and inside[1] == "0":
            return f"Math.ceil({inside[0]})"
        raise FormulaError(f"{self.formula!r}: {name} of {len(inside)} is not known")
