"""Estimates beside scores: which sources there are, and the statistics of one choice, cached."""

import math
from dataclasses import dataclass, replace

import polars as pl

from dashboard.data import queries
from dashboard.data.caching import cached_by
from dashboard.data.queries import Setup
from softh import settings
from softh.analysis import correlation, finished_models
from softh.analysis import selection as selecting
from softh.analysis.correlation import Chosen, Detail, Matrix, Method, Study
from softh.errors import InputError
from softh.quantities import FURTHER
from softh.store import read

FINISHED, TRAINING = "finished models", "training steps"
MEAN, CHOSEN = "mean", "chosen by other families"
LOSS = correlation.PREDICTORS["bits_per_byte"]
WITHOUT_LAYERS = (LOSS, correlation.PREDICTORS["preference"])
"""Predictors that follow none of the page's order, correction and layers."""


@dataclass(frozen=True)
class Choice:
    """Everything that decides the statistics of the page, except the cell that is shown in detail."""

    setup: Setup
    order: int
    correction: str
    source: str
    among: str
    method: Method
    layer: str


def sources(setup: Setup, among: str) -> list[str]:
    """Where scores of the models of a setup come from, those of most models first; parts after a comma are details."""
    mine = _scored(setup)
    if among == TRAINING:
        mine = mine.filter(pl.col("revision").is_not_null())
    counted = mine.group_by(_group()).agg(pl.col("model").n_unique(), pl.len())
    return counted.sort(["model", "len", "group"], descending=[True, True, False])["group"].to_list()


def several_families(setup: Setup) -> bool:
    """Whether scored models of a setup are of as many families as a correlation needs."""
    scored = _scored(setup)["model"].unique().to_list()
    models = queries.comparable(setup).filter(pl.col("model").is_in(scored))
    return models["family"].n_unique() >= correlation.LEAST_FAMILIES


def measured(choice: Choice) -> pl.DataFrame:
    """Rows of all estimates that a choice is about, one an order and correction."""
    if choice.among == FINISHED:
        return queries.finished(choice.setup)
    return queries.trajectory(choice.setup, tuple(queries.comparable(choice.setup)["model"].unique().sort().to_list()))


def study(choice: Choice) -> Study:
    """Models, predictors and scores of a choice. Errors: InputError where nothing matches."""
    return _study(choice.setup, choice.order, choice.correction, choice.source, choice.among)


@cached_by(queries.comparison_version, entries=32)
def _study(setup: Setup, order: int, correction: str, source: str, among: str) -> Study:
    """The study of all choices that differ by method or layer only."""
    rows = queries.trajectory(setup, tuple(queries.comparable(setup)["model"].unique().sort().to_list()))
    points = _one_order(rows.filter(correction=correction), order)
    of_source = _of_source(source)
    facts = queries.benchmarks().filter(pl.col("metric") == "tokens")
    if among == TRAINING:
        return correlation.training(points, of_source)
    return correlation.finished(points, pl.concat([of_source, facts]).unique(), queries.preference())


def choice_version(choice: Choice, *_: object) -> tuple[str, str, str]:
    """A key that changes whenever what a choice is about does."""
    return queries.comparison_version(choice.setup)


@cached_by(choice_version, entries=64)
def matrix(choice: Choice, scores: tuple[str, ...]) -> tuple[Matrix, Study]:
    """Every predictor against some scores, and the study behind it, means over layers."""
    whole = study(choice)
    if choice.layer == MEAN:
        columns = [whole.scores.index(name) for name in scores]
        every = correlation.matrix(whole.x, whole.y[:, columns], whole.family, whole.predictors, scores, choice.method)
        return every, whole
    parts = []
    for name in scores:
        try:
            one, chosen = _by_layer(choice, name)
        except InputError:  # too few families have this score: its column is empty, the others are shown
            j = whole.scores.index(name)
            nothing = whole.y[:, [j]] * math.nan
            one, chosen = replace(whole, scores=(name,), y=nothing, y_error=nothing), {}
        plain = correlation.matrix(one.x, one.y, one.family, one.predictors, one.scores, choice.method)
        parts.append(correlation.with_chosen(plain, chosen))
    return correlation.beside(parts), whole


