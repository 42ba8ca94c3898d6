"""Pieces of the web page: escaped text, tables, lists and charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from estimator.result import Plan
from reports.drawn import images
from reports.drawn.images import Picture
from reports.drawn.theme import variables

_USED = re.compile(r"#([A-Za-z_][\w.]*)")
_ID = re.compile(r' id="([^"]*)"')
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table: what it shows, and the number that it sorts by."""

    text: str
    value: float | None = None
    style: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column, and whether the column holds numbers."""

    text: str
    number: bool = False


Row = Sequence[Cell | str]


def table(heads: Sequence[Head], rows: Iterable[Row], *, chosen: Iterable[int] = ()) -> str:
    """A table that sorts by any column; numbers stand right.

    Args:
        chosen: rows that stand out.
    """
    marked = set(chosen)
    columns = "".join(
        f'<th scope="col"{_class("number" if head.number else "")}>'
        f'<button type="button">{escape(head.text)}</button></th>'
        for head in heads
    )
    lines = [
        f"<tr{_class('chosen' if index in marked else '')}>"
        + "".join(_cell(cell, head) for cell, head in zip(row, heads, strict=True))
        + "</tr>"
        for index, row in enumerate(rows)
    ]
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{columns}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _cell(cell: Cell | str, head: Head) -> str:
    cell = Cell(text=cell) if isinstance(cell, str) else cell
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    style = " ".join(filter(None, ("number" if head.number else "", cell.style)))
    return f"<td{_class(style)}{value}>{escape(cell.text)}</td>"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph."""
    return f"<p{_class(style)}>{escape(text)}</p>"


_FLAG = re.compile(r"--[a-z][a-z-]+")
UNBROKEN = r'<span class="flag">\g<0></span>'


def points(items: Iterable[str]) -> str:
    """A list."""
    lines = "\n".join(f"<li>{_FLAG.sub(UNBROKEN, escape(item))}</li>" for item in items)
    return f"<ul>\n{lines}\n</ul>" if lines else ""


def listed(title: str, items: Sequence[str], *, first: int = 0) -> str:
    """A list under its title; with ``first``, what comes after so many items is folded away."""
    if not items:
        return ""
    shown, rest = (items[:first], items[first:]) if first else (items, ())
    folded = f"<details><summary>{len(rest)} more</summary>\n{points(rest)}</details>" if rest else ""
    return f"<div><h3>{escape(title)}</h3>\n{points(shown)}{folded}</div>"


def section(anchor: str, kicker: str, title: str, *parts: str) -> str:
    """A part of the page under a title that states what it shows."""
    inside = "\n".join(filter(None, parts))
    return (
        f'<section id="{anchor}">\n<p class="kicker">{escape(kicker)}</p>\n<h2>{escape(title)}</h2>\n'
        f"{inside}\n</section>"
    )


def chart(plan: Plan, picture: Picture, *, anchor: str) -> str:
    """A picture as an inline drawing, in the colours of the page, light or dark."""
    return (
        f'<figure id="{anchor}"><figcaption>{escape(picture.subtitle)}</figcaption>\n'
        f'<div class="scroll">{_inline(plan, picture, anchor)}</div></figure>'
    )


def _inline(plan: Plan, picture: Picture, anchor: str) -> str:
    text = images.svg(plan, picture, framed=False).decode()
    text = text[text.index("<svg") :]
    head, _, rest = text.partition("</metadata>")
    text = head[: head.index("<metadata>")].replace(
        "<svg ", f'<svg role="img" aria-label="{escape(picture.words)}" ', 1
    ) + rest.replace('<style type="text/css">*{', '<style type="text/css">figure svg *{', 1)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    used = set(_USED.findall(text))
    text = _ID.sub(lambda match: f' id="{anchor}-{match[1]}"' if match[1] in used else "", text)
    names = variables()
    text = _COLOUR.sub(lambda match: f"var(--{names[match[0]]})" if match[0] in names else match[0], text)
    for name in used - set(names):
        text = text.replace(f"url(#{name})", f"url(#{anchor}-{name})").replace(f'"#{name}"', f'"#{anchor}-{name}"')
    return re.sub(r"\s*\n\s*", "\n", text)
