"""Reinforcement learning with a verifiable reward: a drawn word is right or wrong, which the sentence itself tells.

The beginning of a sentence of `zoo.grammar` decides one word: after "The keys of the man", "were" is right. The model
draws words from its own distribution; one that is right has reward 1, every other 0. The loss is REINFORCE with the
mean reward of the words drawn for the same sentence as their baseline, as in GRPO without its division by the spread
(Shao and others 2024, arXiv 2402.03300; Liu and others 2025, arXiv 2503.20783), and an exact divergence from the model
that the stage began with.

Five phenomena are trained on, and none of the sentences that scores are made from; the other phenomena show what
carries over.
"""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from zoo import grammar, tokens
from zoo.posttrain import Answer
from zoo.recipe import PostTraining
from zoo.scores import Score, proportion

TRAINED = ("agreement", "agreement across a phrase", "reflexive", "case", "article")
"""Phenomena whose right word the words before it decide."""
SCORED = 200
"""First sentences of each phenomenon, which scores may use and training does not."""
SENTENCES = 400
"""Of each phenomenon to train on."""


def prompts(first: int = SCORED, count: int = SENTENCES) -> list[Answer]:
    """Beginnings of sentences with the token that is right after them, from the `first` pair of each phenomenon on."""
    tokenizer = tokens.load_tokenizer()
    pairs = [pair for name in TRAINED for pair in grammar.pairs(name, first + count)[first:]]
    encoded = tokenizer([f"\n\n{text}" for pair in pairs for text in pair], add_special_tokens=False)["input_ids"]
    found = []
    for right, wrong in zip(encoded[0::2], encoded[1::2], strict=True):
        place = next(i for i, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b)
        found.append(Answer(right[: place + 1], place))
    return found


def reinforce(model: PreTrainedModel, asked: PostTraining) -> list[float]:
    """Train a model in place; mean reward of the drawn words at every step."""
    reference = deepcopy(model).eval()
    sentences, random = prompts(), np.random.default_rng([asked.seed, asked.rl_steps])
    draws = torch.Generator(model.device).manual_seed(asked.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=asked.rl_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    model.train()
    rewards = []
    for step in range(asked.rl_steps):
        chosen = random.choice(len(sentences), min(asked.rl_batch, len(sentences)), replace=False)
        batch = [sentences[i] for i in chosen]
        right = torch.tensor([sentence.ids[sentence.first] for sentence in batch], device=model.device)
        with torch.no_grad():
            before = next_word(reference, batch)
        loss, reward = objective(next_word(model, batch), before, right, asked, draws)
        for group in optimizer.param_groups:
            group["lr"] = asked.rl_lr * min(1.0, (step + 1) / 10) * (1 - step / asked.rl_steps)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        rewards.append(reward)
    model.eval()
    return [float(reward) for reward in rewards]


def objective(
    logs: Tensor, before: Tensor, right: Tensor, asked: PostTraining, draws: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and the mean reward of the words drawn.

    Args:
        logs: log p of every word ``[sentences, vocabulary]``. before: the same of the reference.
        right: the right word of each ``[sentences]``.
        asked: number of draws, weight of the divergence.
        draws: generator of the words drawn.
    """
    words = torch.multinomial(logs.detach().exp(), asked.rl_samples, replacement=True, generator=draws)
    reward = (words == right[:, None]).float()  # [sentences, samples]
    advantage = reward - reward.mean(dim=1, keepdim=True)
    gained = -(advantage * logs.gather(1, words)).mean()
    divergence = (logs.exp() * (logs - before)).sum(dim=1).mean()
    return gained + asked.rl_kl * divergence, reward.mean()


def next_word(model: PreTrainedModel, sentences: list[Answer]) -> Tensor:
    """log p of every token after each beginning, ``[sentences, vocabulary]`` float32."""
    longest = max(sentence.first for sentence in sentences)
    ids = torch.zeros(len(sentences), longest, dtype=torch.int64)
    for row, sentence in enumerate(sentences):
        ids[row, : sentence.first] = torch.tensor(sentence.ids[: sentence.first])
    last = torch.tensor([sentence.first - 1 for sentence in sentences], device=model.device)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    chosen = hidden[torch.arange(len(sentences), device=model.device), last]
    return functional.log_softmax(model.get_output_embeddings()(chosen).float(), dim=-1)


@torch.no_grad()
def score(model: PreTrainedModel) -> Score:
    """Share of scored sentences, none trained on, after which the likeliest word is the right one."""
    held_out = prompts(0, SCORED)
    parts = [held_out[start : start + 256] for start in range(0, len(held_out), 256)]
    likeliest = torch.cat([next_word(model.eval(), part).argmax(-1).cpu() for part in parts])
    right = likeliest == torch.tensor([sentence.ids[sentence.first] for sentence in held_out])
    return Score("grammar: right word", "accuracy of the likeliest word", *proportion(right.numpy()))
