"""Correlation of quantities with scores: coefficients, intervals and p-values over families, adjustments."""

from softh.analysis.correlation.adjustment import (
    Comparison,
    Effect,
    Line,
    compare,
    line,
    mixed,
    partial,
    plain,
    smallest,
    smallest_here,
    within,
    without_each_family,
    without_each_model,
)
from softh.analysis.correlation.coefficients import METHODS, Method, correlations, weighted
from softh.analysis.correlation.detail import Detail, detail
from softh.analysis.correlation.layer_choice import (
    Chosen,
    at_depths,
    best_looking,
    differences,
    nested,
    with_chosen,
)
from softh.analysis.correlation.matrix import LEAST_MODELS, Matrix, beside, check, matrix, numbered
from softh.analysis.correlation.published import MEAN_SCORE, PUBLISHED, beside_published
from softh.analysis.correlation.resampling import (
    LEAST_FAMILIES,
    Interval,
    around,
    benjamini_hochberg,
    degrees,
    interval,
    intervals,
)
from softh.analysis.correlation.study import FACTS, PREDICTORS, Study, by_layer, finished, matched, training

__all__ = [
    "FACTS", "LEAST_FAMILIES", "LEAST_MODELS", "MEAN_SCORE", "METHODS", "PREDICTORS", "PUBLISHED", "Chosen",
    "Comparison", "Detail", "Effect", "Interval", "Line", "Matrix", "Method", "Study", "around", "at_depths",
    "benjamini_hochberg", "beside", "beside_published", "best_looking", "by_layer", "check", "compare",
    "correlations", "degrees", "detail", "differences", "finished", "interval", "intervals", "line", "matched",
    "matrix", "mixed", "nested", "numbered", "partial", "plain", "smallest", "smallest_here", "training",
    "weighted", "with_chosen", "within", "without_each_family", "without_each_model",
]  # fmt: skip
