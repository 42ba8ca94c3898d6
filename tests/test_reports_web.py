"""report.html: escaped, without network, and its what-if panel computes what the program computes."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from estimator.money.ownership import ArmSpec, base_lines
from estimator.money.serving_costs import SERVING_LINES
from estimator.result import GROUPS, Plan
from reports.drawn.theme import DARK, variables
from reports.style import GROUP_COLOURS, KIND_COLOURS, PART_COLOURS
from reports.web.javascript import FormulaError, javascript
from reports.web.page import report_html
from tests.plan_example import (
    api,
    default_specs,
    hosted,
    load_rows,
    make_plan,
    self_hosted,
    serving_option,
    training_option,
)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_S = 120
SLIDERS = {
    "requests_per_day": (1.0, 1e7),
    "input_tokens": (10.0, 20_000.0),
    "output_tokens": (1.0, 5000.0),
    "gpu_price_ratio": (0.3, 4.0),
    "retrain_every_months": (0.4, 30.0),
    "rows": (50.0, 1e6),
}
NASTY = """</script><script>document.title="broken"</script><!-- "quoted" & 'single' \u2028 ]]>"""


def every_kind() -> tuple[ArmSpec, ...]:
    """Arms whose formulas together use every function that a formula may use."""
    own = self_hosted(training_option("lora"), serving_option(), label="LoRA")
    extra = [
        replace(
            own,
            id=f"self:{way}",
            label=way,
            stepped_lines=SERVING_LINES[way],
            parameters=(*own.parameters, *load_rows()),
        )
        for way in ("shared", "scale-to-zero")
    ]
    split = api("openai/gpt-5-mini", "split", input_price=0.25, output_price=2.0)
    return (*default_specs(), *extra, split, hosted("together", "Hosted"))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(every_kind())


@pytest.fixture(scope="module")
def page(plan: Plan) -> str:
    return report_html(plan).decode()


class Reader(HTMLParser):
    """Text, links and balance of a page."""

    VOID = frozenset({"meta", "input", "br", "link", "path", "use", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.used: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(attrs)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.addresses.append(value or "")
            self.used.update(re.findall(r"url\(#([^)]*)\)", value or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_page_is_whole_and_asks_nothing_of_a_network(page: str) -> None:
    read = Reader(page)
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))
    assert all(address.startswith("#") for address in read.addresses)
    assert {address[1:] for address in read.addresses} | read.used <= set(read.ids)
    assert page.count("<svg ") == 6
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\((?!#)|\b(fetch|XMLHttpRequest|eval|Function)\(", page)


def test_page_states_the_answer_its_stamp_and_every_way(page: str, plan: Plan) -> None:
    assert f"<h1>{escape(plan.verdict.headline)}</h1>" in page
    assert plan.scenario_hash in page
    for arm in plan.arms:
        assert page.count(f"<summary>{escape(arm.label)}: $") == 1


def test_notes_of_a_hosted_service_say_that_they_are_billing_rules(plan: Plan) -> None:
    arms = tuple(replace(arm, notes=("tokens x epochs", "storage extra")) for arm in plan.arms)
    page = report_html(replace(plan, arms=arms)).decode()
    assert page.count("Hosted: billed: tokens x epochs; storage extra") == 1
    assert page.count("billed: tokens") == 1


def test_every_text_is_escaped(plan: Plan) -> None:
    arms = tuple(replace(arm, label=f"{index} {NASTY}", notes=(NASTY,)) for index, arm in enumerate(plan.arms))
    verdict = replace(plan.verdict, headline=NASTY, reasons=(NASTY,), flips=(NASTY,))
    prices = tuple(replace(price, what=NASTY, source=NASTY) for price in plan.prices)
    model = replace(plan.model, id=NASTY)
    broken = replace(plan, arms=arms, verdict=verdict, prices=prices, model=model, command=NASTY)
    page = report_html(broken).decode()
    assert "<script>document" not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    read = Reader(page)
    assert read.open == []
    assert NASTY in read.texts
    data = re.search(r'id="plan-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["arms"][0]["label"] == f"0 {NASTY}"


def test_letter_paper(plan: Plan) -> None:
    assert "size: letter" in report_html(plan, paper="letter").decode()


@pytest.mark.parametrize(
    "formula", ["a b", "1+", "SUM(a,b)", "ROUNDUP(a,1)", "MAX(a)", "a;b", "(a", "INT(a,b)", "", "a>b", "a['x']"]
)
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(FormulaError):
        javascript(formula)


def test_powers_and_signs_follow_the_spreadsheet() -> None:
    assert javascript("a-b-c^d^2") == "v.a-v.b-Math.pow(Math.pow(v.c,v.d),2)"
    assert javascript("-a^2") == "Math.pow((-v.a),2)"


def test_dark_colours_stay_apart() -> None:
    for palette in (GROUP_COLOURS.values(), KIND_COLOURS.values(), PART_COLOURS):
        assert len({DARK[colour] for colour in palette}) == len(set(palette))
    assert set(variables()) == set(DARK)
    assert all(DARK.get(dark, dark) == dark for dark in DARK.values())


# In a browser


def dumped(page: str, folder: Path, *, fragment: str = "") -> str:
    """The page as Chromium leaves it once its scripts have run."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    run = subprocess.run(
        [CHROMIUM, *flags, "--virtual-time-budget=10000", "--dump-dom", f"{path.as_uri()}{fragment}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=BROWSER_S,
    )
    return run.stdout


