"""Cross-validated logistic regression of which answer was preferred on the difference of two answers.

A second estimate beside the information: log-odds w · (x_chosen − x_rejected) of a logistic regression without
intercept, so that only what differs between two answers to one prompt counts. Folds of prompts are held out in turn;
the penalty is chosen for each on a further fold that the fit has not seen.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from softh.blas import one_thread

PENALTIES = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""λ of mean log-loss + λ/2 |w|² over features scaled to a mean squared length of one; strongest first."""


@dataclass(frozen=True)
class CrossValidation:
    """Held-out log-odds that the chosen answer of each pair is the chosen one."""

    odds: np.ndarray  # [pairs] float64

    @property
    def accuracy(self) -> np.ndarray:
        """[pairs] 1 where the pair was ordered correctly, 0 where not, and a half where the odds are even."""
        return (np.sign(self.odds) + 1) / 2

    @property
    def auc(self) -> np.ndarray:
        """[pairs] terms whose mean is the area under the ROC curve of both signs of each difference.

        Term i is the share of pairs j with odds_i + odds_j > 0; twice its spread is that of the mean (a U-statistic).
        """
        order = np.sort(self.odds)
        below = np.searchsorted(order, -self.odds, side="left"), np.searchsorted(order, -self.odds, side="right")
        return 1 - (below[0] + below[1]) / 2 / len(self.odds)

    @property
    def information(self) -> np.ndarray:
        """[pairs] information about the preferred answer in nats, ln 2 − log-loss; negative where worse than chance."""
        return math.log(2) - np.logaddexp(0, -self.odds)


def mean_and_error(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Mean of values [pairs] and its standard error over prompts; `group` [pairs] numbers the prompt of each pair.

    >>> mean_and_error(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    (2.0, 1.0)
    """
    mean, groups = values.mean(), np.unique(group, return_inverse=True)[1]
    sums = np.bincount(groups, values - mean)
    count = len(sums)
    return float(mean), math.sqrt(float((sums**2).sum()) * count / max(1, count - 1)) / len(values)


@one_thread()
def cross_validate(difference: Tensor, fold: np.ndarray, folds: int) -> CrossValidation:
    """Log-odds of every pair from a fit that has not seen its fold.

    Args:
        difference: [pairs, features] float64, chosen less rejected.
        fold: [pairs] int64 from 0 to folds − 1.
        folds: number of folds, at least 3.

    >>> signal = torch.ones(60, 1, dtype=torch.float64)
    >>> cross_validate(signal, np.arange(60) % 3, 3).accuracy.mean()
    np.float64(1.0)
    """
    # The scale of a feature is the same whichever answer comes first: no label enters it.
    scale = difference.square().mean(0).sqrt()
    x = difference / (scale.clamp(min=1e-12) * math.sqrt(difference.shape[1]))
    fold_of_pair = torch.from_numpy(fold).to(x.device)
    test = torch.stack([fold_of_pair == k for k in range(folds)], dim=1)  # [pairs, folds]
    validation = test.roll(1, dims=1)
    weights, losses = None, []
    for penalty in PENALTIES:
        weights = fit(x, ~(test | validation), torch.full((folds,), penalty), weights)
        loss = torch.nn.functional.softplus(-(x @ weights))  # [pairs, folds]
        losses.append((loss * validation).sum(0) / validation.sum(0).clamp(min=1))
    best = torch.tensor(PENALTIES)[torch.stack(losses).argmin(0).cpu()]
    weights = fit(x, ~test, best)
    return CrossValidation((x @ weights).gather(1, fold_of_pair[:, None])[:, 0].cpu().numpy())


def fit(x: Tensor, trained: Tensor, penalty: Tensor, start: Tensor | None = None) -> Tensor:
    """Weights [features, fits] of several logistic regressions at once, by L-BFGS.

    Args:
        x: [pairs, features] float64 differences; every label is one.
        trained: [pairs, fits] bool, which pairs each fit sees.
        penalty: [fits] λ of each.
        start: weights to begin with.
    """
    shape = (x.shape[1], trained.shape[1])
    share = trained / trained.sum(0).clamp(min=1)
    penalty = penalty.to(x)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.from_numpy(flat).to(x.device).view(shape)
        odds = x @ w
        value = (share * torch.nn.functional.softplus(-odds)).sum() + (penalty * w.square().sum(0)).sum() / 2
        slope = penalty * w - x.T @ (share * torch.sigmoid(-odds))
        return value.item(), slope.flatten().cpu().numpy()

    first = np.zeros(shape) if start is None else start.cpu().numpy()
    solution = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300, "gtol": 1e-6})
    return torch.from_numpy(solution.x).to(x.device).view(shape)
