"""Correlations: agreement with independent implementations, coverage, false discoveries, and refusals in words."""

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import datasets
from statsmodels.datasets import longley, stackloss

from softh.analysis import correlation
from softh.analysis.correlation import METHODS, intervals, matrix, numbered, permutation_p, weighted
from softh.errors import InputError

SCIPY = {"spearman": stats.spearmanr, "pearson": stats.pearsonr, "kendall": stats.kendalltau}


def published() -> dict[str, tuple[pd.DataFrame, str, str, list[str]]]:
    """Data set → table, predictor, score, controls."""
    iris = datasets.load_iris(as_frame=True).frame
    return {
        "longley": (longley.load_pandas().data, "GNP", "TOTEMP", ["YEAR", "UNEMP"]),
        "stackloss": (stackloss.load_pandas().data, "AIRFLOW", "STACKLOSS", ["WATERTEMP"]),
        "iris": (iris, "sepal length (cm)", "petal width (cm)", ["petal length (cm)", "sepal width (cm)"]),
    }


@pytest.mark.parametrize("name", ["longley", "stackloss", "iris"])
def test_coefficients_and_partials_agree_with_pingouin(name: str) -> None:
    table, x, y, controls = published()[name]
    columns = {column: table[column].to_numpy(float) for column in (x, y, *controls)}
    given = np.column_stack([columns[column] for column in controls])
    alone = np.arange(len(table))
    for method in METHODS:
        theirs = pingouin.corr(table[x], table[y], method=method)["r"].iloc[0]
        ours = correlation.correlations(columns[x][:, None], columns[y][:, None], method)[0, 0]
        assert ours == pytest.approx(theirs, abs=1e-6)
    for method in ("pearson", "spearman"):
        theirs = pingouin.partial_corr(table, x, y, controls, method=method)
        ours = correlation.partial("given", columns[x], columns[y], alone, given, method, 2)
        assert ours.value == pytest.approx(theirs["r"].iloc[0], abs=1e-6)
        p = correlation.partial_p(ours.value, len(table), len(controls))
        assert p == pytest.approx(theirs.filter(regex="^p").iloc[0, 0], abs=1e-6)


@given(st.integers(0, 10**6))
@example(564790)  # one family only, in which x is constant
def test_weights_are_copies_of_families(seed: int) -> None:
    generator = np.random.default_rng(seed)
    family = generator.integers(0, 4, 20)
    family[:4] = range(4)
    x, y = generator.integers(0, 5, 20).astype(float), generator.standard_normal(20).round(1)
    weights = generator.multinomial(4, [0.25] * 4)
    copies = np.concatenate([np.tile(np.flatnonzero(family == f), k) for f, k in enumerate(weights)])
    for method in METHODS:
        found = weighted(x[:, None], y[:, None], family, weights[None].astype(float), method)[0, 0, 0]
        if np.ptp(x[copies]) == 0 or np.ptp(y[copies]) == 0:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(SCIPY[method](x[copies], y[copies]).statistic, abs=1e-5)


def families(generator: np.random.Generator, columns: int, share: float = 0.5) -> np.ndarray:
    family = np.repeat(np.arange(6), 5)
    effects, own = generator.standard_normal((6, columns)), generator.standard_normal((30, columns))
    return np.sqrt(share) * effects[family] + np.sqrt(1 - share) * own


def test_intervals_cover_with_few_families() -> None:
    generator = np.random.default_rng(0)
    family, held = np.repeat(np.arange(6), 5), []
    for number in range(300):
        both = families(generator, 2)
        x, y = both[:, :1], 0.6 * both[:, :1] + 0.8 * both[:, 1:]
        low, high = intervals(x, y, family, "pearson", 500, number)
        held.append(low[0, 0] <= 0.6 <= high[0, 0])
    assert 0.92 <= np.mean(held) <= 0.98


