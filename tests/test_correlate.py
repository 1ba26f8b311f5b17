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
from statsmodels.regression.mixed_linear_model import MixedLM

from softh.analysis import correlation
from softh.analysis.correlation import METHODS, degrees, intervals, layer_choice, matrix, numbered, weighted
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
        ours = correlation.partial("given", columns[x], columns[y], alone, given, method)
        assert ours.value == pytest.approx(theirs["r"].iloc[0], abs=1e-6)
        assert (ours.p < 0.05) == (ours.low * ours.high > 0)


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
    for _ in range(400):
        both = families(generator, 2)
        x, y = both[:, :1], 0.6 * both[:, :1] + 0.8 * both[:, 1:]
        found = intervals(x, y, family, "pearson")
        held.append(found.low[0, 0] <= 0.6 <= found.high[0, 0])
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize("sizes", [[10] * 3, [5] * 6, [10, 7, 5, 4, 2, 2], [20, 2, 2, 2, 2, 2], [1] * 30])
def test_p_is_as_small_as_it_says_and_siblings_alone_make_no_discovery(sizes: list[int]) -> None:
    generator, family = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes)
    p = []
    for _ in range(30):
        x, y = (
            np.sqrt(0.3) * generator.standard_normal((len(sizes), 8))[family]
            + np.sqrt(0.7) * generator.standard_normal((30, 8))
            for _ in range(2)
        )
        p.append(intervals(x, y, family, "spearman").p)
    assert 0.015 < np.mean(np.array(p) < 0.05) < 0.07
    assert np.mean([(correlation.benjamini_hochberg(one) < 0.05).any() for one in p]) <= 0.17  # 2 of 30 by chance


@pytest.mark.parametrize("method", METHODS)
def test_the_error_is_that_of_leaving_each_family_out(method: correlation.Method) -> None:
    generator, family = np.random.default_rng(0), np.repeat(np.arange(4), [9, 3, 5, 4])
    x, y = generator.standard_normal((2, 21))
    without = [SCIPY[method](x[family != f], y[family != f]).statistic for f in range(4)]
    z = np.arctanh(without)
    error = np.sqrt(3 / 4 * ((z - z.mean()) ** 2).sum())
    found = intervals(x[:, None], y[:, None], family, method)
    assert found.error[0, 0] == pytest.approx(error, rel=1e-6)
    r = SCIPY[method](x, y).statistic
    half = stats.t.ppf(0.975, degrees(np.array([9, 3, 5, 4]))) * error
    assert found.low[0, 0] == pytest.approx(np.tanh(np.arctanh(r) - half), rel=1e-6)
    assert found.p[0, 0] == pytest.approx(
        2 * stats.t.sf(abs(np.arctanh(r)) / error, degrees(np.array([9, 3, 5, 4]))), rel=1e-6
    )


def test_of_many_independent_models_p_is_that_of_other_implementations() -> None:
    generator = np.random.default_rng(2)
    ours, theirs = [], []
    for _ in range(40):
        x = generator.standard_normal(400)
        y = 0.12 * x + generator.standard_normal(400)
        ours.append(intervals(x[:, None], y[:, None], np.arange(400), "spearman").p[0, 0])
        theirs.append(stats.spearmanr(x, y).pvalue)
    assert np.corrcoef(np.log(ours), np.log(theirs))[0, 1] > 0.98
    assert np.mean(np.array(ours) < 0.05) == pytest.approx(np.mean(np.array(theirs) < 0.05), abs=0.08)


def test_degrees_are_those_of_alike_families_and_fewer_where_one_dominates() -> None:
    assert degrees(np.full(6, 5)) == pytest.approx(5)
    assert 2.5 < degrees(np.array([20, 2, 2, 2, 2, 2])) < 4
    assert degrees(np.array([29, 1, 1])) < degrees(np.array([10, 10, 10]))


