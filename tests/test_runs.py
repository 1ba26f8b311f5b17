"""Runs together and against each other: seeds joined, differences, phases in words, and what is drawn of them."""

import math
import re
import shutil
import statistics
from itertools import pairwise

import plotly.graph_objects as go
import polars as pl
import pytest
import streamlit as st

from dashboard.controls import point_selection as points
from dashboard.data import phases, queries
from dashboard.data.rows import Display
from dashboard.figures import animation, plane, runs
from dashboard.figures.curves import Along, trajectory_curves
from dashboard.figures.marks import Mark, phase_marks
from dashboard.figures.template import LIGHT
from dashboard.views import registry
from softh.analysis import differences, seeds
from softh.analysis.phases import Boundary, Curve, Phases, RunPhases
from softh.analysis.phases import fall as find_fall
from softh.store import read, write

VIEW = Display(1, "corrected")
QUANTITIES = ("input", "output", "optimality", "entropy")


def shape(top):
    return lambda depth, order: (0.9 - top, top, top / 2, 0.01)


def held(entropy, information):
    return lambda depth, order: (entropy, information, information / 2, 0.001)


@pytest.fixture(name="stored")
def stored_points(points):
    return points


@pytest.fixture
def three(stored):
    """Three seeds of one run at two steps, another run, and a step that one seed alone has."""
    tops = {"Run-9M-seed0 (here)": 0.2, "Run-9M-seed1 (here)": 0.3, "Run-9M-seed2 (here)": 0.25, "Other": 0.4}
    steps = [(model, top, step) for model, top in tops.items() for step in (0, 8)]
    steps.append(("Run-9M-seed0 (here)", 0.5, 64))
    return stored(
        *(
            {"model": m, "revision": f"step{s}", "step": s, "tokens": 10 * s, "shape": shape(top + s / 1000)}
            for m, top, s in steps
        )
    )


def test_seeds_are_the_runs_that_differ_by_their_seed_alone():
    models = ["a-seed0 (here)", "a-seed1 (here)", "b-seed0 (here)", "a (here)"]
    assert seeds.families(models) == {"a (here)": ["a-seed0 (here)", "a-seed1 (here)", "a (here)"]}
    assert seeds.title("a (here)", models[:2]) == "a (2 seeds, here)"


def test_joined_seeds_are_their_mean_with_their_deviation(three):
    found = seeds.joined(three, QUANTITIES).filter(pl.col("ngram") == 1, pl.col("correction") == "raw")
    run = found.filter(pl.col("model") == "Run-9M (3 seeds, here)").sort("step")
    assert run["step"].to_list() == [0, 8]  # step 64 has one seed only
    assert run["input"].to_list() == pytest.approx([0.25, 0.258])
    assert run["input_sd_seeds"].to_list() == pytest.approx([statistics.stdev([0.2, 0.3, 0.25])] * 2)
    assert run["seeds"].to_list() == [3, 3]
    assert run["input_se_draws"].null_count() == 2
    assert [len(each) for each in run["input_folds"].to_list()] == [8, 8]
    assert run["input_draws"].to_list()[0] == pytest.approx([0.25, 0.255])
    assert run["estimate_id"][0].count("+") == 2
    assert set(found.filter(pl.col("model") == "Other")["input_se_draws"].to_list()) != {None}


def test_a_card_of_joined_seeds_says_so(three):
    rows = seeds.joined(three, QUANTITIES)
    names = ["Run-9M (3 seeds, here)", "Other"]
    figure = runs.trajectory_plane(rows, VIEW, names)
    [trace] = [trace for trace in figure.data if trace.name == names[0]]
    assert "mean of 3 seeds" in trace.customdata[0][1]
    assert trace.error_x.array[0] == pytest.approx(statistics.stdev([0.2, 0.3, 0.25]))


def row(draws, width=64, value=None, **more):
    value = statistics.fmean(draws) if value is None else value
    same = {"step": 1, "width": width, "seed": 0, "frame": "iid", "bins": 100, "input": value, "input_draws": draws}
    same |= {"draws": len(draws), "folds": 8, "corpus_digest": "c", "documents": 64}
    return same | {"input_se_draws": 0.03, "input_se_documents": 0.04} | more


