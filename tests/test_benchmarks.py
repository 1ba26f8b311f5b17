"""The view of measures against scores, on the shipped tables: names say what the values are, and ink can be read."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data.presets import presets
from dashboard.figures.template import mix
from dashboard.format import signed
from dashboard.view import View
from dashboard.views import registry
from softh.analysis.correlation import MEAN_SCORE

APP = str(Path(__file__).parents[1] / "app.py")


def opened(*, dark: bool = False, **link: str) -> View:
    view, notes = registry.build("benchmarks", {key: [value] for key, value in link.items()}, dark=dark)
    assert notes == []
    return view


def axes(figure: go.Figure) -> tuple[str, str]:
    return figure.layout.xaxis.title.text, figure.layout.yaxis.title.text


def test_the_scatter_shows_the_predictor_and_the_score_that_it_names() -> None:
    view = opened()
    assert axes(view.figures["scatter"]) == ("optimality", "cloze")
    shown = np.concatenate([trace.x for trace in view.figures["scatter"].data if trace.mode == "markers"])
    cell = view.data.filter(predictor="optimality", score="cloze").drop_nulls(["predictor_value", "score_value"])
    assert sorted(shown) == pytest.approx(sorted(cell["predictor_value"]))


def test_a_predictor_at_a_chosen_depth_is_said_to_be_standardised_and_turned() -> None:
    view = opened(layers="chosen by other families")
    assert axes(view.figures["scatter"])[0] == "optimality standardised, sign-aligned, at the selected layer"
    assert "not in which direction" in view.caption
    assert "not in which direction" not in opened().caption
    whole = opened(layers="chosen by other families", predictor="loss, bits per byte")
    assert axes(whole.figures["scatter"])[0] == "loss, bits per byte"


def test_changes_along_training_are_called_changes() -> None:
    view = opened(among="training steps")
    assert all(title.startswith("change of ") for title in axes(view.figures["scatter"]))
    assert view.title.startswith("changes of ")


@pytest.mark.parametrize("predictor", ["loss, bits per byte", "preference information"])
def test_what_has_neither_order_nor_layers_is_not_said_to_have_them(predictor: str) -> None:
    view = opened(predictor=predictor)
    assert view.title == f"{predictor} and cloze"
    assert "order 1" not in view.text
    assert "order 1" in opened().text


def test_the_distance_to_the_bound_is_that_of_the_frontier() -> None:
    mine = dict(opened().data.filter(predictor="distance to the bound").select("model", "predictor_value").iter_rows())
    other, _ = registry.build("frontier", {})
    theirs = dict(other.data.select("model", "distance").iter_rows())
    both = mine.keys() & theirs.keys()
    assert len(both) > 30
    assert [mine[name] for name in both] == pytest.approx([theirs[name] for name in both])


def test_the_forest_has_the_published_coefficient_where_there_is_one() -> None:
    def rows(**link: str) -> list[str]:
        return [name for trace in opened(**link).figures["forest"].data for name in trace.y]

    assert rows(predictor="optimality")[0] == "published (r)"
    assert "published (r)" not in rows(predictor="distance to the bound")
    assert "published (r)" not in rows(predictor="optimality", among="training steps")


def test_the_data_behind_the_forest_are_its_coefficients() -> None:
    view = opened()
    behind, [*traces] = view.behind["forest"], view.figures["forest"].data
    assert sorted(x for trace in traces for x in trace.x) == pytest.approx(sorted(behind["value"]))
    assert {"as it is", "within families", "without any one model"} <= set(behind["name"])
    assert behind.filter(name="without any one model")["ends"].to_list() == ["range"]
    assert behind.filter(name="as it is")["ends"].to_list() == ["95 % interval"]
    assert view.rows.height == sum(map(len, view.figures["matrix"].data[0].z))


def test_a_row_that_is_no_tau_says_so() -> None:
    assert "within families (of ranks)" in set(opened(coefficient="kendall").behind["forest"]["name"])


@pytest.mark.parametrize("dark", [False, True])
def test_the_numbers_of_the_matrix_can_be_read_on_every_colour(dark: bool) -> None:
    heatmap, cells = opened(dark=dark).figures["matrix"].data
    assert cells.marker.opacity == 0
    ends = [colour for _, colour in heatmap.colorscale]
    for low, high in pairwise(ends):
        for share in np.linspace(0, 1, 11):
            assert contrast(heatmap.textfont.color, mix(low, high, float(share))) >= 4.5


def contrast(one: str, other: str) -> float:
    """Of two colours '#RRGGBB', 1 to 21, as WCAG 2 defines it."""
    first, second = sorted((luminance(one), luminance(other)))
    return (second + 0.05) / (first + 0.05)


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_zero_has_no_sign() -> None:
    assert [signed(value) for value in (-0.001, 0.0, -0.006, 0.25)] == ["0.00", "0.00", "−0.01", "0.25"]


def test_the_published_table_is_one_click_away_and_has_every_benchmark() -> None:
    [preset] = [one for one in presets() if one.page == "benchmarks"]
    view = opened(**preset.parameters)
    scores = view.behind["published scores"]
    assert scores.columns[:4] == ["Predictor", "Ours", "Published, mean", MEAN_SCORE]
    assert {"cloze", "grammar"} <= set(scores.columns)
    assert scores.drop_nulls("Published, mean")["Published, mean"].unique().sort().to_list() == [
        "0.08", "0.52", "0.76", "−0.38",
    ]  # fmt: skip
    assert scores.height == 4 * 2 * 2
    assert view.figures["published"].data[-1].name == "published, 47 models"


def test_the_page_draws_what_its_switches_add() -> None:
    app = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/benchmarks.py")
    app.query_params["paper"] = "true"
    app.query_params["select"] = "true"
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 5
    assert any("Published, mean" in table.value.columns for table in app.dataframe)
