"""Our own Plotly template: fonts, inks and colour-blind-safe colours, for light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import plotly.graph_objects as go

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", "Helvetica Neue", Arial, sans-serif'
Trace = dict[str, Any]
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "x")

# The hues of Okabe and Ito (2008), with slate for black. A place has one hue in both themes, and the lightness that its
# background needs: a slide made in one and shown in the other names the same colour.
_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#3A4657")
_DARK = ("#4BA6E0", "#F07F3C", "#2BC296", "#E3A3C8", "#F5BC45", "#A5DAF8", "#B4C0CF")
# Viridis without the end that vanishes into the background.
_DEPTH_LIGHT = ("#440154", "#46327E", "#365C8D", "#277F8E", "#1FA187", "#4AC16D", "#9FDA3A")
_DEPTH_DARK = ("#5B4A9C", "#46709E", "#2F8F96", "#2AB07F", "#65CB5E", "#B0DD2F", "#FDE725")


@dataclass(frozen=True)
class Theme:
    """Inks of one theme; the backgrounds are those of .streamlit/config.toml."""

    name: str
    background: str
    ink: str
    muted: str
    grid: str
    colours: tuple[str, ...]
    depth: tuple[str, ...]
    """Sequential scale, embedding to last layer."""

    @property
    def veil(self) -> str:
        """The background as a thin layer under text."""
        red, green, blue = (int(self.background[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.72)"


LIGHT = Theme("light", "#FFFFFF", "#1F2933", "#5F6B7A", "#E7EAEE", _LIGHT, _DEPTH_LIGHT)
DARK = Theme("dark", "#12161B", "#E4E8EC", "#97A3B0", "#2A323B", _DARK, _DEPTH_DARK)


def theme_for(dark: bool) -> Theme:
    """Inks for a dark or a light page."""
    return DARK if dark else LIGHT


@cache  # Plotly checks every part of one when it is made
def template(theme: Theme) -> go.layout.Template:
    """Transparent ground, thin grid, no frame, text in the page's own font."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": theme.grid,
        "tickfont": {"size": 12, "color": theme.muted},
        "title": {"font": {"size": 14, "color": theme.ink}, "standoff": 10},
        "automargin": True,
    }
    return go.layout.Template(
        # A click chooses a point for the page, which rings it; Plotly would fade all others.
        data={"scatter": [{"unselected": {"marker": {"opacity": 1}}}]},
        layout={
            "font": {"family": FONT, "size": 13, "color": theme.ink},
            "colorway": theme.colours,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": theme.background,
                "bordercolor": theme.muted,
                "font": {"family": FONT, "size": 12, "color": theme.ink},
                "align": "left",
            },
            "legend": {"font": {"size": 12}, "orientation": "h", "bgcolor": "rgba(0,0,0,0)"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.ink},
            "dragmode": "zoom",
        },
    )


def mix(colour: str, ground: str, share: float) -> str:
    """share of colour over ground, both '#RRGGBB', 0 to 1."""
    pairs = ((int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * over + (1 - share) * under):02X}" for over, under in pairs)


def along(scale: tuple[str, ...], position: float) -> str:
    """Colour at a position, 0 to 1, of a scale of evenly spaced colours."""
    place = min(max(position, 0.0), 1.0) * (len(scale) - 1)
    below = min(int(place), len(scale) - 2)
    return mix(scale[below + 1], scale[below], place - below)


def scatter(**properties: Any) -> Trace:
    """A trace of points or lines for `add_traces`, which makes the object: an object made here would be made twice."""
    return {"type": "scatter", **properties}


def add_to_layout(figure: go.Figure, part: str, some: Sequence[dict[str, Any]]) -> None:
    """Add annotations or shapes to a figure at once: Plotly checks all that are there for every one that is added."""
    figure.layout[part] = (*figure.layout[part], *some)


def heads_left(figure: go.Figure) -> None:
    """Put the titles of subplots of one width at their left corners, as the names of panels are."""
    first, last = figure.layout.xaxis.domain
    left = {"xanchor": "left", "align": "left", "font": {"size": 12.5}}
    figure.for_each_annotation(lambda note: note.update(x=note.x - (last - first) / 2, **left))


def add_meta(figure: go.Figure, **more: Any) -> go.Figure:
    """The figure with more of what pages and scripts read beside it: alt text, names, the ranges that show all."""
    figure.layout.meta = {**(figure.layout.meta or {}), **more}
    return figure
