"""What a model can do: bits per byte, last-word cloze and grammatical minimal pairs, with standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from softh.text.corpus import Corpus, tokenize
from zoo import cloze, grammar, tokens

BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class Score:
    """One row of the table `benchmarks`, without the model."""

    task: str
    metric: str
    score: float
    stderr: float


@dataclass(frozen=True)
class Item:
    """Token ids, of which those from `first` on are judged."""

    ids: list[int]
    first: int


@dataclass(frozen=True)
class Batch:
    """Items of similar length, padded on the right, where a causal model never looks."""

    items: list[int]  # their places in the list
    ids: Tensor  # [items, tokens] int64
    judged: Tensor  # [items, tokens − 1] bool: whether the next token is judged


class Scorer:
    """All tasks, tokenised and batched once, for any number of models that share the tokenizer."""

    def __init__(
        self, passages: Sequence[cloze.Passage], corpora: Sequence[Corpus], pairs: int, context: int, device: Any
    ) -> None:
        tokenizer = tokens.load_tokenizer()
        self.texts = {corpus.name: tokenize(corpus, tokenizer, context, 1) for corpus in corpora}
        contrasts = [pair for name in grammar.PHENOMENA for pair in grammar.pairs(name, pairs)]
        items = cloze_items(tokenizer, passages)
        self.batches = {
            **{name: batches([Item(ids.tolist(), 1) for ids in text.ids], device) for name, text in self.texts.items()},
            "cloze": batches([item for item in items if len(item.ids) <= context], device),
            "grammar": batches(_sentences(tokenizer, [text for pair in contrasts for text in pair]), device),
        }

    def score(self, model: PreTrainedModel) -> list[Score]:
        """Every score of a model in evaluation mode."""
        return [*self._bits(model), *self._cloze(model), *self._grammar(model)]

    def _bits(self, model: PreTrainedModel) -> list[Score]:
        scores = []
        for name, text in self.texts.items():
            nats, _ = judge(model, self.batches[name])
            scores.append(
                Score(f"bits per byte, {name}", "bits per byte", *ratio(nats / math.log(2), text.predicted_bytes))
            )
        return scores

    def _cloze(self, model: PreTrainedModel) -> list[Score]:
        _, right = judge(model, self.batches["cloze"])
        return [Score("cloze", "accuracy", *proportion(right))] if len(right) else []

    def _grammar(self, model: PreTrainedModel) -> list[Score]:
        nats, _ = judge(model, self.batches["grammar"])
        better = nats[0::2] < nats[1::2]  # pairs lie one after another, the right sentence first
        each = zip(grammar.PHENOMENA, np.split(better, len(grammar.PHENOMENA)), strict=True)
        scores = [Score(f"grammar: {name}", "accuracy", *proportion(right)) for name, right in each]
        mean = float(np.mean([score.score for score in scores]))
        stderr = math.sqrt(sum(score.stderr**2 for score in scores)) / len(scores)
        return [*scores, Score("grammar", "mean accuracy of the phenomena", mean, stderr)]


def cloze_items(tokenizer: PreTrainedTokenizerFast, passages: Sequence[cloze.Passage]) -> list[Item]:
    """Each passage with its last word, all of whose tokens are judged."""
    contexts = _ids(tokenizer, [passage.context for passage in passages])
    words = _ids(tokenizer, [f" {passage.word}" for passage in passages])
    return [Item([*context, *word], len(context)) for context, word in zip(contexts, words, strict=True)]


def _sentences(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[Item]:
    """Each sentence at the beginning of a paragraph; all of its tokens are judged."""
    (start,) = _ids(tokenizer, ["\n\n"])
    return [Item([*start, *ids], len(start)) for ids in _ids(tokenizer, texts)]


def _ids(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []


@torch.inference_mode()
def judge(model: PreTrainedModel, prepared: Sequence[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """Nats of the judged tokens of each item, ``[items]`` float64, and whether the likeliest tokens are all theirs."""
    items = sum(len(batch.items) for batch in prepared)
    nats, right = np.zeros(items), np.zeros(items, dtype=bool)
    for batch in prepared:
        hidden = model.base_model(input_ids=batch.ids[:, :-1], use_cache=False).last_hidden_state[batch.judged]
        logits = model.get_output_embeddings()(hidden).float()  # [judged tokens, vocabulary]
        wanted = batch.ids[:, 1:][batch.judged]
        lost = logits.logsumexp(-1) - logits.gather(-1, wanted[:, None])[:, 0]
        wrong = logits.argmax(-1) != wanted
        row = batch.judged.nonzero()[:, 0]
        sums = torch.zeros(len(batch.items), 2, dtype=torch.float64, device=row.device)
        sums.index_add_(0, row, torch.stack([lost, wrong.float()], dim=-1).double())
        nats[batch.items], wrongs = sums.cpu().numpy().T
        right[batch.items] = wrongs == 0
    return nats, right


def batches(items: Sequence[Item], device: Any) -> list[Batch]:
    """Items in batches of similar length and at most BATCH_TOKENS tokens once padded."""
    order = sorted(range(len(items)), key=lambda item: -len(items[item].ids))
    groups: list[list[int]] = []
    for item in order:
        if not groups or (len(groups[-1]) + 1) * len(items[groups[-1][0]].ids) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(item)
    return [_batch(items, group, device) for group in groups]


def _batch(items: Sequence[Item], group: list[int], device: Any) -> Batch:
    longest = len(items[group[0]].ids)
    ids = np.zeros((len(group), longest), dtype=np.int64)
    judged = np.zeros((len(group), longest), dtype=bool)
    for row, item in enumerate(group):
        ids[row, : len(items[item].ids)] = items[item].ids
        judged[row, items[item].first : len(items[item].ids)] = True
    return Batch(group, torch.from_numpy(ids).to(device), torch.from_numpy(judged[:, 1:]).to(device))


def ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """A ratio of sums over documents, and its standard error by linearisation."""
    value, n = above.sum() / below.sum(), len(above)
    spread = math.sqrt(((above - value * below) ** 2).sum() * n / max(1, n - 1)) / below.sum()
    return float(value), spread


def proportion(right: np.ndarray) -> tuple[float, float]:
    """A share of independent trials and its standard error."""
    share = float(right.mean())
    return share, math.sqrt(share * (1 - share) / max(1, len(right) - 1))
