"""Figures of the benchmarks page: scatter with its line, matrix with stars, forest; alt text in `layout.meta`."""

from collections.abc import Iterable, Iterator, Sequence
from math import isnan

import plotly.graph_objects as go
import polars as pl

from dashboard.data.axis_options import LESS_IS_BETTER
from dashboard.figures.frontier import family_style
from dashboard.figures.label_placement import BESIDE, PointLabel, place_labels
from dashboard.figures.plane import HEIGHT
from dashboard.figures.template import SYMBOLS, Theme, add_meta, add_to_layout, mix, template
from dashboard.format import coefficient, p_text, short_model, signed
from softh.analysis.correlation import Detail, Effect, Matrix, Study
from softh.format import and_more

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
PUBLISHED_ROW = "published (r)"
LABELLED = 14
"""Models that are all named on the scatter; of more only those far from the line."""
FAR = 1.5
"""Standard deviations from the line from which a model is named."""
_SHOWN = (470.0, 430.0)
"""Pixels of the scatter's axes on a page of the usual width."""
_ROOM = {"t": 8, "l": 66, "b": 60}
"""Pixels that axes need: where they outgrow the margins, Plotly draws everything once more."""
_FAMILIES = 14
"""Families shown in the forest, those whose absence changes most."""


def scatter(cell: Study, detail: Detail, families: Sequence[str], method: str, theme: Theme) -> go.Figure:
    """Predictor against score, one colour and marker a family, with the least-squares line and its interval."""
    figure = go.Figure(layout={"template": template(theme), "height": HEIGHT, "hovermode": "closest"})
    line = detail.line
    band = {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "mode": "lines"}
    figure.add_scatter(x=line.x, y=line.high, **band)
    figure.add_scatter(x=line.x, y=line.low, fill="tonexty", fillcolor=_clear(theme.muted), **band)
    ink = {"color": theme.muted, "width": 1.5}
    figure.add_scatter(x=line.x, y=line.y, line=ink, mode="lines", hoverinfo="skip", showlegend=False)
    ranges = [
        _range([*_ends(cell.x[:, 0], cell.x_error[:, 0]), *line.x]),
        _range([*_ends(cell.y[:, 0], cell.y_error[:, 0]), *line.low, *line.high]),
    ]
    named = outliers(cell, detail) if len(cell.names) > LABELLED else range(len(cell.names))
    sides = _sides(cell, named, ranges)
    for family in sorted(set(cell.family)):
        rows = [row for row, name in enumerate(cell.family) if name == family]
        colour, symbol = family_style(family, families, theme)[0], SYMBOLS[families.index(family) % len(SYMBOLS)]
        figure.add_scatter(
            x=cell.x[rows, 0], y=cell.y[rows, 0], name=short_model(family), mode="markers",
            legendgroup=family,
            error_x=_error(cell.x_error[rows, 0], colour), error_y=_error(cell.y_error[rows, 0], colour),
            marker={"color": colour, "symbol": symbol, "size": 9, "line": {"color": theme.background, "width": 1}},
            cliponaxis=False,
            hovertext=[_hover_text(cell, detail, row) for row in rows], hoverinfo="text",
        )  # fmt: skip
    # On a veil, since error bars run through the names; the legend hides them by the name of their family.
    names = [
        {
            "x": cell.x[row, 0], "y": cell.y[row, 0], "text": short_model(cell.names[row]), "showarrow": False,
            "font": {"size": 11, "color": theme.ink}, "bgcolor": theme.veil, "borderpad": 0, "name": cell.family[row],
        }
        for row in sides
    ]  # fmt: skip
    add_to_layout(
        figure, "annotations", [{**name, **BESIDE[side]} for name, side in zip(names, sides.values(), strict=True)]
    )
    figure.update_layout(legend={"y": 1.01, "yanchor": "bottom", "x": 0, "xanchor": "left"}, margin={**_ROOM, "r": 20})
    figure.update_xaxes(title_text=cell.predictors[0], nticks=7, range=ranges[0])
    figure.update_yaxes(title_text=cell.scores[0], nticks=7, range=ranges[1])
    alt = (
        f"{cell.scores[0]} against {cell.predictors[0]} of {len(cell.names)} models of {detail.plain.families} "
        f"families: {method} {coefficient(detail.plain)}."
    )
    # The browser places the names again for the pixels that it has.
    return figure.update_layout(meta={"alt": alt, "names": [{**name, "needed": False} for name in names]})


