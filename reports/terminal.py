"""A plan as terminal tables that stay readable at 80 columns and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from estimator.numbers import GIB
from estimator.planning import old_prices
from estimator.result import GROUPS, Arm, Estimate, Plan, TrainingOption
from estimator.words import count, money, percent

WIDE = 100
TOP_ASSUMPTIONS = 8
GROUP_HEADS = {
    "data": "data",
    "pilot": "pilot",
    "experiments": "exper.",
    "training": "train",
    "evaluation": "eval",
    "retrains": "retrain",
    "serving": "serve",
    "upkeep": "upkeep",
    "people": "people",
}


def show_plan(plan: Plan, console: Console) -> None:
    """Everything a person needs to decide, in the order of the questions."""
    _question(plan, console)
    _verdict(plan, console)
    _training(plan, console)
    _cost_by_line(plan, console)
    _totals(plan, console)
    _assumptions(plan, console)
    _advice(plan, console)
    _prices(plan, console)
    _bullets(console, "Ruled out", _by_reason(plan))
    _bullets(console, "Not included", plan.not_included)
    _bullets(console, "Next", plan.next_commands)


def heading(console: Console, text: str) -> None:
    """A section title."""
    console.print()
    console.print(Text(text, style="bold"))


def table(*columns: tuple[str, str]) -> Table:
    """A table without rules: (title, justification) per column."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, justify in columns:
        made.add_column(
            title,
            justify="right" if justify == "right" else "left",
            overflow="fold",
            no_wrap=justify == "right",
        )
    return made


def _question(plan: Plan, console: Console) -> None:
    values, work = plan.scenario.assumptions, plan.workload
    console.print(Text(f"ftcost {plan.version}: {plan.model.id}", style="bold"))
    console.print(plan.model.how)
    layout = "packed to" if plan.scenario.packing else "padded, at most"
    console.print(
        f"{values['rows']:,.0f} rows x {work.tokens_per_row:,.0f} tokens x {values['epochs']:g} epochs ="
        f" {count(work.useful_tokens)} tokens ({layout} {values['seq_len']:,.0f});"
        f" {values['requests_per_day']:,.0f} requests a day of {values['input_tokens']:,.0f} tokens in,"
        f" {values['output_tokens']:,.0f} out, for {values['horizon_months']:.0f} months."
    )
    if plan.defaults_used:
        console.print(f"Defaults taken: {', '.join(plan.defaults_used)}.")


def _verdict(plan: Plan, console: Console) -> None:
    heading(console, "Recommendation")
    console.print(Text(plan.verdict.headline, style="bold green"))
    for reason in plan.verdict.reasons:
        console.print(_hanging(reason, "because "))
    for flip in plan.verdict.flips:
        console.print(_hanging(flip, "flips: "))


def _hanging(text: str, lead: str = "- ") -> RenderableType:
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(lead, text)
    return Padding(grid, (0, 0, 0, 2))


def _training(plan: Plan, console: Console) -> None:
    heading(console, "One production run (P10 to P90 below each estimate)")
    columns = [("method", "left"), ("best at", "left"), ("hardware", "left"), ("GiB", "right")]
    columns += [("hours", "right"), ("USD", "right")]
    wide = console.width >= WIDE
    rows = table(*columns, *([("tokens/s per GPU", "right"), ("MFU", "right")] if wide else []))
    for option in plan.training_options:
        extra = [f"{option.tokens_per_s_per_gpu:,.0f}", percent(option.mfu)] if wide else []
        hours, usd = option.hours, option.usd
        rows.add_row(
            option.method,
            "\n".join(option.roles),
            hardware(option),
            f"{option.allocated_bytes / GIB:.1f}\nof {option.limit_bytes / GIB:.1f}",
            f"{hours.base:.3g}\n{hours.p10:.2g} to {hours.p90:.2g}",
            f"{money(usd.base)}\n{spread(usd)}",
            *extra,
        )
    console.print(rows)


def hardware(option: TrainingOption) -> str:
    """Cards with their sharding; provider, region and price below."""
    spare = f" of {option.gpus_billed} billed" if option.gpus_billed != option.gpus else ""
    sharding = f", {option.sharding}" if option.gpus > 1 else ""
    return (
        f"{option.gpus} x {short(option.gpu_label)}{spare}{sharding}\n"
        f"{option.provider} {option.region}, ${option.usd_per_gpu_hour:.2f}/GPU-h"
    )


def short(gpu_label: str) -> str:
    """A card's name without its maker."""
    return gpu_label.removeprefix("NVIDIA ").removeprefix("AMD ").removeprefix("Intel ").removeprefix("GeForce ")


