"""The published table of 47 models beside ours: the same predictors against the mean score and every benchmark."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from softh.analysis.correlation.adjustment import partial, plain
from softh.analysis.correlation.matrix import LEAST_MODELS, numbered
from softh.analysis.correlation.resampling import LEAST_FAMILIES
from softh.analysis.correlation.study import PREDICTORS, Study
from softh.blas import one_thread
from softh.quantities import CORRECTION_NAMES

MEAN_SCORE = "mean score"
PUBLISHED = {
    PREDICTORS["input"]: -0.38,
    PREDICTORS["output"]: 0.08,
    PREDICTORS["optimality"]: 0.52,
    PREDICTORS["preference"]: 0.76,
}
"""Predictor → Pearson's coefficient with the mean of six benchmarks over 47 open-weight models, token back-off, raw
(Conklin et al., ICLR 2026, arXiv 2604.07569)."""
_SIZE = "log parameters"


@one_thread()
def beside_published(studies: Mapping[str, Study], scores: tuple[str, ...]) -> pl.DataFrame:
    """One row a correction, predictor and score: Pearson's coefficient, and the same given the log of parameters.

    studies: correction → study. Columns: correction, predictor, score, published (None but for the mean score), r, low,
    high, p, n, families, r_given_size, low_given_size, high_given_size. What cannot be correlated is left out.
    """
    rows = []
    for correction, study in studies.items():
        with_mean = _with_mean(study, _common(study, scores))
        for predictor in PUBLISHED:
            if predictor in study.predictors:
                rows += [row for score in with_mean.scores if (row := _row(with_mean, predictor, score, correction))]
    return pl.DataFrame(rows)


def _common(study: Study, scores: tuple[str, ...]) -> tuple[str, ...]:
    """Scores that at least half as many models have as the most common one: a mean needs all of a model's."""
    counts = {name: int(np.isfinite(study.y[:, study.scores.index(name)]).sum()) for name in scores}
    return tuple(name for name in scores if counts[name] >= max(counts.values()) / 2)


def _with_mean(study: Study, scores: tuple[str, ...]) -> Study:
    """The study of some scores with their mean first, each in standard deviations over the models that have all."""
    columns = [study.scores.index(name) for name in scores]
    y = study.y[:, columns]
    whole = np.isfinite(y).all(axis=1)
    spread = y[whole].std(axis=0) if whole.any() else np.ones(len(columns))
    scaled = (y - y[whole].mean(axis=0)) / np.where(spread > 0, spread, 1) if whole.any() else y
    mean = np.where(whole, scaled.mean(axis=1), np.nan)[:, None]
    gap = np.full_like(mean, np.nan)
    return replace(
        study, scores=(MEAN_SCORE, *scores), y=np.hstack([mean, y]),
        y_error=np.hstack([gap, study.y_error[:, columns]]),
    )  # fmt: skip


def _row(study: Study, predictor: str, score: str, correction: str) -> dict[str, object] | None:
    cell = study.cell(predictor, score)
    x, y, family = cell.x[:, 0], cell.y[:, 0], numbered(cell.family)
    if len(x) < LEAST_MODELS or len(set(family.tolist())) < LEAST_FAMILIES:
        return None
    whole = plain(x, y, family, "pearson")
    size = cell.given.get(_SIZE)
    given = None
    if size is not None and np.isfinite(size).all() and np.ptp(size) > 0:
        given = partial(_SIZE, x, y, family, size[:, None], "pearson")
    row: dict[str, object] = {
        "correction": CORRECTION_NAMES[correction], "predictor": predictor, "score": score,
        "published": PUBLISHED[predictor] if score == MEAN_SCORE else None,
        "r": whole.value, "low": whole.low, "high": whole.high, "p": whole.p, "n": whole.n, "families": whole.families,
    }  # fmt: skip
    ends = {"r": "value", "low": "low", "high": "high"}
    return row | {f"{name}_given_size": getattr(given, end) if given else None for name, end in ends.items()}
