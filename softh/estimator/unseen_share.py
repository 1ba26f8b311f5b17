"""The share of a label's spread that few occurrences do not show, computed once for a number of bins.

Source: softh's own derivation, in docs/debiasing.md. `python -m softh.estimator.unseen_share` writes the table that is
shipped.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import softmax

_GROUPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)
"""Occurrences g for which the share is tabulated."""
_LAST_EXACT = 256
"""From here on g · φ is constant; the sums of the table are too short to show more."""
_WITHIN = (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.43, 0.52, 0.62, 0.72, 0.82, 0.91, 1.0)
"""Parts of the variance of the logits that lie within a label."""
_OCCURRENCES = 3072
_LABELS = {2: 96, 4: 96, 8: 96, 16: 96, 32: 96, 64: 96, 100: 384, 128: 96, 256: 96, 512: 96, 1024: 96}
"""Bins → labels that are simulated for each row of their table. With 48 labels the sampling error of the table of 100
bins moves I(X) by .3 to 1 %."""
_TABLES = ("spread", "unseen", "variance")
_SHIPPED = Path(__file__).with_name("unseen_share.npz")


@dataclass(frozen=True)
class UnseenShare:
    """The share φ(g, s) of a spread of s nats that g occurrences do not show yet, for one number of bins.

    Computed for softmax over Gaussian logits of total variance 2 log(bins), of which a part lies within the label:
    what soft assignments are for wide hidden states at the usual temperature. Every order of the bias depends on
    that part alone, hence on s.
    """

    spread: np.ndarray  # [parts]
    log_group: np.ndarray  # [groups]
    scaled: np.ndarray  # [parts, groups] g · φ
    variance: np.ndarray  # [parts, groups] of the gain of one label

    def times_group(self, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        """g · φ(g, s), interpolated in s and log g."""
        return self._interpolated(self.scaled, group, spread)

    def gain_variance(self, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        """Variance of the gain of one label with g occurrences."""
        return self._interpolated(self.variance, group, spread)

    def _interpolated(self, table: np.ndarray, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        group, spread = np.broadcast_arrays(np.asarray(group, float), np.asarray(spread, float))
        spread = np.clip(spread, 0, 1.2 * self.spread[-1])
        row = np.clip(np.searchsorted(self.spread, spread) - 1, 0, len(self.spread) - 2)
        along = (spread - self.spread[row]) / (self.spread[row + 1] - self.spread[row])
        log_group = np.clip(np.log(np.maximum(group, 1)), 0, self.log_group[-1])
        column = np.clip(np.searchsorted(self.log_group, log_group, side="right") - 1, 0, len(self.log_group) - 2)
        across = (log_group - self.log_group[column]) / (self.log_group[column + 1] - self.log_group[column])
        low, high = (table[at, column] * (1 - across) + table[at, column + 1] * across for at in (row, row + 1))
        return low * (1 - along) + high * along


@cache
def unseen_share(bins: int) -> UnseenShare:
    """The table for a number of bins: between those that are shipped, interpolated in log(bins).

    >>> bool(unseen_share(100).times_group(2, 1.0) > 1)
    True
    """
    with np.load(_SHIPPED) as stored:
        spread, unseen, variance = (_at(bins, stored["bins"], stored[name]) for name in _TABLES)
    groups = np.array(_GROUPS, float)
    scaled, last = unseen * groups, _GROUPS.index(_LAST_EXACT)
    scaled[:, last + 1 :] = scaled[:, last : last + 1]
    variance[:, last + 1 :] = variance[:, last : last + 1] * groups[last] / groups[last + 1 :]
    scaled[:, 0], variance[:, 0] = 1, 0
    ones, zeros = np.ones((1, len(groups))), np.zeros((1, len(groups)))
    return UnseenShare(np.array([0, *spread]), np.log(groups), np.vstack([ones, scaled]), np.vstack([zeros, variance]))


def _at(bins: int, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [tables, …] at a number of bins; beyond the last table its values."""
    place = np.clip(np.interp(math.log(bins), np.log(known), np.arange(len(known))), 0, len(known) - 1)
    low = min(int(place), len(known) - 2)
    return values[low] * (low + 1 - place) + values[low + 1] * (place - low)


def simulate(bins: int, part: int, labels: int) -> tuple[float, np.ndarray, np.ndarray]:
    """One row of a table: the spread in nats, and by group the unseen share and the variance of the gain."""
    rng = np.random.default_rng((bins, part))
    scale, within = math.sqrt(2 * math.log(bins)), _WITHIN[part]
    gain, variance, spread = np.zeros(len(_GROUPS)), np.zeros(len(_GROUPS)), 0.0
    for _ in range(labels):
        noise = rng.standard_normal((_OCCURRENCES, bins))
        logits = scale * (math.sqrt(1 - within) * rng.standard_normal(bins) + math.sqrt(within) * noise)
        p = softmax(logits, axis=1)
        own = _entropy(p)
        halves = _entropy(p.reshape(2, -1, bins).mean(1)).mean()
        spread += float(2 * _entropy(p.mean(0)) - halves - own.mean())
        for at, group in enumerate(_GROUPS):
            groups = _OCCURRENCES // group
            means = p[: groups * group].reshape(groups, group, bins).mean(1)
            gains = _entropy(means) - own[: groups * group].reshape(groups, group).mean(1)
            gain[at] += gains.mean()
            variance[at] += gains.var(ddof=1)
    return spread / labels, 1 - gain / spread, variance / labels


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


if __name__ == "__main__":
    rows = {bins: [simulate(bins, part, count) for part in range(len(_WITHIN))] for bins, count in _LABELS.items()}
    stacked = {name: np.array([[row[at] for row in of] for of in rows.values()]) for at, name in enumerate(_TABLES)}
    stacked["bins"] = np.array(list(rows))
    np.savez_compressed(_SHIPPED, allow_pickle=False, **stacked)