def matrix(result: Matrix, words: str, theme: Theme) -> go.Figure:
    """Coefficients by colour and number, with stars after the correction over the whole matrix; `words` for a slide."""
    few = len(result.scores) <= 14
    # Not the whole colour: ink must be read on all of them.
    low, high = (mix(theme.colours[place], theme.background, 0.5) for place in (1, 0))
    scale = [[0, low], [0.5, theme.background], [1, high]]
    figure = go.Figure(layout={"template": template(theme), "height": 180 + 40 * len(result.predictors)})
    shown = [[_strength(result, i, j) for j in range(len(result.scores))] for i in range(len(result.predictors))]
    heads = [f"{score} ↓" if less_is_better(score) else score for score in result.scores]
    figure.add_heatmap(
        z=shown, x=heads, y=list(result.predictors), zmin=-1, zmax=1, colorscale=scale, xgap=2, ygap=2,
        text=[[_entry(result, i, j, few) for j in range(len(result.scores))] for i in range(len(result.predictors))],
        texttemplate="%{text}", textfont={"size": 11, "color": theme.ink}, hoverinfo="text",
        hovertext=[
            [_cell_hover_text(result, i, j) for j in range(len(result.scores))] for i in range(len(result.predictors))
        ],
        # Below and not beside, where it would take a third of a telephone's width from the cells.
        colorbar={
            "title": {"text": result.method.capitalize(), "side": "top", "font": {"size": 12}},
            "tickfont": {"size": 11},
            "thickness": 10, "outlinewidth": 0, "len": 0.9, "orientation": "h", "yanchor": "top", "y": -0.02,
        },
    )  # fmt: skip
    # A click needs points: one lies, unseen, on every cell.
    cells = [(i, j) for i in range(len(result.predictors)) for j in range(len(result.scores))]
    figure.add_scatter(
        x=[heads[j] for _, j in cells], y=[result.predictors[i] for i, _ in cells], mode="markers", showlegend=False,
        marker={"symbol": "square", "size": 30, "opacity": 0}, unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
        customdata=[(result.predictors[i], result.scores[j]) for i, j in cells],
        hovertext=[_cell_hover_text(result, i, j) for i, j in cells], hoverinfo="text",
    )  # fmt: skip
    figure.update_xaxes(side="top", tickangle=-35, showgrid=False, ticks="", fixedrange=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", fixedrange=True)
    called = [
        f"{result.predictors[i]} with {result.scores[j]} {result.value[i, j]:.2f}"
        for i in range(len(result.predictors)) for j in range(len(result.scores))
        if result.q[i, j] < STARS[-1][0] and not _of_itself(result, i, j)
    ]  # fmt: skip
    said = and_more(called, 8, "; ")
    what = f"{result.method.capitalize()} of {len(result.predictors)} predictors with {len(result.scores)} scores."
    left = f"Significant after correction: {said}." if called else "None is significant after correction."
    return add_meta(figure, alt=f"{what} {left}", title=f"Measures against scores, {words}")


def _called(row: Effect) -> str:
    return short_model(_in_words(row))


def _in_words(row: Effect) -> str:
    """The name of a coefficient as shown; in files of data it stays what it always was."""
    return row.name.replace("as it is", "unadjusted")


def less_is_better(score: str) -> bool:
    """Whether a score is better where it is low."""
    return any(word in score.lower() for word in LESS_IS_BETTER)


def _of_itself(result: Matrix, i: int, j: int) -> bool:
    """Whether predictor and score are one quantity in two units, so that their coefficient says nothing."""
    return result.predictors[i].startswith("loss") and result.scores[j].startswith("bits per byte")


def _strength(result: Matrix, i: int, j: int) -> float | None:
    """The coefficient as a colour: a third of it where its interval holds zero, none where a quantity meets itself."""
    value = result.value[i, j]
    if isnan(value) or _of_itself(result, i, j):
        return None
    unsure = isnan(result.low[i, j]) or result.low[i, j] <= 0 <= result.high[i, j]
    return float(value) / 3 if unsure else float(value)


def forest(detail: Detail, method: str, theirs: float | None, theme: Theme) -> go.Figure:
    """The coefficient unadjusted, adjusted, without each family and without any one model, with intervals.

    theirs: Pearson's coefficient that was published, where there is one: a cross at the top.
    """
    order = sorted(detail.without_family, key=lambda one: -abs(one.value - detail.plain.value))[:_FAMILIES]
    rows = [detail.plain, *detail.adjusted, detail.without_model, *sorted(order, key=lambda one: -one.value)]
    height = 90 + 27 * (len(rows) + (theirs is not None))
    figure = go.Figure(layout={"template": template(theme), "height": height, "showlegend": False})
    if theirs is not None:
        figure.add_scatter(
            x=[theirs], y=[PUBLISHED_ROW], mode="markers", hoverinfo="text",
            marker={"color": theme.ink, "size": 10, "symbol": "x"},
            hovertext=[f"<b>published</b>, 47 models and six benchmarks<br>Pearson {signed(theirs)}, raw values"],
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": theme.muted, "width": 1})
    figure.add_vline(x=detail.plain.value, line={"color": theme.muted, "width": 1, "dash": "dot"})
    adjusted = 1 + len(detail.adjusted)
    for some, colour, symbol in (
        (rows[:1], theme.ink, "square"),
        (rows[1:adjusted], theme.colours[0], "circle"),
        (rows[adjusted:], theme.muted, "circle"),
    ):
        # One without an interval has none on either side, and no bar is drawn.
        error = {
            "type": "data", "symmetric": False, "array": [row.high - row.value for row in some],
            "arrayminus": [row.value - row.low for row in some], "color": colour, "thickness": 2, "width": 0,
        }  # fmt: skip
        figure.add_scatter(
            x=[row.value for row in some], y=[_called(row) for row in some], mode="markers", error_x=error,
            marker={"color": colour, "size": 9, "symbol": symbol},
            hovertext=[_effect_hover_text(row, detail) for row in some], hoverinfo="text",
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", tickfont={"size": 11})
    figure.update_xaxes(title_text=f"{method.capitalize()}, 95 % interval", range=_limits(rows, theirs), nticks=7)
    said = "; ".join(f"{_in_words(row)} {coefficient(row)}" for row in rows)
    if theirs is not None:
        said = f"published {signed(theirs)}; {said}"
    return figure.update_layout(meta={"alt": f"Forest plot. {said}."}, margin={**_ROOM, "l": 156})


def published(table: pl.DataFrame, theme: Theme) -> go.Figure:
    """Coefficients with the mean score: published, and ours by correction and given size, with 95 % intervals.

    table: rows of :func:`softh.analysis.correlation.beside_published` of the mean score.
    """
    predictors = table["predictor"].unique(maintain_order=True).to_list()
    figure = go.Figure(layout={"template": template(theme), "height": 150 + 62 * len(predictors)})
    series = [
        (f"ours, {correction}{words}", table.filter(pl.col("correction") == correction), end)
        for correction in table["correction"].unique(maintain_order=True)
        for words, end in (("", ""), (", given size", "_given_size"))
    ]
    figure.add_vline(x=0, line={"color": theme.muted, "width": 1})
    for place, (name, rows, end) in enumerate(series):
        value, low, high = (rows[f"{column}{end}"].cast(pl.Float64).to_list() for column in ("r", "low", "high"))
        colour = theme.colours[place // 2]
        offset = [predictors.index(p) + 0.16 * (place - (len(series) - 1) / 2) for p in rows["predictor"]]
        figure.add_scatter(
            x=value, y=offset, name=name, mode="markers", hoverinfo="text",
            marker={"color": colour, "size": 9, "symbol": "circle-open" if end else "circle"},
            error_x={
                "type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 0,
                "array": [_less(b, a) for a, b in zip(value, high, strict=True)],
                "arrayminus": [_less(a, b) for a, b in zip(value, low, strict=True)],
            },
            hovertext=[
                f"<b>{p}</b>, {name}<br>{_signed(r)}, 95 % {_signed(a)} to {_signed(b)}<br>n = {n} of {g} families"
                for p, r, a, b, n, g in zip(
                    rows["predictor"], value, low, high, rows["n"], rows["families"], strict=True
                )
            ],
        )  # fmt: skip
    first = table.unique("predictor", maintain_order=True)
    figure.add_scatter(
        x=first["published"].to_list(), y=[predictors.index(p) for p in first["predictor"]], mode="markers",
        name="published, 47 models", marker={"symbol": "x", "size": 10, "color": theme.ink}, hoverinfo="text",
        hovertext=[
            f"<b>{p}</b>, published: {_signed(r)}" for p, r in first.select("predictor", "published").iter_rows()
        ],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(predictors))), ticktext=predictors, showgrid=False, ticks="",
        range=[len(predictors) - 0.5, -0.5],
    )  # fmt: skip
    figure.update_xaxes(title_text="Pearson with the mean score", range=[-1.05, 1.05], nticks=9)
    said = "; ".join(f"{p} {_signed(r)}, published {_signed(q)}" for p, r, q in first.select(
        "predictor", "r", "published").iter_rows())  # fmt: skip
    alt = f"Published coefficients beside ours: {said}."
    return figure.update_layout(
        meta={"alt": alt}, margin={**_ROOM, "l": 170}, legend={"y": 1.02, "yanchor": "bottom", "x": 0}
    )


def _less(a: float | None, b: float | None) -> float:
    return 0.0 if a is None or b is None or isnan(a - b) else a - b


def _signed(value: float | None) -> str:
    return "unknown" if value is None or isnan(value) else signed(value)


def outliers(cell: Study, detail: Detail, most: int = 6) -> list[int]:
    """Rows of the models farthest from the line, farthest first."""
    far = [row for row in range(len(cell.names)) if abs(detail.line.residual[row]) >= FAR]
    return sorted(far, key=lambda row: -abs(detail.line.residual[row]))[:most]


def _sides(cell: Study, named: Iterable[int], ranges: Sequence[tuple[float, float]]) -> dict[int, str]:
    """Row of each model whose name has room → the side of its point where it stands."""
    (left, right), (low, high) = ranges
    across = (cell.x[:, 0] - left) / (right - left) * _SHOWN[0]
    up = (cell.y[:, 0] - low) / (high - low) * _SHOWN[1]
    pixels = list(zip(across.tolist(), up.tolist(), strict=True))
    labels = {row: PointLabel(short_model(cell.names[row]), *pixels[row]) for row in named}
    sides = {id(place.label): place.side for place in place_labels(list(labels.values()), pixels, *_SHOWN)}
    return {row: sides[id(label)] for row, label in labels.items() if id(label) in sides}


def _ends(values: Iterable[float], errors: Iterable[float]) -> Iterator[float]:
    """Both ends of every error bar."""
    for value, error in zip(values, errors, strict=True):
        yield from (value, value) if isnan(error) else (value - error, value + error)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Limits that hold all values, with room for half a marker and a name."""
    known = [float(value) for value in values if not isnan(value)]
    pad = 0.07 * (max(known) - min(known)) or 0.5
    return min(known) - pad, max(known) + pad


def stars(q: float) -> str:
    """'**' for q < .01 and so on."""
    return next((mark for level, mark in STARS if q < level), "")


def _entry(result: Matrix, i: int, j: int, few: bool) -> str:
    value = result.value[i, j]
    if isnan(value) or _of_itself(result, i, j):
        return "–"
    number = signed(value).replace("0.", ".", 1)
    return f"{number}{stars(result.q[i, j])}" if few else stars(result.q[i, j])


def _cell_hover_text(result: Matrix, i: int, j: int) -> str:
    title = f"<b>{result.predictors[i]}</b> with <b>{result.scores[j]}</b>"
    if (i, j) in result.reasons:
        number = "" if isnan(result.value[i, j]) else f"{result.method.capitalize()} {signed(result.value[i, j])}<br>"
        return f"{title}<br>{number}{result.reasons[i, j]}"
    return (
        f"{title}<br>{result.method.capitalize()} {signed(result.value[i, j])}, 95 % {signed(result.low[i, j])} to "
        f"{signed(result.high[i, j])}<br>n = {result.n[i, j]} of {result.families[i, j]} families<br>"
        f"p {p_text(result.p[i, j])}, q {p_text(result.q[i, j])} over the matrix"
    )


def _hover_text(cell: Study, detail: Detail, row: int) -> str:
    return (
        f"<b>{cell.names[row]}</b><br>{cell.family[row]}<br>{cell.predictors[0]} = {cell.x[row, 0]:.4g}"
        f"{_plus(cell.x_error[row, 0])}<br>{cell.scores[0]} = {cell.y[row, 0]:.4g}{_plus(cell.y_error[row, 0])}<br>"
        f"{detail.line.residual[row]:+.1f} standard deviations from the line"
    )


def _effect_hover_text(row: Effect, detail: Detail) -> str:
    ends = f"{signed(row.low)} to {signed(row.high)}" if not isnan(row.low) else "no interval of its own"
    what = "range" if row is detail.without_model else "95 %"
    return f"<b>{_in_words(row)}</b><br>{signed(row.value)}, {what} {ends}<br>n = {row.n} of {row.families} families"


def _plus(error: float) -> str:
    return f" ± {error:.2g}" if not isnan(error) else ""


def _error(values: Iterable[float], colour: str) -> dict[str, object] | None:
    known = [0.0 if isnan(value) else value for value in values]
    return {"array": known, "color": colour, "thickness": 1, "width": 0} if any(known) else None


def _limits(rows: Sequence[Effect], theirs: float | None) -> list[float]:
    ends = [end for row in rows for end in (row.value, row.low, row.high, theirs or 0.0, 0.0) if not isnan(end)]
    return [max(min(ends) - 0.05, -1.25), min(max(ends) + 0.05, 1.25)]


def _clear(colour: str) -> str:
    red, green, blue = (int(mix(colour, colour, 1)[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
