"""Preference probes as tables for a terminal."""

import math
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from softh.analysis.standard_errors import combined
from softh.preference.reasons import count_text

Row = dict[str, Any]
Rows = dict[tuple[str, str, int | None, str, str], Row]
"""(what, subset, layer, quantity, correction) → row of measures."""

_CORRECTIONS = ("raw", "null", "corrected")
"""What a probe has: labels of two values are seen so often that nothing is left to debias."""
_POSITIONS = {"preference": "all tokens", "preference last": "last token", "preference mean": "mean state"}
_UNITS = (
    "Information about which answer was preferred, in thousandths of log n (× {nats:.3f} in thousandths of a nat; at "
    "most {most:.0f}). ± is\nboth errors together, over draws of the directions and over pairs. Accuracy is that of a "
    "linear model on the difference of the\nmean hidden states of two answers, cross-validated over prompts."
)


def several(probes: list[Row]) -> Table:
    """One line a probe; rows of :func:`softh.store.read.probes`."""
    table = Table("probe", "model", "revision", "pairs", "context", "date", box=SIMPLE_HEAD)
    for row in probes:
        pairs = f"{row['corpus']}: {row['documents'] // 2:,}"
        cells = (row["model"], row["revision"], pairs, str(row["context"]), f"{row['created_at']:%Y-%m-%d}")
        table.add_row(row["estimate_id"][:8], *cells)
    return table


def whole(probe: Row, measures: list[Row]) -> Group:
    """Tables of every layer and of every part of the pairs, then the excluded pairs and the provenance."""
    rows: Rows = {(m["what"], m["subset"], m["layer"], m["quantity"], m["correction"]): m for m in measures}
    return Group(_layers(rows, probe["bins"]), _parts(rows), Text("\n".join(_sentences(probe, measures)) + "\n"))


def _layers(rows: Rows, bins: int) -> Table:
    table = Table(box=SIMPLE_HEAD, title="All pairs, by layer", title_justify="left", caption_justify="left")
    heads = [f"{name}\n{part}" for name in _POSITIONS.values() for part in _CORRECTIONS]
    for head in ("\nlayer", *heads, "linear\naccuracy"):
        table.add_column(head, justify="right", no_wrap=True)
    layers = sorted({key[2] for key in rows if key[2] is not None})
    for layer in (*layers, None):
        cells = []
        for what in _POSITIONS:
            raw, null, corrected = (
                rows.get((what, "all", layer, "information", correction)) for correction in _CORRECTIONS
            )
            cells += [_cell(raw).split()[0], _cell(null).split()[0], _cell(corrected)]
        if layer is None:
            table.add_section()
        accuracy = rows.get(("linear", "all", layer, "accuracy", "raw"))
        table.add_row("mean" if layer is None else str(layer), *cells, _cell(accuracy))
    table.caption = _UNITS.format(nats=math.log(bins), most=1000 * math.log(2) / math.log(bins))
    return table


def _parts(rows: Rows) -> Table:
    """One line a part of the pairs: the probe, corrected, and the baselines."""
    table = Table(box=SIMPLE_HEAD, title="Mean over layers, by part of the pairs", title_justify="left")
    for head in ("pairs", "n", *_POSITIONS.values(), "length", "words", "length acc.", "words acc."):
        table.add_column(head, justify="left" if head == "pairs" else "right")
    subsets = list(dict.fromkeys(key[1] for key in rows if key[0] == "preference"))
    for subset in sorted(subsets, key=lambda name: (name != "all", name != "matched", name)):
        probes = [_cell(rows.get((what, subset, None, "information", "corrected"))) for what in _POSITIONS]
        baselines = [_cell(rows.get((what, subset, None, "information", "raw"))) for what in ("length", "words")]
        accuracies = [_cell(rows.get((what, subset, None, "accuracy", "raw"))) for what in ("length", "words")]
        count = rows[("length", subset, None, "accuracy", "raw")]["positions"]
        table.add_row(subset, f"{count:,}", *probes, *baselines, *accuracies)
    return table


def _sentences(probe: Row, measures: list[Row]) -> list[str]:
    counts = [f"{m['positions']:,} {count_text(m['variable'])}" for m in measures if m["quantity"] == "pairs"]
    return [
        f"{probe['model']}, revision {probe['revision']} ({probe['digest'][:12]}), {probe['weights']}",
        f"{probe['corpus']}: pairs {', '.join(counts)}; {probe['positions']:,} tokens of answers, context "
        f"{probe['context']}",
        f"n = {probe['bins']}, {probe['draws']} draws, {probe['frame']}; {probe['folds']} folds; seed {probe['seed']}; "
        f"{probe['dtype']} on {probe['device']}, {probe['seconds']:.1f} s",
        f"probe {probe['estimate_id']}, {probe['created_at']:%Y-%m-%d %H:%M} UTC",
    ]


def _cell(row: Row | None) -> str:
    """A value and the root of the sum of its squared errors: a share, or thousandths of log n."""
    if row is None or row["value"] is None:
        return "–"
    scale = 1000 if row["quantity"] == "information" else 1
    return f"{scale * row['value']:.3f} ±{scale * (combined(row['se_draws'], row['se_documents']) or 0):.3f}"
