"""The sheets of pasted tables: Prices used, Training options, Sensitivity, Not included."""

from __future__ import annotations

from datetime import datetime, time

from estimator.numbers import GIB
from reports.style import arm_notes
from reports.workbook.book import Book, letter

LINE_POINTS = 15


def write_prices(book: Book) -> None:
    """Every price that entered, with the day it was read."""
    plan = book.plan
    sheet = book.sheet(
        "Prices used",
        "Prices used",
        "Pasted. Those that a cost line reads stand on the sheet Assumptions as inputs. `ftcost prices --json`"
        " lists the addresses.",
        (60, 24, 14, 22, 12, 12, 14, 90),
    )
    book.text(sheet, 2, 0, "prices as of")
    day = datetime.combine(plan.scenario.as_of, time())
    sheet.write_datetime(2, 2, day, book.formats["date"])
    book.heads(
        sheet, 3, ("what", "provider", "USD", "unit", "seen", "age, days", "status", "source"), numbers=(2, 4, 5)
    )
    for row, item in enumerate(plan.prices, start=4):
        book.text(sheet, row, 0, item.what)
        book.text(sheet, row, 1, item.provider)
        book.number(sheet, row, 2, item.usd)
        book.text(sheet, row, 3, item.unit, "unit")
        sheet.write_datetime(row, 4, datetime.combine(item.seen, time()), book.formats["date"])
        book.formula(sheet, row, 5, f"=C$3-E{row + 1}", float((plan.scenario.as_of - item.seen).days), "whole")
        book.text(sheet, row, 6, item.status, "unit")
        book.text(sheet, row, 7, item.source)
    sheet.freeze_panes(4, 1)


def write_training(book: Book) -> None:
    """The training options with memory and time by part."""
    options = book.plan.training_options
    sheet = book.sheet(
        "Training options",
        "Training options of one production run",
        "Pasted: the program searches them anew at every run. Memory per card, in GiB.",
        (34, *([25] * max(len(options), 1))),
    )
    if not options:
        book.text(sheet, 3, 0, "No training on rented cards in this plan.")
        return
    texts = {
        "method": [option.method for option in options],
        "chosen as": [", ".join(option.roles) for option in options],
        "card": [option.gpu_label for option in options],
        "provider": [option.provider for option in options],
        "region": [option.region for option in options],
        "instance": [option.instance for option in options],
        "purchase": [option.purchase for option in options],
        "sharding": [option.sharding for option in options],
        "recompute": [option.recompute for option in options],
        "compute type": [option.compute_dtype for option in options],
        "quantisation": [option.quantization or "none" for option in options],
        "fits": [option.fits for option in options],
    }
    numbers = {
        "cards": [float(option.gpus) for option in options],
        "cards paid for": [float(option.gpus_billed) for option in options],
        "USD per GPU-hour": [option.usd_per_gpu_hour for option in options],
        "micro-batch": [float(option.micro_batch) for option in options],
        "trained parameters": [option.trainable_parameters for option in options],
        "hours": [option.hours.base for option in options],
        "USD": [option.usd.base for option in options],
        "USD, P10": [option.usd.p10 for option in options],
        "USD, P90": [option.usd.p90 for option in options],
        "tokens per second and card": [option.tokens_per_s_per_gpu for option in options],
        "model FLOP utilisation": [option.mfu for option in options],
        "probability that it fits": [option.fits_probability for option in options],
    }
    row = 3
    for name, words in texts.items():
        book.text(sheet, row, 0, name, "bold" if row == 3 else "text")
        for column, word in enumerate(words, start=1):
            book.text(sheet, row, column, word, "bold" if row == 3 else "text")
        row += 1
    for name, values in numbers.items():
        book.text(sheet, row, 0, name)
        for column, value in enumerate(values, start=1):
            book.number(sheet, row, column, value)
        row += 1
    memory = [{name: part / GIB for name, part in option.memory_parts_bytes.items()} for option in options]
    row = _parts(book, row + 1, "memory at the peak, GiB", memory)
    allocated = row
    extra = {
        "device total": [option.device_bytes / GIB for option in options],
        "what the card offers": [option.limit_bytes / GIB for option in options],
    }
    for name, values in extra.items():
        book.text(sheet, row, 0, name)
        for column, value in enumerate(values, start=1):
            book.number(sheet, row, column, value)
        row += 1
    book.text(sheet, row, 0, "share of the card used")
    for column, option in enumerate(options, start=1):
        at = letter(column)
        share = option.device_bytes / option.limit_bytes
        book.formula(sheet, row, column, f"={at}{allocated + 1}/{at}{allocated + 2}", share, "share")
    _parts(book, row + 2, "time of one optimizer step, s", [dict(option.step_parts_s) for option in options])
    sheet.freeze_panes(4, 1)


