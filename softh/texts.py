"""Texts that were uploaded: kept under their content, whatever they were called."""

import hashlib
import os
import re
from pathlib import Path

from softh import paths
from softh.errors import InputError

MOST = 256 * 2**20
"""Bytes of a text, packed."""
ENDINGS = (".jsonl", ".txt", ".parquet", ".jsonl.gz", ".txt.gz", ".jsonl.xz", ".txt.xz")


def keep(name: str, content: bytes) -> Path:
    """File that holds a text, named by its content and by what is harmless of its name; there once or not at all.

    Errors: InputError for a kind of file that is not read, for one that is empty or too long, and for a full disk.
    """
    ending = next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(ending)), None)
    if ending is None:
        raise InputError(f"The text was {name[-60:]!r}; expected one of {', '.join(ENDINGS)}: convert it.")
    if not 0 < len(content) <= MOST:
        raise InputError(
            f"The text has {len(content):,} bytes; expected 1 to {MOST:,}: "
            f"{'put it in a folder and use the command line' if content else 'choose another file'}."
        )
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name[: -len(ending)]).strip("-")[:60] or "text"
    path = folder() / hashlib.sha256(content).hexdigest()[:16] / f"{stem}{ending}"
    if not path.exists():
        _write(path, content)
    return path


def folder() -> Path:
    """Folder of the texts that were uploaded; they exist nowhere else."""
    return paths.data() / "texts"


def is_uploaded(corpus: str) -> bool:
    """Whether a corpus, as a specification names it, is a text that was uploaded."""
    return corpus.startswith("file:") and Path(corpus.removeprefix("file:")).is_relative_to(folder().resolve())


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.write_bytes(content)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"The text could not be kept ({error.strerror}): free some space, or set SOFTH_DATA to another folder."
        ) from error
