"""The printed report: eight pages, A4 or Letter, that can be read without the program."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from io import BytesIO
from typing import Any

from estimator.result import Plan
from estimator.words import count, counted, money, percent
from pricing import OLD_AFTER_DAYS
from reports import findings
from reports.drawn import charts, run_charts
from reports.drawn.axes import drawing, kind_legend, legend_rows, without_ligatures
from reports.drawn.sheet import FOOT, MARGIN, Column, Sheet
from reports.drawn.text import fitted
from reports.layout import PAPER_IN, Paper
from reports.style import (
    SOFT,
    arm_notes,
    cards,
    dollars,
    duration,
    gib,
    quantity,
    rented_from,
    shortened,
    stamp,
    units,
)

TITLE_SIZE = 15.0
TORNADO_ROWS = 10
DRAWN_OPTIONS = 4
HEADING_ROOM = 26.0
CHART_ROOM = HEADING_ROOM + 52.0
AXES_ROOM = 60.0
"""What stands above and below the bars of the costs."""
LINES_ROOM = 105.0
"""A heading and a table of five cost lines."""
FOOTNOTES_ROOM = 50.0
SHORT_SOURCE = 40
"""Characters of a source that is repeated where it comes again."""
STATUSES = {
    "user": "given by you",
    "measured": "on the machine itself",
    "published": "read where its owner states it",
    "secondary": "quoted by others",
    "computed": "from other figures",
    "fitted": "to measured runs",
    "recalled": "not read again",
    "guess": "no source",
}
"""What the status of a figure means."""


def budget_pdf(plan: Plan, *, paper: Paper = "a4") -> bytes:
    """The report as a PDF with embedded TrueType fonts; the same plan gives the same bytes."""
    from matplotlib.backends.backend_pdf import PdfPages

    made = datetime.combine(plan.scenario.as_of, time(), tzinfo=UTC)
    stream = BytesIO()
    metadata = {
        "Title": f"Budget: {plan.model.id}",
        "Author": f"ftcost {plan.version}",
        "Subject": plan.verdict.headline,
        "Keywords": f"{stamp(plan)}; {plan.command}",
        "Creator": f"ftcost {plan.version}",
        "CreationDate": made,
        "ModDate": made,
    }
    with drawing(), PdfPages(stream, metadata=metadata) as document:
        for number in range(1, len(PAGES) + 1):
            document.savefig(page(plan, number, paper=paper))
    return stream.getvalue()


def page(plan: Plan, number: int, *, paper: Paper = "a4") -> Any:
    """One page as a figure; to be drawn within ``drawing()``."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    figure = Figure(figsize=PAPER_IN[paper])
    FigureCanvasPdf(figure)
    sheet = Sheet(figure=figure)
    figure.subplots_adjust(left=MARGIN / sheet.width, right=1 - MARGIN / sheet.width)
    PAGES[number - 1](sheet, plan)
    _footer(sheet, plan, number)
    without_ligatures(figure)
    return figure


def _footer(sheet: Sheet, plan: Plan, number: int) -> None:
    at = sheet.y
    sheet.y = sheet.height - FOOT + 8
    sheet.rule()
    room = sheet.inner - 60
    sheet.put(MARGIN, sheet.y + 9, fitted(stamp(plan), room, 6.8), 6.8, colour=SOFT)
    sheet.put(MARGIN, sheet.y + 19, fitted(plan.command, room, 6.8), 6.8, colour=SOFT)
    sheet.put(sheet.width - MARGIN, sheet.y + 9, f"{number} / {len(PAGES)}", 8, colour=SOFT, right=True)
    sheet.y = at


def _title(sheet: Sheet, kicker: str, title: str) -> None:
    sheet.paragraph(kicker.upper(), 7.5, colour=SOFT, after=2)
    sheet.paragraph(title, TITLE_SIZE, bold=True, after=8, lines=4)


