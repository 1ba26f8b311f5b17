"""Differences of estimates: paired in draws and folds where both share them, apart where they do not."""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softh.analysis import differences, finished_models
from softh.analysis.standard_errors import half_width
from softh.store import read, write

FOLDS, DRAWS = 8, 16
SHARED = {"width": 64, "seed": 0, "frame": "iid", "bins": 100, "corpus_digest": "c", "documents": 64}


def row(draws: np.ndarray, folds: np.ndarray, **more: object) -> dict:
    """An estimate with these replicates of I(X;Z), and its own errors."""
    known = {
        "input": float(folds.mean()), "input_draws": draws.tolist(), "input_folds": folds.tolist(),
        "input_se_draws": float(draws.std(ddof=1) / math.sqrt(len(draws))),
        "input_se_documents": differences.jackknife(folds.tolist()), "draws": len(draws), "folds": len(folds),
    }  # fmt: skip
    return SHARED | known | more


def sampled(rng: np.random.Generator, shift: float, text: np.ndarray, directions: np.ndarray, own: float) -> dict:
    """A model whose number is a mean over documents and over draws, most of whose noise is that of text and draws."""
    documents = shift + text + own * rng.standard_normal(text.size)
    folds = np.array([np.delete(documents.reshape(FOLDS, -1), fold, axis=0).mean() for fold in range(FOLDS)])
    return row(documents.mean() + directions + own * rng.standard_normal(DRAWS), folds)


def two(rng: np.random.Generator, own: float) -> tuple[dict, dict]:
    text, directions = 0.1 * rng.standard_normal(64), 0.1 * rng.standard_normal(DRAWS)
    return sampled(rng, 0.3, text, directions, own), sampled(rng, 0.2, text, directions, own)


def test_the_paired_errors_are_those_of_the_differences_and_smaller_than_apart() -> None:
    rng = np.random.default_rng(0)
    found, errors, of_draws = [], [], []
    for _ in range(400):
        first, second = two(rng, own=0.02)
        difference = differences.difference(first, second, "input")
        found.append(difference.value)
        apart = differences.difference(first, second | {"corpus_digest": "d", "seed": 1}, "input")
        errors.append((difference.se_documents, apart.se_documents))
        of_draws.append((difference.se_draws, apart.se_draws))
        assert apart.se_documents == pytest.approx(
            math.hypot(first["input_se_documents"], second["input_se_documents"])
        )
    paired, unpaired = np.sqrt(np.square(errors).mean(axis=0))
    true = np.std(found, ddof=1)
    assert paired == pytest.approx(true, rel=0.1)
    assert unpaired > 3 * true
    assert np.subtract(*np.square(of_draws).mean(axis=0)) < 0
    assert true == pytest.approx(0.02 * math.sqrt(2 / 64), rel=0.15)


def test_the_interval_of_a_difference_of_eight_folds_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held, normal = 0, 0
    for _ in range(2_000):
        difference = differences.difference(*two(rng, own=0.02), "input")
        of_documents = half_width(*difference.of_documents)
        held += abs(difference.value - 0.1) < of_documents
        normal += abs(difference.value - 0.1) < 1.96 * difference.se_documents
    assert 0.93 < held / 2_000 < 0.97
    assert normal / 2_000 < 0.93


@pytest.mark.parametrize(
    "other",
    [{"corpus_digest": "d"}, {"documents": 63}, {"folds": 7}, {"input_folds": None}, {"input_folds": [0.1] * 7},
     {"input_folds": [0.1] * 7 + [None]}],
)  # fmt: skip
def test_documents_that_are_not_shared_or_not_kept_stand_apart(other: dict) -> None:
    first, second = two(np.random.default_rng(2), own=0.02)
    found = differences.difference(first, second | other, "input")
    assert found.se_documents == pytest.approx(math.hypot(first["input_se_documents"], second["input_se_documents"]))


