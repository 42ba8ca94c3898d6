"""A plan as terminal tables that stay readable at 80 columns and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from estimator.accelerators import cpus
from estimator.machine import profile_notes
from estimator.numbers import GIB
from estimator.provenance import old_prices
from estimator.result import GROUPS, Estimate, Plan, ServingOption, TrainingOption
from estimator.words import count, counted, money, percent, seconds
from reports import findings
from reports.findings import accuracy
from reports.screen import GAP, Column, Screen, numbers, words
from reports.style import dollars, quantity, rented_from, short_label

WIDE = 100
TOP_ASSUMPTIONS = 8
TOP_REPLICAS = 3
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


def show_plan(plan: Plan, screen: Screen) -> None:
    """Everything a person needs to decide, in the order of the questions."""
    _question(plan, screen)
    _verdict(plan, screen)
    _training(plan, screen)
    _serving(plan, screen)
    _cost_by_line(plan, screen)
    _totals(plan, screen)
    _retraining(plan, screen)
    _assumptions(plan, screen)
    _advice(plan, screen)
    _prices(plan, screen)
    _bullets(screen, "Accuracy (`ftcost validate` shows more)", accuracy())
    _bullets(screen, "Ruled out", findings.ruled_out(plan))
    _bullets(screen, "Not included", plan.not_included)
    _bullets(screen, "Next", plan.next_commands)
    screen.line()
    screen.line(plan.verdict.headline, strong=True)


def _question(plan: Plan, screen: Screen) -> None:
    values, work = plan.scenario.assumptions, plan.workload
    screen.line(f"ftcost {plan.version}: {plan.model.id}", strong=True)
    screen.line(plan.model.how)
    layout = "packed to" if plan.scenario.packing else "padded, at most"
    cut = f" (of {values['tokens_per_row']:,.0f}; --seq-len cuts off the rest)" if work.truncated else ""
    screen.line(
        f"{counted(round(values['rows']), 'row')} x {counted(round(work.tokens_per_row), 'token')}{cut} x"
        f" {counted(values['epochs'], 'epoch')} = {count(work.useful_tokens)} tokens"
        f" ({layout} {values['seq_len']:,.0f}); {counted(values['requests_per_day'], 'request')} a day of"
        f" {counted(values['input_tokens'], 'token')} in, {values['output_tokens']:,.0f} out,"
        f" for {findings.months_text(findings.horizon(plan))}."
    )
    if plan.defaults_used:
        screen.line(f"Defaults taken: {', '.join(plan.defaults_used)}.")
    for note in profile_notes(values):
        screen.line(note)


def _verdict(plan: Plan, screen: Screen) -> None:
    screen.heading("Recommendation")
    screen.line(plan.verdict.headline, strong=True)
    for reason in plan.verdict.reasons:
        screen.item(reason, "because ")
    for flip in plan.verdict.flips:
        screen.item(flip, "flips: ")


def _training(plan: Plan, screen: Screen) -> None:
    if not plan.training_options:
        screen.line()
        screen.line(f"{findings.training(plan)}.")
        return
    screen.heading("One production run, all epochs (P10 to P90 below each estimate)")
    wide = screen.width >= WIDE
    rows = []
    for option in plan.training_options:
        extra = [f"{option.tokens_per_s_per_gpu:,.0f}", percent(option.mfu)] if wide else []
        hours, usd = option.hours, option.usd
        rows.append(
            [
                option.method,
                "\n".join(option.roles),
                hardware(option),
                f"{option.allocated_bytes / GIB:.1f}\nof {option.limit_bytes / GIB:.1f}",
                f"{_digits(hours.base, 3)}\n{_digits(hours.p10, 2)} to {_digits(hours.p90, 2)}",
                f"{money(usd.base)}\n{spread(usd)}",
                *extra,
            ]
        )
    more = numbers("tokens/s per GPU", "MFU") if wide else []
    screen.table([*words("method", "best at", "hardware"), *numbers("GiB", "hours", "USD"), *more], rows)
    screen.line("GiB: peak of the tensors on one card, of what the card offers.")
    for text in (*findings.whole_experts(plan), *findings.bought(plan)):
        screen.line(text)


def _digits(value: float, digits: int) -> str:
    """So many digits, without an exponent below a million.

    >>> _digits(55_123.0, 3), _digits(0.8396, 2)
    ('55,100', '0.84')
    """
    return f"{float(f'{value:.{digits}g}'):,g}"


def _serving(plan: Plan, screen: Screen) -> None:
    options = plan.serving_options[:TOP_REPLICAS]
    if not options:
        return
    processors = cpus() if plan.scenario.cpu in ("also", "only") else {}

    def unit(option: ServingOption) -> str:
        return "hour" if option.gpu in processors else "GPU-h"

    screen.heading("Replicas for the tuned model, cheapest cards (`ftcost serve-plan` shows all)")
    screen.table(
        [*words("replica", "held up by"), *numbers("replicas", "busy", "at peak", "P95 first", "per token")],
        [
            [
                f"{option.gpus_per_replica} x {short(option.gpu_label)}, {option.weights_dtype}\n"
                f"{option.provider}, ${option.usd_per_gpu_hour:.2f}/{unit(option)}",
                option.binding,
                str(option.replicas),
                percent(option.utilisation_fraction),
                percent(option.peak_load_fraction),
                seconds(option.ttft_p95_s),
                seconds(option.peak_time_per_output_token_s),
            ]
            for option in options
        ],
    )
    screen.line("P95 first: to the first token in the busiest hour, waiting included; per token: in that hour.")
    for text in findings.autoscaling(plan):
        screen.line(text)


def hardware(option: TrainingOption) -> str:
    """Cards with their sharding; provider, region and price below."""
    spare = f" of {option.gpus_billed} billed" if option.gpus_billed != option.gpus else ""
    sharding = f", {option.sharding}" if option.gpus > 1 else ""
    return (
        f"{option.gpus} x {short(option.gpu_label)}{spare}{sharding}\n"
        f"{rented_from(option)}, ${option.usd_per_gpu_hour:.2f}/GPU-h"
    )


def short(gpu_label: str) -> str:
    """A card's name without its maker."""
    return gpu_label.removeprefix("NVIDIA ").removeprefix("AMD ").removeprefix("Intel ").removeprefix("GeForce ")