def _answer(sheet: Sheet, plan: Plan) -> None:
    arm = plan.arm(plan.verdict.arm)
    total, months = arm.total_usd, findings.horizon(plan)
    values = plan.scenario.assumptions
    _title(sheet, f"The answer · {plan.model.id}", findings.answer(plan))
    sheet.paragraph(
        f"{arm.label} costs {money(total.base)} over {findings.months_text(months)} at the base values:"
        f" {money(arm.build_usd)} before the first month, and {dollars(arm.usd_per_1000_requests)} for every 1,000"
        f" requests all told. Over {plan.scenario.draws:,} draws of the assumptions its median is"
        f" {money(total.p50)}, its 10th percentile {money(total.p10)} and its 90th {money(total.p90)}; it is the"
        f" cheapest way in {percent(arm.probability_cheapest)} of them."
    )
    sheet.paragraph(
        f"The task: {counted(values['requests_per_day'], 'request')} a day of"
        f" {quantity(values['input_tokens'])} input and {quantity(values['output_tokens'])} output tokens;"
        f" {counted(values['rows'], 'row')} of training data; {plan.model.parameters / 1e9:.3g} billion parameters"
        f" ({plan.model.how.rstrip('.')}).",
        colour=SOFT,
    )
    sheet.heading("Why")
    sheet.points([findings.sentence(text) for text in plan.verdict.reasons], 9.0)
    sheet.heading("What would change it")
    flips = plan.verdict.flips or ("nothing in the range searched",)
    sheet.points([findings.sentence(text) for text in flips], 9.0)
    rows = len(plan.arms)
    wanted = max(110.0, min(26.0 * rows + 20, 330.0))
    least = min(wanted, 12.5 * rows + 14) + CHART_ROOM
    crossings = findings.break_even(plan)[:3]
    sheet.heading("Break-even")
    sheet.points(crossings[: max(1, sheet.fitting(crossings, 9.0, keep=least))], 9.0)
    sheet.heading("What each way costs")
    height = min(wanted, sheet.room - CHART_ROOM + HEADING_ROOM)
    kind_legend(sheet.figure, plan, x=MARGIN / sheet.width, y=1 - (sheet.y + 4) / sheet.height)
    charts.ranges(sheet.axes(height, left=185, right=52, above=14), plan)


def _steps(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "What to do", findings.first_step(plan))
    retraining = 14.0 * (len(plan.retraining) + 1) + HEADING_ROOM + 60 if plan.retraining else 0.0
    steps = [advice.whole for advice in plan.advice]
    kept = sheet.fitting(steps, 8.5, keep=retraining + HEADING_ROOM + 70)
    sheet.points(steps[:kept], 8.5)
    if kept < len(steps):
        sheet.more(len(steps) - kept)
    if plan.retraining:
        sheet.heading(findings.retraining_title(plan))
        heads, rows = findings.retraining(plan)
        columns = [
            Column(head=heads[0], share=2.0),
            *(Column(head=head, share=1.0, number=True) for head in heads[1:]),
        ]
        planned = [place for place, case in enumerate(plan.retraining) if case.planned]
        sheet.table(columns, rows, bold_rows=planned)
        sheet.points(findings.retraining_notes(plan), 8.0)
    sheet.heading("Payback and break-even")
    sheet.points([*findings.payback(plan), *findings.break_even(plan)], 8.5)


def _over_time(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "Cost over time", findings.over_time(plan))
    sheet.paragraph(
        "What has been spent by the end of each month, in US dollars of today, not discounted. Month 0 is what is"
        " spent before the first request: data, pilot, training, people.",
        colour=SOFT,
    )
    kind_legend(sheet.figure, plan, x=MARGIN / sheet.width, y=1 - (sheet.y + 4) / sheet.height)
    height = max(210.0, min(sheet.room - 24.0 * len(plan.arms) - 130, 330.0))
    charts.cost_over_time(sheet.axes(height, left=48, right=190, above=20), plan)
    sheet.heading("The ways, cheapest first")
    columns = (
        Column(head="way", share=3.0),
        Column(head="before month 1", share=1.1, number=True),
        Column(head="a month after", share=1.1, number=True),
        Column(head="total", share=0.9, number=True),
        Column(head="P10 to P90", share=2.0, number=True),
        Column(head="present value", share=1.1, number=True),
        Column(head="per 1,000 requests", share=1.3, number=True),
        Column(head="cheapest in", share=1.15, number=True),
    )
    arms = charts.ranked(plan)
    months = findings.horizon(plan)
    rows = [
        (
            arm.label,
            money(arm.build_usd),
            money((arm.total_usd.base - arm.build_usd) / months),
            money(arm.total_usd.base),
            f"{money(arm.total_usd.p10)} to {money(arm.total_usd.p90)}",
            money(arm.npv_usd.base),
            dollars(arm.usd_per_1000_requests),
            percent(arm.probability_cheapest),
        )
        for arm in arms
    ]
    chosen = [index for index, arm in enumerate(arms) if arm.id == plan.verdict.arm]
    sheet.table(columns, rows, size=7.0, lines=2, bold_rows=chosen)
    notes = {note: arm.label for arm in reversed(arms) for note in arm_notes(arm)}
    if notes and sheet.room > 40:
        sheet.points([f"{label}: {note}" for note, label in reversed(notes.items())], 7.5, lines=2)


