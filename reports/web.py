"""The report as one web page that needs no network: answer, what-if panel, charts, sortable tables."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from html import escape

from estimator.result import Arm, Plan, TrainingOption
from estimator.words import count, money, percent
from reports import charts, findings, images, run_charts
from reports.layout import Paper
from reports.style import KIND_LABELS, dollars, duration, gib, quantity, stamp
from reports.theme import DARK, variables
from reports.web_parts import Cell, Head, chart, paragraph, points, section, table
from reports.web_script import SLIDERS, inputs, json_for_script, panel_data, script, shipped

WHEN = {"once": "once", "retrain": "each retrain", "monthly": "every month"}


def report_html(plan: Plan, *, paper: Paper = "a4") -> bytes:
    """The page, in UTF-8; the same plan gives the same bytes.

    Args:
        paper: size of the sheets that it is printed on.
    """
    program = script(plan)
    digest = b64encode(sha256(program.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    body = "\n".join(part(plan) for part in PARTS)
    title = escape(f"Budget: {plan.model.id}")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="{escape(f"ftcost {plan.version}")}">
<title>{title}</title>
<style>
{_colours()}
@page {{ size: {paper}; margin: 14mm; }}
{shipped("report.css")}</style>
</head>
<body>
<main>
{body}
</main>
<footer>
{paragraph(stamp(plan))}
<p><code>{escape(plan.command)}</code></p>
</footer>
<script type="application/json" id="plan-data">{json_for_script(panel_data(plan))}</script>
<script>{program}</script>
</body>
</html>
"""
    return page.encode()