def _cost_by_line(plan: Plan, screen: Screen) -> None:
    months = findings.months_text(findings.horizon(plan))
    screen.heading(f"Cost by line over {months}, thousand USD, at base assumptions")
    rows = [
        [short_label(arm), *(thousands(arm.groups_usd[group]) for group in GROUPS), thousands(arm.total_usd.base)]
        for arm in plan.arms
    ]
    heads = [GROUP_HEADS[group] for group in GROUPS]
    screen.table([Column("option"), *numbers(*heads, "total")], rows, gap=1)


def thousands(usd: float) -> str:
    """Thousand dollars in at most five characters; a dash for nothing."""
    if usd == 0:
        return "-"
    value = usd / 1000
    if value < 0.005:
        return "<0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _totals(plan: Plan, screen: Screen) -> None:
    months = findings.months_text(findings.horizon(plan))
    tuned = next((arm for arm in plan.arms if arm.id == plan.best_tuned), None)
    screen.heading(f"Total over {months} with uncertainty, and when tuning pays")
    wide = screen.width >= WIDE
    crossings = {one.rival: one for one in plan.break_evens}
    rows = []
    for arm in sorted(plan.arms, key=lambda one: one.total_usd.base):
        one = crossings.get(arm.id)
        between = f"{volume(one.low_per_day)} to {volume(one.high_per_day)}" if one else ""
        rows.append(
            [
                short_label(arm),
                money(arm.total_usd.base),
                money(arm.total_usd.p50),
                spread(arm.total_usd),
                dollars(arm.usd_per_1000_requests),
                percent(arm.probability_cheapest),
                volume(one.lowest_per_day) if one else "",
                *([between] if wide else []),
            ]
        )
    heads = ["base", "P50", "P10 to P90", "per 1,000", "cheapest", "pays from", *(["P10 to P90"] if wide else [])]
    screen.table([Column("option"), *numbers(*heads)], rows, gap=GAP if wide else 1)
    if tuned:
        screen.line(
            "base: at base assumptions, and so is per 1,000 (USD per 1,000 requests). cheapest: share of draws."
            f" pays from: requests a day from which tuning {plan.model.id}, on replicas of its own or at a host,"
            " costs less. The"
            " base lies below the median because most ranges reach further up than down: budget between P50 and"
            " P90. Quality is taken to be equal."
        )
    for text in findings.payback(plan):
        screen.line(text)


def _retraining(plan: Plan, screen: Screen) -> None:
    if not plan.retraining:
        return
    months = findings.months_text(findings.horizon(plan))
    screen.heading(f"Retraining {short_label(plan.arm(plan.best_tuned))} over {months}, at base assumptions")
    heads, rows = findings.retraining(plan)
    screen.table([Column(heads[0]), *numbers(*heads[1:])], rows)
    for text in findings.retraining_notes(plan):
        screen.line(text)


def spread(usd: Estimate) -> str:
    """P10 to P90."""
    return f"{money(usd.p10)} to {money(usd.p90)}"


def volume(per_day: float | None) -> str:
    """A break-even volume in few characters."""
    return "never" if per_day is None else money(per_day).removeprefix("$")


def _assumptions(plan: Plan, screen: Screen) -> None:
    if not plan.sensitivities:
        return
    tuned, rival = plan.arm(plan.best_tuned), plan.arm(plan.best_rival)
    screen.heading(f"What the difference hangs on: {short_label(tuned)} less {short_label(rival)}")
    rows = [
        [
            row.label,
            f"{quantity(row.low)} to {quantity(row.high)}",
            row.unit,
            f"{money(row.usd_at_low)} to {money(row.usd_at_high)}",
        ]
        for row in plan.sensitivities[:TOP_ASSUMPTIONS]
    ]
    screen.table([Column("assumption"), *numbers("P10 to P90"), Column("unit"), *numbers("difference")], rows)
    screen.line("Set any of them with --set name=value; `ftcost assumptions` lists names and sources.")


def _advice(plan: Plan, screen: Screen) -> None:
    screen.heading("Advice")
    for rule in plan.advice:
        screen.item(rule.whole)


def _prices(plan: Plan, screen: Screen) -> None:
    days = sorted(price.seen for price in plan.prices)
    if not days:
        return
    screen.heading("Prices")
    screen.line(
        f"As of {plan.scenario.as_of}; read between {days[0]} and {days[-1]}; {plan.scenario.purchase} GPU rates."
    )
    for text in findings.announced(plan):
        screen.item(text)
    for price in old_prices(plan.prices):
        screen.item(f"old ({price.age_days} days): {price.provider}, {price.what}, seen {price.seen}")


def _bullets(screen: Screen, title: str, texts: Sequence[str] | Iterable[str]) -> None:
    listed = list(texts)
    if not listed:
        return
    screen.heading(title)
    for text in listed:
        screen.item(text)
