"""Scores that a reader brings: read, shown beside the models that are meant, taken into the tables."""

import polars as pl
import streamlit as st

from dashboard import people, queries
from softh import paths, scores
from softh.errors import InputError
from softh.store import write

LEAVE = "none of these"
_ASKED = 12
"""Unknown names that the reader is asked about; more wait under their own name."""


def draw() -> None:
    """An uploader, what it found, and a button that takes it in."""
    if not people.may_change():
        return
    file = st.file_uploader(
        "Scores of your own", ["json", "csv", "parquet"], max_upload_size=50,
        help="results_….json of lm-evaluation-harness, or a table with columns model, task and score.",
    )  # fmt: skip
    if file is None:
        return
    try:
        found = scores.from_file(file.name, file.getvalue())
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    known = dict(queries.estimates().select("model", "source").unique().iter_rows())
    names = _names(scores.unmatched({row["model"] for row in found.rows}, known), sorted(known))
    for note in found.notes:
        st.caption(note)
    st.dataframe(pl.DataFrame(found.rows, infer_schema_length=None), hide_index=True, height=220)
    if st.button(f"Take in {len(found.rows):,} scores", icon=":material/add_chart:"):
        write.save_scores(scores.renamed(found.rows, names), paths.data())
        st.rerun()


def _names(missing: dict[str, list[str]], models: list[str]) -> dict[str, str]:
    """Which model each unknown name means, as the reader says; nothing is guessed."""
    named = {}
    if missing:
        st.info(f"{len(missing):,} names are no model of these tables. Say which model is meant, or leave them.")
    for name, near in list(missing.items())[:_ASKED]:
        options = [LEAVE, *near, *(model for model in models if model not in near)]
        if (chosen := st.selectbox(name, options, key=f"means {name}")) != LEAVE:
            named[name] = chosen
    return named
