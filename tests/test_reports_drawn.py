"""The PDF and the pictures: same bytes, stamps, embedded fonts, and no text over other text or over an edge."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pypdf
import pytest
from matplotlib.figure import Figure

from estimator.assumptions import shipped
from estimator.errors import InputError
from estimator.planning import plan as answer
from estimator.result import Plan
from estimator.scenario import Scenario
from reports import findings
from reports.drawn import images, pdf
from reports.drawn.axes import drawing
from reports.drawn.sheet import Column, Sheet
from reports.drawn.text import fitted, spread, width, wrapped
from reports.drawn.theme import DARK
from reports.layout import PAPER_IN, Layout, Paper, layout_of
from reports.style import INK, KIND_TEXT_COLOURS, PAPER, SOFT, WASH, stamp
from reports.write import report_files
from tests.plan_example import make_plan, self_hosted, serving_option, training_option, twelve_specs


def answered(model: str, **settings: float) -> Plan:
    """A plan of the program itself."""
    scenario = Scenario(model=model, as_of=date(2026, 11, 21), assumptions=shipped().setting(settings))
    return answer(scenario, command=f"ftcost plan --model {model}")


PLANS: dict[str, Callable[[], Plan]] = {
    "example": make_plan,
    "twelve ways": lambda: make_plan(twelve_specs()),
    "one way": lambda: make_plan((self_hosted(training_option("lora"), serving_option()),)),
    "tiny": lambda: answered("1b", rows=1000),
    "huge": lambda: answered("405b", rows=1e6, requests_per_day=1e7),
    "five years": lambda: answered("7b", horizon_months=60, retrain_every_months=0.1, requests_per_day=300_000),
}
PICTURES = (*images.PICTURES.values(), images.step_time, images.tornado, images.chances)
EVERYTHING = Layout(charts=("png", "svg"), focus=True)
REPORTS = report_files(EVERYTHING)


@pytest.fixture(scope="module", params=PLANS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]()


@pytest.fixture(scope="module")
def default_plan() -> Plan:
    return make_plan()


@pytest.fixture(scope="module")
def document(default_plan: Plan) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(REPORTS["budget.pdf"](default_plan)))


def test_pdf_has_eight_pages_each_with_number_and_stamp(document: pypdf.PdfReader, default_plan: Plan) -> None:
    texts = [page.extract_text() for page in document.pages]
    assert len(texts) == 8
    for number, text in enumerate(texts, start=1):
        assert f"{number} / 8" in text
        assert default_plan.scenario_hash in text
        assert default_plan.command in text


def test_last_page_says_how_accurate_it_is_and_what_is_not_in_it(
    document: pypdf.PdfReader, default_plan: Plan
) -> None:
    text = " ".join(document.pages[-1].extract_text().split())
    for sentence in (*findings.accuracy(), *default_plan.not_included):
        assert sentence in text


def test_sources_of_assumptions_and_prices_are_printed_whole(
    document: pypdf.PdfReader, default_plan: Plan
) -> None:
    rests_on, prices = ("".join(page.extract_text().split()) for page in document.pages[-2:])
    moving = [default_plan.scenario.assumptions.row(item.name) for item in default_plan.sensitivities[:10]]
    for row in moving:
        assert "".join(row.source.split()) in rests_on
    for price in default_plan.prices:
        assert "".join(price.source.split()) in prices


def test_first_page_answers_with_range_and_break_even(document: pypdf.PdfReader, default_plan: Plan) -> None:
    text = " ".join(document.pages[0].extract_text().split())
    assert default_plan.verdict.headline in text
    assert "10th percentile" in text
    assert "2.18 million requests a day" in text


def test_second_page_tells_every_step_and_what_retraining_costs(
    document: pypdf.PdfReader, default_plan: Plan
) -> None:
    text = " ".join(document.pages[1].extract_text().split())
    for advice in default_plan.advice:
        assert advice.whole in text
    for note in findings.retraining_notes(default_plan):
        assert note in text
    assert all(case.label in text for case in default_plan.retraining)


def test_pdf_embeds_every_font_as_truetype(document: pypdf.PdfReader) -> None:
    fonts = {
        name: font.get_object()
        for page in document.pages
        for name, font in page["/Resources"]["/Font"].items()  # type: ignore[index]
    }
    assert fonts
    for font in fonts.values():
        inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        assert inner["/Subtype"] in ("/TrueType", "/CIDFontType2")
        assert "/FontFile2" in inner["/FontDescriptor"]


def test_pdf_is_dated_by_its_prices(document: pypdf.PdfReader, default_plan: Plan) -> None:
    metadata = document.metadata
    assert metadata is not None
    assert metadata.creation_date is not None
    assert metadata.creation_date.date() == default_plan.scenario.as_of
    assert default_plan.scenario_hash in metadata["/Keywords"]
    assert default_plan.model.id in str(metadata.title)


@pytest.mark.parametrize("name", ["cost-over-time.png", "options.png", "memory.png"])
def test_png_carries_the_stamp(name: str, default_plan: Plan) -> None:
    content = REPORTS[name](default_plan)
    assert content.startswith(b"\x89PNG")
    assert stamp(default_plan).encode("latin-1") in content
    assert b"Matplotlib" not in content


def test_the_same_plan_gives_the_same_bytes_in_another_process(default_plan: Plan) -> None:
    program = (
        "import hashlib\nfrom tests.plan_example import make_plan\nfrom tests.test_reports_drawn import REPORTS\n"
        "plan = make_plan()\n"
        "for name, make in REPORTS.items(): print(name, hashlib.sha256(make(plan)).hexdigest())"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "TZ": "Asia/Tokyo",
    }
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    here = [f"{name} {hashlib.sha256(make(default_plan)).hexdigest()}" for name, make in REPORTS.items()]
    assert run.stdout.splitlines() == here


def drawn_texts(figure: Any) -> Iterator[tuple[str, Any]]:
    """Every text that the figure shows, with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    FigureCanvasAgg(figure)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                hidden.add(tick.label2)
                if not low <= tick.get_loc() <= high:
                    hidden.add(tick.label1)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            yield text.get_text(), text.get_window_extent(renderer)


