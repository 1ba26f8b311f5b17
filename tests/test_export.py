"""Files of figures: sizes, data, pages that ask no network, charts that hold the numbers of the rows."""

import io
import json
import re
import threading
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from pptx import Presentation
from pptx.enum.chart import XL_MARKER_STYLE
from pptx.enum.dml import MSO_FILL

from dashboard.data.rows import Display
from dashboard.export import html, pdf, powerpoint, tables
from dashboard.export.contents import PRESETS, DeckExport, FigureExport, RenderedSlide, Size, as_seen
from dashboard.export.formats import FORMATS, file_stem
from dashboard.export.from_plotly import charts
from dashboard.export.pptx_chart import round_limits
from dashboard.figures import runs
from dashboard.figures.curves import Along, trajectory_curves
from dashboard.figures.marks import Mark
from dashboard.figures.template import DARK, LIGHT
from softh.errors import InputError

NAMES = ["Done", "Run"]
SHOWN = Display(2, "corrected")


@pytest.fixture
def rows(points: Callable) -> pl.DataFrame:
    """A run of four checkpoints, the first at zero tokens, and a model without any."""

    def learnt(step: int) -> Callable:
        return lambda depth, order: (0.9, 0.1 + 0.2 * step / (step + 9), 0.05 + 0.1 * step / (step + 5), 0.01 * order)

    steps = [
        {"model": "Run", "revision": f"step{s}", "step": s, "tokens": 1_000 * s, "shape": learnt(s)}
        for s in (0, 1, 10, 1_000)
    ]
    return points(*steps, {"model": "Done"})


@pytest.fixture
def plane(rows: pl.DataFrame) -> go.Figure:
    return runs.trajectory_plane(rows, SHOWN, NAMES)


@pytest.fixture
def curves(rows: pl.DataFrame) -> go.Figure:
    return trajectory_curves(rows, SHOWN, NAMES, Along("tokens"))


def exported(figure: go.Figure, rows: pl.DataFrame | None = None, title: str = "title") -> FigureExport:
    return FigureExport(figure, Size(700, 560), LIGHT, title, rows)


def wanted(rows: pl.DataFrame, model: str) -> pl.DataFrame:
    return SHOWN.select(rows).filter(pl.col("model") == model).sort("tokens")


def test_a_column_of_a_journal_is_as_wide_as_it_says_and_its_text_legible() -> None:
    for name, width in (("Single column", 85), ("Double column", 180)):
        size = PRESETS[name].size(Size(640, 560))
        assert size.inches[0] * 25.4 == pytest.approx(width)
        smallest = min(map(float, re.findall(r"text ([\d.]+)–", PRESETS[name].describe(Size(640, 560)))))
        assert smallest >= 5
    assert PRESETS["As seen"].size(Size(640, 560)) == Size(640, 560)
    assert PRESETS["Slide 16:9"].size(Size(1, 1)).inches == pytest.approx((40 / 3, 7.5))


def test_the_data_behind_a_figure_are_its_points(plane: go.Figure, rows: pl.DataFrame) -> None:
    behind = tables.rows_behind(exported(plane))
    run = behind.filter(pl.col("series") == "Run")
    assert run["x"].to_list() == wanted(rows, "Run")["input"].to_list()
    assert run["estimate_id"].to_list() == wanted(rows, "Run")["estimate_id"].to_list()
    assert tables.rows_behind(exported(plane, rows)) is rows


def test_csv_and_parquet_hold_the_same_rows(plane: go.Figure, rows: pl.DataFrame) -> None:
    flat = rows.select(pl.exclude([name for name, kind in rows.schema.items() if kind.is_nested()]))
    back = pl.read_csv(tables.csv(exported(plane, rows)), infer_schema_length=None)
    assert back["input"].to_list() == rows["input"].to_list()
    assert pl.read_parquet(io.BytesIO(tables.parquet(exported(plane, flat)))).equals(flat)


def test_a_page_has_all_it_needs_inside_and_may_ask_no_network(plane: go.Figure) -> None:
    page = html.figure(exported(plane, title="a </title> & more")).decode()
    assert "default-src 'none'" in page
    assert "a &lt;/title&gt; &amp; more" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page[:2_000])
    assert "plotly.js v" in page
    assert "@font-face" in page


