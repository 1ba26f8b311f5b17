"""The nearest points on the information plane."""

from collections.abc import Mapping
from typing import Any

import polars as pl


def nearest(point: Mapping[str, Any], others: pl.DataFrame, count: int = 3) -> pl.DataFrame:
    """The nearest checkpoint of each other model, nearest first, with its `distance` on the plane in units of log n.

    point and others have the columns input and output, others the column model too.

    >>> others = pl.DataFrame({"model": ["a", "a", "b"], "input": [0.3, 0.5, 0.1], "output": [0.4, 0.0, 0.0]})
    >>> nearest({"input": 0.0, "output": 0.0}, others).select("model", "distance").rows()
    [('b', 0.1), ('a', 0.5)]
    """
    away = ((pl.col("input") - point["input"]) ** 2 + (pl.col("output") - point["output"]) ** 2).sqrt()
    ordered = others.with_columns(away.alias("distance")).sort("distance")
    return ordered.unique("model", keep="first", maintain_order=True).head(count)
