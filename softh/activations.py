"""A corpus becomes the hidden states of every layer, block by block, remembered when they fit."""

import shutil
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import transformers
from torch import Tensor

from softh.corpus import Windows
from softh.errors import InputError
from softh.memo import Cache, SafeDisk, open_cache, recall, remember
from softh.models import Model, all_hidden, load_model
from softh.spec import identity

__all__ = ["Cache", "HiddenStates", "Model", "SafeDisk", "load_model", "open_cache"]

_LOGITS = 2**25
"""Logits held at once, in float32 128 MiB: a vocabulary of 262,144 times a batch would be gigabytes."""
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
    ) -> None:
        _check_fit(model, windows)
        self.model = model
        self.windows = windows
        self.cache = cache
        self.layers = model.layers + 1
        self.blocks = _blocks(windows, batch_tokens or _BATCH_TOKENS[torch.device(model.device).type])
        self.forward_passes = 0
        self._nats: dict[int, Tensor] = {}
        self._key = identity(
            *(checkpoint_digest, windows.digest, model.dtype, model.attention, torch.device(model.device).type),
            *(torch.__version__, transformers.__version__, str([block.tolist() for block in self.blocks])),
        )
        tokens = sum(len(ids) for ids in windows.ids)
        self.bytes_needed = tokens * self.layers * model.width * getattr(torch, model.dtype).itemsize
        self.remembered = cache is not None and self._fits(cache)

    @property
    def nats(self) -> np.ndarray | None:
        """[documents] float64, summed negative log likelihood of the predicted tokens, in nats.

        None for a model without a head, and before every block has run.
        """
        if not self.model.has_head or len(self._nats) < len(self.blocks):
            return None
        nats = np.empty(len(self.windows.ids))
        for block, documents in enumerate(self.blocks):
            nats[documents] = self._nats[block].numpy()
        return nats

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
        if self.model.has_head and block not in self._nats:
            nats = recall(self.cache, self._name(block, "nats"))
            if nats is None or len(nats) != len(self.blocks[block]):
                return False
            self._nats[block] = nats
        return True

    def _run(self, block: int) -> list[Tensor]:
        """One forward pass; its rows are checked before anything of it is kept."""
        documents = self.blocks[block]
        hidden, nats = _forward(self.model, self.windows, documents, loss=block not in self._nats)
        self.forward_passes += 1
        _check_rows(hidden, documents, [len(self.windows.ids[document]) for document in documents])
        if nats is not None:
            self._nats[block] = nats
        if self.cache is not None and self.remembered:
            for layer, states in enumerate(hidden):
                remember(self.cache, self._name(block, layer), states)
            if nats is not None:
                remember(self.cache, self._name(block, "nats"), nats)
        return hidden

    def _name(self, block: int, part: int | str) -> str:
        return f"{self._key}/{block}/{part}"

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


def _blocks(windows: Windows, batch_tokens: int) -> tuple[np.ndarray, ...]:
    """Documents in batches of similar length, each at most ``batch_tokens`` once padded (or one document)."""
    lengths = np.array([len(ids) for ids in windows.ids]) + len(windows.prefix) + len(windows.suffix)
    blocks: list[list[int]] = []
    longest = 0
    for document in np.argsort(-lengths, kind="stable"):
        if not blocks or (len(blocks[-1]) + 1) * longest > batch_tokens:
            blocks.append([])
            longest = lengths[document]
        blocks[-1].append(int(document))
    return tuple(np.array(block) for block in blocks)


@torch.inference_mode()
def _forward(
    model: Model, windows: Windows, documents: np.ndarray, *, loss: bool
) -> tuple[list[Tensor], Tensor | None]:
    """Hidden states of every layer, [tokens, width] each, and nats [documents] in float64 on the CPU if wanted."""
    device = model.module.get_input_embeddings().weight.device
    ids, mask, text = (part.to(device) for part in _batch(windows, documents))
    try:
        hidden = all_hidden(model.module, ids, mask)
        nats = _nats(model, hidden[-1], ids, mask, text) if loss and model.has_head else None
    except torch.OutOfMemoryError:
        raise InputError(
            f"{len(ids)} documents of {ids.shape[1]} tokens do not fit in the memory of {model.device}; "
            "expected room for one batch: try a shorter --context or --device cpu."
        ) from None
    # Several GPUs leave the layers where they ran: gather them, and drop what is no text.
    return [states[text.to(states.device)].to(model.device) for states in hidden], nats


def _batch(windows: Windows, documents: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids padded on the right, which tokens are real, and which are text; each [documents, tokens].

    On the right always, whatever the tokenizer prefers: positions then start at 0 and causal layers never see padding.
    """
    before, after = len(windows.prefix), len(windows.suffix)
    longest = max(len(windows.ids[document]) for document in documents) + before + after
    ids = torch.zeros(len(documents), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    text = torch.zeros_like(ids, dtype=torch.bool)
    for row, document in enumerate(documents):
        tokens = windows.ids[document]
        fed = np.concatenate([windows.prefix, tokens, windows.suffix]).astype(np.int64)
        ids[row, : len(fed)] = torch.from_numpy(fed)
        mask[row, : len(fed)] = 1
        text[row, before : before + len(tokens)] = True
    return ids, mask, text


def _nats(model: Model, last: Tensor, ids: Tensor, mask: Tensor, text: Tensor) -> Tensor:
    """Negative log likelihood of the text of each document, [documents] float64, a slice of logits at a time."""
    predicted = text[:, 1:]  # a first token without a BOS before it is not predicted
    step = max(1, _LOGITS // model.vocabulary)
    nats = torch.zeros(len(ids), dtype=torch.float64)
    for row, wanted in enumerate(predicted):
        targets = ids[row, 1:][wanted]
        if model.plain_head:
            head = model.module.get_output_embeddings()
            source = last[row, :-1][wanted.to(last.device)]
            nats[row] = sum(_surprise(head(z), x) for z, x in zip(source.split(step), targets.split(step), strict=True))
        else:
            logits = model.module(input_ids=ids[row : row + 1], attention_mask=mask[row : row + 1]).logits
            nats[row] = _surprise(logits[0, :-1][wanted.to(logits.device)], targets)
    return nats


def _surprise(logits: Tensor, targets: Tensor) -> float:
    logits = logits.float()
    chosen = logits.gather(-1, targets.to(logits.device)[:, None])[:, 0]
    return (logits.logsumexp(-1) - chosen).double().sum().item()


def _check_rows(hidden: Sequence[Tensor], documents: np.ndarray, lengths: Sequence[int]) -> None:
    peaks = torch.stack([states.abs().amax(-1) for states in hidden])  # [layers, tokens]
    bad = ~(peaks.isfinite() & (peaks > 0))
    if not bool(bad.any()):
        return
    layer, row = (int(index) for index in bad.nonzero()[0])
    place = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
    token = row - sum(lengths[:place])
    kind = "zero" if float(peaks[layer, row]) == 0 else "not finite"
    raise InputError(
        f"The hidden state at layer {layer}, document {documents[place]}, token {token} is {kind}; "
        "expected finite numbers that are not all zero: try --dtype float32 or another checkpoint."
    )
