"""softh.plot draws what the pages draw, from tables, frames and estimates in memory; results show themselves."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import softh
from dashboard.views import registry
from softh import plot
from softh.errors import InputError
from softh.store import read, write
from tests.store_rows import build_record

HOSTILE = "<img src=x onerror=alert(1)><a href='https://evil.example'>x</a>"


def grown(step: int) -> Callable[[float, int], tuple[float, float, float, float]]:
    """A run whose information grows with its step."""
    return lambda depth, k: (0.9 - 0.1 * depth, 0.1 + step / 1000 + 0.01 * k, 0.05 + step / 4000, 0.01 * k)


def run(model: str = "Run") -> list[dict[str, Any]]:
    steps = (0, 1, 8, 64)
    return [build_record(model, f"step{s}", step=s, tokens=64 * s, shape=grown(s)) for s in steps]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run and two finished models, where the pages and softh.plot look."""
    for record in [*run(), build_record("Small"), build_record("Large-Instruct", shape=grown(40))]:
        write.save(record, tmp_path)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


def drawn(figure: Any) -> list[dict[str, Any]]:
    """What a figure shows, without the ground that softh.plot adds."""
    content = figure.to_plotly_json()
    return [{key: str(value) for key, value in trace.items()} for trace in content["data"]]


@pytest.mark.parametrize(
    ("page", "figure", "draw"),
    [
        ("trajectory", "plane", lambda: plot.plane(["Run"])),
        ("trajectory", "curves", lambda: plot.trajectory(["Run"])),
        ("layers", "plane", lambda: plot.layers("Run", kind="plane")),
        ("layers", "profiles", lambda: plot.layers("Run")),
        ("layers", "training", lambda: plot.layers("Run", kind="training")),
        ("frontier", "plane", plot.frontier),
    ],
)
def test_a_figure_is_that_of_the_page(tables: Path, page: str, figure: str, draw: Callable[[], Any]) -> None:
    asked = {"trajectory": {"models": ["Run"]}, "layers": {"model": ["Run"]}, "frontier": {"ablations": ["false"]}}
    view, notes = registry.build(page, asked[page])
    assert drawn(draw()) == drawn(view.figures[figure])
    assert not notes


def test_nothing_chosen_is_what_the_page_shows_first(tables: Path) -> None:
    view, _ = registry.build("trajectory", {})
    assert drawn(plot.plane()) == drawn(view.figures["plane"])


def test_estimates_in_memory_are_drawn_as_if_they_were_stored(tables: Path, tmp_path: Path) -> None:
    made = [SimpleNamespace(id=each["estimate"]["estimate_id"], record=lambda each=each: each) for each in run()]
    assert drawn(plot.plane(made, data=tmp_path / "empty")) == drawn(plot.plane(["Run"]))
    assert drawn(plot.layers(made[-1], data=tmp_path / "empty")) == drawn(plot.layers("Run"))
    assert not (tmp_path / "empty").exists()


def test_a_frame_is_drawn_as_it_is_filtered(tables: Path) -> None:
    rows = read.trajectory(tables, ["Run"]).filter(pl.col("step") > 0)
    [path] = [trace for trace in plot.plane(rows).data if trace.name == "Run" and trace.customdata is not None]
    assert len(path.x) == 3


def test_quantities_that_are_not_on_the_plane_can_be_drawn(tables: Path) -> None:
    figure = plot.trajectory(["Run"], quantities=["effective rank", "bits per byte"])
    assert [trace.y[-1] for trace in figure.data if trace.customdata is not None] == [pytest.approx(60.0), 1.21]
    assert plot.layers("Run", quantities=["effective rank"]).data


def test_pairs_of_information_lie_on_the_plane_with_their_errors() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 400)
    hidden = rng.standard_normal((8, 16))[labels] + rng.standard_normal((400, 16))
    found = softh.information(hidden, labels, draws=3, bins=20)
    half = softh.information(hidden, labels // 4, draws=3, bins=20)
    figure = plot.plane({"mine": [(found, half), (found, found)]})
    [path] = [trace for trace in figure.data if trace.name == "mine" and trace.customdata is not None]
    assert path.x == (found.debiased.value, found.debiased.value)
    assert path.error_y.array[0] > 0
    assert plot.values(found).data[0].x[1] == found.raw.value


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plot.plane("Nobody"), "The model was Nobody; expected one of Large-Instruct, Run, Small"),
        (lambda: plot.plane("Run", correction="best"), "The correction was best; expected one of debiased"),  # ty: ignore[invalid-argument-type]
        (lambda: plot.plane("Run", order=4, layer=9), "None of these estimates has values of order 4"),
        (lambda: plot.plane("Run", corpus="none"), "The corpus was none; expected one of python-docs"),
        (lambda: plot.trajectory("Small"), "None of these models has several checkpoints"),
        (lambda: plot.trajectory("Run", quantities=["love"]), "A quantity was love; expected one of complexity"),
        (lambda: plot.layers("Run", revision="step7"), "has the revision step7; expected one of"),
        (lambda: plot.layers("Small", kind="training"), "Small has one checkpoint"),
        (lambda: plot.frontier(x="love"), "The axis was love; expected one of complexity"),
        (lambda: plot.plane([1, 2]), "What to draw was int, int"),  # ty: ignore[invalid-argument-type]
        (lambda: plot.plane(pl.DataFrame({"a": [1]})), "The frame has no column estimate_id"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(tables: Path, draw: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw()


def test_a_name_is_no_markup_in_figures_and_tables(tmp_path: Path) -> None:
    for record in run(HOSTILE):
        write.save(record, tmp_path)
    for figure in (plot.plane(data=tmp_path), plot.trajectory(data=tmp_path), plot.layers(HOSTILE, data=tmp_path)):
        shown = figure.to_dict()
        shown["layout"].pop("meta")  # alternative text is no markup
        assert "<img" not in str(shown)
        assert "<a " not in str(shown)


def test_a_figure_has_a_ground_of_its_own(tables: Path) -> None:
    assert plot.plane("Run").layout.paper_bgcolor == "#FFFFFF"
    assert plot.plane("Run", dark=True).layout.paper_bgcolor == "#12161B"


def test_it_needs_neither_streamlit_nor_torch_and_names_the_extra_without_plotly() -> None:
    code = (
        "import sys\n"
        "for name in ('streamlit', 'torch', 'transformers', 'starlette', 'pptx'): sys.modules[name] = None\n"
        "import softh; softh.plot.frontier\n"
        "for name in [name for name in sys.modules if name.startswith(('softh.plot', 'plotly'))]:\n"
        "    del sys.modules[name]\n"
        "vars(softh).pop('plot'); sys.modules['plotly'] = None\n"
        "try: softh.plot\n"
        "except softh.InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == (
        'softh.plot needs the package plotly, which is not installed: run `pip install "softh[plot]"`.\n'
    ), done.stderr


def test_results_show_themselves_in_notebooks() -> None:
    rng = np.random.default_rng(0)
    found = softh.information(rng.standard_normal((300, 8)), rng.integers(0, 4, 300), draws=2, bins=20)
    shown = found._repr_html_()
    assert str(found.debiased) in shown
    assert "300 positions" in shown
    assert "positions kept" in softh.Accumulator(["<b>"], positions=9)._repr_html_()
    assert "<b>" not in softh.Accumulator(["<b>"], positions=9)._repr_html_()
