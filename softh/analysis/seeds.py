"""Runs that differ by their seed alone, as one run: the mean of them, and how far they lie apart."""

import re
from collections.abc import Sequence

import polars as pl

_SEED = re.compile(r"-seed\d+")
_ENDS = ("_se_draws", "_se_documents")
_REPLICATES = ("draws", "folds")
_BOUNDS = ("_lower", "_raw")


def stem(model: str) -> str:
    """'zoo-olmo2-9m-seed1 (trained here)' → 'zoo-olmo2-9m (trained here)': what the seeds of a run share."""
    return _SEED.sub("", model)


def families(models: Sequence[str]) -> dict[str, list[str]]:
    """Stem → its models, for every stem of several."""
    by_stem: dict[str, list[str]] = {}
    for model in models:
        by_stem.setdefault(stem(model), []).append(model)
    return {name: members for name, members in by_stem.items() if len(members) > 1}


def title(name: str, members: Sequence[str]) -> str:
    """'zoo-olmo2-9m (trained here)' → 'zoo-olmo2-9m (3 seeds, trained here)'."""
    head, parenthesis, tail = name.partition(" (")
    seeds = f"{len(members)} seeds"
    return f"{head} ({seeds}, {tail}" if parenthesis else f"{head} ({seeds})"


def joined(points: pl.DataFrame, quantities: Sequence[str]) -> pl.DataFrame:
    """Every checkpoint that all seeds of a run have, as one row: mean of each quantity, `_sd_seeds` its deviation.

    Other models stay as they are. Ids are joined by '+'; errors of draws and documents have no place in the mean, but
    the replicates, which seeds share, are averaged: differences are paired in them.
    """
    several = families(points["model"].unique().sort().to_list())
    names = {model: title(name, members) for name, members in several.items() for model in members}
    sizes = {title(name, members): len(members) for name, members in several.items()}
    if not names:
        return points
    rows = points.with_columns(pl.col("model").replace(names))
    by = ["model", "revision", "ngram", "correction"]
    alike = [name for name in rows.columns if name not in by]
    mean = rows.filter(pl.col("model").is_in(list(sizes)))
    mean = mean.group_by(by, maintain_order=True).agg(
        *(_combined(rows, name, quantities) for name in alike),
        *(pl.col(name).std().alias(f"{name}_sd_seeds") for name in quantities),
        pl.len().cast(pl.Int64).alias("seeds"),
    )
    whole = mean.filter(pl.col("seeds") == pl.col("model").replace_strict(sizes, return_dtype=pl.Int64))
    others = rows.filter(~pl.col("model").is_in(list(sizes)))
    return pl.concat([others, whole.select(*points.columns, pl.exclude(points.columns))], how="diagonal_relaxed")


def _combined(rows: pl.DataFrame, name: str, quantities: Sequence[str]) -> pl.Expr:
    quantity, _, end = name.rpartition("_")
    if end in _REPLICATES and quantity in quantities:
        known = min((len(each) for each in rows[name] if each is not None), default=0)
        each_mean = [pl.col(name).list.get(i, null_on_oob=True).mean() for i in range(known)]
        return pl.concat_list(each_mean) if known else pl.col(name).first()
    if name in quantities or name.endswith(_BOUNDS):
        return pl.col(name).mean()
    if name.endswith(_ENDS):
        return pl.lit(None, dtype=pl.Float64).alias(name)
    return pl.col(name).str.join("+") if name == "estimate_id" else pl.col(name).first()
