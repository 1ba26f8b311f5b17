"""A frozen sample: documents and their token ids in a folder, written once and read by everybody who measures them.

The folder has sample.json (what it is, and checksums), documents.jsonl (text and source of each document, a corpus by
itself) and tokens.safetensors (token ids, and the labels of every position: :mod:`softh.estimator.frozen_sample`).
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from softh.errors import InputError

FORMAT = 1
STATE, DOCUMENTS, TOKENS = "sample.json", "documents.jsonl", "tokens.safetensors"
_FIELDS: dict[str, type] = {
    "corpus": str, "note": str, "tokenizer": str, "labels": str, "orders": list, "context": int, "seed": int,
    "vocabulary": int, "documents": int, "positions": int, "tokens": int, "digest": str,
}  # fmt: skip
"""What sample.json says besides its format and checksums."""


class FrozenTokens(NamedTuple):
    """Token ids that the documents of a frozen sample have, and how they came about."""

    ids: tuple[np.ndarray, ...]
    """int64, one array a document."""
    tokenizer: str
    context: int
    labels: str
    orders: tuple[int, ...]


class Folder(NamedTuple):
    """The content of a frozen sample."""

    state: dict[str, Any]
    texts: list[str]
    sources: list[str]
    tensors: dict[str, np.ndarray]

    @property
    def tokens(self) -> FrozenTokens:
        """Token ids of every document."""
        starts = self.tensors["starts"]
        ids = tuple(part.astype(np.int64) for part in np.split(self.tensors["ids"], starts[1:-1]))
        state = self.state
        return FrozenTokens(ids, state["tokenizer"], state["context"], state["labels"], tuple(state["orders"]))


def is_frozen(path: Path) -> bool:
    """Whether a folder is a frozen sample."""
    return (path / STATE).is_file()


def read(folder: Path) -> Folder:
    """Read a frozen sample, every byte of it against its checksum.

    Raises:
        InputError: when something is missing, damaged or of a newer version.
    """
    try:
        return _read(folder)
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from None


def _read(folder: Path) -> Folder:
    """As :func:`read`, with whatever error a damaged file ends in."""
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    if state["format"] != FORMAT:
        raise InputError(
            f"{folder} was written in format {state['format']} and this version of softh reads {FORMAT}: upgrade "
            "softh, or sample again."
        )
    if wrong := [name for name, kind in _FIELDS.items() if type(state[name]) is not kind]:
        raise _damaged(folder, f"{wrong[0]} of {STATE} is {state[wrong[0]]!r}")
    for name in (DOCUMENTS, TOKENS):
        if digest(folder / name) != state["sha256"][name]:
            raise _damaged(folder, f"{name} has changed")
    rows = [json.loads(line) for line in (folder / DOCUMENTS).read_text(encoding="utf-8").splitlines()]
    sources = [row["source"] for row in rows if "source" in row]
    return Folder(state, [row["text"] for row in rows], sources, load_file(folder / TOKENS))


def check_same(ids: Sequence[np.ndarray], context: int, frozen: FrozenTokens, *, words: bool) -> None:
    """Check that documents were tokenized as the sample was; `words` says whether whole words of them were.

    Raises:
        InputError: with what differs.
    """
    if words != (frozen.labels in ("words", "bytes")):
        raise InputError(
            f"The sample was made for --labels {frozen.labels}, and others were asked for; expected the same: use "
            f"--labels {frozen.labels}, or sample again."
        )
    if context != frozen.context:
        raise InputError(
            f"The sample was made with --context {frozen.context}, and {context} was asked for; expected the same: use "
            f"--context {frozen.context}, or sample again."
        )
    wanted = frozen.ids[: len(ids)]
    if len(ids) > len(wanted) or not all(np.array_equal(a, b) for a, b in zip(ids, wanted, strict=True)):
        raise InputError(
            f"The sample was made with the tokenizer {frozen.tokenizer}, and this one gives other token ids; expected "
            "the same: use that tokenizer, or sample again with this one."
        )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, what: str) -> InputError:
    return InputError(
        f"The sample in {folder} is damaged ({what}); expected what `softh sample` wrote: write it again."
    )
