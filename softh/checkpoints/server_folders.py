"""Models in the folders that this server offers: nobody types a path, a page lists what is there."""

import os
from collections.abc import Iterator
from pathlib import Path

from softh import settings

DEEPEST = 4
"""Folders below a root that are looked into."""
MOST = 500
"""Models listed."""


def models() -> dict[str, Path]:
    """Name below its root → folder with a config and safetensors, or GGUF file; in the order of the roots."""
    found: dict[str, Path] = {}
    for root in settings.roots():
        for path in _below(root.resolve(), DEEPEST):
            found[str(path.relative_to(root.resolve().parent))] = path
            if len(found) == MOST:
                return found
    return found


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Models in a folder; links are not followed, for they lead out of it."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # a folder that may not be read offers nothing
    names = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    if "config.json" in names and any(name.endswith(".safetensors") for name in names):
        yield folder
    yield from (folder / name for name in sorted(names) if name.endswith(".gguf"))
    for entry in entries if depth else ():
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _below(folder / entry.name, depth - 1)
