"""One page of the printed report: text, tables and charts set from top to bottom in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.drawn.text import widest_piece, width, wrapped
from reports.style import FAINT, INK, SOFT, WASH

MARGIN = 46.0
FOOT = 50.0
LEADING = 1.38
CELL_PAD = 7.0
"""Width that a cell keeps free."""
WIDEST_WORD = 0.2
"""Share of a table's width beyond which a column is not widened for a single word."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: its head, its share of the width, and whether it holds numbers."""

    head: str
    share: float
    number: bool = False


def column_widths(shares: Sequence[float], needed: Sequence[float], whole: float) -> list[float]:
    """Widths in proportion to the shares, of which those below what they need take from those above it.

    >>> column_widths([1.0, 1.0, 8.0], [20.0, 10.0, 20.0], 100.0)
    [20.0, 10.0, 70.0]
    """
    widths = [whole * share / sum(shares) for share in shares]
    least = [min(need, max(width, WIDEST_WORD * whole)) for need, width in zip(needed, widths, strict=True)]
    missing = sum(max(need - width, 0.0) for need, width in zip(least, widths, strict=True))
    spare = sum(max(width - need, 0.0) for need, width in zip(least, widths, strict=True))
    given = missing / spare if spare > missing else 1.0
    gained = spare / missing if missing > spare else 1.0
    return [
        width - given * (width - need) if width > need else width + gained * (need - width)
        for need, width in zip(least, widths, strict=True)
    ]


def _widest_words(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], size: float, bold_rows: Sequence[int]
) -> list[float]:
    """Width of a cell that holds the widest word of its column."""
    found = [max(width(word, size, bold=True) for word in column.head.split()) for column in columns]
    for index, row in enumerate(rows):
        pieces = (widest_piece(cell, size, bold=index in bold_rows) for cell in row)
        found = [max(pair) for pair in zip(found, pieces, strict=True)]
    return [CELL_PAD + widest for widest in found]