def assert_readable(figure: Any) -> None:
    texts = list(drawn_texts(figure))
    assert texts
    for text, box in texts:
        inside = box.x0 > 4 and box.y0 > 0 and box.x1 < figure.bbox.width - 4 and box.y1 < figure.bbox.height
        assert inside, f"{text!r} runs over the edge"
    for index, (text, box) in enumerate(texts):
        for other_text, other in texts[:index]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            overlap = across > 1 and down > 0.25 * min(box.height, other.height)
            assert not overlap, f"{text!r} lies over {other_text!r}"


@pytest.mark.parametrize("paper", PAPER_IN)
@pytest.mark.parametrize("number", range(1, 7))
def test_no_text_of_a_page_is_clipped_or_covered(plan: Plan, number: int, paper: Paper) -> None:
    with drawing():
        assert_readable(pdf.page(plan, number, paper=paper))


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("picture", PICTURES)
def test_no_text_of_a_picture_is_clipped_or_covered(plan: Plan, picture: Any, framed: bool) -> None:
    if picture is images.tornado and not plan.sensitivities:
        pytest.skip("nothing to compare the only way with")
    with drawing():
        assert_readable(images.figure(plan, picture(plan), framed=framed))


def test_letter_pages_have_its_size(default_plan: Plan) -> None:
    content = report_files(Layout(paper="letter"))["budget.pdf"](default_plan)
    box = pypdf.PdfReader(io.BytesIO(content)).pages[0].mediabox
    assert (float(box.width), float(box.height)) == (612.0, 792.0)


def test_svg_keeps_its_text_and_carries_the_stamp(default_plan: Plan) -> None:
    text = REPORTS["options.svg"](default_plan).decode()
    root = ElementTree.fromstring(text)
    words = [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert default_plan.arms[0].label in words
    assert stamp(default_plan) in text
    assert "Matplotlib" not in text


def test_dots_per_inch_set_the_size_of_a_png(default_plan: Plan) -> None:
    def width_of(dpi: int) -> int:
        return int.from_bytes(report_files(Layout(dpi=dpi))["memory.png"](default_plan)[16:20])

    assert (width_of(72), width_of(150)) == (720, 1500)


@pytest.mark.parametrize("picture", PICTURES)
def test_dark_charts_have_no_colour_of_the_light_ones(default_plan: Plan, picture: Any) -> None:
    text = images.svg(default_plan, picture(default_plan), theme="dark").decode()
    colours = set(re.findall(r"#[0-9a-f]{6}", text))
    assert colours <= set(DARK.values())


def test_files_follow_the_layout() -> None:
    names = set(report_files(Layout(charts=("svg",))))
    assert "memory.svg" in names
    assert "memory.png" not in names
    assert "focus.csv" not in names


ASKED = {"charts": None, "dpi": None, "theme": None, "paper": None, "focus": False, "out": Path("x")}


def test_layout_of_flags() -> None:
    assert layout_of(ASKED) == Layout()
    asked = {**ASKED, "charts": "svg, png,svg", "dpi": 300, "theme": "dark", "paper": "letter", "focus": True}
    assert layout_of(asked) == Layout(charts=("svg", "png"), dpi=300, theme="dark", paper="letter", focus=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"charts": "gif"}, "--charts"),
        ({"charts": ""}, "--charts"),
        ({"dpi": 1}, "outside 50 to 1200"),
        ({"dpi": 0}, "--dpi 0 is outside 50 to 1200 pixels per inch"),
        ({"theme": "blue"}, "--theme"),
        ({"paper": "a5"}, "--paper"),
        ({"paper": "a4", "out": None}, "--paper shapes the files of --out"),
        ({"focus": True, "out": None}, "--focus shapes the files of --out"),
    ],
)
def test_a_layout_that_does_not_exist_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layout_of(ASKED | change)


