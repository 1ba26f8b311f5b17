"""What names of models and of training revisions say: family, step, tokens."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

_REVISION = re.compile(
    r"(?:stage(?P<stage>\d+)-)?(?:ingredient(?P<ingredient>\d+)-)?step-?(?P<step>\d+)(?:-(?:tokens)?(?P<tokens>\d+)BT?)?"
    r"(?:-seed-(?P<seed>[a-z0-9-]+))?|ckpt_\d+"
)
_TAIL = r"(?:[-_.](?:hf|huggingface|ckpt|unsharded|merged|consolidated|safetensors|converted|model|last|final))*"
_OF_TRAINERS = (
    # checkpoint-500, global_step100_hf, iter_0001000, iter-000500-ckpt, step_100
    re.compile(
        r"(?:global[-_]?step|checkpoint(?:[-_]?step)?|ckpt[-_]?step|steps?|iter(?:ation)?)"
        rf"[-_=]?(?P<step>\d+){_TAIL}"
    ),
    # epoch=1-step=500, epoch_0_step_100, ep0-ba100
    re.compile(rf"(?:checkpoint[-_])?ep(?:och)?[-_=]?\d+[-_](?:step|iter|ba)[-_=]?(?P<step>\d+){_TAIL}"),
    # name--val_loss=1.44-step=49-consumed_samples=800.0-last
    re.compile(r"(?:.*[-_])?step=(?P<step>\d+)(?:[-_.].*)?"),
)
"""Names that trainers give to the folders of their checkpoints, and their owners to branches of the hub."""
# Tokens a step, where the training run states them exactly: sequences a batch times their length. That of DataDecide at
# 150M follows from its last step and the 100 tokens a parameter that its authors state.
_TOKENS_PER_STEP = (
    (re.compile(r"EleutherAI/pythia-[\d.]+[mb](-deduped)?"), 1024 * 2048),
    (re.compile(r"allenai/OLMo-2-0425-1B"), 512 * 4096),
    (re.compile(r"allenai/OLMo-2-1124-7B"), 1024 * 4096),
    (re.compile(r"allenai/OLMo-2-1124-13B"), 2048 * 4096),
    (re.compile(r"allenai/Olmo-3-1025-7B"), 512 * 8192),
    (re.compile(r"allenai/DataDecide-[\w.-]+-150M"), 192 * 2048),
    (re.compile(r"allenai/DataDecide-[\w.-]+-300M"), 320 * 2048),
    (re.compile(r"allenai/DataDecide-[\w.-]+-1B"), 704 * 2048),
)


class Revision(NamedTuple):
    """The parts of the name of a training revision."""

    stage: int | None
    ingredient: int | None
    step: int | None
    tokens: int | None
    """As the name gives them, rounded to a billion."""
    seed: str | None = None
    """Name of the seed, where a model has revisions of several training runs."""


def parse_revision(name: str) -> Revision | None:
    """Stage, ingredient, step, rounded tokens and seed from the name of a training revision; None for any other name.

    >>> parse_revision("stage1-step1000-tokens3B")
    Revision(stage=1, ingredient=None, step=1000, tokens=3000000000, seed=None)
    >>> parse_revision("step1250-seed-small-aux-2").seed
    'small-aux-2'
    >>> parse_revision("checkpoint-500").step, parse_revision("iter_0001000").step
    (500, 1000)
    >>> parse_revision("main") is None
    True
    """
    if not (match := _REVISION.fullmatch(name)):
        known = (pattern.fullmatch(name) for pattern in _OF_TRAINERS)
        step = next((int(match["step"]) for match in known if match), None)
        return None if step is None else Revision(None, None, step, None)
    *numbers, seed = match.groups()
    stage, ingredient, step, tokens = (int(text) if text else None for text in numbers)
    return Revision(stage, ingredient, step, None if tokens is None else tokens * 10**9, seed)


def with_seed(name: str, revision: Revision | None) -> str:
    """Name of a model, with the seed of a revision unless that is the default one.

    >>> with_seed("a/b", parse_revision("step8-seed-aux-2")), with_seed("a/b", parse_revision("step8-seed-default"))
    ('a/b (seed aux-2)', 'a/b')
    """
    seed = revision.seed if revision else None
    return name if seed in {None, "default"} else f"{name} (seed {seed})"


def in_training(name: str) -> tuple[int, int]:
    """What names of training revisions are sorted by: stage, then step; all others come first.

    >>> sorted(["step_1000", "stage2-step8", "main", "step_200"], key=in_training)
    ['main', 'step_200', 'step_1000', 'stage2-step8']
    """
    parsed = parse_revision(name)
    return (0, -1) if parsed is None else (parsed.stage or 0, -1 if parsed.step is None else parsed.step)


def log_spaced_revisions(names: Iterable[str], count: int) -> list[str]:
    """At most `count` of the training revisions, evenly spaced in log(step + 1), first and last included.

    In the order of their steps, one a step; names that are not training revisions are ignored. Of several seeds, those
    of the one that has most. Steps of several stages do not compare: choose one stage first.

    >>> log_spaced_revisions(["main", *(f"step{step}" for step in range(0, 1001, 10))], 3)
    ['step0', 'step30', 'step1000']
    """
    seeds: dict[str | None, dict[int, str]] = {}
    for name in sorted(names):
        if (parsed := parse_revision(name)) and parsed.step is not None:
            seeds.setdefault(parsed.seed, {})[parsed.step] = name
    steps = max(seeds.values(), key=len, default={})
    return [steps[step] for step in log_spaced_steps(steps, count)]


def log_spaced_steps(steps: Iterable[int], count: int) -> list[int]:
    """At most `count` of the steps, evenly spaced in log(step + 1), the first and the last included."""
    ordered = sorted(steps)
    if len(ordered) <= count:
        return ordered
    logs = [math.log1p(step) for step in ordered]
    chosen: list[int] = []
    for number in range(count):
        target = logs[0] + (logs[-1] - logs[0]) * number / max(count - 1, 1)
        # Leave enough of the later steps for the points that are still to come.
        free = range(chosen[-1] + 1 if chosen else 0, len(ordered) - (count - number) + 1)
        chosen.append(min(free, key=lambda index: abs(logs[index] - target)))
    return [ordered[index] for index in chosen]


def family_from_name(name: str) -> str | None:
    """The part of a model name before its size; None for a name without a size.

    >>> family_from_name("EleutherAI/pythia-160m-deduped"), family_from_name("bert-base-uncased")
    ('pythia', None)
    """
    words = re.split(r"[-_ ]", name.rsplit("/", 1)[-1])
    for index, word in enumerate(words):
        if index and re.fullmatch(r"\d+(\.\d+)?[kmbt]|\d{4}", word, re.IGNORECASE):
            return "-".join(words[:index])
    return None


def exact_tokens(model: str, revision: Revision | None) -> int | None:
    """Training tokens at a revision of a hub model, where the training run documents its batch size; else None.

    >>> exact_tokens("EleutherAI/pythia-160m", parse_revision("step1000"))
    2097152000
    """
    # A second stage continues from weights whose tokens its own step count leaves out.
    if revision is None or revision.step is None or revision.stage not in {None, 1}:
        return None
    known = (tokens for pattern, tokens in _TOKENS_PER_STEP if pattern.fullmatch(model))
    return next((revision.step * tokens for tokens in known), None)
