"""Figures as data: what is drawn, in which order, with which words."""

import math
import tomllib
from pathlib import Path

import polars as pl
import pytest

from dashboard.figures import runs
from dashboard.figures.curves import Along, trajectory_curves
from dashboard.figures.plane import span
from dashboard.figures.runs import Display
from dashboard.figures.template import DARK, LIGHT, along, mix

RAW, CORRECTED = Display(1, "raw"), Display(1, "corrected")


def markers(figure):
    """Traces of points: those that have a hover card."""
    return [trace for trace in figure.data if trace.customdata is not None]


def named(figure, name):
    return [trace for trace in markers(figure) if trace.name == name]


def growing(order):
    """The shapes of a run whose information grows with its step."""
    return lambda step: lambda depth, k: (0.9, 0.1 + step / 1000 + order * k, 0.05 + step / 4000, 0.01 * k)


@pytest.fixture
def run(points):
    """A run of four checkpoints, stored in another order than it was trained, and a finished model."""
    grown = growing(0)
    return points(
        *(
            {"model": "Run", "revision": f"step{s}", "step": s, "tokens": 64 * s, "shape": grown(s)}
            for s in (8, 0, 64, 1)
        ),
        {"model": "Done (dequantised Q4_1)"},
    )


NAMES = ["Done (dequantised Q4_1)", "Run"]


def test_a_run_goes_from_its_first_step_to_its_last(run):
    [path] = named(runs.trajectory_plane(run, CORRECTED, NAMES), "Run")
    assert list(path.x) == pytest.approx([0.09 + step / 1000 for step in (0, 1, 8, 64)])
    assert path.marker.symbol[0].endswith("-open")
    assert path.marker.size[-1] == max(path.marker.size)


def test_the_line_takes_the_colour_of_its_points_from_pale_to_full(run):
    figure = runs.trajectory_plane(run, CORRECTED, NAMES)
    lines = [trace.line.color for trace in figure.data if trace.mode == "lines"]
    assert len(lines) == len(set(lines)) == 3
    [path] = named(figure, "Run")
    assert path.marker.color[-1] == LIGHT.colours[1]
    assert path.marker.color[0] == mix(LIGHT.colours[1], LIGHT.background, 0.4)


def test_arrows_point_along_the_path(run):
    figure = runs.trajectory_plane(run, CORRECTED, NAMES)
    [arrows] = [trace for trace in figure.data if trace.marker.symbol == "arrow"]
    assert arrows.marker.angleref == "previous"
    assert max(arrows.marker.size) > 0
    assert arrows.marker.size[-1] == 0


def test_a_finished_model_is_a_point_without_a_line(points):
    figure = runs.trajectory_plane(points({"model": "Done"}), CORRECTED, ["Done"])
    assert [trace.mode for trace in figure.data] == ["markers"]
    assert not any(trace.marker.showscale for trace in figure.data)
    assert runs.clock(points({"model": "Done"})) is None


def test_checkpoints_without_tokens_are_ordered_by_step(points):
    rows = points(*({"revision": f"step{step}", "step": step} for step in (4, 2)))
    assert runs.clock(rows) == "step"
    [path] = named(runs.trajectory_plane(rows, CORRECTED, ["Tiny"]), "Tiny")
    assert [card.split("<br>")[0] for _, card in path.customdata] == ["<b>Tiny, step 2</b>", "<b>Tiny, step 4</b>"]


def test_crosses_are_the_combined_standard_error(run):
    [path] = named(runs.trajectory_plane(run, RAW, NAMES), "Run")
    assert path.error_x.array[0] == pytest.approx(math.hypot(0.004, 0.002))
    assert path.error_y.array[0] == pytest.approx(math.hypot(0.004, 0.002))


