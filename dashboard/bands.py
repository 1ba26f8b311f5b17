"""The area that one standard error around a path covers on the plane."""

import math
from collections.abc import Sequence
from itertools import pairwise

_CORNERS = 20
Point = tuple[float, float]


def ribbon(
    x: Sequence[float], y: Sequence[float], x_error: Sequence[float | None], y_error: Sequence[float | None]
) -> tuple[list[float | None], list[float | None]]:
    """Outlines, None between two, of what an ellipse of one error sweeps over from point to point."""
    ellipses = [_ellipse(*point) for point in zip(x, y, x_error, y_error, strict=True)]
    outlines = [_hull([*a, *b]) for a, b in pairwise(ellipses)] or [_hull(ellipse) for ellipse in ellipses]
    closed = [[*outline, outline[0]] for outline in outlines]
    xs: list[float | None] = []
    ys: list[float | None] = []
    for outline in closed:
        xs += [*(corner[0] for corner in outline), None]
        ys += [*(corner[1] for corner in outline), None]
    return xs[:-1], ys[:-1]


def _ellipse(x: float, y: float, a: float | None, b: float | None) -> list[Point]:
    angles = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    return [(x + (a or 0) * math.cos(angle), y + (b or 0) * math.sin(angle)) for angle in angles]


def _hull(points: list[Point]) -> list[Point]:
    """Convex hull, counter-clockwise: all outlines turn the same way, so that they fill as one area."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    lower, upper = _chain(ordered), _chain(ordered[::-1])
    return [*lower[:-1], *upper[:-1]]


def _chain(points: list[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
