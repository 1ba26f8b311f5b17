"""Tables of estimates and scores → the arrays of one study: which models, which predictors, which scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from softh.analysis.correlation.coefficients import Method
from softh.analysis.correlation.layer_choice import DEPTHS, Chosen, at_depths, differences, nested
from softh.analysis.correlation.matrix import numbered
from softh.analysis.standard_errors import combined_columns
from softh.blas import one_thread
from softh.errors import InputError
from softh.format import and_more
from softh.quantities import QUANTITIES

_LAYERED = [each for each in QUANTITIES if each.predictor and each.per_layer]
_WHOLE = [each for each in QUANTITIES if each.predictor and not each.per_layer]
PREDICTORS: dict[str, str] = {
    **{each.column: each.predictor or "" for each in sorted(_LAYERED, key=lambda each: each.has_labels)},
    "preference": "preference information",
    **{each.column: each.predictor or "" for each in _WHOLE},
}
"""Column of points → name; preference is one number a model, of the probes."""
LIMITED = r", limit [\d.]+(?:,|$)"
"""A score on a part of a task, which never stands for the whole of it."""
MARKED = r", (?:limit [\d.]+|\d-bit|GPTQ|GGUF|quantised by|chat template|system prompt)"
"""A score under a condition of its own, which its name on a page says."""
FACTS = ("count", "tokens", "FLOPs")
"""Units of rows of `benchmarks` that say what a model is, not what it can do."""


@dataclass(frozen=True)
class Study:
    """One row a model, or a change from one checkpoint to the next; NaN where a number is missing."""

    names: tuple[str, ...]
    family: tuple[str, ...]
    predictors: tuple[str, ...]
    scores: tuple[str, ...]
    x: np.ndarray  # [n, predictors]
    y: np.ndarray  # [n, scores]
    x_error: np.ndarray
    y_error: np.ndarray
    given: Mapping[str, np.ndarray]
    """What may be controlled for → [n]."""
    notes: tuple[str, ...] = ()

    def cell(self, predictor: str, score: str) -> "Study":
        """The models that have both, with these two columns alone."""
        i, j = self.predictors.index(predictor), self.scores.index(score)
        rows = np.flatnonzero(np.isfinite(self.x[:, i]) & np.isfinite(self.y[:, j]))
        return replace(
            self, names=tuple(self.names[r] for r in rows), family=tuple(self.family[r] for r in rows),
            predictors=(predictor,), scores=(score,), x=self.x[rows][:, [i]], y=self.y[rows][:, [j]],
            x_error=self.x_error[rows][:, [i]], y_error=self.y_error[rows][:, [j]],
            given={name: values[rows] for name, values in self.given.items()},
        )  # fmt: skip


def finished(points: pl.DataFrame, scores: pl.DataFrame, preference: pl.DataFrame) -> Study:
    """The last checkpoint of every model against the scores of that checkpoint or of the finished model.

    points: means over layers, one row an estimate, of one order and correction, as `read.trajectory` gives, with the
    input of the highest order as `input_highest`. scores: rows of `benchmarks`. preference: columns model and value.
    """
    last = points.sort("tokens", "step", "created_at", nulls_last=True).unique(
        "model", keep="last", maintain_order=True
    )
    last = last.sort("model").join(preference.select("model", preference="value"), on="model", how="left")
    known = matched(scores, last)
    own = known.join(last.select("model", last="revision"), on="model")
    own = own.filter(pl.col("revision").is_null() | (pl.col("revision") == pl.col("last")))
    # The score of the very checkpoint comes before one of the finished model.
    own = own.sort(pl.col("revision").is_null())
    facts = dict(own.filter(metric="tokens").select("model", "score").iter_rows())
    tokens = [row["tokens"] or facts.get(row["model"]) for row in last.to_dicts()]
    given = {
        "log parameters": np.log10(last["parameters"].to_numpy().astype(float)),
        "log tokens": np.log10(np.array([value or np.nan for value in tokens], dtype=float)),
    }
    return _study(last, own, list(last["model"]), list(last["family"]), given)


def training(points: pl.DataFrame, scores: pl.DataFrame) -> Study:
    """Changes from one checkpoint to the next within every run, against the changes of the scores of its steps."""
    timed = points.filter(pl.col("step").is_not_null()).sort("model", "step", "created_at")
    timed = timed.unique(["model", "step"], keep="last", maintain_order=True).with_columns(
        preference=pl.lit(None, pl.Float64)
    )
    known = matched(scores, timed).filter(pl.col("revision").is_not_null())
    known = known.join(
        timed.select("model", "revision", key=pl.format("{} {}", "model", "revision")), on=["model", "revision"]
    )
    keys = [f"{row['model']} {row['revision']}" for row in timed.to_dicts()]
    levels = _study(timed, known, keys, list(timed["model"]), {}, key="key")
    both = np.hstack([levels.x, levels.y])
    changes, runs = differences(both, levels.family, timed["step"].to_numpy().astype(float))
    pairs = zip(keys[1:], levels.family[1:], levels.family, strict=False)
    ends = [key for key, run, before in pairs if run == before]
    gap = np.full_like(changes, np.nan)
    p = len(levels.predictors)
    return replace(
        levels, names=tuple(f"to {end}" for end in ends), family=tuple(runs), x=changes[:, :p], y=changes[:, p:],
        x_error=gap[:, :p], y_error=gap[:, p:],
    )  # fmt: skip


@one_thread()
def by_layer(study: Study, layers: pl.DataFrame, score: str, method: Method) -> tuple[Study, dict[str, Chosen]]:
    """The study of one score with every predictor read at the depth that the other families chose, and how.

    layers: one row a model (column `model`), transformer layer and quantity on the plane. Predictors without layers
    (loss, preference) stay as they are.
    """
    j = study.scores.index(score)
    rows = np.flatnonzero(np.isfinite(study.y[:, j]))
    profiles = _profiles(layers, [study.names[r] for r in rows])
    family = numbered([study.family[r] for r in rows])
    x, choices = study.x.copy(), {}
    for quantity, profile in profiles.items():
        name = PREDICTORS[quantity]
        if name not in study.predictors or not np.isfinite(profile).all():
            continue
        i = study.predictors.index(name)
        choices[name] = nested(profile, study.y[rows, j], family, method)
        x[:, i] = np.nan
        x[rows, i] = choices[name].values
    gap = np.full_like(study.x, np.nan)
    one = replace(study, x=x, x_error=gap, scores=(score,), y=study.y[:, [j]], y_error=study.y_error[:, [j]])
    return one, choices


def matched(scores: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The scores of these models, under the models' names: those of their name, or of their hub id where it is one's.

    Adds the column label: the task, and the metric where a task has several.
    """
    named = models.select("model", "source").unique()
    alone = named.filter(pl.col("source").is_unique()).select(pl.col("model").alias("ours"), model="source")
    names = pl.concat([named.select(pl.col("model").alias("ours"), "model"), alone]).unique("model", keep="first")
    own = scores.join(names, on="model").drop("model").rename({"ours": "model"})
    several = (pl.col("metric").n_unique().over("task") > 1) | pl.col("metric").str.contains(MARKED)
    return own.with_columns(label=pl.when(several).then(pl.format("{}, {}", "task", "metric")).otherwise("task"))


