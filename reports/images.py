"""The charts as PNG files, each with its title, its unit and the stamp."""

from __future__ import annotations

from collections.abc import Callable
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


def cost_over_time_png(plan: Plan) -> bytes:
    """Cumulative cost of every arm by month."""
    height = max(3.6, 0.17 * len(plan.arms) + 1.0)
    return _png(
        plan,
        findings.over_time(plan),
        "Spent so far, by month; US dollars, not discounted",
        lambda axes: charts.cost_over_time(axes, plan),
        chart_in=height,
        left_in=1.0,
        right_in=3.6,
        kinds=True,
    )


def options_png(plan: Plan) -> bytes:
    """Cost of every arm by group, with its range."""
    return _png(
        plan,
        findings.where_it_goes(plan),
        f"Cost over {len(plan.arms[0].monthly_usd) - 1} months by cost group",
        lambda axes: charts.options(axes, plan),
        chart_in=max(1.6, 0.46 * len(plan.arms) + 0.3),
        left_in=2.7,
        right_in=1.9,
        legend_lines=2,
    )


def memory_png(plan: Plan) -> bytes:
    """Memory per card of every training option."""
    return _png(
        plan,
        findings.training(plan),
        "Memory per card by part, at its peak in a step",
        lambda axes: run_charts.memory(axes, plan.training_options),
        chart_in=max(1.6, 0.72 * len(plan.training_options) + 0.3),
        left_in=2.4,
        right_in=0.4,
        legend_lines=legend_rows(run_charts.memory_entries(plan.training_options)),
    )


def _png(
    plan: Plan,
    title: str,
    subtitle: str,
    draw: Callable[[Any], None],
    *,
    chart_in: float,
    left_in: float,
    right_in: float,
    legend_lines: int = 0,
    kinds: bool = False,
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    room = (WIDTH_IN - 2 * MARGIN_IN) * 72
    lines = wrapped(title, room, TITLE_SIZE, bold=True, lines=3)
    head_in = TOP_IN + len(lines) * 0.25 + 0.15 + (0.25 if kinds else 0.0) + legend_lines * 0.17
    height = head_in + chart_in + 0.85
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI)
        FigureCanvasAgg(figure)
        x = MARGIN_IN / WIDTH_IN
        figure.subplots_adjust(left=x, right=1 - x)
        for index, line in enumerate(lines):
            y = 1 - (TOP_IN + index * 0.25) / height
            figure.text(x, y, line, fontsize=TITLE_SIZE, fontweight="bold", color=INK, va="center")
        y_in = TOP_IN + len(lines) * 0.25
        figure.text(x, 1 - y_in / height, subtitle, fontsize=9, color=SOFT, va="center")
        if kinds:
            kind_legend(figure, plan, x=x, y=1 - (y_in + 0.25) / height)
        footer = fitted(stamp(plan), room, 6.5)
        figure.text(x, 0.12 / height, footer, fontsize=6.5, color=SOFT, va="center")
        axes = figure.add_axes(
            (left_in / WIDTH_IN, 0.72 / height, 1 - (left_in + right_in) / WIDTH_IN, chart_in / height)
        )
        draw(axes)
        stream = BytesIO()
        figure.savefig(
            stream,
            format="png",
            dpi=DPI,
            metadata={
                "Software": f"ftcost {plan.version}",
                "Title": title,
                "Description": stamp(plan),
                "Comment": plan.command,
            },
        )
    return stream.getvalue()
