"""The form for the reader's own pairs: upload a file, see what is in it, queue a probe, follow its job."""

from pathlib import Path

import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.data import queries
from dashboard.page import frame
from dashboard.server import auth
from dashboard.workspace import job_panel, model_form
from softh import jobs
from softh.checkpoints import hub
from softh.checkpoints.files import UPLOAD
from softh.format import and_more
from softh.preference.reasons import reason_text
from softh.spec import PreferenceSpec
from softh.uploads import tables, texts
from softh.uploads.tables import PairsSummary

LIMITS, CONTEXTS = (100, 300, 1000, 2000, 10_000), (128, 256, 512, 1024)


def panel() -> None:
    """Upload, settings, what the file holds, and the jobs."""
    with frame.errors_in_place():
        if auth.may_change():
            _form()
    if not auth.read_only() and any(job.kind == "preference" for job in jobs.listing()):
        job_panel.panel(show)


def _form() -> None:
    with st.container(border=True), frame.errors_in_place():
        left, right = st.columns(2, gap="medium")
        with left:
            file = st.file_uploader("Preference pairs", type=["jsonl", "parquet", "gz", "xz"], key="pairs-file")
            st.caption("Columns chosen and rejected, texts or lists of messages; prompt and source if there are any.")
            limit = st.select_slider("Pairs at most", LIMITS, 300, key="pairs-limit")
            context = st.select_slider("Tokens of prompt and answer", CONTEXTS, 256, key="pairs-context")
        with right:
            model = model_form.model()
        if not file:
            return
        path = texts.save(file.name, file.getvalue()).resolve()
        st.markdown(escape.prose(_describe(_read(str(path), limit))))
        if model and st.button("Probe", type="primary", icon=":material/play_arrow:"):
            if not Path(model.name).exists() and not model.name.startswith(UPLOAD):
                hub.check_id(model.name)
            for revision in model.revisions:
                spec = PreferenceSpec(
                    model=model.name, revision=revision, pairs=str(path), limit=limit, context=context
                )
                jobs.submit_spec(spec)
            jobs.ensure_worker()
            st.rerun()


def show(estimate_id: str) -> None:
    """Where to see a finished probe."""
    rows = queries.probes().filter(pl.col("estimate_id") == estimate_id)
    if rows.is_empty():
        st.caption("Its numbers are on the other pages.")
        return
    row = rows.row(0, named=True)
    name = escape.markdown(row["corpus"])
    st.markdown(f"{row['documents'] // 2:,} pairs measured. Choose **{name}** under Pairs to see them above.")


@st.cache_data(max_entries=8, show_spinner="Reading the pairs …")
def _read(path: str, limit: int) -> PairsSummary:
    return tables.describe_pairs(Path(path), limit)


def _describe(content: PairsSummary) -> str:
    """What a file holds, before anything is computed."""
    excluded = ", ".join(f"{reason_text(reason)} ({count:,})" for reason, count in content.excluded.items())
    named = f" Sources: {and_more(content.sources)}." if content.sources else ""
    return (
        f"**{content.pairs:,} pairs** of {Path(content.name).name}, {content.prompts:,} with a prompt; "
        f"excluded: {excluded or 'none'}.{named} {content.note}"
    )
