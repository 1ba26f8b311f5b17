"""A view is a link: what a link asks for, on the page that it opens and where a view is built from it alone."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches

import streamlit as st

from dashboard import escape
from dashboard.controls import browser, session
from softh.format import and_more

_MOST_LISTED = 6
"""Options that a sentence lists; of more it names those most like the one that is not there."""


@dataclass(frozen=True)
class Link:
    """A view that is built from its link: nothing is drawn, nobody's session is touched."""

    params: Mapping[str, Sequence[str]]
    dark: bool
    page: str = ""
    """Slug of the page that the link opens."""
    notes: list[str] = field(default_factory=list)
    """A sentence for each part of the link that does not fit."""


_link: ContextVar[Link | None] = ContextVar("link", default=None)


@contextmanager
def from_link(params: Mapping[str, Sequence[str]], *, dark: bool = False, page: str = "") -> Generator[Link]:
    """Within it every control returns what a link says (params as `urllib.parse.parse_qs` gives) and is not drawn.

    Parse with `keep_blank_values=True`: an empty value is a choice of nothing.
    """
    link = Link(params, dark, page)
    token = _link.set(link)
    try:
        yield link
    finally:
        _link.reset(token)


def current() -> Link | None:
    """The link that a view is built from, or None on a page."""
    return _link.get()


def dark() -> bool:
    """Whether figures are drawn for a dark page: as the link asks, or as the reader's page is."""
    link = current()
    return link.dark if link else browser.dark()


def page() -> str:
    """Slug of the page that is drawn, or that a link opens."""
    return link.page if (link := current()) else session.PAGE.get()


def requested(key: str) -> list[str]:
    """What a link says about a control that has not been drawn yet."""
    if link := current():
        return list(link.params.get(key, ()))
    return [] if key in st.session_state else st.query_params.get_all(key)


def register(key: str, values: Sequence[str], *, usual: bool) -> None:
    """Add to the link of the page what a control says that was drawn on it, and whether it stands at its default."""
    session.PARAMETERS.set({**session.PARAMETERS.get(), key: values})
    at_default = session.AT_DEFAULT.get() - {key}
    session.AT_DEFAULT.set(at_default | {key} if usual else at_default)


def page_parameters() -> dict[str, Sequence[str]]:
    """The link to the page as it is: what each of its controls says that was drawn in this run.

    A slide keeps all of it: the address in the browser leaves defaults out, and those may change with the tables.
    """
    address = {name: st.query_params.get_all(name) for name in st.query_params}
    return {**address, **session.PARAMETERS.get()}


def short_parameters() -> dict[str, Sequence[str]]:
    """The same without what stands at its default: the link that readers share."""
    return {name: values for name, values in page_parameters().items() if name not in session.AT_DEFAULT.get()}


def note(key: str, unknown: Sequence[str], options: Sequence[str], shown: str) -> None:
    """Say which part of a link does not fit: on the page, or in the notes of a view that is built from the link."""
    if len(options) <= _MOST_LISTED:
        known = f"not among {and_more(options)}" if options else "not in these tables"
    else:
        near = [match for name in unknown[:3] for match in get_close_matches(name, options, 1)]
        known = "not in these tables" + (f" (most like it: {and_more(list(dict.fromkeys(near)))})" if near else "")
    sentence = f"The link asks for {key} {and_more(unknown)}, which is {known}: showing {shown or 'none'}."
    if link := current():
        link.notes.append(sentence)
    else:
        st.info(escape.prose(sentence), icon=":material/link_off:")
