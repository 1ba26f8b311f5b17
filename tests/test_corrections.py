"""Which correction a page shows: debiased first, never mixed with another, and old estimates and links as they were."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.data import neighbours, queries
from dashboard.data.rows import Display
from dashboard.format import plus_minus
from dashboard.view import View
from dashboard.views import registry
from softh.analysis import differences
from softh.store import read, write
from tests import first_schema
from tests.store_rows import flat

PAGES = ("trajectory", "frontier", "layers", "benchmarks")
NONE = "None of these estimates has debiased values"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> Callable[..., Path]:
    """Stores models, each with a score, by the keywords of their records."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))

    def store(**models: dict) -> Path:
        scores = []
        for place, (name, given) in enumerate(models.items()):
            made = record(name, shape=raised(place / 100), **given)
            made["model"]["family"] = name
            write.save(made, tmp_path)
            score = {"model": name, "revision": None, "task": "cloze", "metric": "accuracy", "score": place / 10}
            scores.append(score | {"stderr": 0.01, "source": "here"})
        if scores:
            write.save_scores(scores, tmp_path)
        return tmp_path

    return store


def raised(by: float) -> Callable:
    """The usual shape, with more information."""

    def shape(depth: float, order: int) -> tuple[float, float, float, float]:
        h, x, y, null = flat(depth, order)
        return h, x + by, y + by / 2, null

    return shape


def shown(page: str, **params: str | list[str]) -> View:
    view, notes = registry.build(
        page, {key: [value] if isinstance(value, str) else value for key, value in params.items()}
    )
    assert notes == []
    return view


def corrections(view: View) -> set[str]:
    return set(view.data["correction"]) if "correction" in view.data.columns else set()


OLD, NEW = {"debiased": False}, {"debiased": True}


@pytest.mark.parametrize("page", PAGES)
def test_new_estimates_are_shown_debiased_and_nothing_more_is_said(page: str, stored: Callable) -> None:
    stored(a=NEW, b=NEW, c=NEW, d=NEW)
    view = shown(page)
    assert corrections(view) <= {"debiased"}
    assert "debiased values" not in view.caption
    assert "debiased" in view.title + "".join(figure.layout.meta["alt"] for figure in view.figures.values())


@pytest.mark.parametrize("page", PAGES)
def test_estimates_without_debiased_values_are_shown_null_corrected_and_a_sentence_says_so(
    page: str, stored: Callable
) -> None:
    stored(a=OLD, b=OLD, c=OLD, d=OLD)
    view = shown(page)
    assert corrections(view) <= {"corrected"}
    assert view.rows.height
    assert view.caption.startswith(NONE)
    assert "so null-corrected values are shown" in view.caption
    alone = shown(page, correction="corrected")
    assert not alone.caption.startswith(NONE)
    assert {key: figure.to_json() for key, figure in view.figures.items()} == {
        key: figure.to_json() for key, figure in alone.figures.items()
    }


@pytest.mark.parametrize("page", ["trajectory", "frontier", "benchmarks"])
def test_of_both_kinds_only_debiased_ones_are_shown_and_a_sentence_counts_the_others(
    page: str, stored: Callable
) -> None:
    stored(a=NEW, b=OLD, c=NEW, d=NEW, e=NEW)
    models = {"models": ["a", "b", "c"]} if page == "trajectory" else {}
    view = shown(page, **models)
    every = len(models.get("models", "abcde"))
    assert view.caption.startswith(f"1 of {every} estimates has no debiased value and is left out")
    assert corrections(view) <= {"debiased"}
    names = set(view.data["model"])
    assert "b" not in names
    assert "a" in names
    whole = shown(page, correction="corrected", **models)
    assert "b" in set(whole.data["model"])
    assert corrections(whole) <= {"corrected"}


def test_one_that_has_none_among_others_that_have_is_shown_null_corrected_by_itself(stored: Callable) -> None:
    stored(a=NEW, b=OLD)
    assert corrections(shown("layers", model="a")) == {"debiased"}
    alone = shown("layers", model="b")
    assert corrections(alone) == {"corrected"}
    assert alone.caption.startswith(NONE)
    assert corrections(shown("trajectory", models="b")) == {"corrected"}


@pytest.mark.parametrize("correction", ["raw", "corrected", "null"])
def test_an_old_link_keeps_its_meaning(correction: str, stored: Callable) -> None:
    data = stored(a=OLD, b=NEW)
    view = shown("trajectory", models=["a", "b"], correction=correction)
    rows = read.trajectory(data, order=1, correction=correction)
    assert view.data["input"].to_list() == rows["input"].to_list()
    assert corrections(view) == {correction}
    assert "debiased value" not in view.caption


def test_a_database_of_the_first_schema_opens_on_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(first_schema.unpack(tmp_path / "data")))
    for page in ("trajectory", "frontier", "layers"):
        view = shown(page)
        assert view.caption.startswith(NONE)
        assert corrections(view) == {"corrected"}
        assert view.rows.height


def test_lower_bound_and_raw_value_stand_beside_a_debiased_one_and_beside_no_other(stored: Callable) -> None:
    data = stored(a=NEW)
    row = {row["correction"]: row for row in read.trajectory(data, order=1).to_dicts()}
    ends = f"{row['lower']['input']:.4f} to {row['raw']['input']:.4f}"
    for page in ("trajectory", "frontier"):
        view = shown(page)
        assert f"bracket {ends}" in view.figures["plane"].to_json()
        assert ends in view.rows["I(X;Z) bracket"].to_list()
        assert view.data["input_lower"].item() == row["lower"]["input"]
        assert "bracket" not in shown(page, correction="raw").figures["plane"].to_json()
    layers = shown("layers")
    assert layers.rows["I(Y;Z) bracket"].null_count() == 0
    [legend] = {trace.name for trace in layers.figures["profiles"].data if trace.name and "bound" in trace.name}
    assert legend == "lower bound and raw, order 1"
    assert "bound" not in shown("layers", correction="corrected").figures["profiles"].to_json()


