"""One predictor and one score in detail: adjusted, without each family, compared with the loss."""

from dataclasses import dataclass

import numpy as np

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
from softh.analysis.correlation.coefficients import Method
from softh.analysis.correlation.matrix import check, numbered
from softh.analysis.correlation.study import Study
from softh.blas import one_thread
from softh.errors import InputError


@dataclass(frozen=True)
class Detail:
    """One cell of the matrix in detail."""

    plain: Effect
    adjusted: tuple[Effect, ...]
    """Given size, tokens and both, within families, and the slope of a mixed model."""
    between_families: float
    """Share of the score's variance left by the mixed model that lies between families."""
    without_family: tuple[Effect, ...]
    without_model: Effect
    """Least and greatest coefficient without any one model, as the ends."""
    line: Line
    rival: Comparison | None
    """Against the loss, or None where it is not known for all of these models or is the predictor."""
    smallest: float
    """|r| that this many independent models would show in four of five cases."""
    smallest_here: float
    """The same for models that come in these families."""


@one_thread()
def detail(cell: Study, rival: np.ndarray | None, method: Method, resamples: int) -> Detail:
    """Everything about one predictor and one score; cell as :meth:`Study.cell` gives, rival [n] another predictor.

    Raises InputError for too few models or families, or a constant.
    """
    check(len(cell.names), cell.family)
    x, y, family = cell.x[:, 0], cell.y[:, 0], numbered(cell.family)
    whole = plain(x, y, family, method, resamples)
    if not np.isfinite(whole.value):
        name = cell.predictors[0] if np.ptp(x) == 0 else cell.scores[0]
        raise InputError(
            f"{name} is the same for all {len(x)} models, and a constant has no correlation: choose another."
        )
    slope, share = mixed("slope, family as a random effect", x, y, family)
    adjusted = [*_given(cell, x, y, family, method, resamples), slope]
    one = without_each_model(x, y, method)
    ends = float(np.nanmin(one)), float(np.nanmax(one))
    known = rival is not None and np.isfinite(rival).all() and np.ptp(rival) > 0
    return Detail(
        whole, tuple(effect for effect in adjusted if np.isfinite(effect.value)), share,
        tuple(without_each_family(x, y, family, sorted(set(cell.family)), method)),
        Effect("without any one model", whole.value, *ends, len(x) - 1, whole.families),
        line(x, y, family, resamples),
        compare(x, rival, y, family, method, resamples) if known and rival is not None else None,
        smallest(len(x)), smallest_here(whole),
    )  # fmt: skip


def _given(
    cell: Study, x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, resamples: int
) -> list[Effect]:
    """Partial coefficients for every control known of all models that differs between them, and within families."""
    known = {name: v for name, v in cell.given.items() if np.isfinite(v).all() and np.ptp(v) > 0}
    effects = [partial(f"given {n}", x, y, family, v[:, None], method, resamples) for n, v in known.items()]
    if len(known) > 1:
        effects.append(partial("given both", x, y, family, np.column_stack(list(known.values())), method, resamples))
    ranks = " (of ranks)" if method == "kendall" else ""  # there is no tau of what is left of ranks
    effects.append(within(f"within families{ranks}", x, y, family, method, resamples))
    return effects
