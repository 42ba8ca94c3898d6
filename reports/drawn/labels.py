"""Where the names of points go, so that none covers a point, a line or another name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Spot = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""

GAP = 3.0
PAD = 2.5
REACH = 40


@dataclass(frozen=True)
class Label:
    """A name and the point it belongs to; lengths in points."""

    text: str
    x: float
    y: float
    radius: float
    width: float
    height: float


def place_labels(
    labels: Sequence[Label], *, obstacles: Sequence[Spot], fixed: Sequence[Box], inside: Box
) -> list[Spot]:
    """Left edge and middle of every name, in the order of the labels.

    Each takes the first place about its point, from beside it outwards, that is inside and free, and whose
    leader to the point crosses no name; where there is none, one whose leader does; else that beside its point.
    Points crowded from all sides choose first.

    Args:
        labels: names with their points.
        obstacles: places that no name may cover.
        fixed: boxes of other text, which neither a name nor a leader may cross.
        inside: what no name may leave.
    """
    taken: list[Box] = [*(_around(label) for label in labels), *fixed]
    lines = list(obstacles)
    placed: dict[int, Spot] = {}
    for index in sorted(range(len(labels)), key=lambda i: (-_neighbours(labels, i), i)):
        label = labels[index]
        names, others = taken[len(labels) :], [box for k, box in enumerate(taken) if k != index]
        free = [spot for spot in _places(label) if _free(_box(label, spot), others, lines, inside)]
        clear = (spot for spot in free if not any(_holds(box, at) for at in leader(label, spot) for box in names))
        spot = next(clear, free[0] if free else next(_places(label)))
        placed[index] = spot
        taken.append(_box(label, spot))
        lines += leader(label, spot)
    return [placed[index] for index in range(len(labels))]


def leader(label: Label, spot: Spot) -> list[Spot]:
    """Places along the line from a name to its point; none where the name stands beside it."""
    x, y = spot[0] + label.width / 2, spot[1]
    beside = max(abs(x - label.x) - label.width / 2, abs(y - label.y)) <= label.radius + label.height
    if beside:
        return []
    steps = ((x + (label.x - x) * k / 24, y + (label.y - y) * k / 24) for k in range(1, 24))
    return [at for at in steps if not _holds(_box(label, spot), at) and not _holds(_around(label), at)]


def _around(label: Label) -> Box:
    return (label.x - label.radius, label.y - label.radius, label.x + label.radius, label.y + label.radius)


def _box(label: Label, spot: Spot) -> Box:
    x, y = spot
    return (x - PAD, y - label.height / 2, x + label.width + PAD, y + label.height / 2)


def _holds(box: Box, at: Spot) -> bool:
    return box[0] <= at[0] <= box[2] and box[1] <= at[1] <= box[3]


def _neighbours(labels: Sequence[Label], index: int) -> int:
    """Points within a name's length of this one."""
    mine = labels[index]
    return sum(abs(other.x - mine.x) < mine.width and abs(other.y - mine.y) < 3 * mine.height for other in labels)


def _places(label: Label) -> Iterator[Spot]:
    """Right, left, below and above the point, then further and further up and down on either side."""
    right, left = label.x + label.radius + GAP, label.x - label.radius - GAP - label.width
    yield right, label.y
    yield left, label.y
    beyond = label.radius + GAP + label.height / 2
    for step in range(REACH):
        rise, aside = beyond + step * 0.5 * label.height, 3.0 * step
        for side in (-1.0, 1.0):
            for x in (right + aside, left - aside, label.x - label.width / 2):
                yield x, label.y + side * rise


def _free(box: Box, taken: Sequence[Box], obstacles: Sequence[Spot], inside: Box) -> bool:
    if box[0] < inside[0] or box[1] < inside[1] or box[2] > inside[2] or box[3] > inside[3]:
        return False
    if any(_holds(box, at) for at in obstacles):
        return False
    return not any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
    )
