"""Authentication of readers through Streamlit's OpenID Connect, and their permissions to view and to change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from dashboard import escape
from dashboard.server import streamlit_internals
from softh import access, settings
from softh.access import Person

_READ_ONLY = (
    "This server only shows: nothing is started or changed on its pages (SOFTH_READ_ONLY is set). To measure models "
    "and to build decks, run softh on a machine of yours."
)
_VIEWER = "{name} may look, but not start or change anything: ask its administrator for a place in SOFTH_STARTERS."


def identify_readers() -> None:
    """Have the reader whose page runs be the current user of this process."""
    access.set_identity_provider(lambda: person(claims()))


def signs_in() -> bool:
    """Whether readers must sign in; also when the file of secrets cannot be read, so that a typo grants no access."""
    lists = settings.text("SOFTH_VIEWERS") or settings.text("SOFTH_STARTERS")
    if lists or not any(Path(file).exists() for file in st.get_option("secrets.files")):
        return bool(lists)
    return not st.secrets.load_if_toml_exists() or "auth" in st.secrets


def person(claims: Mapping[str, Any]) -> Person:
    """Permissions of a reader, from the claims of their provider. Errors: InputError for an invalid setting."""
    if not signs_in():
        return Person(place="page", refusal=_READ_ONLY if read_only() else "", audited=not read_only())
    name = _name(claims)
    if read_only():
        refusal = _READ_ONLY
    elif not name:
        refusal = "Nobody is signed in; expected a person of SOFTH_STARTERS: sign in."
    elif not listed(claims, "SOFTH_STARTERS"):
        refusal = _VIEWER.format(name=name)
    else:
        refusal = ""
    jobs, upload_bytes = int(settings.number("SOFTH_USER_JOBS")), int(settings.number("SOFTH_USER_UPLOAD_GB") * 1e9)
    return Person(name, "page", refusal, jobs, upload_bytes, audited=not read_only())


def may_view(claims: Mapping[str, Any]) -> bool:
    """Whether a reader may see the pages: viewers and starters, or everybody signed in where no viewers are listed."""
    if not signs_in():
        return True
    everybody = bool(_name(claims)) and not settings.text("SOFTH_VIEWERS")
    return everybody or listed(claims, "SOFTH_VIEWERS") or listed(claims, "SOFTH_STARTERS")


def listed(claims: Mapping[str, Any], setting: str) -> bool:
    """Whether a list of addresses and domains, such as `ada@example.org, @lab.example`, has a reader's address."""
    address = _address(claims).casefold()
    entries = {entry.strip().casefold() for entry in settings.text(setting).split(",")}
    return bool(address) and (address in entries or f"@{address.rpartition('@')[2]}" in entries)


def read_only() -> bool:
    """Whether nobody may change anything on the pages."""
    return settings.switch("SOFTH_READ_ONLY")


def may_change() -> bool:
    """Whether the reader may start and change things; if not, draws the reason in place of the controls."""
    refusal = access.current_user().refusal
    if refusal:
        st.info(escape.prose(refusal), icon=":material/visibility:")
    return not refusal


def require_login() -> bool:
    """Whether the reader may see the pages; if not, draws the page to sign in."""
    if not signs_in():
        return True
    reader = claims()
    if may_view(reader):
        _signed_in(_name(reader))
        return True
    st.title("softh")
    if name := _name(reader):
        st.error(
            escape.markdown(f"{name} may not see this server: ask its administrator for a place in SOFTH_VIEWERS."),
            icon=":material/block:",
        )
        _logout_button("secondary")
    else:
        st.markdown("Where language models lie on the information plane. This server asks who you are first.")
        _login_buttons()
    return False


def _login_buttons() -> None:
    """A button for every provider that the secrets name."""
    section = st.secrets["auth"] if st.secrets.load_if_toml_exists() and "auth" in st.secrets else {}
    if not section:
        st.error(
            "Nobody can sign in: the section [auth] of .streamlit/secrets.toml is missing or cannot be read: the "
            "administrator of this server corrects it and starts it again.",
            icon=":material/key_off:",
        )
        return
    named = [key for key, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    for provider in named or [None]:
        label = f"Sign in with {provider.capitalize()}" if provider else "Sign in"
        if st.button(label, type="primary", icon=":material/login:"):
            st.login(provider)


def _signed_in(name: str) -> None:
    with st.sidebar.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Signed in as {escape.markdown(name)}")
        _logout_button("tertiary")


def _logout_button(kind: Literal["secondary", "tertiary"]) -> None:
    if st.button("Sign out", type=kind, icon=":material/logout:"):
        st.logout()
        # A rerun of what follows would replace this request to the browser.
        st.stop()


def claims() -> Mapping[str, Any]:
    """Claims of the reader whose page runs; none outside a page."""
    return st.user.to_dict() if streamlit_internals.in_session() else {}


def _name(claims: Mapping[str, Any]) -> str:
    """Address of a reader, else their subject at the provider; empty when nobody is signed in."""
    return _address(claims) or (str(claims.get("sub") or "") if claims.get("is_logged_in") is True else "")


def _address(claims: Mapping[str, Any]) -> str:
    """Address of a reader; empty where the provider says that it is not verified."""
    if claims.get("is_logged_in") is not True or claims.get("email_verified") is False:
        return ""
    return str(claims.get("email") or "")
