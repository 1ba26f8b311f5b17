"""What a page shows, as data that pages draw and that decks and exports use unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import plotly.graph_objects as go
import polars as pl

from dashboard import escape
from softh.errors import InputError


@dataclass(frozen=True)
class View:
    """One page at one choice of its controls."""

    title: str
    """Title on a slide, short: models, order, correction."""
    figures: Mapping[str, go.Figure]
    """Key of the chart → figure with its alt text in `layout.meta`, the main one first."""
    rows: pl.DataFrame
    """The table to read."""
    data: pl.DataFrame
    """The rows behind figures and table in full, flat columns only: the content of CSV and Parquet files."""
    caption: str
    """Corpus, n and errors, shown with the figures."""
    finding: str = field(default="", kw_only=True)
    """What the figures show, one sentence from the numbers, at the top of the page."""
    published: str = field(default="", kw_only=True)
    """Whether that agrees with what others have published; empty where nothing is."""
    source: str = field(default="", kw_only=True)
    """What is shown of which text, in one line below the figures; the caption says the rest."""
    text: str = field(default="", kw_only=True)
    """Summary of the numbers, one paragraph; empty where a page has none."""
    name: str
    """Stem of the names of its files."""
    behind: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Key of a figure → the rows behind it, where these are neither `data` nor `rows`."""
    notes: tuple[str, ...] = ()
    """Findings, one sentence each (Markdown)."""

    def __post_init__(self) -> None:
        """Take markup out of what others named, wherever the figures are shown or exported."""
        object.__setattr__(self, "figures", {key: escape.figure(figure) for key, figure in self.figures.items()})


class Empty(InputError):
    """Raised where a choice leaves nothing to show; the message says what to choose instead."""
