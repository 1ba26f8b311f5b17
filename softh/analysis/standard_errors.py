"""Standard errors of independent sources as one, and the interval that they give."""

import math

import polars as pl
from scipy.special import stdtrit

LEVEL = 0.95
"""Of intervals."""
_KINDS = ("se_draws", "se_documents")


def combined(*errors: float | None) -> float | None:
    """Root of the sum of squares of the errors that are known; None where none is.

    >>> combined(0.3, 0.4), combined(0.3, None), combined(None, None)
    (0.5, 0.3, None)
    """
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if known else None


def combined_columns(rows: pl.DataFrame, column: str | None = None) -> pl.Expr:
    """The same for a column of a table: of `<column>_se_draws` and `<column>_se_documents`, as far as it has them.

    Without a column of `se_draws` and `se_documents`.

    >>> rows = pl.DataFrame({"x": [1.0, 2.0], "x_se_draws": [0.3, None], "x_se_documents": [0.4, None]})
    >>> rows.select(combined_columns(rows, "x").alias("error"))["error"].to_list()
    [0.5, None]
    """
    names = [f"{column}_{kind}" if column else kind for kind in _KINDS]
    errors = [pl.col(name) for name in names if name in rows.columns]
    if len(errors) < 2:
        return errors[0] if errors else pl.lit(None, pl.Float64)
    known = pl.any_horizontal(error.is_not_null() for error in errors)
    return pl.when(known).then(pl.sum_horizontal(error.fill_null(0) ** 2 for error in errors).sqrt())


def half_width(*parts: tuple[float | None, int | None]) -> float | None:
    """Half of the 95 % interval of a number whose errors are independent; None where no error is known.

    parts: standard error and its degrees of freedom: draws − 1, folds − 1; None where it is known exactly. Student's t
    with the degrees of freedom of Welch and Satterthwaite, (Σ s²)² / Σ (s⁴ / degrees): those of the folds where these
    make the error, so that eight folds do not pass for certainty, and many where the draws do.

    >>> round(half_width((1.0, 7)), 3), round(half_width((1.0, None)), 3), half_width((None, 7))
    (2.365, 1.96, None)
    """
    known = [(error, degrees) for error, degrees in parts if error is not None and degrees != 0]
    if not known:
        return None
    total = math.hypot(*(error for error, _ in known))
    uncertain = math.fsum(error**4 / degrees for error, degrees in known if degrees is not None)
    return total * float(stdtrit(total**4 / uncertain if uncertain else math.inf, (1 + LEVEL) / 2))
