"""The reader's uploads: what is stored, how much space it takes, and its deletion."""

from pathlib import Path

import streamlit as st

from softh import access, settings
from softh.format import format_size
from softh.uploads import quota, receive, texts


def manage() -> None:
    """The uploads of the current user, with a button that deletes one; nothing where there are none."""
    person = access.current_user()
    uploads = [] if person.refusal else list(quota.list_uploads(person.name))
    if not uploads:
        return
    st.header("Your uploads")
    quota_text = f" of {format_size(person.upload_bytes)}" if person.upload_bytes is not None else ""
    st.caption(f"{len(uploads)} stored, {format_size(sum(upload.size for upload in uploads))}{quota_text}.")
    names = {accepted.path: accepted.name for accepted in receive.list_models()}
    titles = {}
    for upload in uploads:
        name = names.get(upload.path) or _text_name(upload.path)
        titles[upload.path] = f"{name}, {format_size(upload.size)} ({upload.path.name[-6:]})"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        folder = st.selectbox("Upload", list(titles), format_func=lambda path: titles.get(path, ""))
        with st.popover("Delete …", icon=":material/delete:"):
            st.markdown("Removes these files from the server. Estimates made from them stay.")
            if st.button("Delete this upload", type="primary", key="delete-upload"):
                _delete(folder)
                st.toast("Deleted.", icon=":material/delete:")
                st.rerun()


def _delete(folder: Path) -> None:
    if folder.parent == settings.uploads():
        receive.delete(f"upload:{folder.name}")
    else:
        texts.delete(folder)


def _text_name(folder: Path) -> str:
    """Name of an uploaded text."""
    return next((path.name for path in folder.iterdir() if not path.name.startswith(".")), "empty")
