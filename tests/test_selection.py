"""The controls: what they offer, what they put into the URL, and how they give way."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.controls import session
from dashboard.data import queries
from dashboard.data.rows import MOST_MODELS
from softh.store import read, write

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> Callable[..., AppTest]:
    """The trajectory page on the records that the keywords describe."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))

    def opened(*keywords: dict, **link: str | list[str]) -> AppTest:
        for given in keywords:
            write.save(record(**given), tmp_path)
        test = AppTest.from_file(APP, default_timeout=30)
        for key, value in link.items():
            test.query_params[key] = value
        return test.run()

    return opened


TWO_TEXTS = ({"model": "A", "corpus": "one"}, {"model": "B", "corpus": "one"}, {"model": "C", "corpus": "two"})


def value(test: AppTest, key: str) -> object:
    return test.get_by_key(key).value


def test_the_text_of_most_estimates_comes_first(app):
    assert value(app(*TWO_TEXTS), "corpus") == "one"


def test_only_models_of_the_chosen_text_are_offered(app):
    test = app(*TWO_TEXTS)
    assert test.multiselect(key="models").options == ["A", "B"]
    test = test.selectbox(key="corpus").set_value("two").run()
    assert (test.multiselect(key="models").options, value(test, "models")) == (["C"], ["C"])


def test_what_the_reader_changes_is_no_broken_link(app):
    test = app(*TWO_TEXTS, corpus="one", models=["A", "B"])
    test = test.selectbox(key="corpus").set_value("two").run()
    assert value(test, "models") == ["C"]
    assert not test.info


def test_no_more_models_are_drawn_unasked_than_can_be_told_apart(app):
    test = app(*({"model": f"M{i}"} for i in range(MOST_MODELS + 2)))
    assert len(value(test, "models")) == MOST_MODELS
    assert len(test.multiselect(key="models").options) == MOST_MODELS + 2


def test_unasked_the_largest_and_smallest_runs_are_drawn_and_no_finished_model(app):
    runs = [("M", 4), ("L", 8), ("S", 2), ("S-again", 2)]
    steps = [{"model": m, "revision": f"step{s}", "step": s, "layers": n} for m, n in runs for s in (0, 9)]
    test = app(*steps, *({"model": f"done-{i}"} for i in range(3)))
    assert value(test, "models") == ["L", "S"]


def test_only_estimated_orders_are_offered(app):
    test = app({"orders": (1, 3)})
    assert test.get_by_key("order").options == ["1", "3"]


def test_the_url_has_what_differs_from_the_default_and_a_slide_all_of_it(app):
    test = app(*TWO_TEXTS)
    test = test.get_by_key("correction").set_value("raw").run()
    whole, usual = (test.session_state[each.key] for each in (session.PARAMETERS, session.AT_DEFAULT))
    assert set(whole) - usual == {"correction"}
    assert {key: whole[key] for key in ("corpus", "order", "correction", "models")} == {
        "corpus": ["one"],
        "order": ["1"],
        "correction": ["raw"],
        "models": ["A", "B"],
    }


def test_a_default_that_nobody_chose_follows_the_tables_and_a_choice_stays(app):
    test = app(*TWO_TEXTS, {"model": "B", "corpus": "two"})
    test = test.selectbox(key="corpus").set_value("two").run()
    assert value(test, "models") == ["B", "C"]
    test = test.multiselect(key="models").set_value(["B"]).run()
    test = test.selectbox(key="corpus").set_value("one").run()
    assert value(test, "models") == ["B"]


def test_runs_begin_with_tokens_finished_models_with_words_and_a_text_in_a_link_with_tokens(app):
    rows = [
        {"model": name, "labels": labels, "vocabulary": size}
        for name, size in (("A", 10), ("B", 20))
        for labels in ("tokens", "words")
    ]
    runs = app(*rows)
    assert "words" not in value(runs, "settings")
    assert "words" in value(runs.switch_page("pages/frontier.py").run(), "settings")
    named = app(corpus="python-docs")
    assert "words" not in value(named, "settings")
    assert "words" not in value(named.run(), "settings")


def test_an_emptied_control_falls_back_to_its_default(app):
    test = app(*TWO_TEXTS).selectbox(key="corpus").set_value("two").run()
    test = test.selectbox(key="corpus").set_value(None).run()
    assert not test.exception
    assert test.multiselect(key="models").options == ["A", "B"]


def test_of_several_models_in_a_link_the_known_are_kept(app):
    test = app(*TWO_TEXTS, models=["B", "gone"])
    assert value(test, "models") == ["B"]
    assert "not among A, B: showing B." in test.info[0].value


def test_of_many_options_a_link_that_fits_none_names_the_nearest(app):
    rows = [{"model": f"run-{size}m", "labels": "tokens"} for size in (3, 9, 20, 60, 135, 160, 410)]
    said = app(*rows, models=["run-3n"]).info[0].value
    assert "not in these tables" in said
    assert "run-3m" in said
    assert "run-410m" not in said.partition("showing")[0]


def test_the_newest_estimate_of_a_checkpoint_is_shown(tmp_path, record):
    older, newer = record(), record(dtype="bfloat16")
    newer["estimate"]["created_at"] = newer["estimate"]["created_at"].replace(year=2027)
    for each in (newer, older):
        write.save(each, tmp_path)
    rows = read.trajectory(tmp_path)
    assert set(queries.newest(rows)["estimate_id"]) == {newer["estimate"]["estimate_id"]}


def test_settings_beyond_the_usual_are_named_and_twins_told_apart(app):
    other = app({"model": "A"}, {"model": "C", "seed": 1})
    labels = other.selectbox(key="settings").options
    assert sorted(labels) == ["64 documents × 128 tokens", "64 documents × 128 tokens, seed 1"]


def test_more_draws_change_the_error_and_not_the_company(app):
    test = app({"model": "A"}, {"model": "B", "draws": 64})
    assert test.multiselect(key="models").options == ["A", "B"]
