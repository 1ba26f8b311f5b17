"""Hidden states of every layer of a tokenized corpus, batch by batch, in the cache where they fit."""

import shutil
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import transformers
from torch import Tensor

from softh.errors import InputError
from softh.models.cache import Cache, SafeDisk, get_tensor, open_cache, set_tensor
from softh.models.forward import check_rows, forward, no_room, stream
from softh.models.loading import LoadedModel, load_model
from softh.spec import identity
from softh.text.corpus import TokenizedCorpus

__all__ = ["Cache", "HiddenStates", "LoadedModel", "SafeDisk", "load_model", "open_cache"]

OnLayer = Callable[[np.ndarray, int, Tensor, Tensor | None], None]
"""Called as on_layer(documents, layer, hidden states, rows of the tokens of the documents); rows are None where the
states are those of the tokens and nothing else."""

BATCH_TOKENS = {"cpu": 4096, "cuda": 16384}
"""Tokens of a batch: with few of them a GPU waits for its next kernel."""
_MARGIN = 0.95
"""Share of the cache's size that one estimate may fill; the rest is for the index of the cache."""


class HiddenStates:
    """Hidden states of every layer for a corpus, stored on disk when they fit and recomputed when they do not.

    Layers are numbered as transformers returns them: 0 the embedding, the last after the final norm.
    """

    def __init__(
        self,
        model: LoadedModel,
        tokenized: TokenizedCorpus,
        checkpoint_digest: str,
        *,
        cache: Cache | None,
        batch_tokens: int | None = None,
        loss: bool = True,
    ) -> None:
        """Without `loss` no output head runs, and there is no :attr:`nll`."""
        _check_fit(model, tokenized)
        self.model = model
        self.tokenized = tokenized
        self.cache = cache
        self.layers = model.layers + 1
        self.blocks = batches(tokenized, model.device, batch_tokens)
        self.forward_passes = 0
        self._nll: dict[int, tuple[np.ndarray, Tensor]] = {}  # by the first of the documents
        self.key = identity(
            *(checkpoint_digest, tokenized.digest, model.dtype, model.attention, torch.device(model.device).type),
            *(torch.__version__, transformers.__version__, str([block.tolist() for block in self.blocks])),
            *([model.adapted] if model.adapted else []),
        )
        tokens = sum(len(ids) for ids in tokenized.ids)
        self.bytes_needed = tokens * self.layers * model.width * getattr(torch, model.dtype).itemsize
        self.loss = loss and model.has_head
        self.observer: OnLayer | None = None
        """Called with all that :meth:`each` passes on, before it is."""
        self._too_large = 2**62  # tokens of a batch that did not fit
        # A GPU computes hidden states faster than a disk reads them.
        on_cpu = torch.device(model.device).type == "cpu"
        self.cached = cache is not None and on_cpu and self._fits(cache)
        """Whether hidden states are written to the cache and read from it."""

    @property
    def nll(self) -> np.ndarray | None:
        """Summed negative log-likelihood of the predicted tokens of each document, in nats, [documents] float64.

        None for a model without a head, and before every batch has run.
        """
        nll = np.full(len(self.tokenized.ids), np.nan)
        for documents, values in self._nll.values():
            nll[documents] = values.cpu().numpy()
        return None if np.isnan(nll).any() else nll

    def fill(self, progress: Callable[[str, int, int], None]) -> None:
        """Run the batches that are not cached; does nothing when hidden states do not fit."""
        if not self.cached:
            return
        progress("forward passes", 0, len(self.blocks))
        for block in range(len(self.blocks)):
            if not self._complete(block):
                self._run(block)
            progress("forward passes", block + 1, len(self.blocks))

    def read(self, layers: Sequence[int]) -> Iterator[tuple[np.ndarray, dict[int, Tensor]]]:
        """Yield, for each batch, its document numbers, and layer → hidden states [tokens of these documents, width].

        Documents follow one another in the order of the numbers, without special tokens and padding, in the dtype
        and on the device of the model. Without a cache every reading runs the model again.
        """
        for block, documents in enumerate(self.blocks):
            hidden = self._from_cache(block, layers) if self.cached else None
            if hidden is None:
                computed = self._run(block)
                hidden = {layer: computed[layer] for layer in layers}
            yield documents, {layer: states.to(self.model.device) for layer, states in hidden.items()}

    def each(self, layers: Sequence[int], on_layer: OnLayer) -> None:
        """Call `on_layer` for every batch and layer.

        On a GPU a layer is passed on as soon as the model produces it; a batch that does not fit in memory is run in
        halves, and so is every later one of its size.
        """
        on_layer = on_layer if self.observer is None else _in_turn(self.observer, on_layer)
        if self.cached or not (self.model.streams and torch.device(self.model.device).type == "cuda"):
            for documents, hidden in self.read(layers):
                for layer, states in hidden.items():
                    on_layer(documents, layer, states, None)
            return
        batches_left = list(self.blocks[::-1])
        while batches_left:
            documents = batches_left.pop()
            halves = np.array_split(documents, 2) if len(documents) > 1 else []
            if halves and self._tokens(documents) >= self._too_large:
                batches_left.extend(halves[::-1])
                continue
            try:
                self._stream(documents, set(layers), on_layer)
            except torch.OutOfMemoryError:
                if not halves:
                    raise no_room(self.model, self.tokenized) from None
                self._too_large = self._tokens(documents)
                batches_left.append(documents)
                torch.cuda.empty_cache()

    def _stream(self, documents: np.ndarray, layers: set[int], on_layer: OnLayer) -> None:
        def on_states(layer: int, states: Tensor, rows: Tensor) -> None:
            if layer in layers:
                on_layer(documents, layer, states, rows)

        nll = stream(self.model, self.tokenized, documents, on_states, loss=self._needs_loss(documents))
        self.forward_passes += 1
        if nll is not None:
            self._nll[documents[0]] = (documents, nll)

    def check(self, document: int) -> None:
        """Run the batch of a document again.

        Raises:
            InputError: when a hidden state of it is zero or not finite, with its place.
        """
        block = next(block for block, documents in enumerate(self.blocks) if document in documents)
        self._run(block)

    def _needs_loss(self, documents: np.ndarray) -> bool:
        return self.loss and documents[0] not in self._nll

    def _tokens(self, documents: np.ndarray) -> int:
        return len(documents) * max(len(self.tokenized.ids[document]) for document in documents)

    def _from_cache(self, block: int, layers: Sequence[int]) -> dict[int, Tensor] | None:
        assert self.cache is not None
        rows = sum(len(self.tokenized.ids[document]) for document in self.blocks[block])
        hidden = {}
        for layer in layers:
            states = get_tensor(self.cache, self.entry(block, layer))
            if states is None or states.shape != (rows, self.model.width):
                return None
            hidden[layer] = states
        return hidden

    def _complete(self, block: int) -> bool:
        """Whether the cache has all of this batch; its loss is then read."""
        assert self.cache is not None
        if any(self.entry(block, layer) not in self.cache for layer in range(self.layers)):
            return False
        documents = self.blocks[block]
        if self.loss and documents[0] not in self._nll:
            nll = get_tensor(self.cache, self.entry(block, "nats"))
            if nll is None or len(nll) != len(documents):
                return False
            self._nll[documents[0]] = (documents, nll)
        return True

    def _run(self, block: int) -> list[Tensor]:
        """One forward pass; its rows are checked before anything is stored."""
        documents = self.blocks[block]
        hidden, nll = forward(self.model, self.tokenized, documents, loss=self._needs_loss(documents))
        self.forward_passes += 1
        check_rows(hidden, documents, [len(self.tokenized.ids[document]) for document in documents])
        if nll is not None:
            self._nll[documents[0]] = (documents, nll)
        if self.cache is not None and self.cached:
            for layer, states in enumerate(hidden):
                set_tensor(self.cache, self.entry(block, layer), states)
            if nll is not None:
                set_tensor(self.cache, self.entry(block, "nats"), nll)
        return hidden

    def entry(self, block: int, part: int | str) -> str:
        """Name in the cache of a layer of a block, or of its ``"nats"``."""
        return f"{self.key}/{block}/{part}"

    def _fits(self, cache: Cache) -> bool:
        if self.bytes_needed > _MARGIN * int(cache.reset("size_limit")):
            return False
        missing = sum(not self._complete(block) for block in range(len(self.blocks))) / len(self.blocks)
        return missing * self.bytes_needed < _MARGIN * shutil.disk_usage(cache.directory).free


