"""Views that set things beside each other: two models, parts of context, n-gram orders, compression and size."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pptx import Presentation

from dashboard.data import queries
from dashboard.data.presets import presets
from dashboard.data.rows import Display, usual_models
from dashboard.export import powerpoint
from dashboard.export.contents import DeckExport, RenderedSlide
from dashboard.figures import compression
from dashboard.figures.compression import Compression
from dashboard.figures.template import LIGHT
from dashboard.views import registry, trajectory_summary
from softh.store import read, write
from tests.store_rows import flat


def shifted(by: float) -> Callable:
    """Complexity that is larger by so much in every layer."""

    def shape(depth: float, order: int) -> tuple[float, float, float, float]:
        h, x, y, null = flat(depth, order)
        return h, x + by, y, null

    return shape


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    for step in (1, 10, 100):
        write.save(record("Run", f"step{step}", step=step, tokens=1000 * step), tmp_path)
    write.save(record("Twin", "step10", step=10, tokens=10_000, shape=shifted(0.05)), tmp_path)
    write.save(record("Twin", "step99", step=99, tokens=99_000, shape=shifted(0.07)), tmp_path)
    write.save(record("Deep", layers=8), tmp_path)
    return tmp_path


def test_two_models_stand_side_by_side_at_the_same_step_with_their_difference_below(data: Path) -> None:
    link = {"model": ["Run"], "revision": ["step10"], "against": ["Twin"], "correction": ["corrected"]}
    view, notes = registry.build("layers", link)
    assert notes == []
    figure = view.figures["compared"]
    runs, twins, less = (
        [trace for trace in figure.data if trace.name == name] for name in ("Run", "Twin", "difference, 95 %")
    )
    assert [len(traces) for traces in (runs, twins, less)] == [2, 2, 2]
    assert list(runs[0].x) == [0, 1, 2, 3, 4]
    assert np.subtract(runs[0].y, twins[0].y) == pytest.approx(list(less[0].y))
    assert list(less[0].y) == pytest.approx([-0.05] * 5)
    assert "step 10" in view.text
    assert "less complexity" in view.text


def test_without_the_same_step_the_last_checkpoint_is_compared(data: Path) -> None:
    view, _ = registry.build("layers", {"model": ["Run"], "revision": ["step1"], "against": ["Twin"]})
    assert "step 99" in view.text


@pytest.mark.parametrize(("model", "against"), [("Deep", "Run"), ("Run", "Deep")])
def test_models_of_other_depth_are_compared_at_equal_depth(data: Path, model: str, against: str) -> None:
    view, _ = registry.build("layers", {"model": [model], "against": [against], "correction": ["corrected"]})
    figure = view.figures["compared"]
    less = next(trace for trace in figure.data if trace.name == "difference, 95 %")
    assert list(less.x) == [0, 0.25, 0.5, 0.75, 1]
    assert list(less.y) == pytest.approx([0] * 5, abs=1e-9)  # information grows with the share of depth in both


@pytest.mark.parametrize(
    ("by", "places"), [("checkpoint", ["step 1", "step 10", "step 100"]), ("model", ["Run", "Twin", "Deep"])]
)
def test_parts_of_context_are_drawn_along_training_and_by_model(data: Path, by: str, places: list[str]) -> None:
    view, notes = registry.build("layers", {"model": ["Run"], "shares": [by]})
    assert notes == []
    bars = view.figures["context"].data
    names = bars[0].y if by == "model" else bars[0].x
    assert list(names) == places
    ids = queries.comparable(queries.setups()[0]).filter(model="Run")["estimate_id"].to_list()
    entropy = read.trajectory(data, correction="debiased", order=1, estimates=ids).sort("step")["entropy"].to_list()
    total = np.sum([bar.x if by == "model" else bar.y for bar in bars], axis=0)
    assert total[0] == pytest.approx(entropy[-1] if by == "model" else entropy[0])


def test_the_layers_of_the_run_that_the_first_page_shows_come_first(data: Path) -> None:
    first = usual_models(queries.comparable(queries.setups()[0]))[0]
    assert registry.build("layers", {})[0].title.startswith(f"{first}, ")


def test_orders_stand_side_by_side_where_they_are_asked_for(data: Path) -> None:
    assert "by-order" not in registry.build("trajectory", {})[0].figures
    view, notes = registry.build("trajectory", {"models": ["Run", "Twin"], "orders": ["true"]})
    assert notes == []
    figure = view.figures["by-order"]
    axes = {trace.xaxis for trace in figure.data}
    assert len(axes) == 4
    assert len(figure.data) == 8
    assert [note.text for note in figure.layout.annotations][:2] == ["order 1<br>token", "order 2<br>bigram"]


def test_compression_is_drawn_against_size_with_its_interval(record: Callable) -> None:
    falls = [Compression("Small", 1_000_000, 5.0, 3.0, 7.0), Compression("Large", 60_000_000, 12.0, 10.0, 15.0)]
    figure = compression.against_size(falls, Display(1, "debiased"), ["Large", "Small"])
    assert [trace.x[0] for trace in figure.data] == [1_000_000, 60_000_000]
    assert (figure.data[1].error_y.array[0], figure.data[1].error_y.arrayminus[0]) == (3.0, 2.0)
    assert "2 of 3 runs compress" in trajectory_summary.against_size(falls, 3)
    assert "The end of fitting is clear in none" in trajectory_summary.against_size([], 3)


def test_runs_without_a_sure_end_of_fitting_are_counted_and_not_drawn(data: Path) -> None:
    view, _ = registry.build("trajectory", {"models": ["Run"], "size": ["true"]})
    assert "compression" not in view.figures
    assert any("The end of fitting is clear in none" in note for note in view.notes)


def test_presets_open_without_a_note(data: Path) -> None:
    found = presets()
    assert {"Its n-gram orders side by side", "Several measures of one run"} <= {one.label for one in found}
    for one in found:
        parameters = {key: [value] if isinstance(value, str) else value for key, value in one.parameters.items()}
        assert registry.build(one.page, parameters)[1] == [], one.label


@pytest.mark.parametrize(
    ("page", "key", "link", "charts"),
    [
        ("layers", "context", {}, 1),
        ("layers", "context", {"shares": ["model"]}, 1),
        ("layers", "compared", {"model": ["Run"], "against": ["Twin"]}, 4),
        ("trajectory", "by-order", {"orders": ["true"]}, 4),
    ],
)
def test_views_side_by_side_are_native_charts_of_powerpoint(
    data: Path, page: str, key: str, link: dict[str, list[str]], charts: int
) -> None:
    view, _ = registry.build(page, link)
    export = DeckExport("talk", [RenderedSlide("", "", (view.figures[key],))], LIGHT)
    slide = Presentation(io.BytesIO(powerpoint.deck(export))).slides[0]
    drawn = [shape for shape in slide.shapes if shape.has_chart]
    assert len(drawn) == charts
    boxes = [(shape.left, shape.top, shape.left + shape.width, shape.top + shape.height) for shape in drawn]
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    if key == "context":
        [chart] = [shape.chart for shape in drawn]
        names = [series.name.strip("\u2060") for series in chart.plots[0].series]
        assert names == [bar.name for bar in view.figures[key].data]


def test_no_ablation_is_among_the_models_of_a_comparison(data: Path, record: Callable) -> None:
    made = record("Spoiled")
    made["model"]["ablation"] = "shuffled"
    write.save(made, data)
    view, _ = registry.build("layers", {"model": ["Run"], "shares": ["model"]})
    assert "Spoiled" not in view.figures["context"].data[0].y
    assert pl.DataFrame(view.rows).height == 5
