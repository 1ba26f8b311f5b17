"""A figure in, a file out: the sizes to choose from, the page that works offline, and the data behind a figure."""

import io
import json
import re
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import plotly
import plotly.graph_objects as go
import polars as pl

from dashboard.export import fonts
from dashboard.export.from_plotly import charts
from dashboard.export.sizes import Size
from dashboard.figures.template import FONT

HERE = Path(__file__).parent
_CONTROLS = ("updatemenus", "sliders")


def as_seen(figure: go.Figure, seen: dict[str, Any] | None) -> go.Figure:
    """The figure with what the reader changed in the browser: axis ranges and lines switched off in the legend."""
    shown = go.Figure(figure)
    for path, limits in ((seen or {}).get("ranges") or {}).items():
        if re.fullmatch(r"[xy]axis\d*", path):
            shown.update_layout({path: {"range": limits, "autorange": False}})
    hidden = set((seen or {}).get("hidden") or [])
    for number, trace in enumerate(shown.data):
        if number in hidden:
            trace.visible = "legendonly"
    return shown


def still(figure: go.Figure) -> dict[str, Any]:
    """Plotly's JSON of a figure without what only a screen can use: frames, buttons and sliders."""
    drawing = json.loads(str(figure.to_json()))
    drawing.pop("frames", None)
    for name in _CONTROLS:
        drawing["layout"].pop(name, None)
    return drawing


def html(figure: go.Figure, ground: str, title: str) -> bytes:
    """One page with Plotly and the font inside, that asks nothing of any network; the figure fills the window."""
    return page("figure.html", {"figure": json.loads(str(figure.to_json()))}, ground, title, fonts.for_screens())


def printable(figure: go.Figure, size: Size, ground: str) -> bytes:
    """The page that :mod:`dashboard.export.pdf` prints: the figure alone, of exactly this size."""
    drawing = {"figure": still(figure), "size": [size.width, size.height]}
    return page("figure.html", drawing, ground, "softh", fonts.for_print())


def page(template: str, drawing: Any, ground: str, title: str, face: str) -> bytes:
    """One of the HTML files beside this one, filled: plotly.js, font, and the drawing as JSON that ends no script."""
    text = Template((HERE / template).read_text(encoding="utf-8"))
    script = (plotly_folder() / "plotly.min.js").read_text(encoding="utf-8")
    filled = text.substitute(
        title=escape(title), ground=ground, font=FONT, face=face, plotly=script,
        deck=(HERE / "deck.js").read_text(encoding="utf-8") if "$deck" in text.template else "",
        drawing=json.dumps(drawing).replace("<", "\\u003c"),
    )  # fmt: skip
    return filled.encode()


def behind(figure: go.Figure, rows: pl.DataFrame | None) -> pl.DataFrame:
    """The data behind a figure: the rows it was drawn from, else every point that stands in it."""
    if rows is not None:
        return rows
    points = [
        {
            "panel": chart.title, "series": series.name, "x_axis": chart.x.title, "x": x,
            "y_axis": chart.y.title or chart.title, "y": y,
            "x_error": series.x_error[i] if series.x_error else None,
            "y_error": series.y_error[i] if series.y_error else None,
            "estimate_id": series.ids[i] if series.ids else None,
        }
        for chart in charts(figure) for series in chart.data
        for i, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    ]  # fmt: skip
    return pl.DataFrame(points, infer_schema_length=None)


def csv(rows: pl.DataFrame) -> bytes:
    """UTF-8, one line a row; a list stands in its cell as JSON."""
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    flat = rows.with_columns(
        pl.Series(name, [None if cell is None else json.dumps(cell) for cell in rows[name].to_list()], pl.String)
        for name in nested
    )
    return flat.write_csv().encode()


def parquet(rows: pl.DataFrame) -> bytes:
    """The same rows with their types."""
    held = io.BytesIO()
    rows.write_parquet(held)
    return held.getvalue()


def stem(title: str) -> str:
    """A file name without its ending, of lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "softh"


def plotly_folder() -> Path:
    """Where the installed package keeps plotly.min.js: the same version that writes the figures."""
    return Path(plotly.__file__).parent / "package_data"