def test_means_over_seeds_are_paired_in_what_seeds_share_and_have_the_error_of_seeds_beside() -> None:
    first, second = two(np.random.default_rng(2), own=0.02)
    joined = second | {"seeds": 3, "input_sd_seeds": 0.3, "input_se_draws": None, "input_se_documents": None}
    alone, found = (differences.difference(first, other, "input") for other in (second, joined))
    assert (found.se_draws, found.se_documents) == (alone.se_draws, alone.se_documents)
    assert found.se_seeds == pytest.approx(0.3 / math.sqrt(3))
    assert found.error == pytest.approx(math.hypot(alone.error, found.se_seeds))
    assert found.half_width > 4.2 * found.se_seeds  # Student's t with two degrees
    assert alone.se_seeds is None
    [row] = differences.of_runs([first | {"step": 1}], [joined | {"step": 1}], "step", ["input"])
    assert row["input_sd_seeds"] == found.se_seeds


def test_an_unknown_error_leaves_the_difference_without_one() -> None:
    first, second = two(np.random.default_rng(3), own=0.02)
    bare = {"input_draws": None, "input_folds": None, "input_se_draws": None, "input_se_documents": None}
    found = differences.difference(first, second | bare, "input")
    assert (found.se_draws, found.se_documents, found.error, found.half_width) == (None, None, None, None)
    assert differences.difference(first, second | {"input": None}, "input").value is None


def test_a_distance_has_the_error_of_the_difference_along_its_line() -> None:
    rng = np.random.default_rng(4)
    first, second = two(rng, own=0.02)
    flat = {"output": 0.1, "output_draws": [0.1] * DRAWS, "output_folds": [0.1] * FOLDS,
            "output_se_draws": 0.0, "output_se_documents": 0.0}  # fmt: skip
    straight = differences.distance(first | flat, second | flat, ["input", "output"])
    alone = differences.difference(first, second, "input")
    assert straight.value == pytest.approx(abs(alone.value))
    assert straight.se_draws == pytest.approx(alone.se_draws)
    assert straight.se_documents == pytest.approx(alone.se_documents)
    assert differences.distance(first | flat, first | flat, ["input", "output"]).value == 0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_the_jackknife_of_means_is_the_standard_error_of_the_mean(values: list[float]) -> None:
    sample = np.array(values)
    without = (sample.sum() - sample) / (len(sample) - 1)
    assert differences.jackknife(without.tolist()) == pytest.approx(
        sample.std(ddof=1) / math.sqrt(len(sample)), abs=1e-9
    )


def test_the_interval_is_that_of_folds_where_they_make_the_error_and_normal_where_the_draws_do() -> None:
    assert half_width((0.001, 31), (1.0, 7)) == pytest.approx(2.365, abs=0.001)
    assert half_width((1.0, 10_000), (0.001, 7)) == pytest.approx(1.96, abs=0.001)
    both = half_width((1.0, 31), (1.0, 7))
    assert 1.96 * math.sqrt(2) < both < 2.365 * math.sqrt(2)
    assert half_width((None, 3), (None, None)) is None
    assert half_width((0.0, 7)) == 0.0


def test_distances_to_the_bound_are_paired_where_folds_are_kept(tmp_path, record: Callable) -> None:
    for name, kept in (("new", True), ("old", False)):
        write.save(record(name, debiased=kept), tmp_path)
    rows = read.trajectory(tmp_path, order=1, correction="corrected")
    found = {row["model"]: row for row in finished_models.with_distance(rows).to_dicts()}
    new, old = found["new"], found["old"]
    apart = [x - y for x, y in zip(new["input_folds"], new["output_folds"], strict=True)]
    assert new["distance_se_documents"] == pytest.approx(differences.jackknife(apart), rel=1e-4)
    assert old["input_folds"] is None
    assert old["distance_se_documents"] == pytest.approx(
        math.hypot(old["input_se_documents"], old["output_se_documents"])
    )


def test_stored_replicates_come_back_with_every_quantity_of_the_plane(tmp_path, record: Callable) -> None:
    write.save(record("a"), tmp_path)
    whole = read.trajectory(tmp_path, order=1, correction="debiased")
    for column in ("input", "output", "optimality", "entropy"):
        [folds] = whole[f"{column}_folds"].to_list()
        assert len(folds) == 8
        assert folds[0] == pytest.approx(whole[column].item(), rel=1e-6)
    assert not [name for name in read.trajectory(tmp_path, draws=False).columns if name.endswith("_folds")]
    further = read.further(tmp_path, ["regularity"], whole["estimate_id"].to_list())
    assert further.filter(pl.col("correction") == "debiased")["regularity_folds"].list.len().to_list() == [8] * 4
