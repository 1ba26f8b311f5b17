"""The table of quantities: it says what is measured and stored, and pages read from it."""

import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dashboard.data.caching import cached_by
from dashboard.views import registry
from softh.estimator.debiasing import Conditionals
from softh.estimator.labels import VARIABLES
from softh.estimator.measures import Entropies, Key, measure
from softh.estimator.spectra import SPECTRAL, spectral_measures
from softh.quantities import BY_COLUMN, FURTHER, PLANE, QUANTITIES
from softh.store import plane, read, write


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    for step in (1, 10):
        write.save(record("Run", f"step{step}", step=step, tokens=1000 * step), tmp_path)
    return tmp_path


def test_every_stored_quantity_is_measured() -> None:
    keys = [Key(variable, order) for variable in VARIABLES for order in (1, 2)]
    known, h = np.full((2, 3, 2), 2.0), np.full((2, 3, 2), 2.9)
    entropies = Entropies(
        entropy=np.full((2, 3, 2), 3.0),
        conditional=dict.fromkeys(keys, Conditionals(raw=known, null=h, debiased=known, lower=h)),
        labels=dict.fromkeys(keys, 10),
        bins=100,
        positions=1000,
    )
    spectral = spectral_measures([np.ones((len(SPECTRAL), 3))] * 2, 1000)
    measured = {(row.quantity, row.variable) for row in (*measure(entropies), *spectral)}
    assert {(each.quantity, each.variable) for each in QUANTITIES if each.quantity and each.per_layer} <= measured


@pytest.mark.parametrize("attribute", ["column", "name", "symbol", "title"])
def test_no_two_quantities_share_what_tells_them_apart(attribute: str) -> None:
    values = [getattr(each, attribute) for each in QUANTITIES]
    assert len(set(values)) == len(values)


def test_the_plane_has_the_columns_of_its_quantities(data: Path) -> None:
    estimate_id = read.estimates(data)["estimate_id"][0]
    rows = read.layers(data, estimate_id)
    assert set(rows.columns) == set(plane.COLUMNS)
    stored = read.measures(data, estimate_id).filter(layer=2, ngram=3, correction="corrected").to_dicts()
    values = {(row["quantity"], row["variable"]): row["value"] for row in stored}
    [row] = rows.filter(layer=2, ngram=3, correction="corrected").to_dicts()
    for each in PLANE:
        if each.has_labels:
            assert row[each.column] == values[each.quantity, each.variable]


@pytest.mark.parametrize("layers", [False, True])
def test_further_quantities_are_read_as_they_are_stored(data: Path, layers: bool) -> None:
    estimate_id = read.estimates(data)["estimate_id"][0]
    rows = read.further(data, [each.column for each in FURTHER], [estimate_id], layers=layers)
    stored = {
        (m["layer"], m["quantity"], m["variable"], m["ngram"], m["correction"]): m
        for m in read.measures(data, estimate_id).to_dicts()
    }
    assert rows.height > 0
    assert rows["layer"].is_null().all() != layers
    for row in rows.to_dicts():
        for each in FURTHER:
            labels = (row["ngram"], row["correction"]) if each.has_labels else (None, "raw")
            measure = stored.get((row["layer"], each.quantity, each.variable, *labels), {})
            assert row[each.column] == measure.get("value")
            assert row[f"{each.column}_se_draws"] == measure.get("se_draws")


@pytest.mark.parametrize("column", [each.column for each in (*PLANE, *FURTHER)])
def test_every_quantity_can_be_drawn_along_depth_and_training(column: str, data: Path) -> None:
    each = BY_COLUMN[column]
    order = "4" if each.highest_order_only else "1"
    for page, key, figure in (("layers", "quantities", "profiles"), ("trajectory", "panels", "curves")):
        view, notes = registry.build(page, {key: [each.symbol], "order": [order]})
        assert notes == []
        assert any(each.name in (note.text or "") for note in view.figures[figure].layout.annotations)
        assert any(trace.y is not None and None not in trace.y for trace in view.figures[figure].data)
        assert f"{each.formula} {each.name}" in view.rows.columns
        assert {column, f"{column}_se_documents"} <= set(view.data.columns)