@pytest.mark.parametrize("page", ["trajectory", "frontier"])
def test_two_chosen_estimates_are_compared_by_their_difference(page: str, stored: Callable) -> None:
    data = stored(a=NEW, b=NEW, c=NEW)
    points = ["a, main", "b, main"] if page == "trajectory" else ["a", "b"]
    models = {"models": ["a", "b"]} if page == "trajectory" else {}
    standing = shown(page, points=points[:1], **models).notes  # what the frontier says of all its models
    assert len(standing) == (2 if page == "frontier" else 0)
    *others, note = shown(page, points=points, **models).notes
    assert tuple(others) == standing
    first, second = read.trajectory(data, ["a", "b"], order=1, correction="debiased").to_dicts()
    found = differences.difference(second, first, "input")
    assert f"I(X;Z) {plus_minus(found.value, found.error)}" in note
    assert found.error < 0.2 * (first["input_se_draws"] + second["input_se_draws"])
    assert "paired in directions and documents" in note
    assert not any("paired in" in said or " minus " in said for said in standing)


def test_curves_of_a_difference_have_its_own_error(stored: Callable, record: Callable) -> None:
    data = stored()
    for model, by in (("a", 0.0), ("b", 0.02)):
        for step in (1, 2):
            write.save(record(model, f"step{step}", step=step, tokens=step, shape=raised(by)), data)
    view = shown("trajectory", models=["a", "b"], minus="a", panels=["I(X;Z)", "regularity"])
    band = [trace for trace in view.figures["curves"].data if trace.fill == "toself" and trace.yaxis == "y"]
    half = (max(band[0].y) - min(band[0].y)) / 2
    rows = read.trajectory(data, order=1, correction="debiased", layer=None).filter(step=1).sort("model").to_dicts()
    found = differences.difference(rows[1], rows[0], "input")
    assert half == pytest.approx(found.error)
    assert half < rows[0]["input_se_documents"]


def test_a_post_trained_model_says_how_it_differs_from_its_origin(stored: Callable, record: Callable) -> None:
    data = stored(x=NEW)
    changed = record("x-sft", shape=raised(0.1))
    changed["model"] |= {"stage": "sft", "family": "x"}
    write.save(changed, data)
    cards = [card[1] for trace in shown("frontier").figures["plane"].data for card in trace.customdata or ()]
    assert sum("made from x<br>compared with it: I(X;Z) 0.1" in card for card in cards) == 1


WORDS = {"labels": "words"}


def test_labels_are_named_and_never_drawn_together(stored: Callable) -> None:
    stored(a={}, b={}, c=WORDS)
    assert {setup.labels for setup in queries.setups()} == {"tokens", "words"}
    view = shown("frontier")
    assert set(view.data["labels"]) == {"tokens"}
    words = shown("frontier", settings="64 documents × 128 tokens, labels words")
    assert set(words.data["labels"]) == {"words"}
    assert "order 1 (word), debiased" in words.title
    assert "Labels are words, which are the same for every tokenizer." in words.caption
    assert "order 1 (word)" in words.figures["plane"].to_json()


def test_tokenizers_are_compared_by_words_where_there_are_some(stored: Callable) -> None:
    two = {"vocabulary": 5_000}
    stored(a={}, b=two, c={})
    tokens = shown("frontier")
    assert "Labels are tokens, and the 2 vocabularies of these models differ" in tokens.caption
    assert "--labels words" in tokens.caption
    stored(a=WORDS, b=WORDS | two, c=WORDS, d=WORDS)
    for page in ("frontier", "benchmarks"):
        view = shown(page)
        assert "Labels are words" in view.caption
    old = shown("frontier", corpus="python-docs")  # a link of before there were others
    assert set(old.data["labels"]) == {"tokens"}
    assert "choose the settings “64 documents × 128 tokens, labels words”" in old.caption


def test_neighbours_are_told_by_words_where_the_checkpoint_has_some(stored: Callable) -> None:
    two = {"vocabulary": 5_000}
    stored(a={}, b=two)
    [mine] = queries.estimates().filter(model="a").to_dicts()
    assert "vocabularies of these models differ" in neighbours.landed(mine).sentence
    stored(a=WORDS, b=WORDS | two)
    [mine] = queries.estimates().filter(model="a", labels="tokens").to_dicts()
    assert "order 1 (word), debiased" in neighbours.landed(mine).sentence
    assert "Nearest: b at main" in neighbours.landed(mine).sentence


def test_neighbours_of_an_old_estimate_are_null_corrected_and_said_so(stored: Callable) -> None:
    stored(a=OLD, b=NEW)
    old, new = queries.estimates().sort("model").to_dicts()
    assert "null-corrected" in neighbours.sentence(old)
    assert "Nearest: b" in neighbours.sentence(old)
    assert "has no debiased" in neighbours.sentence(old)
    assert "no neighbours" in neighbours.sentence(new)


def test_what_is_known_of_no_rows_is_what_was_asked_for_without_debiased_values(points: Callable) -> None:
    rows = points({"debiased": False})
    asked = Display(1, "debiased")
    assert asked.known(rows)[0].correction == "corrected"
    assert Display(1, "raw").known(rows) == (Display(1, "raw"), "")
