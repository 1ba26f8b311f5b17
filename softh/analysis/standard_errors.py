"""Standard errors of independent sources as one."""

import math

import polars as pl

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
