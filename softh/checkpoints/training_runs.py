"""Training runs on disk: which folders are checkpoints, at which step, after how many tokens, in which order."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from softh.checkpoints.files import names_in, read_json
from softh.checkpoints.formats import choose
from softh.checkpoints.revisions import parse_revision
from softh.errors import InputError
from softh.format import and_more

_OUTER = {"checkpoints", "checkpoint", "ckpts", "ckpt", "weights"}
"""Folders between a run and its checkpoints."""
_INNER = {"hf", "huggingface", "hf_model", "actor", "policy", "model", "consolidated", "merged", "weights"}
"""Folders between a checkpoint and its files."""
_GENERIC = _OUTER | _INNER | {
    "best", "best_model", "converted", "export", "final", "final_checkpoint", "final_model", "last", "latest",
    "last-checkpoint", "merged_model", "models", "out", "output", "outputs", "safetensors",
}  # fmt: skip
"""Folder names that say nothing of the model."""
_EPOCH = re.compile(r"(?:checkpoint[-_])?ep(?:och)?[-_=]?(?P<number>\d+)(?:[-_.](?:hf|merged|final|last|model))*")
_NUMBERED = re.compile(r"ckpt[-_]?(?P<number>\d+)|(?P<digits>\d+)")


class Position(NamedTuple):
    """The step and tokens of a checkpoint in its training run."""

    run: Path
    revision: str
    """Name of its folder in the run."""
    step: int | None
    tokens: int | None


class RunCheckpoint(NamedTuple):
    """A checkpoint of a run that can be read."""

    path: Path
    """Folder with its files, below the path of the run as that was given."""
    position: Position


class Run(NamedTuple):
    """The checkpoints of a training run."""

    checkpoints: tuple[RunCheckpoint, ...]
    """By step; those without one come last, by name."""
    left_out: tuple[str, ...]
    """A sentence for each folder that is called like a checkpoint and cannot be read."""


def readable_name(folder: Path) -> str:
    """Name of a folder as that of a model, with its parent's where the name alone says nothing.

    >>> readable_name(Path("/x/run-a")), readable_name(Path("/x/run-a/final"))
    ('run-a', 'run-a/final')
    """
    if folder.name.lower() in _GENERIC and folder.parent.name:
        return f"{readable_name(folder.parent)}/{folder.name}"
    return folder.name


def position(folder: Path) -> Position | None:
    """Place of a folder in a training run, from its name and what the trainer left in it; None for any other folder.

    The folder, or one of a few names around it (``global_step100/actor/huggingface``), must be called like a
    checkpoint: what :func:`softh.checkpoints.revisions.parse_revision` reads, ``epoch_3``, ``ckpt_100``, or a number
    among several. The step is that of ``trainer_state.json``, else of the name; an epoch counts as a step where no
    folder of the run has one.
    """
    named = folder
    while named.name in _INNER and not _is_checkpoint_name(named):
        named = named.parent
    if not _is_checkpoint_name(named):
        return None
    run = named.parent
    while run.name in _OUTER and run.parent.name:
        run = run.parent
    step, tokens = progress(folder)
    return Position(run, named.name, _step_of_name(named) if step is None else step, tokens)


def progress(folder: Path) -> tuple[int | None, int | None]:
    """Step and tokens as the trainer wrote them beside the weights; None for what it did not.

    Tokens are those that were counted: ``num_input_tokens_seen`` of transformers, ``total`` of axolotl.
    """
    state = _read(folder / "trainer_state.json")
    step = _count(state.get("global_step"))
    best = state.get("best_model_checkpoint")
    if isinstance(best, str) and not best.endswith(f"-{step}") and not _is_checkpoint_name(folder):
        step = None  # the weights may be those of the best checkpoint instead of the last
    tokens = _count(state.get("num_input_tokens_seen")) or _count(_read(folder / "tokens_state.json").get("total"))
    return step, tokens if step is not None and tokens else None


def find_run(run: Path) -> Run:
    """The checkpoints in a folder, in the order of their steps; none where it is not that of a training run."""
    checkpoints, left_out = [], []
    for folder in _named_folders(run, depth=2):
        try:
            path = _with_model(folder)
        except InputError as error:
            left_out.append(str(error))
            continue
        if place := position(path.resolve()):
            checkpoints.append(RunCheckpoint(path, place))
    checkpoints.sort(key=lambda each: (each.position.step is None, each.position.step or 0, each.position.revision))
    return Run(tuple(checkpoints), tuple(left_out))


def holds_model(folder: Path) -> bool:
    """Whether a folder itself holds a checkpoint that can be read."""
    with suppress(InputError):
        return bool(choose(names_in(folder), str(folder)))
    return False


def explain(folder: Path, source: str) -> str | None:
    """A sentence for a folder that holds no model itself, with the names of its sub-folders that do; else None."""
    checkpoints = find_run(folder).checkpoints
    if checkpoints:
        names = [str(each.path.relative_to(folder)) for each in checkpoints]
        return (
            f"{source} is a training run with {len(names)} checkpoints ({and_more(names, 3)}) and no model itself; "
            f"expected one checkpoint: name {source}/{names[-1]}, or run `softh sweep {source}` for all of them."
        )
    names = [path.name for path in _subfolders(folder) if holds_model(path)]
    if names:
        return (
            f"{source} holds no model itself, but {and_more(names, 3)} in it {'does' if len(names) == 1 else 'do'}; "
            f"expected the folder of one model: name {source}/{names[0]}."
        )
    return None


def _is_checkpoint_name(folder: Path) -> bool:
    name = folder.name
    if parse_revision(name) or _EPOCH.fullmatch(name):
        return True
    match = _NUMBERED.fullmatch(name)
    return bool(match) and (match["digits"] is None or _is_one_of_several(folder))


def _is_one_of_several(folder: Path) -> bool:
    """Whether a folder named by a number stands among such: alone, it may be a version or a size."""
    numbers = [path for path in _subfolders(folder.parent) if path.name.isdecimal()]
    return folder.parent.name in _OUTER or len(numbers) > 1


def _step_of_name(folder: Path) -> int | None:
    parsed = parse_revision(folder.name)
    if parsed and parsed.step is not None:
        return parsed.step
    if match := _NUMBERED.fullmatch(folder.name):
        return int(match["number"] or match["digits"])
    match = _EPOCH.fullmatch(folder.name)
    if match is None or any(_counts_steps(other) for other in _subfolders(folder.parent)):
        return None
    return int(match["number"])


def _counts_steps(folder: Path) -> bool:
    parsed = parse_revision(folder.name)
    return (parsed is not None and parsed.step is not None) or progress(folder)[0] is not None


def _named_folders(run: Path, depth: int) -> Iterator[Path]:
    for folder in _subfolders(run):
        if _is_checkpoint_name(folder):
            yield folder
        elif folder.name in _OUTER and depth:
            yield from _named_folders(folder, depth - 1)


def _with_model(folder: Path) -> Path:
    """The folder of the files of a checkpoint: itself or one in it. Errors: InputError, the reason of the folder."""
    inner = [folder / name for name in sorted(_INNER)]
    deeper = [first / name for first in inner if first.is_dir() for name in sorted(_INNER)]
    for path in (folder, *inner, *deeper):
        if path.is_dir() and holds_model(path):
            return path
    choose(names_in(folder), str(folder))
    raise AssertionError("a folder without a model is refused")


def _subfolders(folder: Path) -> list[Path]:
    """Folders in a folder by name, without hidden ones; none where it cannot be read."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    return []


def _read(path: Path) -> dict[str, Any]:
    """The object in a file of a trainer; empty where there is none, since it only describes the weights beside it."""
    with suppress(OSError, InputError):
        return read_json(path)
    return {}


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) and value >= 0 else None
