"""Estimates as tables for a terminal, at least 120 columns wide."""

import json
import math
from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from softh.analysis.by_source import split
from softh.analysis.standard_errors import combined
from softh.checkpoints import architectures
from softh.quantities import BY_COLUMN, CORRECTION_NAMES, FURTHER, PLANE, Quantity, label_name

WIDTH = 120
_UNITS = (
    "H and I in units of log n. Layer 0 is the embedding and not in the mean. Standard errors: ±d over draws of the "
    "directions, ±t over documents of the text; by layer, ± is both together (root of the sum of squares)."
)
_BRACKET = (
    "Debiased is the estimate. The lower bound and raw, an upper one, are the ends of its bracket: bounds in "
    "expectation."
)
_NOT_DEBIASED = (
    "This estimate has no debiased values: an earlier version made it, which knew raw and null-corrected ones. "
    "Estimate again to have them."
)
_DASHES = "A dash in place of a debiased value: too few labels are in several documents to say."
_NAMES = {**CORRECTION_NAMES, "lower": "lower bound"}
"""Lines of an order, in their order."""
_INPUT, _OUTPUT, _OPTIMALITY, _ENTROPY = (BY_COLUMN[name] for name in ("input", "output", "optimality", "entropy"))
_REVISION, _TEXT = 14, 11
"""Characters of a revision and of a text's name that are never broken."""
_LISTED = (_ENTROPY, _INPUT, _OUTPUT, _OPTIMALITY)
_OF_LABELS = [quantity for quantity in PLANE if quantity.has_labels]

Row = dict[str, Any]
Rows = dict[tuple[int | None, str, str | None, int | None, str], Row]
"""(layer, quantity, variable, order, correction) → row of measures."""


def whole(estimate: Row, measures: list[Row], *, layers: bool = False) -> Group:
    """Everything about one estimate: every layer at every order where asked for, the mean over layers, provenance.

    estimate is a row of :func:`softh.store.read.estimates`, measures are rows of :func:`softh.store.read.measures`.
    """
    rows = {(row["layer"], row["quantity"], row["variable"], row["ngram"], row["correction"]): row for row in measures}
    orders = sorted({row["ngram"] for row in measures if row["quantity"] == "information"})
    debiased = [row["value"] for row in measures if row["correction"] == "debiased"]
    by_layer = _layers if debiased else _layers_without_debiased
    tables = [by_layer(rows, order, label_name(order, estimate["labels"])) for order in orders if layers]
    note = _NOT_DEBIASED if not debiased else _BRACKET if None not in debiased else f"{_BRACKET} {_DASHES}"
    mean = _mean(rows, orders, note, debiased=bool(debiased))
    return Group(*tables, mean, *_without_labels(rows, layers=layers), _provenance(estimate, rows))


def several(estimates: list[Row]) -> Table:
    """One line an estimate; rows of :func:`softh.store.read.trajectory`, debiased or else null-corrected."""
    ids = [row["estimate_id"] for row in estimates]
    digits = next(n for n in range(8, 65) if len({each[:n] for each in ids}) == len(ids))
    symbols = [quantity.symbol for quantity in (_ENTROPY, _INPUT, _OUTPUT)]
    table = _table("", "id", "model", "revision", "text", "size", *symbols, "optim.", "bits/B", "date")
    table.expand = True
    for column, ratio in zip(table.columns[1:4], (20, 10, 18), strict=True):
        column.justify, column.no_wrap, column.overflow, column.ratio = "left", False, "fold", ratio
    # The least of a column that has a ratio: names of that length are never broken.
    table.columns[2].width = min(max(len(row["revision"]) for row in estimates), _REVISION)
    table.columns[3].width = min(max(len(row["corpus"]) for row in estimates), _TEXT)
    marks = len({row["correction"] for row in estimates}) > 1
    for row in estimates:
        mark = "*" if marks and row["correction"] != "debiased" else ""
        numbers = [f"{number(row[each.column])}{mark if each.has_labels else ''}" for each in _LISTED]
        table.add_row(
            row["estimate_id"][:digits], row["model"].replace(" (trained here)", ""), row["revision"],
            row["corpus"], f"{row['documents']}×{row['context']}{_kind(row)}",
            *numbers, number(row["bits_per_byte"], 3), f"{row['created_at']:%Y-%m-%d}",
        )  # fmt: skip
    lacking = sum(row["correction"] != "debiased" for row in estimates)
    what = "debiased" if lacking < len(estimates) else "null-corrected, since none has debiased values"
    starred = f"\n* null-corrected: {lacking} of {len(estimates)} have no debiased value." if marks else ""
    table.caption = (
        f"Mean over layers, {what}, in units of log n, at the lowest order of each estimate; "
        f"`show ID --layers` gives every layer, order and error.{starred}"
    )
    return table


