"""Names of models in the tables: two local models of one name stand apart, and a model keeps the name that it has."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import polars as pl

UPLOAD = "upload:"
_SHAPE = ("architecture", "layers", "width", "vocabulary")
STORED = (
    f"SELECT DISTINCT model, revision, source, {', '.join(_SHAPE)} FROM described WHERE list_contains($names, model)"
)
"""Query of the stored models that have one of some names."""


def candidates(record: Mapping[str, Any]) -> Sequence[str]:
    """Names that a model may have, the usual one first; no more than that where it is not of this machine.

    Each further one has one more folder of its path, and the last the first digits of its digest.
    """
    name, place = record["model"]["model"], _place(record["model"]["source"], record["checkpoint"]["revision"])
    return [name] if place is None else [*_longer(name, place), f"{name} ({record['checkpoint']['digest'][:8]})"]


def choose(record: Mapping[str, Any], names: Sequence[str], stored: pl.DataFrame) -> str:
    """The name of a model: the one it is stored under, else the first that no other model has.

    names: those of :func:`candidates`. stored: the rows of :data:`STORED`. Models are the same when they have the same
    shape and lie in the same place, or in one that the tables do not say.
    """
    same: dict[str, list[bool]] = {name: [] for name in names}
    for row in stored.iter_rows(named=True):
        same[row["model"]].append(_is_same(row, record))
    known = (name for name in names if same[name] and all(same[name]))
    free = (name for name in names if not same[name])
    return next(known, None) or next(free, names[-1])


def rename(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The record with another name of its model in every table."""
    return {
        part: {**rows, "model": name} if part in ("model", "checkpoint", "estimate") else rows
        for part, rows in record.items()
    }


def _place(source: str, revision: str) -> PurePath | None:
    """Where a model of this machine lies: the folder of its run, its own folder or file, or an upload; else None."""
    path = PurePath(source)
    if source.startswith(UPLOAD):
        return path
    if not path.is_absolute():
        return None
    parts = list(path.parts)
    if revision in parts:
        parts = parts[: len(parts) - 1 - parts[::-1].index(revision)]
    return PurePath(*parts)


def _longer(name: str, place: PurePath) -> Iterator[str]:
    yield name
    for folder in [part for part in place.parts if part != place.anchor][: -1 - name.count("/")][::-1]:
        name = f"{folder}/{name}"
        yield name


def _is_same(row: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    model = record["model"]
    if any(row[column] != model[column] for column in _SHAPE):
        return False
    here, there = _place(model["source"], record["checkpoint"]["revision"]), _place(row["source"], row["revision"])
    if here is None or there is None:
        return "/" not in row["model"]  # a hub id is never the name of a folder
    return here == there or here in there.parents or there in here.parents
