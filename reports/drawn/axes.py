"""What the charts share: settings, rows named by arm, legends and the room around the axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from estimator.result import Arm, Plan
from estimator.words import money
from reports.drawn.text import width, wrapped
from reports.drawn.theme import DARK, Theme
from reports.style import FAINT, GRID, INK, KIND_COLOURS, KIND_LABELS, KIND_TEXT_COLOURS, PAPER, SOFT, short_label

LEGEND_COLUMNS = 5
TWO_LINES_POINTS = 18.5


@contextmanager
def drawing(theme: Theme = "light") -> Iterator[None]:
    """Settings of every figure: the library's own defaults, so that a user's settings change no report."""
    import matplotlib

    def on(colour: str) -> str:
        return colour if theme == "light" else DARK[colour]

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",
                "font.size": 8.0,
                "text.parse_math": False,
                "axes.unicode_minus": False,
                "text.color": on(INK),
                "axes.edgecolor": on(FAINT),
                "axes.labelcolor": on(SOFT),
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.axisbelow": True,
                "xtick.color": on(SOFT),
                "ytick.color": on(SOFT),
                "grid.color": on(GRID),
                "grid.linewidth": 0.6,
                "pdf.fonttype": 42,
                "axes.facecolor": on(PAPER),
                "svg.fonttype": "none",
                "figure.facecolor": on(PAPER),
            }
        )
        yield


def without_ligatures(figure: Any) -> None:
    """Every letter as its own glyph: a ligature makes a PDF embed its font a second time."""
    from matplotlib.text import Text

    if hasattr(Text, "set_fontfeatures"):
        for text in figure.findobj(Text):
            text.set_fontfeatures(("-liga",))


def legend_rows(entries: int) -> int:
    """Lines that a legend of so many entries takes."""
    return -(-entries // LEGEND_COLUMNS)


def row_names(
    axes: Any,
    names: Sequence[Sequence[str]],
    *,
    low: float,
    size: float,
    colours: Sequence[str] = (),
    bold: Sequence[bool] = (),
) -> None:
    """Names, of one or several lines, at the left of the rows of a bar chart."""
    axes.set_yticks(range(len(names)), labels=[""] * len(names))
    axes.set_ylim(low, len(names) - 0.35)
    axes.tick_params(length=0)
    for row, lines in enumerate(names):
        for depth, line in enumerate(lines):
            axes.annotate(
                line,
                xy=(0, row),
                xycoords=axes.get_yaxis_transform(),
                xytext=(-5, ((len(lines) - 1) / 2 - depth) * size * 1.2),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=size,
                color=colours[row] if colours else INK,
                fontweight="bold" if bold and bold[row] else "normal",
            )


def arm_rows(axes: Any, plan: Plan, arms: Sequence[Arm], *, low: float) -> None:
    """Names the rows of a bar chart by arm, in the colour of its kind."""
    limit = left_room_points(axes)
    lines = 2 if height_points(axes) / len(arms) >= TWO_LINES_POINTS else 1
    names = [
        arm.label if lines > 1 or width(arm.label, 7.5, bold=True) <= limit else short_label(arm) for arm in arms
    ]
    row_names(
        axes,
        [wrapped(name, limit, 7.5, bold=True, lines=lines) for name in names],
        low=low,
        size=7.5,
        colours=[KIND_TEXT_COLOURS[arm.kind] for arm in arms],
        bold=[arm.id == plan.verdict.arm for arm in arms],
    )


def legend_above(axes: Any, entries: int) -> None:
    """A legend over the axes, from their left edge."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(entries, LEGEND_COLUMNS),
        frameon=False,
        fontsize=7,
        handlelength=1.0,
        handleheight=1.0,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0.4,
    )


def money_axis(axis: Any, *, logarithmic: bool) -> None:
    """Ticks as amounts of money."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    axis.set_major_locator(
        LogLocator(subs=(1.0, 3.0)) if logarithmic else MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    )
    axis.set_major_formatter(lambda value, _: money(value))
    axis.set_minor_formatter(NullFormatter())


def whole_ticks(most: int) -> Any:
    """A locator of whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=True, steps=[1, 2, 3, 4, 6, 10])


def height_points(axes: Any) -> float:
    """Height of the axes in points."""
    return float(axes.get_position().height * axes.figure.get_figheight() * 72)


def left_room_points(axes: Any) -> float:
    """Points between the figure's left margin and the axes, less a gap."""
    share = axes.get_position().x0 - axes.figure.subplotpars.left
    return float(share * axes.figure.get_figwidth() * 72) - 6


def right_room_points(axes: Any) -> float:
    """Points between the axes and the figure's right margin."""
    share = axes.figure.subplotpars.right - axes.get_position().x1
    return float(share * axes.figure.get_figwidth() * 72)


def kind_legend(figure: Any, plan: Plan, *, x: float, y: float) -> None:
    """Names the colours of the kinds of arm that the plan has, in one line from (x, y) of the figure."""
    from matplotlib.lines import Line2D

    points = figure.get_figwidth() * 72
    for kind, label in KIND_LABELS.items():
        if any(arm.kind == kind for arm in plan.arms):
            figure.add_artist(
                Line2D([x + 3.5 / points], [y], marker="s", markersize=5.5, color=KIND_COLOURS[kind], linewidth=0)
            )
            figure.text(x + 11 / points, y, label, color=SOFT, fontsize=7.5, va="center")
            x += (24 + width(label, 7.5)) / points
