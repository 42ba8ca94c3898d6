"""Text for a terminal or a pipe: wrapped lines, headings, lists and tables that fit a width.

The main command prints through this; drawing the same tables with rich would cost a fifth of its whole time.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

GAP = 2
NARROWEST = 40
INDENT = 2
UNBROKEN = 20
"""Words up to this length are never broken in a table."""

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True)
class Column:
    """A column of a table: words wrap and stand left, numbers never wrap and stand right.

    ``whole`` keeps words of any length unbroken, so that names can be copied. Where the first column is whole and
    a table too wide, names that do not fit stand on a line of their own above the rest of their row.
    """

    title: str
    number: bool = False
    whole: bool = False


def words(*titles: str) -> list[Column]:
    """Columns of words."""
    return [Column(title) for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(title, number=True) for title in titles]


class Screen:
    """Where results are printed.

    Args:
        stream: where to print; stdout if None.
        width: columns; those of the terminal if None (``COLUMNS`` wins, 80 in a pipe).
    """

    def __init__(self, stream: TextIO | None = None, width: int | None = None) -> None:
        self.stream = stream or sys.stdout
        self.width = max(width or shutil.get_terminal_size((80, 24)).columns, NARROWEST)
        self.bold = self.stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "", *, strong: bool = False) -> None:
        """A paragraph, wrapped; empty lines and line breaks are kept."""
        for part in text.split("\n"):
            for wrapped in textwrap.wrap(part, self.width, break_on_hyphens=False) or [""]:
                self._print(wrapped, strong)

    def heading(self, text: str) -> None:
        """An empty line and a title."""
        self.line()
        self.line(text, strong=True)

    def item(self, text: str, lead: str = "- ") -> None:
        """A list item; further lines hang under its first word."""
        first = f"  {lead}"
        for wrapped in textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=" " * len(first),
            break_on_hyphens=False,
        ):
            self._print(wrapped, False)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, gap: int = GAP) -> None:
        """Rows under their titles; columns of words give way where the width is too small."""
        titles = [column.title for column in columns]
        widths = self._widths(columns, [titles, *rows], gap)
        if sum(widths) + gap * (len(widths) - 1) > self.width:
            gap = 1
            widths = self._widths(columns, [titles, *rows], gap)
        over = sum(widths) + gap * (len(widths) - 1) - self.width
        if over > 0 and columns[0].whole:
            names = [len(row[0]) for row in rows]
            left = max(widths[0] - over, INDENT)
            widths[0] = left if 2 * sum(name <= left for name in names) >= len(names) else INDENT
        for index, row in enumerate([titles, *rows]):
            cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
            if columns[0].whole and len(row[0]) > widths[0]:
                self._print(row[0], index == 0)
                cells[0] = [""]
            for height in range(max(map(len, cells))):
                texts = [
                    (cell[height] if height < len(cell) else "").rjust(width)
                    if column.number
                    else (cell[height] if height < len(cell) else "").ljust(width)
                    for column, cell, width in zip(columns, cells, widths, strict=True)
                ]
                self._print((" " * gap).join(texts).rstrip(), index == 0)

    def _widths(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], gap: int) -> list[int]:
        widths = [
            max(len(part) for row in rows for part in row[place].split("\n")) for place in range(len(columns))
        ]
        longest = [
            widths[place] if column.whole else max(_longest_word(row[place]) for row in rows)
            for place, column in enumerate(columns)
        ]
        over = sum(widths) + gap * (len(columns) - 1) - self.width
        while over > 0:
            room = [
                (widths[place] - longest[place], place)
                for place, column in enumerate(columns)
                if not column.number and widths[place] > longest[place]
            ]
            if not room:
                break
            _, place = max(room)
            widths[place] -= 1
            over -= 1
        return widths

    def _print(self, text: str, strong: bool) -> None:
        print(f"{BOLD}{text}{PLAIN}" if strong and self.bold and text else text, file=self.stream)


def _longest_word(text: str) -> int:
    pieces = (text if _breaks_whole(text) else text.replace("-", "- ")).split()
    return max((min(len(word), UNBROKEN) for word in pieces), default=0)


def _breaks_whole(text: str) -> bool:
    """Flags are to be copied: they break between words only."""
    return text.startswith("--")


def _wrapped(text: str, width: int) -> list[str]:
    found: list[str] = []
    for part in text.split("\n"):
        found += textwrap.wrap(part, max(width, 1), break_on_hyphens=not _breaks_whole(part)) or [""]
    return found
