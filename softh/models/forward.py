"""One batch of documents through a model: padding, hidden states, the loss, and checks of both."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.models.loading import LoadedModel, all_hidden, stream_hidden
from softh.text.corpus import TokenizedCorpus

LOGITS = {"cpu": 2**25, "cuda": 2**28}
"""Logits computed at once, in float32 128 MiB on a CPU: a vocabulary of 262,144 times a batch would be gigabytes."""

OnStates = Callable[[int, Tensor, Tensor], None]
"""Called as on_states(layer, hidden states [rows, width], rows of the tokens of the text [m] int32)."""


def forward(
    model: LoadedModel, tokenized: TokenizedCorpus, documents: np.ndarray, *, loss: bool
) -> tuple[list[Tensor], Tensor | None]:
    """Run documents through a model.

    Documents that do not fit in memory together run in halves.

    Returns:
        The hidden states of every layer, [tokens, width] each, and with `loss` the summed negative log-likelihood of
        each document in nats, [documents] float64.

    Raises:
        InputError: when one document alone does not fit.
    """
    try:
        return _run(model, tokenized, documents, loss=loss)
    except torch.OutOfMemoryError:
        if len(documents) == 1:
            raise no_room(model, tokenized) from None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the failure left blocks that are too small for the halves
    halves = [forward(model, tokenized, half, loss=loss) for half in np.array_split(documents, 2)]
    hidden = [torch.cat(layer) for layer in zip(*(part for part, _ in halves), strict=True)]
    nll = [part for _, part in halves if part is not None]
    return hidden, torch.cat(nll) if nll else None


@torch.inference_mode()
def _run(
    model: LoadedModel, tokenized: TokenizedCorpus, documents: np.ndarray, *, loss: bool
) -> tuple[list[Tensor], Tensor | None]:
    ids, mask, text = _moved(model, *padded(tokenized, documents))
    hidden = all_hidden(model.module, ids, mask)
    nll = _nll(model, hidden[-1], ids, mask, text) if loss else None
    # Several GPUs leave the layers where they ran: gather them, and drop padding and special tokens.
    return [states[text.to(states.device)].to(model.device) for states in hidden], nll


@torch.inference_mode()
def stream(
    model: LoadedModel, tokenized: TokenizedCorpus, documents: np.ndarray, on_states: OnStates, *, loss: bool
) -> Tensor | None:
    """Run documents through a model and pass on each layer as soon as it is computed, unchecked.

    Nothing waits for the GPU. Returns the negative log-likelihood as :func:`forward` does.

    Raises:
        torch.OutOfMemoryError: when the documents do not fit in memory together.
    """
    ids, mask, text = padded(tokenized, documents)
    rows = text.flatten().nonzero()[:, 0].int()
    ids, mask, text, rows = _moved(model, ids, mask, text, rows)
    last = stream_hidden(model.module, ids, mask, lambda layer, states: on_states(layer, states.flatten(0, 1), rows))
    return _nll(model, last, ids, mask, text) if loss else None


def no_room(model: LoadedModel, tokenized: TokenizedCorpus) -> InputError:
    """The error for one document that does not fit in memory."""
    return InputError(
        f"One document of {tokenized.max_length} tokens does not fit in the memory of {model.device}; "
        "expected room for one: try a shorter --context or --device cpu."
    )


def _moved(model: LoadedModel, *parts: Tensor) -> list[Tensor]:
    """Tensors of a batch on the device of the embedding; nothing waits for the copy."""
    device = model.module.get_input_embeddings().weight.device
    pinned = (part.pin_memory() for part in parts) if device.type == "cuda" else parts
    return [part.to(device, non_blocking=True) for part in pinned]


def padded(tokenized: TokenizedCorpus, documents: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids padded on the right, the attention mask, and which tokens are text; each [documents, tokens].

    Always on the right, whatever the tokenizer prefers: positions then start at 0 and causal layers never see padding.
    """
    before, after = len(tokenized.prefix), len(tokenized.suffix)
    longest = max(len(tokenized.ids[document]) for document in documents) + before + after
    ids = torch.zeros(len(documents), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    text = torch.zeros_like(ids, dtype=torch.bool)
    for row, document in enumerate(documents):
        tokens = tokenized.ids[document]
        sequence = np.concatenate([tokenized.prefix, tokens, tokenized.suffix]).astype(np.int64)
        ids[row, : len(sequence)] = torch.from_numpy(sequence)
        mask[row, : len(sequence)] = 1
        text[row, before : before + len(tokens)] = True
    return ids, mask, text


def _nll(model: LoadedModel, last: Tensor, ids: Tensor, mask: Tensor, text: Tensor) -> Tensor:
    """Summed negative log-likelihood of the text of each document in nats, [documents] float64."""
    predicted = text[:, 1:]  # a first token without a BOS before it is not predicted
    targets = ids[:, 1:][predicted].to(last.device)
    step = max(1, LOGITS.get(last.device.type, 2**25) // model.vocabulary)
    if model.plain_head:
        head, source = model.module.get_output_embeddings(), last[:, :-1][predicted.to(last.device)]
        losses = [_cross_entropy(head(z), x) for z, x in zip(source.split(step), targets.split(step), strict=True)]
    else:
        losses = []
        for row, targeted in enumerate(predicted):
            logits = model.module(input_ids=ids[row : row + 1], attention_mask=mask[row : row + 1]).logits
            losses.append(_cross_entropy(logits[0, :-1][targeted.to(logits.device)], ids[row, 1:][targeted]))
    return _by_document(losses, predicted, last.device)


def losses_of(logits: Tensor, ids: Tensor, text: Tensor) -> Tensor:
    """Summed negative log-likelihood of the text of each document in nats, [documents] float64, from all logits."""
    predicted = text[:, 1:]
    losses = [
        _cross_entropy(row[:-1][targeted], each[1:][targeted])
        for row, each, targeted in zip(logits, ids, predicted, strict=True)
    ]
    return _by_document(losses, predicted, logits.device)


def _by_document(losses: Sequence[Tensor], predicted: Tensor, device: torch.device) -> Tensor:
    # Summed along rows of a table, never scattered: the same bits every time.
    table = torch.zeros(predicted.shape, dtype=torch.float64, device=device)
    table[predicted.to(device)] = torch.cat([part.to(device) for part in losses])
    return table.sum(1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.float()
    chosen = logits.gather(-1, targets.to(logits.device)[:, None])[:, 0]
    return (logits.logsumexp(-1) - chosen).double()


def check_rows(hidden: Sequence[Tensor], documents: np.ndarray, lengths: Sequence[int]) -> None:
    """Check that hidden states [tokens, width] of all layers are finite and not all zero.

    Raises:
        InputError: with layer, document and token of the first that is not.
    """
    peaks = torch.stack([states.abs().amax(-1) for states in hidden])  # [layers, tokens]
    invalid = ~(peaks.isfinite() & (peaks > 0))
    if not bool(invalid.any()):
        return
    layer, row = (int(index) for index in invalid.nonzero()[0])
    number = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
    token = row - sum(lengths[:number])
    kind = "zero" if float(peaks[layer, row]) == 0 else "not finite"
    raise InputError(
        f"The hidden state at layer {layer}, document {documents[number]}, token {token} is {kind}; "
        "expected finite numbers that are not all zero: try --dtype float32 or another checkpoint."
    )
