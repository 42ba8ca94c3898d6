"""The parts of the web page after the what-if panel: a title that states a finding, charts, sortable tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from estimator.result import Arm, Plan, TrainingOption
from estimator.words import count, money, percent
from reports import findings
from reports.drawn import charts, images, run_charts
from reports.style import KIND_LABELS, arm_notes, cards, dollars, duration, gib, quantity
from reports.web.parts import Cell, Head, Row, chart, listed, paragraph, points, section, table

WHEN = {"once": "once", "retrain": "each retrain", "monthly": "every month"}


def over_time(plan: Plan) -> str:
    """Cumulative cost by month, and a table of every arm."""
    arms = charts.ranked(plan)
    months = findings.horizon(plan)
    heads = (
        Head("way"),
        Head("kind"),
        *(
            Head(text, number=True)
            for text in (
                "total",
                "P10",
                "P90",
                "before month 1",
                "a month after",
                "present value",
                "per 1,000 requests",
                "cheapest in",
            )
        ),
    )
    rows: list[Row] = [
        (
            Cell(text=arm.label, style=f"kind-{arm.kind}"),
            KIND_LABELS[arm.kind],
            *(
                Cell(text=money(usd), value=usd)
                for usd in (
                    arm.total_usd.base,
                    arm.total_usd.p10,
                    arm.total_usd.p90,
                    arm.build_usd,
                    (arm.total_usd.base - arm.build_usd) / months,
                    arm.npv_usd.base,
                )
            ),
            Cell(text=dollars(arm.usd_per_1000_requests), value=arm.usd_per_1000_requests),
            Cell(text=percent(arm.probability_cheapest), value=arm.probability_cheapest),
        )
        for arm in arms
    ]
    chosen = [index for index, arm in enumerate(arms) if arm.id == plan.verdict.arm]
    return section(
        "over-time",
        "Cost over time",
        findings.over_time(plan),
        chart(plan, images.cost_over_time(plan), anchor="cost-over-time"),
        table(heads, rows, chosen=chosen),
        points(_notes(arms)),
    )


def _notes(arms: Sequence[Arm]) -> list[str]:
    """What is to be known of an arm, said once for all that it holds for."""
    found: dict[str, list[str]] = {}
    for arm in arms:
        for note in arm_notes(arm):
            found.setdefault(note, []).append(arm.label)
    return [f"{'; '.join(dict.fromkeys(labels))}: {note}" for note, labels in found.items()]


def money_by_group(plan: Plan) -> str:
    """Cost by group, and every line of every arm."""
    return section(
        "money",
        "Where the money goes",
        findings.where_it_goes(plan),
        chart(plan, images.options(plan), anchor="options"),
        "<h3>Every cost line</h3>",
        *(_lines(arm) for arm in charts.ranked(plan)),
    )


def _lines(arm: Arm) -> str:
    heads = (
        Head("group"),
        Head("line"),
        Head("when"),
        Head("quantity over the horizon", number=True),
        Head("unit"),
        Head("total", number=True),
        Head("share", number=True),
    )
    lines = sorted((line for line in arm.lines if line.total_usd > 0), key=lambda line: -line.total_usd)
    total = max(arm.total_usd.base, 1e-9)
    rows = [
        (
            line.group,
            line.name,
            WHEN[line.timing],
            Cell(text=quantity(sum(line.quantity)), value=sum(line.quantity)),
            line.unit,
            Cell(text=money(line.total_usd), value=line.total_usd),
            Cell(text=percent(line.total_usd / total), value=line.total_usd / total),
        )
        for line in lines
    ]
    summary = f"{arm.label}: {money(arm.total_usd.base)}"
    return f"<details><summary>{escape(summary)}</summary>\n{table(heads, rows)}</details>"


def training_run(plan: Plan) -> str:
    """The training options: table, memory, time of a step."""
    if not plan.training_options:
        return section("run", "The training run", findings.training(plan))
    work = plan.workload
    heads = (
        Head("method"),
        Head("chosen as"),
        Head("cards"),
        Head("split"),
        Head("provider"),
        Head("USD per GPU-hour", number=True),
        Head("GiB needed", number=True),
        Head("GiB offered", number=True),
        Head("time", number=True),
        Head("cost", number=True),
        Head("P10", number=True),
        Head("P90", number=True),
    )
    return section(
        "run",
        "The training run",
        findings.training(plan),
        paragraph(
            f"One run reads {count(work.useful_tokens)} useful tokens ({count(work.processed_tokens)} with packing"
            f" or padding) in {findings.steps(plan)}. {plan.search_candidates:,}"
            " configurations were compared; these are the cheapest, the fastest and the smallest of each method.",
            "soft",
        ),
        table(heads, [_option(option) for option in plan.training_options]),
        *(paragraph(text, "soft") for text in findings.whole_experts(plan)),
        chart(plan, images.memory(plan), anchor="memory"),
        chart(plan, images.step_time(plan), anchor="step-time"),
    )


def _option(option: TrainingOption) -> tuple[Cell | str, ...]:
    return (
        run_charts.METHODS[option.method],
        ", ".join(option.roles),
        cards(option),
        option.sharding,
        option.provider,
        Cell(text=dollars(option.usd_per_gpu_hour), value=option.usd_per_gpu_hour),
        Cell(text=gib(option.allocated_bytes), value=option.allocated_bytes),
        Cell(text=gib(option.limit_bytes), value=option.limit_bytes),
        Cell(text=duration(option.hours.base), value=option.hours.base),
        *(Cell(text=money(usd), value=usd) for usd in (option.usd.base, option.usd.p10, option.usd.p90)),
    )


def retraining(plan: Plan) -> str:
    """What each retrain interval costs and holds."""
    if not plan.retraining:
        return ""
    heads, texts = findings.retraining(plan)
    rows: list[Row] = []
    for case, (label, *cells) in zip(plan.retraining, texts, strict=True):
        lost = case.quality_lost_usd
        values = [case.retrains, case.retrain_usd, case.lowest_quality_fraction]
        values += [] if lost is None else [lost, case.retrain_usd + lost]
        rows.append((label, *(Cell(text=text, value=value) for text, value in zip(cells, values, strict=True))))
    return section(
        "retraining",
        "Retraining",
        findings.retraining_title(plan),
        table(
            [Head(heads[0]), *(Head(head, number=True) for head in heads[1:])],
            rows,
            chosen=[place for place, case in enumerate(plan.retraining) if case.planned],
        ),
        points(findings.retraining_notes(plan)),
    )


def doubt(plan: Plan) -> str:
    """What the answer hangs on, and how sure it is."""
    return section(
        "doubt",
        "What the answer hangs on",
        findings.hangs_on(plan),
        chart(plan, images.tornado(plan), anchor="tornado") if plan.sensitivities else "",
        chart(plan, images.chances(plan), anchor="chances"),
    )


def basis(plan: Plan) -> str:
    """Assumptions, prices, what was ruled out and what is not included."""
    known = plan.scenario.assumptions.rows
    moving = {item.name: item.swing_usd for item in plan.sensitivities}
    first = sorted(known, key=lambda row: (row.status != "user", -moving.get(row.name, 0.0)))
    heads = (
        Head("assumption"),
        Head("name"),
        Head("value", number=True),
        Head("P10", number=True),
        Head("P90", number=True),
        Head("unit"),
        Head("status"),
        Head("moves the difference by", number=True),
        Head("source"),
        Head("checked"),
    )
    rows: list[Row] = [
        (
            row.label,
            row.name,
            *(Cell(text=quantity(value), value=value) for value in (row.base, row.low, row.high)),
            row.unit,
            row.status,
            Cell(text=money(moving[row.name]) if row.name in moving else "", value=moving.get(row.name, 0.0)),
            row.source,
            row.checked,
        )
        for row in first
    ]
    prices = [
        (
            item.what,
            item.provider,
            Cell(text=dollars(item.usd), value=item.usd),
            item.unit,
            item.seen.isoformat(),
            Cell(text=f"{item.age_days}", value=item.age_days),
            item.status,
            item.source,
        )
        for item in plan.prices
    ]
    price_heads = (
        Head("what"),
        Head("provider"),
        Head("price", number=True),
        Head("unit"),
        Head("seen"),
        Head("days old", number=True),
        Head("status"),
        Head("source"),
    )
    return section(
        "basis",
        "What it rests on",
        findings.assumptions(plan),
        paragraph(f"Defaults used: {', '.join(plan.defaults_used)}", "soft") if plan.defaults_used else "",
        f"<h3>Prices</h3>\n{table(price_heads, prices)}" if prices else "",
        f"<details><summary>All {len(rows)} assumptions</summary>\n{table(heads, rows)}</details>",
        listed("Accuracy against measured runs", findings.accuracy()),
        listed("Considered and ruled out", [f"{item.what}: {item.reason}" for item in plan.ruled_out]),
        listed("Not included", plan.not_included),
        listed("Next commands", plan.next_commands),
    )
