"""Points as a table to read, and as a table to download."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from dashboard.data.rows import BRACKETED
from dashboard.format import bracket, checkpoint_name, count, plus_minus, standard_error
from softh.quantities import FURTHER, OF_THE_MODEL, PLANE

_WHAT = [
    "model", "revision", "step", "tokens", "corpus", "documents", "positions", "context", "labels", "ngram",
    "correction",
]  # fmt: skip
_WHENCE = [
    "bits_per_byte", "bits_per_byte_se_documents", "estimator", "bins", "draws", "frame", "centred", "calibration",
    "weighting", "seed", "dtype", "device", "weights", "source", "digest", "corpus_digest", "reference_digest",
    "created_at", "estimate_id",
]  # fmt: skip


def checkpoints(points: pl.DataFrame) -> pl.DataFrame:
    """One row a checkpoint, each number with its combined standard error and its n."""
    return pl.DataFrame(
        [
            {
                "Model": row["model"],
                "Checkpoint": checkpoint_name(row),
                "Tokens": count(row["tokens"]),
                **numbers(row),
                "bits / byte": plus_minus(row["bits_per_byte"], row["bits_per_byte_se_documents"]),
                "Positions": f"{row['positions']:,}",
                "Draws": row["draws"],
                "Date": f"{row['created_at']:%Y-%m-%d}",
            }
            for row in points.to_dicts()
        ]
    )


def layers(points: pl.DataFrame) -> pl.DataFrame:
    """One row a layer; the caption has what the layers share."""
    return pl.DataFrame([{"Layer": row["layer"], **numbers(row)} for row in points.sort("layer").to_dicts()])


def provenance(estimates: pl.DataFrame) -> pl.DataFrame:
    """One row an estimate: which weights, which text, how, where and when."""
    return pl.DataFrame(
        [
            {
                "Model": row["model"],
                "Checkpoint": checkpoint_name(row),
                "Weights": row["weights"],
                "Source": row["source"],
                "Weights digest": row["digest"][:12],
                "Text": row["corpus"],
                "Text digest": row["corpus_digest"][:12],
                "Documents": f"{row['documents']:,}",
                "Positions": f"{row['positions']:,}",
                "Draws": f"{row['draws']} × {row['bins']}",
                "Ran as": f"{row['dtype']} on {row['device']}",
                "Seconds": f"{row['seconds']:,.0f}",
                "Date": f"{row['created_at']:%Y-%m-%d}",
                "Estimate": row["estimate_id"],
            }
            for row in estimates.to_dicts()
        ]
    )


def sources(scores: pl.DataFrame) -> pl.DataFrame:
    """One row a source of benchmark scores: who measured, how many models, and with which errors."""
    # The leaderboard gives every model its commit and precision.
    source = pl.col("source").str.replace(r", b?float\d+(, commit \w+)?$", ", precision and commit in each row")
    return (
        scores.group_by(source.alias("Source"), maintain_order=True)
        .agg(
            pl.col("model").n_unique().alias("Models"),
            pl.col("revision")
            .is_not_null()
            .any()
            .replace_strict({True: "by checkpoint", False: "finished"})
            .alias("Of"),
            pl.col("task").unique(maintain_order=True).alias("tasks"),
            pl.len().alias("Scores"),
            pl.col("stderr").count().alias("With an error"),
        )
        .with_columns(
            pl.concat_str(
                pl.col("tasks").list.head(6).list.join(", "),
                pl.when(pl.col("tasks").list.len() > 6).then(pl.lit(" …")).otherwise(pl.lit("")),
            ).alias("Tasks")
        )
        .drop("tasks")
        .sort("Scores", descending=True)
    )


def data(points: pl.DataFrame) -> pl.DataFrame:
    """All rows: values, both standard errors apart, settings and digests."""
    depth = ["layer"] if "layer" in points.columns else []
    drawn = [each.column for each in (*PLANE, *FURTHER, *OF_THE_MODEL) if each.column in points.columns]
    numbers = [f"{column}{end}" for column in drawn for end in ("", "_se_draws", "_se_documents")]
    ends = [name for column in BRACKETED for end in ("lower", "raw") if (name := f"{column}_{end}") in points.columns]
    return points.select(*_WHAT, *depth, *numbers, *ends, "input_labels", "output_labels", *_WHENCE)


def numbers(row: Mapping[str, Any]) -> dict[str, str]:
    """The quantities of a row with their errors, by formula and name, and the brackets of debiased ones."""
    found = {}
    for each in (*PLANE, *FURTHER, *OF_THE_MODEL):
        if each.column in row:
            found[f"{each.formula} {each.name}"] = plus_minus(row[each.column], standard_error(row, each.column))
        if ends := bracket(row, each.column):
            found[f"{each.symbol} bracket"] = ends
    return found
