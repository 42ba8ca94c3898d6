"""The charts: each draws one question's answer on axes it is given, with the numbers of the plan as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from collections.abc import Iterator
from typing import Any

from estimator.numbers import GIB
from estimator.result import GROUPS, Arm, Plan, Sensitivity, TrainingOption
from reports.style import (
    ALERT,
    FAINT,
    FALL,
    GROUP_COLOURS,
    INK,
    KIND_COLOURS,
    KIND_LABELS,
    PAPER,
    PART_COLOURS,
    RISE,
    SOFT,
    count,
    duration,
    gib,
    money,
    percent,
    quantity,
)
from reports.text import fitted, spread, width, wrapped

LINE_STYLES = {"zero-shot": "-", "few-shot": "--", "retrieval": ":", "tuned": "-"}
LOG_FROM_RATIO = 40.0
SMALL_PART = 0.01
METHODS = {"full": "Full", "lora": "LoRA", "qlora": "QLoRA"}


@contextmanager
def drawing() -> Iterator[None]:
    """Settings of every figure: the library's own defaults, so that a user's settings change no report."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",
                "font.size": 8.0,
                "text.parse_math": False,
                "text.color": INK,
                "axes.edgecolor": FAINT,
                "axes.labelcolor": SOFT,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.axisbelow": True,
                "xtick.color": SOFT,
                "ytick.color": SOFT,
                "grid.color": "#e4e7ec",
                "grid.linewidth": 0.6,
                "pdf.fonttype": 42,
                "figure.facecolor": PAPER,
            }
        )
        yield


def ranked(plan: Plan) -> list[Arm]:
    """Arms, cheapest first."""
    return sorted(plan.arms, key=lambda arm: (arm.total_usd.base, arm.id))


def option_label(option: TrainingOption) -> str:
    """A training option in a few words."""
    sharding = "" if option.sharding == "none" else f", {option.sharding}"
    return f"{METHODS[option.method]}: {option.gpus} × {option.gpu_label}{sharding}"


def cost_over_time(axes: Any, plan: Plan) -> None:
    """Cumulative cost of every arm by month, each line named at its end."""
    arms = ranked(plan)
    sums = {arm.id: _cumulative(arm.monthly_usd) for arm in arms}
    months = len(arms[0].monthly_usd) - 1
    low = min(min(values) for values in sums.values())
    high = max(values[-1] for values in sums.values())
    least = min(values[-1] for values in sums.values())
    logarithmic = high / max(least, 1e-9) > LOG_FROM_RATIO and low > 0
    for arm in reversed(arms):
        chosen = arm.id == plan.verdict.arm
        axes.plot(
            range(months + 1),
            sums[arm.id],
            color=KIND_COLOURS[arm.kind],
            linestyle=LINE_STYLES.get(arm.style, "-"),
            linewidth=2.8 if chosen else 1.3,
            solid_capstyle="round",
            zorder=4 if chosen else 3,
        )
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(low * 0.8, high * 1.25)
    else:
        axes.set_ylim(0, high * 1.06)
    axes.set_xlim(0, months)
    axes.xaxis.set_major_locator(_whole_ticks(8))
    _money_axis(axes.yaxis, logarithmic=logarithmic)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    axes.set_xlabel("month (0 = what is spent before the first month)")
    axes.set_ylabel("spent so far, USD" + (", log scale" if logarithmic else ""))
    _end_labels(axes, plan, arms, sums, months)


