"""The roofline of a run: each kind of work under its ceilings, and below it where the step's time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from math import atan2, cos, degrees, log10, sin
from typing import Any

from estimator.accelerators import resolve_accelerator
from estimator.run import Run
from estimator.speed import Speed, resource_fractions, speed
from estimator.speed.bound import RESOURCE
from estimator.speed.roofline import Roofline, attainable_flop_per_s, ridge_flop_per_byte, roofline
from estimator.version import VERSION
from estimator.words import percent
from reports.drawn.axes import drawing, row_names, without_ligatures
from reports.drawn.images import MARGIN_IN, TITLE_SIZE, TOP_IN, WIDTH_IN
from reports.drawn.labels import Box, Label, leader, place_labels
from reports.drawn.run_charts import merged_parts
from reports.drawn.text import width, wrapped
from reports.style import FAINT, INK, OTHER, PAPER, RESOURCE_COLOURS, SOFT

WAYS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
ROOF_IN = 4.3
ROW_IN = 0.21
LEFT_IN = 1.75
RIGHT_IN = 0.35
SMALL_PART = 0.005
ROOM_FOR_NAMES = 30.0
"""How far the ceilings run on to the right of the last point, for their names."""
LABEL_SIZE = 7.5
CEILING_SIZE = 7.0
CEILING_GAP = 3.0
LEAST_MARK, MARK_PER_ROOT_SHARE = 4.0, 17.0
"""Diameter of a point in points: the least, and that of a whole step; the area goes with the share of time."""


def roofline_png(*, run: Run, constants: Mapping[str, float], dpi: int) -> bytes:
    """The picture of one run as a PNG file; the same run gives the same bytes."""
    found, going = roofline(run=run, constants=constants), speed(run=run, constants=constants)
    title, lines = _title(run, going), _subtitle(run, going)
    stream = BytesIO()
    with drawing():
        made = _figure(found, going, title=title, lines=lines)
        without_ligatures(made)
        made.savefig(
            stream,
            format="png",
            dpi=dpi,
            metadata={"Software": f"ftcost {VERSION}", "Title": title, "Description": "; ".join(lines)},
        )
    return stream.getvalue()


def _title(run: Run, going: Speed) -> str:
    resource, share = max(resource_fractions(parts_s=going.parts_s).items(), key=lambda pair: pair[1])
    card = resolve_accelerator(str(run.accelerator.id)).label
    name = run.architecture.id.rpartition("/")[2]
    return (
        f"{name}, {WAYS[run.method]} on {run.gpus:g} × {card}: {percent(float(share))} of the step waits for"
        f" {resource}"
    )


def _subtitle(run: Run, going: Speed) -> list[str]:
    degrees = [f"{name} {value:g}" for name in ("tp", "pp", "cp", "ep") if (value := getattr(run, name)) > 1]
    sharding = [] if run.sharding == "none" else [run.sharding]
    base = [run.quantization] if run.quantization else []
    settings = [
        f"stack {run.stack}",
        f"micro-batch {run.micro_batch:g} × {run.seq_len:,.0f} tokens",
        f"{run.global_batch:,g} sequence{'s' if run.global_batch > 1 else ''} a step",
        run.compute_dtype,
        *base,
        *sharding,
        *degrees,
        f"recompute {run.recompute}",
        f"{run.loss} loss",
    ]
    rate = float(going.tokens_per_s_per_gpu)
    low, high = (rate * float(factor) for factor in (going.low_factor, going.high_factor))
    used = f"MFU {percent(float(going.mfu))}, HFU {percent(float(going.hfu))}"
    return [
        ", ".join(settings),
        f"One optimizer step {_time(float(going.step_s))}; {rate:,.0f} tokens/s per GPU"
        f" ({low:,.0f} to {high:,.0f}, P10 to P90); {used}",
    ]


def _time(seconds: float) -> str:
    return f"{seconds:,.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _figure(found: Roofline, going: Speed, *, title: str, lines: Sequence[str]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    room = (WIDTH_IN - 2 * MARGIN_IN) * 72
    heading = wrapped(title, room, TITLE_SIZE, bold=True, lines=2)
    settings = [part for line in lines for part in wrapped(line, room, 8.5, lines=2)]
    parts = {name: float(seconds) for name, seconds in going.parts_s.items() if float(seconds) > 0.0}
    bars = merged_parts([parts], SMALL_PART)[0]
    bars_in = ROW_IN * len(bars) + 0.1
    head_in = TOP_IN + 0.25 * len(heading) + 0.19 * len(settings) + 0.05
    between_in, foot_in = 0.95, 0.62
    height = head_in + ROOF_IN + between_in + bars_in + foot_in
    made = Figure(figsize=(WIDTH_IN, height))
    FigureCanvasAgg(made)
    x = MARGIN_IN / WIDTH_IN
    for index, line in enumerate(heading):
        y = 1 - (TOP_IN + index * 0.25) / height
        made.text(x, y, line, fontsize=TITLE_SIZE, fontweight="bold", color=INK, va="center")
    for index, line in enumerate(settings):
        y = 1 - (TOP_IN + len(heading) * 0.25 + index * 0.19) / height
        made.text(x, y, line, fontsize=8.5, color=SOFT, va="center")
    made.text(x, 0.12 / height, f"ftcost {VERSION}", fontsize=6.5, color=SOFT, va="center")
    span = 1 - (LEFT_IN + RIGHT_IN) / WIDTH_IN
    left = 0.85 / WIDTH_IN
    roof = made.add_axes(
        (left, 1 - (head_in + ROOF_IN) / height, 1 - left - RIGHT_IN / WIDTH_IN, ROOF_IN / height)
    )
    _roof(roof, found, step_s=float(going.step_s))
    below = made.add_axes((LEFT_IN / WIDTH_IN, foot_in / height, span, bars_in / height))
    _bars(below, bars)
    _legend(made, going, x=x, y=(foot_in + bars_in + 0.2) / height)
    return made


def _roof(axes: Any, found: Roofline, *, step_s: float) -> None:
    """Ceilings, slope and points on logarithmic axes, FLOP per byte by TFLOP/s."""
    matrix = {name: peak for name, peak in found.ceilings_flop_per_s.items() if peak > 0.0}
    ridges = {
        name: float(ridge_flop_per_byte(peak_flop_per_s=peak, memory_bytes_per_s=found.memory_bytes_per_s))
        for name, peak in matrix.items()
    }
    intensities = [point.intensity_flop_per_byte for point in found.points]
    low_x, high_x = min(*intensities, 0.1) / 2.5, max(*intensities, *ridges.values()) * ROOM_FOR_NAMES
    low_y = min(point.flop_per_s for point in found.points) / 4
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low_x, high_x)
    axes.set_ylim(low_y / 1e12, max(matrix.values()) * 2.5 / 1e12)
    _ticks(axes)
    axes.set_xlabel(
        "arithmetic intensity, FLOP per byte of the card's memory traffic"
        " (area: share of the step's time; percent: attained of the roof above)"
    )
    axes.set_ylabel("FLOP/s of one card, TFLOP/s")
    axes.grid()
    knee = max(ridges, key=lambda name: ridges[name])
    axes.plot(
        [low_x, ridges[knee]],
        [low_x * found.memory_bytes_per_s / 1e12, matrix[knee] / 1e12],
        color=INK,
        linewidth=1.4,
        zorder=3,
    )
    for name, peak in matrix.items():
        dashed = "--" if name.startswith("fp32") else "-"
        axes.plot([ridges[name], high_x], [peak / 1e12] * 2, color=INK, linewidth=1.4, linestyle=dashed, zorder=3)
        axes.annotate(
            _ceiling_name(name, peak, ridges[name]),
            xy=(high_x, peak / 1e12),
            xytext=(0, CEILING_GAP),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=CEILING_SIZE,
            color=INK,
        )
    slope = _slope_name(axes, found, max(low_x, low_y / found.memory_bytes_per_s) * 1.3)
    _points(axes, found, slope, step_s=step_s)


def _ceiling_name(name: str, peak: float, ridge: float) -> str:
    return f"{name} {peak / 1e12:,.0f} TFLOP/s, ridge {ridge:,.0f}"


def _slope_name(axes: Any, found: Roofline, x: float) -> list[Box]:
    """Writes the bandwidth along its line from an intensity on; the boxes that it covers, in points."""
    scale = 72.0 / axes.figure.dpi
    start, later = (
        axes.transData.transform((at, at * found.memory_bytes_per_s / 1e12)) * scale for at in (x, 10 * x)
    )
    angle = atan2(later[1] - start[1], later[0] - start[0])
    text = f"memory {found.memory_bytes_per_s / 1e12:.3g} TB/s"
    away = (-sin(angle) * CEILING_GAP, cos(angle) * CEILING_GAP)
    axes.annotate(
        text,
        xy=(x, x * found.memory_bytes_per_s / 1e12),
        xytext=away,
        textcoords="offset points",
        rotation=degrees(angle),
        rotation_mode="anchor",
        ha="left",
        va="bottom",
        fontsize=CEILING_SIZE,
        color=INK,
    )
    reach, boxes = width(text, CEILING_SIZE), []
    for k in range(9):
        along = reach * k / 8
        left = float(start[0]) + away[0] + along * cos(angle) - sin(angle) * CEILING_SIZE
        low = float(start[1]) + away[1] + along * sin(angle)
        boxes.append((left, low, left + reach / 8 + CEILING_SIZE * sin(angle), low + CEILING_SIZE))
    return boxes


def _points(axes: Any, found: Roofline, slope: Sequence[Box], *, step_s: float) -> None:
    """Every point, its area by its share of the step, with a name that touches no other and no line.

    The percentage beside a name is what the work attains of the roof over its intensity.
    """
    scale = 72.0 / axes.figure.dpi
    wanted = []
    for point in found.points:
        share = point.seconds / step_s
        size = max(LEAST_MARK, MARK_PER_ROOT_SHARE * share**0.5)
        x, y = point.intensity_flop_per_byte, point.flop_per_s / 1e12
        axes.plot(
            [x],
            [y],
            "o",
            color=RESOURCE_COLOURS[point.resource],
            markersize=size,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
            zorder=5 - share,
        )
        roof = attainable_flop_per_s(
            intensity_flop_per_byte=x,
            peak_flop_per_s=found.ceilings_flop_per_s[point.ceiling],
            memory_bytes_per_s=found.memory_bytes_per_s,
        )
        text = f"{point.name} {percent(point.flop_per_s / float(roof))}"
        at = axes.transData.transform((x, y)) * scale
        wanted.append(Label(text, float(at[0]), float(at[1]), size / 2, width(text, LABEL_SIZE), LABEL_SIZE * 1.2))
    inside = tuple(float(edge) * scale for edge in axes.bbox.extents)
    placed = place_labels(
        wanted,
        obstacles=_lines(axes, found, scale),
        fixed=[*_ceiling_boxes(axes, found, scale), *slope],
        inside=(inside[0], inside[1], inside[2], inside[3]),
    )
    for point, label, (x, y) in zip(found.points, wanted, placed, strict=True):
        axes.annotate(
            label.text,
            xy=(point.intensity_flop_per_byte, point.flop_per_s / 1e12),
            xytext=(x - label.x, y - label.y),
            textcoords="offset points",
            va="center",
            fontsize=LABEL_SIZE,
            color=INK,
            zorder=6,
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "shrinkA": 1, "shrinkB": label.radius}
            if leader(label, (x, y))
            else None,
        )


def _lines(axes: Any, found: Roofline, scale: float) -> list[tuple[float, float]]:
    """Places along the slope and the ceilings that no name may cover, in points."""
    low, high = (log10(edge) for edge in axes.get_xlim())
    steps = [10 ** (low + (high - low) * index / 160) for index in range(161)]
    places = []
    for peak in found.ceilings_flop_per_s.values():
        for x in steps:
            y = float(
                attainable_flop_per_s(
                    intensity_flop_per_byte=x, peak_flop_per_s=peak, memory_bytes_per_s=found.memory_bytes_per_s
                )
            )
            at = axes.transData.transform((x, y / 1e12)) * scale
            places.append((float(at[0]), float(at[1])))
    return places


def _ceiling_boxes(axes: Any, found: Roofline, scale: float) -> list[Box]:
    """Where the names of the ceilings stand, in points."""
    right, boxes = float(axes.bbox.x1) * scale, []
    for name, peak in found.ceilings_flop_per_s.items():
        reach = width(_ceiling_name(name, peak, peak / found.memory_bytes_per_s), CEILING_SIZE)
        low = float(axes.transData.transform((1.0, peak / 1e12))[1]) * scale + CEILING_GAP
        boxes.append((right - reach, low, right, low + CEILING_SIZE))
    return boxes


def _ticks(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="both", length=0)


def _bars(axes: Any, parts: Mapping[str, float]) -> None:
    """Seconds of each part of the step, longest above, in the colour of what it waits for."""
    total = sum(parts.values())
    rest = [name for name in parts if name != "other"]
    order = [*(["other"] if "other" in parts else []), *sorted(rest, key=lambda name: (parts[name], name))]
    colours = [RESOURCE_COLOURS[RESOURCE[name]] if name in RESOURCE else OTHER for name in order]
    axes.barh(range(len(order)), [parts[name] for name in order], height=0.68, color=colours)
    row_names(axes, [[name] for name in order], low=-0.6, size=LABEL_SIZE)
    longest = max(parts.values())
    for row, name in enumerate(order):
        axes.annotate(
            f"{_time(parts[name])}, {100 * parts[name] / total:.2g} %",
            xy=(parts[name], row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=LABEL_SIZE,
            color=SOFT,
        )
    axes.set_xlim(0, longest * 1.16)
    axes.spines["left"].set_color(FAINT)
    axes.set_xlabel("seconds of one optimizer step")


def _legend(figure: Any, going: Speed, *, x: float, y: float) -> None:
    """What the step waits for, with its share, in one line from (x, y) of the figure."""
    from matplotlib.lines import Line2D

    points = figure.get_figwidth() * 72
    lead = "The step waits for"
    figure.text(x, y, lead, color=SOFT, fontsize=8.5, va="center")
    x += (width(lead, 8.5) + 10) / points
    shares = resource_fractions(parts_s=going.parts_s)
    for resource, share in sorted(shares.items(), key=lambda pair: -pair[1]):
        if float(share) < SMALL_PART:
            continue
        label = f"{resource} {percent(float(share))}"
        figure.add_artist(
            Line2D(
                [x + 3.5 / points], [y], marker="s", markersize=5.5, color=RESOURCE_COLOURS[resource], linewidth=0
            )
        )
        figure.text(x + 11 / points, y, label, color=SOFT, fontsize=8.5, va="center")
        x += (24 + width(label, 8.5)) / points
