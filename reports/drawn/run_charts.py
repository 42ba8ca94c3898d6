"""Charts of the training run: memory by part against the card, time by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from estimator.numbers import GIB
from estimator.result import TrainingOption
from estimator.words import count, money, percent
from reports.drawn.axes import height_points, left_room_points, legend_above, row_names
from reports.drawn.text import fitted, wrapped
from reports.style import ALERT, FAINT, INK, OTHER, PAPER, PART_COLOURS, SOFT, duration, gib

SMALL_PART = 0.01
ROWS_FROM = -0.62
BAR = 0.5
"""Height of a bar, in rows."""
CAPTION_BELOW = 6.0
"""From the foot of a bar down to the middle of its caption, in points."""
METHODS = {"full": "Full", "lora": "LoRA", "qlora": "QLoRA"}


def option_label(option: TrainingOption) -> str:
    """A training option in a few words."""
    sharding = "" if option.sharding == "none" else f", {option.sharding}"
    return f"{METHODS[option.method]}: {option.gpus} × {option.gpu_label}{sharding}"


def memory(axes: Any, listed: Sequence[TrainingOption]) -> None:
    """Memory per card of every training option by part, against what the card offers."""
    shown = list(listed)[::-1]
    _option_rows(axes, shown)
    parts = merged_parts([option.memory_parts_bytes for option in shown], SMALL_PART)
    colours = _part_colours(list(shown[0].memory_parts_bytes), list(parts[0]))
    axes.set_xlim(0, max(max(option.limit_bytes, option.device_bytes) for option in shown) / GIB * 1.03)
    left = [0.0] * len(shown)
    for name, colour in colours.items():
        sizes = [part[name] / GIB for part in parts]
        axes.barh(
            range(len(shown)),
            sizes,
            left=left,
            height=BAR,
            color=colour,
            label=_words(name),
        )
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    outside = [max(o.device_bytes / GIB - a, 0.0) for o, a in zip(shown, left, strict=True)]
    axes.barh(
        range(len(shown)),
        outside,
        left=left,
        height=BAR,
        color=PAPER,
        edgecolor=FAINT,
        hatch="////",
        linewidth=0.5,
        label="allocator and driver",
    )
    for row, option in enumerate(shown):
        limit, device = option.limit_bytes / GIB, option.device_bytes / GIB
        over = device > limit
        axes.plot(
            [limit, limit],
            [row - BAR / 2, row + 0.36],
            color=ALERT if over else INK,
            linewidth=2.2,
            solid_capstyle="butt",
        )
        axes.plot([device], [row + 0.31], "v", color=INK, markersize=4.5)
        held = f"{gib(option.allocated_bytes)} needed, {gib(option.device_bytes)} held"
        axes.annotate(
            f"{held}, {gib(option.limit_bytes)} offered; fits: {option.fits}",
            xy=(0, row),
            xytext=(2, -BAR / 2 * _row_points(axes) - CAPTION_BELOW),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=ALERT if over else SOFT,
        )
    axes.grid(axis="x")
    axes.set_xlabel("GiB per card at the peak; triangle: held with what the allocator keeps, stroke: offered")
    legend_above(axes, len(colours) + 1)


def step_time(axes: Any, listed: Sequence[TrainingOption]) -> None:
    """Where the time of one optimizer step goes, as shares."""
    shown = list(listed)[::-1]
    _option_rows(axes, shown)
    parts = merged_parts([option.step_parts_s for option in shown], SMALL_PART)
    colours = _part_colours(list(shown[0].step_parts_s), list(parts[0]))
    left = [0.0] * len(shown)
    for name, colour in colours.items():
        shares = [part[name] / sum(part.values()) for part in parts]
        axes.barh(
            range(len(shown)),
            shares,
            left=left,
            height=BAR,
            color=colour,
            label=_words(name),
        )
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, option in enumerate(shown):
        axes.annotate(
            f"{option.step_s:.3g} s a step, {count(option.tokens_per_s_per_gpu)} tokens/s/GPU, MFU"
            f" {percent(option.mfu)}; whole run {duration(option.hours.base)}, {money(option.usd.base)}",
            xy=(0, row),
            xytext=(2, -BAR / 2 * _row_points(axes) - CAPTION_BELOW),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=SOFT,
        )
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: percent(value))
    axes.set_xlabel("share of the time of one optimizer step")
    legend_above(axes, len(colours))


def memory_entries(listed: Sequence[TrainingOption]) -> int:
    """Entries of the memory chart's legend."""
    return len(merged_parts([option.memory_parts_bytes for option in listed], SMALL_PART)[0]) + 1


def time_entries(listed: Sequence[TrainingOption]) -> int:
    """Entries of the time chart's legend."""
    return len(merged_parts([option.step_parts_s for option in listed], SMALL_PART)[0])


def merged_parts(parts: Sequence[Mapping[str, float]], small: float) -> list[dict[str, float]]:
    """Parts in one order, those that are small everywhere added up as "other"."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    totals = [max(sum(part.values()), 1e-300) for part in parts]

    def large(name: str) -> bool:
        return any(part.get(name, 0.0) / total >= small for part, total in zip(parts, totals, strict=True))

    kept = [name for name in names if large(name)]
    found = []
    for part in parts:
        row = {name: part.get(name, 0.0) for name in kept}
        if len(kept) < len(names):
            row["other"] = sum(part.get(name, 0.0) for name in names if name not in kept)
        found.append(row)
    return found


def _words(name: str) -> str:
    return name.replace("_", " ")


def _part_colours(every: Sequence[str], shown: Sequence[str]) -> dict[str, str]:
    """A colour for each part that is shown: by its place among all parts, so that it keeps it in every plan."""
    found: dict[str, str] = {}
    for name in shown:
        start = every.index(name) if name in every else 0
        turns = (PART_COLOURS[(start + turn) % len(PART_COLOURS)] for turn in range(len(PART_COLOURS)))
        free = (colour for colour in turns if colour not in found.values())
        found[name] = OTHER if name == "other" else next(free, PART_COLOURS[start % len(PART_COLOURS)])
    return found


def _option_rows(axes: Any, shown: Sequence[TrainingOption]) -> None:
    limit = left_room_points(axes)
    names = [
        [*wrapped(option_label(option), limit, 7.5, lines=2), fitted(", ".join(option.roles), limit, 7.5)]
        for option in shown
    ]
    row_names(axes, names, low=ROWS_FROM, size=7.5)


def _row_points(axes: Any) -> float:
    low, high = axes.get_ylim()
    return height_points(axes) / float(high - low)
