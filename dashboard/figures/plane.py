"""The information plane: axes fitted to the data, rays of equal optimality, paths with crosses, arrows and labels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal

import plotly.graph_objects as go

from dashboard.figures.template import Theme, add_to_layout, along, mix, template
from softh.quantities import BY_COLUMN

Spread = Literal["crosses", "bands", "none"]
HEIGHT = 560
RAYS = (0.25, 0.5, 0.75, 1.0)
_SHADES = 6
_LABEL_GAP = 36
"""Pixels between two labels that would lie on each other, two lines of text high."""


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
) -> go.Figure:
    """The plane with all paths, one standard error around each point as a cross or around each path as a band.

    labels: which labels and correction, below the names of the axes.
    """
    x_range = span([end for path in paths for end in _ends(path.x, path.x_error)])
    y_range = span([end for path in paths for end in _ends(path.y, path.y_error)])
    figure = go.Figure(layout={"template": template(theme), "height": HEIGHT, "showlegend": False})
    for axis, column, limits in (("xaxis", "input", x_range), ("yaxis", "output", y_range)):
        figure.layout[axis].update(title_text=_title(column, labels, theme), range=limits, nticks=7)
    # Room for the labels of the rays, which lie outside of the axes, and for what the axes need: when that outgrows the
    # margins, Plotly draws the whole figure once more.
    figure.update_layout(margin={"t": 26, "r": 58, "l": 84, "b": 130 if scale else 64}, hovermode="closest")
    rays(figure, x_range, y_range, theme)
    drawn = (
        trace
        for path in paths
        for trace in (*_band(path, spread), *_segments(path), *_arrows(path, theme), _points(path, theme, spread))
    )
    figure.add_traces([*drawn, *([_colour_bar(scale, theme)] if scale else [])])
    add_to_layout(figure, "annotations", list(_labels(paths, x_range, y_range, theme)))
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


def _segments(path: Path) -> Iterator[go.Scatter]:
    """The line in one trace a shade, so that its colour follows the points."""
    shades = [round((a + b) / 2 * _SHADES) / _SHADES for a, b in pairwise(path.shares)]
    for shade, steps in groupby(range(len(shades)), key=shades.__getitem__):
        ends = [*(indices := list(steps)), indices[-1] + 1]
        yield go.Scatter(
            x=[path.x[i] for i in ends],
            y=[path.y[i] for i in ends],
            mode="lines",
            line={"color": along(path.colours, shade), "width": 3},
            hoverinfo="skip",
        )


def _band(path: Path, spread: Spread) -> Iterator[go.Scatter]:
    if spread != "bands":
        return
    x, y = ribbon(path.x, path.y, path.x_error, path.y_error)
    red, green, blue = (int(path.colours[-1][i : i + 2], 16) for i in (1, 3, 5))
    fill = f"rgba({red},{green},{blue},0.2)"
    yield go.Scatter(x=x, y=y, mode="lines", fill="toself", fillcolor=fill, line={"width": 0}, hoverinfo="skip")


def _points(path: Path, theme: Theme, spread: Spread) -> go.Scatter:
    """Markers with error crosses; the start hollow, the end large."""
    last = len(path.x) - 1
    single = last == 0
    symbols = [f"{path.symbol}-open" if i == 0 and not single else path.symbol for i in range(last + 1)]
    sizes = [14 if i == last else 11 if i == 0 else 8 for i in range(last + 1)]
    colours = [along(path.colours, share) for share in path.shares]
    cross = {"color": mix(theme.muted, theme.background, 0.6), "thickness": 1, "width": 0}
    cross |= {"visible": spread == "crosses"}
    return go.Scatter(
        x=path.x,
        y=path.y,
        mode="markers",
        name=path.name,
        marker={"symbol": symbols, "size": sizes, "color": colours, "opacity": 1, "line": _edges(sizes, theme)},
        error_x={"array": [error or 0 for error in path.x_error], **cross},
        error_y={"array": [error or 0 for error in path.y_error], **cross},
        customdata=list(zip(path.ids, path.hover_texts, strict=True)),
        hovertemplate="%{customdata[1]}<extra></extra>",
    )


def _edges(sizes: Sequence[int], theme: Theme) -> dict[str, object]:
    return {"width": [2 if size == 11 else 0.7 for size in sizes], "color": theme.background}


def _arrows(path: Path, theme: Theme) -> Iterator[go.Scatter]:
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
    yield go.Scatter(
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
    )


def _unit(values: Sequence[float]) -> list[float]:
    width = max(values) - min(values) or 1.0
    return [value / width for value in values]


def _labels(
    paths: Sequence[Path], x_range: tuple[float, float], y_range: tuple[float, float], theme: Theme
) -> Iterator[dict[str, Any]]:
    """Labels of every end and start, on the side that the path leaves free, none over another."""
    wanted = [(path, -1, _two_lines(path.name, theme)) for path in paths]
    # One 'step 0' for all that begin together.
    sizes = 0.08 * (x_range[1] - x_range[0]), 0.08 * (y_range[1] - y_range[0])
    begins = {(path.start, path.x[0] // sizes[0], path.y[0] // sizes[1]): path for path in paths if len(path.x) > 1}
    wanted += [(path, 0, _small(path.start, theme)) for path in begins.values()]
    pixels = (HEIGHT - 150) / (y_range[1] - y_range[0])
    taken: list[tuple[float, float]] = []
    for path, index, text in sorted(wanted, key=lambda label: -label[0].y[label[1]]):
        x, y = path.x[index], path.y[index]
        place = (x - x_range[0]) / (x_range[1] - x_range[0])
        left, lift = _free_side(path, x, y, place)
        height = y * pixels + lift
        below = min((other for where, other in taken if abs(where - place) < 0.4), default=math.inf) - _LABEL_GAP
        height = max(min(height, below), y_range[0] * pixels + 9)  # never among the ticks
        taken.append((place, height))
        yield {
            "x": x, "y": y, "text": text, "align": "right" if left else "left", "xanchor": "right" if left else "left",
            "ax": -14 if left else 14, "ay": y * pixels - height, "arrowcolor": theme.muted, "arrowwidth": 0.8,
            "arrowhead": 0, "standoff": 7, "font": {"size": 12.5, "color": theme.ink}, "bgcolor": theme.veil,
            "borderpad": 1,
        }  # fmt: skip


def _free_side(path: Path, x: float, y: float, place: float) -> tuple[bool, float]:
    """Whether a label goes to the left of its point, and by how many pixels it is lifted out of the way of the path."""
    single = len(path.x) == 1
    middle_x, middle_y = sum(path.x) / len(path.x), sum(path.y) / len(path.y)
    left = place > 0.62 or (place > 0.3 and not single and middle_x > x)
    crossed = not single and (middle_x < x) == left
    if not crossed:
        return left, 0.0
    return left, -24.0 if middle_y > y else 24.0


def _small(text: str, theme: Theme) -> str:
    return f"<span style='color:{theme.muted}'>{text}</span>"


def _two_lines(name: str, theme: Theme) -> str:
    head, _, tail = name.partition(" (")
    return f"<b>{head}</b><br><span style='color:{theme.muted}'>{tail.rstrip(')')}</span>" if tail else f"<b>{head}</b>"


def _colour_bar(scale: ColourScale, theme: Theme) -> go.Scatter:
    bar = {
        "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "xanchor": "left", "x": 0, "len": 0.6,
        "thickness": 9, "outlinewidth": 0, "ypad": 4, "xpad": 0, "tickvals": list(scale.places),
        "ticktext": list(scale.texts), "tickfont": {"size": 11, "color": theme.muted},
        "title": {"text": scale.title, "side": "bottom", "font": {"size": 12, "color": theme.muted}},
    }  # fmt: skip
    colours = [[i / (len(scale.colours) - 1), colour] for i, colour in enumerate(scale.colours)]
    marker = {"color": [0, 1], "colorscale": colours, "cmin": 0, "cmax": 1, "showscale": True, "colorbar": bar}
    return go.Scatter(x=[None, None], y=[None, None], mode="markers", marker=marker, hoverinfo="skip")


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
