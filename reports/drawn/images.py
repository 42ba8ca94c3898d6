"""The charts as PNG and SVG files, each with its title, its unit and the stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from estimator.result import Plan
from reports import findings
from reports.drawn import charts, run_charts
from reports.drawn.axes import drawing, kind_legend, legend_rows
from reports.drawn.text import fitted, wrapped
from reports.drawn.theme import Theme, recolour
from reports.style import INK, SOFT, stamp

DPI = 150
SVG_FONTS = "'DejaVu Sans', 'Bitstream Vera Sans', Verdana, sans-serif"
"""The font that the widths are measured in, its twin, one as wide, and whatever there is."""
WIDTH_IN = 10.0
MARGIN_IN = 0.35
TITLE_SIZE = 13.0
TORNADO_ROWS = 12
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

    @property
    def words(self) -> str:
        """What a program that reads it aloud says in its place."""
        return f"{self.title}. {self.subtitle}."


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
        subtitle=f"Cost over {findings.months_text(findings.horizon(plan))} by cost group",
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


def step_time(plan: Plan) -> Picture:
    """Time of an optimizer step of every training option."""
    listed = plan.training_options
    return Picture(
        title="Time of one optimizer step, by part",
        subtitle="Shares of the time of one optimizer step",
        draw=lambda axes: run_charts.step_time(axes, listed),
        chart_in=max(1.6, 0.72 * len(listed) + 0.3),
        left_in=2.4,
        right_in=0.4,
        legend_lines=legend_rows(run_charts.time_entries(listed)),
    )


def tornado(plan: Plan) -> Picture:
    """What one assumption at a time moves."""
    rows = plan.sensitivities[:TORNADO_ROWS]
    return Picture(
        title=findings.hangs_on(plan),
        subtitle="Cost of tuning less its rival's, US dollars, when one assumption moves from its P10 to its P90",
        draw=lambda axes: charts.tornado(axes, plan, rows),
        chart_in=0.36 * len(rows) + 0.2,
        left_in=3.2,
        right_in=0.3,
    )


def chances(plan: Plan) -> Picture:
    """How often each arm is the cheapest."""
    return Picture(
        title="How often each way is the cheapest",
        subtitle=f"Share of {plan.scenario.draws:,} draws of every assumption within its range",
        draw=lambda axes: charts.chances(axes, plan, len(plan.arms)),
        chart_in=max(0.8, 0.34 * len(plan.arms) + 0.2),
        left_in=2.9,
        right_in=0.6,
    )


PICTURES: dict[str, Callable[[Plan], Picture]] = {
    "cost-over-time": cost_over_time,
    "options": options,
    "memory": memory,
}
"""The pictures that become files, by the name of the file."""


def png(plan: Plan, picture: Picture, *, dpi: int = DPI, theme: Theme = "light") -> bytes:
    """The picture as a PNG file; the same plan gives the same bytes."""
    stream = BytesIO()
    with drawing(theme):
        figure(plan, picture, theme=theme).savefig(
            stream,
            format="png",
            dpi=dpi,
            metadata={
                "Software": f"ftcost {plan.version}",
                "Title": picture.title,
                "Description": stamp(plan),
                "Comment": plan.command,
            },
        )
    return stream.getvalue()


def svg(plan: Plan, picture: Picture, *, theme: Theme = "light", framed: bool = True) -> bytes:
    """The picture as an SVG file whose text stays text; the same plan gives the same bytes.

    Args:
        framed: with title, subtitle and stamp.
    """
    import matplotlib

    stream = BytesIO()
    with drawing(theme):
        matplotlib.rcParams["svg.hashsalt"] = picture.title
        figure(plan, picture, theme=theme, framed=framed).savefig(
            stream,
            format="svg",
            metadata={
                "Creator": f"ftcost {plan.version}",
                "Title": picture.title,
                "Description": f"{stamp(plan)}; {plan.command}",
                "Date": None,
            },
        )
    return stream.getvalue().replace(b"'DejaVu Sans'", SVG_FONTS.encode())


def figure(plan: Plan, picture: Picture, *, theme: Theme = "light", framed: bool = True) -> Any:
    """The picture as a figure; to be drawn within ``drawing(theme)``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    room = (WIDTH_IN - 2 * MARGIN_IN) * 72
    lines = wrapped(picture.title, room, TITLE_SIZE, bold=True, lines=3) if framed else []
    below_title_in = TOP_IN + len(lines) * 0.25 if framed else -0.1
    head_in = below_title_in + 0.15 + (0.25 if picture.kinds else 0.0) + picture.legend_lines * 0.17
    foot_in = 0.72 if framed else 0.5
    height = head_in + picture.chart_in + foot_in + (0.13 if framed else 0.0)
    made = Figure(figsize=(WIDTH_IN, height), dpi=DPI)
    FigureCanvasAgg(made)
    x = MARGIN_IN / WIDTH_IN
    made.subplots_adjust(left=x, right=1 - x)
    for index, line in enumerate(lines):
        y = 1 - (TOP_IN + index * 0.25) / height
        made.text(x, y, line, fontsize=TITLE_SIZE, fontweight="bold", color=INK, va="center")
    if framed:
        made.text(x, 1 - below_title_in / height, picture.subtitle, fontsize=9, color=SOFT, va="center")
        made.text(x, 0.12 / height, fitted(stamp(plan), room, 6.5), fontsize=6.5, color=SOFT, va="center")
    if picture.kinds:
        kind_legend(made, plan, x=x, y=1 - (below_title_in + 0.25) / height)
    place = (
        picture.left_in / WIDTH_IN,
        foot_in / height,
        1 - (picture.left_in + picture.right_in) / WIDTH_IN,
        picture.chart_in / height,
    )
    picture.draw(made.add_axes(place))
    recolour(made, theme)
    return made
