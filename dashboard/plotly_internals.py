"""All that softh uses of Plotly 7 beyond its documented interface: an upgrade is checked here and nowhere else."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go


def unchecked(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> go.Figure:
    """The figure of traces with their types and of a layout, names in full, taken as they are.

    Plotly checks every value of a figure, which takes about half of a page's processor time. The figures of all pages
    are checked in a test instead (tests/test_views.py).
    """
    return go.Figure({"data": traces, "layout": layout}, _validate=False)


def content(figure: go.Figure) -> tuple[Any, ...]:
    """Data, layout and frames of a figure as `to_dict` gives them, without the copy that it makes: to be read only."""
    return figure._data, figure._layout, [frame._props for frame in figure.frames]