def test_words_in_a_figure_cannot_end_its_script(plane: go.Figure) -> None:
    plane.update_layout(meta={"alt": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in html.figure(exported(plane)).decode()


def test_what_was_zoomed_and_hidden_is_exported_so(plane: go.Figure) -> None:
    seen = {"ranges": {"xaxis": [0.1, 0.2], "paper_bgcolor": "red"}, "hidden": [0]}
    shown = as_seen(plane, seen)
    assert list(shown.layout.xaxis.range) == [0.1, 0.2]
    assert shown.layout.paper_bgcolor is None
    assert shown.data[0].visible == "legendonly"
    assert plane.data[0].visible is None


def test_what_is_printed_has_no_buttons(plane: go.Figure) -> None:
    plane.update_layout(sliders=[{}], updatemenus=[{}])
    assert not {"sliders", "updatemenus"} & set(html.without_controls(plane)["layout"])


def test_without_a_browser_pdf_says_what_to_install(plane: go.Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    assert "apt install chromium" in pdf.missing()
    with pytest.raises(InputError, match="apt install chromium"):
        pdf.figure(exported(plane))


def test_as_many_files_print_or_wait_as_memory_allows(plane: go.Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def printing(*_: object) -> bytes:
        begun.release()
        go_on.wait(30)
        return b"%PDF"

    monkeypatch.setattr(pdf, "_need_chromium", lambda: "chromium")
    monkeypatch.setattr(pdf, "_print_page", printing)
    threads = [threading.Thread(target=pdf.print_page, args=(b"", (1.0, 1.0))) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert all(begun.acquire(timeout=30) for _ in range(2))
    assert not begun.acquire(timeout=0.1)  # two at a time
    while pdf._waiting.acquire(blocking=False):  # not all six have come
        pdf._waiting.release()
    with pytest.raises(InputError, match="6 files are being printed already"):
        pdf.print_page(b"", (1.0, 1.0))
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert pdf.print_page(b"", (1.0, 1.0)) == b"%PDF"


def test_every_format_has_one_writer_and_an_ending_of_its_own() -> None:
    for target in FORMATS:
        assert (target.browser_scale is None) != (target.figure is None and target.deck is None), target.label
    for kind in ("figure", "deck"):
        endings = [target.suffix for target in FORMATS if getattr(target, kind)]
        assert len(set(endings)) == len(endings)
        assert {"pdf", "html"} < set(endings)


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b", "C:\\x", "Plane, order 1!"])
def test_a_file_name_has_no_path_in_it(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", file_stem(text))


def test_a_plane_is_read_back_with_its_errors_labels_and_bound(plane: go.Figure, rows: pl.DataFrame) -> None:
    [chart] = charts(plane)
    run = next(series for series in chart.data if series.name == "Run")
    done = next(series for series in chart.data if series.name == "Done")
    assert run.y == tuple(wanted(rows, "Run")["output"])
    assert run.x_error[0] == pytest.approx(runs.standard_error(wanted(rows, "Run").to_dicts()[0], "input"))
    assert run.line
    assert not done.line
    assert len(done.x) == 1
    assert {label.text for series in chart.series for label in series.labels.values()} >= {"Run", "Done", "step 0"}
    bound = next(series for series in chart.series if series.name == "bound")
    assert bound.x == bound.y


def test_curves_are_read_back_as_counts_with_bands_as_errors(curves: go.Figure, rows: pl.DataFrame) -> None:
    found = charts(curves)
    assert [chart.title.split()[-1] for chart in found] == ["complexity", "expressivity", "optimality", "entropy"]
    [run] = found[0].data
    assert run.x[1:] == (1_000.0, 10_000.0, 1_000_000.0)
    assert run.x[0] == found[0].x.zero
    assert run.y == tuple(wanted(rows, "Run")["input"])
    errors = [runs.standard_error(row, "input") for row in wanted(rows, "Run").to_dicts()]
    assert run.y_error == pytest.approx(errors)


def deck_of(*slides: RenderedSlide) -> Presentation:
    return Presentation(io.BytesIO(powerpoint.deck(DeckExport("talk", slides, LIGHT))))


def native(slide) -> list:
    return [shape.chart for shape in slide.shapes if shape.has_chart]


def test_powerpoint_has_native_charts_whose_values_equal_the_rows(
    plane: go.Figure, curves: go.Figure, rows: pl.DataFrame
) -> None:
    opened = deck_of(RenderedSlide("Both", "note", (plane, curves)))
    charts_of = native(opened.slides[0])
    assert len(charts_of) == 5
    run = next(series for series in charts_of[0].plots[0].series if series.name == "Run")
    assert [float(v) for v in run.iter_values()] == wanted(rows, "Run")["output"].to_list()
    places = [float(v.text) for v in run._element.findall("{*}xVal//{*}v")]
    assert places == wanted(rows, "Run")["input"].to_list()
    bars = run._element.findall("{*}errBars")
    assert [bar.find("{*}errDir").get("val") for bar in bars] == ["x", "y"]
    assert charts_of[0].part.chart_workbook.xlsx_part is not None


def test_powerpoint_keeps_colours_and_alt_text(plane: go.Figure) -> None:
    opened = deck_of(RenderedSlide("Plane", "", (plane,)))
    [frame] = [shape for shape in opened.slides[0].shapes if shape.has_chart]
    done = next(series for series in frame.chart.plots[0].series if series.name == "Done")
    colour, _ = runs.style("Done", NAMES, LIGHT)
    assert f"#{done.marker.format.fill.fore_color.rgb}" == colour
    assert frame._element.nvGraphicFramePr.cNvPr.get("descr") == plane.layout.meta["alt"]


def test_a_logarithmic_axis_stays_one_in_powerpoint(curves: go.Figure) -> None:
    last = native(deck_of(RenderedSlide("", "", (curves,))).slides[0])[-1]
    assert last.category_axis._element.find("{*}scaling/{*}logBase").get("val") == "10"
    assert "0 stands at" in last.category_axis.axis_title.text_frame.text


def test_words_along_an_axis_are_labels_and_a_falling_axis_falls() -> None:
    rows = go.Figure(go.Scatter(x=[0.1, 0.3], y=[0, 1], name="a", error_x={"array": [0.2, 0.1]}))
    rows.update_layout(
        meta={"alt": "rows"}, yaxis={"range": [1.5, -0.5], "tickvals": [0, 1], "ticktext": ["one", "two"]}
    )
    [drawn] = native(deck_of(RenderedSlide("", "", (rows,))).slides[0])
    named = next(series for series in drawn.plots[0].series if series.name == "rows")
    assert [named.points[i].data_label.text_frame.text for i in (0, 1)] == ["one", "two"]
    assert drawn.value_axis.reverse_order
    assert drawn.category_axis.minimum_scale <= -0.1
    assert drawn.category_axis.maximum_scale >= 0.4


def test_words_as_positions_are_numbers_with_names() -> None:
    rows = go.Figure(go.Scatter(x=np.array([0.1, 0.3]), y=["one", "two"], mode="markers", name="a"))
    rows.update_layout(yaxis={"autorange": "reversed"})
    [chart] = charts(rows)
    assert chart.data[0].y == (0.0, 1.0)
    assert chart.y.names == ((0, "one"), (1, "two"))
    assert chart.y.reversed


def test_an_interval_that_leans_keeps_both_of_its_lengths() -> None:
    leaning = {"array": np.array([0.2, 0.1]), "arrayminus": np.array([0.4, 0.3])}
    rows = go.Figure(
        go.Scatter(x=[0.0, 1.0], y=[0.0, 1.0], name="a", error_x=leaning), layout={"meta": {"alt": "rows"}}
    )
    [drawn] = native(deck_of(RenderedSlide("", "", (rows,))).slides[0])
    [bars] = drawn.plots[0].series[0]._element.findall("{*}errBars")
    lengths = {name: [float(v.text) for v in bars.findall(f"{{*}}{name}//{{*}}v")] for name in ("plus", "minus")}
    assert lengths == {"plus": [0.2, 0.1], "minus": [0.4, 0.3]}


def test_what_is_gone_is_a_sentence_on_its_slide(plane: go.Figure) -> None:
    opened = deck_of(RenderedSlide("Gone", "", (), problem="The model is gone."), RenderedSlide("There", "", (plane,)))
    assert "The model is gone." in [shape.text_frame.text for shape in opened.slides[0].shapes if shape.has_text_frame]
    assert len(native(opened.slides[1])) == 1


def test_a_row_without_an_interval_has_no_error_bar_and_no_word_that_is_no_number() -> None:
    missing = {"array": np.array([0.2, np.nan]), "arrayminus": [0.4, float("nan")]}
    rows = go.Figure(
        go.Scatter(x=[0.5, 1.0], y=["a", "b"], name="a", error_x=missing, error_y={"array": [np.nan, np.nan]}),
        layout={"meta": {"alt": "rows"}},
    )
    [drawn] = native(deck_of(RenderedSlide("", "", (rows,))).slides[0])
    assert b"nan" not in drawn.part.blob.lower()
    [bars] = next(s for s in drawn.plots[0].series if s.name == "a")._element.findall("{*}errBars")
    assert [float(v.text) for v in bars.findall("{*}plus//{*}v")] == [0.2, 0.0]


def test_lines_across_a_whole_axis_and_the_edges_of_an_area_are_drawn() -> None:
    area = go.Figure(layout={"meta": {"alt": "area"}, "xaxis": {"range": [-1, 1]}, "yaxis": {"range": [3, 0]}})
    hidden = {"line": {"width": 0}, "hoverinfo": "skip", "mode": "lines"}
    area.add_scatter(x=[0, 1], y=[2, 2.5], **hidden)
    area.add_scatter(x=[0, 1], y=[1, 0.5], fill="tonexty", fillcolor="rgba(95,107,122,0.15)", **hidden)
    area.add_scatter(x=[0.5], y=[1.5], mode="markers", name="a")
    area.add_vline(x=0, line={"color": "#5F6B7A", "width": 1})
    area.add_vline(x=-0.5, line={"color": "#5F6B7A", "width": 1, "dash": "dot"})
    [chart] = charts(area)
    guides = [(one.x, one.y, one.line[2]) for one in chart.series if one.guide]
    assert guides == [
        ((0.0, 0.0), (3.0, 0.0), "solid"), ((-0.5, -0.5), (3.0, 0.0), "dot"),
        ((0.0, 1.0), (2.0, 2.5), "solid"), ((0.0, 1.0), (1.0, 0.5), "solid"),
    ]  # fmt: skip


def opened(figure: go.Figure, title: str = "") -> list:
    """The charts of a figure, written and read again."""
    figure.update_layout(meta={"alt": "a figure"})
    return native(deck_of(RenderedSlide(title, "", (figure,))).slides[0])


def drawn(chart, name: str) -> list:
    """The series of a name with their places."""
    return [
        [(float(x.text), y) for x, y in zip(series._element.findall("{*}xVal//{*}v"), series.values, strict=True)]
        for series in chart.plots[0].series
        if series.name == name
    ]


def listed(chart) -> list[str]:
    """Names in the legend."""
    gone = {int(entry.find("{*}idx").get("val")) for entry in chart.legend._element.findall("{*}legendEntry")}
    return [series.name for i, series in enumerate(chart.plots[0].series) if i not in gone]


def hollow(marker) -> bool:
    """Whether what lies below a marker is seen through it."""
    alpha = marker.format._element.find("{*}spPr/{*}solidFill//{*}alpha")
    return alpha is not None and alpha.get("val") == "0"


def key(name: str, symbol: str) -> dict:
    marker = {"symbol": symbol}
    return {"x": [None], "y": [None], "mode": "markers", "name": name, "hoverinfo": "skip", "marker": marker}


def test_an_entry_of_the_legend_without_points_is_one_in_powerpoint() -> None:
    figure = go.Figure()
    figure.add_scatter(x=[1, 2, 3], y=[1, 2, 3], mode="markers", name="family", legendgroup="f", showlegend=False)
    for name, symbol in (("family", "circle-open"), ("sft", "square")):
        figure.add_scatter(**key(name, symbol))
    figure.add_scatter(x=[None], y=[None], mode="lines", name="truth", line={"color": "#3A4657", "dash": "dash"})
    figure.add_scatter(x=[0, 3], y=[0, 0], mode="lines", name="frontier", hoverinfo="skip")
    [chart] = opened(figure)
    assert listed(chart) == ["frontier", "family", "sft", "truth"]
    last = {series.name: series for series in chart.plots[0].series}  # the family's points come first
    assert hollow(last["family"].marker)
    assert last["sft"].marker.style == XL_MARKER_STYLE.SQUARE
    assert str(last["truth"].format.line.color.rgb) == "3A4657"
    assert [list(last[name].values) for name in ("family", "sft", "truth")] == [[None]] * 3
    assert [len(series.x) for series in charts(figure)[0].data] == [3]  # a key is no data


def test_every_point_keeps_its_own_marker() -> None:
    symbols = ["circle", "square-open", "diamond", "circle-x-open", "pentagon", "triangle-up"]
    marker = {"symbol": symbols, "size": [9, 20, 9, 12, 10, 9], "color": "#0072B2"}
    [chart] = opened(go.Figure(go.Scatter(x=[*range(6)], y=[0] * 6, mode="markers", name="a", marker=marker)))
    [series] = chart.plots[0].series
    shapes = [series.points[i].marker.style or series.marker.style for i in range(6)]
    assert shapes == [
        XL_MARKER_STYLE.CIRCLE,
        XL_MARKER_STYLE.SQUARE,
        XL_MARKER_STYLE.DIAMOND,
        XL_MARKER_STYLE.X,
        XL_MARKER_STYLE.STAR,
        XL_MARKER_STYLE.TRIANGLE,
    ]


def test_a_hollow_marker_of_another_size_stays_hollow() -> None:
    marker = {"symbol": "circle-open", "size": [9, 20, 9], "color": ["#0072B2", "#0072B2", "#D55E00"]}
    [chart] = opened(go.Figure(go.Scatter(x=[0, 1, 2], y=[0, 0, 1], mode="markers", name="a", marker=marker)))
    [series] = chart.plots[0].series
    assert all(hollow(one.marker) for one in (series, series.points[0], series.points[1]))


def test_a_heavy_rim_is_drawn_and_a_thin_one_is_not() -> None:
    rim = {"width": [3, 0.8], "color": ["#3A4657", "#FFFFFF"]}
    marker = {"symbol": "circle", "size": 9, "color": "#0072B2", "line": rim}
    [chart] = opened(go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="markers", name="a", marker=marker)))
    [series] = chart.plots[0].series
    assert str(series.points[0].marker.format.line.color.rgb) == "3A4657"
    assert str(series.marker.format.line.color.rgb) == "0072B2"


def test_a_run_begins_hollow_and_ends_full(plane: go.Figure) -> None:
    [chart] = opened(plane)
    run = next(series for series in chart.plots[0].series if series.name == "Run")
    assert hollow(run.points[0].marker)
    assert not hollow(run.marker)


def test_the_corners_of_a_staircase_and_the_gaps_of_a_line_are_kept() -> None:
    figure = go.Figure(go.Scatter(x=[1, 3, 5], y=[1, 2, 9], mode="markers", name="family", legendgroup="family"))
    steps = [(1.0, 0.0), (1.0, 1.0), (3.0, 1.0), (3.0, 2.0), (4.0, 2.0)]
    figure.add_scatter(x=[x for x, _ in steps], y=[y for _, y in steps], mode="lines", name="steps", hoverinfo="skip")
    arrow = {"symbol": "arrow", "angleref": "previous", "size": [0, 11, 0] * 2}
    figure.add_scatter(
        x=[1, 3, None, 3, 5, None], y=[1, 2, None, 2, 9, None], mode="lines+markers", name="made from",
        hoverinfo="skip", marker=arrow,
    )  # fmt: skip
    [chart] = opened(figure)
    assert drawn(chart, "steps") == [steps]
    assert drawn(chart, "made from") == [[(1, 1), (3, 2)], [(3, 2), (5, 9)]]
    assert listed(chart) == ["steps", "made from", "family"]
    heads = [s._element.findall(".//{*}tailEnd") for s in chart.plots[0].series if s.name == "made from"]
    assert [len(head) for head in heads] == [1, 1]
    family = next(series for series in chart.plots[0].series if series.name == "family")
    assert family.format.line.fill.type == MSO_FILL.BACKGROUND  # models are not joined


def test_ends_of_phases_are_lines_bands_and_rings(rows: pl.DataFrame) -> None:
    mark = Mark("Run", "fitting ends near 4k tokens", 4, 4_000, 2_000, 6_000)
    curves = trajectory_curves(rows, SHOWN, NAMES, Along("tokens"), marks=[mark])
    for chart in opened(curves):
        [[(low, bottom), (same, top)]] = drawn(chart, "guide")
        assert low == same == pytest.approx(4_000)
        assert (bottom, top) == (chart.value_axis.minimum_scale, chart.value_axis.maximum_scale)
        sides = drawn(chart, "interval")
        assert [x for side in sides for x, _ in side] == pytest.approx([2_000, 2_000, 6_000, 6_000])
    words = [label.text for one in charts(curves)[0].series for label in one.labels.values()]
    assert words == ["fitting ends"]
    [plane] = opened(runs.trajectory_plane(rows, SHOWN, NAMES, marks=[mark]))
    rings = [s for s in plane.plots[0].series if s.marker.size == 19]
    assert [hollow(ring.marker) for ring in rings] == [True]


def test_a_logarithmic_axis_of_plotly_keeps_its_values() -> None:
    figure = go.Figure(go.Scatter(x=[14e6, 7e9], y=[0.1, 0.2], mode="markers", name="a"))
    figure.update_layout(xaxis={"type": "log", "range": [7, 10]}, annotations=[{"x": 7, "y": 0, "text": "elsewhere"}])
    figure.add_annotation(x=np.log10(7e9), y=0.2, text="large", showarrow=False)
    assert charts(figure)[0].data[0].x == (14e6, 7e9)
    [chart] = opened(figure)
    assert drawn(chart, "a") == [[(14e6, 0.1), (7e9, 0.2)]]
    assert chart.plots[0].series[0].points[1].data_label.text_frame.text == "large"
    assert (chart.category_axis.minimum_scale, chart.category_axis.maximum_scale) == (1e7, 1e10)


@pytest.mark.parametrize("length", [0, 40, 90, 200, 400])
def test_a_title_stays_above_the_figures(plane: go.Figure, length: int) -> None:
    title = ("optimality of models " * 30)[:length].strip()
    [slide] = deck_of(RenderedSlide(title, "", (plane,))).slides
    [frame] = [shape for shape in slide.shapes if shape.has_chart]
    shape = slide.shapes.title
    assert shape.top + shape.height <= frame.top
    for paragraph in shape.text_frame.paragraphs:
        size = paragraph.font.size.pt
        assert 12 <= size <= 28
        lines = -(-len(title) * 0.56 * size // (shape.width.pt - 14.4))
        assert 1.2 * size * lines <= shape.height.pt


def test_the_deck_of_html_holds_every_slide_in_the_inks_of_its_theme(plane: go.Figure) -> None:
    page = html.deck(
        DeckExport("talk", [RenderedSlide("One", "first", (plane,)), RenderedSlide("Two", "", ())], DARK)
    ).decode()
    drawing = json.loads(re.search(r"^const deck = (.*)$", page, re.MULTILINE)[1])
    assert [slide["title"] for slide in drawing["slides"]] == ["One", "Two"]
    assert drawing["inks"]["ground"] == DARK.background
    assert "presentDeck" in page


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.347), (-0.02, 0.33), (0.0, 0.0), (3.0, 3.1), (0, 31)])
def test_round_limits_hold_all_and_are_few_steps_apart(low: float, high: float) -> None:
    first, last, step = round_limits(low, high)
    assert first <= low + 1e-9
    assert last >= high - 1e-9
    assert round_limits(low, high, slack=0.25)[1] >= high - 0.25 * step
    assert 1 <= round((last - first) / step) <= 7
