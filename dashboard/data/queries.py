"""Queries of the pages to the store, cached for as long as what they are about does not change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import polars as pl

from dashboard.data import axis_options
from dashboard.data.caching import cached_by
from dashboard.data.rows import Display, in_order_of_colours, newest, with_bracket
from dashboard.format import units
from softh import settings
from softh.analysis import finished_models, seeds, shares, standard_errors
from softh.analysis.shares import Share
from softh.checkpoints.revisions import family_from_name
from softh.quantities import BY_COLUMN, FURTHER, OF_THE_MODEL, of_series
from softh.spec import EstimateSpec
from softh.store import plane, read


@dataclass(frozen=True)
class Setup:
    """Estimates that may be compared: the same text, measured in the same way."""

    corpus: str
    label: str
    """What tells it from the other setups of the corpus."""
    settings: str
    """The column `settings` of the store."""
    orders: tuple[int, ...]
    labels: str = "tokens"
    """What labels are made of: a name of :data:`softh.quantities.LABELS`, or a column."""
    vocabularies: int = 1
    """How many vocabularies its models have."""


@dataclass(frozen=True)
class Selection:
    """What the shared controls say."""

    setup: Setup
    display: Display


def tables_version(*_: object) -> str:
    """A key that changes whenever any table does."""
    return read.version(settings.data())


def scores_version(*_: object) -> str:
    """A key that changes whenever a benchmark score does."""
    return read.version(settings.data(), runs=False)


def setup_version(setup: Setup, *_: object) -> str:
    """A key that changes whenever an estimate of a setup does. Jobs store one every minute, mostly of another setup."""
    return _digest(estimates().filter(pl.col("settings") == setup.settings))


def comparison_version(setup: Setup, *_: object) -> tuple[str, str, str]:
    """A key that changes whenever a score, an estimate of a setup or what probes say of preferences does."""
    return scores_version(), setup_version(setup), _digest(preference())


@cached_by(tables_version, entries=4)
def estimates() -> pl.DataFrame:
    """One row an estimate; see :func:`softh.store.read.estimates`."""
    return read.estimates(settings.data())


def models() -> list[str]:
    """Every model of the tables, by name: what gives each its colour."""
    return estimates()["model"].unique().sort().to_list()


def families() -> list[str]:
    """Every family of the tables, by name: what gives each its colour."""
    return estimates()["family"].unique().sort().to_list()


def runs_first() -> list[str]:
    """Every model of the tables in the order of their colours."""
    return in_order_of_colours(estimates())


def ablations() -> list[str]:
    """Models that were spoiled on purpose."""
    return estimates().filter(pl.col("ablation").is_not_null())["model"].unique().sort().to_list()


@cached_by(tables_version, entries=4)
def former_names() -> dict[str, str]:
    """Former name → today's, of models, of several seeds as one, and of families; the longest first."""
    rows = estimates().filter(pl.col("former").is_not_null()).unique("model").sort("model")
    names = dict(rows.select("former", "model").iter_rows())
    families_of = dict(rows.select("former", "family").iter_rows())
    for stem, members in seeds.families(list(names)).items():
        new = seeds.stem(names[members[0]])
        names[seeds.title(stem, members)] = seeds.title(new, members)
        names.setdefault(stem, names[members[0]])  # of a time when there was one
    names |= {old: family for former, family in families_of.items() if (old := family_from_name(former))}
    return dict(sorted(names.items(), key=lambda pair: -len(pair[0])))


@cached_by(tables_version, entries=4)
def origins() -> dict[str, str]:
    """Post-trained model → the model it was made from; see :func:`softh.analysis.finished_models.origins`."""
    return finished_models.origins(estimates().unique("model", maintain_order=True))


def warnings() -> list[str]:
    """One sentence for each run file that is left out."""
    return read.warnings(settings.data())


