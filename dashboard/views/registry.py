"""Every page that is a view of the tables, by the name of its path: built for the reader's controls or for a link."""

from collections.abc import Callable, Mapping, Sequence

from dashboard.controls import controls
from dashboard.view import View
from dashboard.views import benchmarks, frontier, layers, preference, trajectory

VIEWS: Mapping[str, Callable[[], View]] = {
    "trajectory": trajectory.view,
    "frontier": frontier.view,
    "benchmarks": benchmarks.view,
    "layers": layers.view,
    "preference": preference.view,
}
"""Path of a page → chooses through dashboard.controls.controls, queries, builds figures."""


def build(page: str, params: Mapping[str, Sequence[str]], *, dark: bool = False) -> tuple[View, list[str]]:
    """The view that a link opens, and a note for each part of the link that does not fit; no control is drawn."""
    with controls.from_link(params, dark=dark) as link:
        return VIEWS[page](), link.notes
