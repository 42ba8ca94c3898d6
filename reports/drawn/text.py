"""Widths of text in points, so that nothing that is drawn runs over its box."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

ELLIPSIS = "..."
"""In Latin-1, as all that the program itself writes: a character beyond it embeds another font in a PDF."""

HYPHEN = re.compile(r"(?<=\w)-(?=[A-Za-z])|(?<=[A-Za-z])-(?=\w)")
"""A hyphen at which a word may be broken: not that of a date or of a negative number."""

FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}


@cache
def _font(bold: bool) -> Any:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FILES[bold]))
    font.set_size(100, 72)
    return font


@cache
def _advance(character: str, bold: bool) -> float:
    """Advance of one character as a fraction of the font size."""
    from matplotlib.ft2font import LoadFlags

    return float(_font(bold).load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 100


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of one line in points; kerning, which only narrows, is left out."""
    return size * sum(_advance(character, bold) for character in text)


def fitted(text: str, limit: float, size: float, *, bold: bool = False) -> str:
    """The text, with its middle left out where it is wider than ``limit`` points."""
    if width(text, size, bold=bold) <= limit:
        return text
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        if width(_without_middle(text, middle), size, bold=bold) <= limit:
            low = middle
        else:
            high = middle
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return f"{text[:head].rstrip()}{ELLIPSIS}{text[len(text) - (kept - head) :].lstrip()}"


def wrapped(text: str, limit: float, size: float, *, bold: bool = False, lines: int = 0) -> list[str]:
    """The text in lines of at most ``limit`` points; with ``lines``, at most so many, the rest shortened.

    Lines end at spaces, in a word wider than a line at its hyphens. Only a piece that is still wider is broken,
    after a joint such as a slash where it has one, so that a long name or address never leaves its box.
    """
    found: list[str] = []
    rest = _spaced(text)
    while rest:
        if lines and len(found) == lines - 1:
            return [*found, fitted(rest, limit, size, bold=bold)]
        kept = _line_length(rest, limit, size, bold)
        found.append(rest[:kept].rstrip())
        rest = rest[kept:].lstrip()
    return found or [""]


def _line_length(text: str, limit: float, size: float, bold: bool) -> int:
    """Characters that the first line takes."""
    total, kept = 0.0, 0
    for character in text:
        total += size * _advance(character, bold)
        if total > limit:
            break
        kept += 1
    if kept == len(text) or text[kept] == " ":
        return kept
    space = text.rfind(" ", 0, kept)
    if space > 0:
        return space
    hyphens = [found.end() for found in HYPHEN.finditer(text, 0, kept)]
    if hyphens:
        return hyphens[-1]
    joint = max(text.rfind(mark, 0, kept) for mark in "/_,:;.")
    return max(joint + 1 if joint > kept // 2 else kept, 1)


def widest_piece(text: str, size: float, *, bold: bool = False) -> float:
    """Width of the widest piece that ``wrapped`` keeps whole where it can."""
    pieces = (piece for word in _spaced(text).split(" ") for piece in HYPHEN.sub("- ", word).split(" "))
    return max(width(piece, size, bold=bold) for piece in pieces)


def _spaced(text: str) -> str:
    return " ".join(text.split()).replace(" %", "\N{NO-BREAK SPACE}%")


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least ``gap`` apart inside low .. high, each as near as can be to where it is wanted.

    Where too many are wanted, they share the room evenly.

    >>> spread([1.0, 1.1, 5.0], 1.0, 0.0, 10.0)
    [0.55, 1.55, 5.0]
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[list[int], float]] = []
    for index in order:
        members, centre = [index], min(max(wanted[index], low), high)
        while blocks:
            before, centre_before = blocks[-1]
            reach = gap * (len(before) + len(members)) / 2
            if centre - centre_before >= reach - 1e-12:
                break
            blocks.pop()
            total = len(before) + len(members)
            offset = gap * len(before)
            start = sum(wanted[i] - gap * k for k, i in enumerate(before))
            start += sum(wanted[i] - offset - gap * k for k, i in enumerate(members))
            members = before + members
            half = gap * (total - 1) / 2
            centre = min(max(start / total + half, low + half), high - half)
        blocks.append((members, centre))
    placed = [0.0] * len(wanted)
    for members, centre in blocks:
        for k, index in enumerate(members):
            placed[index] = round(centre + gap * (k - (len(members) - 1) / 2), 9)
    return placed