@cached_by(choice_version, entries=256)
def cell(choice: Choice, predictor: str, score: str) -> tuple[Detail, Study, list[float]]:
    """One predictor and one score from all sides, their models, and the depths that were chosen."""
    whole, chosen = study(choice), None
    if choice.layer == CHOSEN:
        whole, choices = _by_layer(choice, score)
        chosen = choices.get(predictor)
    one = whole.cell(predictor, score)
    loss = None
    if LOSS in whole.predictors and predictor != LOSS:
        row_of = {name: row for row, name in enumerate(whole.names)}
        loss = whole.x[[row_of[name] for name in one.names], whole.predictors.index(LOSS)]
    detail = correlation.detail(one, loss, choice.method, chosen)
    return detail, one, [] if chosen is None else [float(depth) for depth in chosen.depths]


@cached_by(choice_version, entries=64)
def _by_layer(choice: Choice, score: str) -> tuple[Study, dict[str, Chosen]]:
    """See :func:`softh.analysis.correlation.by_layer`."""
    return correlation.by_layer(study(choice), _layers(choice), score, choice.method)


@cached_by(choice_version, entries=8)
def beside_published(choice: Choice, scores: tuple[str, ...]) -> pl.DataFrame:
    """See :func:`softh.analysis.correlation.beside_published`; raw as published, and what removes most of the bias."""
    known = set(measured(choice)["correction"])
    wanted = [name for name in ("raw", "debiased" if "debiased" in known else "corrected") if name in known]
    studies = {name: study(replace(choice, correction=name)) for name in wanted}
    return correlation.beside_published(studies, scores)


@cached_by(choice_version, entries=16)
def selection(choice: Choice, score: str) -> list[selecting.Choice]:
    """How often each measure names the better of two checkpoints or models; see :mod:`softh.analysis.selection`."""
    ids = queries.comparable(choice.setup)["estimate_id"].to_list()
    points = read.trajectory(settings.data(), order=choice.order, draws=False, estimates=ids)
    corrections = [name for name in ("debiased", "raw", "corrected") if name in set(points["correction"])]
    depths = {name: read.depths(settings.data(), ids, name).filter(ngram=choice.order) for name in corrections}
    further = read.further(settings.data(), [each.column for each in FURTHER if not each.has_labels], ids)
    among = "runs" if choice.among == TRAINING else "models"
    found = selecting.candidates(points, _of_source(choice.source), score, among, depths, further)
    return selecting.choices(found.score, found.group, found.measures, selecting.LOSS, within=among == "runs")


@cached_by(choice_version, entries=8)
def _layers(choice: Choice) -> pl.DataFrame:
    """Transformer layers of the last checkpoint of every model."""
    last = finished_models.last(queries.comparable(choice.setup)).select("estimate_id", "model")
    rows = read.depths(settings.data(), last["estimate_id"].to_list(), choice.correction)
    return _one_order(rows, choice.order).join(last, on="estimate_id")


def _of_source(source: str) -> pl.DataFrame:
    """The scores of one source, its details aside."""
    return queries.benchmarks().filter(_group() == source)


def _one_order(rows: pl.DataFrame, order: int) -> pl.DataFrame:
    """Rows of one n-gram order, with the complexity of the highest order beside it, which the residual needs."""
    by = [name for name in ("estimate_id", "layer") if name in rows.columns]
    last = rows.sort("ngram").group_by(by, maintain_order=True).agg(input_highest=pl.col("input").last())
    return rows.filter(ngram=order).join(last, on=by)


def _scored(setup: Setup) -> pl.DataFrame:
    """The scores of the models of a setup."""
    mine = correlation.matched(queries.benchmarks(), queries.comparable(setup))
    return mine.filter(~pl.col("metric").is_in(correlation.FACTS))


def _group() -> pl.Expr:
    """A source without its details, such as precision and commit."""
    return pl.col("source").str.split(",").list.first().alias("group")
