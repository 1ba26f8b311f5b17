"""The words and number formats on the screen."""

import pytest

from dashboard.format import checkpoint_name, corpus_note, count, hover_text, plus_minus, standard_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.20312, 0.00417, "0.2031 ± 0.0042"),
        (0.5, 0.08, "0.500 ± 0.080"),
        (0.20312, None, "0.2031 ± ?"),
        (0.20312, 0.0, "0.2031 ± ?"),
        (None, 0.1, "undefined"),
        (1.0, 1e-12, "1.000000 ± 0.000000"),
        (12.0, 3.0, "12.00 ± 3.00"),
    ],
)
def test_a_value_is_shown_to_the_second_digit_of_its_error(value, error, text):
    assert plus_minus(value, error) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "unknown"), (0, "0"), (999, "999"), (1_000, "1k"), (8_388_608, "8.39M"), (4.19e12, "4.19T")],
)
def test_counts_have_three_digits_and_a_letter(number, text):
    assert count(number) == text


def test_both_errors_combine_and_a_missing_one_leaves_the_other():
    row = {"input_se_draws": 0.003, "input_se_documents": 0.004}
    assert standard_error(row, "input") == pytest.approx(0.005)
    assert standard_error(row | {"input_se_draws": None}, "input") == 0.004
    assert standard_error({"input_se_draws": None, "input_se_documents": None}, "input") is None


def test_a_checkpoint_is_called_by_its_step_where_it_has_one():
    assert checkpoint_name({"step": 1_000, "revision": "stage1-step1000-tokens3B"}) == "step 1,000"
    assert checkpoint_name({"step": None, "revision": "main"}) == "main"


def test_a_shipped_corpus_says_what_it_is():
    assert "fiction before 1930" in corpus_note("books-heldout")
    assert corpus_note("my.jsonl") == "my.jsonl"


def test_the_card_of_one_draw_says_that_its_error_is_unknown(points):
    row = points().row(0, named=True) | {"input_se_draws": None, "input_se_documents": None}
    assert "error unknown: one draw" in hover_text(row, "Tiny")
