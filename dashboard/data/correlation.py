"""Estimates beside scores: which sources there are, and the statistics of one choice, remembered."""

from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboard.data import queries
from dashboard.data.queries import Setup
from softh import settings
from softh.analysis import correlation
from softh.analysis.correlation import Detail, Matrix, Method, Study
from softh.store import read

FINISHED, TRAINING = "finished models", "training steps"
MEAN, CHOSEN = "mean", "chosen by other families"
LOSS = correlation.PREDICTORS["bits_per_byte"]
WITHOUT_LAYERS = (LOSS, correlation.PREDICTORS["preference"])
"""Predictors that follow none of the page's order, correction and layers."""
FORESTS = 2_000
"""Resamples of one cell's adjusted coefficients; the matrix has five times as many."""


@dataclass(frozen=True)
class Choice:
    """Everything that decides the statistics of the page but which cell is looked at."""

    setup: Setup
    order: int
    correction: str
    source: str
    among: str
    method: Method
    layer: str


def sources(setup: Setup, among: str) -> list[str]:
    """Where scores of the models of a setup come from, those of most models first; parts after a comma are details."""
    mine = correlation.matched(queries.benchmarks(), queries.comparable(setup))
    mine = mine.filter(~pl.col("metric").is_in(correlation.FACTS))
    if among == TRAINING:
        mine = mine.filter(pl.col("revision").is_not_null())
    counted = mine.group_by(_group()).agg(pl.col("model").n_unique(), pl.len())
    return counted.sort(["model", "len", "group"], descending=[True, True, False])["group"].to_list()


def several_families(setup: Setup) -> bool:
    """Whether scored models of a setup are of two families at least."""
    mine = correlation.matched(queries.benchmarks(), queries.comparable(setup)).filter(
        ~pl.col("metric").is_in(correlation.FACTS)
    )
    models = queries.comparable(setup).filter(pl.col("model").is_in(mine["model"].unique().to_list()))
    return models["family"].n_unique() > 1


def study(choice: Choice) -> Study:
    """Models, predictors and scores of a choice. Errors: InputError where nothing matches."""
    versions = queries.versions_of(choice.setup)
    return _study(versions, choice.setup, choice.order, choice.correction, choice.source, choice.among)


def matrix(choice: Choice, wanted: tuple[str, ...]) -> tuple[Matrix, Study]:
    """Every predictor against the wanted scores, and the study behind it, means over layers."""
    return _matrix(queries.versions_of(choice.setup), choice, wanted)


def cell(choice: Choice, predictor: str, score: str) -> tuple[Detail, Study, list[float]]:
    """One predictor and one score from all sides, their models, and the depths that were chosen."""
    return _cell(queries.versions_of(choice.setup), choice, predictor, score)


@st.cache_data(show_spinner=False, max_entries=32)
def _study(versions: tuple[str, ...], setup: Setup, order: int, correction: str, source: str, among: str) -> Study:
    rows = queries.trajectory(setup, tuple(queries.comparable(setup)["model"].unique().sort().to_list()))
    points = _one_order(rows.filter(correction=correction), order)
    of_source = queries.benchmarks().filter(_group() == source)
    facts = queries.benchmarks().filter(pl.col("metric") == "tokens")
    if among == TRAINING:
        return correlation.training(points, of_source)
    return correlation.finished(points, pl.concat([of_source, facts]).unique(), queries.preference())


@st.cache_data(show_spinner=False, max_entries=64)
def _matrix(versions: tuple[str, ...], choice: Choice, wanted: tuple[str, ...]) -> tuple[Matrix, Study]:
    whole = study(choice)
    if choice.layer == MEAN:
        columns = [whole.scores.index(name) for name in wanted]
        found = correlation.matrix(whole.x, whole.y[:, columns], whole.family, whole.predictors, wanted, choice.method)
        return found, whole
    parts = []
    for name in wanted:
        one, _ = correlation.by_layer(whole, _layers(versions, choice), name, choice.method)
        parts.append(correlation.matrix(one.x, one.y, one.family, one.predictors, one.scores, choice.method))
    return correlation.beside(parts), whole


@st.cache_data(show_spinner=False, max_entries=256)
def _cell(versions: tuple[str, ...], choice: Choice, predictor: str, score: str) -> tuple[Detail, Study, list[float]]:
    whole, depths = study(choice), {}
    if choice.layer == CHOSEN:
        whole, depths = correlation.by_layer(whole, _layers(versions, choice), score, choice.method)
    one = whole.cell(predictor, score)
    loss = None
    if LOSS in whole.predictors and predictor != LOSS:
        at = {name: row for row, name in enumerate(whole.names)}
        loss = whole.x[[at[name] for name in one.names], whole.predictors.index(LOSS)]
    return correlation.detail(one, loss, choice.method, FORESTS), one, [float(d) for d in depths.get(predictor, ())]


@st.cache_data(show_spinner=False, max_entries=8)
def _layers(versions: tuple[str, ...], choice: Choice) -> pl.DataFrame:
    """Transformer layers of the last checkpoint of every model."""
    last = queries.comparable(choice.setup).sort("tokens", "step", "created_at", nulls_last=True)
    last = last.unique("model", keep="last").select("estimate_id", "model")
    rows = read.depths(settings.data(), last["estimate_id"].to_list(), choice.correction)
    return _one_order(rows, choice.order).join(last, on="estimate_id")


def _one_order(rows: pl.DataFrame, order: int) -> pl.DataFrame:
    """Rows of one n-gram order, with the complexity of the highest order beside it, which the residual needs."""
    by = [name for name in ("estimate_id", "layer") if name in rows.columns]
    last = rows.sort("ngram").group_by(by, maintain_order=True).agg(input_highest=pl.col("input").last())
    return rows.filter(ngram=order).join(last, on=by)


def _group() -> pl.Expr:
    """A source without its details, such as precision and commit."""
    return pl.col("source").str.split(",").list.first().alias("group")
