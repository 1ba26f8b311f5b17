"""Preference pairs become token windows, two a pair, of which the tokens of the answer count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softh.errors import InputError
from softh.preference.pairs import Messages, Pair, Pairs
from softh.spec import identity
from softh.text.corpus import Windows, special

LEAST = 16
"""Pairs without which a probe says nothing."""
TOO_LONG, NO_ROOM, REFUSED = (
    "an answer cut by the context",
    "a prompt longer than the context",
    "roles unfit for the template",
)
PLAIN = {"system": "{}\n\n", "user": "Question: {}\n\n", "assistant": "Answer: {}\n\n"}
"""How a conversation is written for a tokenizer without a chat template."""
_CHARACTERS = 32
"""No usual token is longer: what exceeds this many times the context need not be tokenized to be too long."""


@dataclass(frozen=True)
class Completions:
    """Both answers of every pair after their prompt: document 2i is the chosen one of pair i, 2i + 1 the rejected."""

    pairs: tuple[Pair, ...]
    windows: Windows
    first: np.ndarray  # [documents] int64, index of the first token of the answer; it runs to the end
    group: np.ndarray  # [pairs] int64, pairs of one prompt share a number
    set_aside: Mapping[str, int]
    """Reason → pairs left out, those of the loading included."""
    templated: bool
    """Whether the tokenizer's own chat template was used; else the form of PLAIN."""

    @property
    def lengths(self) -> np.ndarray:
        """[pairs, 2] int64, tokens of the chosen and of the rejected answer."""
        return (np.array([len(ids) for ids in self.windows.ids]) - self.first).reshape(-1, 2)


def completions(found: Pairs, tokenizer: Any, context: int) -> Completions:
    """Tokenize pairs; those that do not fit in ``context`` tokens are set aside whole.

    The prompt goes through the tokenizer's chat template, up to where an answer begins, if there is one; otherwise it
    is written as PLAIN says. Prompt and answer are tokenized apart, so that both answers follow the same ids. Special
    tokens that are spelled out in an answer are read as text.
    Errors: InputError when fewer than LEAST pairs are left.
    """
    templated = bool(getattr(tokenizer, "chat_template", None))
    aside: Counter[str] = Counter(found.set_aside)
    kept, ids, first = [], [], []
    for pair in found.pairs:
        prompt = _prompt_ids(pair.prompt, tokenizer, context, templated=templated)
        if prompt is None:
            aside[REFUSED] += 1
            continue
        if len(prompt) >= context:
            aside[NO_ROOM] += 1
            continue
        answers = [_answer_ids(text, tokenizer, context, templated=templated) for text in (pair.chosen, pair.rejected)]
        if any(len(prompt) + len(answer) > context or not answer for answer in answers):
            aside[TOO_LONG] += 1
            continue
        kept.append(pair)
        ids += [np.array([*prompt, *answer], dtype=np.int64) for answer in answers]
        first += [len(prompt)] * 2
    _enough(kept, aside, found.name, context)
    windows = Windows(
        tuple(ids), (), (), np.zeros(len(ids), dtype=np.int64),
        identity(np.concatenate(ids).tobytes().hex(), str(first)), len(found.pairs) - len(kept), context,
    )  # fmt: skip
    return Completions(tuple(kept), windows, np.array(first), _groups(kept), dict(aside), templated)


def _enough(kept: Sequence[Pair], aside: Mapping[str, int], name: str, context: int) -> None:
    if len(kept) >= LEAST:
        return
    why = ", ".join(f"{count:,} with {reason}" for reason, count in aside.items()) or "nothing set aside"
    hint = f"a longer --context than {context}" if aside.get(TOO_LONG, 0) + aside.get(NO_ROOM, 0) else "more pairs"
    raise InputError(f"{len(kept)} pairs of {name} are left ({why}); expected at least {LEAST}: give {hint}.")


def _groups(pairs: Sequence[Pair]) -> np.ndarray:
    numbers: dict[Messages, int] = {}
    return np.array([numbers.setdefault(pair.prompt, len(numbers)) for pair in pairs])


def folds(group: np.ndarray, count: int, seed: int) -> np.ndarray:
    """[pairs] int64, a fold from 0 for every pair: folds are of as many prompts each, with all pairs of a prompt."""
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 1)))).permutation(int(group.max()) + 1)
    return (order % count)[group]


def _prompt_ids(prompt: Messages, tokenizer: Any, context: int, *, templated: bool) -> list[int] | None:
    """Ids up to where the answer begins, special tokens included; None when the template refuses the roles."""
    before, _ = special(tokenizer)
    if not prompt:
        return [*before]
    if not templated:
        text = "".join(PLAIN.get(role, "{}\n\n").format(content) for role, content in prompt) + "Answer:"
        return [*before, *_ids(text, tokenizer, context)]
    try:
        turns = [{"role": role, "content": content} for role, content in prompt]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001  (a template is a program of its author's and may raise anything; counted above)
        return None
    return tokenizer(text[: context * _CHARACTERS], add_special_tokens=False, verbose=False)["input_ids"]


def _answer_ids(text: str, tokenizer: Any, context: int, *, templated: bool) -> list[int]:
    return _ids(text if templated else f" {text}", tokenizer, context)


def _ids(text: str, tokenizer: Any, context: int) -> list[int]:
    asked = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    return tokenizer(text[: context * _CHARACTERS], **asked)["input_ids"]
