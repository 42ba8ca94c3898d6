"""The charts: each draws one question's answer on axes it is given, with the numbers of the plan as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from estimator.result import GROUPS, Arm, Plan, Sensitivity
from estimator.words import money, percent
from reports.drawn.axes import (
    arm_rows,
    height_points,
    left_room_points,
    legend_above,
    money_axis,
    right_room_points,
    row_names,
    whole_ticks,
)
from reports.drawn.text import fitted, spread, width, wrapped
from reports.style import (
    ALERT,
    FALL,
    GROUP_COLOURS,
    INK,
    KIND_COLOURS,
    KIND_TEXT_COLOURS,
    RISE,
    quantity,
    short_label,
)

LINE_STYLES = {"zero-shot": "-", "few-shot": "--", "retrieval": ":", "tuned": "-"}
LOG_FROM_RATIO = 40.0


def ranked(plan: Plan) -> list[Arm]:
    """Arms, cheapest first."""
    return sorted(plan.arms, key=lambda arm: (arm.total_usd.base, arm.id))


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
            linestyle=LINE_STYLES.get(arm.style, "-."),
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
    axes.xaxis.set_major_locator(whole_ticks(8))
    money_axis(axes.yaxis, logarithmic=logarithmic)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    axes.set_xlabel("month (0 = what is spent before the first month)")
    axes.set_ylabel("spent so far, USD" + (", log scale" if logarithmic else ""))
    _end_labels(axes, plan, arms, sums, months)


def _end_labels(
    axes: Any, plan: Plan, arms: Sequence[Arm], sums: Mapping[str, Sequence[float]], months: int
) -> None:
    size = 7.5
    height, room = height_points(axes), right_room_points(axes)
    place = axes.transData.transform
    bottom = axes.bbox.y0
    scale = height / axes.bbox.height
    wanted = [(float(place((months, sums[arm.id][-1]))[1]) - bottom) * scale for arm in arms]
    placed = spread(wanted, size * 1.45, 0.0, height)
    amounts = max(width(f"{money(arm.total_usd.base)}  ", size, bold=True) for arm in arms)
    for arm, natural, y in zip(arms, wanted, placed, strict=True):
        chosen = arm.id == plan.verdict.arm
        amount = money(arm.total_usd.base)
        space = room - 16 - amounts
        whole = width(arm.label, size, bold=chosen) <= space
        name = fitted(arm.label if whole else short_label(arm), space, size, bold=chosen)
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
            (name, chosen, 14.0 + amounts),
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
                color=KIND_TEXT_COLOURS[arm.kind],
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
    arm_rows(axes, plan, arms, low=-0.75)
    money_axis(axes.xaxis, logarithmic=False)
    axes.grid(axis="x")
    axes.set_xlabel("USD over the horizon at the base values; line below a bar: 10th to 90th percentile")
    if legend:
        legend_above(axes, len(used))


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
    arm_rows(axes, plan, arms, low=-0.7)
    money_axis(axes.xaxis, logarithmic=False)
    axes.grid(axis="x")
    axes.set_xlabel("USD. Dot: base values; band: 10th to 90th percentile; stroke: median")


def tornado(axes: Any, plan: Plan, rows: Sequence[Sensitivity]) -> None:
    """Cost of tuning less its rival's when one assumption moves from its P10 to its P90."""
    base = plan.arm(plan.best_tuned).total_usd.base - plan.arm(plan.best_rival).total_usd.base
    shown = list(rows)[::-1]
    ends = [base, *(end for row in shown for end in (row.usd_at_low, row.usd_at_high))]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    room = (high - low) * 0.12
    axes.set_xlim(low - room, high + room)
    for row, item in enumerate(shown):
        tried = [(item.low, item.usd_at_low), (item.high, item.usd_at_high)]
        for _, end in tried:
            axes.barh(row, end - base, left=base, height=0.55, color=RISE if end > base else FALL)
        for above in (True, False):
            beyond = [pair for pair in tried if (pair[1] > base if above else pair[1] < base)]
            if beyond:
                axes.annotate(
                    " and ".join(quantity(value) for value, _ in beyond),
                    xy=((max if above else min)(end for _, end in beyond), row),
                    xytext=(3 if above else -3, 0),
                    textcoords="offset points",
                    va="center",
                    ha="left" if above else "right",
                    fontsize=6.8,
                )
    axes.axvline(base, color=INK, linewidth=0.8)
    axes.axvline(0, color=ALERT, linewidth=1.0, linestyle="--")
    limit = left_room_points(axes)
    names = [wrapped(f"{item.label} ({item.unit})", limit, 7, lines=2) for item in shown]
    row_names(axes, names, low=-0.6, size=7)
    axes.grid(axis="x")
    money_axis(axes.xaxis, logarithmic=False)
    axes.set_xlabel("cost of tuning less cost of its rival, USD. Line: base; dashes: both cost the same")


def chances(axes: Any, plan: Plan, limit: int) -> None:
    """Share of the draws in which each arm costs least."""
    arms = sorted(plan.arms, key=lambda arm: (-arm.probability_cheapest, arm.total_usd.base, arm.id))[:limit][::-1]
    shares = [arm.probability_cheapest for arm in arms]
    axes.barh(range(len(arms)), shares, height=0.55, color=[KIND_COLOURS[arm.kind] for arm in arms])
    for row, share in enumerate(shares):
        axes.annotate(
            percent(share), xy=(share, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5
        )
    axes.set_xlim(0, 1.08)
    arm_rows(axes, plan, arms, low=-0.6)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(lambda value, _: percent(value))
    axes.grid(axis="x")
    axes.set_xlabel(f"share of {plan.scenario.draws:,} draws in which it costs least")


def _cumulative(values: Sequence[float]) -> list[float]:
    found, total = [], 0.0
    for value in values:
        total += value
        found.append(total)
    return found
