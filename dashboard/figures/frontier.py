"""The figure of finished models: families by colour, stages by marker, parameters by size, the frontier as steps."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard import plotly_internals
from dashboard.data.axis_options import PLANE, AxisOption
from dashboard.data.rows import ABLATION
from dashboard.figures.label_placement import Name, add_names
from dashboard.figures.plane import rays, span
from dashboard.figures.runs import Display
from dashboard.figures.template import Theme, Trace, add_meta, mix, scatter, template, theme_for
from dashboard.format import count, hover_text, plus_minus, short_model, standard_error
from softh.analysis.finished_models import by_stage, stage_name
from softh.format import and_more
from softh.quantities import BY_COLUMN

HEIGHT = 620
_SHOWN = 400.0, 430.0
"""Least pixels of the axes on a desktop: labels placed for this size do not overlap on a larger one."""
_LEGEND_WIDTH, _LEGEND_LINE = 380, 29
"""Pixels that the legend has in a window of usual width, and that a line of it is high."""
_NAMED = 26
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Models:
    """The models of the figure: their rows, and how they relate to each other."""

    rows: pl.DataFrame
    """Columns of an estimate on the plane, and x, y, x_error, y_error (axis_options.placed), distance."""
    front: Sequence[str]
    """Estimate ids on the Pareto frontier."""
    origins: Mapping[str, str]
    """Post-trained model → the model it was made from."""
    picked: Collection[str]
    """Estimate ids that the reader chose."""
    families: Sequence[str]
    """Every family of the tables, so that each keeps its colour whatever is filtered."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Id of a post-trained estimate → its differences from the model it was made from, in words."""