def test_axes_carry_unit_order_and_correction(run):
    for view, words in ((Display(3, "raw"), "order 3 (trigram), raw"), (CORRECTED, "order 1 (token), null-corrected")):
        layout = runs.trajectory_plane(run, view, NAMES).layout
        assert "I(X;Z) / log n" in layout.xaxis.title.text
        assert "I(Y;Z) / log n" in layout.yaxis.title.text
        assert words in layout.xaxis.title.text
        assert words in layout.yaxis.title.text


def test_the_bound_is_drawn_and_named(run):
    figure = runs.trajectory_plane(run, CORRECTED, NAMES)
    assert [(s.x1, s.y1) for s in figure.layout.shapes if s.line.dash == "dash"] == [(10, 10)]
    assert any("bound" in note.text for note in figure.layout.annotations)


def test_a_hover_card_tells_where_the_number_comes_from(run):
    [path] = named(runs.trajectory_plane(run, CORRECTED, NAMES), "Run")
    estimate_id, card = path.customdata[-1]
    for words in (
        "Run, step 64", "4.1k training tokens", "± 0.0022", "draws 0.002", "documents 0.001", "order 1 (token)",
        "null-corrected", "python-docs", "7,744 positions", "2026-11-20", estimate_id,
    ):  # fmt: skip
        assert words in card, words


def test_a_model_keeps_its_colour_and_marker_when_others_go(run):
    alone = run.filter(pl.col("model") == "Run")
    [before], [after] = (named(runs.trajectory_plane(rows, RAW, NAMES), "Run") for rows in (run, alone))
    assert before.marker.color == after.marker.color
    assert before.marker.symbol == after.marker.symbol
    assert named(runs.trajectory_plane(run, RAW, NAMES), NAMES[0])[0].marker.symbol != after.marker.symbol


def test_labels_of_near_points_keep_their_distance(points):
    rows = points(*({"model": f"Model{i}", "weights": "x"} for i in range(5)))
    figure = runs.trajectory_plane(rows, RAW, rows["model"].unique().sort().to_list())
    places = [
        (note.xanchor, note.yanchor, note.ay) for note in figure.layout.annotations if note.text.startswith("<b>")
    ]
    assert len(places) == len(set(places)) == 5


def test_every_trace_is_svg_and_every_figure_is_described(run, layers):
    for figure in (
        runs.trajectory_plane(run, RAW, NAMES),
        trajectory_curves(run, RAW, NAMES, Along("tokens")),
        runs.depth_plane(layers(), RAW),
        runs.depth_profiles(layers(), RAW),
    ):
        assert {trace.type for trace in figure.data} == {"scatter"}
        assert len(figure.layout.meta["alt"]) > 60


def test_alt_text_says_the_numbers_with_their_errors(run):
    alt = runs.trajectory_plane(run, CORRECTED, NAMES).layout.meta["alt"]
    assert "Run, step 64: I(X;Z) 0.1540 ± 0.0022 and I(Y;Z) 0.0560 ± 0.0022" in alt


def test_curves_stand_in_one_panel_a_quantity_over_one_axis(run):
    figure = trajectory_curves(run, CORRECTED, NAMES, Along("tokens"))
    assert {trace.yaxis for trace in markers(figure)} == {"y", "y2", "y3", "y4"}
    assert {trace.name for trace in markers(figure)} == {"Run"}
    assert figure.layout.xaxis.title.text == "training tokens"
    assert list(figure.layout.xaxis.ticktext) == ["0", "100", "1k"]


def test_curves_along_the_order_show_the_last_checkpoint_of_every_model(run):
    figure = trajectory_curves(run, CORRECTED, NAMES, Along("order"))
    [complexity, *_] = named(figure, "Run")
    assert list(complexity.x) == [1, 2, 3, 4]
    assert all("step 64" in card for _, card in complexity.customdata)
    assert {trace.yaxis for trace in markers(figure)} == {"y", "y2", "y3"}