@pytest.mark.parametrize("models", [4, 5, 8, 44])
@pytest.mark.parametrize("method", METHODS)
def test_a_perfect_order_has_an_interval_with_a_width(models: int, method: correlation.Method) -> None:
    x = np.arange(float(models))[:, None] ** 2
    found = intervals(x, x, np.arange(models), method)
    assert found.low[0, 0] < 0.9999
    assert found.high[0, 0] == pytest.approx(1)
    # Of 5 models 2 of 120 orders are perfect, of 4 models 2 of 24.
    assert (found.p[0, 0] < 0.05) == (found.low[0, 0] > 0) == (models > (5 if method == "pearson" else 4))


def test_p_follows_strength_and_a_column_against_itself_has_the_least() -> None:
    generator, family = np.random.default_rng(3), np.repeat(np.arange(6), [12, 9, 8, 7, 4, 4])
    x, other = generator.standard_normal((2, 44))
    columns = np.column_stack([r * x + np.sqrt(1 - r**2) * other for r in (1, 0.9, 0.5)])
    p = intervals(x[:, None], columns, family, "spearman").p[0]
    assert p[0] < p[1] < p[2]
    assert p[0] < 0.001


def test_an_association_that_rests_on_one_family_has_no_interval_and_says_so() -> None:
    generator, names = np.random.default_rng(0), list("aaaabbbbcccc")
    score = np.where(np.arange(12) < 2, 1.0, 0.0)
    found = matrix(generator.standard_normal((12, 1)), score[:, None], names, ["x"], ["rare"])
    assert np.isnan([found.low[0, 0], found.q[0, 0]]).all()
    assert found.reasons[0, 0].startswith("Without a rare is the same for all models")


def test_families_spelled_differently_are_one_and_unknown_ones_are_one() -> None:
    assert numbered(["Llama 3", "llama-3", " LLAMA_3", "b"]).tolist() == [1, 1, 1, 0]
    assert len(set(numbered(["?", "", "unknown", "None", "x"]).tolist())) == 2


def test_a_planted_effect_is_found() -> None:
    generator = np.random.default_rng(1)
    x = np.concatenate([families(generator, 3), families(generator, 3)])
    other = np.concatenate([families(generator, 1), families(generator, 1)])
    y = np.column_stack([x[:, 0] + 0.3 * generator.standard_normal(60), other])
    found = matrix(x, y, [f"f{i // 5}" for i in range(60)], "abc", ("s", "t"), "pearson")
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
        part = correlation.partial("given size", x, y, family, size[:, None], "pearson")
        held.append(part.low <= 0 <= part.high)
        plain.append(correlation.plain(x, y, family, "pearson").value)
    assert np.mean(plain) > 0.6
    assert np.mean(held) > 0.88


def test_benjamini_hochberg_agrees_with_scipy_and_keeps_gaps() -> None:
    p = np.array([[0.01, 0.04, np.nan], [0.03, 0.5, 0.001]])
    q = correlation.benjamini_hochberg(p)
    assert np.isnan(q[0, 2])
    known = np.isfinite(p)
    assert q[known] == pytest.approx(stats.false_discovery_control(p[known]))


def williams(first: float, second: float, between: float, n: int) -> float:
    """Two-sided p of Williams' test of two correlations that share a variable, for independent models."""
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    scale = 2 * determinant * (n - 1) / (n - 3) + ((first + second) / 2) ** 2 * (1 - between) ** 3
    return float(2 * stats.t.sf(abs(first - second) * np.sqrt((n - 1) * (1 + between) / scale), n - 3))


def test_of_independent_models_two_predictors_differ_as_by_williams_test() -> None:
    # Steiger (1980): r12 = .4, r13 = .5, r23 = .1 of 103 cases, t = −.89 at 100 degrees of freedom.
    assert williams(0.4, 0.5, 0.1, 103) == pytest.approx(2 * stats.t.sf(0.8933, 100), abs=0.01)
    generator, ours, theirs = np.random.default_rng(8), [], []
    for _ in range(40):
        y = generator.standard_normal(300)
        a, b = (r * y + np.sqrt(1 - r**2) * generator.standard_normal(300) for r in (0.6, 0.5))
        found = correlation.compare(a, b, y, np.arange(300), "pearson")
        ours.append(found.p)
        theirs.append(williams(found.first, found.second, found.between, 300))
        assert (found.p < 0.05) == (found.low * found.high > 0)
    assert np.corrcoef(np.log(ours), np.log(theirs))[0, 1] > 0.95
    assert correlation.compare(a, a, y, np.arange(300), "pearson") is None


