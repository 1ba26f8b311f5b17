"""Questions of the pages to the store, remembered for as long as the tables do not change."""

import json
from dataclasses import dataclass

import polars as pl
import streamlit as st

from softh import paths
from softh.store import read

USUAL = {
    "bins": 100,
    "draws": 32,
    "frame": "iid",
    "centred": False,
    "calibration": "bound",
    "weighting": "positions",
    "folds": 8,
    "seed": 0,
    "dtype": "auto",
    "orders": [1, 2, 3, 4],
}
"""Settings that go without saying: the defaults of an estimate."""


@dataclass(frozen=True)
class Setup:
    """Estimates that may be compared: the same text, measured in the same way."""

    corpus: str
    label: str
    """What tells it from the other setups of the corpus."""
    settings: str
    """The column `settings` of the store."""
    orders: tuple[int, ...]


def estimates() -> pl.DataFrame:
    """One row an estimate; see :func:`softh.store.read.estimates`."""
    return _estimates(read.version(paths.data()))


def models() -> list[str]:
    """Every model of the tables, by name: what gives each its colour."""
    return estimates()["model"].unique().sort().to_list()


def comparable(setup: Setup) -> pl.DataFrame:
    """The newest estimate of every checkpoint in one setup."""
    return newest(estimates().filter(pl.col("settings") == setup.settings))


def problems() -> list[str]:
    """One sentence for each run file that is left out."""
    return read.problems(paths.data())


def setups() -> list[Setup]:
    """Every setup that has estimates, those of most estimates first."""
    counted = (
        estimates()
        .group_by("corpus", "settings")
        .agg(pl.len(), pl.col("documents").max(), pl.col("context").first())
        .sort(["len", "corpus", "settings"], descending=[True, False, False])
    )
    found = [
        Setup(row["corpus"], _label(row["settings"], row["context"]), row["settings"], _orders(row["settings"]))
        for row in counted.to_dicts()
    ]
    return [_told_apart(setup, found) for setup in found]


def trajectory(setup: Setup, models: tuple[str, ...]) -> pl.DataFrame:
    """Means over layers of the newest estimate of every checkpoint, one row an order and correction."""
    return _trajectory(read.version(paths.data()), setup.corpus, setup.settings, models)


def layers(estimate_id: str) -> pl.DataFrame:
    """Every layer of one estimate, one row an order and correction, with the columns of the estimate."""
    return _layers(read.version(paths.data()), estimate_id)


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """The last estimate of every checkpoint, in the order of the rows."""
    last = rows.sort("created_at").unique(["model", "revision", "digest"], keep="last")["estimate_id"]
    return rows.filter(pl.col("estimate_id").is_in(last.to_list()))


@st.cache_data(show_spinner=False, max_entries=4)
def _estimates(version: str) -> pl.DataFrame:
    return read.estimates(paths.data())


@st.cache_data(show_spinner=False, max_entries=64)
def _trajectory(version: str, corpus: str, settings: str, models: tuple[str, ...]) -> pl.DataFrame:
    rows = read.trajectory(paths.data(), models, corpus)
    # The value of every draw is for statistics; no figure here needs it.
    rows = rows.drop([name for name in rows.columns if name.endswith("_draws") and "_se_" not in name])
    return newest(rows.filter(pl.col("settings") == settings))


@st.cache_data(show_spinner=False, max_entries=64)
def _layers(version: str, estimate_id: str) -> pl.DataFrame:
    rows = read.layers(paths.data(), estimate_id).drop("positions")
    return rows.join(_estimates(version), on="estimate_id")


def _label(settings: str, context: int) -> str:
    spec = json.loads(settings)
    parts = [f"{spec.get('documents', '?')} documents × {context} tokens"]
    parts += [f"{name} {spec[name]}" for name, usual in USUAL.items() if name in spec and spec[name] != usual]
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
