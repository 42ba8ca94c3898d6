"""Light and dark: every colour of the reports with its twin on a dark ground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from reports.style import (
    ALERT,
    FAINT,
    GRID,
    GROUP_COLOURS,
    INK,
    KIND_COLOURS,
    KIND_TEXT_COLOURS,
    OTHER,
    PAPER,
    PART_COLOURS,
    SOFT,
    WASH,
)

Theme = Literal["light", "dark"]

DARK: dict[str, str] = {
    INK: "#e8eaee",
    SOFT: "#a9b2bf",
    FAINT: "#4a5361",
    PAPER: "#14181f",
    WASH: "#1d232c",
    GRID: "#2b323d",
    OTHER: "#5f6876",
    ALERT: "#ff6f7d",
    "#0077bb": "#4fb3f0",
    "#009988": "#35c7b5",
    "#ee7733": "#f79a5e",
    "#aa3377": "#e57fb8",
    "#006dab": "#4fb3f0",
    "#00776a": "#35c7b5",
    "#b34a0c": "#f79a5e",
    "#ddcc77": "#ddcc77",
    "#999933": "#a9b545",
    "#88ccee": "#88ccee",
    "#332288": "#8d80e8",
    "#aa4499": "#d274c3",
    "#cc6677": "#e58c9b",
    "#44aa99": "#5fc9b7",
    "#a9adb5": "#8b929d",
    "#117733": "#3fb06b",
    "#4477aa": "#709fd2",
    "#ee6677": "#f47f8e",
    "#228833": "#52b865",
    "#ccbb44": "#eed84f",
    "#66ccee": "#74d2f2",
    "#004488": "#4b90e2",
    "#ddaa33": "#e3b64f",
    "#bb5566": "#d8788a",
    "#882255": "#c65c95",
}
"""Twins of the same hue that stand out from the dark ground."""


def variables() -> dict[str, str]:
    """The name of every colour as a style sheet knows it, by the colour."""
    named = {INK: "ink", SOFT: "soft", FAINT: "faint", PAPER: "paper", WASH: "wash", GRID: "grid", ALERT: "alert"}
    named |= {colour: f"kind-{kind}" for kind, colour in KIND_COLOURS.items()}
    for kind, colour in KIND_TEXT_COLOURS.items():
        named.setdefault(colour, f"text-{kind}")
    for group, colour in GROUP_COLOURS.items():
        named.setdefault(colour, f"group-{group}")
    for colour in (*PART_COLOURS, *DARK):
        named.setdefault(colour, f"part-{colour[1:]}")
    return named


def recolour(figure: Any, theme: Theme) -> None:
    """Paint a finished figure in the colours of the theme; it must have been made within ``drawing(theme)``."""
    if theme == "light":
        return
    from matplotlib.colors import to_hex, to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    def paint(artist: Any, names: Iterable[str]) -> None:
        for name in names:
            colour = getattr(artist, f"get_{name}")()
            if to_rgba(colour)[3] > 0:
                getattr(artist, f"set_{name}")(DARK.get(to_hex(colour), colour))

    for text in figure.findobj(Text):
        paint(text, ("color",))
        arrow = getattr(text, "arrow_patch", None)
        if arrow is not None:
            paint(arrow, ("facecolor", "edgecolor"))
    for line in figure.findobj(Line2D):
        paint(line, ("color", "markerfacecolor", "markeredgecolor"))
    for patch in figure.findobj(Patch):
        paint(patch, ("facecolor", "edgecolor"))