def test_models_in_families_need_larger_coefficients_than_independent_ones() -> None:
    generator, family = np.random.default_rng(9), np.repeat(np.arange(6), 5)
    for _ in range(20):
        x, y = families(generator, 2).T
        effect = correlation.plain(x, y, family, "pearson")
        here = correlation.smallest_here(effect, np.bincount(family), "pearson")
        assert here > correlation.smallest(30)


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


def test_permuted_scores_are_the_same_scores_and_their_families_stay_as_alike() -> None:
    generator = np.random.default_rng(0)
    family = np.repeat(np.arange(12), 5)
    for alike in (0.0, 2.0):
        y = alike * generator.standard_normal(12)[family] + generator.standard_normal(60)
        permuted = layer_choice.permuted(y, family, 200, generator)
        assert (np.sort(permuted, axis=1) == np.sort(y)).all()
        shares = (
            layer_choice.between(y, family),
            float(np.mean([layer_choice.between(one, family) for one in permuted])),
        )
        assert abs(shares[0] - shares[1]) < 0.12
    assert shares[0] > 0.6


def test_scores_of_single_models_are_permuted_freely() -> None:
    y = np.arange(6.0)
    permuted = layer_choice.permuted(y, np.arange(6), 6_000, np.random.default_rng(0))
    assert layer_choice.between(y, np.arange(6)) == 0
    assert permuted.mean(0) == pytest.approx(y.mean(), abs=0.1)


def test_kendall_of_eight_single_models_is_called_no_more_often_than_exactly() -> None:
    order = np.arange(8.0)
    for swapped, called in (((0, 1, 2, 3, 7, 6, 5, 4), False), ((0, 1, 2, 3, 6, 7, 5, 4), True)):
        exact = stats.kendalltau(order, swapped).pvalue
        p = correlation.intervals(order[:, None], np.array(swapped, float)[:, None], np.arange(8), "kendall").p[0, 0]
        assert (p < 0.05) == (exact < 0.05) == called


def test_a_chosen_layer_is_judged_by_others() -> None:
    generator, family = np.random.default_rng(5), np.repeat(np.arange(6), 5)
    noise, judged, p = [], [], []
    for _ in range(60):
        profiles, y = generator.standard_normal((30, 11)), generator.standard_normal(30)
        noise.append(abs(correlation.best_looking(profiles, y, "pearson")[1]))
        chosen = correlation.nested(profiles, y, family, "pearson", 100)
        judged.append(chosen.value)
        p.append(chosen.p)
        assert (chosen.p < 0.05) == (chosen.low * chosen.high > 0)
    assert np.mean(noise) > 0.3  # the best of eleven looks like something
    assert np.mean(judged) < 0.1
    assert np.mean(np.array(p) < 0.05) < 0.13  # 7 of 60 happen by chance in 1 of 30 cases
    profiles[:, 7] = y + 0.2 * generator.standard_normal(30)
    chosen = correlation.nested(profiles, y, family, "spearman", 100)
    assert (chosen.depths == 0.7).all()
    assert chosen.p < 0.001


@pytest.mark.parametrize("method", METHODS)
def test_a_choice_is_what_choosing_one_family_after_the_other_gives(method: correlation.Method) -> None:
    generator, family = np.random.default_rng(6), np.array([0, 1, 2, 3] * 5)
    profiles, y = generator.standard_normal((20, 4)), generator.standard_normal(20)
    chosen = correlation.nested(profiles, y, family, method, 20)
    if method != "pearson":
        profiles, y = stats.rankdata(profiles, axis=0), stats.rankdata(y)

    def by_hand(kept: np.ndarray) -> np.ndarray:
        values = np.full(20, np.nan)
        for f in set(family[kept].tolist()):
            others = kept & (family != f)
            r = [stats.pearsonr(column[others], y[others]).statistic for column in profiles.T]
            best = int(np.argmax(np.abs(r)))
            column, mine = profiles[:, best], kept & (family == f)
            values[mine] = np.sign(r[best]) * (column[mine] - column[others].mean()) / column[others].std()
        return values

    assert chosen.values == pytest.approx(by_hand(np.ones(20, dtype=bool)))
    assert chosen.value == pytest.approx(stats.pearsonr(chosen.values, y).statistic)
    for g in range(4):
        assert chosen.again[g] == pytest.approx(by_hand(family != g), nan_ok=True)