def _cost_by_line(plan: Plan, console: Console) -> None:
    months = plan.scenario.assumptions["horizon_months"]
    heading(console, f"Cost by line over {months:.0f} months, thousand USD, at base assumptions")
    rows = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    rows.add_column("", overflow="fold")
    for group in GROUPS:
        rows.add_column(GROUP_HEADS[group], justify="right", no_wrap=True)
    rows.add_column("total", justify="right", no_wrap=True)
    for arm in plan.arms:
        rows.add_row(
            label(arm), *(thousands(arm.groups_usd[group]) for group in GROUPS), thousands(arm.total_usd.base)
        )
    console.print(rows)


def thousands(usd: float) -> str:
    """Thousand dollars in at most five characters; a dash for nothing."""
    if usd == 0:
        return "-"
    value = usd / 1000
    if value < 0.005:
        return "<0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def label(arm: Arm) -> str:
    """The arm's label without the provider of an API model."""
    return arm.label.split("/", 1)[-1] if arm.kind == "api" else arm.label


def _totals(plan: Plan, console: Console) -> None:
    months = plan.scenario.assumptions["horizon_months"]
    tuned = next((arm for arm in plan.arms if arm.id == plan.best_tuned), None)
    heading(console, f"Total over {months:.0f} months with uncertainty, and when tuning pays")
    wide = console.width >= WIDE
    rows = table(
        ("option", "left"),
        ("base", "right"),
        ("P10 to P90", "right"),
        ("per 1,000", "right"),
        ("cheapest", "right"),
        ("pays from", "right"),
        *([("P10 to P90", "right")] if wide else []),
    )
    crossings = {one.rival: one for one in plan.break_evens}
    for arm in sorted(plan.arms, key=lambda one: one.total_usd.base):
        one = crossings.get(arm.id)
        rows.add_row(
            label(arm),
            money(arm.total_usd.base),
            spread(arm.total_usd),
            f"${arm.usd_per_1000_requests:,.2f}",
            percent(arm.probability_cheapest),
            volume(one.lowest_per_day) if one else "",
            *([f"{volume(one.low_per_day)} to {volume(one.high_per_day)}" if one else ""] if wide else []),
        )
    console.print(rows)
    if tuned:
        console.print(
            "base: at base assumptions; so is per 1,000 (USD per 1,000 requests). cheapest: share of draws. pays from: requests"
            f" a day from which {tuned.label} costs less than that option. Quality is taken to be equal."
        )


def spread(usd: Estimate) -> str:
    """P10 to P90."""
    return f"{money(usd.p10)} to {money(usd.p90)}"


def volume(per_day: float | None) -> str:
    """A break-even volume in few characters."""
    return "never" if per_day is None else money(per_day).removeprefix("$")


def _assumptions(plan: Plan, console: Console) -> None:
    if not plan.sensitivities:
        return
    tuned, rival = plan.arm(plan.best_tuned), plan.arm(plan.best_rival)
    heading(console, f"What the difference hangs on: {label(tuned)} less {label(rival)}")
    rows = table(("assumption", "left"), ("P10 to P90", "right"), ("unit", "left"), ("difference", "right"))
    for row in plan.sensitivities[:TOP_ASSUMPTIONS]:
        rows.add_row(
            row.label,
            f"{row.low:g} to {row.high:g}",
            row.unit,
            f"{money(row.usd_at_low)} to {money(row.usd_at_high)}",
        )
    console.print(rows)
    console.print("Set any of them with --set name=value; `ftcost assumptions` lists names and sources.")


def _advice(plan: Plan, console: Console) -> None:
    heading(console, "Advice")
    for rule in plan.advice:
        console.print(_hanging(f"{rule.text} {rule.because}"))


def _prices(plan: Plan, console: Console) -> None:
    days = sorted(price.seen for price in plan.prices)
    if not days:
        return
    heading(console, "Prices")
    console.print(
        f"As of {plan.scenario.as_of}; read between {days[0]} and {days[-1]}; {plan.scenario.purchase} GPU rates."
    )
    for price in old_prices(plan.prices):
        console.print(_hanging(f"old ({price.age_days} days): {price.provider}, {price.what}, seen {price.seen}"))


def _by_reason(plan: Plan) -> list[str]:
    """What was ruled out, alike reasons together."""
    reasons: dict[str, list[str]] = {}
    for row in plan.ruled_out:
        reasons.setdefault(row.reason, []).append(row.what)
    return [f"{'; '.join(whats)}: {reason}" for reason, whats in reasons.items()]


def _bullets(console: Console, title: str, texts: Sequence[str] | Iterable[str]) -> None:
    listed = list(texts)
    if not listed:
        return
    heading(console, title)
    for text in listed:
        console.print(_hanging(text))
