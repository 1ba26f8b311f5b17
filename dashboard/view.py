"""What a page shows, as data: a page draws it, a deck and an export take it as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import plotly.graph_objects as go
import polars as pl

from softh.errors import InputError


@dataclass(frozen=True)
class View:
    """One page at one choice of its controls."""

    title: str
    """What stands above it on a slide, short: models, order, correction."""
    figures: Mapping[str, go.Figure]
    """Key of the chart → figure with its alt text in `layout.meta`, the main one first."""
    rows: pl.DataFrame
    """The table to read."""
    data: pl.DataFrame
    """The rows behind figures and table in full, flat columns only: what is taken away as CSV or Parquet."""
    caption: str
    """Text, n, errors: what must stand beside the figures."""
    text: str = field(default="", kw_only=True)
    """What the numbers say, a paragraph; empty where a page leaves that to the reader."""
    name: str
    """Stem of the files that it is saved as."""
    behind: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Key of a figure → the rows behind it, where these are neither `data` nor `rows`."""
    notes: tuple[str, ...] = ()
    """What was found, a sentence each (Markdown)."""


class Empty(InputError):
    """A choice that leaves nothing to show; its one sentence says what to choose instead."""
