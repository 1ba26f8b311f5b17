"""Every control of the pages, and its name in the URL: a view is a link."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl
import streamlit as st

from dashboard import queries, theme
from dashboard.figures import Against, View, clock
from dashboard.queries import Setup
from dashboard.words import CORRECTIONS, ORDERS

MOST_MODELS = 7
"""Models shown until the reader chooses: as many as there are colours."""


@dataclass(frozen=True)
class Selection:
    """What the shared controls say."""

    setup: Setup
    view: View


def shared() -> Selection:
    """Corpus, settings, n-gram order and correction, in the sidebar; the same on every page."""
    setups = queries.setups()
    corpora = list(dict.fromkeys(setup.corpus for setup in setups))
    corpus = _select("Corpus", corpora, "corpus", help="The text that the hidden states were taken from.")
    of_corpus = {setup.label: setup for setup in setups if setup.corpus == corpus}
    label = next(iter(of_corpus))
    if len(of_corpus) > 1:
        label = _select("Settings", list(of_corpus), "settings", help="Only equal settings compare.")
    setup = of_corpus[label]
    order = _segments("n-gram order", [str(order) for order in setup.orders], "order", help=_ORDERS_HELP)
    correction = _segments("Correction", list(CORRECTIONS), "correction", help=_CORRECTIONS_HELP)
    return Selection(setup, View(int(order), correction, theme.dark()))


def models(available: Sequence[str]) -> tuple[str, ...]:
    """Which models to draw; the first few when none is named."""
    default = list(available[:MOST_MODELS])
    _note("models", available, default)
    return tuple(sorted(st.sidebar.multiselect("Models", available, default, key="models", bind="query-params")))


def against(points: pl.DataFrame) -> Against:
    """What the curves run along; nothing to choose where no model has several checkpoints."""
    ordered = clock(points)
    if ordered is None:
        return "order"
    known = ["tokens"] if ordered == "tokens" else []
    known += ["step"] if points["step"].null_count() < points.height else []
    return cast(Against, _segments("Curves along", [*known, "order"], "along", help=_ALONG_HELP))


def checkpoint(estimates: pl.DataFrame) -> dict[str, Any]:
    """The row of one estimate: its model, then its checkpoint where there are several."""
    model = _select("Model", estimates["model"].unique().sort().to_list(), "model")
    rows = estimates.filter(pl.col("model") == model).sort("tokens", "step", "created_at", nulls_last=True)
    revisions = rows["revision"].unique(maintain_order=True).to_list()
    revision = revisions[-1]
    if len(revisions) > 1:
        _note("revision", revisions, [revision])
        chosen = st.sidebar.select_slider("Checkpoint", revisions, revision, key="revision", bind="query-params")
        revision = chosen if chosen in revisions else revision
    return rows.filter(pl.col("revision") == revision).to_dicts()[-1]


def _select(label: str, options: Sequence[str], key: str, **words: str) -> str:
    _note(key, options, options[:1])
    return st.sidebar.selectbox(label, options, key=key, bind="query-params", **words) or options[0]


def _segments(label: str, options: Sequence[str], key: str, **words: str) -> str:
    _note(key, options, options[:1])
    chosen = st.sidebar.segmented_control(
        label, options, default=options[0], key=key, bind="query-params", required=True, **words
    )
    return chosen or options[0]


def _note(key: str, options: Sequence[str], shown: Sequence[str]) -> None:
    """Say so when the link asks for something that is not there; the widget itself falls back."""
    unknown = [value for value in st.query_params.get_all(key) if value not in options]
    if unknown:
        st.info(
            f"The link asks for {key} {_listed(unknown)}, which is not among {_listed(options)}: "
            f"showing {_listed(shown)}.",
            icon=":material/link_off:",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


_ORDERS_HELP = "Labels are n-grams of tokens: " + ", ".join(f"{order} {name}" for order, name in ORDERS.items()) + "."
_ALONG_HELP = "Training tokens, training step, or the n-gram order of the last checkpoint."
_CORRECTIONS_HELP = (
    "**corrected**: raw − null. **raw**: as defined, and as published. **null**: the same labels, shuffled over "
    "positions, which is what sparse labels alone would give."
)
