"""Tokenized answers of preference pairs, two documents a pair, of which the tokens of the answer are positions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softh.errors import InputError
from softh.preference.conversations import Messages
from softh.preference.pairs import Pair, Pairs
from softh.preference.reasons import reason_text
from softh.spec import identity
from softh.text.corpus import TokenizedCorpus, special_ids

LEAST = 16
"""Least pairs of a probe."""
TRUNCATED, PROMPT_TOO_LONG, ROLES_REJECTED = (
    "an answer cut by the context",
    "a prompt longer than the context",
    "roles unfit for the template",
)
PLAIN = {"system": "{}\n\n", "user": "Question: {}\n\n", "assistant": "Answer: {}\n\n"}
"""How a conversation is written for a tokenizer without a chat template."""
_CHARACTERS = 32
"""Characters that no usual token exceeds: this much text for each token of the context is enough to tokenize."""


@dataclass(frozen=True)
class Completions:
    """Both answers of every pair after their prompt: document 2i is the chosen one of pair i, 2i + 1 the rejected."""

    pairs: tuple[Pair, ...]
    tokenized: TokenizedCorpus
    first: np.ndarray  # [documents] int64, index of the first token of the answer; it runs to the end
    group: np.ndarray  # [pairs] int64, pairs of one prompt share a number
    excluded: Mapping[str, int]
    """Reason → pairs left out, those of the loading included."""
    templated: bool
    """Whether the tokenizer's own chat template was used; else the form of PLAIN."""

    @property
    def lengths(self) -> np.ndarray:
        """[pairs, 2] int64, tokens of the chosen and of the rejected answer."""
        return (np.array([len(ids) for ids in self.tokenized.ids]) - self.first).reshape(-1, 2)


def completions(sample: Pairs, tokenizer: Any, max_length: int) -> Completions:
    """Tokenize pairs; those with an answer that does not fit in `max_length` tokens are excluded.

    The prompt goes through the tokenizer's chat template, if there is one, up to where an answer begins; otherwise it
    is written in the form of PLAIN. Prompt and answer are tokenized apart, so that both answers follow the same ids.
    Special tokens that are spelled out in an answer are read as text.

    Args:
        sample: preference pairs.
        tokenizer: a tokenizer of transformers.
        max_length: most tokens of prompt and answer together.

    Raises:
        InputError: when fewer than LEAST pairs are left.
    """
    template = chat_template(tokenizer)
    templated = template is not None
    excluded: Counter[str] = Counter(sample.excluded)
    pairs, ids, first = [], [], []
    for pair in sample.pairs:
        prompt = _prompt_ids(pair.prompt, tokenizer, max_length, template)
        if prompt is None:
            excluded[ROLES_REJECTED] += 1
            continue
        if len(prompt) >= max_length:
            excluded[PROMPT_TOO_LONG] += 1
            continue
        answers = [
            _answer_ids(text, tokenizer, max_length, templated=templated) for text in (pair.chosen, pair.rejected)
        ]
        if any(len(prompt) + len(answer) > max_length or not answer for answer in answers):
            excluded[TRUNCATED] += 1
            continue
        pairs.append(pair)
        ids += [np.array([*prompt, *answer], dtype=np.int64) for answer in answers]
        first += [len(prompt)] * 2
    _enough(pairs, excluded, sample.name, max_length)
    tokenized = TokenizedCorpus(
        tuple(ids), (), (), np.zeros(len(ids), dtype=np.int64),
        identity(np.concatenate(ids).tobytes().hex(), str(first)), len(sample.pairs) - len(pairs), max_length,
    )  # fmt: skip
    return Completions(tuple(pairs), tokenized, np.array(first), _groups(pairs), dict(excluded), templated)


def _enough(pairs: Sequence[Pair], excluded: Mapping[str, int], name: str, max_length: int) -> None:
    if len(pairs) >= LEAST:
        return
    why = ", ".join(f"{count:,} with {reason_text(reason)}" for reason, count in excluded.items()) or "nothing excluded"
    cut = excluded.get(TRUNCATED, 0) + excluded.get(PROMPT_TOO_LONG, 0)
    hint = f"a longer --context than {max_length}" if cut else "more pairs"
    raise InputError(f"{len(pairs)} pairs of {name} are left ({why}); expected at least {LEAST}: give {hint}.")


def _groups(pairs: Sequence[Pair]) -> np.ndarray:
    """[pairs] int64, a number that pairs of one prompt share; a pair whose prompt is not known has one of its own."""
    numbers: dict[Messages | int, int] = {}
    return np.array([numbers.setdefault(pair.prompt or pair.row, len(numbers)) for pair in pairs])


def independent(group: np.ndarray, count: int) -> np.ndarray:
    """[pairs] int64, the number of what is held out together: the prompt, or the pair where there are too few prompts.

    Too few are fewer than `count` folds: then all pairs of a prompt in one fold would leave nothing to learn from, and
    errors over prompts would vanish. Folds of pairs are sound: a prompt says nothing of which answer is preferred.

    >>> independent(np.array([7, 7, 7, 7]), 3), independent(np.array([7, 8, 9, 9]), 3)
    (array([0, 1, 2, 3]), array([0, 1, 2, 2]))
    """
    prompts, numbers = np.unique(group, return_inverse=True)
    return numbers if len(prompts) >= count else np.arange(len(group))


def folds(group: np.ndarray, count: int, seed: int) -> np.ndarray:
    """[pairs] int64, a fold from 0 for every pair: folds are of as many prompts each, with all pairs of a prompt."""
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 1)))).permutation(int(group.max()) + 1)
    return (order % count)[group]


def chat_template(tokenizer: Any) -> str | None:
    """The template of ordinary conversations: of several the default or the only one; None where there is none."""
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, Mapping):
        return templates.get("default") or (next(iter(templates.values())) if len(templates) == 1 else None)
    return templates or None


def _prompt_ids(prompt: Messages, tokenizer: Any, max_length: int, template: str | None) -> list[int] | None:
    """Ids up to where the answer begins, special tokens included; None when the template refuses the roles."""
    before, _ = special_ids(tokenizer)
    if not prompt:
        return [*before]
    if template is None:
        text = "".join(PLAIN.get(role, "{}\n\n").format(content) for role, content in prompt) + "Answer:"
        return [*before, *_ids(text, tokenizer, max_length)]
    try:
        turns = [{"role": role, "content": content} for role, content in prompt]
        text = tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001  (a template is a program of its author's and may raise anything; counted above)
        return None
    return tokenizer(text[: max_length * _CHARACTERS], add_special_tokens=False, verbose=False)["input_ids"]


def _answer_ids(text: str, tokenizer: Any, max_length: int, *, templated: bool) -> list[int]:
    return _ids(text if templated else f" {text}", tokenizer, max_length)


def _ids(text: str, tokenizer: Any, max_length: int) -> list[int]:
    options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    return tokenizer(text[: max_length * _CHARACTERS], **options)["input_ids"]
