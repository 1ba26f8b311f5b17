"""Chosen points: a click in a figure and a control in the sidebar say the same, and both are in the link."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.controls import controls
from dashboard.controls.links import current

KEY = "points"
_HELP = "Click a point in the figure to choose it, and again to let it go; the table then shows the chosen ones."


def chosen(names: Mapping[str, str], label: str = "Checkpoints", where: DeltaGenerator | None = None) -> set[str]:
    """Ids of the chosen points; names: id → what the reader calls it, unique."""
    ids = {name: found for found, name in names.items()}
    if not current():
        st.session_state[f"{KEY}-names"] = dict(names)
    return {ids[name] for name in controls.several(label, sorted(ids), KEY, default=[], help=_HELP, where=where)}


def clicked(chart: str) -> None:
    """Take a click into the control: a point that was chosen is let go, another joins; customdata has ids."""
    names: dict[str, str] = st.session_state.get(f"{KEY}-names", {})
    held: list[str] = list(st.session_state.get(KEY, []))
    for point in st.session_state[chart]["selection"]["points"]:
        if (name := names.get(_id(point))) is not None:
            held = [other for other in held if other != name] if name in held else [*held, name]
    st.session_state[KEY] = held


def of_rows(names: Sequence[str]) -> dict[str, Any]:
    """What makes the rows of a table, by what the reader calls their points, the same choice."""
    key, held = f"{KEY}-rows", st.session_state.get(KEY) or []
    st.session_state[key] = {"selection": {"rows": [place for place, name in enumerate(names) if name in held]}}

    def marked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        st.session_state[KEY] = [names[row] for row in rows if row < len(names)]

    return {"on_select": marked, "selection_mode": "multi-row", "key": key}


def _id(point: Mapping[str, Any]) -> str:
    custom = point.get("customdata") or [""]
    return str(custom[0] if isinstance(custom, list) else custom)
