"""What an estimate of the named model will cost and whether it is stored already; then the queue."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.data import neighbours, queries
from dashboard.format import count
from dashboard.page import frame
from dashboard.workspace import model_form, my_estimates
from softh import jobs
from softh.checkpoints import hub
from softh.checkpoints.architectures import multimodal_classes
from softh.checkpoints.resolve import is_local
from softh.cost.preflight import Preflight, preflight
from softh.format import duration, format_size
from softh.spec import EstimateSpec


def form() -> None:
    """Checkpoint, text and settings; once all are named, what the estimate will cost."""
    with st.container(border=True), frame.errors_in_place():
        model = None
        with frame.errors_in_place():  # the rest of the form stays
            model = model_form.model()
        left, right = st.columns([1, 2], gap="medium")
        with left:
            text = model_form.text()
        with right:
            settings = model_form.settings()
        if model and text:
            preview(model_form.specs(model, text, settings), model.title)


def preview(specs: Sequence[EstimateSpec], name: str | None = None) -> None:
    """Show what the estimates of some checkpoints will cost, and queue them when the button is pressed."""
    first = _preflight(specs[-1].canonical())
    st.markdown(escape.prose(_describe(first)))
    if first.refusal:
        st.error(escape.prose(first.refusal), icon=":material/block:")
        return
    st.markdown(escape.prose(_cost_sentence(first, len(specs))))
    st.markdown(_company(specs[-1]))
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
    """Queue one job a specification, its commit pinned. Raises InputError when the records cannot be written."""
    new = 0
    for spec in specs:
        commit = None
        if not is_local(spec.model):
            pinned = first.digest if spec == first.spec else hub.list_files(spec.model, spec.revision or "main")[0]
            commit = hub.commit_of(pinned or "")
        new += jobs.submit_spec(spec, commit=commit, name=name)[1]
    jobs.ensure_worker()
    duplicates = len(specs) - new
    message = f"{new} queued" + (f", {duplicates} in the queue already" if duplicates else "")
    st.toast(message, icon=":material/playlist_add_check:")


def _describe(checked: Preflight) -> str:
    digest = f", commit `{checked.digest[:12]}`" if checked.digest and not is_local(checked.spec.model) else ""
    head = "" if checked.causal else ", without a language-model head: hidden states only"
    if checked.architecture in multimodal_classes():
        head = ", a model of text and images, read without its head: hidden states only"
    return (
        f"**{checked.architecture}**, {count(checked.parameters)} parameters, {checked.layers} layers of width "
        f"{checked.width:,}, vocabulary {checked.vocabulary:,}; {checked.weights} in {checked.dtype}{digest}{head}."
    )


def _cost_sentence(checked: Preflight, count: int) -> str:
    cost = checked.cost
    download = f"{format_size(checked.download)} to download" if checked.download else "Nothing to download"
    gpu = f"{format_size(cost.device_memory)} of GPU memory, " if cost.device_memory else ""
    each = f" each, {duration(cost.seconds * count)} for all {count}" if count > 1 else ""
    device = "the CPU" if cost.device == "cpu" else cost.device
    return (
        f"{download}; about {gpu}{format_size(cost.memory)} of memory and {duration(cost.seconds)} on {device}{each} "
        f"(from {cost.basis})."
    )


def _company(spec: EstimateSpec) -> str:
    """How many models the estimate can be compared with."""
    rows = queries.estimates().filter(pl.col("spec").str.json_path_match("$.corpus") == spec.corpus)
    wanted = _in_common(spec.canonical())
    models = {row["model"] for row in rows.to_dicts() if _in_common(row["spec"]) == wanted}
    if not models:
        return (
            "**No model was measured on this text with these settings yet**, so that the estimate will have nothing to "
            "be compared with: keep the default text and settings to see it among others."
        )
    return f"Models measured on this text with these settings, to compare with: {len(models)}."


def _in_common(spec: str) -> dict[str, Any]:
    """What two estimates must have in common to be compared, of a specification as it is stored."""
    return {name: value for name, value in json.loads(spec).items() if name not in _APART}


_APART = {"model", "revision", "draws", "folds", "estimator"}
"""Names of a specification in which estimates that can be compared may differ; see `described` in views.sql."""


def _stored(first: Preflight) -> list[str]:
    """Ids of stored estimates that answer the same question, latest first."""
    canonical, digest = first.key
    rows = queries.estimates().filter(pl.col("spec") == canonical)
    rows = rows.filter(pl.col("digest") == digest) if digest else rows.clear()
    return rows.sort("created_at", descending=True)["estimate_id"].to_list()


@st.cache_data(ttl=60, max_entries=64, show_spinner="Looking at the model …")
def _preflight(spec: str) -> Preflight:
    return preflight(EstimateSpec.from_json(spec), neighbours.own().to_dicts())
