"""Estimates as tables for a terminal, at least 120 columns wide."""

import json
from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from softh.analysis.standard_errors import combined
from softh.checkpoints import architectures
from softh.quantities import BY_COLUMN, CORRECTIONS, NGRAMS, PLANE

WIDTH = 120
_UNITS = (
    "H and I in units of log n. Layer 0 is the embedding and not in the mean. Standard errors: ±d over draws of the "
    "directions, ±t over documents of the text; by layer, ± is both together (root of the sum of squares)."
)
_INPUT, _OUTPUT, _OPTIMALITY, _ENTROPY = (BY_COLUMN[name] for name in ("input", "output", "optimality", "entropy"))
_OF_LABELS = [quantity for quantity in PLANE if quantity.has_labels]

Row = dict[str, Any]
Rows = dict[tuple[int | None, str, str | None, int | None, str], Row]
"""(layer, quantity, variable, order, correction) → row of measures."""


def whole(estimate: Row, measures: list[Row]) -> Group:
    """Everything about one estimate: every layer at every order, the mean over layers, provenance.

    estimate is a row of :func:`softh.store.read.estimates`, measures are rows of :func:`softh.store.read.measures`.
    """
    rows = {(row["layer"], row["quantity"], row["variable"], row["ngram"], row["correction"]): row for row in measures}
    orders = sorted({row["ngram"] for row in measures if row["quantity"] == "information"})
    tables = [_layers(rows, order) for order in orders]
    return Group(*tables, _mean(rows, orders), _provenance(estimate, rows))


def several(estimates: list[Row]) -> Table:
    """One line an estimate; rows of :func:`softh.store.read.trajectory`."""
    ids = [row["estimate_id"] for row in estimates]
    digits = next(n for n in range(8, 65) if len({each[:n] for each in ids}) == len(ids))
    symbols = [quantity.symbol for quantity in (_ENTROPY, _INPUT, _OUTPUT)]
    table = _table("", "id", "model", "revision", "corpus", *symbols, "optim.", "bits/B", "date")
    table.expand = True
    for column, ratio in zip(table.columns[1:4], (23, 14, 13), strict=True):
        column.justify, column.no_wrap, column.overflow, column.ratio = "left", False, "fold", ratio
    for row in estimates:
        numbers = [number(row[each.column]) for each in (_ENTROPY, _INPUT, _OUTPUT, _OPTIMALITY)]
        table.add_row(
            row["estimate_id"][:digits], row["model"], row["revision"],
            f"{row['corpus']} {row['documents']}×{row['context']}",
            *numbers, number(row["bits_per_byte"], 3), f"{row['created_at']:%Y-%m-%d}",
        )  # fmt: skip
    table.caption = (
        "Mean over layers, null-corrected, in units of log n, at the lowest order of each estimate; "
        "`show ID` gives every layer, order and error."
    )
    return table