def test_a_mixed_model_finds_slope_and_families() -> None:
    generator, family = np.random.default_rng(6), np.repeat(np.arange(10), 12)
    x = generator.standard_normal(120)
    y = 2 * x + 3 * generator.standard_normal(10)[family] + 0.5 * generator.standard_normal(120)
    effect, share = correlation.mixed("slope", x, y, family)
    assert effect.value == pytest.approx(2 / y.std() * x.std(), abs=0.05)
    assert share > 0.8


@pytest.mark.filterwarnings("ignore")  # of its optimiser
@pytest.mark.parametrize("sizes", [[10] * 3, [20, 5, 5], [40, *[2] * 19], [15] * 10])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_the_mixed_model_is_that_of_statsmodels(sizes: list[int], spread: float) -> None:
    generator, family = np.random.default_rng(len(sizes)), np.repeat(np.arange(len(sizes)), sizes)
    x, y = generator.standard_normal((2, len(family)))
    y = y + 0.4 * x + spread * generator.standard_normal(len(sizes))[family]
    effect, share = correlation.mixed("slope", x, y, family)
    x, y = ((v - v.mean()) / v.std() for v in (x, y))
    design = np.column_stack([np.ones(len(x)), x])
    theirs = MixedLM(y, design, groups=family).fit(reml=True, method=["powell"])
    between, within = float(np.squeeze(theirs.cov_re)), float(theirs.scale)
    assert effect.value == pytest.approx(theirs.params[1], abs=1e-5)
    assert share == pytest.approx(between / (between + within), abs=1e-4)
    variance = np.linalg.inv(within * np.eye(len(x)) + between * (family[:, None] == family))
    half = stats.norm.ppf(0.975) * np.sqrt(np.linalg.inv(design.T @ variance @ design)[1, 1])
    assert effect.high - effect.value == pytest.approx(half, rel=1e-3)


def test_a_mixed_model_says_what_it_cannot_know() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 12))
    effect, share = correlation.mixed("slope", x, y, np.arange(12))
    assert effect.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert np.isnan(share)
    family = np.repeat(np.arange(3), 4)
    effect, share = correlation.mixed("slope", x, 3 * x, family)
    assert effect.value == pytest.approx(1)
    assert np.isnan([effect.low, share]).all()
    assert np.isnan(correlation.mixed("slope", np.ones(12), y, family)[0].value)


@pytest.mark.parametrize(
    ("models", "family", "words"),
    [
        (3, "abc", "3 models have both"),
        (5, "aaaaa", "of one family, a"),
        (5, "aabbb", "of 2 families, a, b"),
        (1, "a", "1 model has both"),
    ],
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
    found = matrix(x, y, list("aabbcccc"), ("H", "flat"), ("s", "rare", "two families"), "spearman")
    assert np.isfinite(found.value[0]).tolist() == [True, False, False]
    assert found.reasons[0, 2] == "The 4 models that have two families are of 2 families; expected 3."
    assert found.reasons[1, 0] == "flat is 0.25 for all 8 models; a constant has no correlation."
    assert found.reasons[0, 1].startswith("3 models have both H and rare")
    for numbers in (found.low, found.high, found.p, found.q):
        assert np.isnan(numbers[1, 0])
    assert found.n[0, 2] == 4


def test_ties_and_one_family_leave_no_interval() -> None:
    x = np.array([1.0, 1, 2, 2, 3])[:, None]
    assert np.isnan(intervals(x, x[::-1], numbered(list("aaaaa")), "kendall").low[0, 0])
    assert correlation.correlations(x, x, "kendall")[0, 0] == pytest.approx(1)