@cached_by(tables_version, entries=4)
def setups() -> list[Setup]:
    """Every setup that has estimates, those of most estimates first."""
    counted = (
        estimates()
        .group_by("corpus", "settings")
        .agg(
            pl.len(),
            pl.col("documents").max(),
            pl.col("context").first(),
            pl.col("labels").first(),
            pl.col("vocabulary").n_unique(),
        )
        .sort(["len", "corpus", "settings"], descending=[True, False, False])
    )
    specs = {row["settings"]: json.loads(row["settings"]) for row in counted.to_dicts()}
    rows = [{**row, "orders": specs[row["settings"]].get("orders", (1,))} for row in counted.to_dicts()]
    # Of setups with as many estimates the whole text comes before its sources; of time series, most orders first.
    rows.sort(
        key=lambda row: (
            -row["len"],
            row["corpus"],
            "source" in specs[row["settings"]],
            -len(row["orders"]) if of_series(row["labels"]) else 0,
        )
    )
    every = [
        Setup(
            row["corpus"],
            _label(row["settings"], row["context"]),
            row["settings"],
            tuple(row["orders"]),
            row["labels"],
            row["vocabulary"],
        )
        for row in rows
    ]
    return [_distinct(setup, every) for setup in every]


def comparable(setup: Setup) -> pl.DataFrame:
    """The newest estimate of every checkpoint in one setup."""
    return newest(_of_setup(setup))


def _of_setup(setup: Setup) -> pl.DataFrame:
    """Every estimate of one setup."""
    return estimates().filter(pl.col("settings") == setup.settings, pl.col("corpus") == setup.corpus)


_LONG = ("spec", "versions")
"""Columns of estimates that no page shows, a third of the memory that many rows take."""


@cached_by(setup_version, entries=8)
def trajectory(setup: Setup, models: tuple[str, ...], layer: int | None = None) -> pl.DataFrame:
    """One layer (None: their mean) of the newest estimate of every checkpoint, one row an order and correction."""
    # The value of every draw is for statistics; no figure here needs it.
    ids = _of_setup(setup)["estimate_id"].to_list()
    rows = read.trajectory(settings.data(), models, draws=False, layer=layer, estimates=ids)
    return newest(with_bracket(rows.drop(_LONG)))


@cached_by(setup_version)
def draws(setup: Setup, models: tuple[str, ...], order: int, correction: str, layer: int | None = None) -> pl.DataFrame:
    """The rows of one order and correction of :func:`trajectory`, with their replicates."""
    ids = _of_setup(setup)["estimate_id"].to_list()
    return newest(read.trajectory(settings.data(), models, None, order, correction, layer=layer, estimates=ids))


@cached_by(setup_version)
def further(setup: Setup, models: tuple[str, ...], columns: tuple[str, ...], layer: int | None = None) -> pl.DataFrame:
    """Quantities that are not on the plane, of the estimates of :func:`trajectory`; see :func:`read.further`."""
    ids = comparable(setup).filter(pl.col("model").is_in(models))["estimate_id"].to_list()
    return read.further(settings.data(), columns, ids, layer).drop("layer")


@cached_by(lambda ids: _digest(estimates().filter(pl.col("estimate_id").is_in(ids))))
def further_columns(ids: tuple[str, ...]) -> list[str]:
    """See :func:`read.further_columns`."""
    return read.further_columns(settings.data(), ids)


