"""Decks: links in small files, whole or not at all, under names that choose no path; what is gone is said."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest

from dashboard.decks import render, store
from dashboard.decks.store import Slide
from dashboard.view import View
from dashboard.views import registry
from softh.errors import InputError
from softh.store import write

HERE = Slide("trajectory", {"models": ["Run"], "order": ["2"]}, "plane")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(data: Path, record: Callable) -> Path:
    for step in (0, 10):
        write.save(record("Run", f"step{step}", step=step, tokens=100 * step), data)
    return data


def test_a_deck_comes_back_as_it_was_written(data: Path) -> None:
    wanted = [HERE, Slide("layers", {"model": ["Ω & co"]}, None, "Title", "Two\nlines")]
    store.save("talk", wanted)
    assert store.load("talk") == wanted
    assert store.names() == ["talk"]


@pytest.mark.parametrize(("count", "slides"), [(2, 1), (4, 1), (5, 2), (7, 2), (9, 3)])
def test_a_long_page_takes_as_many_slides_as_can_be_read(count: int, slides: int, data: Path) -> None:
    keys = [f"figure{number}" for number in range(count)]
    first, last = store.add_page("talk", Slide("layers", {}), keys)
    assert (first, last) == (1, slides)
    stored = store.load("talk")
    assert len(stored) == slides
    held = [slide.figure for slide in stored]
    assert held == [None] if slides == 1 else ",".join(str(one) for one in held).split(",") == keys
    assert max(str(one).count(",") + 1 for one in held) <= store.MOST_FIGURES


def test_several_figures_share_a_slide_in_their_order(run: Path) -> None:
    [slide] = render.render([Slide("layers", {"model": ["Run"]}, "profiles,plane")], dark=False)
    view, _ = registry.build("layers", {"model": ["Run"]})
    assert [figure.layout.meta["alt"] for figure in slide.figures] == [
        view.figures[key].layout.meta["alt"] for key in ("profiles", "plane")
    ]
    [gone] = render.render([Slide("layers", {"model": ["Run"]}, "plane,attic")], dark=False)
    assert "remove it" in gone.problem


def test_the_latest_deck_is_the_one_that_was_changed_last(data: Path) -> None:
    assert store.latest() is None
    store.save("old", [HERE])
    store.save("new", [HERE, HERE])
    os.utime(data / "decks" / "old.json", (1, 1))
    assert store.latest() == ("new", 2)
    (data / "decks" / "new.json").write_text("{", encoding="utf-8")
    assert store.latest() is None  # its page says what is wrong


def test_a_deck_holds_links_and_no_numbers(data: Path) -> None:
    store.add_slide("talk", HERE)
    content = json.loads((data / "decks" / "talk.json").read_text(encoding="utf-8"))
    [slide] = content["slides"]
    assert set(slide) == {"page", "query", "figure", "title", "note"}
    assert slide["query"] == {"models": ["Run"], "order": ["2"]}


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a\x00b", "..", "C:\\deck", "talk.json", "über uns"])
def test_no_name_leads_out_of_the_folder(name: str, data: Path) -> None:
    with suppress(InputError):  # a name without a letter or digit is refused
        store.add_slide(name, HERE)
    assert {path.parent for path in data.rglob("*") if path.is_file()} <= {data / "decks"}
    assert list(data.parent.glob("*.json")) == []


def test_a_name_without_letters_is_refused_in_a_sentence(data: Path) -> None:
    with pytest.raises(InputError, match="needs a name with letters"):
        store.add_slide("///", HERE)


def test_slides_move_change_and_go(data: Path) -> None:
    for title in "abc":
        store.add_slide("talk", Slide("layers", {}, title=title))
    assert store.move_slide("talk", 2, -1) == 1
    assert store.move_slide("talk", 0, -1) == 0
    store.replace_slide("talk", 0, Slide("layers", {}, title="A"))
    store.remove_slide("talk", 2)
    assert [slide.title for slide in store.load("talk")] == ["A", "c"]
    store.delete("talk")
    assert store.names() == []


def test_readers_who_add_at_once_lose_nothing(data: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.add_slide("talk", Slide("layers", {}, title=str(i))), range(24)))
    assert sorted(int(slide.title) for slide in store.load("talk")) == list(range(24))
    assert not list((data / "decks").glob(".*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "is not a deck that can be read"),
        ("[]", "is not a deck that can be read"),
        ('{"version": 99, "slides": []}', "upgrade softh"),
        ('{"version": 1, "slides": [{"page": "layers"}]}', "is not a link to a view"),
        ('{"version": 1, "slides": [7]}', "is not a link to a view"),
    ],
)
def test_a_damaged_deck_is_a_sentence(text: str, words: str, data: Path) -> None:
    (data / "decks").mkdir()
    (data / "decks" / "talk.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        store.load("talk")


def test_a_deck_that_is_not_there_is_a_sentence(data: Path) -> None:
    with pytest.raises(InputError, match="There is no deck 'gone'"):
        store.load("gone")


def test_a_slide_shows_what_its_link_says(run: Path) -> None:
    one, whole = render.render([HERE, Slide("trajectory", HERE.query, None, "Mine", "note")], dark=False)
    assert (len(one.figures), len(whole.figures)) == (1, 2)
    assert "order 2" in one.figures[0].layout.meta["alt"]
    assert (whole.title, whole.note) == ("Mine", "note")


def test_a_figure_that_has_a_title_of_its_own_gives_it_to_its_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    named, other = (go.Figure(layout={"meta": {"alt": "", **meta}}) for meta in ({"title": "All"}, {}))
    nothing = pl.DataFrame()
    view = View("One", {"named": named, "other": other}, rows=nothing, data=nothing, caption="", name="x")
    monkeypatch.setattr(registry, "build", lambda *_, **__: (view, []))
    wanted = [Slide("layers", {}, figure) for figure in ("named", "other", None)]
    found = render.render([*wanted, Slide("layers", {}, "named", "Mine")], dark=False)
    assert [shown.title for shown in found] == ["All", "One", "One", "Mine"]


@pytest.mark.parametrize(
    ("slide", "words"),
    [
        (Slide("nowhere", {}), "which is not among trajectory"),
        (Slide("trajectory", {"models": ["Gone"]}), "models Gone, which is not among Run"),
        (Slide("trajectory", HERE.query, "pie"), "the figure 'pie'"),
        (Slide("layers", {"model": ["Run"], "revision": ["step11"]}), "step11"),
        (Slide("trajectory", {"models": [""]}), "No model is chosen"),
    ],
)
def test_what_is_gone_is_a_sentence_and_the_rest_works(slide: Slide, words: str, run: Path) -> None:
    gone, there = render.render([slide, HERE], dark=False)
    assert words in gone.problem
    assert not gone.figures
    assert there.figures


def test_without_tables_every_slide_says_so(data: Path) -> None:
    [shown] = render.render([HERE], dark=False)
    assert "no estimates yet" in shown.problem
