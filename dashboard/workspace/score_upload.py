"""Upload of benchmark scores: read, matched to the models of the tables by the reader, stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.data import queries
from dashboard.server import auth
from softh import settings
from softh.errors import InputError
from softh.format import and_more
from softh.scores import load
from softh.store import read, write
from softh.uploads import tables

LEAVE = "none of these"
_MAX_QUESTIONS = 12
"""Unknown names that the reader is asked about; more wait under their own name."""


def draw() -> None:
    """An uploader, what its file holds, and a button that stores it."""
    if not auth.may_change():
        return
    file = st.file_uploader(
        "Your own scores", ["json", "csv", "parquet"], max_upload_size=50,
        help="results_….json of lm-evaluation-harness, or a table with columns model, task and score.",
    )  # fmt: skip
    if file is None:
        return
    try:
        imported = _read(file.name, file.getvalue())
    except InputError as error:
        st.error(escape.prose(str(error)), icon=":material/error:")
        return
    known = dict(queries.estimates().select("model", "source").unique().iter_rows())
    names = _names(load.unmatched_models({row["model"] for row in imported.rows}, known, _MAX_QUESTIONS), sorted(known))
    for note in imported.notes:
        st.caption(escape.prose(note))
    st.dataframe(pl.DataFrame(imported.rows, infer_schema_length=None), hide_index=True, height=220)
    rows = load.rename_models(imported.rows, names)
    for note in read.replaced(rows, settings.data()):
        st.caption(escape.prose(note))
    if st.button(f"Import {len(rows):,} {'score' if len(rows) == 1 else 'scores'}", icon=":material/add_chart:"):
        write.save_scores(rows, settings.data())
        st.rerun()


@st.cache_data(max_entries=4, show_spinner="Reading the scores …")
def _read(name: str, content: bytes) -> tables.Scores:
    return tables.read_scores(name, content)


def _names(missing: dict[str, list[str]], models: list[str]) -> dict[str, str]:
    """Unknown name → the model of the tables that it means, by the reader's choice; nothing is guessed."""
    named = {}
    if missing:
        st.info(f"{len(missing):,} names match no model in these tables. Choose which model is meant, or skip.")
    for name, near in list(missing.items())[:_MAX_QUESTIONS]:
        options = [LEAVE, *near, *(model for model in models if model not in near)]
        if (chosen := st.selectbox(escape.markdown(name), options, key=f"means {name}")) != LEAVE:
            named[name] = chosen
    return named


BY_HAND = "entered by hand"


def attach(row: Mapping[str, Any]) -> None:
    """Let the reader give scores to the checkpoint of an estimate; they are stored beside the runs."""
    file = st.file_uploader(
        "Results of lm-evaluation-harness (.json), or a table (.csv, .parquet)", max_upload_size=50, key="score-file"
    )
    if file and st.button("Attach the file", key="attach-file"):
        imported = _read(file.name, file.getvalue())
        _store(scores_of_checkpoint(row, imported.rows))
        for note in imported.notes:
            st.caption(escape.prose(note))
    left, middle, right = st.columns(3)
    task = left.text_input("Task", placeholder="hellaswag", key="score-task").strip()
    metric = middle.text_input("Metric", "accuracy", key="score-metric").strip()
    score = right.number_input("Score", value=None, key="score-value", format="%.4f")
    error = right.number_input("Its standard error", value=None, min_value=0.0, key="score-error", format="%.4f")
    if st.button("Attach this score", disabled=not (task and metric and score is not None), key="attach-one"):
        typed = {"task": task, "metric": metric, "score": score, "stderr": error, "source": BY_HAND}
        _store(scores_of_checkpoint(row, [{**typed, "model": row["model"], "revision": None}]))


def scores_of_checkpoint(row: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Scores as those of this checkpoint, whatever the file calls it. Raises InputError for several models."""
    names = sorted({str(score["model"]) for score in scores})
    if len(names) > 1:
        raise InputError(
            f"The file has scores of {len(names)} models ({and_more(names)}); expected those of one: "
            "use `python -m softh scores import` for several."
        )
    if not scores:
        raise InputError("The file has no score; expected at least one: choose the results file itself.")
    revision = None if row["step"] is None else row["revision"]
    return [{**score, "model": row["model"], "revision": revision} for score in scores]


def _store(rows: list[dict[str, Any]]) -> None:
    for note in read.replaced(rows, settings.data()):
        st.toast(note, icon=":material/info:")
    write.save_scores(rows, settings.data())
    st.toast(f"{len(rows)} {'score' if len(rows) == 1 else 'scores'} attached", icon=":material/add_chart:")