@dataclass(kw_only=True)
class Sheet:
    """A page that fills from the top; ``y`` is how far down, in points, the next thing goes."""

    figure: Any
    width: float = field(init=False)
    height: float = field(init=False)
    y: float = MARGIN

    def __post_init__(self) -> None:
        self.width = self.figure.get_figwidth() * 72
        self.height = self.figure.get_figheight() * 72

    @property
    def inner(self) -> float:
        """Width between the margins."""
        return self.width - 2 * MARGIN

    @property
    def room(self) -> float:
        """Points left above the footer."""
        return self.height - FOOT - self.y

    def put(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        colour: str = INK,
        right: bool = False,
    ) -> None:
        """One line with its middle at (x, y), from the top left corner of the page."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontsize=size,
            fontweight="bold" if bold else "normal",
            color=colour,
            ha="right" if right else "left",
            va="center_baseline",
        )

    def paragraph(
        self,
        text: str,
        size: float = 9.5,
        *,
        bold: bool = False,
        colour: str = INK,
        after: float = 5.0,
        indent: float = 0.0,
        mark: bool = False,
        lines: int = 0,
    ) -> None:
        """Wrapped text; ``mark`` puts a dot before its first line."""
        step = size * LEADING
        for index, line in enumerate(wrapped(text, self.inner - indent, size, bold=bold, lines=lines)):
            if index == 0 and mark:
                self._dot(MARGIN + indent - 7, self.y + step / 2, colour)
            self.put(MARGIN + indent, self.y + step / 2, line, size, bold=bold, colour=colour)
            self.y += step
        self.y += after

    def _dot(self, x: float, y: float, colour: str) -> None:
        from matplotlib.lines import Line2D

        at = [x / self.width], [1 - y / self.height]
        self.figure.add_artist(Line2D(*at, marker="o", markersize=2.6, color=colour, linewidth=0))

    def heading(self, text: str, *, before: float = 8.0) -> None:
        """A heading inside the page."""
        self.y += before
        self.paragraph(text, 10.5, bold=True, after=3.0)

    def points(self, items: Sequence[str], size: float = 9.0, *, lines: int = 0) -> None:
        """A list, as far as the page has room; what does not fit is counted."""
        for index, item in enumerate(items):
            needed = size * LEADING * len(wrapped(item, self.inner - 14, size, lines=lines)) + 2.5
            left = len(items) - index
            if needed > self.room - (size * LEADING if left > 1 else 0):
                self.more(left, size)
                return
            self.paragraph(item, size, indent=14, mark=True, after=2.5, lines=lines)

    def points_height(self, items: Sequence[str], size: float, *, lines: int = 0) -> float:
        """Points that a list would take."""
        each = (len(wrapped(item, self.inner - 14, size, lines=lines)) for item in items)
        return sum(size * LEADING * count + 2.5 for count in each)

    def fitting(self, items: Sequence[str], size: float, *, keep: float, lines: int = 0) -> int:
        """How many of the items, from the first on, a list may have so that ``keep`` points stay free."""
        heights = (self.points_height(items[:count], size, lines=lines) for count in range(1, len(items) + 1))
        return sum(height <= self.room - keep for height in heights)

    def more(self, left: int, size: float = 7.5) -> None:
        """Says how many rows are left out here, and where they are."""
        self.paragraph(f"and {left} more in budget.xlsx and plan.json.", size, colour=SOFT, after=2.0)

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        size: float = 7.5,
        lines: int = 1,
        bold_rows: Sequence[int] = (),
        keep: float = 0.0,
    ) -> None:
        """A table, as far as the page has room less ``keep`` points; the rows left out are counted.

        Columns are as wide as their shares, but a column whose widest word does not fit takes from the others.
        """
        shares = [column.share for column in columns]
        widths = column_widths(shares, _widest_words(columns, rows, size, bold_rows), self.inner)
        step, pad = size * LEADING, 2.6
        heads = [
            wrapped(column.head, column_width - CELL_PAD, size, bold=True, lines=2)
            for column, column_width in zip(columns, widths, strict=True)
        ]
        self._table_row(heads, columns, widths, size, bold=True, colour=SOFT, foot=True)
        self.y += step * max(len(head) for head in heads) + pad
        self.rule()
        for index, row in enumerate(rows):
            bold = index in bold_rows
            cells = [
                wrapped(cell, column_width - CELL_PAD, size, bold=bold, lines=lines)
                for cell, column_width in zip(row, widths, strict=True)
            ]
            needed = step * max(len(cell) for cell in cells) + pad
            left = len(rows) - index
            if needed > self.room - keep - (step if left > 1 else 0):
                self.more(left, size)
                return
            if index % 2:
                self._wash(needed)
            self._table_row(cells, columns, widths, size, bold=bold, offset=pad / 2)
            self.y += needed
        self.y += 4

    def _table_row(
        self,
        cells: Sequence[Sequence[str]],
        columns: Sequence[Column],
        widths: Sequence[float],
        size: float,
        *,
        bold: bool = False,
        colour: str = INK,
        offset: float = 0.0,
        foot: bool = False,
    ) -> None:
        """The lines of every cell of one row, from its top, or with ``foot`` standing on its bottom."""
        step, deepest = size * LEADING, max(len(cell) for cell in cells)
        x = MARGIN
        for cell, column, column_width in zip(cells, columns, widths, strict=True):
            place = x + column_width - 5 if column.number else x + 2
            first = deepest - len(cell) if foot else 0
            for depth, text in enumerate(cell, start=first):
                middle = self.y + offset + (depth + 0.5) * step
                self.put(place, middle, text, size, bold=bold, colour=colour, right=column.number)
            x += column_width

    def rule(self) -> None:
        """A thin line across."""
        from matplotlib.lines import Line2D

        y = 1 - self.y / self.height
        ends = [MARGIN / self.width, 1 - MARGIN / self.width]
        self.figure.add_artist(Line2D(ends, [y, y], color=FAINT, linewidth=0.8))

    def _wash(self, height: float) -> None:
        from matplotlib.patches import Rectangle

        self.figure.add_artist(
            Rectangle(
                (MARGIN / self.width, 1 - (self.y + height) / self.height),
                self.inner / self.width,
                height / self.height,
                facecolor=WASH,
                edgecolor="none",
                zorder=-1,
            )
        )

    def axes(
        self, height: float, *, left: float, right: float = 0.0, above: float = 6.0, below: float = 34.0
    ) -> Any:
        """Axes of that height, with room on every side for what is written around them."""
        self.y += above
        place = (
            (MARGIN + left) / self.width,
            1 - (self.y + height) / self.height,
            (self.inner - left - right) / self.width,
            height / self.height,
        )
        self.y += height + below
        return self.figure.add_axes(place)
