"""Differences along training runs; and nested choice of a layer, by the other families."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softh.analysis.correlation.coefficients import Method, correlations, weighted
from softh.analysis.correlation.matrix import LEAST_MODELS
from softh.errors import InputError

DEPTHS = 11
"""Depths among which a layer is chosen, from the first transformer layer to the last, evenly."""


def differences(values: np.ndarray, run: Sequence[str], clock: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Change of every column of values [n, k] from one checkpoint of a run to the next, and the run of each change.

    Whatever rises or falls while a model trains correlates with whatever else does, related or not, so levels along
    one run say nothing; changes do. clock [n] orders the checkpoints of a run.
    """
    changes, runs = [], []
    for name in sorted(set(run)):
        rows = np.flatnonzero(np.array([other == name for other in run]))
        rows = rows[np.argsort(clock[rows], kind="stable")]
        changes.append(np.diff(values[rows], axis=0))
        runs += [name] * (len(rows) - 1)
    if not runs:
        raise InputError(
            "No run has two checkpoints with a score; expected at least two: estimate more steps of a run that has "
            "scores by step."
        )
    return np.concatenate(changes), runs


@dataclass(frozen=True)
class Chosen:
    """A predictor made of the layer that the other families chose."""

    values: np.ndarray  # [n], standardised on the families that chose, turned so that more predicts more
    depths: np.ndarray  # [families] depth chosen without that family, 0 the first transformer layer, 1 the last


def at_depths(profile: np.ndarray) -> np.ndarray:
    """Values [DEPTHS] of a profile [layers] of transformer layers, interpolated over relative depth."""
    return np.interp(np.linspace(0, 1, DEPTHS), np.linspace(0, 1, len(profile)), profile)


def nested(profiles: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method) -> Chosen:
    """For each family the depth of profiles [n, depths] that predicts y [n] best among all other families.

    A best-looking layer is the best of many, and looks better than it is; here no model is judged by a layer that its
    own score helped to choose. Raises InputError for fewer than three families.
    """
    families = int(family.max()) + 1
    if families < 3 or len(y) < LEAST_MODELS:
        raise InputError(
            f"{families} families have scores; expected at least three to choose a layer on some and judge it on "
            "another: take the mean over layers."
        )
    coefficients = weighted(profiles, y[:, None], family, 1 - np.eye(families), method)[..., 0]  # [families, depths]
    best = np.nanargmax(np.where(np.isfinite(coefficients), np.abs(coefficients), -1), axis=1)
    values = np.empty(len(y))
    for f, depth in enumerate(best):
        column, out = profiles[:, depth], family == f
        spread = column[~out].std() or 1.0
        values[out] = np.sign(coefficients[f, depth]) * (column[out] - column[~out].mean()) / spread
    return Chosen(values, best / (profiles.shape[1] - 1))


def best_looking(profiles: np.ndarray, y: np.ndarray, method: Method) -> tuple[float, float]:
    """Depth and coefficient of the layer of largest |coefficient| over all models: optimistic, as the best of many."""
    coefficients = correlations(profiles, y[:, None], method)[:, 0]
    best = int(np.nanargmax(np.abs(coefficients)))
    return best / (profiles.shape[1] - 1), float(coefficients[best])
