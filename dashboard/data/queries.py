"""Questions of the pages to the store, remembered for as long as what they are about does not change."""

import json
from dataclasses import dataclass
from hashlib import sha256

import polars as pl
import streamlit as st

from dashboard.data import axis_options
from dashboard.data.rows import View
from softh import settings as paths
from softh.analysis import finished_models, standard_errors
from softh.quantities import PLANE
from softh.spec import EstimateSpec
from softh.store import read


@dataclass(frozen=True)
class Setup:
    """Estimates that may be compared: the same text, measured in the same way."""

    corpus: str
    label: str
    """What tells it from the other setups of the corpus."""
    settings: str
    """The column `settings` of the store."""
    orders: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """What the shared controls say."""

    setup: Setup
    view: View


def estimates() -> pl.DataFrame:
    """One row an estimate; see :func:`softh.store.read.estimates`."""
    return _estimates(_now())


def models() -> list[str]:
    """Every model of the tables, by name: what gives each its colour."""
    return estimates()["model"].unique().sort().to_list()


def comparable(setup: Setup) -> pl.DataFrame:
    """The newest estimate of every checkpoint in one setup."""
    return newest(estimates().filter(pl.col("settings") == setup.settings))


def probes() -> pl.DataFrame:
    """One row a preference probe; see :func:`softh.store.read.probes`."""
    return _probes(_now())


def preference() -> pl.DataFrame:
    """What models say about preferences: one row a model, its newest probe on the pairs that most models share.

    Columns: model, estimate_id, data (name of the pairs), pairs (how many), positions (tokens of answers), value
    (information in log n over all tokens of the answers, mean over layers, less the null), se_draws, se_documents, se
    (both together) and null. No rows where nothing was probed.
    """
    return _preference(_now())


def preferences(estimate_ids: tuple[str, ...]) -> pl.DataFrame:
    """Every number of some probes; see :func:`softh.store.read.preferences`."""
    return _preferences(_digest(probes().filter(pl.col("estimate_id").is_in(estimate_ids))), estimate_ids)


def problems() -> list[str]:
    """One sentence for each run file that is left out."""
    return read.problems(paths.data())


def setups() -> list[Setup]:
    """Every setup that has estimates, those of most estimates first."""
    return _setups(_now())


def runs_first() -> list[str]:
    """Every model of the tables, those with several checkpoints first and one seed before the others.

    A place in it is a colour: the first are the ones to be told apart.
    """
    each = estimates().group_by("model").agg(pl.col("revision").n_unique()).sort("model")
    each = each.with_columns(pl.col("model").str.replace(r"-seed\d+", "").alias("stem"))
    again = pl.int_range(pl.len()).over("stem")
    return each.sort(pl.col("revision") == 1, again, pl.col("model"))["model"].to_list()


def trajectory(setup: Setup, models: tuple[str, ...], layer: int | None = None) -> pl.DataFrame:
    """One layer (None: their mean) of the newest estimate of every checkpoint, one row an order and correction."""
    return _trajectory(version_of(setup), setup.corpus, setup.settings, models, layer)


def draws(setup: Setup, models: tuple[str, ...], order: int, correction: str, layer: int | None = None) -> pl.DataFrame:
    """The rows of one order and correction of :func:`trajectory`, with the value of every draw."""
    return _draws(version_of(setup), setup.corpus, setup.settings, models, order, correction, layer)


def benchmarks() -> pl.DataFrame:
    """Every benchmark score; see :func:`softh.store.read.benchmarks`."""
    return _benchmarks(read.version(paths.data(), runs=False))


def scores() -> pl.DataFrame:
    """Every benchmark score of a checkpoint."""
    return benchmarks().filter(pl.col("revision").is_not_null())


def layers(estimate_id: str) -> pl.DataFrame:
    """Every layer of one estimate, one row an order and correction, with the columns of the estimate."""
    return _layers(_digest(estimates().filter(pl.col("estimate_id") == estimate_id)), estimate_id)


def finished(setup: Setup) -> pl.DataFrame:
    """The last checkpoint of every model, one row an order and correction, with its distance to the bound."""
    return _finished(version_of(setup), setup.corpus, setup.settings)


def finished_scores(setup: Setup) -> pl.DataFrame:
    """One score a model of :func:`finished`, task and metric, and what probes say of it about preferences."""
    return _finished_scores(versions_of(setup), setup.corpus, setup.settings)


def families() -> list[str]:
    """Every family of the tables, by name: what gives each its colour."""
    return estimates()["family"].unique().sort().to_list()


def origins() -> dict[str, str]:
    """Post-trained model → the model it was made from; see :func:`softh.analysis.finished_models.origins`."""
    return _origins(_now())


def version_of(setup: Setup) -> str:
    """A key that changes whenever an estimate of a setup does. Jobs store one every minute, mostly of another setup."""
    return _digest(estimates().filter(pl.col("settings") == setup.settings))


def versions_of(setup: Setup) -> tuple[str, ...]:
    """A key that changes whenever a score, an estimate of a setup or what probes say does."""
    return read.version(paths.data(), runs=False), version_of(setup), _digest(preference())


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """The last estimate of every checkpoint, in the order of the rows."""
    last = rows.sort("created_at").unique(["model", "revision", "digest"], keep="last")["estimate_id"]
    return rows.filter(pl.col("estimate_id").is_in(last.to_list()))


def _now() -> str:
    return read.version(paths.data())


@st.cache_data(show_spinner=False, max_entries=4)
def _estimates(version: str) -> pl.DataFrame:
    return read.estimates(paths.data())


