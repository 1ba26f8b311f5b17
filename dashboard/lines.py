"""Rows of the tables as lines of panels, with bands of one standard error and cards to hover."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from dashboard.panels import Series
from dashboard.rows import Row, View, title
from dashboard.words import card, standard_error


def lines(rows: pl.DataFrame, view: View, quantity: str, by: str) -> Iterator[tuple[tuple[str, Any], pl.DataFrame]]:
    """Rows of every line of a panel. Beside raw values the null says how much of them sparse labels make."""
    # Entropy has no labels, so it has no null.
    shown = ("raw", "null") if view.correction == "raw" and quantity != "entropy" else (view.correction,)
    for correction in shown:
        for (value,), group in rows.filter(pl.col("correction") == correction).group_by(by, maintain_order=True):
            yield (correction, value), group


def series(
    name: str, x: Sequence[float], rows: Sequence[Row], quantity: str, *, colour: str, symbol: str, dotted: bool
) -> Series:
    """One quantity of some rows as a line of a panel."""
    return Series(
        name=name,
        x=x,
        y=[row[quantity] for row in rows],
        error=[standard_error(row, quantity) for row in rows],
        colour=colour,
        symbol=symbol,
        ids=[row["estimate_id"] for row in rows],
        cards=[card(row, title(row)) for row in rows],
        dotted=dotted,
    )
