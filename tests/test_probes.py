"""Probes in the store and in the questions of the pages: kept apart from the plane, one number a model."""

import math
from datetime import datetime
from pathlib import Path

import pytest

from dashboard.data import queries
from softh.store import read, write
from tests.probe_rows import probe
from tests.store_rows import record


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


def save(data: Path, *records: dict) -> None:
    for made in records:
        write.save(made, data)


def test_probes_and_estimates_of_the_plane_never_mix(data: Path) -> None:
    save(data, record("00aa"), probe("aa00"), probe("aa01", model="other"))
    for _ in range(2):
        assert read.estimates(data)["estimate_id"].to_list() == ["00aa"]
        assert read.trajectory(data)["estimate_id"].unique().to_list() == ["00aa"]
        assert read.probes(data)["estimate_id"].sort().to_list() == ["aa00", "aa01"]
        assert read.layers(data, "aa00").is_empty()
        assert read.find_estimate(data, "aa01")["model"].to_list() == ["other"]
        assert queries.models() == ["tiny"]
        assert [setup.corpus for setup in queries.setups()] == ["python-docs"]
        write.pack(data)


def test_what_and_which_pairs_are_columns(data: Path) -> None:
    save(data, probe())
    rows = read.preferences(data, ["aa00"])
    assert set(rows["subset"]) == {"all", "matched", "source a", "source b"}
    assert {"preference", "preference last", "preference mean", "linear", "length", "words"} <= set(rows["what"])
    assert read.preferences(data, ["none"]).is_empty()


def test_a_model_has_one_number_of_its_newest_probe_on_the_usual_pairs(data: Path) -> None:
    assert queries.preference().is_empty()
    assert "value" in queries.preference().columns
    late = datetime(2026, 11, 3)
    save(
        data, probe("aa00"), probe("aa01", scale=2.0, created_at=late), probe("aa02", model="other", scale=3.0),
        probe("aa03", digest="p2", created_at=late),
    )  # fmt: skip
    rows = queries.preference().to_dicts()
    assert [(row["model"], row["estimate_id"]) for row in rows] == [("other", "aa02"), ("tiny", "aa01")]
    tiny = rows[1]
    assert tiny["value"] == pytest.approx(2 * 0.0035)
    assert tiny["null"] == pytest.approx(0.0005)
    assert tiny["se"] == pytest.approx(math.hypot(0.0001, 0.0003))
    assert (tiny["pairs"], tiny["positions"], tiny["data"]) == (200, 9_000, "some")
