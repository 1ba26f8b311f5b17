"""Label placement: which points of a crowded figure are named, on which side, without overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass

LETTER, LINE, GAP = 6.4, 15.0, 9.0
"""Pixels: width of a letter at 12, height of a line, distance of a name from the middle of its point."""


@dataclass(frozen=True)
class PointLabel:
    """A name for the point at (x, y), in pixels from the lower left of the axes."""

    name: str
    x: float
    y: float
    needed: bool = False
    """Whether it is placed even where there is no room."""


@dataclass(frozen=True)
class PlacedLabel:
    """A label and the side of its point that it is on."""

    label: PointLabel
    side: str
    """right, left, top or bottom."""


Box = tuple[float, float, float, float]


def place_labels(
    labels: Sequence[PointLabel], points: Sequence[tuple[float, float]], width: float, height: float
) -> list[PlacedLabel]:
    """The labels that have room, with their sides; earlier labels have priority."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    placed = []
    for label in labels:
        boxes = {side: _box(label, side) for side in ("left", "right", "top", "bottom")}
        free = [side for side, box in boxes.items() if _inside(box, width, height) and not _hits(box, label, taken)]
        if not free and not label.needed:
            continue
        side = free[0] if free else ("left" if label.x > width / 2 else "right")
        taken.append(boxes[side])
        placed.append(PlacedLabel(label, side))
    return placed


def _box(label: PointLabel, side: str) -> Box:
    wide = LETTER * len(label.name)
    if side in {"right", "left"}:
        start = label.x + GAP if side == "right" else label.x - GAP - wide
        return start, label.y - LINE / 2, start + wide, label.y + LINE / 2
    low = label.y + GAP if side == "top" else label.y - GAP - LINE
    return label.x - wide / 2, low, label.x + wide / 2, low + LINE


def _inside(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height


def _hits(box: Box, label: PointLabel, taken: Sequence[Box]) -> bool:
    """Whether a box overlaps a taken one, other than its own point."""
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
        if not (other[0] < label.x < other[2] and other[1] < label.y < other[3])
    )
