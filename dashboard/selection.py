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

MOST_MODELS = 4
"""Models shown until the reader chooses: more paths than these cannot be told apart at a glance."""


@dataclass(frozen=True)
class Selection:
    """What the shared controls say."""

    setup: Setup
    view: View


def draw() -> None:
    """The shared controls, in the sidebar: corpus, settings, n-gram order and correction."""
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
    st.session_state["selection"] = Selection(setup, View(int(order), correction, theme.dark()))


def shared() -> Selection:
    """What the shared controls say."""
    return st.session_state["selection"]


def models(estimates: pl.DataFrame) -> tuple[str, ...]:
    """Which models of some estimates to draw; a few that tell most when none is named."""
    available = estimates["model"].unique().sort().to_list()
    _prepare("models", available, _telling(estimates))
    return tuple(sorted(st.sidebar.multiselect("Models", available, key="models", bind="query-params")))


def _telling(estimates: pl.DataFrame) -> list[str]:
    """The runs of the largest and of the smallest model, then finished models."""
    each = estimates.group_by("model").agg(pl.col("revision").n_unique(), pl.col("parameters").max())
    each = each.sort("parameters", "model")
    runs = each.filter(pl.col("revision") > 1)["model"].to_list()
    finished = each.filter(pl.col("revision") == 1)["model"].sort().to_list()
    return list(dict.fromkeys([*runs[-1:], *runs[:1], *finished]))[:MOST_MODELS]


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
        _prepare("revision", revisions, revision)
        revision = st.sidebar.select_slider("Checkpoint", revisions, key="revision", bind="query-params")
    return rows.filter(pl.col("revision") == revision).to_dicts()[-1]


def _select(label: str, options: Sequence[str], key: str, help: str | None = None) -> str:  # noqa: A002
    _prepare(key, options, options[0])
    # Without an index of its own the control writes every value into the URL, so that a link outlives new tables.
    return st.sidebar.selectbox(label, options, None, key=key, bind="query-params", help=help) or options[0]


def _segments(label: str, options: Sequence[str], key: str, help: str) -> str:  # noqa: A002
    _prepare(key, options, options[0])
    chosen = st.sidebar.segmented_control(label, options, key=key, bind="query-params", required=True, help=help)
    return chosen or options[0]


def _prepare(key: str, options: Sequence[str], default: str | list[str]) -> None:
    """Give a control its value before it is drawn: its own while that is on offer, else the default.

    A link wins over both when it opens a page; what it asks for in vain is said.
    """
    opening = key not in st.session_state
    st.session_state[key] = value = _fitting(st.session_state.get(key), options, default)
    asked = st.query_params.get_all(key) if opening else []
    if unknown := [name for name in asked if name not in options]:
        shown = _fitting(asked, options, default) if isinstance(default, list) else value
        st.info(
            f"The link asks for {key} {_listed(unknown)}, which is not among {_listed(options)}: "
            f"showing {shown if isinstance(shown, str) else _listed(shown)}.",
            icon=":material/link_off:",
        )


def _fitting(held: Any, options: Sequence[str], default: str | list[str]) -> str | list[str]:
    """What can be shown of a value that was chosen among other options."""
    if isinstance(default, str):
        return held if held in options else default
    kept = [name for name in held or [] if name in options]
    return kept if kept or held == [] else default


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


_ORDERS_HELP = "Labels are n-grams of tokens: " + ", ".join(f"{order} {name}" for order, name in ORDERS.items()) + "."
_ALONG_HELP = "Training tokens, training step, or the n-gram order of the last checkpoint."
_CORRECTIONS_HELP = (
    "**corrected**: raw − null. **raw**: as defined, and as published. **null**: the same labels, shuffled over "
    "positions, which is what sparse labels alone would give."
)
