"""Measures of spectrum, dimension and anisotropy against closed forms, independent computations and whole estimates."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from softh.estimator import spectra
from softh.estimator.measures import jackknife, variational_bound
from softh.estimator.pipeline import estimate
from softh.estimator.spectra import NEIGHBOUR_POSITIONS, SPECTRAL, of_documents, sample_positions, spectral_values
from softh.models import hidden_states
from softh.models.hidden_states import Cache, open_cache
from softh.spec import EstimateSpec
from softh.text.corpus import TokenizedCorpus
from tests.tiny import save_model, save_text

WIDTH = 64


def gaussian(eigenvalues: np.ndarray, positions: int = 40_000, seed: int = 0) -> torch.Tensor:
    """States of a Gaussian whose covariance has these eigenvalues, along random axes."""
    random = np.random.default_rng(seed)
    axes = np.linalg.qr(random.standard_normal((len(eigenvalues), len(eigenvalues))))[0]
    states = random.standard_normal((positions, len(eigenvalues))) * np.sqrt(eigenvalues) @ axes.T
    return torch.from_numpy(states.astype(np.float32))


def values(states: torch.Tensor, folds: int = 4, *, unit: bool = False) -> dict[str, np.ndarray]:
    """Measures by name [1 + folds]; neighbours in the order of positions share a fold."""
    fold = np.arange(len(states)) * folds // len(states)
    return dict(zip(SPECTRAL, spectral_values(states, fold, folds, unit=unit), strict=True))


def entropy(weights: np.ndarray) -> float:
    p = weights / weights.sum()
    return -float(np.sum(p * np.log(p)))


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0, 2.0])
def test_gaussians_of_known_spectrum_have_its_measures(decay: float) -> None:
    """Closed forms of the population; the tolerance of 2 % is that of 40,000 positions in 64 dimensions."""
    known = np.arange(1, WIDTH + 1) ** -decay
    found = values(gaussian(known))
    assert found["rankme"][0] == pytest.approx(math.exp(entropy(np.sqrt(known))), rel=0.02)
    assert found["matrix_entropy"][0] == pytest.approx(entropy(known) / math.log(WIDTH), rel=0.02)
    assert found["participation_ratio"][0] == pytest.approx(known.sum() ** 2 / (known**2).sum(), rel=0.02)
    assert found["alpha_req"][0] == pytest.approx(decay, abs=0.05)
    assert found["anisotropy"][0] == pytest.approx(0, abs=0.002)


def test_measures_are_those_of_the_singular_values_of_unit_states() -> None:
    """An independent computation in float64, by singular values instead of a covariance."""
    states = gaussian(np.arange(1, 41) ** -1.5, 3000) + 0.3
    states[7] *= 1e4
    z = states.double().numpy()
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    sigma = np.linalg.svd(z - z.mean(0), compute_uv=False)
    found = values(states, unit=True)
    assert found["rankme"][0] == pytest.approx(math.exp(entropy(sigma)), rel=1e-5)
    assert found["matrix_entropy"][0] == pytest.approx(entropy(sigma**2) / math.log(40), rel=1e-5)
    assert found["participation_ratio"][0] == pytest.approx((sigma**2).sum() ** 2 / (sigma**4).sum(), rel=1e-5)
    ranks = np.arange(11, 21)
    assert found["alpha_req"][0] == pytest.approx(-np.polyfit(np.log(ranks), np.log(sigma[10:20] ** 2), 1)[0], rel=1e-5)
    cosines = z @ z.T
    assert found["anisotropy"][0] == pytest.approx(cosines[np.triu_indices(len(z), 1)].mean(), rel=1e-6)


def test_one_giant_state_makes_the_spectrum_unless_states_are_of_unit_length() -> None:
    states = gaussian(np.ones(40), 4000)
    states[0] *= 1000
    assert values(states)["participation_ratio"][0] < 1.2
    assert values(states, unit=True)["participation_ratio"][0] > 38


def two_nearest(points: np.ndarray) -> float:
    """TwoNN by a tree: the slope of −log(1 − F) against log μ through the origin, the largest tenth left out."""
    distance = cKDTree(points).query(points, k=3)[0]
    ratio = np.sort(np.log(distance[:, 2] / distance[:, 1]))[: int(0.9 * len(points))]
    share = -np.log(1 - np.arange(1, len(ratio) + 1) / len(points))
    return float(np.linalg.lstsq(ratio[:, None], share, rcond=None)[0][0])


@pytest.mark.parametrize("dimension", [1, 2, 5, 8])
def test_dimension_of_a_manifold_is_known_and_that_of_another_implementation(dimension: int) -> None:
    random = np.random.default_rng(dimension)
    points = random.random((NEIGHBOUR_POSITIONS, dimension)) @ random.standard_normal((dimension, 30)) + 5
    found = values(torch.from_numpy(points.astype(np.float32)))["intrinsic_dimension"][0]
    assert found == pytest.approx(two_nearest(points.astype(np.float32).astype(float)), rel=1e-4)
    assert found == pytest.approx(dimension, rel=0.12)  # 1,024 points give it to 4 % at best, edges make it smaller


def test_equal_states_count_once() -> None:
    points = np.random.default_rng(0).standard_normal((NEIGHBOUR_POSITIONS // 2, 3)).astype(np.float32)
    twice = torch.from_numpy(np.repeat(points, 2, axis=0))
    assert values(twice)["intrinsic_dimension"][0] == pytest.approx(two_nearest(points.astype(float)), rel=1e-4)
    assert np.isnan(values(torch.from_numpy(points[:5].repeat(200, axis=0)))["intrinsic_dimension"]).all()


def test_values_without_a_fold_give_the_errors_of_measuring_the_others_anew() -> None:
    random = np.random.default_rng(1)
    own = np.repeat(random.standard_normal((64, 1, 48)), 64, axis=1) * 0.5
    states = torch.from_numpy((own + random.standard_normal((64, 64, 48))).reshape(-1, 48).astype(np.float32)) + 0.4
    fold = np.arange(64).repeat(64) % 8
    found = spectral_values(states, fold, 8)
    anew = np.stack([spectral_values(states[fold != k], np.zeros((fold != k).sum(), int), 1)[:, 0] for k in range(8)])
    for row, name in enumerate(SPECTRAL[:5]):
        assert jackknife(found[row, 1:]) == pytest.approx(jackknife(anew[:, row]), rel=0.2), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_states_of_half_precision_are_measured(dtype: torch.dtype) -> None:
    states = gaussian(np.arange(1, 65) ** -1.0, 5000)
    half, single = values(states.to(dtype), unit=True), values(states, unit=True)
    for name in ("rankme", "matrix_entropy", "participation_ratio", "alpha_req", "anisotropy"):
        assert half[name][0] == pytest.approx(single[name][0], rel=0.01, abs=1e-4)


def test_what_says_nothing_is_undefined() -> None:
    few = values(gaussian(np.ones(64), 64))
    assert all(np.isnan(few[name]).all() for name in SPECTRAL[:4])
    assert np.isfinite(few["anisotropy"]).all()
    equal = values(torch.ones(500, 30), unit=True)
    assert all(np.isnan(equal[name]).all() for name in (*SPECTRAL[:4], "intrinsic_dimension"))
    assert equal["anisotropy"] == pytest.approx(np.ones(5))
    assert np.isnan(spectral_values(torch.full((9, 4), torch.nan), np.zeros(9, int), 1)).all()


def tokenized(lengths: list[int]) -> TokenizedCorpus:
    ids = tuple(np.arange(length) for length in lengths)
    return TokenizedCorpus(ids, (), (), np.array(lengths), "d", 0, max(lengths))


def test_the_sample_is_bounded_and_leaves_first_positions_out() -> None:
    some = sample_positions(tokenized([5, 1, 3]), 8, 0)
    assert some.document.tolist() == [0, 0, 0, 0, 2, 2]
    assert some.offset.tolist() == [1, 2, 3, 4, 1, 2]
    many = sample_positions(tokenized([400] * 100), 2048, 3)
    assert len(many.document) == 4 * 2048
    assert many.offset.min() >= 1
    assert (np.diff(many.document * 400 + many.offset) > 0).all()
    part, rows = of_documents(many, np.array([70, 3]))
    assert (many.document[rows] == np.array([70, 3])[part.document]).all()


@pytest.fixture
def spec(tmp_path: Path) -> EstimateSpec:
    model, text = save_model(tmp_path / "tiny"), save_text(tmp_path / "text.jsonl", 30)
    return EstimateSpec(model=str(model), corpus=f"file:{text}", documents=30, context=40, draws=2, bins=20, folds=4)


def spectral(spec: EstimateSpec, cache: Cache | None = None) -> dict[tuple[str, int | None], tuple]:
    found = estimate(spec, cache=cache).measures
    return {
        (row.quantity, row.layer): (row.value, row.folds, row.positions) for row in found if row.quantity in SPECTRAL
    }


def test_an_estimate_has_every_measure_of_every_layer_whatever_its_batches_and_cache(
    spec: EstimateSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = spectral(spec)
    assert set(whole) == {(name, layer) for name in SPECTRAL for layer in (None, 0, 1, 2)}
    value, folds, positions = whole["rankme", None]
    assert value == pytest.approx((whole["rankme", 1][0] + whole["rankme", 2][0]) / 2)
    assert len(folds) == 4
    assert positions == 30 * 39
    monkeypatch.setitem(hidden_states.BATCH_TOKENS, "cpu", 130)
    cache = open_cache(tmp_path / "cache")
    for again in (spectral(spec), spectral(spec, cache), spectral(spec, cache)):
        assert {key: row[2] for key, row in again.items()} == {key: row[2] for key, row in whole.items()}
        for key, row in again.items():
            assert row[0] == (None if whole[key][0] is None else pytest.approx(whole[key][0], rel=1e-3)), key


def test_nothing_is_read_again_for_the_measures(spec: EstimateSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = estimate(spec).forward_passes
    monkeypatch.setattr(spectra.SpectralSample, "observe", lambda *_: None)
    monkeypatch.setattr(spectra.SpectralSample, "measures", lambda _: [])
    assert estimate(spec).forward_passes == passes


def test_the_variational_bound_is_entropy_less_cross_entropy() -> None:
    predicted = [np.array([0, 1, 2, 3] * 5), np.array([0, 1, 2, 3] * 2), np.array([3, 2, 1, 0])]
    tokens = np.array([len(ids) for ids in predicted])
    row = variational_bound(0.5 * tokens, predicted, np.arange(3), bins=100)
    assert row.value == pytest.approx((math.log(4) - 0.5) / math.log(100))
    assert row.se_documents == pytest.approx(0, abs=1e-12)
    worse = variational_bound(np.array([20.0, 4, 9]), predicted, np.arange(3), bins=100)
    without = [(math.log(4) - loss / size) / math.log(100) for loss, size in ((13, 12), (29, 24), (24, 28))]
    assert worse.folds == pytest.approx(without)
    assert worse.se_documents == pytest.approx(jackknife(np.array(without)))