def _study(
    points: pl.DataFrame,
    scores: pl.DataFrame,
    keys: list[str],
    family: list[str],
    given: Mapping[str, np.ndarray],
    key: str = "model",
) -> Study:
    able = scores.filter(~pl.col("metric").is_in(FACTS))
    if able.is_empty():
        raise InputError(
            "No score belongs to these estimates; expected scores under the models' names or hub ids: import some "
            "with `python -m softh scores import`, or choose another source."
        )
    able, notes = _one_each(able, key)
    labels = sorted(able["label"].unique())
    place = {name: row for row, name in enumerate(keys)}
    y, y_error = (np.full((len(keys), len(labels)), np.nan) for _ in range(2))
    for row in able.to_dicts():
        at = place[row[key]], labels.index(row["label"])
        y[at], y_error[at] = row["score"], np.nan if row["stderr"] is None else row["stderr"]
    x, x_error = _predictors(points)
    kept = [i for i in range(x.shape[1]) if np.isfinite(x[:, i]).any()]
    return Study(
        tuple(keys), tuple(family), tuple(list(PREDICTORS.values())[i] for i in kept), tuple(labels), x[:, kept], y,
        x_error[:, kept], y_error, given, tuple(notes),
    )  # fmt: skip


def _one_each(scores: pl.DataFrame, key: str) -> tuple[pl.DataFrame, list[str]]:
    """One score a model and label; where sources differ, such as two precisions, none, and a sentence."""
    # The checkpoint's own score was sorted first.
    exact = scores.group_by(key, "label", maintain_order=True).agg(
        pl.col("score", "stderr").first(), pl.col("score").n_unique().alias("different"), pl.col("source").unique()
    )
    torn = exact.filter((pl.col("different") > 1) & (pl.col("source").list.len() > 1))
    if torn.is_empty():
        return exact, []
    names = sorted(set(torn[key]))
    some = and_more(names, 3)
    note = (
        f"{some}: two sources or precisions give different scores, and which is meant is not known; those scores are "
        "left out until a source is chosen."
    )
    return exact.join(torn.select(key, "label"), on=[key, "label"], how="anti"), [note]


def _predictors(points: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    made = _with_ratios(points, "input_highest")
    x = made.select(pl.col(name).cast(pl.Float64) for name in PREDICTORS).to_numpy()
    return x, made.select(combined_columns(made, name).cast(pl.Float64).alias(name) for name in PREDICTORS).to_numpy()


def _with_ratios(rows: pl.DataFrame, highest: str) -> pl.DataFrame:
    """The rows with the ratios. Those that are stored have no null, which is a predictor here as any correction is."""
    return rows.with_columns(
        regularity=pl.col("input") / pl.col("entropy"),
        residual=(pl.col("entropy") - pl.col(highest)) / pl.col("entropy"),
        distance=pl.col("input") - pl.col("output"),
    )


def _profiles(layers: pl.DataFrame, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Quantity → [models, DEPTHS], NaN for a model without layers."""
    made = _with_ratios(layers, "input_highest").sort("layer").partition_by("model", as_dict=True)
    by_quantity = {}
    for quantity in (each.column for each in _LAYERED):
        rows = [made.get((name,)) for name in names]
        profiles = [None if r is None else r[quantity].cast(pl.Float64).to_numpy() for r in rows]
        by_quantity[quantity] = np.array([np.full(DEPTHS, np.nan) if p is None else at_depths(p) for p in profiles])
    return by_quantity