def test_siblings_alone_make_no_discovery() -> None:
    generator = np.random.default_rng(0)
    family = np.repeat(np.arange(6), 5)
    p = [
        permutation_p(families(generator, 5), families(generator, 5), family, "spearman", 200, number)
        for number in range(100)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean([(correlation.benjamini_hochberg(one) < 0.05).any() for one in p]) <= 0.05
    free = permutation_p(families(generator, 30), families(generator, 30), np.arange(30), "spearman", 500)
    assert np.mean(free < 0.05) > 0.1  # what permuting models freely would have called


def test_a_planted_effect_is_found() -> None:
    generator = np.random.default_rng(1)
    x = np.concatenate([families(generator, 3), families(generator, 3)])
    other = np.concatenate([families(generator, 1), families(generator, 1)])
    y = np.column_stack([x[:, 0] + 0.3 * generator.standard_normal(60), other])
    found = matrix(x, y, [f"f{i // 5}" for i in range(60)], "abc", ("s", "t"), "pearson", 2000)
    assert found.q[0, 0] < 0.05
    assert found.low[0, 0] > 0.5
    assert (found.q.ravel()[1:] > 0.05).all()


def test_partial_finds_the_planted_zero() -> None:
    generator = np.random.default_rng(2)
    held, plain = [], []
    for _ in range(60):
        size = families(generator, 1)[:, 0]
        x, y = (size + 0.5 * families(generator, 1)[:, 0] for _ in range(2))
        family = np.repeat(np.arange(6), 5)
        part = correlation.partial("given size", x, y, family, size[:, None], "pearson", 500)
        held.append(part.low <= 0 <= part.high)
        plain.append(correlation.plain(x, y, family, "pearson", 500).value)
    assert np.mean(plain) > 0.6
    assert np.mean(held) > 0.88


def test_benjamini_hochberg_agrees_with_scipy_and_keeps_gaps() -> None:
    p = np.array([[0.01, 0.04, np.nan], [0.03, 0.5, 0.001]])
    q = correlation.benjamini_hochberg(p)
    assert np.isnan(q[0, 2])
    known = np.isfinite(p)
    assert q[known] == pytest.approx(stats.false_discovery_control(p[known]))


def test_williams_agrees_with_a_worked_example() -> None:
    # Steiger (1980): r12 = .4, r13 = .5, r23 = .1 of 103 cases, t = −.89 at 100 degrees of freedom.
    t, p = correlation.williams(0.4, 0.5, 0.1, 103)
    assert t == pytest.approx(-0.89, abs=0.01)
    assert p == pytest.approx(2 * stats.t.sf(0.8933, 100), abs=0.01)


def test_the_smallest_effect_has_the_power_it_says() -> None:
    generator, n = np.random.default_rng(3), 30
    rho = correlation.smallest(n)
    x = generator.standard_normal((4000, n))
    y = rho * x + np.sqrt(1 - rho**2) * generator.standard_normal((4000, n))
    seen = np.mean([stats.pearsonr(a, b).pvalue < 0.05 for a, b in zip(x[:1000], y[:1000], strict=True)])
    assert seen == pytest.approx(0.8, abs=0.05)


def test_trends_correlate_in_levels_and_not_in_differences() -> None:
    generator = np.random.default_rng(4)
    walks = generator.standard_normal((60, 2)).cumsum(0) + np.arange(60)[:, None]
    assert abs(np.corrcoef(walks.T)[0, 1]) > 0.9
    changes, runs = correlation.differences(walks, ["a"] * 60, np.arange(60.0))
    assert abs(np.corrcoef(changes.T)[0, 1]) < 0.3
    assert runs == ["a"] * 59


def test_a_chosen_layer_is_judged_by_others() -> None:
    generator, family = np.random.default_rng(5), np.repeat(np.arange(6), 5)
    noise, nested = [], []
    for _ in range(40):
        profiles, y = generator.standard_normal((30, 11)), generator.standard_normal(30)
        noise.append(abs(correlation.best_looking(profiles, y, "pearson")[1]))
        chosen = correlation.nested(profiles, y, family, "pearson")
        nested.append(np.corrcoef(chosen.values, y)[0, 1])
    assert np.mean(noise) > 0.3  # the best of eleven looks like something
    assert np.mean(nested) < 0.1
    profiles[:, 7] = y + 0.2 * generator.standard_normal(30)
    assert (correlation.nested(profiles, y, family, "pearson").depths == 0.7).all()


def test_a_mixed_model_finds_slope_and_families() -> None:
    generator, family = np.random.default_rng(6), np.repeat(np.arange(10), 12)
    x = generator.standard_normal(120)
    y = 2 * x + 3 * generator.standard_normal(10)[family] + 0.5 * generator.standard_normal(120)
    effect, share = correlation.mixed("slope", x, y, family)
    assert effect.value == pytest.approx(2 / y.std() * x.std(), abs=0.05)
    assert share > 0.8


@pytest.mark.parametrize(
    ("models", "family", "words"),
    [(3, "abc", "3 models have both"), (5, "aaaaa", "of one family, a"), (1, "a", "1 model has both")],
)
def test_too_little_is_refused_in_a_sentence(models: int, family: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        matrix(np.ones((models, 1)), np.ones((models, 1)), list(family), ["x"], ["y"])


def test_gaps_and_constants_give_reasons_and_no_number() -> None:
    generator = np.random.default_rng(7)
    x = np.column_stack([generator.standard_normal(8), np.full(8, 0.25)])
    y = generator.standard_normal((8, 3))
    y[3:, 1] = np.nan
    y[4:, 2] = np.nan
    found = matrix(x, y, list("aabbcccc"), ("H", "flat"), ("s", "rare", "two families"), "spearman", 200)
    assert np.isfinite(found.value[0]).tolist() == [True, False, True]
    assert found.reasons[1, 0] == "flat is 0.25 for all 8 models; a constant has no correlation."
    assert found.reasons[0, 1].startswith("3 models have both H and rare")
    for numbers in (found.low, found.high, found.p, found.q):
        assert np.isnan(numbers[1, 0])
    assert found.n[0, 2] == 4


def test_ties_and_one_family_leave_no_interval() -> None:
    x = np.array([1.0, 1, 2, 2, 3])[:, None]
    low, _ = intervals(x, x[::-1], numbered(list("aaaaa")), "kendall", 50)
    assert np.isnan(low[0, 0])
    assert correlation.correlations(x, x, "kendall")[0, 0] == pytest.approx(1)
