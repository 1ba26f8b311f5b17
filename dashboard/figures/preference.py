"""Figures of preference probes: information and linear accuracy by depth, parts of the pairs, baselines, changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.figures.frontier import stage_symbol
from dashboard.figures.label_placement import Name, add_names
from dashboard.figures.template import SYMBOLS, Theme, mix, template
from dashboard.format import plus_minus, short_model
from softh.analysis import standard_errors
from softh.analysis.probe_changes import Change, Movement

_BASELINE_NAMES = {"length": "length alone", "words": "words alone", "linear": "hidden states"}


@dataclass(frozen=True)
class Probe:
    """One model on a figure."""

    name: str
    layers: int
    rows: pl.DataFrame
    """One subset and choice of positions, with the linear model; see :func:`dashboard.data.queries.preferences`."""

    def information(self, correction: str = "corrected") -> list[dict[str, Any]]:
        """Rows by layer, the mean over layers left out."""
        rows = self.rows.filter(quantity="information", correction=correction)
        return rows.filter(pl.col("what").str.starts_with("preference")).drop_nulls("layer").sort("layer").to_dicts()

    def linear(self) -> list[dict[str, Any]]:
        """Accuracy of the linear model by layer."""
        return self.rows.filter(what="linear", quantity="accuracy").drop_nulls("value").sort("layer").to_dicts()


@dataclass(frozen=True)
class Dot:
    """A value with its error in a row of a dot plot."""

    row: str
    name: str
    value: float
    error: float
    open: bool = False


def combined_error(row: Mapping[str, Any]) -> float:
    """Both standard errors together."""
    return standard_errors.combined(row["se_draws"], row["se_documents"]) or 0.0


def profile(probes: Sequence[Probe], scale: float, unit: str, theme: Theme) -> go.Figure:
    """Corrected information by depth, one line a model, with what chance alone would give around zero."""
    figure = _empty(theme, f"I(Z; preferred), {unit}", _depth_title(probes))
    for probe, colour, symbol in _styled(probes, theme):
        x = _depth(probe, probes)
        chance = [2 * scale * (row["se_documents"] or 0) for row in probe.information("null")]
        figure.add_trace(_band(x, [-value for value in chance], chance, colour, 0.1, probe.name, fills="null"))
        rows = probe.information()
        y, errors = [scale * row["value"] for row in rows], [scale * combined_error(row) for row in rows]
        low, high = ([v + sign * e for v, e in zip(y, errors, strict=True)] for sign in (-1, 1))
        figure.add_trace(_band(x, low, high, colour, 0.2, probe.name))
        hover_texts = [
            f"<b>{probe.name}</b><br>layer {r['layer']}<br>{plus_minus(v, e)} {unit}<br>{r['positions']:,} positions"
            for r, v, e in zip(rows, y, errors, strict=True)
        ]
        figure.add_trace(_line(x, y, probe.name, colour, symbol, hover_texts))
    _whole(figure, probes)
    figure.add_trace(_band([None], [None], [None], theme.muted, 0.3, None, shown="chance, ±2 sd of a swap"))
    figure.add_hline(0, line={"color": theme.muted, "width": 1})
    ends = [f"{probe.name}: {_peak(probe, scale)} {unit}" for probe in probes]
    return _described(figure, f"Information about which answer was preferred, by depth. Largest, {'; '.join(ends)}.")


def second_opinion(probes: Sequence[Probe], baselines: dict[str, float], theme: Theme) -> go.Figure:
    """Accuracy of the linear model by depth; baselines: accuracy of length alone and of words alone."""
    figure = _empty(theme, "accuracy on held-out pairs", _depth_title(probes))
    for probe, colour, symbol in _styled(probes, theme):
        rows = probe.linear()
        x = _depth(probe, probes, [row["layer"] for row in rows])
        y, errors = [row["value"] for row in rows], [combined_error(row) for row in rows]
        low, high = ([v + sign * e for v, e in zip(y, errors, strict=True)] for sign in (-1, 1))
        if rows:
            hover_texts = [
                f"<b>{probe.name}</b><br>layer {r['layer']}<br>{plus_minus(r['value'], combined_error(r))}"
                for r in rows
            ]
            figure.add_trace(_band(x, low, high, colour, 0.2, probe.name))
            figure.add_trace(_line(x, y, probe.name, colour, symbol, hover_texts))
    for what, value in {**baselines, "chance": 0.5}.items():
        figure.add_hline(value, line={"color": theme.muted, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=1, xref="paper", y=value, text=_BASELINE_NAMES.get(what, what), showarrow=False, xanchor="right",
            yanchor="top" if value > 0.7 else "bottom",
            font={"size": 12, "color": theme.muted},
        )  # fmt: skip
    _whole(figure, probes)
    figure.update_yaxes(tickformat=".0%")
    said = ", ".join(f"{_BASELINE_NAMES[what]} {value:.0%}" for what, value in baselines.items())
    return _described(figure, f"Share of held-out pairs that a linear probe of each layer ranks correctly; {said}.")


def dots(
    every: Sequence[Dot], names: Sequence[str], title: str, zero: float, theme: Theme, *, share: bool = False
) -> go.Figure:
    """One row a part, one dot a model of names, with bars of two standard errors; zero is drawn as a line."""
    rows = list(dict.fromkeys(dot.row for dot in every))
    figure = _empty(theme, "", title, height=90 + 26 * len(rows) * max(2, min(len(names), 4)))
    for place, name in enumerate(names):
        colour, symbol = theme.colours[place % len(theme.colours)], SYMBOLS[place % len(SYMBOLS)]
        shift = 0.7 * ((place + 0.5) / len(names) - 0.5)
        for hollow in (False, True):
            mine = [dot for dot in every if dot.name == name and dot.open == hollow]
            if mine:
                y = [rows.index(dot.row) + shift + (0.08 if hollow else 0) for dot in mine]
                figure.add_trace(_dots(mine, y, colour, f"{symbol}-open" if hollow else symbol, legend=not hollow))
    ticks = {"tickvals": list(range(len(rows))), "ticktext": rows, "range": [len(rows) - 0.5, -0.5], "showgrid": False}
    figure.update_yaxes(**ticks)
    figure.update_xaxes(tickformat=".0%" if share else None, showgrid=True)
    figure.add_vline(zero, line={"color": theme.muted, "width": 1, "dash": "dot"})
    said = "; ".join(f"{dot.row}, {dot.name}: {plus_minus(dot.value, dot.error)}" for dot in every)
    return _described(figure, f"{title}. {said}.")


def change(changes: Sequence[Change], name: str, scale: float, unit: str, theme: Theme) -> go.Figure:
    """After less before by layer, with its 95 % interval."""
    figure = _empty(theme, f"change, {unit}", "layer, 0 the embedding")
    layers = [one for one in changes if one.layer is not None]
    figure.update_xaxes(dtick=max(1, len(layers) // 10))
    x = [one.layer for one in layers]
    colour = theme.colours[0]
    low, high = [scale * one.low for one in layers], [scale * one.high for one in layers]
    figure.add_trace(_band(x, low, high, colour, 0.2, "95 % interval", shown="95 % interval"))
    hover_texts = [f"layer {one.layer}<br>{plus_minus(scale * one.value, scale * one.error)} {unit}" for one in layers]
    figure.add_trace(_line(x, [scale * one.value for one in layers], name, colour, "circle", hover_texts))
    figure.add_hline(0, line={"color": theme.muted, "width": 1})
    mean = next(one for one in changes if one.layer is None)
    said = f"{plus_minus(scale * mean.value, scale * mean.error)} {unit}"
    between = f"95 % interval {interval(mean, scale)}"
    return _described(figure, f"Change of the information by layer, {name}. Mean over layers {said}, {between}.")


def movements(moves: Sequence[Movement], labels: str, scale: float, unit: str, theme: Theme) -> go.Figure:
    """Changes of preference information and of I(X;Z), a point for each step of post-training, with 95 % intervals.

    labels: of which labels and correction the complexity is. Hollow: from the base to the last model, over other steps.
    """
    below = f"<br><span style='font-size:12px;color:{theme.muted}'>{labels}</span>"
    figure = _empty(theme, f"change of I(Z; preferred), {unit}", f"change of I(X;Z), log n{below}")
    for line in (figure.add_hline, figure.add_vline):
        line(0, line={"color": theme.muted, "width": 1})
    for place, chain in enumerate(dict.fromkeys(move.step.chain for move in moves)):
        mine = [move for move in moves if move.step.chain == chain]
        figure.add_trace(_movements(mine, scale, unit, theme.colours[place % len(theme.colours)], theme))
    spots = [(move.complexity.value or 0.0, scale * move.preference.value) for move in moves]
    ends_x = [
        x + sign * (m.complexity.half_width or 0) for m, (x, _) in zip(moves, spots, strict=True) for sign in (-1, 1)
    ]
    ends_y = [scale * end for move in moves for end in (move.preference.low, move.preference.high)]
    for axis, ends in ((figure.layout.xaxis, ends_x), (figure.layout.yaxis, ends_y)):
        low, high = min(0.0, *ends), max(0.0, *ends)
        axis.range = low - 0.06 * (high - low), high + 0.1 * (high - low)
    figure.update_layout(margin={"t": 8, "b": 70, "l": 74, "r": 50})
    names = [
        Name(move.step.name, *spot, quiet=move.step.whole, run=move.step.chain)
        for move, spot in sorted(zip(moves, spots, strict=True), key=lambda pair: pair[0].step.whole)
    ]
    said = "; ".join(f"{short_model(move.step.chain)} {move.step.name}: {_moved(move, scale)}" for move in moves)
    _described(figure, f"Change of preference information in {unit} against change of I(X;Z) by post-training. {said}.")
    add_names(figure, names, spots, _MOVEMENTS_SHOWN, theme)
    return figure


_MOVEMENTS_SHOWN = 440.0, 310.0
"""Least pixels of the axes on a desktop."""


def _movements(mine: Sequence[Movement], scale: float, unit: str, colour: str, theme: Theme) -> go.Scatter:
    """The steps of one chain; a marker is that of the stage that a step ends in, as on every figure."""
    values = [scale * move.preference.value for move in mine]
    bars = {"color": mix(colour, theme.background, 0.5), "thickness": 1.2, "width": 0}
    return go.Scatter(
        x=[move.complexity.value for move in mine], y=values, mode="markers", name=short_model(mine[0].step.chain),
        legendgroup=mine[0].step.chain,
        marker={
            "symbol": [stage_symbol(m.step.stages[1]) + ("-open" if m.step.whole else "") for m in mine], "size": 10,
            "color": colour, "line": {"width": [2 if move.step.whole else 0 for move in mine], "color": colour},
        },
        error_x={"array": [move.complexity.half_width for move in mine], **bars},
        error_y={
            "symmetric": False, "array": [scale * (m.preference.high - m.preference.value) for m in mine],
            "arrayminus": [scale * (m.preference.value - m.preference.low) for m in mine], **bars,
        },
        customdata=[
            f"<b>{move.step.chain}</b><br>{move.step.name}<br>{_moved(move, scale).replace('), ', ')<br>')} {unit}"
            for move in mine
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _moved(move: Movement, scale: float) -> str:
    """'I(X;Z) −0.0059 (95 % −0.0078 to −0.0040), preference −0.020 (95 % …)'."""
    value, half = move.complexity.value or 0.0, move.complexity.half_width or 0.0
    ends = " to ".join(f"{value + sign * half:.4f}" for sign in (-1, 1))
    preference = f"{scale * move.preference.value:.2g} (95 % {interval(move.preference, scale)})"
    return f"I(X;Z) {value:.4f} (95 % {ends}), preference {preference}".replace("-", "−")


def interval(change: Change, scale: float) -> str:
    """'−0.039 to −0.008'."""
    return " to ".join(f"{scale * end:.2g}".replace("-", "−") for end in (change.low, change.high))


def _dots(mine: Sequence[Dot], y: Sequence[float], colour: str, symbol: str, *, legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[dot.value for dot in mine], y=y, mode="markers", name=short_model(mine[0].name), legendgroup=mine[0].name,
        showlegend=legend, marker={"color": colour, "symbol": symbol, "size": 9},
        error_x={"array": [2 * dot.error for dot in mine], "thickness": 1.2, "width": 0, "color": colour},
        customdata=[f"<b>{dot.name}</b><br>{dot.row}<br>{plus_minus(dot.value, dot.error)}" for dot in mine],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _empty(theme: Theme, y: str, x: str, height: int = 400) -> go.Figure:
    return go.Figure(
        layout={
            "template": template(theme), "height": height, "hovermode": "closest", "margin": {"t": 8, "b": 8},
            "legend": {"y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}},
        }
    )  # fmt: skip


def _styled(probes: Sequence[Probe], theme: Theme) -> list[tuple[Probe, str, str]]:
    return [
        (probe, theme.colours[place % len(theme.colours)], SYMBOLS[place % len(SYMBOLS)])
        for place, probe in enumerate(probes)
    ]


def _depth(probe: Probe, probes: Sequence[Probe], layers: Sequence[int] | None = None) -> list[float]:
    layers = [row["layer"] for row in probe.information()] if layers is None else layers
    return [float(n) if _one_depth(probes) else n / probe.layers for n in layers]


def _depth_title(probes: Sequence[Probe]) -> str:
    return "layer, 0 the embedding" if _one_depth(probes) else "depth, 0 the embedding, 1 the last layer"


def _whole(figure: go.Figure, probes: Sequence[Probe]) -> None:
    """Ticks at whole layers, where layers are counted."""
    if _one_depth(probes):
        figure.update_xaxes(dtick=max(1, probes[0].layers // 10))


def _one_depth(probes: Sequence[Probe]) -> bool:
    return len({probe.layers for probe in probes}) == 1


def _peak(probe: Probe, scale: float) -> str:
    top = max(probe.information(), key=lambda row: row["value"])
    return f"{plus_minus(scale * top['value'], scale * combined_error(top))} at layer {top['layer']}"


def _line(x: list, y: list, name: str, colour: str, symbol: str, hover_texts: list[str]) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, name=short_model(name), legendgroup=name, mode="lines+markers", line={"color": colour, "width": 2},
        marker={"symbol": symbol, "size": 6.5}, customdata=hover_texts, hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _band(
    x: list, low: list, high: list, colour: str, strength: float, group: str | None,
    *, shown: str | None = None, fills: str | None = None,
) -> go.Scatter:  # fmt: skip
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    fill = f"rgba({red},{green},{blue},{strength})"
    return go.Scatter(
        x=[*x, *reversed(x)], y=[*high, *reversed(low)], fill="toself", fillcolor=fill, mode="lines",
        line={"width": 8 if shown and x == [None] else 0, "color": fill}, hoverinfo="skip", name=shown or fills,
        legendgroup=group, showlegend=shown is not None,
    )  # fmt: skip


def _described(figure: go.Figure, alt: str) -> go.Figure:
    return figure.update_layout(meta={"alt": alt})
