"""Decks: small files in data/decks that hold links to views, never their numbers; written here only."""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from softh import access, settings
from softh.errors import InputError
from softh.locks import lock
from softh.store import atomic

VERSION = 1
MAX_NAME = 60
"""Characters of the name of a deck."""
AND = ","
"""Between the keys of figures that share a slide."""
MOST_FIGURES = 4
"""Figures on a slide that can still be read from afar: two rows of two."""
MAX_SLIDES = 60
"""Slides of a deck: as many as fit a talk."""


@dataclass(frozen=True)
class Slide:
    """One view by its link, with words of the reader's own."""

    page: str
    query: Mapping[str, Sequence[str]]
    """As `urllib.parse.parse_qs` gives."""
    figure: str | None = None
    """Key of one figure of the view, or of several with :data:`AND` between them; None is all of them."""
    title: str = ""
    """Empty is the view's own."""
    note: str = ""


def names() -> list[str]:
    """Every deck, by name."""
    return sorted(path.stem for path in _folder().glob("*.json") if path.stem == _safe_name(path.stem))


def load(name: str) -> list[Slide]:
    """The slides of a deck in their order.

    Raises InputError where there is none of this name, or its file is no deck that this version can read.
    """
    file = _file(name)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version, slides = content["version"], content["slides"]
    except FileNotFoundError:
        raise InputError(f"There is no deck {name!r}: add a figure to it by the menu under the figure.") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{file.name} is not a deck that can be read ({error}): repair or remove {file}.") from None
    if version != VERSION:
        raise InputError(f"{file.name} is a deck of version {version}, this is version {VERSION}: upgrade softh.")
    try:
        return [_slide(slide) for slide in slides]
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file.name} has a slide that is not a link to a view ({error!r}): repair {file}.") from None


def save(name: str, slides: Sequence[Slide]) -> str:
    """Write a deck whole or not at all; returns its name, of letters, digits and hyphens."""
    access.require_write()
    folder, safe = _folder(), _checked_name(name)
    if len(slides) > MAX_SLIDES:
        raise InputError(f"A deck holds at most {MAX_SLIDES} slides, this one has {len(slides)}: begin another.")
    content = {"version": VERSION, "slides": [asdict(slide) for slide in slides]}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(folder / f"{safe}.json", text.encode())
    except OSError as error:
        raise InputError(f"The deck cannot be written to {folder} ({error.strerror}): make it writable.") from None
    return safe


def add_slide(name: str, slide: Slide) -> int:
    """Append a slide, to a new deck if there is none of this name; returns its number."""
    safe = _checked_name(name)
    with _locked():
        slides = [*(load(safe) if safe in names() else []), slide]
        save(safe, slides)
    return len(slides)


def add_page(name: str, slide: Slide, figures: Sequence[str]) -> tuple[int, int]:
    """Append all figures of a page, on as few slides as they can be read on; returns numbers of the first and last.

    figures: their keys; a slide that holds all of them says so, and follows the page when it has others.
    """
    if len(figures) <= MOST_FIGURES:
        number = add_slide(name, slide)
        return number, number
    parts = -(-len(figures) // MOST_FIGURES)
    size = -(-len(figures) // parts)
    chunks = [figures[first : first + size] for first in range(0, len(figures), size)]
    numbers = [add_slide(name, replace(slide, figure=AND.join(chunk))) for chunk in chunks]
    return numbers[0], numbers[-1]


def latest() -> tuple[str, int] | None:
    """The deck that was changed last and how many slides it has; None where there is none that can be read."""
    with suppress(InputError, OSError):  # one that is being replaced, or that only its own page can explain
        files = [_folder() / f"{name}.json" for name in names()]
        file = max(files, key=lambda path: path.stat().st_mtime, default=None)
        return (file.stem, len(load(file.stem))) if file else None
    return None


def replace_slide(name: str, number: int, slide: Slide) -> None:
    """Replace a slide; counted from 0."""
    with _locked():
        slides = load(name)
        save(name, [*slides[:number], slide, *slides[number + 1 :]])


def move_slide(name: str, number: int, by: int) -> int:
    """Move a slide towards the end (by 1 or more) or the beginning (by -1 or less); returns where it is then."""
    with _locked():
        slides = load(name)
        to = min(max(number + by, 0), len(slides) - 1)
        slides.insert(to, slides.pop(number))
        save(name, slides)
    return to


def remove_slide(name: str, number: int) -> None:
    """Remove a slide; counted from 0."""
    with _locked():
        slides = load(name)
        save(name, [*slides[:number], *slides[number + 1 :]])


def delete(name: str) -> None:
    """Delete a deck."""
    access.require_write()
    _file(name).unlink(missing_ok=True)


def _slide(content: Mapping[str, Any]) -> Slide:
    query = {str(key): [str(value) for value in values] for key, values in content["query"].items()}
    figure = content.get("figure")
    words = (str(content.get(key, "")) for key in ("title", "note"))
    return Slide(str(content["page"]), query, None if figure is None else str(figure), *words)


def _folder() -> Path:
    return settings.data() / "decks"


def _file(name: str) -> Path:
    return _folder() / f"{_checked_name(name)}.json"


def _checked_name(name: str) -> str:
    """The safe form of a name, so that no name is a path. Raises InputError where nothing of it is left."""
    if not (safe := _safe_name(name)):
        raise InputError(f"A deck needs a name with letters or digits, not {name!r}: type another.")
    return safe


def _safe_name(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).strip("-")[:MAX_NAME].strip("-")


@contextmanager
def _locked() -> Generator[None]:
    """A lock on all decks, across processes: of two readers who add a slide at once neither is lost."""
    access.require_write()
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be created ({error.strerror}): make it writable.") from None
    with lock(folder):
        yield
