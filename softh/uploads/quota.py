"""Uploads and whose they are: how many bytes each person keeps, and the bound on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from softh import access, settings
from softh.errors import InputError
from softh.format import format_size

OWNER = ".owner"
"""File in the folder of an upload with the name of the person who brought it first, where people sign in."""


@dataclass(frozen=True)
class Kept:
    """One upload, a model or a text, that is kept."""

    path: Path
    owner: str
    size: int
    """Bytes."""


def kept(owner: str) -> Iterator[Kept]:
    """The uploads of a person, those that are nobody's for the empty name; models first."""
    for place in (settings.uploads(), settings.texts()):
        for folder in sorted(place.glob("[0-9a-f]*")):
            if _owner(folder) == owner:
                yield Kept(folder, owner, size(folder))


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != OWNER)


def check(new: int) -> None:
    """Errors: InputError when the person at work would keep more than they may with so many new bytes."""
    person = access.current_user()
    if person.upload_bytes is None:
        return
    used = sum(one.size for one in kept(person.name))
    if used + new > person.upload_bytes:
        raise InputError(
            f"Your uploads would take {format_size(used + new)}; expected at most {format_size(person.upload_bytes)}: "
            "delete some on the page Analyze."
        )


def mark(folder: Path) -> None:
    """Write down whose upload a folder is, unless it is somebody's or nobody signs in."""
    if (name := access.current_user().name) and not (folder / OWNER).exists():
        (folder / OWNER).write_text(name, encoding="utf-8")


def check_owner(folder: Path) -> None:
    """Errors: InputError when an upload is another person's than the one at work; who runs the machine has them all."""
    name = access.current_user().name
    if name and _owner(folder) != name:
        raise InputError(f"This upload is not {name}'s; expected one of their own: choose another.")


def _owner(folder: Path) -> str:
    mark = folder / OWNER
    return mark.read_text(encoding="utf-8") if mark.exists() else ""