def frontier(models: Models, x: AxisOption, y: AxisOption, display: Display) -> go.Figure:
    """One point a model; alt text in `layout.meta`."""
    theme, rows = theme_for(display.dark), models.rows.to_dicts()
    axes = _axes(rows, x, y, display, theme)
    ranges = axes["xaxis"]["range"], axes["yaxis"]["range"]
    size = sizes([row["parameters"] for row in rows])
    points = [_points(mine, models, x, y, size, theme) for _, mine in sorted(_groups(rows).items())]
    lines = [*_frontier(models, x, y, ranges, theme), *_arrows(rows, models.origins, theme)]
    keys = [*_rings(rows, models.picked, size, theme), *legend(rows, models.families, theme)]
    figure = plotly_internals.unchecked(
        [*lines, *points, *keys],
        {
            "template": template(theme), "height": HEIGHT, "hovermode": "closest", **axes,
            "margin": {"t": 26, "r": 58, "l": 84, "b": 73 + _LEGEND_LINE * _legend_lines([*lines, *keys])},
            "legend": {"yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "itemsizing": "trace"},
        },
    )  # fmt: skip
    if (x, y) == PLANE:
        rays(figure, *ranges, theme)
    _names(figure, rows, models, theme)
    return add_meta(figure, alt=_alt(models, x, y, display))


def _legend_lines(listed: Sequence[Trace]) -> int:
    """Approximate lines of the legend on a desktop. Where it outgrows its margin, Plotly draws everything twice."""
    return math.ceil(sum(40 + 6 * len(trace["name"]) for trace in listed) / _LEGEND_WIDTH)


def _axes(
    rows: Sequence[Row], x: AxisOption, y: AxisOption, display: Display, theme: Theme
) -> dict[str, dict[str, Any]]:
    """Titles, limits and types of both axes."""
    axes = {}
    for letter, axis in (("x", x), ("y", y)):
        ends = [row[letter] + sign * (row[f"{letter}_error"] or 0) for row in rows for sign in (-1, 1)]
        if axis.log:
            low, high = math.log10(min(ends)), math.log10(max(ends))
            limits = low - 0.2, high + 0.2
        else:
            limits = span(ends) if (x, y) == PLANE else _tight(ends)
        told = display.labels if axis.has_labels else "one number per model"
        title = f"{axis.title}<br><span style='font-size:12px;color:{theme.muted}'>{told}</span>"
        kind = "log" if axis.log else "linear"
        axes[f"{letter}axis"] = {"title": {"text": title}, "range": [*limits], "nticks": 7, "type": kind}
    return axes


def _tight(ends: Sequence[float]) -> tuple[float, float]:
    low, high = min(ends), max(ends)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _frontier(
    models: Models, x: AxisOption, y: AxisOption, ranges: Sequence[tuple[float, float]], theme: Theme
) -> Iterator[Trace]:
    """The Pareto frontier as a line of steps."""
    front = models.rows.filter(pl.col("estimate_id").is_in(list(models.front))).sort("x", "y").unique(["x", "y"])
    if front.is_empty() or x.better is None or y.better is None:
        return
    front = front.sort("x", descending=x.better > 0)
    xs, ys = front["x"].to_list(), front["y"].to_list()
    # Out to the edges of the axes: everything behind the line is beaten by a model on it.
    edges = [10**end if axis.log else end for axis, limits in ((x, ranges[0]), (y, ranges[1])) for end in limits]
    worst_x = edges[1] if x.better < 0 else edges[0]
    worst_y = edges[2] if y.better > 0 else edges[3]
    path = list(zip([xs[0], *xs, worst_x], [worst_y, *ys, ys[-1]], strict=True))
    # With its corners as points: what draws no steps of its own, such as PowerPoint, would slant them.
    corners = [corner for (x0, y0), (x1, y1) in pairwise(path) for corner in ((x0, y0), (x1, y0))] + path[-1:]
    yield scatter(
        x=[x for x, _ in corners], y=[y for _, y in corners], mode="lines", name="Pareto frontier",
        line={"color": theme.ink, "width": 1.3, "dash": "dot"}, hoverinfo="skip", legendrank=900,
    )  # fmt: skip


def _arrows(rows: Sequence[Row], origins: Mapping[str, str], theme: Theme) -> Iterator[Trace]:
    """Arrows from every model of the figure to those trained from it."""
    by_name = {row["model"]: row for row in rows}
    pairs = [(by_name[base], by_name[model]) for model, base in origins.items() if {model, base} <= set(by_name)]
    if not pairs:
        return
    yield scatter(
        x=[value for a, b in pairs for value in (a["x"], b["x"], None)],
        y=[value for a, b in pairs for value in (a["y"], b["y"], None)],
        mode="lines+markers", name="post-training", hoverinfo="skip", legendrank=901,
        line={"color": mix(theme.muted, theme.background, 0.8), "width": 1.4},
        marker={
            "symbol": "arrow", "angleref": "previous", "size": [0, 11, 0] * len(pairs), "standoff": 7,
            "color": theme.muted, "line": {"width": 0}, "opacity": 1,
        },
    )  # fmt: skip


def _groups(rows: Sequence[Row]) -> dict[tuple[bool, str], list[Row]]:
    """Rows of each family, one's own after all others, so that they lie on top."""
    groups: dict[tuple[bool, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((bool(row["own"]), row["family"]), []).append(row)
    return groups


def _points(
    rows: Sequence[Row], models: Models, x: AxisOption, y: AxisOption, size: Mapping[int, float], theme: Theme
) -> Trace:
    """The models of one family, with crosses of one standard error; one's own with a heavy rim."""
    colour, variant = family_style(rows[0]["family"], models.families, theme)
    cross = {"color": mix(theme.muted, theme.background, 0.55), "thickness": 1, "width": 0}
    hollow = "open" in variant
    marked = [(row, bool(re.search(ABLATION, row["model"]))) for row in rows]
    return scatter(
        x=[row["x"] for row in rows], y=[row["y"] for row in rows], mode="markers", name=rows[0]["family"],
        legendgroup=rows[0]["family"], showlegend=False,
        marker={
            "symbol": [_CROSSED if spoiled else stage_symbol(row["stage"]) + variant for row, spoiled in marked],
            "size": [size[row["parameters"]] + (5 if row["own"] else 0) for row in rows],
            "color": colour, "opacity": 1,
            "line": {
                "width": [3.0 if row["own"] else 2.0 if hollow else 1.4 if spoiled else 0.8 for row, spoiled in marked],
                "color": [
                    theme.ink if row["own"] else colour if hollow or spoiled else theme.background
                    for row, spoiled in marked
                ],
            },
        },
        unselected={"marker": {"opacity": 1}},
        error_x={"array": [row["x_error"] or 0 for row in rows], **cross},
        error_y={"array": [row["y_error"] or 0 for row in rows], **cross},
        customdata=[(row["estimate_id"], _hover_text(row, models, x, y)) for row in rows],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )  # fmt: skip


def _hover_text(row: Row, models: Models, x: AxisOption, y: AxisOption) -> str:
    """Hover text: the model, both axes, the distance to the bound, provenance."""
    head = f"{row['family']}, {stage_name(row['stage'])}, {count(row['parameters'])} parameters, {row['weights']}"
    origin = models.origins.get(row["model"])
    extra = [f"{head}{f'<br>made from {origin}' if origin else ''}"]
    if change := models.changes.get(row["estimate_id"]):
        extra.append(f"compared with it: {change.replace('), ', '),<br>')}")
    extra += [axis.describe(row, name) for name, axis in (("x", x), ("y", y)) if axis not in PLANE]
    if "distance" not in (x.column, y.column):
        extra.append(f"{BY_COLUMN['distance'].name} = {plus_minus(row['distance'], standard_error(row, 'distance'))}")
    if row["estimate_id"] in models.front:
        extra.append("on the frontier")
    if row["own"]:
        extra.append("your own estimate")
    title, _, rest = hover_text(row, row["model"]).partition("<br>")
    return "<br>".join([title, *extra, rest])


def _rings(rows: Sequence[Row], picked: Collection[str], size: Mapping[int, float], theme: Theme) -> Iterator[Trace]:
    mine = [row for row in rows if row["estimate_id"] in picked]
    if mine:
        yield scatter(
            x=[row["x"] for row in mine], y=[row["y"] for row in mine], mode="markers", name="selected",
            hoverinfo="skip", legendrank=903,
            marker={
                "symbol": "circle-open", "size": [size[row["parameters"]] + 11 for row in mine], "color": theme.ink,
                "line": {"width": 2.2, "color": theme.ink}, "opacity": 1,
            },
        )  # fmt: skip


def _names(figure: go.Figure, rows: Sequence[Row], models: Models, theme: Theme) -> None:
    """Names of models, while there is room, in the order chosen, own, on the frontier, largest."""
    picked, front = set(models.picked), set(models.front)

    def matters(row: Row) -> tuple[bool, bool, bool, int]:
        return row["estimate_id"] in picked, row["own"], row["estimate_id"] in front, row["parameters"]

    names = []
    for row in sorted(rows, key=matters, reverse=True)[:_NAMED]:
        needed = row["estimate_id"] in picked or bool(row["own"])
        names.append(
            Name(
                short_model(row["model"]).partition(" (")[0], row["x"], row["y"], needed=needed, strong=needed,
                quiet=not any(matters(row)[:3]),
            )
        )  # fmt: skip
    add_names(figure, names, [(row["x"], row["y"]) for row in rows], _SHOWN, theme)


def _alt(models: Models, x: AxisOption, y: AxisOption, display: Display) -> str:
    front = models.rows.filter(pl.col("estimate_id").is_in(list(models.front))).sort("x").to_dicts()
    told = [f"{row['model']} ({x.describe(row, 'x')}, {y.describe(row, 'y')})" for row in front]
    frontier = f" On the Pareto frontier: {and_more(told, separator='; ')}." if told else ""
    return f"{models.rows.height} finished models, {x.key} against {y.key}, {display.labels}.{frontier}"


STAGES = {"base": "circle", "sft": "square", "instruct": "pentagon", "dpo": "diamond", "unknown": "triangle-up"}
_CROSSED = "circle-x-open"
"""Of a run that was spoiled on purpose."""
_OTHERS = ("star", "hexagon", "cross", "x")
"""Markers of stages that have none of their own."""
_VARIANTS = ("", "-open", "-dot", "-open-dot")
"""More families than colours: the second round is hollow, and so on."""
SMALLEST, LARGEST = 9.0, 21.0


def stage_symbol(stage: str | None) -> str:
    """Marker of a stage; the same on every figure."""
    name = stage_name(stage)
    return STAGES.get(name) or _OTHERS[sum(map(ord, name)) % len(_OTHERS)]


def family_style(family: str, families: Sequence[str], theme: Theme) -> tuple[str, str]:
    """Colour of a family, and what is added to its markers where there are more families than colours."""
    place = list(families).index(family)
    return theme.colours[place % len(theme.colours)], _VARIANTS[place // len(theme.colours) % len(_VARIANTS)]


def sizes(parameters: Sequence[int]) -> Mapping[int, float]:
    """Diameter in pixels of every number of parameters, along their logarithm."""
    low, high = math.log(min(parameters)), math.log(max(parameters))
    width = high - low
    return {
        number: SMALLEST + (LARGEST - SMALLEST) * ((math.log(number) - low) / width if width else 0.4)
        for number in set(parameters)
    }


def legend(rows: Sequence[Mapping[str, Any]], families: Sequence[str], theme: Theme) -> Iterator[Trace]:
    """Legend entries of families, stages and own estimates; a click on a family hides it."""
    for family in sorted({row["family"] for row in rows}):
        colour, variant = family_style(family, families, theme)
        yield _key(family, f"circle{variant}", colour, 11, rank=100, group=family)
    for stage in by_stage(list({stage_name(row["stage"]) for row in rows})):
        yield _key(stage, stage_symbol(stage), theme.muted, 11, rank=500)
    if any(re.search(ABLATION, row["model"]) for row in rows):
        yield _key("ablation", _CROSSED, theme.muted, 11, rank=600)
    if any(row["own"] for row in rows):
        yield _key("yours", "circle-open", theme.ink, 13, rank=902)


def _key(name: str, symbol: str, colour: str, size: float, *, rank: int, group: str | None = None) -> Trace:
    marker = {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}}
    return scatter(
        x=[None], y=[None], mode="markers", name=name, legendgroup=group, legendrank=rank, marker=marker,
        hoverinfo="skip",
    )  # fmt: skip
