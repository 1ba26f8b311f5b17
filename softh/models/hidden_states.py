"""A corpus becomes the hidden states of every layer, block by block, remembered when they fit."""

import shutil
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import transformers
from torch import Tensor

from softh.errors import InputError
from softh.models.cache import Cache, SafeDisk, open_cache, recall, remember
from softh.models.forward import check_rows, forward, no_room, stream
from softh.models.loading import Model, load_model
from softh.spec import identity
from softh.text.corpus import Windows

__all__ = ["Cache", "HiddenStates", "Model", "SafeDisk", "load_model", "open_cache"]

_BATCH_TOKENS = {"cpu": 4096, "cuda": 16384}
"""Tokens run together: a GPU waits for its next kernel when they are few."""
_MARGIN = 0.95
"""Part of the cache bound that one estimate may fill, the rest is left to the index of the cache."""


class HiddenStates:
    """Hidden states of every layer for a corpus, remembered on disk when they fit and recomputed when they do not.

    Layers are counted as transformers returns them: 0 the embedding, the last after the final norm.
    """

    def __init__(
        self,
        model: Model,
        windows: Windows,
        checkpoint_digest: str,
        *,
        cache: Cache | None,
        batch_tokens: int | None = None,
        loss: bool = True,
    ) -> None:
        """Without `loss` no output head ever runs."""
        _check_fit(model, windows)
        self.model = model
        self.windows = windows
        self.cache = cache
        self.layers = model.layers + 1
        self.blocks = batches(windows, model.device, batch_tokens)
        self.forward_passes = 0
        self._nats: dict[int, tuple[np.ndarray, Tensor]] = {}  # by the first of the documents
        self.key = identity(
            *(checkpoint_digest, windows.digest, model.dtype, model.attention, torch.device(model.device).type),
            *(torch.__version__, transformers.__version__, str([block.tolist() for block in self.blocks])),
        )
        tokens = sum(len(ids) for ids in windows.ids)
        self.bytes_needed = tokens * self.layers * model.width * getattr(torch, model.dtype).itemsize
        self.loss = loss and model.has_head
        self._too_large = 2**62  # tokens of a batch that did not fit
        # A GPU computes hidden states faster than a disk gives them back.
        slow = torch.device(model.device).type == "cpu"
        self.remembered = cache is not None and slow and self._fits(cache)

    @property
    def nats(self) -> np.ndarray | None:
        """[documents] float64, summed negative log likelihood of the predicted tokens, in nats.

        None for a model without a head, and before every block has run.
        """
        nats = np.full(len(self.windows.ids), np.nan)
        for documents, values in self._nats.values():
            nats[documents] = values.cpu().numpy()
        return None if np.isnan(nats).any() else nats

    def fill(self, progress: Callable[[str, int, int], None]) -> None:
        """Run the blocks that are not remembered; does nothing when hidden states do not fit."""
        if not self.remembered:
            return
        progress("forward passes", 0, len(self.blocks))
        for block in range(len(self.blocks)):
            if not self._complete(block):
                self._run(block)
            progress("forward passes", block + 1, len(self.blocks))

    def read(self, layers: Sequence[int]) -> Iterator[tuple[np.ndarray, dict[int, Tensor]]]:
        """For each block: its document indices, and layer → hidden states [tokens of these documents, width].

        Documents follow one another in the order of the indices, without special tokens and padding, in the dtype
        and on the device of the model. Without memory every reading runs the model again.
        """
        for block, documents in enumerate(self.blocks):
            hidden = self._recall(block, layers) if self.remembered else None
            if hidden is None:
                computed = self._run(block)
                hidden = {layer: computed[layer] for layer in layers}
            yield documents, {layer: states.to(self.model.device) for layer, states in hidden.items()}

    def each(self, layers: Sequence[int], take: Callable[[np.ndarray, int, Tensor, Tensor | None], None]) -> None:
        """The same layer by layer: take(documents, layer, hidden states, rows of the tokens of the documents).

        Rows are None where the states are those of the tokens and nothing else. On a GPU layers are taken as the model
        produces them; a batch that does not fit in memory is run in halves, and so is every later one of its size.
        """
        if self.remembered or not (self.model.streams and torch.device(self.model.device).type == "cuda"):
            for documents, hidden in self.read(layers):
                for layer, states in hidden.items():
                    take(documents, layer, states, None)
            return
        waiting = list(self.blocks[::-1])
        while waiting:
            documents = waiting.pop()
            halves = np.array_split(documents, 2) if len(documents) > 1 else []
            if halves and self._tokens(documents) >= self._too_large:
                waiting.extend(halves[::-1])
                continue
            try:
                self._stream(documents, set(layers), take)
            except torch.OutOfMemoryError:
                if not halves:
                    raise no_room(self.model, self.windows) from None
                self._too_large = self._tokens(documents)
                waiting.append(documents)
                torch.cuda.empty_cache()

    def _stream(
        self, documents: np.ndarray, layers: set[int], take: Callable[[np.ndarray, int, Tensor, Tensor | None], None]
    ) -> None:
        def wanted(layer: int, states: Tensor, rows: Tensor) -> None:
            if layer in layers:
                take(documents, layer, states, rows)

        nats = stream(self.model, self.windows, documents, wanted, loss=self._wants_loss(documents))
        self.forward_passes += 1
        if nats is not None:
            self._nats[documents[0]] = (documents, nats)

    def check(self, document: int) -> None:
        """Refuse the hidden states of a document's batch, with their place, unless they are finite and not zero."""
        block = next(block for block, documents in enumerate(self.blocks) if document in documents)
        self._run(block)

    def _wants_loss(self, documents: np.ndarray) -> bool:
        return self.loss and documents[0] not in self._nats

    def _tokens(self, documents: np.ndarray) -> int:
        return len(documents) * max(len(self.windows.ids[document]) for document in documents)

    def _recall(self, block: int, layers: Sequence[int]) -> dict[int, Tensor] | None:
        assert self.cache is not None
        rows = sum(len(self.windows.ids[document]) for document in self.blocks[block])
        hidden = {}
        for layer in layers:
            states = recall(self.cache, self._name(block, layer))
            if states is None or states.shape != (rows, self.model.width):
                return None
            hidden[layer] = states
        return hidden

    def _complete(self, block: int) -> bool:
        """True when nothing of this block needs the model; its loss is then at hand."""
        assert self.cache is not None
        if any(self._name(block, layer) not in self.cache for layer in range(self.layers)):
            return False
        documents = self.blocks[block]
        if self.loss and documents[0] not in self._nats:
            nats = recall(self.cache, self._name(block, "nats"))
            if nats is None or len(nats) != len(documents):
                return False
            self._nats[documents[0]] = (documents, nats)
        return True

    def _run(self, block: int) -> list[Tensor]:
        """One forward pass; its rows are checked before anything of it is kept."""
        documents = self.blocks[block]
        hidden, nats = forward(self.model, self.windows, documents, loss=self._wants_loss(documents))
        self.forward_passes += 1
        check_rows(hidden, documents, [len(self.windows.ids[document]) for document in documents])
        if nats is not None:
            self._nats[documents[0]] = (documents, nats)
        if self.cache is not None and self.remembered:
            for layer, states in enumerate(hidden):
                remember(self.cache, self._name(block, layer), states)
            if nats is not None:
                remember(self.cache, self._name(block, "nats"), nats)
        return hidden

    def _name(self, block: int, part: int | str) -> str:
        return f"{self.key}/{block}/{part}"

    def _fits(self, cache: Cache) -> bool:
        if self.bytes_needed > _MARGIN * int(cache.reset("size_limit")):
            return False
        missing = sum(not self._complete(block) for block in range(len(self.blocks))) / len(self.blocks)
        return missing * self.bytes_needed < _MARGIN * shutil.disk_usage(cache.directory).free


