"""Ranges of the axes, in the link: zoom in a figure, or write them down."""

import re
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.controls import controls, links

# What a reader does to the axes stays in the browser unless somebody listens. A double click, which shows all again,
# comes as the ranges that the figure began with or as autorange.
_LISTEN = """
export default function ({ setTriggerValue }) {
  const shown = gd => Object.keys(gd.layout).filter(name => /^[xy]axis\\d*$/.test(name) && gd._fullLayout[name])
  const listen = gd => {
    if (gd.softh || !gd.on) return
    gd.softh = true
    gd.on("plotly_relayout", change => {
      if (!Object.keys(change).some(name => /axis\\d*\\.(range|autorange)/.test(name))) return
      const key = [...gd.closest("[class*='st-key-']").classList].find(name => name.startsWith("st-key-")).slice(7)
      const all = Object.keys(change).some(name => name.endsWith(".autorange"))
      const ranges = Object.fromEntries(shown(gd).map(name => [name, gd._fullLayout[name].range]))
      setTriggerValue("zoomed", { key, ranges: all ? {} : ranges })
    })
  }
  const timer = setInterval(() => document.querySelectorAll(".js-plotly-plot").forEach(listen), 300)
  return () => clearInterval(timer)
}
"""
_listener = st.components.v2.component("softh_axes", js=_LISTEN)

_PART = re.compile(r"^([xy]\d*) ([-+.\deE]+):([-+.\deE]+)$")
_HELP = "Zoom in the figure, or write ranges as the axes count: `x 0:0.2, y 0:0.1`. Empty shows all."


def within(figures: Mapping[str, go.Figure]) -> Mapping[str, go.Figure]:
    """The figures with the ranges that their controls or a link ask for."""
    where = controls.group("Axes")
    for key, figure in figures.items():
        home = {name: tuple(figure.layout[name].range) for name in _names(figure) if figure.layout[name].range}
        written = controls.text(f"Ranges of {key}", f"{key}-axes", placeholder="all", help=_HELP, where=where)
        ranges = _read(written, figure, key)
        if not links.current():
            ranges = _drawn(key, ranges, home)
        for name, limits in ranges.items():
            figure.layout[name].range = limits
    return figures


def watch() -> None:
    """Take what the reader does to the axes of any figure into the link."""
    _listener(key="axes", on_zoomed_change=_zoomed)


def _zoomed() -> None:
    found: dict[str, Any] = st.session_state["axes"]["zoomed"]
    key, home = found["key"], st.session_state.get(f"home-{found['key']}", {})
    ranges = {name: limits for name, limits in found["ranges"].items() if not _same(limits, home.get(name))}
    st.session_state[f"{key}-axes"] = ", ".join(_written(name, limits) for name, limits in ranges.items())
    # The browser shows these ranges already: drawing the figure anew would only flicker.
    st.session_state[f"zooming-{key}"] = bool(ranges)


def _drawn(key: str, ranges: dict[str, tuple[float, float]], home: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The ranges to draw: those of the last drawing where the reader has just zoomed."""
    st.session_state[f"home-{key}"] = home
    if st.session_state.pop(f"zooming-{key}", False):
        return st.session_state.get(f"drawn-{key}", {})
    st.session_state[f"drawn-{key}"] = ranges
    return ranges


def _read(written: str, figure: go.Figure, key: str) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for part in filter(None, (part.strip() for part in written.split(","))):
        ranges = _PART.match(part)
        limits = _numbers(ranges[2], ranges[3]) if ranges else None
        name = f"{ranges[1][0]}axis{ranges[1][1:]}" if ranges else ""
        if limits is None or name not in _names(figure):
            links.note(f"{key}-axes", [part], ["ranges such as x 0:0.2"], "all of it")
        else:
            found[name] = limits
    return found


def _numbers(low: str, high: str) -> tuple[float, float] | None:
    try:
        ends = float(low), float(high)
    except ValueError:
        return None
    return ends if ends[0] != ends[1] and all(abs(end) < 1e300 for end in ends) else None


def _names(figure: go.Figure) -> list[str]:
    return [name for name in figure.layout if re.match(r"^[xy]axis\d*$", name)]


def _same(limits: list[float], home: tuple[float, float] | None) -> bool:
    if home is None:
        return False
    small = 1e-6 * abs(home[1] - home[0])
    return all(abs(a - b) <= small for a, b in zip(limits, home, strict=True))


def _written(name: str, limits: list[float]) -> str:
    return f"{name[0]}{name.removeprefix(name[:5])} {limits[0]:.4g}:{limits[1]:.4g}"
