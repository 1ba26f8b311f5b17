"""Every page of the application: its script, title, icon, and the view that decks and exports build from a link."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.controls.links import from_link
from dashboard.data.neighbours import Landing, Parameters
from dashboard.view import View
from dashboard.views import benchmarks, frontier, layers, preference, trajectory


@dataclass(frozen=True)
class Page:
    """One page; its script is `pages/<slug>.py`."""

    slug: str
    """Path in the address, and name of the script."""
    title: str
    """In the navigation and on links to it."""
    symbol: str
    """A name of Google's Material Symbols."""
    view: Callable[[], View] | None = None
    """Reads the controls and builds the figures; None for a page that is no view of the tables."""
    shared_controls: bool = False
    """Whether corpus, settings, n-gram order and correction stand in its sidebar."""
    link_to: Callable[[Landing], Parameters] | None = None
    """Parameters of the link that shows one estimate on the page; None where an estimate is no point on it."""

    @property
    def script(self) -> str:
        """'pages/layers.py'."""
        return f"pages/{self.slug}.py"

    @property
    def icon(self) -> str:
        """':material/layers:'."""
        return f":material/{self.symbol}:"


PAGES = (
    Page("trajectory", "Trajectory", "timeline", trajectory.view, shared_controls=True, link_to=trajectory.link_to),
    Page("frontier", "Frontier", "scatter_plot", frontier.view, shared_controls=True, link_to=frontier.link_to),
    Page("benchmarks", "Benchmarks", "trending_up", benchmarks.view, shared_controls=True),
    Page("preference", "Preference", "thumbs_up_down", preference.view),
    Page("layers", "Layers", "layers", layers.view, shared_controls=True, link_to=layers.link_to),
    Page("analyze", "Analyze", "add_location_alt"),
    Page("present", "Present", "slideshow"),
    Page("method", "Method", "function"),
)
"""In the order of the navigation; the first is the home page, whose path is empty."""
VIEWS: Mapping[str, Callable[[], View]] = {page.slug: page.view for page in PAGES if page.view}
"""Slug of a page → the view that it shows."""


def page(slug: str) -> Page:
    """The page of a path; the home page for the empty one."""
    return next((each for each in PAGES if each.slug == slug), PAGES[0])


def build(slug: str, params: Mapping[str, Sequence[str]], *, dark: bool = False) -> tuple[View, list[str]]:
    """The view that a link opens, and a note for each part of the link that does not fit; no control is drawn."""
    with from_link(params, dark=dark, page=slug) as link:
        return VIEWS[slug](), link.notes
