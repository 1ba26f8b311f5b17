"""Uploaded texts, stored under the digest of their content."""

import hashlib
import re
from pathlib import Path

from softh import access, settings
from softh.errors import InputError
from softh.store import atomic
from softh.uploads import quota

MOST = 256 * 2**20
"""Largest size of an uploaded text in bytes, packed."""
ENDINGS = (".jsonl", ".txt", ".parquet", ".jsonl.gz", ".txt.gz", ".jsonl.xz", ".txt.xz")


def save(name: str, content: bytes) -> Path:
    """Store a text and return its path: the digest of its content, then the safe part of its name.

    Errors: InputError for an unknown type of file, for an empty or too long one, for a full disk, and for a user
    without permission or quota.
    """
    digest = hashlib.sha256(content).hexdigest()[:16]
    ending = next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(ending)), "")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name[: len(name) - len(ending)]).strip("-")[:60] or "text"
    path = settings.texts() / digest / f"{stem}{ending}"
    if ending and path.exists():
        access.require_write()
        return path
    with access.audited("upload text", name=name, bytes=len(content)):
        _check(name, ending, len(content))
        _write(path, content)
    return path


def _check(name: str, ending: str, size: int) -> None:
    if not ending:
        raise InputError(f"The text was {name[-60:]!r}; expected one of {', '.join(ENDINGS)}: convert it.")
    if not 0 < size <= MOST:
        raise InputError(
            f"The text has {size:,} bytes; expected 1 to {MOST:,}: "
            f"{'put it in a folder and use the command line' if size else 'choose another file'}."
        )
    quota.check(size)


def delete(folder: Path) -> None:
    """Delete an uploaded text; its estimates stay. Errors: InputError when it is another user's."""
    with access.audited("delete upload", text=folder.name):
        quota.check_owner(folder)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def is_uploaded(corpus: str) -> bool:
    """Whether the corpus of a specification is an uploaded text, also by a link to one."""
    if not corpus.startswith("file:"):
        return False
    path, uploads = Path(corpus.removeprefix("file:")).expanduser(), settings.texts().resolve()
    return path.is_relative_to(uploads) or path.resolve().is_relative_to(uploads)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as new:
            new.write_bytes(content)
            quota.mark(path.parent)
    except OSError as error:
        raise InputError(
            f"The text could not be stored ({error.strerror}): free some space, or set SOFTH_DATA to another folder."
        ) from error
