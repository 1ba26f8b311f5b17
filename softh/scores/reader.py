"""What a reader of benchmark scores is, and the rows that it gives."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from softh.errors import InputError

Row = dict[str, Any]
"""A row of the table `benchmarks`: model, revision, task, metric, score, stderr and source."""


@dataclass(frozen=True)
class ScoreSource:
    """A file of scores, or the name of a data set of the hub."""

    name: str
    """File name, or ``owner/name`` of the data set."""
    content: bytes | None = None
    """Content of the file; None for a data set of the hub."""
    model: str | None = None
    """The model of the scores, for a file that names none."""

    @cached_property
    def json(self) -> Any:
        """The content as JSON; None where it does not begin like an object or a list.

        Errors: InputError for JSON that is cut off or damaged.
        """
        if self.content is None or self.content.lstrip()[:1] not in {b"{", b"["}:
            return None
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{self.name} is cut off or damaged ({error}); expected whole JSON: copy it again."
            ) from None


@dataclass(frozen=True)
class ImportedScores:
    """Rows of one file or data set, and a sentence on each kind of row that was left out."""

    rows: list[Row]
    notes: list[str]


class ScoreReader(ABC):
    """A source of scores."""

    name: ClassVar[str]
    """For people: what the files are, in a list of what can be read."""

    @abstractmethod
    def handles(self, source: ScoreSource) -> bool:
        """Whether the source looks like one of this reader. Errors: InputError for damaged JSON."""

    @abstractmethod
    def read(self, source: ScoreSource) -> ImportedScores:
        """Its scores. Errors: InputError for a source that cannot be read or holds no score."""


def unique_rows(rows: Sequence[Row], name: str) -> list[Row]:
    """Each row once. Errors: InputError for two different scores of the same model, task, metric and source."""
    unique: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[part] for part in ("model", "revision", "task", "metric", "source"))
        if key in unique and unique[key]["score"] != row["score"]:
            raise InputError(
                f"{name} gives {row['model']} two scores on {row['task']} ({unique[key]['score']:g} and "
                f"{row['score']:g}); expected one: tell them apart by a column precision or revision, or remove one."
            )
        unique[key] = row
    return list(unique.values())
