"""Figures of runs and of layers, from rows; alt text in `layout.meta`."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.data.rows import BRACKETED, Display, Row, clock, runs, title
from dashboard.figures.animation import Walker, animate
from dashboard.figures.label_placement import Name
from dashboard.figures.marks import Mark, add_marks, add_rings, notes, places
from dashboard.figures.panels import PanelLine, SharedAxis, dotted_name, lines, panel_line, panels, shown_corrections
from dashboard.figures.plane import MOST_NAMED, ColourScale, Path, Spread, plane
from dashboard.figures.scales import LogScale
from dashboard.figures.template import SYMBOLS, Theme, add_meta, mix, theme_for
from dashboard.format import checkpoint_name, count, hover_text, plus_minus, standard_error
from softh.quantities import BY_COLUMN, CORRECTION_NAMES, PLANE, has_labels, label_name

_DEPTH = "layer, 0 the embedding"
_ROUND = 0.25
"""How far, as a logarithm, a checkpoint may be from a round value to be named for it."""


def trajectory_plane(
    points: pl.DataFrame,
    display: Display,
    names: Sequence[str],
    *,
    spread: Spread = "crosses",
    marks: Sequence[Mark] = (),
    selected: Collection[str] = (),
    play: bool = False,
) -> go.Figure:
    """One path a model with several checkpoints, else a point; rows as :func:`dashboard.data.queries.trajectory` gives.

    names are all models of the tables, so that a model keeps its colour and marker whatever else is chosen; selected
    are the ids of estimates that stand out; marks lie on the path that they name; with play the paths can grow.
    """
    theme = theme_for(display.dark)
    chosen = display.select(points)
    column = clock(chosen)
    log = LogScale.of(chosen.drop_nulls(column)[column].to_list()) if column else None
    every = runs(chosen)
    paths = [_path(rows, names, column, log, theme) for rows in every]
    placed = places(marks, every)
    picked = {row["model"] for row in chosen.to_dicts() if row["estimate_id"] in selected}
    figure = plane(
        paths, None, display.labels, theme, spread,
        notes=notes(placed) if len(every) <= MOST_NAMED else [],
        moments=_moments(every, column, log) if len(every) <= MOST_NAMED else [],
        named=picked or None,
    )  # fmt: skip
    add_marks(figure, placed, theme)
    add_rings(figure, [row for row in chosen.to_dicts() if row["estimate_id"] in selected], theme)
    if column and log:
        add_meta(figure, play=_played(every, column, log, placed, names, theme))
    if play and column:
        _play(figure, every, column, names, theme)
    ends = [f"{rows[-1]['model']}, {checkpoint_name(rows[-1])}: {_at(rows[-1])}" for rows in runs(chosen)]
    return add_meta(figure, alt=f"Information plane, {display.labels}. {'; '.join(ends)}.")


def _moments(paths: Sequence[list[dict[str, Any]]], column: str | None, log: LogScale | None) -> list[Name]:
    """The checkpoints nearest to round values of the clock, powers of ten first; those without room are left out."""
    if column is None or log is None:
        return []
    found: dict[float, Name] = {}
    rounded = [tick for steps in ((1,), (2, 5)) for tick in log.ticks(steps) if tick > 0]
    for tick in rounded:
        for rows in paths:
            timed = [row for row in rows[1:-1] if row[column]]
            row = min(timed, key=lambda row: abs(math.log(row[column] / tick)), default=None)
            if row and abs(math.log(row[column] / tick)) < _ROUND and row[column] not in found:
                text = f"{count(row[column])} tokens" if column == "tokens" else checkpoint_name(row)
                found[row[column]] = Name(text, row["input"], row["output"], quiet=True, run=row["model"])
                break
    return list(found.values())


def _played(
    paths: Sequence[list[dict[str, Any]]],
    column: str,
    log: LogScale,
    placed: Sequence[tuple[Mark, float, float]],
    names: Sequence[str],
    theme: Theme,
) -> dict[str, Any]:
    """What the button on the figure plays (play.js): times are places on the logarithmic axis of the curves."""
    timed = [[row for row in rows if row[column] is not None] for rows in paths if len(rows) > 1]
    words = {log.place(row[column]): _moment(row) for rows in timed for row in rows}
    walkers = [
        {
            "times": [log.place(row[column]) for row in rows],
            "x": [row["input"] for row in rows],
            "y": [row["output"] for row in rows],
            "colour": style(rows[0]["model"], names, theme)[0],
            "phases": [
                {"time": log.place(mark.place), "x": x, "y": y, "text": mark.text.partition(" near")[0]}
                for mark, x, y in placed
                if mark.path == rows[0]["model"]
            ],
        }
        for rows in timed
    ]
    return {"clock": column, "times": sorted(words), "words": [words[time] for time in sorted(words)], "runs": walkers}


def _moment(row: Row) -> str:
    return f"{checkpoint_name(row)} · {count(row['tokens'])} tokens" if row["tokens"] else checkpoint_name(row)


def _play(
    figure: go.Figure, paths: Sequence[list[dict[str, Any]]], column: str, names: Sequence[str], theme: Theme
) -> None:
    timed = [[row for row in rows if row[column] is not None] for rows in paths if len(rows) > 1]
    walkers = [
        Walker(
            [row[column] for row in rows],
            [row["input"] for row in rows],
            [row["output"] for row in rows],
            style(rows[0]["model"], names, theme)[0],
        )
        for rows in timed
    ]
    words = {row[column]: _moment(row) for rows in timed for row in rows}
    animate(figure, walkers, [words[time] for time in sorted(words)], theme)


def depth_plane(layers: pl.DataFrame, display: Display) -> go.Figure:
    """The path from the embedding to the last layer; rows as :func:`dashboard.data.queries.layers` gives."""
    theme = theme_for(display.dark)
    rows = display.select(layers).sort("layer").to_dicts()
    first, depth = rows[0]["layer"], max(row["layer"] for row in rows)
    path = Path(
        **_coordinates(rows),
        name=f"layer {depth}",
        start="embedding" if first == 0 else f"layer {first}",
        shares=[row["layer"] / max(depth, 1) for row in rows],
        colours=theme.depth,
        symbol="circle",
        hover_texts=[hover_text(row, title(row)) for row in rows],
    )
    ticks = sorted({round(depth * i / 5) for i in range(6)})
    scale = ColourScale(_DEPTH, [tick / max(depth, 1) for tick in ticks], [str(tick) for tick in ticks], theme.depth)
    ends = f"{path.start} {_at(rows[0])}; {path.name} {_at(rows[-1])}"
    figure = plane([path], scale, display.labels, theme)
    return add_meta(figure, alt=f"Path through {rows[0]['model']}, {display.labels}: {ends}.")


def depth_profiles(
    layers: pl.DataFrame, display: Display, columns: Sequence[str] = tuple(each.column for each in PLANE)
) -> go.Figure:
    """Quantities against depth, one line an order; dotted, the null beside raw values, the bracket around debiased."""
    theme = theme_for(display.dark)
    found = lines(layers, shown_corrections(display), "ngram", "layer")
    bracket = _bracket(layers, display)
    drawn: dict[str, list[PanelLine]] = {}
    for quantity in columns:
        drawn[quantity] = []
        for (correction, order), rows in found.items():
            if not has_labels(quantity) and drawn[quantity]:
                continue  # the same for every order
            line = panel_line(
                f"{order} {label_name(order, display.kind)}",
                [row["layer"] for row in rows],
                rows,
                quantity,
                colour=theme.colours[order - 1] if has_labels(quantity) else theme.ink,
                symbol=SYMBOLS[order - 1],
                dotted=dotted_name(correction, display),
                legend=has_labels(quantity),
            )
            drawn[quantity].append(line)
        if quantity in BRACKETED:
            drawn[quantity] += [_end(rows, quantity, display, theme) for rows in bracket]
    *names, last = [BY_COLUMN[column].name for column in columns]
    listed = f"{', '.join(names)} and {last}" if names else last
    what = f"{listed.capitalize()} by layer of {layers['model'][0]}"
    alt = f"{what}, {CORRECTION_NAMES[display.correction]}, one line an n-gram order; bands are one standard error."
    return add_meta(panels(drawn, SharedAxis(_DEPTH), theme), alt=alt)


def _bracket(layers: pl.DataFrame, display: Display) -> list[Sequence[Row]]:
    """Rows of lower bound and raw value of the shown order, around the line of debiased values."""
    if display.correction != "debiased":
        return []
    return list(lines(layers.filter(pl.col("ngram") == display.order), ("lower", "raw"), "ngram", "layer").values())


def _end(rows: Sequence[Row], quantity: str, display: Display, theme: Theme) -> PanelLine:
    """One end of the bracket as a line of a panel."""
    return panel_line(
        rows[0]["correction"],
        [row["layer"] for row in rows],
        rows,
        quantity,
        colour=theme.colours[display.order - 1],
        symbol=SYMBOLS[display.order - 1],
        dotted=f"lower bound and raw, order {display.order}",
    )


def style(model: str, names: Sequence[str], theme: Theme) -> tuple[str, str]:
    """Colour and marker of a model: the same on every figure, whatever else is chosen."""
    place = names.index(model)
    return theme.colours[place % len(theme.colours)], SYMBOLS[place % len(SYMBOLS)]


def _path(
    rows: list[dict[str, Any]], names: Sequence[str], column: str | None, log: LogScale | None, theme: Theme
) -> Path:
    colour, symbol = style(rows[0]["model"], names, theme)
    timed = column is not None and log is not None and all(row[column] is not None for row in rows)
    return Path(
        **_coordinates(rows),
        name=rows[0]["model"],
        start=checkpoint_name(rows[0]),
        shares=[log.share(row[column]) for row in rows] if timed and log and column else [1.0] * len(rows),
        colours=_shades(colour, theme),
        symbol=symbol,
        hover_texts=[hover_text(row, title(row)) for row in rows],
    )


def _coordinates(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "x": [row["input"] for row in rows],
        "y": [row["output"] for row in rows],
        "x_error": [standard_error(row, "input") for row in rows],
        "y_error": [standard_error(row, "output") for row in rows],
        "ids": [row["estimate_id"] for row in rows],
    }


def _shades(colour: str, theme: Theme) -> tuple[str, str]:
    return mix(colour, theme.background, 0.4), colour


def _at(row: Row) -> str:
    return " and ".join(
        f"{symbol} {plus_minus(row[quantity], standard_error(row, quantity))}"
        for quantity, symbol in ((name, BY_COLUMN[name].symbol) for name in ("input", "output"))
    )
