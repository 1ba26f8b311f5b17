"""The temperature: how sharply a hidden state is assigned to its reference directions.

A hidden state on the unit sphere S^(d-1) is blurred by a von Mises–Fisher density of concentration κ = 1/ε.
The temperature ε is the one whose blur carries log n nats, KL(vMF(κ) ‖ uniform) = log n, so that n bins can
just resolve it (Conklin 2025, arXiv 2505.23960, eq. 7).
"""

import math
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.special import gammaln, ive

from softh.errors import InputError
from softh.spec import TemperatureRule

# Above this order Debye's expansion to the fifth term is better than 1e-9; below it `ive` cannot underflow.
_DEBYE_FROM = 30.0


def temperature(bins: int, dimension: int, rule: TemperatureRule = "bound") -> float:
    """Temperature ε of the softmax over `bins` reference directions in `dimension` dimensions.

    Args:
        bins: reference directions, n, at least 2.
        dimension: width of the hidden states, d.
        rule: ``bound`` solves KL = log n on Amos' lower bound of KL (as published numbers do), ``exact`` uses Bessel
            functions, ``leading`` is the leading order 1/√(2 d log n) of both.

    Raises:
        InputError: for fewer than 2 bins, or too few dimensions (3 for the bound, which is singular at 2; 2 for exact).

    Source: Conklin 2025, arXiv 2505.23960, eq. 7; the bound of the Bessel ratio is Amos' (1974).

    >>> round(temperature(100, 768), 6)
    0.011768
    >>> temperature(100, 768, "leading") == (2 * 768 * math.log(100)) ** -0.5
    True
    """
    if bins < 2:
        raise InputError(f"bins was {bins}; expected at least 2: try --bins 100.")
    least = {"bound": 3, "exact": 2, "leading": 1}[rule]
    if dimension < least:
        raise InputError(
            f"The hidden states have {dimension} dimensions; the {rule} rule expects at least {least}: "
            "choose another calibration."
        )
    if rule == "leading":
        return 1 / math.sqrt(2 * dimension * math.log(bins))
    divergence = _divergence_bound if rule == "bound" else divergence_exact
    return 1 / _solve(lambda kappa: divergence(kappa, dimension) - math.log(bins), dimension, bins)


def divergence_exact(kappa: float, dimension: int) -> float:
    """KL(vMF(κ) ‖ uniform) on S^(d-1) in nats: κ A(κ) − log E[exp(κ t)] under the uniform measure.

    >>> epsilon = temperature(100, 768, "exact")
    >>> math.isclose(divergence_exact(1 / epsilon, 768), math.log(100))
    True
    """
    nu = dimension / 2 - 1
    log_mean = float(gammaln(nu + 1)) + nu * math.log(2 / kappa) + _log_bessel(nu, kappa)
    return kappa * _bessel_ratio(nu, kappa) - log_mean


def _divergence_bound(kappa: float, dimension: int) -> float:
    """A lower bound of :func:`divergence_exact`: A from below, log E from above (Amos 1974)."""
    half, nu = dimension / 2, dimension / 2 - 1
    ratio = kappa / (half + math.hypot(kappa, half))
    root = math.hypot(kappa, nu)
    return kappa * ratio - (root - nu + nu * math.log(2 * nu / (nu + root)))


def _solve(excess: Callable[[float], float], dimension: int, bins: int) -> float:
    """Root of an increasing function of κ, bracketed around the leading order."""
    low = high = math.sqrt(2 * dimension * math.log(bins))
    while excess(low) > 0:
        low /= 2
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, low, high, xtol=1e-13 * high, rtol=1e-13))


def _bessel_ratio(nu: float, kappa: float) -> float:
    """I_(ν+1)(κ) / I_ν(κ) = 1/(2(ν+1)/κ + 1/(2(ν+2)/κ + …)), summed from below: all terms are positive."""
    ratio = 0.0
    # Once ν + k exceeds κ a step divides the error by at least four; sixty more reach double precision.
    for step in range(int(kappa) + 60, 0, -1):
        ratio = 1 / (2 * (nu + step) / kappa + ratio)
    return ratio


def _log_bessel(nu: float, kappa: float) -> float:
    """log I_ν(κ), by the uniform asymptotic expansion where scaled Bessel functions underflow."""
    if nu < _DEBYE_FROM:
        return math.log(ive(nu, kappa)) + kappa
    z = kappa / nu
    root = math.hypot(1, z)
    eta = root + math.log(z / (1 + root))
    return nu * eta - 0.5 * math.log(2 * math.pi * nu * root) + math.log(_debye(1 / root, nu))


def _debye(t: float, nu: float) -> float:
    """1 + Σ u_k(t)/ν^k for k up to 4 (NIST DLMF 10.41.10)."""
    s = t * t
    u = (
        t * (3 - 5 * s) / 24,
        s * (81 + s * (-462 + 385 * s)) / 1152,
        t * s * (30375 + s * (-369603 + s * (765765 - 425425 * s))) / 414720,
        s * s * (4465125 + s * (-94121676 + s * (349922430 + s * (-446185740 + 185910725 * s)))) / 39813120,
    )
    return 1 + sum(term / nu**power for power, term in enumerate(u, 1))
