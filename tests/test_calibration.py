"""The temperature: the golden table, an independent high-precision solution, and its limits."""

import math

import mpmath
import pytest
from soft_entropy.temp_calibration import find_eps

from softh.errors import InputError
from softh.estimator.calibration import divergence_exact, temperature

GOLDEN = {
    64: (0.03623, 0.04119, 0.03705),
    576: (0.01354, 0.01373, 0.01357),
    4096: (0.005139, 0.005149, 0.005140),
}


def precise_divergence(kappa: mpmath.mpf, dimension: int) -> mpmath.mpf:
    nu = mpmath.mpf(dimension) / 2 - 1
    bessel = mpmath.besseli(nu, kappa)
    log_mean = mpmath.loggamma(nu + 1) + nu * mpmath.log(2 / kappa) + mpmath.log(bessel)
    return kappa * mpmath.besseli(nu + 1, kappa) / bessel - log_mean


def precise_temperature(bins: int, dimension: int) -> float:
    with mpmath.workdps(40):
        start = mpmath.sqrt(2 * dimension * mpmath.log(bins))
        kappa = mpmath.findroot(
            lambda k: precise_divergence(k, dimension) - mpmath.log(bins), (start, 1.2 * start), solver="secant"
        )
        return float(1 / kappa)


@pytest.mark.parametrize("dimension", GOLDEN)
def test_golden_table(dimension: int) -> None:
    for rule, golden in zip(("bound", "leading", "exact"), GOLDEN[dimension], strict=True):
        assert f"{temperature(100, dimension, rule):.4g}" == f"{golden:.4g}"


@pytest.mark.parametrize("dimension", [2, 3, 8, 61, 62, 64, 576, 4096, 16384])
@pytest.mark.parametrize("bins", [10, 100, 1000])
def test_exact_rule_agrees_with_high_precision(bins: int, dimension: int) -> None:
    assert temperature(bins, dimension, "exact") == pytest.approx(precise_temperature(bins, dimension), rel=5e-9)


@pytest.mark.parametrize("dimension", [3, 5, 64, 576, 16384])
def test_bound_rule_matches_the_published_package(dimension: int) -> None:
    for bins in (2, 10, 100, 1000):
        if dimension == 3 and bins == 1000:
            continue  # outside the package's own bracket
        assert temperature(bins, dimension, "bound") == pytest.approx(find_eps(bins, dimension), rel=1e-8)


def test_exact_solution_carries_log_n_nats_and_bound_is_conservative() -> None:
    for dimension in (16, 576, 9000):
        assert divergence_exact(1 / temperature(50, dimension, "exact"), dimension) == pytest.approx(math.log(50))
        assert divergence_exact(1 / temperature(50, dimension, "bound"), dimension) > math.log(50)


@pytest.mark.parametrize(("bins", "dimension", "rule"), [(1, 64, "bound"), (100, 2, "bound"), (100, 1, "exact")])
def test_out_of_range_is_a_sentence(bins: int, dimension: int, rule: str) -> None:
    with pytest.raises(InputError, match="expect"):
        temperature(bins, dimension, rule)
