"""Every private name of Plotly that softh uses exists in the installed release and means what softh takes it for."""

import json

import plotly.graph_objects as go

from dashboard import plotly_internals


def test_the_content_of_a_figure_is_that_of_its_dictionary() -> None:
    frame = go.Frame(name="<b>one</b>", data=[{"type": "scatter", "y": [3], "text": ["<i>in a frame</i>"]}])
    figure = go.Figure(
        [{"type": "scatter", "x": [1, 2], "y": [3, 4], "customdata": [["<a>", "b"], ["c", "d"]]}],
        {"title": {"text": "<u>title</u>"}, "annotations": [{"text": "note"}], "meta": {"alt": "what is shown"}},
        [frame],
    )
    figure.update_xaxes(title_text="added <later>")
    data, layout, frames = plotly_internals.content(figure)
    given = figure.to_dict()
    assert json.dumps([data, layout, frames]) == json.dumps([given["data"], given["layout"], given["frames"]])
