"""Boundaries of phases on curves whose boundaries are known."""

import numpy as np
import polars as pl
import pytest

from softh.analysis import phases
from softh.analysis.differences import jackknife
from softh.analysis.phases import Curve

STEPS = [0, 1, 2, 3, 4, 5, 6, 8, 11, 14, 19, 25, 32, 42, 55, 71, 93, 121, 158, 207, 270, 353, 460, 601, 784, 1024]
PLACES = phases.log_steps(STEPS)


def kink(top: float, rise: float, fall: float) -> np.ndarray:
    return np.where(top > PLACES, rise * (PLACES - top), -fall * (PLACES - top))


def round_top(top: float, rise: float, fall: float) -> np.ndarray:
    away = PLACES - top
    return -np.where(away < 0, rise, fall) * away**2 / (1 + np.abs(away))


def measured(true: np.ndarray, noise: float, rng: np.random.Generator, runs: int = 1, draws: int = 16) -> Curve:
    """As an estimator gives it: errors of draws shared by all checkpoints and not, and an error over documents."""
    shared = rng.standard_normal((runs, 1, draws)) * 2 * noise
    own = rng.standard_normal((runs, len(true), draws)) * 2 * noise
    documents = rng.standard_normal((runs, len(true), 1)) * noise / 2
    values = true[None, :, None] + shared + own + documents
    return Curve(values.mean(axis=2), values, np.full((runs, len(true)), noise / 2))


@pytest.mark.parametrize("shape", [kink, round_top])
@pytest.mark.parametrize(("rise", "fall"), [(0.05, 0.05), (0.06, 0.01), (0.02, 0.06)])
@pytest.mark.parametrize("noise", [0.0005, 0.004])
def test_the_interval_holds_the_boundary_as_often_as_it_says(shape, rise, fall, noise):
    rng = np.random.default_rng(3)
    held = []
    for _ in range(20):
        top = rng.uniform(5.5, 7.5)
        found = phases.extreme(PLACES, measured(0.1 + shape(top, rise, fall), noise, rng), "largest")
        if found:  # a turn that noise can make is not told
            held.append(found.low <= 2**top <= found.high)
    # 16 of 20 or fewer happen in one case of 38 when the true share is .95.
    assert sum(held) > 16 * len(held) / 20
    assert len(held) >= 15


@pytest.mark.parametrize("shape", ["flat", "rising", "saturating", "falling"])
def test_curves_without_a_turn_have_no_phase(shape):
    true = {
        "flat": np.zeros_like(PLACES),
        "rising": 0.001 * PLACES,
        "saturating": 0.1 * (1 - np.exp(-PLACES / 2)),
        "falling": -0.01 * PLACES,
    }[shape]
    rng, curves = np.random.default_rng(5), 100
    told = sum(phases.turns(measured(true, 0.002, rng), "largest") <= 0.05 for _ in range(curves))
    assert told <= 9  # ten or more happen in one case of 35 when the true share is .05


@pytest.mark.parametrize("which", ["least", "largest"])
def test_a_turn_beyond_the_noise_is_told_and_one_within_it_is_not(which):
    sign = -1 if which == "least" else 1
    true = sign * kink(6.5, 0.01, 0.01)
    large, small = (measured(true, noise, np.random.default_rng(1)) for noise in (0.001, 0.05))
    assert phases.turns(large, which) < 0.01
    assert phases.turns(small, which) > 0.05
    assert phases.extreme(PLACES, small, which) is None


def test_without_any_error_no_turn_is_sure():
    values = kink(6.5, 0.05, 0.05)[None]
    assert phases.turns(Curve(values, None, np.zeros_like(values)), "largest") == 1


def test_noise_has_the_covariance_that_its_draws_and_documents_have():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((1, 5, 40))
    curve = Curve(draws.mean(axis=2), draws, np.zeros((1, 5)))
    found = np.cov(curve.noise(60_000, np.random.default_rng(1)).T)
    assert found == pytest.approx(np.cov(draws[0]) / 40 * 39 / 37, rel=0.15, abs=1e-3)


def test_the_fall_of_a_flat_curve_may_be_none_and_that_of_a_peak_is_sure():
    rng = np.random.default_rng(2)
    flat = [phases.fall(measured(np.zeros_like(PLACES), 0.002, rng)).low > 0 for _ in range(100)]
    assert sum(flat) <= 7  # eight or more happen in one case of 270 when the true share is .025
    steep = phases.fall(measured(kink(6.5, 0.05, 0.05), 0.002, rng))
    assert steep.low < 0.05 * 3.5 < steep.high
    assert steep.low > 0.1


@pytest.mark.parametrize("shape", [kink, round_top])
def test_without_noise_the_boundary_is_found_between_checkpoints(shape):
    rng = np.random.default_rng(0)
    for top in (5.6, 6.1, 7.3):
        found = phases.extreme(PLACES, measured(shape(top, 0.06, 0.02), 1e-9, rng), "largest")
        assert np.log2(found.step) == pytest.approx(top, abs=0.12)


