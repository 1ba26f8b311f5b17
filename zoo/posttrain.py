"""Instruction tuning on chosen answers, then DPO on pairs: a base model of the zoo becomes a post-trained one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from softh.errors import InputError
from zoo import tokens
from zoo.recipe import PostTraining
from zoo.scores import Score, proportion

KINDS = ("chosen", "rejected")
TEMPLATE = "Question: {prompt}\n\nAnswer:"
HELD_OUT = 4
"""One prompt in so many, with all its pairs, is never trained on."""
SEEN, UNSEEN = "seen in post-training", "held out of post-training"


@dataclass(frozen=True)
class Answer:
    """Token ids of a prompt with its answer; only the answer, from `first` on, is learnt or judged."""

    ids: list[int]
    first: int


@dataclass(frozen=True)
class Preference:
    """A prompt with the answer that was preferred and the one that was not."""

    chosen: Answer
    rejected: Answer


def load(path: Path, tokenizer: PreTrainedTokenizerFast, context: int) -> tuple[list[Preference], list[Preference]]:
    """Pairs to train on and pairs held out; those longer than the context are left out."""
    rows = _rows(path)
    pairs = {
        number: Preference(*(_answer(tokenizer, row["prompt"], row[kind]) for kind in KINDS))
        for number, row in rows.items()
    }
    fit = {n: pair for n, pair in pairs.items() if max(len(pair.chosen.ids), len(pair.rejected.ids)) <= context}
    seen = roles(path)
    train, held_out = ([pair for n, pair in fit.items() if seen[n] == role] for role in (SEEN, UNSEEN))
    return train, held_out


def roles(path: Path) -> dict[int, str]:
    """Line → whether post-training may see its pair."""
    prompts: dict[str, int] = {}
    numbers = {line: prompts.setdefault(row["prompt"].strip(), len(prompts)) for line, row in _rows(path).items()}
    return {line: SEEN if number % HELD_OUT else UNSEEN for line, number in numbers.items()}


def _rows(path: Path) -> dict[int, dict[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(
            f"The pairs {path} could not be read ({error.strerror}): give their file with --pairs."
        ) from None
    return {number: json.loads(line) for number, line in enumerate(lines) if line.strip()}


def _answer(tokenizer: PreTrainedTokenizerFast, prompt: str, answer: str) -> Answer:
    question = tokenizer(TEMPLATE.format(prompt=prompt.strip()), verbose=False)["input_ids"]
    reply = tokenizer(f" {answer.strip()}{tokens.END}", verbose=False)["input_ids"]
    return Answer([*question, *reply], len(question))


def sft(model: PreTrainedModel, pairs: Sequence[Preference], asked: PostTraining) -> None:
    """Tune on the chosen answers, in place."""
    answers = [pair.chosen for pair in pairs]

    def loss(batch: list[int]) -> Tensor:
        chosen = [answers[i] for i in batch]
        return -log_likelihood(model, chosen).sum() / sum(len(answer.ids) - answer.first for answer in chosen)

    _optimise(model, loss, len(answers), asked.sft_epochs, asked.sft_lr, asked)


def dpo(model: PreTrainedModel, pairs: Sequence[Preference], asked: PostTraining) -> None:
    """Direct preference optimisation, in place; the model as it comes in is the reference."""
    reference = margins(model, pairs)  # [pairs], before anything changes

    def loss(batch: list[int]) -> Tensor:
        margin = _margin(model, [pairs[i] for i in batch])
        return dpo_loss(margin, reference[batch], asked.beta)

    _optimise(model, loss, len(pairs), asked.dpo_epochs, asked.dpo_lr, asked)


def dpo_loss(margin: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Mean of −log σ(β (margin − reference)); margins are log p(chosen) − log p(rejected), ``[pairs]``."""
    return -functional.logsigmoid(beta * (margin - reference)).mean()


@torch.no_grad()
def margins(model: PreTrainedModel, pairs: Sequence[Preference], batch: int = 32) -> Tensor:
    """log p(chosen) − log p(rejected) of every pair, ``[pairs]``, in nats."""
    parts = [_margin(model, pairs[start : start + batch]) for start in range(0, len(pairs), batch)]
    return torch.cat(parts)


def score(model: PreTrainedModel, reference: PreTrainedModel, pairs: Sequence[Preference]) -> list[Score]:
    """Share of held-out pairs whose chosen answer gained on the rejected one against the base model."""
    gained = margins(model.eval(), pairs) > margins(reference.eval(), pairs)
    return [Score("preference", "accuracy against the base model", *proportion(gained.cpu().numpy()))]


def _margin(model: PreTrainedModel, pairs: Sequence[Preference]) -> Tensor:
    both = log_likelihood(model, [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs])
    return both[: len(pairs)] - both[len(pairs) :]


def log_likelihood(model: PreTrainedModel, answers: Sequence[Answer]) -> Tensor:
    """log p(answer | prompt) of each answer, ``[answers]``, in nats."""
    longest = max(len(answer.ids) for answer in answers)
    ids = torch.zeros(len(answers), longest, dtype=torch.int64)
    judged = torch.zeros(len(answers), longest - 1, dtype=torch.bool)
    for row, answer in enumerate(answers):
        ids[row, : len(answer.ids)] = torch.tensor(answer.ids)
        judged[row, answer.first - 1 : len(answer.ids) - 1] = True
    ids, judged = ids.to(model.device), judged.to(model.device)
    hidden = model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[judged]
    logits = model.get_output_embeddings()(hidden).float()  # [judged tokens, vocabulary]
    each = functional.cross_entropy(logits, ids[:, 1:][judged], reduction="none")
    return -each.new_zeros(len(answers)).index_add(0, judged.nonzero()[:, 0], each)


def _optimise(
    model: PreTrainedModel, loss: Callable[[list[int]], Tensor], count: int, epochs: int, lr: float, asked: PostTraining
) -> None:
    """AdamW over shuffled batches of `count` examples, the rate falling to zero."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    order = np.concatenate([np.random.default_rng([asked.seed, epoch]).permutation(count) for epoch in range(epochs)])
    parts = np.array_split(order, max(1, len(order) // asked.batch))
    for done, batch in enumerate(parts):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (done + 1) / 10) * (1 - done / len(parts))
        loss(batch.tolist()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.eval()