def test_the_null_is_dotted_beside_raw_values_and_only_there(run, layers):
    def dotted(figure):
        return [trace for trace in figure.data if trace.line.dash == "dot"]

    assert dotted(trajectory_curves(run, RAW, NAMES, Along("tokens")))
    assert not dotted(trajectory_curves(run, CORRECTED, NAMES, Along("tokens")))
    assert dotted(runs.depth_profiles(layers(), RAW))
    assert not dotted(runs.depth_profiles(layers(), CORRECTED))


def test_the_correction_changes_the_numbers_but_not_the_entropy(layers):
    raw, corrected = (runs.depth_profiles(layers(), view) for view in (RAW, CORRECTED))
    first = {trace.yaxis: list(trace.y) for trace in reversed(markers(raw)) if trace.line.dash != "dot"}
    second = {trace.yaxis: list(trace.y) for trace in reversed(markers(corrected))}
    assert first["y"] != second["y"]
    assert first["y4"] == second["y4"]


def test_the_path_through_depth_begins_at_the_embedding(layers):
    figure = runs.depth_plane(layers(), CORRECTED)
    [path] = markers(figure)
    assert [card.split("<br>")[0] for _, card in path.customdata][:2] == [
        "<b>embedding of Tiny</b>",
        "<b>layer 1 of Tiny</b>",
    ]
    assert path.marker.color[0] == LIGHT.depth[0]
    assert path.marker.color[-1] == LIGHT.depth[-1]
    labels = " ".join(note.text for note in figure.layout.annotations)
    assert "embedding" in labels
    assert "layer 4" in labels


def test_every_order_has_its_line_in_the_profiles(layers):
    figure = runs.depth_profiles(layers(), CORRECTED)
    assert [t.name for t in markers(figure) if t.yaxis == "y"] == ["1 token", "2 bigram", "3 trigram", "4 quadgram"]
    assert len([t for t in markers(figure) if t.yaxis == "y4"]) == 1


def test_an_undefined_ratio_is_left_out_of_its_line(layers):
    rows = layers(shape=lambda depth, order: (0.9, depth, depth, 0.0))
    [line] = [t for t in markers(runs.depth_profiles(rows, RAW)) if t.yaxis == "y3" and t.name == "1 token"][:1]
    assert list(line.x) == [1, 2, 3, 4]


@pytest.mark.parametrize("values", [[0.1, 0.3], [0.3], [-0.01, 0.2], [0.0], [0.50, 0.51]])
def test_limits_hold_every_value_and_the_origin(values):
    low, high = span(values)
    assert low <= min(0.0, *values)
    assert high > max(values)
    assert high - low < 1.4 * (max(0.0, *values) - min(0.0, *values)) or not any(values)


def test_dark_and_light_share_the_data_and_differ_in_ink(run):
    light, dark = (runs.trajectory_plane(run, Display(1, "raw", night), NAMES) for night in (False, True))
    assert [list(a.x) for a in markers(light)] == [list(b.x) for b in markers(dark)]
    assert light.layout.template.layout.font.color != dark.layout.template.layout.font.color


def test_text_is_readable_on_its_ground():
    for theme in (LIGHT, DARK):
        assert contrast(theme.ink, theme.background) >= 7
        assert contrast(theme.muted, theme.background) >= 4.5


def test_figures_lie_on_the_ground_of_the_page():
    config = tomllib.loads((Path(__file__).parent.parent / ".streamlit" / "config.toml").read_text())["theme"]
    for theme in (LIGHT, DARK):
        assert config[theme.name]["backgroundColor"] == theme.background
        assert config[theme.name]["textColor"] == theme.ink


def test_colours_along_a_scale_meet_its_ends():
    assert along(("#000000", "#FFFFFF"), 0.5) == "#808080"
    assert along(LIGHT.depth, 0) == LIGHT.depth[0]
    assert along(LIGHT.depth, 1) == LIGHT.depth[-1]


def contrast(first, second):
    """Ratio of relative luminances, as WCAG 2 defines it."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