def test_more_noise_widens_the_interval():
    widths = []
    for noise in (0.001, 0.01):
        found = phases.extreme(PLACES, measured(kink(6.5, 0.05, 0.05), noise, np.random.default_rng(0)), "largest")
        widths.append(found.high / found.low)
    assert widths[0] < widths[1]


def test_collapse_ends_at_the_least_entropy_and_fitting_at_the_largest_information():
    rng = np.random.default_rng(1)
    # A false maximum of I(Y;Z) before the collapse, where training has not begun, is not the end of fitting.
    output = 0.3 + kink(7, 0.1, 0.03) + np.where(PLACES < 1, 1.0, 0.0)
    found = phases.find(STEPS, measured(0.5 - kink(4, 0.2, 0.1), 0.002, rng), measured(output, 0.002, rng))
    assert found.collapse.low < 2**4 < found.collapse.high
    assert found.fitting.low < 2**7 < found.fitting.high


def test_an_extreme_at_the_end_of_a_run_is_no_boundary():
    rising = measured(PLACES / 10, 0.001, np.random.default_rng(0))
    assert phases.extreme(PLACES, rising, "largest") is None
    assert phases.extreme(PLACES, rising, "least") is None


@pytest.mark.parametrize("checkpoints", [1, 3])
def test_three_checkpoints_hold_no_boundary(checkpoints):
    curve = measured(np.array([0.0, 1.0, 0.0])[:checkpoints], 0.001, np.random.default_rng(0))
    assert phases.extreme(PLACES[:checkpoints], curve, "largest") is None


def test_without_draws_the_standard_errors_make_the_interval():
    values = kink(6.5, 0.05, 0.05)[None]
    widths = [phases.extreme(PLACES, Curve(values, None, np.full_like(values, e)), "largest") for e in (0.001, 0.02)]
    assert widths[0].high / widths[0].low < widths[1].high / widths[1].low


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    same = measured(kink(6.5, 0.05, 0.05), 0.001, rng, runs=3)
    apart = np.stack([measured(kink(top, 0.05, 0.05), 0.001, rng).draws[0] for top in (6, 6.5, 7)])
    other = Curve(apart.mean(axis=2), apart, same.errors)
    widths = [phases.extreme(PLACES, curve, "largest") for curve in (same, other)]
    assert widths[0].high / widths[0].low < widths[1].high / widths[1].low


def test_the_same_curve_gives_the_same_boundary():
    curve = measured(kink(6.5, 0.05, 0.05), 0.003, np.random.default_rng(0))
    assert phases.extreme(PLACES, curve, "largest") == phases.extreme(PLACES, curve, "largest")


def test_a_fall_is_paired_in_folds_and_without_them_as_if_apart() -> None:
    rng = np.random.default_rng(0)
    shared = 0.05 * rng.standard_normal(8)
    true = np.array([0.1, 0.4, 0.3])
    folds = true[:, None] + shared + 0.001 * rng.standard_normal((3, 8))
    errors = np.array([[jackknife(one.tolist()) for one in folds]])
    draws = np.repeat(true[:, None], 4, axis=1)[None]
    paired = phases.fall(Curve(true[None], draws, errors, folds[None]))
    apart = phases.fall(Curve(true[None], draws, errors))
    assert paired.checkpoint == apart.checkpoint == 1
    assert paired.amount == apart.amount == pytest.approx(0.1)
    assert paired.error == pytest.approx(jackknife((folds[1] - folds[2]).tolist()))
    assert paired.error < apart.error / 10
    assert paired.low > 0.09
    assert apart.low == 0
    assert apart.high - apart.amount > 1.96 * apart.error


def test_noise_of_shared_documents_has_the_covariance_of_the_folds() -> None:
    rng = np.random.default_rng(0)
    folds = rng.standard_normal((1, 3, 30)) * 0.01
    curve = Curve(np.zeros((1, 3)), None, np.zeros((1, 3)), folds)
    found = np.cov(curve.resampled(40_000, np.random.default_rng(1)).T)
    centred = folds[0] - folds[0].mean(axis=1, keepdims=True)
    of_student = 29 / 27  # the variance of t with 29 degrees
    assert found == pytest.approx(29 / 30 * of_student * centred @ centred.T, rel=0.1, abs=1e-5)


def test_curves_take_folds_where_every_checkpoint_has_them_of_the_same_documents(points) -> None:
    runs = [{"revision": f"step{step}", "step": step, "tokens": step} for step in (1, 2, 4, 8)]
    rows = points(*runs).filter(pl.col("ngram") == 1, pl.col("correction") == "debiased").sort("step")
    assert phases.curve_of([rows], "output").folds.shape == (1, 4, 8)
    other = rows.with_columns(corpus_digest=pl.when(pl.col("step") == 8).then(pl.lit("x")).otherwise("corpus_digest"))
    assert phases.curve_of([other], "output").folds is None
    old = points(*({**run, "model": "Old", "debiased": False} for run in runs))
    rows = old.filter(pl.col("model") == "Old", pl.col("ngram") == 1, pl.col("correction") == "corrected").sort("step")
    assert phases.curve_of([rows], "output").folds is None
