"""Correlation of quantities with scores: coefficients, intervals over families, permutation tests, adjustments."""

from softh.analysis.correlation.adjustment import (
    Comparison,
    Effect,
    Line,
    compare,
    line,
    mixed,
    partial,
    partial_p,
    plain,
    smallest,
    smallest_here,
    williams,
    within,
    without_each_family,
    without_each_model,
)
from softh.analysis.correlation.coefficients import METHODS, Method, correlations, weighted
from softh.analysis.correlation.detail import Detail, detail
from softh.analysis.correlation.layer_choice import Chosen, at_depths, best_looking, differences, nested
from softh.analysis.correlation.matrix import LEAST_MODELS, RESAMPLES, Matrix, beside, check, matrix, numbered
from softh.analysis.correlation.resampling import around, benjamini_hochberg, intervals, permutation_p
from softh.analysis.correlation.study import FACTS, PREDICTORS, Study, by_layer, finished, matched, training

__all__ = [
    "FACTS", "LEAST_MODELS", "METHODS", "PREDICTORS", "RESAMPLES", "Chosen", "Comparison", "Detail", "Effect", "Line",
    "Matrix", "Method", "Study", "around", "at_depths", "benjamini_hochberg", "beside", "best_looking", "by_layer",
    "check", "compare", "correlations", "detail", "differences", "finished", "intervals", "line", "matched", "matrix",
    "mixed", "nested", "numbered", "partial", "partial_p", "permutation_p", "plain", "smallest", "smallest_here",
    "training", "weighted", "williams", "within", "without_each_family", "without_each_model",
]  # fmt: skip
