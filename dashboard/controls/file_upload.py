"""Files that a reader sends: their bytes are let go as soon as they are kept elsewhere."""

from collections.abc import Sequence
from typing import Any, NoReturn

import streamlit as st

from dashboard.server import streamlit_internals


def choose(label: str, key: str, *, many: bool = False) -> list[Any]:
    """The files that were sent and not dropped yet."""
    sent = st.file_uploader(label, accept_multiple_files=many, key=f"{key}-{_turn(key)}")
    return list(sent) if isinstance(sent, list) else [sent] if sent else []


def drop(key: str, files: Sequence[Any]) -> NoReturn:
    """Empty the control and run the page again; Streamlit would hold the bytes until the session ends."""
    streamlit_internals.delete_uploaded(files)
    st.session_state[f"{key}-turn"] = _turn(key) + 1
    st.rerun()


def _turn(key: str) -> int:
    return st.session_state.get(f"{key}-turn", 0)
