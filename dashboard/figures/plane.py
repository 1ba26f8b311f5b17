"""The information plane: axes fitted to the data, rays of equal optimality, paths with crosses, arrows and labels."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

import plotly.graph_objects as go

from dashboard import plotly_internals
from dashboard.figures.label_placement import Name, add_names
from dashboard.figures.template import Theme, Trace, add_to_layout, along, mix, scatter, template
from dashboard.format import short_model
from softh.quantities import BY_COLUMN

Spread = Literal["crosses", "bands", "none"]
HEIGHT = 560
RAYS = (0.25, 0.5, 0.75, 1.0)
_SHADES = 6
MOST_NAMED = 5
"""Paths that can be told apart by their names."""
_SHOWN = 400.0, 430.0
"""Pixels of the axes in a window of usual width."""


@dataclass(frozen=True)
class Path:
    """Points of one model in their order; a single one is drawn as a point."""

    name: str
    """Label beside the last point."""
    start: str
    """Label beside the first of several points."""
    x: Sequence[float]
    y: Sequence[float]
    x_error: Sequence[float | None]
    y_error: Sequence[float | None]
    shares: Sequence[float]
    """Position of every point on the colour scale, 0 to 1."""
    colours: tuple[str, ...]
    symbol: str
    ids: Sequence[str]
    hover_texts: Sequence[str]


@dataclass(frozen=True)
class ColourScale:
    """Legend of the colours: title, and ticks at positions from 0 to 1."""

    title: str
    places: Sequence[float]
    texts: Sequence[str]
    colours: tuple[str, ...]


def plane(
    paths: Sequence[Path],
    scale: ColourScale | None,
    labels: str,
    theme: Theme,
    spread: Spread = "crosses",
    *,
    notes: Sequence[Name] = (),
    moments: Sequence[Name] = (),
    named: Collection[str] | None = None,
) -> go.Figure:
    """The plane with all paths, one standard error around each point as a cross or around each path as a band.

    labels: which labels and correction, below the names of the axes; notes: words beside points, placed before the
    names of paths; moments: others, where these leave room; named: the paths that are named where there are more than
    can be told apart, all where there is room if None.
    """
    x_range = span([end for path in paths for end in _ends(path.x, path.x_error)])
    y_range = span([end for path in paths for end in _ends(path.y, path.y_error)])
    axes = {
        axis: {"title": {"text": _title(column, labels, theme)}, "range": [*limits], "nticks": 7}
        for axis, column, limits in (("xaxis", "input", x_range), ("yaxis", "output", y_range))
    }
    drawn = (
        trace
        for path in paths
        for trace in (*_band(path, spread), *_segments(path), *_arrows(path, theme), _points(path, theme, spread))
    )
    figure = plotly_internals.unchecked(
        [*drawn, *([_colour_bar(scale, theme)] if scale else [])],
        {
            "template": template(theme), "height": HEIGHT, "showlegend": False, "hovermode": "closest", **axes,
            # Room for the labels of the rays, which lie outside of the axes, and for what the axes need: when that
            # outgrows the margins, Plotly draws the whole figure once more.
            "margin": {"t": 26, "r": 58, "l": 84, "b": 130 if scale else 64},
        },
    )  # fmt: skip
    rays(figure, x_range, y_range, theme)
    points = [point for path in paths for point in zip(path.x, path.y, strict=True)]
    add_names(figure, [*notes, *_names(paths, named), *moments], points, _SHOWN, theme)
    return figure


def span(values: Sequence[float]) -> tuple[float, float]:
    """Axis limits that hold all values and the origin, where the rays start."""
    low, high = min(0.0, *values), max(0.0, *values)
    pad = 0.12 * (high - low) or 1.0
    return (low - pad if low < 0 else low), high + pad


def _ends(values: Sequence[float], errors: Sequence[float | None]) -> Iterator[float]:
    """Both ends of every bar of an error cross."""
    for value, error in zip(values, errors, strict=True):
        yield from (value - (error or 0), value + (error or 0))


def _title(column: str, labels: str, theme: Theme) -> str:
    return f"{BY_COLUMN[column].title}<br><span style='font-size:12px;color:{theme.muted}'>{labels}</span>"


def rays(figure: go.Figure, x_range: tuple[float, float], y_range: tuple[float, float], theme: Theme) -> None:
    """Lines I(Y;Z) = c I(X;Z), named where they leave the axes; c = 1 is the bound."""
    lines, names = [], []
    for ratio in RAYS:
        bound = ratio == 1
        line = {"color": theme.muted if bound else theme.grid, "width": 1.4, "dash": "dash" if bound else "solid"}
        lines.append({"type": "line", "x0": 0, "y0": 0, "x1": 10, "y1": 10 * ratio, "line": line, "layer": "below"})
        right = ratio * x_range[1] <= y_range[1]
        name = f"optimality{'<br>' if right else ' '}{ratio:g}" if ratio == RAYS[0] else f"{ratio:g}"
        names.append(
            {
                "x": x_range[1] if right else y_range[1] / ratio,
                "y": ratio * x_range[1] if right else y_range[1],
                "text": ("bound" if right else "bound: I(Y;Z) = I(X;Z)") if bound else name,
                "font": {"size": 11, "color": theme.muted},
                "align": "left",
                "xanchor": "left" if right else "right" if bound else "center",
                "yanchor": "middle" if right else "bottom",
                "xshift": 3 if right else 0,
                "showarrow": False,
            }
        )
    add_to_layout(figure, "shapes", lines)
    add_to_layout(figure, "annotations", names)


def _segments(path: Path) -> Iterator[Trace]:
    """The line in one trace a shade, so that its colour follows the points."""
    shades = [round((a + b) / 2 * _SHADES) / _SHADES for a, b in pairwise(path.shares)]
    for shade, steps in groupby(range(len(shades)), key=shades.__getitem__):
        ends = [*(indices := list(steps)), indices[-1] + 1]
        yield scatter(
            x=[path.x[i] for i in ends],
            y=[path.y[i] for i in ends],
            mode="lines",
            line={"color": along(path.colours, shade), "width": 3},
            hoverinfo="skip",
            legendgroup=path.name,
        )


def _band(path: Path, spread: Spread) -> Iterator[Trace]:
    if spread != "bands":
        return
    x, y = ribbon(path.x, path.y, path.x_error, path.y_error)
    red, green, blue = (int(path.colours[-1][i : i + 2], 16) for i in (1, 3, 5))
    fill = f"rgba({red},{green},{blue},0.2)"
    yield scatter(
        x=x,
        y=y,
        mode="lines",
        fill="toself",
        fillcolor=fill,
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=path.name,
    )


def _points(path: Path, theme: Theme, spread: Spread) -> Trace:
    """Markers with error crosses; the start hollow, the end large."""
    last = len(path.x) - 1
    single = last == 0
    symbols = [f"{path.symbol}-open" if i == 0 and not single else path.symbol for i in range(last + 1)]
    sizes = [14 if i == last else 11 if i == 0 else 8 for i in range(last + 1)]
    colours = [along(path.colours, share) for share in path.shares]
    cross = {"color": mix(theme.muted, theme.background, 0.6), "thickness": 1, "width": 0}
    cross |= {"visible": spread == "crosses"}
    return scatter(
        x=path.x,
        y=path.y,
        mode="markers",
        name=path.name,
        legendgroup=path.name,
        marker={"symbol": symbols, "size": sizes, "color": colours, "opacity": 1, "line": _edges(sizes, theme)},
        error_x={"array": [error or 0 for error in path.x_error], **cross},
        error_y={"array": [error or 0 for error in path.y_error], **cross},
        customdata=list(zip(path.ids, path.hover_texts, strict=True)),
        hovertemplate="%{customdata[1]}<extra></extra>",
    )


def _edges(sizes: Sequence[int], theme: Theme) -> dict[str, object]:
    return {"width": [2 if size == 11 else 0.7 for size in sizes], "color": theme.background}


def _arrows(path: Path, theme: Theme) -> Iterator[Trace]:
    """Heads in the direction of the path, at a few points evenly spread over its length."""
    lengths = [math.dist(a, b) for a, b in pairwise(zip(_unit(path.x), _unit(path.y), strict=True))]
    total, travelled, wanted, sizes = sum(lengths), 0.0, 0.12, [0.0]
    for length in lengths:
        travelled += length
        reached = total > 0 and travelled >= wanted * total and length > 0.02 * total
        sizes.append(16.0 if reached else 0.0)
        if reached:
            wanted += 0.22
    if not any(sizes[:-1]):
        return
    yield scatter(
        x=path.x,
        y=path.y,
        mode="markers",
        marker={
            "symbol": "arrow",
            "angleref": "previous",
            "size": [*sizes[:-1], 0],
            "color": [along(path.colours, share) for share in path.shares],
            "line": {"width": 1, "color": theme.background},
            "opacity": 1,
        },
        hoverinfo="skip",
        legendgroup=path.name,
    )


def _unit(values: Sequence[float]) -> list[float]:
    width = max(values) - min(values) or 1.0
    return [value / width for value in values]


def _names(paths: Sequence[Path], named: Collection[str] | None) -> list[Name]:
    """Each model at the end of its path; where it begins, once for all that begin together."""
    several = [path for path in paths if len(path.x) > 1]
    few = len(paths) <= MOST_NAMED
    ends = [
        Name(
            short_model(path.name),
            path.x[-1],
            path.y[-1],
            few or path.name in (named or ()),
            strong=True,
            run=path.name,
        )
        for path in sorted(paths, key=lambda path: path.name not in (named or ()))
        if few or named is None or path.name in named
    ]
    begins = {path.start: Name(path.start, path.x[0], path.y[0], quiet=True, run=path.name) for path in several[::-1]}
    return [*ends, *begins.values()]


def _colour_bar(scale: ColourScale, theme: Theme) -> Trace:
    bar = {
        "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "xanchor": "left", "x": 0, "len": 0.6,
        "thickness": 9, "outlinewidth": 0, "ypad": 4, "xpad": 0, "tickvals": list(scale.places),
        "ticktext": list(scale.texts), "tickfont": {"size": 11, "color": theme.muted},
        "title": {"text": scale.title, "side": "bottom", "font": {"size": 12, "color": theme.muted}},
    }  # fmt: skip
    colours = [[i / (len(scale.colours) - 1), colour] for i, colour in enumerate(scale.colours)]
    marker = {"color": [0, 1], "colorscale": colours, "cmin": 0, "cmax": 1, "showscale": True, "colorbar": bar}
    return scatter(x=[None, None], y=[None, None], mode="markers", marker=marker, hoverinfo="skip")


_CORNERS = 20
Point = tuple[float, float]


def ribbon(
    x: Sequence[float], y: Sequence[float], x_error: Sequence[float | None], y_error: Sequence[float | None]
) -> tuple[list[float | None], list[float | None]]:
    """Outlines, separated by None, of the area that an ellipse of one standard error covers from point to point."""
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
