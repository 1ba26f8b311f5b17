"""Chosen points: a click in a figure and a control in the sidebar say the same, and both are in the link."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamlit.delta_generator import DeltaGenerator

from dashboard.controls import controls, session
from dashboard.controls.links import current
from dashboard.controls.session import POINT_NAMES, POINT_ROWS, POINTS

_HELP = "Click a point in the figure to select it, and again to deselect it; the table then shows the selected ones."


def chosen(names: Mapping[str, str], label: str = "Checkpoints", where: DeltaGenerator | None = None) -> set[str]:
    """Ids of the chosen points; names: id → what the reader calls it, unique."""
    ids = {name: point for point, name in names.items()}
    if not current():
        POINT_NAMES.set(dict(names))
    return {ids[name] for name in controls.several(label, sorted(ids), POINTS.key, default=[], help=_HELP, where=where)}


def toggle_clicked(figure: str) -> None:
    """Take a click into the control: a point that was chosen is let go, another joins; customdata has ids."""
    for point in session.figure(figure).get()["selection"]["points"]:
        _toggle(_id(point))


def take(custom: Sequence[str]) -> None:
    """Take a point that the keyboard chose, by what a figure keeps of it: an id, or a predictor and a score."""
    drawn = session.PARAMETERS.get()
    if POINTS.key in drawn and custom:
        _toggle(str(custom[0]))
    elif session.PREDICTOR.key in drawn and len(custom) == 2:
        session.PREDICTOR.set(str(custom[0]))
        session.SCORE.set(str(custom[1]))


def _toggle(point: str) -> None:
    names, selected = POINT_NAMES.get(), list(POINTS.get())
    if (name := names.get(point)) is not None:
        POINTS.set([other for other in selected if other != name] if name in selected else [*selected, name])


def take_cell(figure: str) -> None:
    """Take a click on a cell of the matrix into the controls of predictor and score; customdata has their names."""
    for point in session.figure(figure).get()["selection"]["points"]:
        predictor, score = point["customdata"][:2]
        session.PREDICTOR.set(predictor)
        session.SCORE.set(score)


def selectable_rows(names: Sequence[str]) -> dict[str, Any]:
    """Arguments of st.dataframe that make its rows, by the names of their points, the same choice."""
    selected = POINTS.get() or ()
    POINT_ROWS.set({"selection": {"rows": [row for row, name in enumerate(names) if name in selected]}})

    def take() -> None:
        rows = POINT_ROWS.get()["selection"]["rows"]
        POINTS.set([names[row] for row in rows if row < len(names)])

    return {"on_select": take, "selection_mode": "multi-row", "key": POINT_ROWS.key}


def _id(point: Mapping[str, Any]) -> str:
    custom = point.get("customdata") or [""]
    return str(custom[0] if isinstance(custom, list) else custom)