def test_a_plan_without_training_still_makes_every_file(default_plan: Plan) -> None:
    arms = tuple(arm for arm in default_plan.arms if arm.training is None)
    bare = replace(
        default_plan,
        arms=arms,
        training_options=(),
        best_tuned="",
        break_evens=(),
        retraining=(),
        sensitivities=(),
        prices=(),
        not_included=(),
        advice=(),
        ruled_out=(),
    )
    text = pypdf.PdfReader(io.BytesIO(REPORTS["budget.pdf"](bare))).pages[4].extract_text()
    assert "No training run of one's own" in text
    assert all(len(make(bare)) > 1000 for make in REPORTS.values())


def test_a_user_s_drawing_settings_change_nothing(default_plan: Plan) -> None:
    import matplotlib

    before = images.png(default_plan, images.memory(default_plan))
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "savefig.dpi": 30}):
        assert images.png(default_plan, images.memory(default_plan)) == before
        assert matplotlib.rcParams["font.size"] == 20


LONG = "provider/with-a-name-that-has-no-space-anywhere-and-goes-on, few-shot prompt of 46 % examples"


@pytest.mark.parametrize("limit", [20.0, 55.5, 140.0, 1000.0])
def test_wrapped_text_stays_in_its_box_and_keeps_every_character(limit: float) -> None:
    lines = wrapped(LONG, limit, 8.0)
    assert all(width(line, 8.0) <= limit for line in lines)
    assert "".join(lines).replace("\N{NO-BREAK SPACE}", "").replace(" ", "") == LONG.replace(" ", "")


def test_lines_end_at_spaces_and_hyphens_and_never_inside_a_number() -> None:
    assert wrapped("runpod-secure", width("runpod-sec", 7.0), 7.0) == ["runpod-", "secure"]
    assert wrapped("$1.22k to $1.93k", width("$1.22k to $1.93", 7.0), 7.0) == ["$1.22k to", "$1.93k"]
    assert wrapped("seen 2026-11-21", width("2026-11-21", 7.0), 7.0) == ["seen", "2026-11-21"]


def test_a_column_is_as_wide_as_its_widest_word() -> None:
    narrow = Column(head="GPU-hours", share=0.01, number=True)
    wide = Column(head="what", share=1.0)
    figure = Figure(figsize=(8.27, 11.69))
    sheet = Sheet(figure=figure)
    sheet.table([wide, narrow], [("cards", "$1.93k"), ("people", "$112,590")])
    assert {"GPU-hours", "$1.93k", "$112,590"} <= {text.get_text() for text in figure.texts}


def test_cards_paid_for_beyond_those_used_are_named(default_plan: Plan) -> None:
    first, *others = default_plan.training_options
    plan = replace(default_plan, training_options=(replace(first, gpus=2, gpus_billed=8), *others))
    text = pypdf.PdfReader(io.BytesIO(REPORTS["budget.pdf"](plan))).pages[4].extract_text()
    assert "of 8 billed" in " ".join(text.split())
    assert " of 8 billed</td>" in REPORTS["report.html"](plan).decode()


def test_text_in_few_lines_is_shortened_in_its_middle() -> None:
    lines = wrapped(LONG, 120.0, 8.0, lines=2)
    assert len(lines) == 2
    assert "..." in lines[1]
    assert lines[1].endswith("examples")
    assert fitted("short", 500.0, 8.0) == "short"


def test_labels_are_spread_apart_inside_their_room() -> None:
    placed = spread([0.0, 0.1, 0.2, 9.9, 10.0], 1.0, 0.0, 10.0)
    assert placed == sorted(placed)
    assert all(b - a >= 1.0 - 1e-6 for a, b in pairwise(placed))
    assert placed[0] >= 0
    assert placed[-1] <= 10
    crowded = spread([5.0] * 30, 1.0, 0.0, 10.0)
    assert min(crowded) >= -1e-6
    assert max(crowded) <= 10 + 1e-6


@pytest.mark.parametrize("ground", [PAPER, WASH])
@pytest.mark.parametrize("colour", [INK, SOFT, *KIND_TEXT_COLOURS.values()])
def test_words_stand_out_from_the_ground(colour: str, ground: str) -> None:
    def luminance(text: str) -> float:
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 4.5