def test_cached_queries_run_again_when_their_version_changes_and_share_nothing() -> None:
    runs, version = [], [0]

    @cached_by(lambda *_: version[0])
    def double(number: int, *, plus: int = 0) -> int:
        runs.append("double")
        return 2 * number + plus

    @cached_by(lambda *_: version[0])
    def triple(number: int) -> int:
        runs.append("triple")
        return 3 * number

    for _ in range(2):
        assert [double(2), double(2, plus=1), triple(2)] == [4, 5, 6]
    assert runs == ["double", "double", "triple"]
    version[0] = 1
    assert double(2) == 4
    assert runs[3:] == ["double"]


def test_an_answer_of_an_earlier_version_is_dropped() -> None:
    version, alive = [0], []

    @cached_by(lambda *_: version[0], entries=64)
    def rows(number: int) -> pl.DataFrame:
        return pl.DataFrame({"number": [number]})

    for version[0] in range(8):
        alive += [weakref.ref(rows(number)) for number in range(2)]
    assert [reference() is None for reference in alive] == [True] * 14 + [False] * 2


def test_a_cached_frame_holds_its_own_rows_alone() -> None:
    """A filtered frame of polars holds the texts of all rows; one of each kept would grow with what is stored."""
    every = pl.DataFrame({"number": range(4000), "text": [f"{number:0500}" for number in range(4000)]})

    @cached_by(lambda *_: 0)
    def one(number: int) -> pl.DataFrame:
        return every.filter(number=number)

    assert_frame_equal(one(7), every.filter(number=7))
    assert one(7).to_arrow(compat_level=pl.CompatLevel.newest()).get_total_buffer_size() < 10_000


def test_what_no_estimate_has_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    write.save(record("Old", "step1", step=1, debiased=False), tmp_path)
    [estimate_id] = read.estimates(tmp_path)["estimate_id"]
    assert read.further_columns(tmp_path, [estimate_id]) == ["regularity", "proportion", "residual"]
    for page, key in (("layers", "quantities"), ("trajectory", "panels")):
        _, notes = registry.build(page, {key: ["RankMe"], "correction": ["corrected"]})
        assert any("RankMe" in note for note in notes)


def test_the_variational_bound_is_drawn_along_training_for_the_mean_over_layers(data: Path) -> None:
    estimate_id = read.estimates(data)["estimate_id"][0]
    assert read.further_columns(data, [estimate_id])[-1] == "variational_bound"
    view, notes = registry.build("trajectory", {"panels": ["I(Y;Z)", "H(Y) − CE"], "order": ["1"]})
    assert notes == []
    assert view.data["variational_bound"].to_list() == [0.5, 0.5]
    _, notes = registry.build("trajectory", {"panels": ["H(Y) − CE"], "layer": ["1"]})
    assert any("H(Y)" in note for note in notes)


def test_parts_of_context_are_drawn_by_layer_and_add_up(data: Path) -> None:
    view, _ = registry.build("layers", {})
    bars = view.figures["context"].data
    assert [bar.name for bar in bars] == ["token", "+ bigram", "+ trigram", "+ quadgram", "rest"]
    assert list(bars[0].x) == ["0", "1", "2", "3", "4", "mean"]
    estimate_id = read.estimates(data)["estimate_id"][-1]
    entropy = read.layers(data, estimate_id, 1, "debiased").sort("layer")["entropy"].to_list()
    assert np.sum([bar.y[:-1] for bar in bars], axis=0) == pytest.approx(entropy)
    assert all("±" in text for bar in bars for text in bar.hovertext)
    assert "context" not in registry.build("layers", {"correction": ["null"]})[0].figures
