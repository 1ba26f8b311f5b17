"""Which points of a crowded figure get a name, and on which side, so that no name lies on another or on a point."""

from collections.abc import Sequence
from dataclasses import dataclass

LETTER, LINE, GAP = 6.4, 15.0, 9.0
"""Pixels: width of a letter at 12, height of a line, distance of a name from the middle of its point."""


@dataclass(frozen=True)
class Wish:
    """A name for the point at (x, y), in pixels from the lower left of the axes."""

    name: str
    x: float
    y: float
    needed: bool = False
    """Named even where there is no room."""


@dataclass(frozen=True)
class Place:
    """Where a name goes: which side of its point."""

    wish: Wish
    side: str
    """right, left, top or bottom."""


Box = tuple[float, float, float, float]


def places(wishes: Sequence[Wish], points: Sequence[tuple[float, float]], width: float, height: float) -> list[Place]:
    """A place for every wish that has room, in the order of the wishes: the first come first."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    found = []
    for wish in wishes:
        boxes = {side: _box(wish, side) for side in ("left", "right", "top", "bottom")}
        free = [side for side, box in boxes.items() if _inside(box, width, height) and not _hits(box, wish, taken)]
        if not free and not wish.needed:
            continue
        side = free[0] if free else ("left" if wish.x > width / 2 else "right")
        taken.append(boxes[side])
        found.append(Place(wish, side))
    return found


def _box(wish: Wish, side: str) -> Box:
    wide = LETTER * len(wish.name)
    if side in {"right", "left"}:
        start = wish.x + GAP if side == "right" else wish.x - GAP - wide
        return start, wish.y - LINE / 2, start + wide, wish.y + LINE / 2
    low = wish.y + GAP if side == "top" else wish.y - GAP - LINE
    return wish.x - wide / 2, low, wish.x + wide / 2, low + LINE


def _inside(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height


def _hits(box: Box, wish: Wish, taken: Sequence[Box]) -> bool:
    """Whether a box lies on one that is taken, its own point apart."""
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
        if not (other[0] < wish.x < other[2] and other[1] < wish.y < other[3])
    )