def _money(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "Where the money goes", findings.where_it_goes(plan))
    rows = len(plan.arms)
    shown = [arm for arm in dict.fromkeys([plan.verdict.arm, plan.best_tuned]) if arm]
    height = max(90.0, min(30.0 * rows + 20, sheet.room - AXES_ROOM - LINES_ROOM * len(shown)))
    charts.options(sheet.axes(height, left=150, right=120, above=26), plan)
    for arm in shown:
        _lines_of(sheet, plan, arm)


def _lines_of(sheet: Sheet, plan: Plan, arm_id: str) -> None:
    arm = plan.arm(arm_id)
    lines = sorted((line for line in arm.lines if line.total_usd > 0), key=lambda line: -line.total_usd)
    sheet.heading(f"Largest lines of {shortened(arm.label, 60)}")
    columns = (
        Column(head="group", share=1.0),
        Column(head="line", share=2.6),
        Column(head="when", share=0.9),
        Column(head="quantity over the horizon", share=1.9, number=True),
        Column(head="total", share=0.9, number=True),
        Column(head="share", share=0.7, number=True),
    )
    when = {"once": "once", "retrain": "each retrain", "monthly": "every month"}
    rows = [
        (
            line.group,
            line.name,
            when[line.timing],
            f"{quantity(sum(line.quantity))} {units(line.unit, sum(line.quantity))}".strip(),
            money(line.total_usd) if line.total_usd >= 0.005 else "<$0.01",
            percent(line.total_usd / max(arm.total_usd.base, 1e-9)),
        )
        for line in lines
    ]
    both = plan.best_tuned and plan.best_tuned != plan.verdict.arm and arm_id == plan.verdict.arm
    sheet.table(columns, rows, keep=sheet.room * 0.58 if both else 0.0)


def _run(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "The training run", findings.training(plan))
    if not plan.training_options:
        sheet.paragraph("The ways compared here call models that others run, or serve a model as it is.")
        return
    work = plan.workload
    sheet.paragraph(
        f"One run reads {count(work.useful_tokens)} useful tokens ({count(work.processed_tokens)} with packing or"
        f" padding) in {findings.steps(plan)}. {plan.search_candidates:,}"
        f" configurations were compared; these are the cheapest, the fastest and the smallest of each method.",
        colour=SOFT,
    )
    options = plan.training_options
    columns = (
        Column(head="method", share=1.15),
        Column(head="chosen as", share=1.2),
        Column(head="cards", share=2.7),
        Column(head="sharding", share=1.0),
        Column(head="provider", share=1.5),
        Column(head="USD per GPU-hour", share=1.1, number=True),
        Column(head="memory needed, GiB", share=1.8, number=True),
        Column(head="time", share=1.1, number=True),
        Column(head="cost", share=0.8, number=True),
        Column(head="P10 to P90", share=1.8, number=True),
    )
    rows = [
        (
            run_charts.METHODS[option.method],
            ", ".join(option.roles),
            cards(option),
            option.sharding,
            rented_from(option),
            dollars(option.usd_per_gpu_hour),
            f"{gib(option.allocated_bytes)} of {gib(option.limit_bytes)}".replace(" GiB", ""),
            duration(option.hours.base),
            money(option.usd.base),
            f"{money(option.usd.p10)} to {money(option.usd.p90)}",
        )
        for option in options
    ]
    sheet.table(columns, rows, size=7.0, lines=3)
    for text in findings.whole_experts(plan):
        sheet.paragraph(text, colour=SOFT)
    drawn = (
        [option for option in options if "cheapest" in option.roles] if len(options) > DRAWN_OPTIONS else options
    )
    which = "" if len(drawn) == len(options) else ": the cheapest of each method"
    entries = legend_rows(run_charts.memory_entries(drawn)), legend_rows(run_charts.time_entries(drawn))
    each = (sheet.room - 2 * 62 - 12 * sum(entries)) / 2
    height = max(90.0, min(each, 50.0 * len(drawn) + 20))
    sheet.heading(f"Memory per card, by part{which}")
    run_charts.memory(sheet.axes(height, left=130, right=6, above=4 + 12 * entries[0]), drawn)
    sheet.heading(f"Time of one optimizer step, by part{which}", before=0)
    run_charts.step_time(sheet.axes(height, left=130, right=6, above=4 + 12 * entries[1]), drawn)