def _parts(book: Book, row: int, title: str, parts: list[dict[str, float]]) -> int:
    """A block of parts with their live sum; the row after it."""
    sheet = book.sheets["Training options"]
    book.text(sheet, row, 0, title, "section")
    names = list(dict.fromkeys(name for part in parts for name in part))
    first = row + 2
    for offset, name in enumerate(names, start=1):
        book.text(sheet, row + offset, 0, name.replace("_", " "))
        for column, part in enumerate(parts, start=1):
            book.number(sheet, row + offset, column, part.get(name, 0.0))
    row += len(names) + 1
    book.text(sheet, row, 0, "sum", "bold")
    for column, part in enumerate(parts, start=1):
        at = letter(column)
        book.formula(sheet, row, column, f"=SUM({at}{first}:{at}{row})", sum(part.values()), "number")
    return row + 1


def write_sensitivity(book: Book) -> None:
    """What one assumption at a time moves, pasted from the program."""
    plan = book.plan
    sheet = book.sheet(
        "Sensitivity",
        "Cost of the tuned way less its rival's, when one assumption moves",
        f"Pasted by the program from each assumption's P10 and P90; {plan.scenario.draws:,} draws behind the"
        " percentiles on the sheet Summary.",
        (56, 40, 20, 14, 14, 18, 18, 16),
    )
    heads = ("assumption", "name", "unit", "low", "high", "USD at low", "USD at high", "swing, USD")
    book.heads(sheet, 3, heads, numbers=range(3, 8))
    for row, item in enumerate(plan.sensitivities, start=4):
        for column, text in enumerate((item.label, item.name, item.unit)):
            book.text(sheet, row, column, text)
        book.number(sheet, row, 3, item.low)
        book.number(sheet, row, 4, item.high)
        book.number(sheet, row, 5, item.usd_at_low, "pasted")
        book.number(sheet, row, 6, item.usd_at_high, "pasted")
        book.formula(sheet, row, 7, f"=ABS(G{row + 1}-F{row + 1})", item.swing_usd, "usd")
    sheet.freeze_panes(4, 1)


def write_not_included(book: Book) -> None:
    """What the numbers leave out, and what was considered and dropped."""
    plan = book.plan
    widths = (70, 100)
    sheet = book.sheet("Not included", "Not included, ruled out, and by default", "", widths)
    row = 3
    for title, lines in (
        ("Not included", [(text, "") for text in plan.not_included]),
        ("Ruled out", [(item.what, item.reason) for item in plan.ruled_out]),
        ("Defaults used", [(text, "") for text in plan.defaults_used]),
        ("Notes", [(arm.label, note) for arm in plan.arms for note in arm_notes(arm)]),
        ("Advice", [(item.text, f"{item.because} This changes if {item.changes}.") for item in plan.advice]),
    ):
        if not lines:
            continue
        book.text(sheet, row, 0, title, "section")
        row += 1
        for left, right in lines:
            book.text(sheet, row, 0, left, "wrap")
            book.text(sheet, row, 1, right, "wrap")
            deep = max(-(-len(text) // (width - 5)) for text, width in zip((left, right), widths, strict=True))
            if deep > 1:
                sheet.set_row(row, LINE_POINTS * deep)
            row += 1
        row += 1