def test_the_difference_of_two_runs_in_the_same_directions_is_paired():
    [found] = differences.of_runs([row([1.0, 3.0, 5.0])], [row([0.5, 2.5, 4.4])], "step", ["input"])
    apart = [0.5, 0.5, 0.6]
    assert found["input"] == pytest.approx(statistics.fmean(apart))
    assert found["input_se_draws"] == pytest.approx(statistics.stdev(apart) / math.sqrt(3))
    assert found["input_se_documents"] == pytest.approx(math.hypot(0.04, 0.04))


def test_the_difference_of_runs_in_other_directions_is_not_paired():
    [found] = differences.of_runs([row([1.0, 3.0])], [row([0.5, 2.5], width=128)], "step", ["input"])
    assert found["input_se_draws"] == pytest.approx(math.hypot(0.03, 0.03))


def test_fewer_draws_are_paired_with_the_first_of_more():
    [found] = differences.of_runs([row([1.0, 2.0, 9.0])], [row([0.0, 2.0])], "step", ["input"])
    assert found["input_se_draws"] == pytest.approx(statistics.stdev([1.0, 0.0]) / math.sqrt(2))


def test_checkpoints_of_one_run_only_have_no_difference():
    assert differences.of_runs([row([1.0, 2.0], step=3)], [row([1.0, 2.0])], "step", ["input"]) == []
    assert differences.of_runs([row([1.0], input=None)], [row([1.0])], "step", ["input"])[0]["input"] is None


def test_curves_of_differences_leave_out_the_run_that_is_taken_away(three):
    names = three["model"].unique().sort().to_list()
    figure = trajectory_curves(three, VIEW, names, Along("tokens"), minus="Other", quantities=["input"])
    drawn = {trace.name: trace for trace in figure.data if trace.customdata is not None}
    assert set(drawn) == set(names) - {"Other"}
    assert list(drawn["Run-9M-seed1 (here)"].y) == pytest.approx([-0.1, -0.1])
    assert figure.layout.title.text == "each run minus Other"


def test_a_score_is_a_panel_with_its_error(three):
    scored = three.with_columns(pl.lit(0.7).alias("grammar"), pl.lit(0.02).alias("grammar_se_documents"))
    other = scored.filter(pl.col("model") == "Other")
    figure = trajectory_curves(other, VIEW, ["Other"], Along("step", linear=True), quantities=["grammar", "input"])
    lines = [trace for trace in figure.data if trace.customdata is not None]
    assert [trace.yaxis for trace in lines] == ["y", "y2"]
    assert list(lines[0].x) == [0, 8]  # linear: the steps themselves
    assert "grammar" in figure.layout.annotations[0].text


@pytest.fixture(scope="module")
def stored_phases(tmp_path_factory, record):
    """A run whose collapse ends at step 16 and whose fitting ends at step 128."""
    folder = tmp_path_factory.mktemp("phases")
    steps = [0, *(2**k for k in range(11))]
    for step in steps:
        place = math.log2(step) if step else -1
        entropy, information = 0.5 + 0.1 * abs(place - 4), 0.4 - 0.04 * abs(place - 7)
        write.save(
            record("Run", f"step{step}", step=step, tokens=1000 * step, shape=held(entropy, information)), folder
        )
    return folder