@st.cache_data(show_spinner=False, max_entries=4)
def _setups(version: str) -> list[Setup]:
    counted = (
        _estimates(version)
        .group_by("corpus", "settings")
        .agg(pl.len(), pl.col("documents").max(), pl.col("context").first())
        .sort(["len", "corpus", "settings"], descending=[True, False, False])
    )
    found = [
        Setup(row["corpus"], _label(row["settings"], row["context"]), row["settings"], _orders(row["settings"]))
        for row in counted.to_dicts()
    ]
    return [_told_apart(setup, found) for setup in found]


def _digest(rows: pl.DataFrame) -> str:
    """What tells these rows from others, and from the same of another folder."""
    return sha256(str(paths.data().absolute()).encode() + rows.hash_rows().to_numpy().tobytes()).hexdigest()[:16]


@st.cache_data(show_spinner=False, max_entries=4)
def _probes(version: str) -> pl.DataFrame:
    return read.probes(paths.data())


@st.cache_data(show_spinner=False, max_entries=16)
def _preferences(version: str, estimate_ids: tuple[str, ...]) -> pl.DataFrame:
    return read.preferences(paths.data(), estimate_ids)


@st.cache_data(show_spinner=False, max_entries=4)
def _preference(version: str) -> pl.DataFrame:
    found = _probes(version)
    shared = found.group_by("settings").agg(pl.col("model").n_unique(), pl.col("created_at").max())
    usual = shared.sort("model", "created_at", descending=True)["settings"].head(1)
    last = found.filter(pl.col("settings").is_in(usual.to_list())).sort("created_at").unique("model", keep="last")
    rows = read.preferences(paths.data(), last["estimate_id"].to_list())
    rows = rows.filter(variable="preference", quantity="information").filter(pl.col("layer").is_null())
    null = rows.filter(correction="null").select("estimate_id", null="value")
    whole = last.select("estimate_id", "model", data="corpus", pairs=pl.col("documents") // 2)
    value = rows.filter(correction="corrected").with_columns(se=standard_errors.combined_columns(rows))
    return (
        whole.join(
            value.select("estimate_id", "value", "se_draws", "se_documents", "se", "positions"), on="estimate_id"
        )
        .join(null, on="estimate_id")
        .sort("model")
    )


@st.cache_data(show_spinner=False, max_entries=16)
def _trajectory(version: str, corpus: str, settings: str, models: tuple[str, ...], layer: int | None) -> pl.DataFrame:
    # The value of every draw is for statistics; no figure here needs it.
    rows = read.trajectory(paths.data(), models, corpus, draws=False, layer=layer)
    return newest(rows.filter(pl.col("settings") == settings))


@st.cache_data(show_spinner=False, max_entries=16)
def _draws(
    version: str,
    corpus: str,
    settings: str,
    models: tuple[str, ...],
    order: int,
    correction: str,
    layer: int | None,
) -> pl.DataFrame:
    rows = read.trajectory(paths.data(), models, corpus, order, correction, layer=layer)
    return newest(rows.filter(pl.col("settings") == settings))


@st.cache_data(show_spinner=False, max_entries=4)
def _benchmarks(version: str) -> pl.DataFrame:
    return read.benchmarks(paths.data())


@st.cache_data(show_spinner=False, max_entries=16)
def _layers(version: str, estimate_id: str) -> pl.DataFrame:
    rows = read.layers(paths.data(), estimate_id).drop("positions")
    return rows.join(estimates(), on="estimate_id")


@st.cache_data(show_spinner=False, max_entries=16)
def _finished(version: str, corpus: str, settings: str) -> pl.DataFrame:
    mine = newest(estimates().filter(pl.col("settings") == settings))
    ids = finished_models.last(mine)["estimate_id"].to_list()
    rows = finished_models.with_distance(read.trajectory(paths.data(), corpus=corpus, estimates=ids))
    return rows.drop(f"{each.column}_draws" for each in PLANE)


@st.cache_data(show_spinner=False, max_entries=16)
def _finished_scores(versions: tuple[str, ...], corpus: str, settings: str) -> pl.DataFrame:
    rows = _finished(versions[1], corpus, settings).unique("model", maintain_order=True)
    probed = preference().select(
        "model",
        task=pl.lit(axis_options.PREFERENCE),
        metric=pl.lit(axis_options.PREFERENCE),
        score="value",
        stderr="se",
        source=pl.format("probe of {} pairs, {}", "pairs", "data"),
    )
    found = axis_options.finished_scores(benchmarks(), rows)
    return pl.concat([found, probed.select(found.columns)], how="vertical_relaxed")


@st.cache_data(show_spinner=False, max_entries=4)
def _origins(version: str) -> dict[str, str]:
    return finished_models.origins(_estimates(version).unique("model", maintain_order=True))


def _label(settings: str, context: int) -> str:
    spec = json.loads(settings)
    parts = [f"{spec.get('documents', '?')} documents × {context} tokens"]
    apart = {"corpus", "documents", "context"}  # the text is chosen apart, and its size is named first
    parts += [f"{name} {value}" for name, value in EstimateSpec.unusual(spec).items() if name not in apart]
    return ", ".join(parts)


def _orders(settings: str) -> tuple[int, ...]:
    return tuple(json.loads(settings).get("orders", ()))


def _told_apart(setup: Setup, others: list[Setup]) -> Setup:
    """Two samples of one corpus look alike; the digest of the documents tells them apart."""
    twins = [other for other in others if (other.corpus, other.label) == (setup.corpus, setup.label)]
    if len(twins) == 1:
        return setup
    digest = json.loads(setup.settings)["corpus"]
    return Setup(setup.corpus, f"{setup.label}, text {digest[:6]}", setup.settings, setup.orders)
