"""The matrix as a table of PowerPoint: the page's words and colours, inside its place."""

import io

import plotly.graph_objects as go
import pytest
from pptx import Presentation
from pptx.util import Inches, Pt

from dashboard.export import powerpoint
from dashboard.export.contents import DeckExport, RenderedSlide
from dashboard.figures.template import LIGHT


def opened(*figures: go.Figure) -> Presentation:
    """A deck of one slide, read again."""
    return Presentation(io.BytesIO(powerpoint.deck(DeckExport("talk", [RenderedSlide("", "", figures)], LIGHT))))


def matrix(columns: int = 2) -> go.Figure:
    heat = go.Heatmap(
        x=["bits per byte, books-heldout", "grammar", *"abcdefghij"][:columns],
        y=["complexity I(X;Z)", "distance to the bound"],
        z=[[0.25, None, *[0.5] * 10][:columns], [-0.46, 0.0, *[0.5] * 10][:columns]],
        text=[[".25", "–", *[""] * 10][:columns], ["−.46**", ".00", *[""] * 10][:columns]],
        zmin=-1, zmax=1, colorscale=[[0, "#D55E00"], [0.5, "#FFFFFF"], [1, "#0072B2"]],
        colorbar={"title": {"text": "Spearman"}},
    )  # fmt: skip
    return go.Figure(heat, layout={"meta": {"alt": "a matrix"}})


def test_a_matrix_is_a_table_that_reads_as_the_page() -> None:
    [frame] = [shape for shape in opened(matrix()).slides[0].shapes if shape.has_table]
    texts = [[cell.text for cell in row.cells] for row in frame.table.rows]
    assert texts == [
        ["Spearman", "bits per byte, books-heldout", "grammar"],
        ["complexity I(X;Z)", ".25", "–"],
        ["distance to the bound", "−.46**", ".00"],
    ]
    inks = [[str(frame.table.cell(i, j).fill.fore_color.rgb) for j in (1, 2)] for i in (1, 2)]
    assert inks == [["BFDCEC", "FFFFFF"], ["ECB58A", "FFFFFF"]]
    assert frame._element.nvGraphicFramePr.cNvPr.get("descr") == "a matrix"


def test_a_scale_without_ends_goes_from_the_least_value_to_the_largest() -> None:
    figure = matrix()
    figure.update_traces(zmin=None, zmax=None, meta={"columns": ["step 0", "step 10"]})
    [frame] = [shape for shape in opened(figure).slides[0].shapes if shape.has_table]
    assert [cell.text for cell in frame.table.rows[0].cells] == ["Spearman", "step 0", "step 10"]
    assert str(frame.table.cell(1, 1).fill.fore_color.rgb) == "0072B2"
    assert str(frame.table.cell(2, 1).fill.fore_color.rgb) == "D55E00"
    figure.update_traces(z=[[0.5, None], [0.5, 0.5]])
    assert opened(figure)


@pytest.mark.parametrize("columns", [1, 2, 12])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_matrix_stays_in_its_place_and_breaks_no_word(columns: int, beside: int) -> None:
    chart = go.Figure(go.Scatter(x=[0, 1], y=[1, 2], name="a"), layout={"meta": {"alt": "a chart"}})
    deck = opened(*[chart] * beside, matrix(columns))
    [frame] = [shape for shape in deck.slides[0].shapes if shape.has_table]
    right, bottom = deck.slide_width - Inches(0.5), Inches(6.45)
    assert frame.left + sum(column.width for column in frame.table.columns) <= right
    assert frame.top + sum(row.height for row in frame.table.rows) <= bottom
    for row in frame.table.rows:
        for column, cell in zip(list(frame.table.columns), row.cells, strict=True):
            size = cell.text_frame.paragraphs[0].runs[0].font.size
            upright = cell._tc.tcPr.get("vert") is None
            wide, high = (column.width, row.height) if upright else (row.height, column.width)
            assert Pt(5) <= size <= Pt(12)
            # A row grows on the screen where its line does not fit.
            assert high >= 1.2 * size + cell.margin_top + cell.margin_bottom
            longest = max(map(len, cell.text.split() if upright else [cell.text]), default=0)
            assert wide >= 0.47 * size * longest + cell.margin_left + cell.margin_right
