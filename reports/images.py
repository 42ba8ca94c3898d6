"""The charts as PNG files, each with its title, its unit and the stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from estimator.result import Plan
from reports import charts, findings, run_charts
from reports.axes import drawing, kind_legend, legend_rows
from reports.style import INK, SOFT, stamp
from reports.text import fitted, wrapped

DPI = 150
WIDTH_IN = 10.0
MARGIN_IN = 0.35
TITLE_SIZE = 13.0
TOP_IN = 0.35


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart with its title, before it is drawn; lengths in inches."""

    title: str
    subtitle: str
    draw: Callable[[Any], object]
    chart_in: float
    left_in: float
    right_in: float
    legend_lines: int = 0
    kinds: bool = False


def cost_over_time(plan: Plan) -> Picture:
    """Cumulative cost of every arm by month."""
    return Picture(
        title=findings.over_time(plan),
        subtitle="Spent so far, by month; US dollars, not discounted",
        draw=lambda axes: charts.cost_over_time(axes, plan),
        chart_in=max(3.6, 0.17 * len(plan.arms) + 1.0),
        left_in=1.0,
        right_in=3.6,
        kinds=True,
    )


def options(plan: Plan) -> Picture:
    """Cost of every arm by group, with its range."""
    return Picture(
        title=findings.where_it_goes(plan),
        subtitle=f"Cost over {findings.horizon(plan)} months by cost group",
        draw=lambda axes: charts.options(axes, plan),
        chart_in=max(1.6, 0.46 * len(plan.arms) + 0.3),
        left_in=2.7,
        right_in=1.9,
        legend_lines=2,
    )


def memory(plan: Plan) -> Picture:
    """Memory per card of every training option."""
    listed = plan.training_options
    return Picture(
        title=findings.training(plan),
        subtitle="Memory per card by part, at its peak in a step",
        draw=lambda axes: run_charts.memory(axes, listed) if listed else axes.set_axis_off(),
        chart_in=max(1.6, 0.72 * len(listed) + 0.3),
        left_in=2.4,
        right_in=0.4,
        legend_lines=legend_rows(run_charts.memory_entries(listed)) if listed else 0,
    )


def png(plan: Plan, picture: Picture) -> bytes:
    """The picture as a PNG file; the same plan gives the same bytes."""
    stream = BytesIO()
    with drawing():
        figure(plan, picture).savefig(
            stream,
            format="png",
            dpi=DPI,
            metadata={
                "Software": f"ftcost {plan.version}",
                "Title": picture.title,
                "Description": stamp(plan),
                "Comment": plan.command,
            },
        )
    return stream.getvalue()


def figure(plan: Plan, picture: Picture) -> Any:
    """The picture as a figure; to be drawn within ``drawing()``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    room = (WIDTH_IN - 2 * MARGIN_IN) * 72
    lines = wrapped(picture.title, room, TITLE_SIZE, bold=True, lines=3)
    below_title_in = TOP_IN + len(lines) * 0.25
    head_in = below_title_in + 0.15 + (0.25 if picture.kinds else 0.0) + picture.legend_lines * 0.17
    height = head_in + picture.chart_in + 0.85
    made = Figure(figsize=(WIDTH_IN, height), dpi=DPI)
    FigureCanvasAgg(made)
    x = MARGIN_IN / WIDTH_IN
    made.subplots_adjust(left=x, right=1 - x)
    for index, line in enumerate(lines):
        y = 1 - (TOP_IN + index * 0.25) / height
        made.text(x, y, line, fontsize=TITLE_SIZE, fontweight="bold", color=INK, va="center")
    made.text(x, 1 - below_title_in / height, picture.subtitle, fontsize=9, color=SOFT, va="center")
    if picture.kinds:
        kind_legend(made, plan, x=x, y=1 - (below_title_in + 0.25) / height)
    made.text(x, 0.12 / height, fitted(stamp(plan), room, 6.5), fontsize=6.5, color=SOFT, va="center")
    place = (
        picture.left_in / WIDTH_IN,
        0.72 / height,
        1 - (picture.left_in + picture.right_in) / WIDTH_IN,
        picture.chart_in / height,
    )
    picture.draw(made.add_axes(place))
    return made
