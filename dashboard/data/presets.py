"""Views to start from: links to what the tables can show best, made from the models that they have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from dashboard.data import queries
from softh.analysis import correlation, seeds
from softh.quantities import BY_COLUMN

_BESIDE = ("rankme", "intrinsic_dimension")
"""Other measures that a first look sets beside those of the plane."""
Parameters = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Preset:
    """A view that one click opens."""

    label: str
    """What it shows, in words."""
    page: str
    """Slug of its page."""
    parameters: Parameters
    """Of its link."""


def presets() -> list[Preset]:
    """Those whose models are in the tables of the setup that pages show first."""
    return list(_presets(queries.comparable(queries.setups()[0]))) if queries.setups() else []


def _presets(estimates: pl.DataFrame) -> Iterator[Preset]:
    each = estimates.group_by("model").agg(pl.col("revision").n_unique(), pl.col("parameters").max())
    each = each.sort("parameters", "model")
    runs, models = each.filter(pl.col("revision") > 1)["model"].to_list(), set(each["model"])
    if runs:
        yield Preset("The phases of the largest run", "trajectory", {"models": [runs[-1]]})
        yield Preset("Its layers along training", "layers", {"model": runs[-1]})
        yield Preset("Its n-gram orders side by side", "trajectory", {"models": [runs[-1]], "orders": "true"})
        yield Preset(
            "What each longer n-gram adds, along training", "layers", {"model": runs[-1], "shares": "checkpoint"}
        )
        ids = tuple(sorted(estimates.filter(pl.col("model") == runs[-1])["estimate_id"]))
        others = [BY_COLUMN[column].symbol for column in queries.further_columns(ids) if column in _BESIDE]
        measures = ["I(X;Z)", "I(Y;Z)", *others, BY_COLUMN["bits_per_byte"].name]
        yield Preset("Several measures of one run", "trajectory", {"models": [runs[-1]], "panels": measures})
    if families := list(seeds.families(runs).values()):
        yield Preset("Do seeds agree?", "trajectory", {"models": families[-1], "seeds": "averaged"})
        yield Preset("One seed minus another", "trajectory", {"models": families[-1][:2], "minus": families[-1][0]})
    tuned = {model: base for model, base in queries.origins().items() if {model, base} <= models}
    if tuned:
        model, base = sorted(tuned.items())[-1]
        yield Preset("What post-training changes", "frontier", {"points": [base, model]})
        yield Preset("The same by layer", "layers", {"model": model, "against": base})
    if not queries.benchmarks().is_empty() and estimates["family"].n_unique() >= correlation.LEAST_FAMILIES:
        yield Preset("Beside the published table", "benchmarks", {"paper": "true"})
    if each["parameters"].n_unique() > 2:
        yield Preset("Complexity against size", "frontier", {"x": "parameters", "y": "complexity"})
    if len(runs) > 2:
        yield Preset("Compression against size", "trajectory", {"size": "true"})
