"""Label placement: which points of a crowded figure are named, on which side, without overlaps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.template import Theme, add_meta, add_to_layout

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
    width: float | None = None
    """Pixels; as many letters as the name has where it is not said."""


@dataclass(frozen=True)
class PlacedLabel:
    """A label and the side of its point that it is on."""

    label: PointLabel
    side: str
    """right, left, top or bottom."""
    lift: float = 0.0
    """Pixels that it is moved up by, with a line to its point; a needed one that has no room beside it."""

    @property
    def beside(self) -> dict[str, Any]:
        """Where an annotation of Plotly is put."""
        if not self.lift:
            return dict(BESIDE[self.side])
        left = self.side == "left"
        return {
            "showarrow": True, "arrowhead": 0, "arrowwidth": 0.8, "ax": -14 if left else 14, "ay": -self.lift,
            "xanchor": "right" if left else "left", "standoff": 5,
        }  # fmt: skip


BESIDE: Mapping[str, Mapping[str, Any]] = {
    "right": {"xanchor": "left", "xshift": GAP},
    "left": {"xanchor": "right", "xshift": -GAP},
    "top": {"yanchor": "bottom", "yshift": GAP - 3},
    "bottom": {"yanchor": "top", "yshift": 3 - GAP},
}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Name:
    """Words beside a point of a figure, at (x, y) as the data has it."""

    text: str
    x: float
    y: float
    needed: bool = False
    """Whether it is placed even where there is no room."""
    strong: bool = False
    quiet: bool = False
    run: str = ""
    """What it is hidden with by the legend."""
    hover: str = ""


def add_names(
    figure: go.Figure,
    names: Sequence[Name],
    crowd: Sequence[tuple[float, float]],
    size: tuple[float, float],
    theme: Theme,
) -> None:
    """Write the names that have room beside their points, earlier ones first, clear of the points of the crowd.

    size: pixels of the axes, as far as they are known here; the browser places the names again for its own
    (figures.js). The axes have their ranges.
    """
    axes = figure.layout.xaxis, figure.layout.yaxis
    along = [_along(axis, pixels) for axis, pixels in zip(axes, size, strict=True)]
    placed = place_labels(
        [PointLabel(str(number), along[0](name.x), along[1](name.y), name.needed, 0.54 * 12 * len(name.text))
         for number, name in enumerate(names)],
        [(along[0](x), along[1](y)) for x, y in crowd], *size,
    )  # fmt: skip
    logarithmic = [axis.type == "log" for axis in axes]
    every = [_annotation(name, logarithmic, theme) for name in names]
    add_to_layout(figure, "annotations", [every[int(one.label.name)] | one.beside for one in placed])
    add_meta(figure, names=[{**one, "needed": name.needed} for one, name in zip(every, names, strict=True)])


def _annotation(name: Name, logarithmic: Sequence[bool], theme: Theme) -> dict[str, Any]:
    x, y = (math.log10(at) if log else at for at, log in zip((name.x, name.y), logarithmic, strict=True))
    return {
        "x": x, "y": y, "text": f"<b>{name.text}</b>" if name.strong else name.text, "showarrow": False,
        "font": {"size": 11.5, "color": theme.muted if name.quiet else theme.ink}, "bgcolor": theme.veil,
        "borderpad": 0, "name": name.run, "hovertext": name.hover or None,
    }  # fmt: skip


def _along(axis: Any, pixels: float) -> Callable[[float], float]:
    """Pixels from the start of an axis to a value; the axis is asked once, since Plotly's objects are slow to ask."""
    (low, high), log = axis.range, axis.type == "log"
    return lambda value: ((math.log10(value) if log else value) - low) / (high - low) * pixels


def place_labels(
    labels: Sequence[PointLabel], points: Sequence[tuple[float, float]], width: float, height: float
) -> list[PlacedLabel]:
    """The labels that have room, with their sides; earlier labels have priority."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    placed = []
    for label in labels:
        boxes = {side: _box(label, side) for side in ("right", "left", "top", "bottom")}
        free = [side for side, box in boxes.items() if _inside(box, width, height) and not _hits(box, label, taken)]
        if not free and not label.needed:
            continue
        side, lift = (free[0], 0.0) if free else _lifted(label, width, height, taken)
        taken.append(_box(label, side, lift))
        placed.append(PlacedLabel(label, side, lift))
    return placed


def _lifted(label: PointLabel, width: float, height: float, taken: Sequence[Box]) -> tuple[str, float]:
    """Side and lift of a label that is needed and has no room beside its point."""
    sides = ("left", "right") if label.x > width / 2 else ("right", "left")
    for step in range(1, 12):
        for side in sides:
            for lift in (step * LINE, -step * LINE):
                box = _box(label, side, lift)
                if _inside(box, width, height) and not _hits(box, label, taken):
                    return side, lift
    return sides[0], 0.0


def _box(label: PointLabel, side: str, lift: float = 0.0) -> Box:
    wide = LETTER * len(label.name) if label.width is None else label.width
    if side in {"right", "left"}:
        start = label.x + GAP if side == "right" else label.x - GAP - wide
        return start, label.y + lift - LINE / 2, start + wide, label.y + lift + LINE / 2
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
