"""Where one's own estimate landed: neighbours by distance on the plane, each model once, and links that show it."""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dashboard.data import neighbours, queries
from dashboard.views import registry
from softh.analysis.neighbours import nearest
from softh.errors import InputError
from softh.store import connection, read, write


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


def at(x: float, y: float) -> Callable:
    return lambda depth, order: (0.9, x + 0.02 * order, y + 0.02 * order, 0.02 * order)


def stored(data: Path, record: Callable, *rows: tuple) -> dict:
    """Stores (model, revision, x, y) and gives the last one back as the tables have it."""
    for model, revision, x, y in rows:
        made = record(model, revision, shape=at(x, y))
        write.save(made, data)
    return neighbours.own().filter(pl.col("estimate_id") == made["estimate"]["estimate_id"]).row(0, named=True)


def test_neighbours_are_the_nearest_checkpoint_of_each_other_model(data: Path, record: Callable) -> None:
    rows = [("Far", "main", 0.8, 0.8), ("Near", "a", 0.5, 0.5), ("Near", "b", 0.31, 0.2), ("Next", "main", 0.3, 0.24)]
    mine = stored(
        data, record, *rows, ("Further", "main", 0.9, 0.9), ("Mine", "old", 0.3, 0.2), ("Mine", "new", 0.3, 0.2)
    )
    point, others, _ = neighbours.points_beside(mine)
    near = nearest(point, others)
    assert near["model"].to_list() == ["Near", "Next", "Far"]
    assert near["distance"].to_list() == pytest.approx([0.01, 0.04, 0.5**0.5 * 1.1045], rel=0.05)
    sentence = neighbours.sentence(mine)
    away = r"\(0\.0100\d* ± \S+ away\), Next at main \(0\.0400\d* ± \S+ away\) and Far at main"
    assert re.search(f"Nearest: Near at b {away}", sentence)
    assert "Mine" not in sentence


def test_what_was_measured_otherwise_is_no_neighbour(data: Path, record: Callable) -> None:
    write.save(record("Other", documents=128), data)
    mine = stored(data, record, ("Mine", "main", 0.3, 0.2))
    assert "has no neighbours" in neighbours.sentence(mine)


def test_links_name_setup_model_and_neighbours(data: Path, record: Callable) -> None:
    write.save(record("Other", documents=128), data)
    mine = stored(data, record, ("Near", "main", 0.3, 0.2), ("Mine", "step8", 0.3, 0.2))
    place = neighbours.landed(mine)
    links = {page.slug: page.link_to(place) for page in registry.PAGES if page.link_to}
    setup = {"corpus": "python-docs", "settings": "64 documents × 128 tokens"}
    assert links == {
        "trajectory": {**setup, "models": ["Mine", "Near"], "points": ["Mine, step8"]},
        "frontier": setup,
        "layers": {**setup, "model": "Mine", "revision": "step8"},
    }


def test_answers_about_a_setup_outlive_estimates_of_others_and_nothing_else(
    data: Path, record: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask = read.trajectory
    monkeypatch.setattr(read, "trajectory", lambda *given, **named: (asked.append(given), ask(*given, **named))[1])
    mine = stored(data, record, ("Near", "main", 0.31, 0.21), ("Mine", "one", 0.31, 0.22))
    setup, place = neighbours.setup_of(mine), neighbours.landed(mine)
    before = queries.trajectory(setup, ("Mine",))
    times = len(asked)
    assert times > 0
    write.save(record("Other", documents=128), data)
    assert queries.trajectory(setup, ("Mine",)).equals(before)
    assert neighbours.landed(mine).sentence == place.sentence
    assert len(asked) == times
    assert ("settings" in place.setup, "settings" in neighbours.landed(mine).setup) == (False, True)
    write.save(record("Mine", "two", shape=at(0.32, 0.22)), data)
    assert queries.trajectory(setup, ("Mine",))["revision"].unique().sort().to_list() == ["one", "two"]
    write.save(record("Closer", "main", shape=at(0.31, 0.22)), data)
    assert "Nearest: Closer" in neighbours.landed(mine).sentence


def test_own_are_runs_alone_and_a_deleted_one_is_gone(data: Path, record: Callable) -> None:
    write.save(record("Packed"), data)
    write.pack(data)
    mine = stored(data, record, ("Mine", "main", 0.3, 0.2))
    assert neighbours.own()["model"].to_list() == ["Mine"]
    write.remove(data, mine["estimate_id"])
    assert read.estimates(data)["model"].to_list() == ["Packed"]
    with pytest.raises(InputError, match="is not a run"):
        write.remove(data, mine["estimate_id"])
    with pytest.raises(InputError, match="is not a run"):
        write.remove(data, "../../etc/passwd")


def test_what_killed_writers_left_is_swept_and_nothing_else(data: Path, record: Callable) -> None:
    whole = write.save(record("Mine"), data)
    left = whole.with_name("abc.0123.tmp")
    left.write_bytes(b"half")
    assert write.remove_orphans(data) == 0
    assert write.remove_orphans(data, older=0) == 1
    assert connection.valid_runs(data) == [whole]
    assert not left.exists()


def test_the_tables_are_asked_for_the_estimates_of_one_setup_alone(
    data: Path, record: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of other settings on the same text, hundreds of them, cost a page neither time nor memory."""
    for seed in range(5):
        write.save(record("Mine", seed=seed), data)
    setup, ask, asked = queries.setups()[0], read.trajectory, list[pl.DataFrame]()

    def listen(*given: object, **named: object) -> pl.DataFrame:
        asked.append(ask(*given, **named))
        return asked[-1]

    monkeypatch.setattr(read, "trajectory", listen)
    assert queries.trajectory(setup, ("Mine",)).height
    assert queries.draws(setup, ("Mine",), 1, "raw").height == 1
    assert [rows["settings"].unique().to_list() for rows in asked] == [[setup.settings]] * 2