def _colours() -> str:
    names = variables()
    light = "".join(f"--{name}:{colour};" for colour, name in names.items())
    dark = "".join(f"--{name}:{DARK[colour]};" for colour, name in names.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def _answer(plan: Plan) -> str:
    arm = plan.arm(plan.verdict.arm)
    total = arm.total_usd
    return "\n".join(
        (
            f'<header>\n<p class="kicker">{escape(f"Budget · {plan.model.id}")}</p>',
            f"<h1>{escape(findings.answer(plan))}</h1>",
            paragraph(
                f"{arm.label} costs {money(total.base)} over {findings.horizon(plan)} months at the base values,"
                f" {money(arm.build_usd)} of it before the first; 10th to 90th percentile {money(total.p10)} to"
                f" {money(total.p90)}; {dollars(arm.usd_per_1000_requests)} for every 1,000 requests. It is the"
                f" cheapest way in {percent(arm.probability_cheapest)} of {plan.scenario.draws:,} draws of the"
                " assumptions."
            ),
            "</header>",
            '<section class="columns" id="answer">',
            _listed("Why", [findings.sentence(text) for text in plan.verdict.reasons]),
            _listed("What would change it", [findings.sentence(text) for text in plan.verdict.flips]),
            _listed("Break-even", findings.break_even(plan), first=4),
            _listed("Next steps", [f"{advice.text} {advice.because}" for advice in plan.advice]),
            "</section>",
        )
    )


def _listed(title: str, items: Sequence[str], *, first: int = 0) -> str:
    """A list under its title; with ``first``, what comes after so many items is folded away."""
    if not items:
        return ""
    shown, rest = (items[:first], items[first:]) if first else (items, ())
    folded = f"<details><summary>{len(rest)} more</summary>\n{points(rest)}</details>" if rest else ""
    return f"<div><h3>{escape(title)}</h3>\n{points(shown)}{folded}</div>"


def _what_if(plan: Plan) -> str:
    known = inputs(plan)
    sliders = "\n".join(_field(name, known[name], slider=True) for name in SLIDERS if name in known)
    others = "\n".join(_field(name, row, slider=False) for name, row in known.items() if name not in SLIDERS)
    groups = "".join(
        f'<th scope="col" class="number"><i class="key" style="background:var(--group-{group})"></i>{group}</th>'
        for group in panel_data(plan)["groups"]
    )
    return f"""<noscript><p class="alert">The what-if panel and the sorting of tables need JavaScript; all else is here.\
</p></noscript>
<section id="what-if" hidden>
<p class="kicker">What if</p>
<h2 id="live-answer" aria-live="polite"></h2>
<p class="soft">Move a slider or type a value. Cards, their speed and the API models stay as the program chose them\
 for its own values.</p>
<div class="fields">
{sliders}
</div>
<details class="no-print"><summary>Every other assumption that the costs read</summary>
<div class="fields small">
{others}
</div></details>
<p class="no-print"><button type="button" id="reset">Back to the plan's values</button></p>
<p id="live-again" hidden>To choose cards and models anew for these values, run the plan again with\
 <code id="live-command"></code></p>
<div class="scroll"><table><thead><tr><th scope="col">way</th><th scope="col" class="number">total</th>\
<th scope="col" class="number">against the plan</th><th scope="col" class="number">per 1,000 requests</th>\
<th scope="col" class="number">before month 1</th><th scope="col">by cost group</th></tr></thead>
<tbody id="live-rows"></tbody></table></div>
<details open><summary>By cost group</summary>
<div class="scroll"><table><thead><tr><th scope="col">way</th>{groups}</tr></thead>
<tbody id="group-rows"></tbody></table></div></details>
<p class="soft" id="live-check"></p>
</section>"""


def _field(name: str, row: dict[str, float | str | None], *, slider: bool) -> str:
    label = escape(f"{row['label']}")
    limits = f'min="{row["low"]!r}"' + ("" if row["high"] is None else f' max="{row["high"]!r}"')
    slides = (
        f'<input type="range" id="slide-{name}" min="0" max="1000" step="1" aria-label="{label}">'
        if slider and row["reach"]
        else ""
    )
    return (
        f'<div class="field"><label for="value-{name}">{label}</label>{slides}<span><input type="number"'
        f' id="value-{name}" data-input="{name}" {limits} step="any" value="{row["base"]!r}">'
        f" {escape(str(row['unit']))}</span></div>"
    )


def _over_time(plan: Plan) -> str:
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
    rows = [
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
        for note in arm.notes:
            found.setdefault(note, []).append(arm.label)
    return [f"{'; '.join(dict.fromkeys(labels))}: {note}" for note, labels in found.items()]


def _money(plan: Plan) -> str:
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


def _run(plan: Plan) -> str:
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
            f"One run reads {count(work.useful_tokens)} useful tokens ({count(work.processed_tokens)} with packing or"
            f" padding) in {count(work.optimizer_steps)} optimizer steps. {plan.search_candidates:,} configurations"
            " were compared; these are the cheapest, the fastest and the smallest of each method.",
            "soft",
        ),
        table(heads, [_option(option) for option in plan.training_options]),
        chart(plan, images.memory(plan), anchor="memory"),
        chart(plan, images.step_time(plan), anchor="step-time"),
    )


def _option(option: TrainingOption) -> tuple[Cell | str, ...]:
    return (
        run_charts.METHODS[option.method],
        ", ".join(option.roles),
        f"{option.gpus} × {option.gpu_label}",
        option.sharding,
        option.provider,
        Cell(text=dollars(option.usd_per_gpu_hour), value=option.usd_per_gpu_hour),
        Cell(text=gib(option.allocated_bytes), value=option.allocated_bytes),
        Cell(text=gib(option.limit_bytes), value=option.limit_bytes),
        Cell(text=duration(option.hours.base), value=option.hours.base),
        *(Cell(text=money(usd), value=usd) for usd in (option.usd.base, option.usd.p10, option.usd.p90)),
    )


def _doubt(plan: Plan) -> str:
    return section(
        "doubt",
        "What the answer hangs on",
        findings.hangs_on(plan),
        chart(plan, images.tornado(plan), anchor="tornado") if plan.sensitivities else "",
        chart(plan, images.chances(plan), anchor="chances"),
    )


def _basis(plan: Plan) -> str:
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
    rows = [
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
        _listed("Considered and ruled out", [f"{item.what}: {item.reason}" for item in plan.ruled_out]),
        _listed("Not included", plan.not_included),
        _listed("Next commands", plan.next_commands),
    )


PARTS: tuple[Callable[[Plan], str], ...] = (_answer, _what_if, _over_time, _money, _run, _doubt, _basis)
