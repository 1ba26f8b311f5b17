"""The reader's uploads: what is kept, how much room it takes, and its end."""

from pathlib import Path

import streamlit as st

from softh import access, settings
from softh.uploads import quota, receive, texts


def manage() -> None:
    """The uploads of the person at work in a list, with a button that deletes one; nothing where there are none."""
    person = access.at_work()
    kept = [] if person.refusal else list(quota.kept(person.name))
    if not kept:
        return
    st.subheader("Your uploads")
    bound = f" of {_gb(person.upload_bytes)}" if person.upload_bytes is not None else ""
    st.caption(f"{len(kept)} kept, {_gb(sum(one.size for one in kept))}{bound}.")
    names = {accepted.path: accepted.name for accepted in receive.kept()}
    titles = {
        one.path: f"{names.get(one.path) or _file(one.path)}, {_gb(one.size)} ({one.path.name[-6:]})" for one in kept
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        folder = st.selectbox("Upload", list(titles), format_func=lambda path: titles.get(path, ""))
        if st.button("Delete this upload", icon=":material/delete:"):
            _forget(folder)
            st.rerun()


def _forget(folder: Path) -> None:
    if folder.parent == settings.uploads():
        receive.forget(f"upload:{folder.name}")
    else:
        texts.forget(folder)


def _file(folder: Path) -> str:
    """Name of an uploaded text."""
    return next((path.name for path in folder.iterdir() if not path.name.startswith(".")), "empty")


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
