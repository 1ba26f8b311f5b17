"""Models in the folders that this server offers (SOFTH_MODELS), so that a visitor chooses one without typing a path."""

import os
from collections.abc import Iterator
from pathlib import Path

from softh import settings
from softh.checkpoints.formats import FORMATS

MAX_DEPTH = 4
"""Levels below a root that are searched."""
MAX_MODELS = 500
"""Models listed at most."""


def list_models() -> dict[str, Path]:
    """Name, the path from the root on → folder of a model or file that is a checkpoint by itself, root after root.

    Bytes of a name that are not UTF-8 are escaped.
    """
    models: dict[str, Path] = {}
    for root in settings.roots():
        for path in _models_below(root.resolve(), MAX_DEPTH):
            name = str(path.relative_to(root.resolve().parent))
            models[name.encode(errors="backslashreplace").decode()] = path
            if len(models) == MAX_MODELS:
                return models
    return models


def _models_below(folder: Path, depth: int) -> Iterator[Path]:
    """Models in a folder and its subfolders; links are not followed, as they may lead outside."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # a folder that may not be read offers nothing
    names = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    for weights in FORMATS:
        files = sorted(name for name in names if name.endswith(weights.suffix))
        if weights.self_contained:
            yield from (folder / name for name in files)
        elif files and "config.json" in names:
            yield folder
    for entry in entries if depth else ():
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _models_below(folder / entry.name, depth - 1)
