"""The page of decks on literal decks: none, some, one that is damaged, one that refers to what is gone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.decks import store
from dashboard.decks.store import Slide
from softh.store import write

APP = str(Path(__file__).parents[2] / "app.py")
VIEW = {"model": ["Run"], "order": ["2"]}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    write.save(record("Run"), tmp_path)
    return tmp_path


def opened(**link: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app = app.run().switch_page("pages/present.py")
    for key, value in link.items():
        app.query_params[key] = value
    return app.run()


def figures(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def text(app: AppTest) -> str:
    return "\n".join(element.value for group in (app.info, app.warning, app.error, app.markdown) for element in group)


def test_without_a_deck_the_page_says_how_to_begin_one(data: Path) -> None:
    app = opened()
    assert not app.exception
    assert "Export → Add this figure" in text(app)


def test_a_deck_shows_the_slide_of_the_link(data: Path) -> None:
    store.save("talk", [Slide("layers", VIEW, "plane", "First"), Slide("layers", VIEW, None, "Second", "note")])
    app = opened(deck="talk", slide="2")
    assert not app.exception
    assert len(figures(app)) == 3
    assert app.text_input(key="title-talk-1").value == "Second"
    assert len(figures(opened(deck="talk"))) == 1


def test_words_are_kept_as_they_are_written(data: Path) -> None:
    store.save("talk", [Slide("layers", VIEW)])
    opened(deck="talk").text_input(key="title-talk-0").set_value("Mine").run()
    assert store.load("talk")[0].title == "Mine"


def test_slides_are_moved_with_their_words(data: Path) -> None:
    store.save("talk", [Slide("layers", VIEW, title=title) for title in "ab"])
    app = opened(deck="talk", slide="2")
    [up] = [button for button in app.button if button.label == "Up"]
    app = up.click().run()
    assert [slide.title for slide in store.load("talk")] == ["b", "a"]
    assert app.radio(key="slide").value == "1"
    assert app.text_input(key="title-talk-0").value == "b"


def test_removing_the_last_slide_leaves_an_empty_deck_that_says_so(data: Path) -> None:
    store.save("talk", [Slide("layers", VIEW)])
    [remove] = [button for button in opened(deck="talk").button if button.label == "Remove"]
    app = remove.click().run()
    assert not app.exception
    assert "This deck is empty" in text(app)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"version": 99, "slides": []}', "upgrade softh"),
        ("nothing", "is not a deck that can be read"),
        ('{"version": 1, "slides": [{"page": "layers", "query": {"model": ["Gone"]}}]}', "model Gone"),
        ('{"version": 1, "slides": [{"page": "attic", "query": {}}]}', "the page 'attic'"),
    ],
)
def test_a_bad_deck_is_a_sentence(content: str, words: str, data: Path) -> None:
    (data / "decks").mkdir()
    (data / "decks" / "talk.json").write_text(content, encoding="utf-8")
    app = opened(deck="talk")
    assert not app.exception
    assert words in text(app)


@pytest.mark.parametrize(("link", "words"), [({"deck": "gone"}, "deck gone"), ({"slide": "9"}, "slide 9")])
def test_a_wrong_link_falls_back_with_a_note(link: dict, words: str, data: Path) -> None:
    store.save("talk", [Slide("layers", VIEW)])
    app = opened(**link)
    assert not app.exception
    assert f"The link asks for {words}" in text(app)
    assert len(figures(app)) == 3
