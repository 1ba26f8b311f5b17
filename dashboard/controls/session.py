"""Every key of st.session_state that the pages read or write by name, with the type of its value.

A control whose value nothing else sets is known by its name in the URL alone (dashboard/controls/controls.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import streamlit as st

from dashboard.data.queries import Selection

T = TypeVar("T")
Ranges = Mapping[str, tuple[float, float]]
"""Name of an axis in Plotly's layout → its ends."""


@dataclass(frozen=True)
class SessionValue(Generic[T]):
    """One value of the reader's session."""

    key: str
    default: T

    def get(self) -> T:
        """The value, or its default where nothing has set it."""
        return st.session_state.get(self.key, self.default)

    def set(self, value: T) -> None:
        """Set the value; that of a control only before the control is drawn, or in a callback."""
        st.session_state[self.key] = value

    def pop(self) -> T:
        """The value, which is then forgotten."""
        return st.session_state.pop(self.key, self.default)


PAGE = SessionValue[str]("page", "")
"""Path of the page that runs."""
LINKED_CORPUS = SessionValue[str]("linked_corpus", "")
"""The text that the link named which opened the session."""
SELECTION = SessionValue[Selection | None]("selection", None)
"""What the shared controls say."""
PARAMETERS = SessionValue[Mapping[str, Sequence[str]]]("parameters", {})
"""What every control of this run of the page says, as a link would."""
AT_DEFAULT = SessionValue[frozenset[str]]("at_default", frozenset())
"""Those of them that stand at their default."""

POINTS = SessionValue[Sequence[str]]("points", ())
"""Control: names of the chosen points."""
POINT_NAMES = SessionValue[Mapping[str, str]]("points-names", {})
"""Id → name of the points that can be chosen."""
POINT_ROWS = SessionValue[Any]("points-rows", None)
"""Control: the table whose rows are the points."""

PREDICTOR, SCORE = SessionValue[str]("predictor", ""), SessionValue[str]("score", "")
"""Controls: the cell of the matrix that is shown in detail."""

AXES = SessionValue[Any]("axes", None)
"""Component that listens to the axes of all figures."""

DECK_SLIDE = SessionValue[str]("slide", "1")
"""Control: number of the chosen slide, from 1."""
PRESENTING = SessionValue[bool]("presenting", False)
STAGE = SessionValue[Any]("stage", None)
"""Component that presents a deck."""
THUMBNAILS = SessionValue[Any]("thumbnails", None)
"""Component that shows a small picture of every slide."""
ADDED = SessionValue[tuple[str, str, str]]("added", ("", "", ""))
"""Figure whose menu added a slide in the last run, the deck, and which slides."""

HUB_MODEL = SessionValue[str]("hub", "")
"""Control: the model of the hub."""
HUB_SEARCH = SessionValue[Any]("hub-search", None)
"""Component that searches the hub as one types."""
HUB_FOUND = SessionValue[bool]("hub-found", False)
"""Whether a result of the search was chosen since the page ran."""

UPLOADED_MODEL = SessionValue[str | None]("kept", None)
"""Control: the chosen upload."""
REFUSED_UPLOAD = SessionValue[tuple[Sequence[str], str]]("refused", ((), ""))
"""Ids of the files that were refused last, and why."""
UPLOADED_TEXT = SessionValue[Path | None]("own_text", None)
ENDED_JOBS = SessionValue[frozenset[int] | None]("ended_jobs", None)
"""Jobs whose end this session has announced."""
JOB_ERROR = SessionValue[str]("said", "")


def former_default(control: str) -> SessionValue[Any]:
    """Default of a control in the last run."""
    return SessionValue(f"{control}-default", None)


def figure(key: str) -> SessionValue[Any]:
    """Control: a figure, whose value has the points that were clicked."""
    return SessionValue(key, None)


def axis_ranges(figure: str) -> SessionValue[str]:
    """Control: ranges of the axes of a figure, as written in the link."""
    return SessionValue(f"{figure}-axes", "")


def full_ranges(figure: str) -> SessionValue[Ranges]:
    """Ranges of a figure that shows all of its data."""
    return SessionValue(f"home-{figure}", {})


def drawn_ranges(figure: str) -> SessionValue[Ranges]:
    """Ranges that a figure was drawn with last."""
    return SessionValue(f"drawn-{figure}", {})


def zoomed(figure: str) -> SessionValue[bool]:
    """Whether the reader has just zoomed in a figure, so that the browser shows the new ranges already."""
    return SessionValue(f"zooming-{figure}", False)


def upload_round(control: str) -> SessionValue[int]:
    """How often an upload control was emptied: a control under a new key begins empty."""
    return SessionValue(f"{control}-turn", 0)


def slide_title(deck: str, number: int) -> SessionValue[str]:
    """Control: title of a slide, counted from 0."""
    return SessionValue(f"title-{deck}-{number}", "")


def slide_note(deck: str, number: int) -> SessionValue[str]:
    """Control: note of a slide, counted from 0."""
    return SessionValue(f"note-{deck}-{number}", "")