def by_source(whole: list[Row], parts: list[list[Row]]) -> Table:
    """The plane of a text and of each of its sources at its lowest order, and what lies within and between them.

    Rows of :func:`softh.store.read.trajectory`, of the text and of each source, at the lowest order, raw and debiased.
    """
    raw = {row["correction"]: row for row in whole}["raw"]
    table = _table(
        "By source", "source", "positions", _ENTROPY.symbol,
        *(f"{each.symbol} {what}" for each in (_INPUT, _OUTPUT) for what in ("debiased", "raw")),
    )  # fmt: skip
    for rows in (whole, *parts):
        of = {row["correction"]: row for row in rows}
        cells = [number(of[what][each.column]) for each in (_INPUT, _OUTPUT) for what in ("debiased", "raw")]
        name = json.loads(of["raw"]["spec"]).get("source") or "all"
        table.add_row(name, f"{of['raw']['positions']:,}", number(of["raw"]["entropy"]), *cells)
    found = [split(raw, [_raw(rows) for rows in parts], each.column) for each in (_ENTROPY, _INPUT, _OUTPUT)]
    table.add_section()
    for name in ("within", "between"):
        h, x, y = (number(getattr(each, name)) for each in found)
        table.add_row(f"{name} sources", "", h, "", x, "", y)
    table.caption = (
        f"Mean over layers, in units of log n, {label_name(raw['ngram'], raw['labels'])} labels. Within: mean over "
        "sources by positions; between: the rest. Raw values add up exactly."
    )
    return table


def _raw(rows: list[Row]) -> Row:
    return next(row for row in rows if row["correction"] == "raw")


def number(value: float | None, digits: int = 4) -> str:
    """A value with fixed digits; a dash where it is undefined."""
    return "–" if value is None else f"{value:z.{digits}f}"


def _layers(rows: Rows, order: int, labels: str) -> Table:
    """One order: a line a layer, the mean last; debiased first, between its lower bound and raw."""
    information = [
        f"{symbol}\n{what}" for symbol in (_INPUT.symbol, _OUTPUT.symbol) for what in ("debiased", "bracket")
    ]
    table = _table(
        _title(order, labels),
        "\nlayer",
        f"\n{_ENTROPY.symbol}",
        *information,
        f"{_OPTIMALITY.symbol}\ndebiased",
        "\nraw",
    )
    for layer in _each_layer(rows, table):
        cells = [_with_error(rows.get((layer, "entropy", None, None, "raw")))]
        for variable in ("input", "output"):
            debiased, lower, raw = (
                rows.get((layer, "information", variable, order, which)) for which in ("debiased", "lower", "raw")
            )
            cells += [_with_error(debiased), f"{_value(lower)} to {_value(raw)}"]
        debiased, raw = (rows.get((layer, "optimality", None, order, which)) for which in ("debiased", "raw"))
        table.add_row("mean" if layer is None else str(layer), *cells, _with_error(debiased), _value(raw))
    return table


def _layers_without_debiased(rows: Rows, order: int, labels: str) -> Table:
    """The same of an estimate that has raw and null-corrected values alone."""
    information = [f"{symbol}\n{what}" for symbol in (_INPUT.symbol, _OUTPUT.symbol) for what in _PLUG_IN]
    table = _table(
        _title(order, labels),
        "\nlayer",
        f"\n{_ENTROPY.symbol}",
        *information,
        f"{_OPTIMALITY.symbol}\ncorrected",
        "\nraw",
    )
    for layer in _each_layer(rows, table):
        cells = [_with_error(rows.get((layer, "entropy", None, None, "raw")))]
        for variable in ("input", "output"):
            corrected, raw, null = (rows.get((layer, "information", variable, order, which)) for which in _PLUG_IN)
            cells += [_with_error(corrected), _value(raw), _value(null)]
        corrected, raw = (rows.get((layer, "optimality", None, order, which)) for which in _PLUG_IN[:2])
        table.add_row("mean" if layer is None else str(layer), *cells, _with_error(corrected), _value(raw))
    return table


