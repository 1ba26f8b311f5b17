"""Names of models and of their training revisions: which family, which step, how many tokens."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

_REVISION = re.compile(
    r"(?:stage(?P<stage>\d+)-)?(?:ingredient(?P<ingredient>\d+)-)?step-?(?P<step>\d+)(?:-(?:tokens)?(?P<tokens>\d+)BT?)?"
    r"|ckpt_\d+"
)
# Tokens a step, where the training run states them exactly: sequences a batch times their length.
_TOKENS_PER_STEP = (
    (re.compile(r"EleutherAI/pythia-[\d.]+[mb](-deduped)?"), 1024 * 2048),
    (re.compile(r"allenai/OLMo-2-0425-1B"), 512 * 4096),
    (re.compile(r"allenai/OLMo-2-1124-7B"), 1024 * 4096),
    (re.compile(r"allenai/OLMo-2-1124-13B"), 2048 * 4096),
)


class Revision(NamedTuple):
    """What the name of a training revision says."""

    stage: int | None
    ingredient: int | None
    step: int | None
    tokens: int | None
    """As the name gives them, rounded to a billion."""


def parse_revision(name: str) -> Revision | None:
    """Stage, ingredient, step and rounded tokens of a training revision; None for any other name."""
    if not (match := _REVISION.fullmatch(name)):
        return None
    stage, ingredient, step, tokens = (int(text) if text else None for text in match.groups())
    return Revision(stage, ingredient, step, None if tokens is None else tokens * 10**9)


def log_spaced_revisions(names: Iterable[str], count: int) -> list[str]:
    """So many of the training revisions, evenly spaced in log(step + 1), the first and the last among them.

    In the order of their steps, one a step; names that are no training revision are left out, and all of them are
    taken when there are fewer. Revisions of several stages have steps that do not compare: choose one stage first.
    """
    steps = {
        parsed.step: name for name in sorted(names) if (parsed := parse_revision(name)) and parsed.step is not None
    }
    known = sorted(steps)
    if len(known) <= count:
        return [steps[step] for step in known]
    places = [math.log1p(step) for step in known]
    chosen: list[int] = []
    for number in range(count):
        wanted = places[0] + (places[-1] - places[0]) * number / max(count - 1, 1)
        # Leave enough of the later steps for the points that are still to come.
        free = range(chosen[-1] + 1 if chosen else 0, len(known) - (count - number) + 1)
        chosen.append(min(free, key=lambda place: abs(places[place] - wanted)))
    return [steps[known[place]] for place in chosen]


def family_from_name(name: str) -> str | None:
    """The part of a model name before its size, ``pythia`` of ``EleutherAI/pythia-160m``; None without a size."""
    words = re.split(r"[-_ ]", name.rsplit("/", 1)[-1])
    for place, word in enumerate(words):
        if place and re.fullmatch(r"\d+(\.\d+)?[kmbt]|\d{4}", word, re.IGNORECASE):
            return "-".join(words[:place])
    return None


def exact_tokens(model: str, revision: Revision | None) -> int | None:
    """Tokens seen at a revision of a hub model, when the training run states its batch exactly; else None."""
    # A second stage continues from weights whose tokens its own step count leaves out.
    if revision is None or revision.step is None or revision.stage not in {None, 1}:
        return None
    known = (tokens for pattern, tokens in _TOKENS_PER_STEP if pattern.fullmatch(model))
    return next((revision.step * tokens for tokens in known), None)
