"""All that softh uses of Plotly 7 beyond its documented interface: an upgrade is checked here and nowhere else."""

from typing import Any

import plotly.graph_objects as go


def content(figure: go.Figure) -> tuple[Any, ...]:
    """Data, layout and frames of a figure as `to_dict` gives them, without the copy that it makes: to be read only."""
    return figure._data, figure._layout, [frame._props for frame in figure.frames]