def _without_labels(rows: Rows, *, layers: bool) -> Iterator[Table]:
    """Measures without labels, by layer where asked for, with errors over documents; none of older estimates."""
    measured = [each for each in FURTHER if not each.has_labels and (None, *_stored(each)) in rows]
    if not measured:
        return
    table = _table("Without labels", "layer", *(each.symbol for each in measured))
    for layer in _each_layer(rows, table) if layers else (None,):
        found = [rows.get((layer, *_stored(each))) for each in measured]
        table.add_row("mean" if layer is None else str(layer), *(_in_its_unit(row) for row in found))
    table.caption = "Value ± standard error over documents; docs/method.md says what each is."
    yield table


def _stored(quantity: Quantity) -> tuple[str, str | None, None, str]:
    return str(quantity.quantity), quantity.variable, None, "raw"


def _in_its_unit(row: Row | None) -> str:
    """With two digits of the error, since these are not all fractions."""
    if row is None or row["value"] is None:
        return "–"
    error = row["se_documents"]
    if not error:
        return f"{row['value']:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{row['value']:z.{digits}f} ±{error:.{digits}f}"


_PLUG_IN = ("corrected", "raw", "null")


def _each_layer(rows: Rows, table: Table) -> Iterator[int | None]:
    """Every layer, then None for the mean, which is a section of its own."""
    yield from sorted({key[0] for key in rows if key[0] is not None})
    table.add_section()
    yield None


def _title(order: int, labels: str) -> str:
    return f"{labels.capitalize()} labels (order {order}), by layer"


def _mean(rows: Rows, orders: list[int], note: str, *, debiased: bool) -> Table:
    """Mean over layers: a line a correction and order, debiased first, each value with both standard errors."""
    headings = [heading for quantity in _OF_LABELS for heading in (quantity.symbol, "±d", "±t")]
    table = _table("Mean over layers", "order", "labels X / Y", "", *headings)
    named = {which: name for which, name in _NAMES.items() if debiased or which != "lower"}
    for order in orders:
        table.add_section()
        for number_of_line, (correction, name) in enumerate(named.items()):
            first = (str(order), _labels(rows, order)) if number_of_line == 0 else ("", "")
            cells = (rows.get((None, each.quantity, each.variable, order, correction)) for each in _OF_LABELS)
            table.add_row(*first, name, *(cell for row in cells for cell in _with_both(row)))
    table.caption = f"{_UNITS} {note}"
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
    yield f"H(Z) {value} ±d {draws} ±t {documents};", *_loss(e, rows)
    yield (f"{e['model']}, revision {e['revision']} ({e['digest'][:12]}), {e['weights']}, {e['layers']} layers",)
    yield (
        f"{e['corpus']}: {e['documents']} documents of at most {e['context']} tokens, {e['positions']:,} positions;",
        f"labels are {e['labels']}; seed {e['seed']}, {e['folds']} folds, labels weighted by {e['weighting']}",
    )
    yield (
        f"n = {e['bins']}, {e['draws']} draws, {e['frame']}{', centred' if e['centred'] else ''};",
        f"ε = {e['temperature']:.6g} ({e['calibration']})",
    )
    versions = ", ".join(f"{name} {version}" for name, version in json.loads(e["versions"]).items())
    yield (f"{e['dtype']}, {e['attention']} attention on {e['device']}, {e['seconds']:.1f} s; {versions}",)
    yield (f"estimate {e['estimate_id']}, {e['created_at']:%Y-%m-%d %H:%M} UTC",)


def _loss(estimate: Row, rows: Rows) -> tuple[str, ...]:
    if estimate["bits_per_byte"] is None:
        return (_without_loss(estimate["architecture"]),)
    error = number(estimate["bits_per_byte_se_documents"])
    loss = f"{number(estimate['bits_per_byte'])} bits per byte ±t {error}"
    if (bound := rows.get((None, *_stored(BY_COLUMN["variational_bound"])))) is None:
        return (loss,)
    return (f"{loss};", f"H(Y) − cross-entropy {_with_error(bound)} log n")


def _without_loss(architecture: str) -> str:
    """Why an estimate has no bits per byte, from the class of its model."""
    if architecture in architectures.causal_classes():
        return "bits per byte not measured"
    if architecture in architectures.multimodal_classes():
        return "bits per byte not measured: a model of text and images is read without its head"
    return "no language-model head"


def _kind(row: Row) -> str:
    """'\nwords' where labels are not tokens, and the source of an estimate of one."""
    source = json.loads(row["spec"]).get("source")
    return "".join(f"\n{name}" for name in ("" if row["labels"] == "tokens" else row["labels"], source) if name)


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
