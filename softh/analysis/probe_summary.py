"""Numbers that sum up a preference probe."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from softh.analysis.correlation.coefficients import correlations
from softh.analysis.standard_errors import combined


def mean_over_layers(measures: pl.DataFrame) -> tuple[float, float]:
    """Mean over the layers of a model, the embedding left out, with its standard error.

    Layers share their pairs, so their errors are averaged: they do not shrink with the number of layers. measures are
    rows of :func:`softh.store.read.preferences` of one quantity; what has no layers is one row.
    """
    layers = measures.filter(pl.col("layer").is_null() | (pl.col("layer") > 0)).to_dicts()
    errors = (combined(row["se_draws"], row["se_documents"]) or 0.0 for row in layers)
    return sum(row["value"] for row in layers) / len(layers), sum(errors) / len(layers)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's ρ, or None for fewer than three points or no spread.

    >>> round(rank_correlation([1, 2, 3], [10, 30, 20]), 9)
    0.5
    """
    if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(correlations(np.array(x, dtype=float)[:, None], np.array(y, dtype=float)[:, None], "spearman")[0, 0])
