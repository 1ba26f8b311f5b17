"""A view is a link: what a page draws can be built again from its link alone."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.controls import controls, links, session
from dashboard.data import caching
from dashboard.view import Empty
from dashboard.views import registry
from softh.analysis import correlation, phases
from softh.store import write
from tests.probe_rows import probe
from tests.store_rows import flat

ROOT = Path(__file__).parents[1]

LINKS: dict[str, list[dict[str, list[str]]]] = {
    "trajectory": [
        {},
        {"models": ["Run-4M", "Done"], "order": ["2"], "correction": ["raw"], "along": ["step"]},
        {"orders": ["true"], "size": ["true"]},
    ],
    "frontier": [{}, {"x": ["optimality"], "y": ["entropy"], "find": ["run"], "points": ["Run-4M"], "order": ["2"]}],
    "benchmarks": [
        {},
        {"select": ["true"], "score": ["two"]},
        {
            "among": ["training steps"],
            "coefficient": ["kendall"],
            "predictor": ["entropy H(Z)"],
            "score": ["two"],
            "scatter-axes": ["x 0:0.5"],
        },
    ],
    "layers": [
        {},
        {"model": ["Run-1M"], "revision": ["step0"], "order": ["4"], "correction": ["null"]},
        {"quantities": ["regularity", "residual"], "order": ["4"], "correction": ["raw"]},
        {"model": ["Run-1M"], "against": ["Run-4M"], "shares": ["checkpoint"]},
    ],
    "preference": [{}, {"unit": ["nats"], "positions": ["last token"], "profile-axes": ["x 0:1"]}],
}


def moved(by: float) -> Callable:
    """A shape that differs from one checkpoint to the next."""

    def shape(depth: float, order: int) -> tuple[float, float, float, float]:
        h, x, y, null = flat(depth, order)
        return h - by / 100, x + by / 50, y + by**2 / 200, null

    return shape


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, record: Callable) -> Path:
    """Three runs of three checkpoints each, and a finished model."""
    folder, scores = tmp_path_factory.mktemp("stored"), []
    for number, model in enumerate(("Run-1M", "Run-4M", "Run-9M")):
        for place, step in enumerate((0, 10, 100)):
            shape = moved(number + place**2)
            write.save(record(model, f"step{step}", step=step, tokens=1_000 * step, shape=shape), folder)
            about = {
                "model": model,
                "revision": f"step{step}",
                "metric": "accuracy",
                "stderr": 0.01,
                "source": "a test",
            }
            scores += [{**about, "task": task, "score": place**2 * k + number} for k, task in ((1, "one"), (2, "two"))]
    write.save(record("Done"), folder)
    write.save(probe(), folder)
    write.save_scores(scores, folder)
    return folder


@pytest.fixture
def tables(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is stored, for the test alone."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return shutil.copytree(stored, tmp_path, dirs_exist_ok=True)


def on_page(page: str, params: Mapping[str, Sequence[str]]) -> list[dict]:
    """Figures of the page that the link opens."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    if page != "trajectory":
        with pytest.MonkeyPatch.context() as elsewhere:
            elsewhere.setenv("SOFTH_DATA", str(ROOT / "tests" / "nowhere"))
            app = app.run().switch_page(f"pages/{page}.py")
    for key, value in params.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def test_every_page_has_a_script_and_every_script_is_a_page() -> None:
    scripts = [page.script for page in registry.PAGES]
    assert sorted(scripts) == sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py"))


def test_a_page_is_found_by_its_path_and_the_first_one_by_none() -> None:
    assert [registry.page(page.slug) for page in registry.PAGES] == list(registry.PAGES)
    assert registry.page("") is registry.PAGES[0]


def test_every_view_has_links_to_be_tested_with() -> None:
    assert set(LINKS) == set(registry.VIEWS)


@pytest.mark.parametrize(("page", "number"), [(page, n) for page in LINKS for n in range(len(LINKS[page]))])
def test_a_view_from_its_link_is_what_the_page_shows(page: str, number: int, tables: Path) -> None:
    params = LINKS[page][number]
    built, notes = registry.build(page, params)
    assert notes == []
    figures = [json.loads(figure.to_json()) for figure in built.figures.values()]
    shown = on_page(page, params)
    for figure in (*figures, *shown):
        # A page names lines that its figures share once, and says what a click in them does.
        for added in ("showlegend", "clickmode", "dragmode", "hovermode"):
            figure["layout"].pop(added, None)
        figure["layout"]["meta"].pop("legend", None)
    # A page may lay its figures out in another order.
    in_order = partial(json.dumps, sort_keys=True)
    assert sorted(figures, key=in_order) == sorted(shown, key=in_order)
    assert all(figure.layout.meta["alt"] for figure in built.figures.values())
    assert built.data.height >= built.rows.height > 0
    assert built.data.write_csv()


@pytest.mark.parametrize(("page", "number"), [(page, n) for page in LINKS for n in range(len(LINKS[page]))])
def test_figures_are_what_plotly_takes_them_for(page: str, number: int, tables: Path) -> None:
    """Those that are made without Plotly's check would pass it, and nothing is left to it to complete."""
    for figure in registry.build(page, LINKS[page][number])[0].figures.values():
        given = json.loads(figure.to_json())
        assert without_empty(json.loads(go.Figure(given).to_json())) == without_empty(given)


