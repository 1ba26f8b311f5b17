"""Before anything heavy: what a model is, what its estimate takes, whether it was made before; then the queue."""

from collections.abc import Sequence

import polars as pl
import streamlit as st

from dashboard.data import neighbours, queries
from dashboard.format import count
from dashboard.page import frame
from dashboard.workspace import model_form, my_estimates
from softh import jobs
from softh.checkpoints import hub
from softh.checkpoints.resolve import is_local
from softh.cost.preflight import Preflight, preflight
from softh.jobs.format import duration
from softh.spec import EstimateSpec


def form() -> None:
    """Which checkpoint, on which text, with which settings; and what that takes, once all is named."""
    with st.container(border=True), frame.errors_in_place():
        model = model_form.model()
        left, right = st.columns([1, 2], gap="medium")
        with left:
            text = model_form.text()
        with right:
            settings = model_form.settings()
        if model and text:
            offer(model_form.specs(model, text, settings), model.title)


def offer(specs: Sequence[EstimateSpec], name: str | None = None) -> None:
    """Show what the estimates of some checkpoints will take, and queue them when the reader says so."""
    first = _preflight(specs[-1].canonical())
    st.markdown(_what(first))
    if first.refusal:
        st.error(first.refusal, icon=":material/block:")
        return
    st.markdown(_cost(first, len(specs)))
    stored = _stored(first)
    label = "Estimate"
    if len(specs) == 1 and stored:
        st.success("This was estimated before, and can be seen without waiting:", icon=":material/history:")
        my_estimates.show(stored[0], neighbours=False)
        label = "Estimate again"
    elif len(specs) > 1:
        label = f"Estimate {len(specs)} checkpoints"
    if st.button(label, type="primary", icon=":material/play_arrow:"):
        submit(specs, first, name)
        st.rerun()


def submit(specs: Sequence[EstimateSpec], first: Preflight, name: str | None = None) -> None:
    """Queue one job a specification, its commit pinned. Errors: InputError when the records cannot be written."""
    fresh = 0
    for spec in specs:
        commit = None
        if not is_local(spec.model):
            commit = first.digest if spec == first.spec else hub.listing(spec.model, spec.revision or "main")[0]
        fresh += jobs.submit_estimate(spec, commit=commit, name=name)[1]
    jobs.ensure_worker()
    known = len(specs) - fresh
    said = f"{fresh} queued" + (f", {known} in the queue already" if known else "")
    st.toast(said, icon=":material/playlist_add_check:")


def _what(found: Preflight) -> str:
    digest = f", commit `{found.digest[:12]}`" if found.digest and not is_local(found.spec.model) else ""
    head = "" if found.causal else ", no language-model head: hidden states only"
    return (
        f"**{found.architecture}**, {count(found.parameters)} parameters, {found.layers} layers of width "
        f"{found.width:,}, vocabulary {found.vocabulary:,}; {found.weights} in {found.dtype}{digest}{head}."
    )


def _cost(found: Preflight, several: int) -> str:
    price = found.cost
    download = f"{_gb(found.download)} to download" if found.download else "Nothing to download"
    gpu = f"{_gb(price.device_memory)} of GPU memory, " if price.device_memory else ""
    each = f" each, {duration(price.seconds * several)} for all {several}" if several > 1 else ""
    where = "the CPU" if price.device == "cpu" else price.device
    return (
        f"{download}; about {gpu}{_gb(price.memory)} of memory and {duration(price.seconds)} on {where}{each} "
        f"(from {price.basis})."
    )


def _stored(first: Preflight) -> list[str]:
    """Ids of stored estimates that answer the same question, latest first."""
    canonical, digest = first.key
    rows = queries.estimates().filter(pl.col("spec") == canonical)
    rows = rows.filter(pl.col("digest") == digest) if digest else rows.clear()
    return rows.sort("created_at", descending=True)["estimate_id"].to_list()


@st.cache_data(ttl=60, max_entries=64, show_spinner="Looking at the model …")
def _preflight(spec: str) -> Preflight:
    return preflight(EstimateSpec.from_json(spec), neighbours.own().to_dicts())


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
