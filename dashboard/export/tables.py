"""The rows behind a figure as CSV and Parquet."""

import io
import json

import polars as pl

from dashboard import escape
from dashboard.export.contents import FigureExport
from dashboard.export.from_plotly import charts


def csv(export: FigureExport) -> bytes:
    """UTF-8, one line a row; a list is written as JSON."""
    rows = rows_behind(export)
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    flat = rows.with_columns(
        pl.Series(name, [None if cell is None else json.dumps(cell) for cell in rows[name].to_list()], pl.String)
        for name in nested
    )
    return escape.cells(flat).write_csv().encode()


def parquet(export: FigureExport) -> bytes:
    """The same rows with their types."""
    buffer = io.BytesIO()
    rows_behind(export).write_parquet(buffer)
    return buffer.getvalue()


def rows_behind(export: FigureExport) -> pl.DataFrame:
    """The rows that a figure was drawn from, else every point that is drawn."""
    if export.rows is not None:
        return export.rows
    points = [
        {
            "panel": chart.title, "series": series.name, "x_axis": chart.x.title, "x": x,
            "y_axis": chart.y.title or chart.title, "y": y,
            "x_error": series.x_error[i] if series.x_error else None,
            "y_error": series.y_error[i] if series.y_error else None,
            "estimate_id": series.ids[i] if series.ids else None,
        }
        for chart in charts(export.figure) for series in chart.data
        for i, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    ]  # fmt: skip
    return pl.DataFrame(points, infer_schema_length=None)
