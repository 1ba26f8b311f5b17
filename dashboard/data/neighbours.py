"""The user's own estimates among the others: nearest models, a sentence, and parameters of links to them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboard.data import queries
from dashboard.data.caching import cached_by
from dashboard.data.rows import title
from dashboard.format import checkpoint_name, labels_name, plus_minus, standard_error
from softh.analysis.neighbours import nearest
from softh.quantities import BY_COLUMN

CORRECTION = "corrected"
Parameters = dict[str, str | list[str]]
"""Parameters of a link, as Streamlit takes them."""


@dataclass(frozen=True)
class Landing:
    """One estimate on the plane."""

    model: str
    revision: str
    title: str | None
    """Name of its point; None where it has no number on the plane, or a newer estimate replaces it."""
    nearest: tuple[str, ...]
    """Models of the nearest points, nearest first."""
    setup: Parameters
    """Parameters of the shared controls in a link to it."""
    sentence: str


def own() -> pl.DataFrame:
    """The estimates that are run files here, latest first; see :func:`softh.store.read.estimates`."""
    return queries.estimates().filter("own").sort("created_at", descending=True)


def setup_of(estimate: Mapping[str, Any]) -> queries.Setup:
    """The setup that an estimate can be compared in."""
    return next(setup for setup in queries.setups() if setup.settings == estimate["settings"])


def points_beside(estimate: Mapping[str, Any]) -> tuple[dict[str, Any], pl.DataFrame]:
    """The estimate's own row of the plane at its lowest order, and those of all other models in its setup."""
    setup = setup_of(estimate)
    models = tuple(queries.comparable(setup)["model"].unique().sort())
    rows = queries.trajectory(setup, models).filter(
        pl.col("ngram") == min(setup.orders), pl.col("correction") == CORRECTION
    )
    mine = rows.filter(pl.col("estimate_id") == estimate["estimate_id"])
    others = rows.filter(pl.col("model") != estimate["model"]).drop_nulls(["input", "output"])
    return next(iter(mine.to_dicts()), {}), others


def landed(estimate: Mapping[str, Any]) -> Landing:
    """Where an estimate lies among the others of its setup; computed again when one of these changes."""
    return _landed(setup_of(estimate), estimate["estimate_id"], named=_named(setup_of(estimate)))


@cached_by(queries.setup_version, entries=64)
def _landed(setup: queries.Setup, estimate_id: str, *, named: bool) -> Landing:
    estimate = queries.estimates().row(by_predicate=pl.col("estimate_id") == estimate_id, named=True)
    point, others = points_beside(estimate)
    return Landing(
        model=estimate["model"],
        revision=estimate["revision"],
        title=title(estimate) if point else None,
        nearest=tuple(nearest(point, others)["model"]) if point else (),
        setup={"corpus": setup.corpus} | ({"settings": setup.label} if named else {}),
        sentence=sentence(estimate),
    )


def sentence(estimate: Mapping[str, Any]) -> str:
    """Position of an estimate, its three nearest models, and its standard error to compare their distances with."""
    point, others = points_beside(estimate)
    if not point or point["input"] is None or point["output"] is None:
        return "A newer estimate of the same checkpoint has taken its place, or it has no number on the plane."
    where = ", ".join(
        f"{BY_COLUMN[name].symbol} {plus_minus(point[name], standard_error(point, name))}"
        for name in ("input", "output")
    )
    near = nearest(point, others).to_dicts()
    words = f"It lies at {where} of log n, {labels_name(point['ngram'], CORRECTION)}."
    if not near:
        return f"{words} Nothing else was measured on this text with these settings yet, so it has no neighbours."
    named = [f"{row['model']} at {checkpoint_name(row)} ({row['distance']:.4f} away)" for row in near]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    error = math.hypot(*(standard_error(point, name) or 0.0 for name in ("input", "output")))
    return f"{words} Nearest: {listed}; its own standard error is {error:.4f}."


def _named(setup: queries.Setup) -> bool:
    """Whether its corpus alone does not tell a setup from others."""
    return sum(other.corpus == setup.corpus for other in queries.setups()) > 1