@cached_by(lambda estimate_id, *_: _digest(estimates().filter(pl.col("estimate_id") == estimate_id)))
def layers(estimate_id: str, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """Every layer of one estimate, one row an order and correction, with the columns of the estimate.

    columns: quantities that are not on the plane.
    """
    rows = with_bracket(read.layers(settings.data(), estimate_id).drop("positions", *plane.replicates()))
    if columns:
        more = read.further(settings.data(), columns, [estimate_id], layers=True)
        more = more.drop(plane.replicates(BY_COLUMN[column] for column in columns))
        rows = rows.join(more, on=["estimate_id", "layer", "ngram", "correction"], how="left", maintain_order="left")
    return rows.join(estimates(), on="estimate_id")


@cached_by(lambda estimate_id, *_: _digest(estimates().filter(pl.col("estimate_id") == estimate_id)))
def context(estimate_id: str, correction: str) -> dict[int | None, list[Share]]:
    """Parts of H(Z) by order, of every layer and last of the mean (None); see :func:`softh.analysis.shares.of_context`.

    Empty where the estimate has one order or a layer lacks a value.
    """
    estimate = estimates().filter(pl.col("estimate_id") == estimate_id)
    layers = read.layers(settings.data(), estimate_id, correction=correction).join(estimate, on="estimate_id")
    mean = read.trajectory(settings.data(), correction=correction, estimates=[estimate_id])
    if mean["ngram"].n_unique() < 2 or pl.concat([layers["input"], mean["input"]]).has_nulls():
        return {}
    by_layer = {layer: rows.to_dicts() for (layer,), rows in layers.group_by("layer", maintain_order=True)}
    places = {layer: by_layer[layer] for layer in sorted(by_layer)} | {None: mean.to_dicts()}
    kind = estimate["labels"][0]
    return {layer: shares.of_context(rows, labels=kind) for layer, rows in places.items()}


@cached_by(lambda ids, *_: _digest(estimates().filter(pl.col("estimate_id").is_in(ids))), entries=8)
def context_means(ids: tuple[str, ...], correction: str) -> dict[str, list[Share]]:
    """Estimate → its parts of H(Z) by order, means over layers, of those that have every order of the others."""
    rows = read.trajectory(settings.data(), correction=correction, estimates=ids).drop_nulls(["input", "entropy"])
    most = rows["ngram"].n_unique()
    found = {}
    for (one,), mine in rows.group_by("estimate_id", maintain_order=True):
        if most > 1 and mine.height == most:
            found[str(one)] = shares.of_context(mine.to_dicts(), labels=mine["labels"][0])
    return found


@cached_by(lambda ids, *_: _digest(estimates().filter(pl.col("estimate_id").is_in(ids))), entries=8)
def depths(ids: tuple[str, ...], order: int, correction: str) -> pl.DataFrame:
    """Every transformer layer of some estimates at one order, with what tells the checkpoints apart."""
    about = estimates().select("estimate_id", "model", "revision", "step", "tokens")
    return read.depths(settings.data(), ids, correction).filter(ngram=order).join(about, on="estimate_id")


@cached_by(lambda ids, *_: _digest(estimates().filter(pl.col("estimate_id").is_in(ids))), entries=16)
def layer_replicates(ids: tuple[str, ...], order: int, correction: str) -> pl.DataFrame:
    """Every layer of some estimates with what their differences are paired in."""
    rows = [read.layers(settings.data(), each, order, correction).drop("positions") for each in ids]
    about = estimates()
    return pl.concat(rows).join(
        about.select("estimate_id", *(set(about.columns) - set(rows[0].columns))), on="estimate_id"
    )


@cached_by(setup_version)
def finished(setup: Setup) -> pl.DataFrame:
    """The last checkpoint of every model, one row an order and correction, with every quantity."""
    ids = finished_models.last(comparable(setup))["estimate_id"].to_list()
    rows = finished_models.with_distance(read.trajectory(settings.data(), corpus=setup.corpus, estimates=ids))
    rows = with_bracket(rows.drop(*plane.replicates(), *_LONG))
    others = (*FURTHER, *OF_THE_MODEL)
    more = read.further(settings.data(), [each.column for each in others], ids)
    more = more.drop("layer", *plane.replicates(others))
    return rows.join(more, on=["estimate_id", "ngram", "correction"], how="left", maintain_order="left")


def estimates_version(ids: tuple[str, ...], *_: object) -> str:
    """A key that changes whenever one of some estimates does."""
    return _digest(estimates().filter(pl.col("estimate_id").is_in(ids)))


@cached_by(estimates_version)
def replicates(ids: tuple[str, ...], order: int, correction: str, layer: int | None = None) -> pl.DataFrame:
    """Some estimates at one layer (None: the mean), with what differences are paired in."""
    return read.trajectory(settings.data(), order=order, correction=correction, layer=layer, estimates=ids)


def of_sources(row: Mapping[str, Any]) -> dict[str, str]:
    """Source → id of its newest estimate, of all sources of a text of one pass; none where they are not all there.

    row: of an estimate of the whole text.
    """
    settings_of = json.loads(row["settings"])
    if "source" in settings_of:
        return {}
    same = estimates().filter(model=row["model"], digest=row["digest"], corpus=row["corpus"])
    found: dict[str, Any] = {}
    for each in same.sort("created_at").to_dicts():
        theirs = json.loads(each["settings"])
        if (source := theirs.pop("source", None)) is not None and theirs == settings_of:
            found[source] = each
    whole = sum(each["positions"] for each in found.values()) == row["positions"]
    return {source: each["estimate_id"] for source, each in found.items()} if whole else {}


@cached_by(scores_version, entries=4)
def benchmarks() -> pl.DataFrame:
    """Every benchmark score; see :func:`softh.store.read.benchmarks`."""
    return read.benchmarks(settings.data())


def scores() -> pl.DataFrame:
    """Every benchmark score of a checkpoint."""
    return benchmarks().filter(pl.col("revision").is_not_null())


@cached_by(comparison_version)
def finished_scores(setup: Setup) -> pl.DataFrame:
    """One score a model of :func:`finished`, task and metric, and what probes say of it about preferences."""
    rows = finished(setup).unique("model", maintain_order=True)
    of_probes = preference().select(
        "model",
        task=pl.lit(axis_options.PREFERENCE),
        metric=pl.lit(axis_options.PREFERENCE),
        score="value",
        stderr="se",
        source=pl.format("probe of {} pairs, {}", "pairs", "data"),
    )
    of_benchmarks = axis_options.finished_scores(benchmarks(), rows)
    return pl.concat([of_benchmarks, of_probes.select(of_benchmarks.columns)], how="vertical_relaxed")


@cached_by(tables_version, entries=4)
def probes() -> pl.DataFrame:
    """One row a preference probe; see :func:`softh.store.read.probes`."""
    return read.probes(settings.data())


@cached_by(lambda ids: _digest(probes().filter(pl.col("estimate_id").is_in(ids))))
def preferences(estimate_ids: tuple[str, ...]) -> pl.DataFrame:
    """Every number of some probes; see :func:`softh.store.read.preferences`."""
    return read.preferences(settings.data(), estimate_ids)


@cached_by(tables_version, entries=4)
def preference() -> pl.DataFrame:
    """What models say about preferences: one row a model, its last checkpoint on the pairs that most models share.

    Columns: model, estimate_id, data (name of the pairs), pairs (how many), positions (tokens of answers), value
    (information in log n over all tokens of the answers, mean over layers, less the null), se_draws, se_documents, se
    (both together) and null. No rows where nothing was probed.
    """
    every = probes()
    shared = every.group_by("settings").agg(pl.col("model").n_unique(), pl.col("created_at").max())
    usual = shared.sort("model", "created_at", descending=True)["settings"].head(1)
    last = finished_models.last(every.filter(pl.col("settings").is_in(usual.to_list())))
    rows = read.preferences(settings.data(), last["estimate_id"].to_list())
    rows = rows.filter(variable="preference", quantity="information").filter(pl.col("layer").is_null())
    null = rows.filter(correction="null").select("estimate_id", null="value")
    about = last.select("estimate_id", "model", data="corpus", pairs=pl.col("documents") // 2)
    value = rows.filter(correction="corrected").select(
        "estimate_id", "value", "se_draws", "se_documents", "positions", se=standard_errors.combined_columns(rows)
    )
    return about.join(value, on="estimate_id").join(null, on="estimate_id").sort("model")


def _digest(rows: pl.DataFrame) -> str:
    """What tells these rows from others, and from the same of another folder."""
    return sha256(str(settings.data().absolute()).encode() + rows.hash_rows().to_numpy().tobytes()).hexdigest()[:16]


def _label(setting: str, context: int) -> str:
    spec = json.loads(setting)
    labels = spec.get("labels", "tokens")
    documents, positions = units(labels)
    kind = "time series, " if of_series(labels) else ""
    parts = [f"{kind}{spec.get('documents', '?')} {documents} × {context} {positions}"]
    # The text is chosen apart, and its size is named first.
    apart = {"corpus", "documents", "context"}
    parts += [f"{name} {value}" for name, value in EstimateSpec.unusual(spec).items() if name not in apart]
    return ", ".join(parts)


def _distinct(setup: Setup, others: Sequence[Setup]) -> Setup:
    """Two samples of one corpus have the same label; the digest of the documents tells them apart."""
    twins = [other for other in others if (other.corpus, other.label) == (setup.corpus, setup.label)]
    if len(twins) == 1:
        return setup
    digest = json.loads(setup.settings)["corpus"]
    return replace(setup, label=f"{setup.label}, text {digest[:6]}")