def without_empty(value: Any) -> Any:
    """The value without what says nothing: entries of dictionaries that are None or empty."""
    if isinstance(value, dict):
        return {key: without_empty(part) for key, part in value.items() if part not in (None, {}, [])}
    return [without_empty(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("page", ["trajectory", "benchmarks"])
def test_an_estimate_of_another_setup_changes_nothing_that_was_worked_out(
    page: str, tables: Path, record: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = []
    for module, name in (
        (phases, "of_runs"),
        (correlation, "matrix"),
        (correlation, "detail"),
        (correlation, "finished"),
    ):
        monkeypatch.setattr(module, name, counted(worked, getattr(module, name)))
    caching.clear()
    registry.build(page, {})
    assert worked
    before = len(worked)
    write.save(record("Run-1M", "step1000", step=1000, tokens=10**6, seed=7), tables)
    registry.build(page, {})
    assert len(worked) == before
    write.save(record("Run-1M", "step1000", step=1000, tokens=10**6), tables)
    registry.build(page, {})
    assert len(worked) > before


def counted(calls: list[str], function: Callable) -> Callable:
    """The same function, which leaves its name."""

    def called(*given: object, **named: object) -> object:
        calls.append(function.__name__)
        return function(*given, **named)

    return called


def test_a_dark_view_has_other_inks(tables: Path) -> None:
    [light, dark] = (registry.build("layers", {}, dark=dark)[0].figures["plane"] for dark in (False, True))
    assert light.layout.template.layout.font.color != dark.layout.template.layout.font.color


def test_what_a_link_asks_for_in_vain_is_noted_and_the_rest_is_shown(tables: Path) -> None:
    view, notes = registry.build("trajectory", {"models": ["gone", "Done"], "order": ["9"], "correction": ["\ufffd"]})
    assert [note.split(",")[0] for note in notes] == [
        "The link asks for order 9",
        "The link asks for correction \ufffd",
        "The link asks for models gone",
    ]
    assert view.data["model"].unique().to_list() == ["Done"]


def test_a_link_to_nothing_chosen_says_what_to_choose(tables: Path) -> None:
    with pytest.raises(Empty, match="choose one in the sidebar"):
        registry.build("trajectory", {"models": [""]})


def test_without_tables_a_view_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    with pytest.raises(Empty, match="python -m softh estimate"):
        registry.build("layers", {})


def test_every_kind_of_control_reads_a_link_and_falls_back() -> None:
    params = {
        "few": ["b"],
        "scale": ["c"],
        "on": ["true"],
        "off": ["maybe"],
        "low": ["0.5"],
        "high": ["7"],
        "find": ["x y "],
    }
    with links.from_link(params) as link:
        assert controls.segments("Few", ["a", "b"], "few") == "b"
        assert controls.slider("Scale", ["a", "b"], "scale", default="b") == "b"
        assert controls.toggle("On", "on") is True
        assert controls.toggle("Off", "off", default=True) is True
        assert controls.number("Low", "low", low=0, high=1) == 0.5
        assert controls.number("High", "high", low=0, high=1) is None
        assert controls.number("Other", "other") is None
        assert controls.text("Find", "find") == "x y"
        assert controls.select("Unasked", ["a", "b"], "unasked", default="b") == "b"
        assert controls.several("Many", ["a", "b"], "many", default=["a"]) == ["a"]
    assert [note.split(",")[0] for note in link.notes] == [
        "The link asks for scale c",
        "The link asks for off maybe",
        "The link asks for high 7",
    ]


CONTROLS = """
import streamlit as st
from dashboard.controls import controls
st.write(repr([
    controls.segments("Few", ["a", "b"], "few"),
    controls.slider("Scale", ["a", "b", "c"], "scale", default="c"),
    controls.toggle("On", "on"),
    controls.number("Low", "low", low=0, high=1),
    controls.text("Find", "find"),
    controls.several("Many", ["a", "b", "c"], "many", default=["a"]),
]))
"""


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"few": ["b"], "scale": ["a"], "on": ["true"], "low": ["0.5"], "find": ["word"], "many": ["c", "b"]},
        {"few": ["x"], "scale": ["x"], "on": ["x"], "low": ["7"], "find": [""], "many": ["x", "b"]},
        {"many": [""], "low": ["nan"]},
    ],
)
def test_a_control_on_a_page_reads_a_link_as_a_view_does(params: dict[str, list[str]]) -> None:
    app = AppTest.from_string(CONTROLS)
    for key, value in params.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    with links.from_link(params) as link:
        assert app.markdown[0].value == repr(values())
    assert [note.value for note in app.info] == link.notes
    with links.from_link(app.session_state[session.PARAMETERS.key]) as link:  # the link that the page makes of itself
        assert app.markdown[0].value == repr(values())
    assert link.notes == []


def values() -> list:
    return [
        controls.segments("Few", ["a", "b"], "few"),
        controls.slider("Scale", ["a", "b", "c"], "scale", default="c"),
        controls.toggle("On", "on"),
        controls.number("Low", "low", low=0, high=1),
        controls.text("Find", "find"),
        controls.several("Many", ["a", "b", "c"], "many", default=["a"]),
    ]


def test_several_checkpoints_along_a_path_are_named_by_their_tokens() -> None:
    view, _ = registry.build("trajectory", {})
    names = [name["text"] for name in view.figures["plane"].layout.meta["names"]]
    assert sum(name.endswith(" tokens") for name in names) >= 4
