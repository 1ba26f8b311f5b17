"""Which theme the reader sees; figures are drawn for one, so the page runs again when it changes."""

import streamlit as st

# Streamlit recolours its own widgets in the browser, but runs no page again when the reader picks the other theme.
_WATCH = """
export default function ({ parentElement, setTriggerValue }) {
  const host = parentElement.host ?? parentElement
  const ground = () => getComputedStyle(host).getPropertyValue("--st-background-color").trim()
  let seen = ground()
  const timer = setInterval(() => {
    const now = ground()
    if (now && now !== seen) setTriggerValue("changed", (seen = now))
  }, 300)
  return () => clearInterval(timer)
}
"""
_watch = st.components.v2.component("softh_theme", js=_WATCH)


def dark() -> bool:
    """Whether the reader's page is dark."""
    return st.context.theme.type == "dark"


def watch() -> None:
    """Run the page again when the reader changes the theme."""
    _watch(key="theme", on_changed_change=lambda: None)