def _end_labels(
    axes: Any, plan: Plan, arms: Sequence[Arm], sums: Mapping[str, Sequence[float]], months: int
) -> None:
    size = 7.5
    height, room = _height_points(axes), _right_room_points(axes)
    place = axes.transData.transform
    bottom = axes.bbox.y0
    scale = height / axes.bbox.height
    wanted = [(float(place((months, sums[arm.id][-1]))[1]) - bottom) * scale for arm in arms]
    placed = spread(wanted, size * 1.45, 0.0, height)
    for arm, natural, y in zip(arms, wanted, placed, strict=True):
        chosen = arm.id == plan.verdict.arm
        amount = money(arm.total_usd.base)
        name = fitted(arm.label, room - 16 - width(f"{amount}  ", size, bold=True), size, bold=chosen)
        axes.annotate(
            "",
            xy=(1.0, natural / height),
            xytext=(12, y - natural),
            xycoords="axes fraction",
            textcoords="offset points",
            arrowprops={
                "arrowstyle": "-",
                "color": KIND_COLOURS[arm.kind],
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )
        for text, bold, offset in (
            (amount, True, 14.0),
            (name, chosen, 14.0 + width(f"{amount}  ", size, bold=True)),
        ):
            axes.annotate(
                text,
                xy=(1.0, y / height),
                xytext=(offset, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="center",
                fontsize=size,
                fontweight="bold" if bold else "normal",
                color=KIND_COLOURS[arm.kind],
                annotation_clip=False,
            )


def options(axes: Any, plan: Plan, *, legend: bool = True) -> None:
    """Cost of every arm over the horizon by cost group, with its range from P10 to P90."""
    arms = ranked(plan)[::-1]
    left = [0.0] * len(arms)
    used = [group for group in GROUPS if any(arm.groups_usd.get(group, 0.0) > 0 for arm in arms)]
    for group in used:
        amounts = [arm.groups_usd.get(group, 0.0) for arm in arms]
        axes.barh(range(len(arms)), amounts, left=left, height=0.62, color=GROUP_COLOURS[group], label=group)
        left = [a + b for a, b in zip(left, amounts, strict=True)]
    widest = max(max(arm.total_usd.p90, arm.total_usd.base) for arm in arms)
    for row, arm in enumerate(arms):
        total = arm.total_usd
        axes.plot([total.p10, total.p90], [row - 0.4, row - 0.4], color=INK, linewidth=1.2, solid_capstyle="butt")
        for end in (total.p10, total.p90):
            axes.plot([end, end], [row - 0.48, row - 0.32], color=INK, linewidth=1.2)
        axes.text(
            max(total.base, total.p90) + widest * 0.012,
            row - 0.08,
            f"{money(total.base)}  ({money(total.p10)} to {money(total.p90)})",
            va="center",
            fontsize=7.5,
            fontweight="bold" if arm.id == plan.verdict.arm else "normal",
        )
    axes.set_xlim(0, widest * 1.02)
    _arm_rows(axes, plan, arms, low=-0.75)
    _money_axis(axes.xaxis, logarithmic=False)
    axes.grid(axis="x")
    axes.set_xlabel("USD over the horizon at the base values; line below a bar: 10th to 90th percentile")
    if legend:
        _legend_above(axes, len(used))


def ranges(axes: Any, plan: Plan) -> None:
    """Base value and range of every arm's cost."""
    arms = ranked(plan)[::-1]
    widest = max(max(arm.total_usd.p90, arm.total_usd.base) for arm in arms)
    for row, arm in enumerate(arms):
        total, colour = arm.total_usd, KIND_COLOURS[arm.kind]
        axes.plot([total.p10, total.p90], [row, row], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot([total.p50], [row], "|", color=colour, markersize=9, markeredgewidth=1.6)
        axes.plot([total.base], [row], "o", color=colour, markersize=5.5)
        axes.text(
            max(total.base, total.p90) + widest * 0.015,
            row,
            money(total.base),
            va="center",
            fontsize=7.5,
            fontweight="bold" if arm.id == plan.verdict.arm else "normal",
        )
    axes.set_xlim(0, widest * 1.02)
    _arm_rows(axes, plan, arms, low=-0.7)
    _money_axis(axes.xaxis, logarithmic=False)
    axes.grid(axis="x")
    axes.set_xlabel("USD over the horizon. Dot: base values, named; band: 10th to 90th percentile; stroke: median")


def memory(axes: Any, listed: Sequence[TrainingOption]) -> None:
    """Memory per card of every training option by part, against what the card offers."""
    shown = list(listed)[::-1]
    parts = merged_parts([option.memory_parts_bytes for option in shown], SMALL_PART)
    names = list(parts[0])
    axes.set_xlim(0, max(max(option.limit_bytes, option.device_bytes) for option in shown) / GIB * 1.03)
    left = [0.0] * len(shown)
    for index, name in enumerate(names):
        sizes = [part[name] / GIB for part in parts]
        axes.barh(range(len(shown)), sizes, left=left, height=0.5, color=_part_colour(name, index), label=name)
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    outside = [max(o.device_bytes / GIB - a, 0.0) for o, a in zip(shown, left, strict=True)]
    axes.barh(
        range(len(shown)),
        outside,
        left=left,
        height=0.5,
        color=PAPER,
        edgecolor=FAINT,
        hatch="////",
        linewidth=0.5,
        label="allocator and driver",
    )
    for row, option in enumerate(shown):
        limit, device = option.limit_bytes / GIB, option.device_bytes / GIB
        over = device > limit
        axes.plot([limit, limit], [row - 0.36, row + 0.36], color=ALERT if over else INK, linewidth=2.2)
        axes.plot([device], [row + 0.31], "v", color=INK, markersize=4.5)
        text = f"{gib(option.device_bytes)} of {gib(option.limit_bytes)} ({percent(device / limit)}); fits: {option.fits}"
        axes.annotate(
            text,
            xy=(0, row),
            xytext=(2, -0.36 * _row_points(axes, len(shown)) - 1.5),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=ALERT if over else SOFT,
        )
    _option_rows(axes, shown)
    axes.grid(axis="x")
    axes.set_xlabel("GiB per card at the peak. ▼ device total; ┃ what the card offers".replace("┃", "|"))
    _legend_above(axes, len(names) + 1)


def step_time(axes: Any, listed: Sequence[TrainingOption]) -> None:
    """Where the time of one optimizer step goes, as shares."""
    shown = list(listed)[::-1]
    parts = merged_parts([option.step_parts_s for option in shown], SMALL_PART)
    names = list(parts[0])
    left = [0.0] * len(shown)
    for index, name in enumerate(names):
        shares = [part[name] / sum(part.values()) for part in parts]
        axes.barh(range(len(shown)), shares, left=left, height=0.5, color=_part_colour(name, index), label=name)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, option in enumerate(shown):
        axes.annotate(
            f"{option.step_s:.3g} s a step, {count(option.tokens_per_s_per_gpu)} tokens/s/GPU, MFU"
            f" {percent(option.mfu)}; whole run {duration(option.hours.base)}, {money(option.usd.base)}",
            xy=(0, row),
            xytext=(2, -0.36 * _row_points(axes, len(shown)) - 1.5),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=SOFT,
        )
    _option_rows(axes, shown)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: percent(value))
    axes.set_xlabel("share of the time of one optimizer step")
    _legend_above(axes, len(names))


def tornado(axes: Any, plan: Plan, rows: Sequence[Sensitivity]) -> None:
    """Cost of tuning less its rival's when one assumption moves from its P10 to its P90."""
    base = plan.arm(plan.best_tuned).total_usd.base - plan.arm(plan.best_rival).total_usd.base
    shown = list(rows)[::-1]
    ends = [base, *(end for row in shown for end in (row.usd_at_low, row.usd_at_high))]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    room = (high - low) * 0.12
    axes.set_xlim(low - room, high + room)
    for row, item in enumerate(shown):
        for value, end in ((item.low, item.usd_at_low), (item.high, item.usd_at_high)):
            if end != base:
                axes.barh(row, end - base, left=base, height=0.55, color=RISE if end > base else FALL)
                axes.annotate(
                    quantity(value),
                    xy=(end, row),
                    xytext=(3 if end > base else -3, 0),
                    textcoords="offset points",
                    va="center",
                    ha="left" if end > base else "right",
                    fontsize=6.8,
                )
    axes.axvline(base, color=INK, linewidth=0.8)
    axes.axvline(0, color=ALERT, linewidth=1.0, linestyle="--")
    axes.set_yticks(range(len(shown)))
    limit = _left_room_points(axes) - 8
    axes.set_yticklabels(
        ["\n".join(wrapped(f"{item.label} ({item.unit})", limit, 7, lines=2)) for item in shown], fontsize=7, color=INK
    )
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.tick_params(length=0)
    axes.grid(axis="x")
    _money_axis(axes.xaxis, logarithmic=False)
    axes.set_xlabel("cost of tuning less cost of its rival, USD. Line: base; dashes: both cost the same")


def chances(axes: Any, plan: Plan, limit: int = 8) -> None:
    """Share of the draws in which each arm costs least."""
    arms = sorted(plan.arms, key=lambda arm: (-arm.probability_cheapest, arm.total_usd.base, arm.id))[:limit][::-1]
    shares = [arm.probability_cheapest for arm in arms]
    axes.barh(range(len(arms)), shares, height=0.55, color=[KIND_COLOURS[arm.kind] for arm in arms])
    for row, share in enumerate(shares):
        axes.annotate(
            percent(share), xy=(share, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5
        )
    axes.set_xlim(0, 1.08)
    _arm_rows(axes, plan, arms, low=-0.6)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(lambda value, _: percent(value))
    axes.grid(axis="x")
    axes.set_xlabel(f"share of {plan.scenario.draws:,} draws in which it costs least")


def kind_legend(figure: Any, plan: Plan, *, x: float, y: float) -> None:
    """Names the colours of the kinds of arm that the plan has, in one line from (x, y) of the figure."""
    points = figure.get_figwidth() * 72
    for kind, label in KIND_LABELS.items():
        if any(arm.kind == kind for arm in plan.arms):
            figure.text(x, y, "■", color=KIND_COLOURS[kind], fontsize=8, va="center")
            figure.text(x + 11 / points, y, label, color=SOFT, fontsize=7.5, va="center")
            x += (24 + width(label, 7.5)) / points


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


def _part_colour(name: str, index: int) -> str:
    return "#dddddd" if name == "other" else PART_COLOURS[index % len(PART_COLOURS)]


def _cumulative(values: Sequence[float]) -> list[float]:
    found, total = [], 0.0
    for value in values:
        total += value
        found.append(total)
    return found


def _arm_rows(axes: Any, plan: Plan, arms: Sequence[Arm], *, low: float) -> None:
    limit = _left_room_points(axes) - 8
    axes.set_yticks(range(len(arms)))
    labels = axes.set_yticklabels(
        ["\n".join(wrapped(arm.label, limit, 7.5, bold=True, lines=2)) for arm in arms], fontsize=7.5
    )
    for label, arm in zip(labels, arms, strict=True):
        label.set_color(KIND_COLOURS[arm.kind])
        label.set_fontweight("bold" if arm.id == plan.verdict.arm else "normal")
    axes.set_ylim(low, len(arms) - 0.35)
    axes.tick_params(length=0)


def _option_rows(axes: Any, shown: Sequence[TrainingOption]) -> None:
    limit = _left_room_points(axes) - 8
    axes.set_yticks(range(len(shown)))
    axes.set_yticklabels(
        [
            "\n".join(
                [*wrapped(option_label(option), limit, 7.5, lines=2), fitted(", ".join(option.roles), limit, 6.5)]
            )
            for option in shown
        ],
        fontsize=7.5,
        color=INK,
    )
    axes.set_ylim(-0.62, len(shown) - 0.45)
    axes.tick_params(length=0)


def _legend_above(axes: Any, entries: int) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(entries, 5),
        frameon=False,
        fontsize=7,
        handlelength=1.0,
        handleheight=1.0,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0.4,
    )


def _money_axis(axis: Any, *, logarithmic: bool) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)) if logarithmic else MaxNLocator(6))
    axis.set_major_formatter(lambda value, _: money(value))
    axis.set_minor_formatter(NullFormatter())


def _whole_ticks(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=True, steps=[1, 2, 3, 4, 6, 10])


def _row_points(axes: Any, rows: int) -> float:
    low, high = -0.62, rows - 0.45
    return _height_points(axes) / (high - low)


def _height_points(axes: Any) -> float:
    return float(axes.get_position().height * axes.figure.get_figheight() * 72)


def _left_room_points(axes: Any) -> float:
    return float(axes.get_position().x0 * axes.figure.get_figwidth() * 72) - 12


def _right_room_points(axes: Any) -> float:
    return float((1 - axes.get_position().x1) * axes.figure.get_figwidth() * 72) - 12
