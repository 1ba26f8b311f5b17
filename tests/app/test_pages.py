"""Every page on literal tables: nothing, one checkpoint, a run, a broken file, a newer table, a wrong link."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.controls import session
from dashboard.views import registry
from softh.store import schema, share, write

APP = str(Path(__file__).parents[2] / "app.py")
PAGES = ("pages/trajectory.py", "pages/frontier.py", "pages/layers.py", "pages/method.py")
ALWAYS = {"pages/method.py": 14}
"""Figures that no table is needed for: how sensitive the estimator is to its settings."""
NUMBER = {"pages/trajectory.py": 2, "pages/frontier.py": 1, "pages/layers.py": 3}
"""Page → how many figures it has."""
FIGURES = tuple(NUMBER)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def finished(data: Path, record: Callable) -> Path:
    """Two finished models on two texts."""
    for model in ("First-1M (dequantised Q4_1)", "Second-2M"):
        for corpus in ("books-heldout", "c4-sample"):
            write.save(record(model, corpus=corpus), data)
    return data


@pytest.fixture
def run(data: Path, record: Callable) -> Path:
    """Two runs of three checkpoints each, and a finished model."""
    for model in ("Run-1M", "Run-4M"):
        for step in (0, 10, 100):
            write.save(record(model, f"step{step}", step=step, tokens=1_000 * step), data)
    write.save(record("Done"), data)
    return data


def opened(page: str, **link: str | list[str]) -> AppTest:
    """The page in a new session, as a link opens it."""
    app = AppTest.from_file(APP, default_timeout=30)
    if page != PAGES[0]:
        # Pages are known after a first run; one without tables leaves no control behind.
        with pytest.MonkeyPatch.context() as elsewhere:
            elsewhere.setenv("SOFTH_DATA", str(Path(__file__).parent / "nowhere"))
            app = app.run().switch_page(page)
    for key, value in link.items():
        app.query_params[key] = value
    return app.run()


def figures(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def text(app: AppTest) -> str:
    shown = (app.info, app.warning, app.error, app.markdown, app.caption, app.title, app.code)
    return "\n".join(element.value for group in shown for element in group)


@pytest.mark.parametrize("page", PAGES)
def test_without_tables_a_page_says_what_to_do(page: str, data: Path) -> None:
    app = opened(page)
    assert not app.exception
    assert len(figures(app)) == ALWAYS.get(page, 0)
    assert "There are no estimates yet" in text(app)
    assert ("python -m softh estimate" in text(app)) == (page in FIGURES)


@pytest.mark.parametrize("page", FIGURES)
def test_finished_models_give_figures_a_table_and_a_file(page: str, finished: Path) -> None:
    app = opened(page)
    assert not app.exception
    assert len(figures(app)) == NUMBER[page]
    assert "±" in app.dataframe[0].value.to_string()
    assert app.get("download_button")
    assert "mostly fiction before 1930" in text(app)


def test_finished_models_are_points_and_their_weights_are_named(finished: Path) -> None:
    app = opened("pages/trajectory.py")
    plane, curves = figures(app)
    assert {trace["mode"] for trace in plane["data"]} == {"markers"}
    assert curves["layout"]["xaxis"]["title"]["text"] == "n-gram order"
    assert "dequantised Q4_1" in json.dumps(plane)
    assert "along" not in {widget.key for widget in app.sidebar.get("button_group")}


def test_runs_are_paths_along_their_tokens(run: Path) -> None:
    plane, curves = figures(opened("pages/trajectory.py"))
    assert "lines" in {trace["mode"] for trace in plane["data"]}
    assert curves["layout"]["xaxis"]["title"]["text"] == "training tokens"


@pytest.mark.parametrize(
    ("page", "some"), [("pages/trajectory.py", 1), ("pages/frontier.py", 1), ("pages/layers.py", 0)]
)
def test_a_figure_whose_points_can_be_chosen_says_itself_what_a_click_does(page: str, some: int, run: Path) -> None:
    drawn = [chart.proto for chart in opened(page).get("plotly_chart")]
    choosable = [json.loads(chart.spec)["layout"] for chart in drawn if chart.selection_mode]
    assert len(choosable) >= some
    for layout in choosable:
        assert (layout["clickmode"], layout["hovermode"], layout["dragmode"]) == ("event+select", "closest", "zoom")


def test_every_estimate_stands_in_the_provenance(run: Path) -> None:
    named = {"Weights digest", "Text digest", "Positions", "Draws", "Estimate"}
    tables = [table.value for table in opened("pages/method.py").dataframe]
    [provenance] = [table for table in tables if named <= set(table.columns)]
    assert len(provenance) == 7


@pytest.mark.parametrize("page", FIGURES)
@pytest.mark.parametrize(("order", "correction"), [("4", "raw"), ("2", "null"), ("3", "corrected")])
def test_a_link_opens_order_and_correction(page: str, order: str, correction: str, run: Path) -> None:
    app = opened(page, order=order, correction=correction)
    assert not app.exception
    title = figures(app)[0]["layout"]["xaxis"]["title"]["text"]
    assert f"order {order}" in title
    assert {"raw": "raw", "null": "permutation null", "corrected": "null-corrected"}[correction] in title


@pytest.mark.parametrize(
    ("link", "reading", "frontier"),
    [
        ({}, True, True),
        ({"x": "expressivity", "y": "complexity"}, False, True),
        ({"x": "parameters"}, False, True),
        ({"correction": "null"}, False, False),
    ],
)
def test_the_introduction_fits_the_axes(link: dict, reading: bool, frontier: bool, run: Path) -> None:
    said = [each.value for each in opened("pages/frontier.py", **link).markdown]
    [words] = [each.partition("Text:")[0] for each in said if "One point per model" in each]
    words = re.sub(r'\[([^\]]*)\]\(\S+ "[^"]*"\)', r"\1", words).partition("models at their last checkpoint")[0]
    assert ("Further right" in words) == reading
    assert ("on the frontier" in words) == frontier


def test_a_link_opens_models_and_checkpoint(run: Path) -> None:
    plane, _ = figures(opened("pages/trajectory.py", models=["Run-4M"]))
    assert {trace.get("name") for trace in plane["data"] if trace.get("name")} == {"Run-4M"}
    app = opened("pages/layers.py", model="Run-4M", revision="step10")
    assert "**Run-4M, step 10**" in text(app)


@pytest.mark.parametrize(
    ("page", "link", "words"),
    [
        ("pages/trajectory.py", {"order": "9"}, "order 9"),
        ("pages/trajectory.py", {"correction": "magic"}, "correction magic"),
        ("pages/trajectory.py", {"corpus": "gone"}, "corpus gone"),
        ("pages/trajectory.py", {"models": ["Run-1M", "gone"]}, "models gone"),
        ("pages/trajectory.py", {"along": "%FF"}, "along %FF"),
        ("pages/layers.py", {"model": "gone"}, "model gone"),
        ("pages/frontier.py", {"y": "magic"}, "y magic"),
        ("pages/frontier.py", {"points": ["Done", "gone"]}, "points gone"),
        ("pages/frontier.py", {"least": "-7"}, "least -7"),
    ],
)
def test_an_unknown_value_in_a_link_falls_back_with_a_note(page: str, link: dict, words: str, run: Path) -> None:
    app = opened(page, **link)
    assert not app.exception
    assert f"The link asks for {words}" in text(app)
    assert len(figures(app)) >= NUMBER[page]  # the layers of a run have a heat map, too


def test_rows_and_the_control_are_one_choice(run: Path) -> None:
    app = opened("pages/frontier.py", points=["Run-4M"])
    app = app.multiselect(key="points").set_value(["Done", "Run-4M"]).run()
    assert not app.exception
    [plane] = figures(app)
    [ring] = [trace for trace in plane["data"] if trace.get("name") == "selected"]
    assert len(ring["x"]) == 2
    rows = app.session_state["points-rows"]["selection"]["rows"]
    assert set(app.dataframe[0].value["Model"].iloc[list(rows)]) == {"Done", "Run-4M"}


def test_an_unknown_checkpoint_falls_back_with_a_note(run: Path) -> None:
    app = opened("pages/layers.py", model="Run-1M", revision="step11")
    assert "The link asks for revision step11" in text(app)
    assert "**Run-1M, step 100**" in text(app)


def test_without_a_model_the_page_says_so(run: Path) -> None:
    app = opened("pages/trajectory.py")
    app = app.multiselect(key="models").set_value([]).run()
    assert "No model is chosen" in text(app)
    assert not app.exception


def test_another_model_with_other_checkpoints_can_be_chosen(run: Path) -> None:
    app = opened("pages/layers.py")
    for model in ("Run-1M", "Done", "Run-4M"):
        app = app.selectbox(key="model").set_value(model).run()
        assert not app.exception
        assert f"**{model}, " in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_corrupt_run_is_named_and_the_rest_is_shown(page: str, finished: Path) -> None:
    (finished / schema.RUNS / "feedfacefeedface.parquet").write_bytes(b"PAR1 not really")
    app = opened(page)
    assert not app.exception
    assert [warning for warning in app.warning if "feedfacefeedface.parquet" in warning.value]
    assert len(figures(app)) == NUMBER.get(page, ALWAYS.get(page, 0))


@pytest.mark.parametrize("page", ["pages/trajectory.py", "pages/layers.py"])
def test_a_share_that_is_away_is_one_sentence_and_its_estimates_are_shown(
    page: str, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = finished / "lab"
    lab.mkdir()
    monkeypatch.setenv("SOFTH_CACHE", str(finished / "cache"))
    monkeypatch.setenv("SOFTH_RUNS", str(lab))
    monkeypatch.setattr(share, "POLL_INTERVAL", 0.0)
    write.pack(finished)
    (finished / schema.DATABASE).unlink()  # what is shown comes from the copies alone
    app = opened(page)
    assert not app.warning
    lab.rename(finished / "elsewhere")
    app.run()
    app.run()  # the first look that fails may still be at work
    assert not app.exception
    [warning] = app.warning
    assert warning.value.startswith(f"{lab} cannot be used (No such file or directory): what was fetched before")
    assert len(figures(app)) == NUMBER[page]


@pytest.mark.parametrize("page", PAGES)
def test_a_newer_table_is_refused_in_one_sentence(page: str, data: Path) -> None:
    with duckdb.connect(data / schema.DATABASE) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (99)")
    app = opened(page)
    assert not app.exception
    [error] = app.error
    assert "schema 99" in error.value
    assert "upgrade softh" in error.value


def test_samples_that_differ_are_never_in_one_figure(data: Path, record: Callable) -> None:
    for documents, models in ((64, ("Small", "Tiny")), (128, ("Large",))):
        for model in models:
            write.save(record(model, documents=documents), data)
    app = opened("pages/trajectory.py")
    settings = app.selectbox(key="settings")
    assert settings.options == ["64 documents × 128 tokens", "128 documents × 128 tokens"]
    assert app.multiselect(key="models").value == ["Small", "Tiny"]
    app = settings.set_value("128 documents × 128 tokens").run()
    assert app.multiselect(key="models").value == ["Large"]
    assert not app.exception


def test_dark_and_light_draw_in_their_own_ink(finished: Path) -> None:
    inks = {}
    for theme in ("light", "dark"):
        app = AppTest.from_file(APP, default_timeout=30)
        app.context = {"theme": theme}
        inks[theme] = figures(app.run())[0]["layout"]["template"]["layout"]["font"]["color"]
    assert inks["light"] != inks["dark"]


def test_the_link_that_a_page_makes_of_itself_shows_the_same_figures(run: Path) -> None:
    app = opened("pages/trajectory.py", models=["Run-4M"], order="2", along="step")
    app = app.get_by_key("correction").set_value("raw").run()
    view, notes = registry.build("trajectory", app.session_state[session.PARAMETERS.key])
    assert notes == []
    shown = [json.loads(str(figure.to_json())) for figure in view.figures.values()]
    assert [spec["data"] for spec in shown] == [spec["data"] for spec in figures(app)]