def _doubt(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "What the answer hangs on", findings.hangs_on(plan))
    rows = plan.sensitivities[:TORNADO_ROWS]
    if rows:
        tuned, rival = findings.named(plan.arm(plan.best_tuned)), findings.named(plan.arm(plan.best_rival))
        sheet.paragraph(
            "Each bar moves one assumption from its 10th to its 90th percentile and leaves the others at their"
            f" base value. It shows what {tuned} then costs more (right of the dashes) or less than {rival}."
            " The numbers at the ends are the values that were tried: red where tuning then costs more than at the"
            " base values, blue where it costs less.",
            colour=SOFT,
        )
        charts.tornado(sheet.axes(24.0 * len(rows) + 12, left=165, right=10), plan, rows)
    sheet.heading("How often each way is the cheapest")
    sheet.paragraph(
        f"Every assumption was drawn {plan.scenario.draws:,} times within its range, the same draw for every way.",
        colour=SOFT,
    )
    likely = sum(arm.probability_cheapest >= 0.005 for arm in plan.arms)
    shown = min(len(plan.arms), max(likely, 3), int((sheet.room - 60) / 24))
    charts.chances(sheet.axes(24.0 * shown + 8, left=165, right=10), plan, shown)
    if plan.ruled_out and sheet.room > 70:
        sheet.heading("Considered and ruled out")
        sheet.points(findings.ruled_out(plan), 8.0)


def _basis(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "What it rests on", findings.assumptions(plan))
    known = plan.scenario.assumptions
    moving = {item.name: index for index, item in enumerate(plan.sensitivities)}
    listed = [row for row in known.rows if row.status == "user"]
    listed += sorted((row for row in known.rows if row.name in moving), key=lambda row: moving[row.name])
    if not moving:
        read = {name for arm in plan.arms for line in arm.lines for name in line.parameters}
        listed += [row for row in known.rows if row.name in read]
    columns = (
        Column(head="assumption", share=3.0),
        Column(head="value", share=1.0, number=True),
        Column(head="P10 to P90", share=1.5, number=True),
        Column(head="unit", share=1.1),
        Column(head="status", share=0.95),
        Column(head="source", share=3.4),
    )
    rows = [
        (
            row.label,
            quantity(row.base),
            f"{quantity(row.low)} to {quantity(row.high)}" if row.low < row.high else "fixed",
            row.unit,
            row.status,
            row.source,
        )
        for row in dict.fromkeys(listed)
    ]
    sheet.table(columns, rows, size=6.8, lines=0, keep=FOOTNOTES_ROOM)
    if plan.defaults_used:
        sheet.paragraph(f"Defaults used: {', '.join(plan.defaults_used)}", 6.8, colour=SOFT, lines=3)
    meanings = "; ".join(
        f"{status}: {STATUSES[status]}" for status in STATUSES if status in {row[4] for row in rows}
    )
    sheet.paragraph(
        f"Status. {findings.sentence(meanings)}. P10 to P90: 80 % of the draws lie between.", 6.8, colour=SOFT
    )


def _prices(sheet: Sheet, plan: Plan) -> None:
    _title(sheet, "Prices, accuracy, and what is left out", findings.prices(plan))
    columns = (
        Column(head="what", share=3.3),
        Column(head="provider", share=1.2),
        Column(head="price", share=0.8, number=True),
        Column(head="unit", share=1.4),
        Column(head="read", share=1.3),
        Column(head="status", share=1.0),
        Column(head="source", share=3.4),
    )
    rows = [
        (
            item.what,
            item.provider,
            dollars(item.usd),
            item.unit,
            f"{item.seen.isoformat()}{' (old)' if item.age_days > OLD_AFTER_DAYS else ''}",
            item.status,
            "as above"
            if before and before.source == item.source and len(item.source) > SHORT_SOURCE
            else item.source,
        )
        for before, item in zip((None, *plan.prices), plan.prices, strict=False)
    ]
    left_out = sheet.points_height([*plan.not_included, *findings.accuracy()], 7.5) + 2 * HEADING_ROOM + 12
    if rows:
        sheet.table(columns, rows, size=6.8, lines=0, keep=left_out)
        sheet.paragraph("`ftcost prices --json` lists every price with its address.", 6.8, colour=SOFT)
    sheet.heading("Accuracy against measured runs", before=2)
    sheet.points(findings.accuracy(), 7.5)
    if plan.not_included:
        sheet.heading("Not included", before=2)
        sheet.points(plan.not_included, 7.5)


PAGES: tuple[Callable[[Sheet, Plan], None], ...] = (
    _answer,
    _steps,
    _over_time,
    _money,
    _run,
    _doubt,
    _basis,
    _prices,
)
