"""Ranges of the axes, in the link: zoom in a figure, or write them down."""

import re
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.controls import browser, controls, links, point_selection, session
from dashboard.controls.session import Ranges

_SCRIPTS = "names.js", "play.js", "keys.js", "figures.js"
_listener = st.components.v2.component("softh_figures", js=browser.asset(*_SCRIPTS))

_PART = re.compile(r"^([xy]\d*) ([-+.\deE]+):([-+.\deE]+)$")
_HELP = "Zoom in the figure, or write ranges as the axes count: `x 0:0.2, y 0:0.1`. Empty shows all."


def within(figures: Mapping[str, go.Figure]) -> Mapping[str, go.Figure]:
    """The figures with the ranges that their controls or a link ask for."""
    where = controls.group("Axes")
    for key, figure in figures.items():
        full = {name: tuple(figure.layout[name].range) for name in _axes(figure) if figure.layout[name].range}
        # What a double click goes back to.
        figure.update_layout(meta={**(figure.layout.meta or {}), "home": full})
        control = session.axis_ranges(key).key
        written = controls.text(f"Ranges of {key}", control, placeholder="all", help=_HELP, where=where)
        ranges = _parsed(written, figure, key)
        if not links.current():
            ranges = _drawn(key, ranges, full)
        for name, limits in ranges.items():
            figure.layout[name].range = limits
    return figures


def watch() -> None:
    """Take what the reader does to the axes of any figure into the link, and let the figures of a page act together."""
    _listener(key=session.AXES.key, on_zoomed_change=_take_zoom, on_picked_change=_take_pick)


def _take_pick() -> None:
    """Take a point that was chosen by the keyboard as a click on it."""
    picked: dict[str, Any] = session.AXES.get()["picked"]
    point_selection.take(picked["custom"])


def _take_zoom() -> None:
    zoom: dict[str, Any] = session.AXES.get()["zoomed"]
    key = zoom["key"]
    full = session.full_ranges(key).get()
    ranges = {name: limits for name, limits in zoom["ranges"].items() if not _same(limits, full.get(name))}
    session.axis_ranges(key).set(", ".join(_written(name, limits) for name, limits in ranges.items()))
    # The browser shows these ranges already: drawing the figure anew would only flicker.
    session.zoomed(key).set(bool(ranges))


def _drawn(key: str, ranges: Ranges, full: Ranges) -> Ranges:
    """The ranges to draw: those of the last drawing where the reader has just zoomed."""
    session.full_ranges(key).set(full)
    if session.zoomed(key).pop():
        return session.drawn_ranges(key).get()
    session.drawn_ranges(key).set(ranges)
    return ranges


def _parsed(written: str, figure: go.Figure, key: str) -> Ranges:
    """The ranges that a control or a link asks for; a note says which part is not one."""
    ranges: dict[str, tuple[float, float]] = {}
    for part in filter(None, (part.strip() for part in written.split(","))):
        match = _PART.match(part)
        limits = _numbers(match[2], match[3]) if match else None
        name = f"{match[1][0]}axis{match[1][1:]}" if match else ""
        if limits is None or name not in _axes(figure):
            links.note(session.axis_ranges(key).key, [part], ["ranges such as x 0:0.2"], "all of it")
        else:
            ranges[name] = limits
    return ranges


def _numbers(low: str, high: str) -> tuple[float, float] | None:
    try:
        ends = float(low), float(high)
    except ValueError:
        return None
    return ends if ends[0] != ends[1] and all(abs(end) < 1e300 for end in ends) else None


def _axes(figure: go.Figure) -> list[str]:
    return [name for name in figure.layout if re.match(r"^[xy]axis\d*$", name)]


def _same(limits: list[float], full: tuple[float, float] | None) -> bool:
    if full is None:
        return False
    tolerance = 1e-6 * abs(full[1] - full[0])
    return all(abs(a - b) <= tolerance for a, b in zip(limits, full, strict=True))


def _written(name: str, limits: list[float]) -> str:
    return f"{name[0]}{name.removeprefix(name[:5])} {limits[0]:.4g}:{limits[1]:.4g}"
