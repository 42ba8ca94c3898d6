"""The curve of ``ftcost breakeven`` as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from estimator.words import count, money
from reports.commands.breakeven import EVERYWHERE, NOWHERE, Curve, outcome
from reports.drawn.axes import height_points, money_axis, right_room_points
from reports.drawn.charts import LINE_STYLES
from reports.drawn.images import Picture, png
from reports.drawn.text import fitted, spread, width
from reports.style import FAINT, INK, KIND_COLOURS

TUNED_COLOUR = KIND_COLOURS["self-hosted"]
LABEL_SIZE = 7.5
MODEL_COLOURS = (KIND_COLOURS["api"], "#00264d", "#6c7683", "#4888c0")
"""One per API model, from the blue of API models to grey: other hues stand for other kinds of way."""


def picture(found: Curve) -> bytes:
    """The picture as a PNG file."""
    some = found.some_plan()
    return png(
        replace(some, scenario=found.asked, scenario_hash=found.asked.hash),
        Picture(
            title=_title(found),
            subtitle=f"Cost over the horizon against {found.name}, US dollars at base assumptions; band: tuning in"
            " 80 % of the draws; dots: both cost the same",
            draw=lambda axes: draw(axes, found),
            chart_in=4.6,
            left_in=0.95,
            right_in=3.0,
        ),
    )


def _title(found: Curve) -> str:
    """The crossing with the cheapest rival at the top of the range."""
    costs = {rival: one.base for rival in found.rivals if (one := found.costs(rival)[-1])}
    if not costs:
        return f"Cost of tuning against {found.name}"
    rival = min(costs, key=lambda one: costs[one])
    where, name = outcome(found, rival), found.rivals[rival]
    if where in (NOWHERE, EVERYWHERE):
        return f"Tuning costs {'more' if where == NOWHERE else 'less'} than {name} for all {found.name} shown"
    return f"Tuning costs less than {name} for {found.name} {where}"


def draw(axes: Any, found: Curve) -> None:
    """Lines of tuning and of every API arm, named at their ends, with a dot at every crossing."""
    values = [float(value) for value in found.axis.values]
    tuned = [arm.total_usd if arm else None for arm in found.tuned()]
    nan = float("nan")
    axes.fill_between(
        values,
        [one.p10 if one else nan for one in tuned],
        [one.p90 if one else nan for one in tuned],
        color=TUNED_COLOUR,
        alpha=0.13,
        linewidth=0,
    )
    lines: list[tuple[str, str, list[float], bool]] = []
    models = list(dict.fromkeys(_model(text) for text in found.rivals.values()))
    for rival, text in found.rivals.items():
        colour = MODEL_COLOURS[models.index(_model(text)) % len(MODEL_COLOURS)]
        costs = [one.base if one else nan for one in found.costs(rival)]
        style = text.rsplit(", ", 1)[-1]
        axes.plot(values, costs, color=colour, linestyle=LINE_STYLES.get(style, "-."), linewidth=1.3, zorder=3)
        lines.append((text, colour, costs, False))
    base = [one.base if one else nan for one in tuned]
    axes.plot(values, base, color=TUNED_COLOUR, linewidth=2.8, solid_capstyle="round", zorder=4)
    last = next((arm.label for arm in reversed(found.tuned()) if arm), "none")
    lines.append((f"best tuned: {last}", TUNED_COLOUR, base, True))
    shown = [cost for line in lines for cost in line[2] if cost == cost]
    _axes(axes, found, values, [*shown, *(end for one in tuned if one for end in (one.p10, one.p90))])
    _dots(axes, found, values, base)
    _end_labels(axes, values[-1], lines)


def _model(label: str) -> str:
    return label.rsplit(", ", 1)[0]


def _axes(axes: Any, found: Curve, values: Sequence[float], costs: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    if found.axis.logarithmic:
        axes.set_xscale("log")
        steps = (1.0,) if values[-1] >= 1000 * values[0] else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=steps))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    axes.set_xlim(values[0], values[-1])
    logarithmic = min(costs) > 0 and max(costs) > 10 * min(costs)
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(min(costs) / 1.3, max(costs) * 1.3)
    else:
        axes.set_ylim(0, max(costs) * 1.06)
    money_axis(axes.yaxis, logarithmic=logarithmic)
    axes.grid(axis="both")
    axes.tick_params(length=0, which="both")
    axes.set_xlabel(found.name + (", log scale" if found.axis.logarithmic else ""))
    axes.set_ylabel("cost over the horizon, USD" + (", log scale" if logarithmic else ""))
    axes.spines["bottom"].set_color(FAINT)


def _dots(axes: Any, found: Curve, values: Sequence[float], base: Sequence[float]) -> None:
    """A dot on the line of tuning at every crossing."""
    import numpy as np

    scale = np.log if found.axis.logarithmic else np.asarray
    for ones in found.crossings.values():
        for one in ones:
            usd = np.exp(np.interp(scale(one.value), scale(np.array(values)), np.log(np.array(base))))
            axes.plot([one.value], [usd], "o", color=INK, markersize=4, zorder=5)


def _end_labels(axes: Any, last: float, lines: Sequence[tuple[str, str, list[float], bool]]) -> None:
    """Cost and name at the end of every line, apart from each other."""
    height, room = height_points(axes), right_room_points(axes)
    scale = height / axes.bbox.height
    ended = [(text, colour, costs[-1], bold) for text, colour, costs, bold in lines if costs[-1] == costs[-1]]
    wanted = [(float(axes.transData.transform((last, cost))[1]) - axes.bbox.y0) * scale for _, _, cost, _ in ended]
    placed = spread(wanted, LABEL_SIZE * 1.45, 0.0, height)
    for (text, colour, cost, bold), natural, y in zip(ended, wanted, placed, strict=True):
        axes.annotate(
            "",
            xy=(1.0, natural / height),
            xytext=(12, y - natural),
            xycoords="axes fraction",
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )
        amount = f"{money(cost)}  "
        taken = width(amount, LABEL_SIZE, bold=True)
        name = fitted(text, room - 16 - taken, LABEL_SIZE, bold=bold)
        for part, heavy, offset in ((amount, True, 14.0), (name, bold, 14.0 + taken)):
            axes.annotate(
                part,
                xy=(1.0, y / height),
                xytext=(offset, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="center",
                fontsize=LABEL_SIZE,
                fontweight="bold" if heavy else "normal",
                color=colour,
                annotation_clip=False,
            )