def _in_turn(first: OnLayer, second: OnLayer) -> OnLayer:
    def on_layer(documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
        first(documents, layer, hidden, text)
        second(documents, layer, hidden, text)

    return on_layer


def _check_fit(model: LoadedModel, tokenized: TokenizedCorpus) -> None:
    if model.longest_context is not None and tokenized.max_length > model.longest_context:
        if tokenized.words:
            raise InputError(
                f"The words of a document are {tokenized.max_length} tokens and the model reads "
                f"{model.longest_context} at most; expected fewer words: ask for a smaller --context."
            )
        raise InputError(
            f"context was {tokenized.max_length} tokens and the model reads {model.longest_context} at most: "
            f"try --context {model.longest_context}."
        )
    largest = max(*tokenized.prefix, *tokenized.suffix, *(int(ids.max()) for ids in tokenized.ids), 0)
    if largest >= model.vocabulary:
        raise InputError(
            f"The tokenizer gives token id {largest} and the model has {model.vocabulary} embeddings; "
            "expected a tokenizer that belongs to the model: use its own."
        )


def batches(tokenized: TokenizedCorpus, device: str, batch_tokens: int | None = None) -> tuple[np.ndarray, ...]:
    """Document numbers in batches of similar length, each of at most `batch_tokens` once padded, or of one document.

    Batches are filled from the longest document down, so that a subset of whole batches is split the same way.
    """
    batch_tokens = batch_tokens or BATCH_TOKENS[torch.device(device).type]
    lengths = np.array([len(ids) for ids in tokenized.ids]) + len(tokenized.prefix) + len(tokenized.suffix)
    blocks: list[list[int]] = []
    longest = 0
    for document in np.argsort(-lengths, kind="stable"):
        if not blocks or (len(blocks[-1]) + 1) * longest > batch_tokens:
            blocks.append([])
            longest = lengths[document]
        blocks[-1].append(int(document))
    return tuple(np.array(block) for block in blocks)
