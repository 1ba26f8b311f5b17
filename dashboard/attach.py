"""Scores of the reader's own model: from a results file of lm-evaluation-harness, a table, or typed in."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.links import listed
from softh import paths, scores
from softh.errors import InputError
from softh.store import write

BY_HAND = "entered by hand"


def attach(row: Mapping[str, Any]) -> None:
    """Let the reader give scores to the checkpoint of an estimate; they are stored beside the runs."""
    file = st.file_uploader("Results of lm-evaluation-harness (.json), or a table (.csv, .parquet)", key="score-file")
    if file and st.button("Attach the file", key="attach-file"):
        imported = scores.from_file(file.name, file.getvalue())
        _store(_of(row, imported.rows))
        for note in imported.notes:
            st.caption(note)
    left, middle, right = st.columns(3)
    task = left.text_input("Task", placeholder="hellaswag", key="score-task").strip()
    metric = middle.text_input("Metric", "accuracy", key="score-metric").strip()
    score = right.number_input("Score", value=None, key="score-value", format="%.4f")
    error = right.number_input("Its standard error", value=None, min_value=0.0, key="score-error", format="%.4f")
    if st.button("Attach this score", disabled=not (task and metric and score is not None), key="attach-one"):
        typed = {"task": task, "metric": metric, "score": score, "stderr": error, "source": BY_HAND}
        _store(_of(row, [{**typed, "model": row["model"], "revision": None}]))


def _of(row: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Scores as those of this checkpoint, whatever the file called it. Errors: InputError for scores of several."""
    names = sorted({str(one["model"]) for one in found})
    if len(names) > 1:
        raise InputError(
            f"The file has scores of {len(names)} models ({listed(names)}); expected those of one: "
            "use `python -m softh scores import` for several."
        )
    if not found:
        raise InputError("The file has no score; expected at least one: choose the results file itself.")
    revision = None if row["step"] is None else row["revision"]
    return [{**one, "model": row["model"], "revision": revision} for one in found]


def _store(rows: list[dict[str, Any]]) -> None:
    write.save_scores(rows, paths.data())
    st.toast(f"{len(rows)} scores attached", icon=":material/add_chart:")
