"""Finished models: the last checkpoint, where a post-trained model comes from, and who is beaten by nobody."""

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data import axis_options
from softh.analysis import finished_models


def models(*rows: tuple[str, str | None]) -> pl.DataFrame:
    """Models of one architecture, by name and stage."""
    return pl.DataFrame(
        [{"model": n, "stage": s, "architecture": "A", "layers": 2, "width": 64, "parent": None} for n, s in rows],
        schema_overrides={"stage": pl.String, "parent": pl.String},
    )


def test_the_last_checkpoint_is_that_of_most_tokens_or_the_one_without_a_count() -> None:
    rows = [("run", "step10", 10, 100), ("run", "step9", 9, 90), ("hub", "main", None, None), ("hub", "step5", 5, 50)]
    table = pl.DataFrame(rows, schema=["model", "revision", "step", "tokens"], orient="row")
    found = finished_models.last(table.with_columns(created_at=datetime(2026, 11, 1)))
    assert dict(found.select("model", "revision").rows()) == {"hub": "main", "run": "step10"}


def test_what_the_tables_say_of_a_parent_comes_before_names() -> None:
    table = models(("a", "base"), ("b", "base"), ("b-sft", "sft"), ("c-q4", "base"), ("d", "base"))
    said = {"b-sft": "a", "c-q4": "b", "d": "away"}
    table = table.with_columns(parent=pl.col("model").replace_strict(said, default=None, return_dtype=pl.String))
    assert finished_models.origins(table) == {"b-sft": "a", "c-q4": "b"}


def test_a_model_without_a_stored_parent_comes_from_one_that_has_one() -> None:
    table = models(("x", "base"), ("x-sft", "sft"), ("x-dpo", "dpo"))
    table = table.with_columns(parent=pl.Series([None, "x", None], dtype=pl.String))
    assert finished_models.origins(table) == {"x-sft": "x", "x-dpo": "x-sft"}


def test_a_post_trained_model_comes_from_the_latest_earlier_stage_of_its_name() -> None:
    table = models(
        ("zoo-x-20m (trained here)", "base"),
        ("zoo-x-20m-sft (trained here)", "sft"),
        ("zoo-x-20m-dpo (trained here)", "dpo"),
        ("Y-135M", None),
        ("Y-135M-Instruct", "instruct"),
        ("Y-135M-Instruct (dequantised Q4_1)", "instruct"),
        ("zoo-x-9m (trained here)", "base"),
    )
    assert finished_models.origins(table) == {
        "zoo-x-20m-sft (trained here)": "zoo-x-20m (trained here)",
        "zoo-x-20m-dpo (trained here)": "zoo-x-20m-sft (trained here)",
        "Y-135M-Instruct": "Y-135M",
    }


def test_models_of_another_shape_are_not_related() -> None:
    table = models(("x", "base"), ("x-sft", "sft")).with_columns(width=pl.Series([64, 128]))
    assert finished_models.origins(table) == {}


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12),
    st.sampled_from([1, -1]),
    st.sampled_from([1, -1]),
)
def test_the_frontier_is_all_that_no_other_beats(pairs: list[tuple[int, int]], x_way: int, y_way: int) -> None:
    rows = pl.DataFrame([{"estimate_id": str(i), "x": float(x), "y": float(y)} for i, (x, y) in enumerate(pairs)])
    good = [(x * x_way, y * y_way) for x, y in pairs]
    unbeaten = {
        str(i) for i, (x, y) in enumerate(good) if not any(a >= x and b >= y and (a > x or b > y) for a, b in good)
    }
    assert set(finished_models.pareto(rows, x_way, y_way)) == unbeaten


def test_the_error_of_the_distance_is_that_of_paired_draws() -> None:
    row = {
        "input": 0.3, "output": 0.2, "input_draws": [0.29, 0.31], "output_draws": [0.19, 0.21],
        "input_se_documents": 0.003, "output_se_documents": 0.004, "input_folds": None, "output_folds": None,
    }  # fmt: skip
    folds = dict.fromkeys(("input_folds", "output_folds"), pl.List(pl.Float32))
    [found] = finished_models.with_distance(pl.DataFrame([row], schema_overrides=folds)).to_dicts()
    assert found["distance"] == pytest.approx(0.1)
    assert found["distance_se_draws"] == pytest.approx(0.0, abs=1e-9)  # both move together
    assert found["distance_se_documents"] == pytest.approx(0.005)


def test_a_score_of_the_last_checkpoint_wins_and_earlier_ones_are_left_out() -> None:
    scores = pl.DataFrame(
        [
            {"model": "m", "revision": revision, "task": "cloze", "metric": "accuracy", "score": score, "stderr": 0.01,
             "source": "here"}
            for revision, score in ((None, 0.1), ("step9", 0.2), ("step1", 0.3))
        ]
    )  # fmt: skip
    found = axis_options.finished_scores(scores, pl.DataFrame([{"model": "m", "revision": "step9"}]))
    assert found["score"].to_list() == [0.2]
