"""Estimates against each other: their differences in sentences, and what comparing them across tokenizers means."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboard.data import queries
from dashboard.data.queries import Setup
from dashboard.data.rows import Display, title
from dashboard.format import decimals, plus_minus
from softh.analysis import differences
from softh.quantities import BY_COLUMN

MOST = 5
"""Differences that are told at a time."""
_TOLD = ("input", "output", "optimality")


def sentences(ids: Sequence[str], display: Display, layer: int | None = None) -> tuple[str, ...]:
    """The differences of some estimates from the first of them, by name; none for fewer than two."""
    if len(ids) < 2:
        return ()
    rows = queries.replicates(tuple(sorted(ids)), display.order, display.correction, layer)
    first, *others = rows.sort("model", "tokens", "step").to_dicts() or [{}]
    told = [f"**{title(row)}** minus {title(first)}: {changes(row, first)}" for row in others[:MOST]]
    return (*told[:-1], f"{told[-1]}{_pairing(others[0], first)}") if told else ()


def changes(row: Mapping[str, Any], less: Mapping[str, Any]) -> str:
    """'I(X;Z) −0.0123 ± 0.0021 (95 % −0.017 to −0.008), …': each difference with its interval."""
    return ", ".join(_change(row, less, name) for name in _TOLD) + "."


def of_origins(points: pl.DataFrame, origins: Mapping[str, str], display: Display) -> dict[str, str]:
    """Id of a post-trained estimate → its differences from the model that it was made from, where both are there."""
    ids = dict(points.select("model", "estimate_id").iter_rows())
    pairs = [(ids[model], ids[origin]) for model, origin in origins.items() if {model, origin} <= set(ids)]
    if not pairs:
        return {}
    wanted = tuple(sorted({one for pair in pairs for one in pair}))
    rows = queries.replicates(wanted, display.order, display.correction)
    by_id = {row["estimate_id"]: row for row in rows.to_dicts()}
    return {model: changes(by_id[model], by_id[origin]).rstrip(".") for model, origin in pairs}


def labels_note(setup: Setup, vocabularies: int) -> str:
    """What labels are, and what that means for models of several vocabularies."""
    if setup.labels != "tokens":
        return f"Labels are {setup.labels}, which are the same for every tokenizer. "
    if vocabularies < 2:
        return "Labels are tokens. "
    words = [other for other in queries.setups() if other.corpus == setup.corpus and other.labels == "words"]
    better = f"choose the settings “{words[0].label}”" if words else "estimate with --labels words"
    return (
        f"Labels are tokens, and the {vocabularies} vocabularies of these models have different kinds of them: compare "
        f"across tokenizers with care, or {better}, which all tokenizers share. "
    )


def _change(row: Mapping[str, Any], less: Mapping[str, Any], name: str) -> str:
    found, symbol = differences.difference(row, less, name), BY_COLUMN[name].symbol
    if found.value is None or not found.error or found.half_width is None:
        return f"{symbol} {plus_minus(found.value, found.error)}"
    low, high = (f"{found.value + sign * found.half_width:.{decimals(found.error)}f}" for sign in (-1, 1))
    chance = ", which may be chance" if abs(found.value) <= found.half_width else ""
    return f"{symbol} {plus_minus(found.value, found.error)} (95 % {low} to {high}{chance})".replace("-", "−")


def _pairing(row: Mapping[str, Any], less: Mapping[str, Any]) -> str:
    """Why the error is smaller than those of the two, or why it is not."""
    shared = [
        *(["directions"] if differences.same_directions(row, less) else []),
        *(
            ["documents"]
            if differences.same_documents(row, less) and row["input_folds"] and less["input_folds"]
            else []
        ),
    ]
    if not shared:
        return " Errors are not paired: these estimates share neither directions nor stored folds of documents."
    return f" Errors are of the differences, paired in {' and '.join(shared)}."
