"""One predictor and one score in detail: adjusted, without each family, compared with the loss."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from softh.analysis.correlation.coefficients import Method, midranks
from softh.analysis.correlation.layer_choice import Chosen
from softh.analysis.correlation.matrix import check, family_names, numbered
from softh.analysis.correlation.study import Study
from softh.blas import one_thread
from softh.errors import InputError


@dataclass(frozen=True)
class Detail:
    """One cell of the matrix in detail."""

    plain: Effect
    adjusted: tuple[Effect, ...]
    """Given size, tokens and both, within families, and the slope of a mixed model."""
    without_family: tuple[Effect, ...]
    without_model: Effect
    """Least and greatest coefficient without any one model, as the ends."""
    line: Line
    rival: Comparison | None
    """Against the loss, or None where it is not known for all of these models, is the predictor or orders alike."""
    smallest: float
    """|r| that this many independent models would show in four of five cases."""
    smallest_here: float
    """The same for models that come in these families, which say less than as many independent ones."""


@one_thread()
def detail(cell: Study, rival: np.ndarray | None, method: Method, chosen: Chosen | None = None) -> Detail:
    """Everything about one predictor and one score; cell as :meth:`Study.cell` gives, rival [n] another predictor.

    chosen: how the predictor of the cell was made of layers, which are then chosen anew without each family; ranks are
    taken before that choice, and everything else is Pearson's coefficient of those. Raises InputError for too few
    models or families, or a constant.
    """
    check(len(cell.names), cell.family)
    x, y, family = cell.x[:, 0], cell.y[:, 0], numbered(cell.family)
    through = line(x, y, family)
    controls, again = dict(cell.given), None if chosen is None else chosen.again
    if chosen is not None and method != "pearson":
        y, rival = midranks(y[:, None])[:, 0], rival if rival is None else midranks(rival[:, None])[:, 0]
        controls = {name: midranks(v[:, None])[:, 0] for name, v in controls.items() if np.isfinite(v).all()}
        method = "pearson"
    whole = plain(x, y, family, method)
    if chosen is not None:
        whole = replace(whole, value=chosen.value, low=chosen.low, high=chosen.high, p=chosen.p)
    if not np.isfinite(whole.value):
        name = cell.predictors[0] if np.ptp(x) == 0 else cell.scores[0]
        raise InputError(
            f"{name} is the same for all {len(x)} models, and a constant has no correlation: choose another."
        )
    slope, _ = mixed("slope, family as a random effect", x, y, family)
    adjusted = [*_given(controls, x, y, family, method, again), slope]
    one = without_each_model(x, y, method)
    ends = float(np.nanmin(one)), float(np.nanmax(one))
    known = rival is not None and np.isfinite(rival).all() and np.ptp(rival) > 0
    return Detail(
        whole, tuple(effect for effect in adjusted if np.isfinite(effect.value)),
        tuple(without_each_family(x, y, family, family_names(cell.family), method)),
        Effect("without any one model", whole.value, *ends, len(x) - 1, whole.families), through,
        compare(x, rival, y, family, method, again) if known and rival is not None else None,
        smallest(len(x)), smallest_here(whole, np.bincount(family), method),
    )  # fmt: skip


def _given(
    given: Mapping[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    family: np.ndarray,
    method: Method,
    again: np.ndarray | None,
) -> list[Effect]:
    """Partial coefficients for every control known of all models that differs between them, and within families."""
    known = {name: v for name, v in given.items() if np.isfinite(v).all() and np.ptp(v) > 0}
    effects = [partial(f"controlling for {n}", x, y, family, v[:, None], method, again) for n, v in known.items()]
    if len(known) > 1:
        both = np.column_stack(list(known.values()))
        effects.append(partial("controlling for both", x, y, family, both, method, again))
    ranks = " (of ranks)" if method == "kendall" else ""  # there is no tau of what is left of ranks
    effects.append(within(f"within families{ranks}", x, y, family, method, again))
    return effects
