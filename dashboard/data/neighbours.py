"""The user's own estimates among the others: nearest models, a sentence, and parameters of links to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboard.data import comparison, queries
from dashboard.data.caching import cached_by
from dashboard.data.rows import Display, title
from dashboard.format import checkpoint_name, labels_name, plus_minus, standard_error
from softh.analysis import differences
from softh.analysis.neighbours import nearest
from softh.quantities import BY_COLUMN

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


def points_beside(estimate: Mapping[str, Any]) -> tuple[dict[str, Any], pl.DataFrame, str]:
    """The estimate's own row of the plane at its lowest order, those of all other models in its setup, and a note.

    Debiased where the estimate has such a value, then beside the others that have one too, else null-corrected; the
    note says so where some are not debiased.
    """
    setup = setup_of(estimate)
    models = tuple(queries.comparable(setup)["model"].unique().sort())
    every = queries.trajectory(setup, models)
    own = every.filter(pl.col("estimate_id") == estimate["estimate_id"])
    display, _ = Display(min(setup.orders), "debiased", kind=setup.labels).known(own)
    display, note = (display, _NOT_DEBIASED) if display.correction != "debiased" else display.known(every)
    rows = queries.draws(setup, models, display.order, display.correction).drop_nulls(["input", "output"])
    mine = rows.filter(pl.col("estimate_id") == estimate["estimate_id"])
    return next(iter(mine.to_dicts()), {}), rows.filter(pl.col("model") != estimate["model"]), note


def landed(estimate: Mapping[str, Any]) -> Landing:
    """Where an estimate lies among the others of its setup; computed again when one of these changes."""
    return _landed(setup_of(estimate), estimate["estimate_id"], named=_named(setup_of(estimate)))


@cached_by(queries.setup_version, entries=64)
def _landed(setup: queries.Setup, estimate_id: str, *, named: bool) -> Landing:
    estimate = queries.estimates().row(by_predicate=pl.col("estimate_id") == estimate_id, named=True)
    point, others, _ = points_beside(estimate)
    return Landing(
        model=estimate["model"],
        revision=estimate["revision"],
        title=title(estimate) if point else None,
        nearest=tuple(nearest(point, others)["model"]) if point else (),
        setup={"corpus": setup.corpus} | ({"settings": setup.label} if named else {}),
        sentence=sentence(_in_words(estimate)),
    )


def sentence(estimate: Mapping[str, Any]) -> str:
    """Position of an estimate, its three nearest models, and its standard error to compare their distances with."""
    point, others, note = points_beside(estimate)
    if not point or point["input"] is None or point["output"] is None:
        return "A newer estimate of the same checkpoint has replaced it, or it has no position on the plane."
    where = ", ".join(
        f"{BY_COLUMN[name].symbol} = {plus_minus(point[name], standard_error(point, name))}"
        for name in ("input", "output")
    )
    near = nearest(point, others).to_dicts()
    words = f"Position: {where} (units of log n), {labels_name(point['ngram'], point['correction'], point['labels'])}."
    if not near:
        return f"{words} No other model was measured on this text with these settings yet, so it has no neighbours."
    apart = [(row, differences.distance(point, row, ("input", "output"))) for row in near]
    named = [
        f"{row['model']} at {checkpoint_name(row)} ({plus_minus(away.value, away.error)} away)" for row, away in apart
    ]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    kinds = {point["vocabulary"], *(row["vocabulary"] for row in near)}
    labels = comparison.labels_note(setup_of(estimate), len(kinds))
    return f"{words} Nearest: {listed}; ± is one standard error of the distance. {labels}{note}".strip()


def _in_words(estimate: Mapping[str, Any]) -> Mapping[str, Any]:
    """The estimate of the same checkpoint and text whose labels are words, which tokenizers share; else this one."""
    same = ("model", "revision", "digest", "corpus_digest")
    twins = queries.estimates().filter(pl.col("labels") == "words", *(pl.col(name) == estimate[name] for name in same))
    last = twins.sort("created_at").tail(1).to_dicts()
    return last[0] if last and estimate["labels"] == "tokens" else estimate


_NOT_DEBIASED = (
    "This estimate has no debiased values (an earlier version made it, or its text is too small), so these are "
    "null-corrected."
)


def _named(setup: queries.Setup) -> bool:
    """Whether its corpus alone does not tell a setup from others."""
    return sum(other.corpus == setup.corpus for other in queries.setups()) > 1
