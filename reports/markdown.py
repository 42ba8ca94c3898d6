"""The plan as Markdown, fit for a pull request: the answer first, tables short, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from estimator.result import GROUPS, Plan
from estimator.words import counted, money, percent
from reports import findings
from reports.drawn import charts, run_charts
from reports.style import dollars, duration, gib, quantity, stamp

TOP_ASSUMPTIONS = 8
BREAK_EVENS = 3


def plan_markdown(plan: Plan) -> str:
    """The plan as GitHub-flavoured Markdown; the same plan gives the same text."""
    parts = (
        f"## {escaped(findings.answer(plan))}",
        escaped(_question(plan)),
        _bullets([*plan.verdict.reasons, *(f"What would change it: {text}" for text in plan.verdict.flips)]),
        f"### Cost over {findings.months_text(findings.horizon(plan))}",
        _ways(plan),
        _bullets([*findings.break_even(plan)[:BREAK_EVENS], *findings.payback(plan)]),
        "### One production run",
        f"{escaped(findings.training(plan))}.",
        _runs(plan),
        *_doubt(plan),
        _bullets([advice.whole for advice in plan.advice], title="### Next steps"),
        _folded("Cost by group", _groups(plan)),
        _folded("Retraining", _retraining(plan)),
        _folded("Prices", _prices(plan)) if plan.prices else "",
        _folded("Accuracy against measured runs", _bullets(findings.accuracy())),
        _folded("Ruled out", _bullets([f"{item.what}: {item.reason}" for item in plan.ruled_out])),
        _folded("Not included", _bullets(plan.not_included)),
        f"<sub>{escaped(stamp(plan))}</sub>",
        _fenced(plan.command),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in a paragraph or in a cell, and that calls nobody and no issue.

    >>> escaped("a_b|<c> @team #12")
    'a\\\\_b\\\\|&lt;c&gt; &#64;team &#35;12'
    """
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = re.sub(r"([\\`*_\[\]|~])", r"\\\1", plain)
    return re.sub(r"(?<!&)#(?=\d)", "&#35;", plain.replace("@", "&#64;"))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table whose first ``words`` columns stand left and the others right."""
    lines = [
        " | ".join(("", *heads, "")).strip(),
        " | ".join(("", *("---" if place < words else "---:" for place in range(len(heads))), "")).strip(),
        *(" | ".join(("", *(escaped(cell) for cell in row), "")).strip() for row in rows),
    ]
    return "\n".join(lines)


def _question(plan: Plan) -> str:
    values = plan.scenario.assumptions
    return (
        f"{plan.model.id}: {counted(values['rows'], 'row')} of training data;"
        f" {counted(values['requests_per_day'], 'request')} a day of {quantity(values['input_tokens'])} input and"
        f" {quantity(values['output_tokens'])} output tokens; {findings.months_text(findings.horizon(plan))}."
    )


def _bullets(items: Iterable[str], *, title: str = "") -> str:
    lines = [f"- {escaped(findings.sentence(item))}" for item in items]
    return "\n".join([title, "", *lines] if title and lines else lines)


def _ways(plan: Plan) -> str:
    rows = [
        (
            arm.label,
            money(arm.total_usd.base),
            f"{money(arm.total_usd.p10)} to {money(arm.total_usd.p90)}",
            money(arm.build_usd),
            dollars(arm.usd_per_1000_requests),
            percent(arm.probability_cheapest),
        )
        for arm in charts.ranked(plan)
    ]
    return table(("way", "total", "P10 to P90", "before month 1", "per 1,000 requests", "cheapest in"), rows)


def _runs(plan: Plan) -> str:
    if not plan.training_options:
        return ""
    rows = [
        (
            run_charts.METHODS[option.method],
            ", ".join(option.roles),
            f"{option.gpus} × {option.gpu_label} ({option.provider})",
            f"{gib(option.allocated_bytes)} of {gib(option.limit_bytes)}",
            duration(option.hours.base),
            f"{money(option.usd.base)} ({money(option.usd.p10)} to {money(option.usd.p90)})",
        )
        for option in plan.training_options
    ]
    heads = ("method", "chosen as", "cards", "memory per card", "time", "cost (P10 to P90)")
    return "\n\n".join((table(heads, rows, words=3), *findings.whole_experts(plan)))


def _doubt(plan: Plan) -> tuple[str, ...]:
    if not plan.sensitivities:
        return ()
    rows = [
        (
            f"{item.label} ({item.unit})",
            f"{quantity(item.low)} to {quantity(item.high)}",
            f"{money(item.usd_at_low)} to {money(item.usd_at_high)}",
        )
        for item in plan.sensitivities[:TOP_ASSUMPTIONS]
    ]
    tuned, rival = findings.named(plan.arm(plan.best_tuned)), findings.named(plan.arm(plan.best_rival))
    return (
        "### What the answer hangs on",
        f"Cost of {escaped(tuned)} less that of {escaped(rival)}, when one assumption moves from its 10th to its"
        f" 90th percentile ({plan.scenario.draws:,} draws).",
        table(("assumption", "P10 to P90", "difference"), rows),
    )


def _groups(plan: Plan) -> str:
    rows = [
        (
            arm.label,
            *(money(arm.groups_usd[group]) if arm.groups_usd.get(group) else "" for group in GROUPS),
            money(arm.total_usd.base),
        )
        for arm in charts.ranked(plan)
    ]
    return table(("way", *GROUPS, "total"), rows)


def _retraining(plan: Plan) -> str:
    if not plan.retraining:
        return ""
    heads, rows = findings.retraining(plan)
    return f"{table(heads, rows)}\n\n{_bullets(findings.retraining_notes(plan))}"


def _prices(plan: Plan) -> str:
    rows = [
        (item.what, item.provider, item.seen.isoformat(), item.source, f"{dollars(item.usd)} {item.unit}")
        for item in plan.prices
    ]
    return table(("what", "provider", "seen", "source", "price"), rows, words=4)


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>" if inside else ""


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text}\n{fence}"