def _check_fit(model: Model, windows: Windows) -> None:
    if model.longest_context is not None and windows.context > model.longest_context:
        raise InputError(
            f"context was {windows.context} tokens and the model reads {model.longest_context} at most: "
            f"try --context {model.longest_context}."
        )
    largest = max(*windows.prefix, *windows.suffix, *(int(ids.max()) for ids in windows.ids), 0)
    if largest >= model.vocabulary:
        raise InputError(
            f"The tokenizer gives token id {largest} and the model has {model.vocabulary} embeddings; "
            "expected a tokenizer that belongs to the model: use its own."
        )


def batches(windows: Windows, device: str, batch_tokens: int | None = None) -> tuple[np.ndarray, ...]:
    """Documents in batches of similar length, each at most ``batch_tokens`` once padded (or one document).

    A batch is full before its length is asked for: without some of the others it is the same.
    """
    batch_tokens = batch_tokens or _BATCH_TOKENS[torch.device(device).type]
    lengths = np.array([len(ids) for ids in windows.ids]) + len(windows.prefix) + len(windows.suffix)
    blocks: list[list[int]] = []
    longest = 0
    for document in np.argsort(-lengths, kind="stable"):
        if not blocks or (len(blocks[-1]) + 1) * longest > batch_tokens:
            blocks.append([])
            longest = lengths[document]
        blocks[-1].append(int(document))
    return tuple(np.array(block) for block in blocks)