def number(value: float | None, digits: int = 4) -> str:
    """A value with fixed digits; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _layers(rows: Rows, order: int) -> Table:
    """One order: a line a layer, the mean last."""
    table = _table(
        f"{NGRAMS[order].capitalize()} labels (order {order}), by layer",
        "\nlayer", f"\n{_ENTROPY.symbol}", *(f"{_INPUT.symbol}\nraw", "\nnull", "\ncorrected"),
        *(f"{_OUTPUT.symbol}\nraw", "\nnull", "\ncorrected"), f"{_OPTIMALITY.symbol}\nraw", "\ncorrected",
    )  # fmt: skip
    layers = sorted({key[0] for key in rows if key[0] is not None})
    for layer in (*layers, None):
        cells = [_with_error(rows.get((layer, "entropy", None, None, "raw")))]
        for variable in ("input", "output"):
            raw, null, corrected = (rows.get((layer, "information", variable, order, c)) for c in CORRECTIONS)
            cells += [_value(raw), _value(null), _with_error(corrected)]
        raw, _, corrected = (rows.get((layer, "optimality", None, order, c)) for c in CORRECTIONS)
        cells += [_value(raw), _with_error(corrected)]
        if layer is None:
            table.add_section()
        table.add_row("mean" if layer is None else str(layer), *cells)
    return table


def _mean(rows: Rows, orders: list[int]) -> Table:
    """Mean over layers: three lines an order, each value with both standard errors."""
    headings = [heading for quantity in _OF_LABELS for heading in (quantity.symbol, "±d", "±t")]
    table = _table("Mean over layers", "order", "labels X / Y", "", *headings)
    for order in orders:
        table.add_section()
        for correction in CORRECTIONS:
            first = (str(order), _labels(rows, order)) if correction == "raw" else ("", "")
            cells = (rows.get((None, each.quantity, each.variable, order, correction)) for each in _OF_LABELS)
            table.add_row(*first, correction, *(cell for row in cells for cell in _with_both(row)))
    table.caption = _UNITS
    return table


def _table(title: str, *headings: str) -> Table:
    """An empty table of columns that never lose a digit."""
    table = Table(
        box=SIMPLE_HEAD, title=title or None, title_justify="left", caption_justify="left", title_style="bold",
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _provenance(estimate: Row, rows: Rows) -> Text:
    """H, the loss, and where the numbers come from."""
    return Text("\n".join(" ".join(line) for line in _sentences(estimate, rows)) + "\n")


def _sentences(e: Row, rows: Rows) -> Iterator[tuple[str, ...]]:
    value, draws, documents = _with_both(rows.get((None, "entropy", None, None, "raw")))
    yield f"H(Z) {value} ±d {draws} ±t {documents};", *_loss(e)
    yield (f"{e['model']}, revision {e['revision']} ({e['digest'][:12]}), {e['weights']}, {e['layers']} layers",)
    yield (
        f"{e['corpus']}: {e['documents']} documents of at most {e['context']} tokens, {e['positions']:,} positions;",
        f"seed {e['seed']}, {e['folds']} folds, labels weighted by {e['weighting']}",
    )
    yield (
        f"n = {e['bins']}, {e['draws']} draws, {e['frame']}{', centred' if e['centred'] else ''};",
        f"ε = {e['temperature']:.6g} ({e['calibration']})",
    )
    versions = ", ".join(f"{name} {version}" for name, version in json.loads(e["versions"]).items())
    yield (f"{e['dtype']}, {e['attention']} attention on {e['device']}, {e['seconds']:.1f} s; {versions}",)
    yield (f"estimate {e['estimate_id']}, {e['created_at']:%Y-%m-%d %H:%M} UTC",)


def _loss(estimate: Row) -> tuple[str, ...]:
    if estimate["bits_per_byte"] is None:
        return (_without_loss(estimate["architecture"]),)
    error = number(estimate["bits_per_byte_se_documents"])
    return (f"{number(estimate['bits_per_byte'])} bits per byte ±t {error}",)


def _without_loss(architecture: str) -> str:
    """Why an estimate has no bits per byte, from the class of its model."""
    if architecture in architectures.causal_classes():
        return "bits per byte not measured"
    if architecture in architectures.multimodal_classes():
        return "bits per byte not measured: a model of text and images is read without its head"
    return "no language-model head"


def _labels(rows: Rows, order: int) -> str:
    """Distinct labels of input and output."""
    pair = [rows.get((None, each.quantity, each.variable, order, "raw"), {}) for each in (_INPUT, _OUTPUT)]
    return " / ".join(f"{row.get('labels') or 0:,}" for row in pair)


def _value(row: Row | None) -> str:
    return number(row["value"] if row else None)


def _with_both(row: Row | None) -> tuple[str, str, str]:
    """Value, standard error over draws, standard error over documents."""
    return (number(row["value"]), number(row["se_draws"]), number(row["se_documents"])) if row else ("–", "–", "–")


def _with_error(row: Row | None) -> str:
    """Value and the root of the sum of both squared standard errors."""
    error = combined(row["se_draws"], row["se_documents"]) if row else None
    return _value(row) if error is None else f"{_value(row)} ±{error:.4f}"
