"""The report as one web page that needs no network: answer, what-if panel, charts, sortable tables."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import escape

from estimator.result import Plan
from estimator.words import money, percent
from reports import findings
from reports.drawn.theme import DARK, variables
from reports.layout import Paper
from reports.style import dollars, stamp
from reports.web import sections as web_sections
from reports.web.panel import what_if
from reports.web.parts import listed, paragraph
from reports.web.script import json_for_script, panel_data, script, shipped


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
    total, months = arm.total_usd, findings.months_text(findings.horizon(plan))
    return "\n".join(
        (
            f'<header>\n<p class="kicker">{escape(f"Budget · {plan.model.id}")}</p>',
            f"<h1>{escape(findings.answer(plan))}</h1>",
            paragraph(
                f"{arm.label} costs {money(total.base)} over {months} at the base values,"
                f" {money(arm.build_usd)} of it before the first month; 10th to 90th percentile"
                f" {money(total.p10)} to {money(total.p90)}; {dollars(arm.usd_per_1000_requests)} for every 1,000"
                f" requests. It is the cheapest way in {percent(arm.probability_cheapest)} of"
                f" {plan.scenario.draws:,} draws of the assumptions."
            ),
            "</header>",
            '<section class="columns" id="answer">',
            listed("Why", [findings.sentence(text) for text in plan.verdict.reasons]),
            listed("What would change it", [findings.sentence(text) for text in plan.verdict.flips]),
            listed("Break-even", [*findings.payback(plan), *findings.break_even(plan)], first=5),
            listed("Next steps", [advice.whole for advice in plan.advice]),
            "</section>",
        )
    )


PARTS: tuple[Callable[[Plan], str], ...] = (
    _answer,
    what_if,
    web_sections.over_time,
    web_sections.money_by_group,
    web_sections.training_run,
    web_sections.retraining,
    web_sections.doubt,
    web_sections.basis,
)
