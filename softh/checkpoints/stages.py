"""Stages of training: what the name of a model says of its stage, and in which order stages follow one another."""

import re

STAGES = ("base", "sft", "instruct", "dpo", "rlvr")
"""Stages in the order of training; a stage of another name comes after them."""

_WORDS = {"sft": "sft", "instruct": "instruct", "chat": "instruct", "it": "instruct", "dpo": "dpo", "rlvr": "rlvr"}
_WORD = re.compile(rf"(?<![^-_ ])(?:{'|'.join(_WORDS)})(?![^-_ (])", re.IGNORECASE)
_ENDING = re.compile(rf"[-_ ](?:base|{'|'.join(_WORDS)})$", re.IGNORECASE)


def stage_from_name(model: str) -> str | None:
    """Post-training stage that the name of a model states; of several, the last; None where it states none.

    >>> stage_from_name("HuggingFaceTB/SmolLM2-135M-Instruct"), stage_from_name("zoo-20m-sft (trained here)")
    ('instruct', 'sft')
    >>> stage_from_name("EleutherAI/pythia-14m") is None
    True
    """
    words = _WORD.findall(model)
    return _WORDS[words[-1].lower()] if words else None


def stage_rank(stage: str | None) -> int:
    """Place of a stage in the order of training, from 0; a model of unknown stage counts as a base model.

    >>> [stage_rank(stage) for stage in (None, "base", "sft", "dpo", "rlvr")]
    [0, 0, 1, 3, 4]
    """
    if stage is None:
        return 0
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def without_stage(model: str) -> str:
    """The name without its stage, which a base model and what was trained from it share.

    >>> without_stage("zoo-20m-sft (trained here)")
    'zoo-20m (trained here)'
    """
    name, bracket, note = model.partition(" (")
    return (_ENDING.sub("", name) or name) + bracket + note
