"""One batch of documents through a model: padding, hidden states, the loss, and what is refused."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.models.loading import Model, all_hidden, stream_hidden
from softh.text.corpus import Windows

_LOGITS = {"cpu": 2**25, "cuda": 2**28}
"""Logits held at once, in float32 128 MiB on a CPU: a vocabulary of 262,144 times a batch would be gigabytes."""

Take = Callable[[int, Tensor, Tensor], None]
"""Called as take(layer, hidden states [rows, width], rows of the tokens of the text [m] int32)."""


def forward(model: Model, windows: Windows, documents: np.ndarray, *, loss: bool) -> tuple[list[Tensor], Tensor | None]:
    """Hidden states of every layer, [tokens, width] each, and nats [documents] in float64 if wanted.

    Documents that do not fit in memory together run in halves. Errors: InputError when one alone does not fit.
    """
    try:
        return _at_once(model, windows, documents, loss=loss)
    except torch.OutOfMemoryError:
        if len(documents) == 1:
            raise no_room(model, windows) from None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what failed left pieces that are too small for the halves
    halves = [forward(model, windows, half, loss=loss) for half in np.array_split(documents, 2)]
    hidden = [torch.cat(layer) for layer in zip(*(part for part, _ in halves), strict=True)]
    nats = [part for _, part in halves if part is not None]
    return hidden, torch.cat(nats) if nats else None


@torch.inference_mode()
def _at_once(
    model: Model, windows: Windows, documents: np.ndarray, *, loss: bool
) -> tuple[list[Tensor], Tensor | None]:
    ids, mask, text = _moved(model, *_batch(windows, documents))
    hidden = all_hidden(model.module, ids, mask)
    nats = _nats(model, hidden[-1], ids, mask, text) if loss else None
    # Several GPUs leave the layers where they ran: gather them, and drop what is no text.
    return [states[text.to(states.device)].to(model.device) for states in hidden], nats


@torch.inference_mode()
def stream(model: Model, windows: Windows, documents: np.ndarray, take: Take, *, loss: bool) -> Tensor | None:
    """The same one layer after another, as the model produces them: none is kept here, and none is checked.

    Nothing waits for the GPU, neither here nor for the loss. Errors: torch.OutOfMemoryError.
    """
    ids, mask, text = _batch(windows, documents)
    rows = text.flatten().nonzero()[:, 0].int()
    ids, mask, text, rows = _moved(model, ids, mask, text, rows)
    last = stream_hidden(model.module, ids, mask, lambda layer, states: take(layer, states.flatten(0, 1), rows))
    return _nats(model, last, ids, mask, text) if loss else None


def no_room(model: Model, windows: Windows) -> InputError:
    """What to say when one document does not fit."""
    return InputError(
        f"One document of {windows.context} tokens does not fit in the memory of {model.device}; "
        "expected room for one: try a shorter --context or --device cpu."
    )


def _moved(model: Model, *parts: Tensor) -> list[Tensor]:
    """Parts of a batch where the model begins; nothing waits for them."""
    device = model.module.get_input_embeddings().weight.device
    pinned = (part.pin_memory() for part in parts) if device.type == "cuda" else parts
    return [part.to(device, non_blocking=True) for part in pinned]


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
    targets = ids[:, 1:][predicted].to(last.device)
    step = max(1, _LOGITS.get(last.device.type, 2**25) // model.vocabulary)
    if model.plain_head:
        head, source = model.module.get_output_embeddings(), last[:, :-1][predicted.to(last.device)]
        found = [_surprise(head(z), x) for z, x in zip(source.split(step), targets.split(step), strict=True)]
    else:
        found = []
        for row, wanted in enumerate(predicted):
            logits = model.module(input_ids=ids[row : row + 1], attention_mask=mask[row : row + 1]).logits
            found.append(_surprise(logits[0, :-1][wanted.to(logits.device)], ids[row, 1:][wanted]))
    # Summed along rows of a table, never scattered: the same bits every time.
    table = torch.zeros(predicted.shape, dtype=torch.float64, device=last.device)
    table[predicted.to(last.device)] = torch.cat([part.to(last.device) for part in found])
    return table.sum(1)


def _surprise(logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.float()
    chosen = logits.gather(-1, targets.to(logits.device)[:, None])[:, 0]
    return (logits.logsumexp(-1) - chosen).double()


def check_rows(hidden: Sequence[Tensor], documents: np.ndarray, lengths: Sequence[int]) -> None:
    """Refuse hidden states [tokens, width] of the layers that are not finite or all zero, with their place."""
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
