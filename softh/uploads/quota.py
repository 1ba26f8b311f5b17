"""Owners of uploads, and the bound on the bytes that each user may keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from softh import access, settings
from softh.errors import InputError
from softh.format import format_size

OWNER = ".owner"
"""File in the folder of an upload with the name of the user who uploaded it first, where users sign in."""


@dataclass(frozen=True)
class Upload:
    """One uploaded model or text."""

    path: Path
    owner: str
    size: int
    """Bytes."""


def list_uploads(owner: str) -> Iterator[Upload]:
    """The uploads of a user, or those without owner for the empty name; models first."""
    for place in (settings.uploads(), settings.texts()):
        for folder in sorted(place.glob("[0-9a-f]*")):
            if _owner(folder) == owner:
                yield Upload(folder, owner, size(folder))


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != OWNER)


def check(new: int) -> None:
    """Errors: InputError when so many new bytes would exceed the quota of the current user."""
    person = access.current_user()
    if person.upload_bytes is None:
        return
    used = sum(upload.size for upload in list_uploads(person.name))
    if used + new > person.upload_bytes:
        raise InputError(
            f"Your uploads would take {format_size(used + new)}; expected at most {format_size(person.upload_bytes)}: "
            "delete some on the page Analyze."
        )


def mark(folder: Path) -> None:
    """Record the current user as the owner of an upload without one, where users sign in."""
    if (name := access.current_user().name) and not (folder / OWNER).exists():
        (folder / OWNER).write_text(name, encoding="utf-8")


def check_owner(folder: Path) -> None:
    """Errors: InputError when an upload is not the current user's; the owner of the machine may change all."""
    name = access.current_user().name
    if name and _owner(folder) != name:
        raise InputError(f"This upload is not {name}'s; expected one of their own: choose another.")


def _owner(folder: Path) -> str:
    path = folder / OWNER
    return path.read_text(encoding="utf-8") if path.exists() else ""
