"""Frozen samples for training loops of any framework: token ids and the labels of every position, written once."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from softh.errors import InputError, disk_errors
from softh.estimator.labels import VARIABLES, label_corpus, label_kind
from softh.spec import EstimateSpec, Labels, identity
from softh.text import corpus as corpora
from softh.text import frozen
from softh.text.corpus import Corpus


@dataclass(frozen=True)
class Batch:
    """Some documents of a sample, for one forward pass."""

    ids: np.ndarray  # [documents, tokens] int64, special ids included, padded at the end with zeros
    mask: np.ndarray  # [documents, tokens] int64, 0 at padding
    rows: np.ndarray  # [positions] int64, into hidden states [documents · tokens, width]
    labels: dict[str, np.ndarray]
    """Of every label set, [positions] int64."""
    document: np.ndarray  # [positions] int64
    position: np.ndarray  # [positions] int64, token of the document


class FrozenSample:
    """Token ids and labels in a folder; :meth:`batches` gives what a forward pass and an accumulator need.

    The same folder is a corpus: ``softh estimate MODEL --corpus file:FOLDER`` measures the same positions.
    """

    def __init__(self, folder: Path | str) -> None:
        """Read a sample. Errors: InputError for a folder that is none, or damaged."""
        self.folder = Path(folder).expanduser()
        if not frozen.is_frozen(self.folder):
            raise InputError(f"{folder} holds no sample.json; expected what `softh sample` wrote: check the path.")
        self._content = frozen.read(self.folder)

    @classmethod
    def write(
        cls,
        folder: Path | str,
        tokenizer: Any,
        corpus: str | Corpus,
        *,
        name: str = "",
        documents: int = 256,
        context: int = 256,
        orders: Sequence[int] = (1, 2, 3, 4),
        labels: Labels = "tokens",
        seed: int = 0,
    ) -> "FrozenSample":
        """Tokenize and label documents, and write them into a new or empty folder.

        Args:
            folder: of the sample.
            tokenizer: a tokenizer of transformers.
            corpus: a name for :func:`softh.text.corpus.load`, or documents already sampled.
            name: of the tokenizer, for messages; by default what it calls itself.
            documents: as in :class:`softh.EstimateSpec`, like the next four.
            context: tokens of a document.
            orders: n-gram orders of the labels.
            labels: what is labelled.
            seed: of the sample.

        Raises:
            InputError: for a folder with something in it, or that cannot be written, for a full disk, and as
                :func:`softh.text.corpus.load` and tokenizing do.
        """
        place = Path(folder).expanduser()
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InputError(f"{place} exists already; expected a new or empty folder: name another.")
        spec = EstimateSpec(
            model="", documents=documents, context=context, orders=tuple(orders), labels=labels, seed=seed
        )
        kind, highest = label_kind(labels), max(spec.orders)
        text = label_corpus(corpus, documents, seed, labels) if isinstance(corpus, str) else corpus
        tokenized = kind.tokenize(text, tokenizer, context, highest)
        positions = kind.positions(tokenized, highest)
        tensors = {
            "ids": np.concatenate(tokenized.ids).astype(np.int32),
            "starts": np.cumsum([0, *map(len, tokenized.ids)]).astype(np.int64),
            "prefix": np.array(tokenized.prefix, dtype=np.int32),
            "suffix": np.array(tokenized.suffix, dtype=np.int32),
            "predicted_bytes": tokenized.predicted_bytes.astype(np.int64),
            "document": positions.document.astype(np.int32),
            "position": positions.offset.astype(np.int32),
        }
        for each in kind.labels(tokenized, spec.orders, torch.device("cpu")):
            tensors[f"{each.variable} {each.order}"] = each.labels.numpy().astype(np.int32)
        rows = [
            {"text": text.texts[at]} | ({"source": text.sources[at]} if text.sources else {}) for at in tokenized.kept
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        state = {
            "format": frozen.FORMAT, "corpus": text.name, "note": text.note,
            "tokenizer": name or getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__,
            "labels": labels, "orders": list(spec.orders), "context": context, "seed": seed,
            "vocabulary": max(len(tokenizer), int(tensors["ids"].max()) + 1),
            "documents": len(rows), "positions": len(positions), "tokens": int(tensors["starts"][-1]),
        }  # fmt: skip
        _write(place, lines, tensors, state)
        return cls(place)

    @property
    def digest(self) -> str:
        """Identity of texts, token ids and labels: `sample` of an accumulator."""
        return self._content.state["digest"]

    @property
    def about(self) -> dict[str, Any]:
        """What sample.json says: corpus, tokenizer, labels, orders, context, sizes and checksums."""
        return dict(self._content.state)

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Names of the label sets, such as ``input 1`` and ``output 1``."""
        return tuple(f"{variable} {order}" for variable in VARIABLES for order in self._content.state["orders"])

    @cached_property
    def corpus(self) -> Corpus:
        """The documents."""
        return corpora.load(f"file:{self.folder}", len(self._content.texts), 0)

    def __len__(self) -> int:
        """Documents."""
        return len(self._content.texts)

    def batches(self, documents: int) -> Iterator[Batch]:
        """All documents in their order, so many at a time."""
        tensors, starts = self._content.tensors, self._content.tensors["starts"]
        prefix, suffix = tensors["prefix"], tensors["suffix"]
        bounds = np.searchsorted(tensors["document"], np.arange(len(self) + 1))
        for first in range(0, len(self), documents):
            numbers = range(first, min(first + documents, len(self)))
            lengths = starts[first + 1 : numbers.stop + 1] - starts[first : numbers.stop]
            ids = np.zeros((len(numbers), int(lengths.max()) + len(prefix) + len(suffix)), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, number in enumerate(numbers):
                whole = np.concatenate([prefix, tensors["ids"][starts[number] : starts[number + 1]], suffix])
                ids[row, : len(whole)], mask[row, : len(whole)] = whole, 1
            some = slice(int(bounds[first]), int(bounds[numbers.stop]))
            document, position = (tensors[name][some].astype(np.int64) for name in ("document", "position"))
            labels = {name: tensors[name][some].astype(np.int64) for name in self.label_sets}
            rows = (document - first) * ids.shape[1] + len(prefix) + position
            yield Batch(ids, mask, rows, labels, document, position)


def _write(place: Path, lines: str, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write the three files of a sample, or none. Errors: InputError when the disk is full or cannot be written."""
    names = (frozen.DOCUMENTS, frozen.TOKENS, frozen.STATE)
    with disk_errors("The sample could not be written", place, SafetensorError):
        place.mkdir(parents=True, exist_ok=True)
        try:
            (place / frozen.DOCUMENTS).write_text(lines, encoding="utf-8")
            save_file(tensors, place / frozen.TOKENS)
            sums = {name: frozen.digest(place / name) for name in names[:2]}
            state |= {"sha256": sums, "digest": identity(*sums.values())}
            (place / frozen.STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        except (OSError, SafetensorError):
            for name in names:  # a folder with something in it is refused
                (place / name).unlink(missing_ok=True)
            raise
