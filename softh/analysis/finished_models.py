"""Finished models, one row each: the last checkpoint, its distance to the bound, and the model it was made from."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from softh.checkpoints.stages import stage_rank, without_stage


def last(estimates: pl.DataFrame) -> pl.DataFrame:
    """Last checkpoint per model, by tokens, then step. A checkpoint without either counts as final."""
    ordered = estimates.sort("tokens", "step", "created_at", nulls_last=True)
    return ordered.unique("model", keep="last", maintain_order=True).sort("model")


def with_distance(points: pl.DataFrame) -> pl.DataFrame:
    """The rows with `distance`, I(X;Z) − I(Y;Z): information about the input that does not predict the output.

    Draws and folds of documents are paired, so their errors are those of the difference itself. Of estimates without
    folds the errors of both numbers are known alone; their root of the sum of squares is too large where X and Y err
    alike.
    """
    paired = pl.col("input_draws") - pl.col("output_draws")
    several = paired.list.len() > 1
    folds = pl.col("input_folds") - pl.col("output_folds")
    jackknife = folds.list.std() * (folds.list.len() - 1) / folds.list.len().sqrt()
    return points.with_columns(
        distance=pl.col("input") - pl.col("output"),
        distance_se_draws=pl.when(several).then(paired.list.std() / paired.list.len().sqrt()),
        distance_se_documents=pl.coalesce(
            jackknife, (pl.col("input_se_documents") ** 2 + pl.col("output_se_documents") ** 2).sqrt()
        ),
    )


def origins(models: pl.DataFrame) -> dict[str, str]:
    """Model → the model it was made from: what the tables say, else by the rule that the page states.

    The same name without the ending of its stage and with the same note in brackets, the same architecture, depth and
    width; of several, the latest of an earlier stage: base, then sft or instruct, then dpo.
    """
    kin: dict[tuple[Any, ...], list[tuple[int, str]]] = {}
    known = dict(models.filter(pl.col("parent").is_in(models["model"].to_list())).select("model", "parent").iter_rows())
    unknown = set(models.filter(pl.col("parent").is_null())["model"])
    for row in models.sort("model").iter_rows(named=True):
        key = (without_stage(row["model"]).lower(), row["architecture"], row["layers"], row["width"])
        kin.setdefault(key, []).append((stage_rank(row["stage"]), row["model"]))
    origin_of: dict[str, str] = {}
    for family in kin.values():
        for rank, model in family:
            earlier = [other for other in family if other[0] < rank]
            if earlier and model in unknown:
                origin_of[model] = max(earlier)[1]
    return origin_of | known


def pareto(rows: pl.DataFrame, x_better: int, y_better: int) -> list[str]:
    """Ids of the rows that no other row beats: at least as good in x and in y, and better in one of them.

    x_better and y_better are 1 where more is better, −1 where less is; rows have estimate_id, x and y.
    """
    good = rows.select("estimate_id", x=pl.col("x") * x_better, y=pl.col("y") * y_better).drop_nulls()
    best, front = float("-inf"), []
    for _, equal in groupby(good.sort("x", "y", descending=True).iter_rows(), key=itemgetter(1)):
        (first, _, top), *others = equal
        if top > best:
            best = top
            front += [first, *(one for one, _, y in others if y == top)]
    return front


def sampled(rows: Sequence[Mapping[str, Any]], column: str, seed: int = 0) -> np.ndarray:
    """Values [SAMPLES, rows] of a column as other draws and documents might have given them.

    Rows of :func:`softh.store.read.trajectory` with their replicates. What estimates share moves them alike: equal
    reference directions by the value of every draw, equal documents by the value without each fold; where replicates
    are missing, standard errors are taken as if apart. A few replicates do not know their spread: Student's t.
    """
    values = np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=float)
    return values + _noise(rows, column, "draws", seed) + _noise(rows, column, "folds", seed)


SAMPLES = 1_000
_SHARED = {"draws": ("width", "seed", "frame", "bins"), "folds": ("corpus_digest", "documents", "folds")}


def _noise(rows: Sequence[Mapping[str, Any]], column: str, kind: str, seed: int) -> np.ndarray:
    noise, drawn = np.zeros((SAMPLES, len(rows))), dict[str, np.ndarray]()
    for place, row in enumerate(rows):
        known = [one for one in row.get(f"{column}_{kind}") or () if one is not None]
        if len(known) > 1:
            # The same stream for all that share these replicates, so that the noise is theirs together.
            shared = repr([row.get(name) for name in _SHARED[kind]] + [len(known), kind, seed])
            if shared not in drawn:
                drawn[shared] = _deviates(shared, len(known))
            apart = np.array(known) - np.mean(known)
            scale = (
                np.sqrt((len(known) - 1) / len(known))
                if kind == "folds"
                else 1 / np.sqrt(len(known) * (len(known) - 1))
            )
            noise[:, place] = drawn[shared] @ (apart * scale)
        else:
            error = row.get(f"{column}_se_{'draws' if kind == 'draws' else 'documents'}") or 0.0
            own = np.random.default_rng([seed, place, len(kind)])
            noise[:, place] = error * own.standard_normal(SAMPLES)
    return noise


def _deviates(shared: str, count: int) -> np.ndarray:
    """Student's t deviates [SAMPLES, count], the same for the same words."""
    stream = np.random.default_rng(list(shared.encode()))
    spread = np.sqrt(stream.chisquare(count - 1, (SAMPLES, 1)) / (count - 1))
    return stream.standard_normal((SAMPLES, count)) / spread


def membership(x: np.ndarray, y: np.ndarray, x_better: int, y_better: int) -> np.ndarray:
    """Share of samples [models] in which a model is on the Pareto frontier of x and y [samples, models]."""
    x, y = x_better * x, y_better * y
    beaten = np.zeros(x.shape, dtype=bool)
    for other in range(x.shape[1]):
        ox, oy = x[:, [other]], y[:, [other]]
        beaten |= (ox >= x) & (oy >= y) & ((ox > x) | (oy > y))
    return 1 - beaten.mean(axis=0)


def least(values: np.ndarray) -> np.ndarray:
    """Share of samples [models] in which a model has the least of values [samples, models]."""
    return np.bincount(values.argmin(axis=1), minlength=values.shape[1]) / len(values)


def stage_name(stage: str | None) -> str:
    """'base', 'sft' …, or 'unknown'."""
    return stage or "unknown"


def by_stage(stages: list[str]) -> list[str]:
    """Names of stages in the order of training."""
    return sorted(stages, key=lambda stage: (stage_rank(None if stage == "unknown" else stage), stage))