@pytest.fixture
def phased(stored_phases, tmp_path, monkeypatch):
    """A copy of the run's tables, for the test alone."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return shutil.copytree(stored_phases, tmp_path, dirs_exist_ok=True)


def trajectory(**link):
    view, notes = registry.build("trajectory", {key: [value] for key, value in link.items()})
    assert notes == []
    return view


@pytest.mark.parametrize("correction", ["corrected", "raw"])
def test_phases_are_told_and_drawn(phased, correction):
    view = trajectory(correction=correction)
    assert "collapse ends" in " ".join(view.notes)
    assert "Collapse ends where entropy is lowest" in view.caption
    assert "circle-open" in {trace.marker.symbol for trace in view.figures["plane"].data}
    assert view.figures["curves"].layout.shapes


def test_the_null_has_no_phases_and_one_sentence_says_so(phased):
    view = trajectory(correction="null")
    [note] = view.notes
    assert note.startswith("This is the null")
    assert "Collapse ends" not in view.caption
    assert "chance alone" in view.finding
    assert "circle-open" not in {trace.marker.symbol for trace in view.figures["plane"].data}
    assert not view.figures["curves"].layout.shapes
    assert trajectory(correction="null", phases="false").notes == ()


def test_what_has_no_order_is_said_where_its_panel_is_missing(phased):
    assert "H(Z), bits per byte and scores have no n-gram order" in trajectory(along="order").caption
    assert "no n-gram order" not in trajectory().caption
    assert "no n-gram order" not in trajectory(along="order", panels="optimality").caption


def test_bits_per_byte_have_the_same_name_on_their_panel_as_in_the_table(phased):
    view = trajectory(panels="bits per byte")
    assert view.figures["curves"].layout.annotations[0].text == "<b>bits / byte</b>"
    assert "bits / byte" in view.rows.columns


def test_a_fall_has_the_decimals_that_its_error_asks_for():
    top, last = 0.00031, 0.00004
    fall = find_fall(Curve.of([[top / 2, top, last]], None, [[0.00003, 0.00003, 0.00004]]))
    said = phases.compression_sentence(RunPhases("Run", Phases(None, Boundary(2, 1, 3)), (1, 2, 4), None, fall))
    assert said == "I(X;Z) then falls by 0.000270 ± 0.000050 (95 % 0.000158 to 0.000382) from step 2 to step 4."


def test_boundaries_of_a_stored_run_are_found_and_said(phased):
    [setup] = queries.setups()
    [found] = phases.run_phases(setup, ("Run",), VIEW.order, VIEW.correction, None, joined=False)
    assert found.phases.collapse.low <= 16 <= found.phases.collapse.high
    assert found.phases.fitting.low <= 128 <= found.phases.fitting.high
    assert phases.sentence(found).startswith("**Run**: collapse ends near step 1")
    assert re.search("fitting ends near step 1[23]", phases.sentence(found))
    assert "tokens (95 % interval" in phases.sentence(found)
    assert "I(X;Z) then falls by 0.12" in phases.sentence(found)
    marks = phase_marks([found], "tokens")
    assert [mark.path for mark in marks] == ["Run", "Run"]
    assert marks[1].place == pytest.approx(1000 * found.phases.fitting.step, rel=0.1)
    # A layer has no draws: its errors are used.
    assert phases.run_phases(setup, ("Run",), VIEW.order, VIEW.correction, 2, joined=False)
    rows = read.trajectory(phased)
    figure = runs.trajectory_plane(rows, VIEW, ["Run"], marks=marks)
    rings = [trace for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert [ring.hoverinfo for ring in rings] == ["skip", "skip"]  # cards and clicks are those of the checkpoints
    words = {note.text: note.hovertext for note in figure.layout.annotations}
    assert "95 % interval" in words["fitting ends"]
    assert {"collapse ends", "fitting ends"} <= {note.text for note in figure.layout.annotations}
    curves = trajectory_curves(rows, VIEW, ["Run"], Along("tokens"), marks=marks)
    bars = [shape for shape in curves.layout.shapes if shape.type == "rect"]
    assert [bar.x0 <= line <= bar.x1 for bar, line in zip(bars, (math.log10(16_000), math.log10(128_000)), strict=True)]


def test_what_the_checkpoints_do_not_hold_is_said():
    found = RunPhases("Run", Phases(None, Boundary(128.2, 95.6, 191.9)), (0.0, 64.0, 256.0), (0.0, 4e6, 1.6e7), None)
    assert phases.sentence(found) == (
        "**Run**: fitting ends near step 128, 8.01M tokens (95 % interval 96–192), the end of collapse is unclear."
    )
    assert found.at(128, "step") == 128


def test_chosen_points_have_a_frame_and_a_name(three):
    ids = three.filter(pl.col("model") == "Other", pl.col("step") == 8)["estimate_id"].unique().to_list()
    names = three["model"].unique().sort().to_list()
    figure = runs.trajectory_plane(three, VIEW, names, selected=ids)
    [frame] = [trace for trace in figure.data if trace.marker.symbol == "square-open"]
    assert len(frame.x) == 1
    assert "step 8" in {note.text for note in figure.layout.annotations}
    curves = trajectory_curves(three, VIEW, names, Along("step"), selected=ids)
    sizes = [trace.marker.size for trace in curves.data if trace.name == "Other" and trace.customdata is not None]
    assert all(max(size) == 12 and min(size) == 6.5 for size in sizes)


def test_a_band_holds_every_end_of_the_crosses_it_stands_for():
    x, y, a, b = [0.0, 1.0, 3.0], [0.0, 2.0, 1.0], [0.1, 0.2, 0.3], [0.2, 0.1, None]
    xs, ys = plane.ribbon(x, y, a, b)
    assert xs.count(None) == 1  # two outlines
    known = [px for px in xs if px is not None]
    assert (min(known), max(known)) == pytest.approx((-0.1, 3.3))
    assert max(p for p in ys if p is not None) == pytest.approx(2.1)
    assert plane.ribbon([0.0], [0.0], [1.0], [1.0])[0].count(None) == 0


def test_outlines_of_a_band_turn_the_same_way():
    xs, ys = plane.ribbon([0.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.1] * 3, [0.1] * 3)
    cut = xs.index(None)
    for part in (slice(0, cut), slice(cut + 1, None)):
        outline = list(zip(xs[part], ys[part], strict=True))
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(outline))
        assert area > 0


def test_bands_take_the_place_of_crosses(three):
    names = three["model"].unique().sort().to_list()
    figure = runs.trajectory_plane(three, VIEW, names, spread="bands")
    assert any(trace.fill == "toself" for trace in figure.data)
    assert not any(trace.error_x.visible for trace in figure.data if trace.customdata is not None)
    plain = runs.trajectory_plane(three, VIEW, names, spread="none")
    assert not any(trace.fill == "toself" or trace.error_x.visible for trace in plain.data)


def test_playing_moves_two_kinds_of_traces_and_leaves_the_rest(three):
    names = three["model"].unique().sort().to_list()
    still = runs.trajectory_plane(three, VIEW, names)
    moving = runs.trajectory_plane(three, VIEW, names, play=True)
    assert not still.frames
    assert [frame.name for frame in moving.frames] == [step.label for step in moving.layout.sliders[0].steps]
    assert len(moving.frames) == 3  # steps 0, 8 and 64
    added = len(moving.data) - len(still.data)
    assert all(set(frame.traces) == set(range(len(still.data), len(moving.data))) for frame in moving.frames)
    assert added == len(names) + 1
    assert list(moving.frames[-1].data[-1].x)[names.index("Other")] == pytest.approx(0.398)


def test_a_walker_stays_where_its_run_ended():
    short = animation.Walker([1, 2], [0.1, 0.2], [0.0, 0.0], "#000000")
    long = animation.Walker([1, 9], [1.0, 2.0], [0.0, 0.0], "#111111")
    figure = go.Figure(layout={"height": 10})
    animation.animate(figure, [short, long], ["a", "b", "c"], LIGHT)
    assert list(figure.frames[-1].data[-1].x) == [0.2, 2]
    assert list(figure.frames[0].data[-1].x) == [0.1, 1]


def test_the_slider_begins_beside_the_buttons(three):
    layout = runs.trajectory_plane(three, VIEW, three["model"].unique().sort().to_list(), play=True).layout
    [slider], [buttons] = layout.sliders, layout.updatemenus
    assert (slider.x, buttons.x) == (0, 0)  # so that the room between is in pixels, however wide the figure
    assert slider.pad.l >= 57 + 46 + 12  # both buttons as Chromium draws them, and half a handle


def test_a_click_chooses_and_lets_go(monkeypatch):
    state = {"points-names": {"id1": "A, step 1", "id2": "A, step 2"}, "points": ["A, step 1"]}
    monkeypatch.setattr(st, "session_state", state)
    for identity, expected in (("id2", ["A, step 1", "A, step 2"]), ("id1", ["A, step 2"]), ("else", ["A, step 2"])):
        state["plane"] = {"selection": {"points": [{"customdata": [identity, "card"]}]}}
        points.toggle_clicked("plane")
        assert state["points"] == expected


def test_marks_of_runs_that_are_not_drawn_are_left_out(three):
    mark = Mark("gone", "fitting ends near step 8", 8, 8, 7, 9)
    figure = runs.trajectory_plane(three, VIEW, three["model"].unique().sort().to_list(), marks=[mark])
    assert not [trace for trace in figure.data if trace.marker.symbol == "circle-open"]
