"""The what-if panel of the web page: fields for the assumptions, tables that its script fills."""

from __future__ import annotations

from html import escape
from typing import Any

from estimator.result import GROUPS, Plan
from reports.web.script import SLIDERS, inputs


def what_if(plan: Plan) -> str:
    """The fields, and the tables that the script fills."""
    known = inputs(plan)
    sliders = "\n".join(_field(name, known[name], slider=True) for name in SLIDERS if name in known)
    others = "\n".join(_field(name, row, slider=False) for name, row in known.items() if name not in SLIDERS)
    groups = "".join(
        f'<th scope="col" class="number"><i class="key" style="background:var(--group-{group})"></i>{group}</th>'
        for group in GROUPS
    )
    return f"""<noscript><p class="alert">The what-if panel and sorting need JavaScript.</p></noscript>
<section id="what-if" hidden>
<p class="kicker">What if</p>
<h2 id="live-answer" aria-live="polite"></h2>
<p class="soft">Move a slider or type a value. Cards, their speed and the API models stay as the program chose\
 them for its own values.</p>
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


def _field(name: str, row: dict[str, Any], *, slider: bool) -> str:
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