def expected(settings: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """What the program says for the same settings."""
    values = {**make_plan(every_kind()[:1]).scenario.assumptions, **settings}
    found = {}
    for spec in every_kind():
        lines = base_lines(spec=spec, values=values)
        groups = {group: sum(line.total_usd for line in lines if line.group == group) for group in GROUPS}
        found[spec.id] = {"usd": sum(groups.values()), "groups": groups, "label": spec.label}
    return found


DRIVE = """
const found = [];
for (const setting of SETTINGS) {
  for (const [name, value] of Object.entries(setting)) {
    const field = document.getElementById("value-" + name);
    field.value = value;
    field.dispatchEvent(new Event("input"));
  }
  const arms = {};
  for (const row of document.querySelectorAll("#live-rows tr")) {
    arms[row.dataset.arm] = { usd: Number(row.dataset.usd), per1000: Number(row.dataset.per1000), groups: {} };
  }
  for (const row of document.querySelectorAll("#group-rows tr")) {
    for (const cell of row.querySelectorAll("[data-group]")) {
      arms[row.dataset.arm].groups[cell.dataset.group] = Number(cell.dataset.usd);
    }
  }
  found.push({
    arms,
    order: [...document.querySelectorAll("#live-rows tr")].map((row) => row.dataset.arm),
    answer: document.getElementById("live-answer").textContent,
    command: document.getElementById("live-command").textContent,
  });
}
const place = document.createElement("pre");
place.id = "found";
place.textContent = JSON.stringify(found);
document.body.append(place);
"""


def test_panel_computes_what_the_program_computes(page: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    settings = [
        {name: round(low * (high / low) ** chance.random(), 4) for name, (low, high) in SLIDERS.items()}
        | {"contingency_fraction": round(chance.random(), 3), "traffic_growth_fraction_per_year": 0.5}
        for _ in range(10)
    ]
    answers = driven(page, f"const SETTINGS = {json.dumps(settings)};{DRIVE}", tmp_path)
    assert len(answers) == len(settings) == 10
    for setting, answer in zip(settings, answers, strict=True):
        wanted = expected(setting)
        assert answer["arms"].keys() == wanted.keys()
        for arm, row in wanted.items():
            assert answer["arms"][arm]["usd"] == pytest.approx(row["usd"], rel=1e-9)
            assert answer["arms"][arm]["groups"] == pytest.approx(row["groups"], rel=1e-9, abs=1e-9)
        totals = [wanted[arm]["usd"] for arm in answer["order"]]
        assert totals == sorted(totals)
        assert answer["answer"].startswith(f"{wanted[answer['order'][0]]['label']} costs least: $")
        assert f"--requests-per-day {setting['requests_per_day']:g}"[:24] in answer["command"]


USE = """
const rows = () => [...document.querySelectorAll("#over-time tbody tr")];
const totals = () => rows().map((row) => Number(row.cells[2].dataset.value));
const button = document.querySelector("#over-time thead th:nth-child(3) button");
const found = {};
button.click();
found.rising = totals();
button.click();
found.falling = totals();
const slider = document.getElementById("slide-rows");
const field = document.getElementById("value-rows");
found.placed = [];
for (const place of ["0", "500", "1000"]) {
  slider.value = place;
  slider.dispatchEvent(new Event("input"));
  found.placed.push(Number(field.value));
}
found.address = location.hash;
const hint = document.getElementById("hint-rows");
found.hints = [];
for (const value of ["12", "-3", "", "1e99", "12"]) {
  field.value = value;
  field.dispatchEvent(new Event("input"));
  found.hints.push(hint.hidden ? "" : hint.textContent);
}
field.value = "-3";
field.dispatchEvent(new Event("input"));
found.invalid = field.getAttribute("aria-invalid");
document.getElementById("reset").click();
found.reset = [Number(field.value), slider.value, location.hash, document.getElementById("live-again").hidden];
const place = document.createElement("pre");
place.id = "found";
place.textContent = JSON.stringify(found);
document.body.append(place);
"""


def driven(page: str, program: str, folder: Path) -> Any:
    """What a program that is added to the page finds; the page's policy, which forbids it, is taken out."""
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', page)
    assert policy is not None
    changed = page.replace(policy[0], "").replace("</body>", f"<script>{{{program}}}</script></body>")
    text = re.search(r'<pre id="found">(.*?)</pre>', dumped(changed, folder), re.DOTALL)
    assert text is not None
    return json.loads(unescape(text[1]))


def test_tables_sort_and_sliders_move(page: str, plan: Plan, tmp_path: Path) -> None:
    found = driven(page, USE, tmp_path)
    totals = sorted(arm.total_usd.base for arm in plan.arms)
    assert found["rising"] == pytest.approx(totals)
    assert found["falling"] == pytest.approx(totals[::-1])
    rows = plan.scenario.assumptions["rows"]
    assert found["placed"] == pytest.approx([rows / 20, rows, rows * 20])
    assert found["address"] == "#rows=200000"
    row = plan.scenario.assumptions.row("rows")
    told = f"Allowed: {row.minimum:,g} to {row.maximum:,.0f}. The plan's {rows:,.0f} is used."
    assert found["hints"] == ["", told, told, told, ""]
    assert found["invalid"] == "true"
    assert found["reset"] == [rows, "500", "", True]


def test_page_as_written_runs_under_its_own_policy_and_reads_its_address(
    page: str, plan: Plan, tmp_path: Path
) -> None:
    dom = dumped(page, tmp_path, fragment="#requests_per_day=123456&rows=70&rows_of_nobody=3&input_tokens=-5")
    totals = dict(re.findall(r'<tr data-arm="([^"]*)" data-usd="([^"]*)"', dom))
    wanted = expected({"requests_per_day": 123456.0, "rows": 70.0})
    assert {arm: float(usd) for arm, usd in totals.items()} == pytest.approx(
        {arm: row["usd"] for arm, row in wanted.items()}, rel=1e-9
    )
    assert "at the plan's values every total is the program's" in dom
    per_1000 = re.search(r'data-usd="[^"]*" data-per-1000="([^"]*)"', dom)
    assert per_1000 is not None
    cheapest = min(wanted.values(), key=lambda row: row["usd"])
    days = 365 / 12 * plan.scenario.assumptions["horizon_months"]
    growth = plan.scenario.assumptions["traffic_growth_fraction_per_year"]
    assert growth == 0
    assert float(per_1000[1]) == pytest.approx(1000 * cheapest["usd"] / (123456 * days))


def test_nasty_labels_do_nothing_in_a_browser(plan: Plan, tmp_path: Path) -> None:
    arms = tuple(replace(arm, label=f"{index} {NASTY}") for index, arm in enumerate(plan.arms))
    dom = dumped(report_html(replace(plan, arms=arms, command=NASTY)).decode(), tmp_path)
    assert "<title>broken" not in dom
    assert "every total is the program's" in dom
