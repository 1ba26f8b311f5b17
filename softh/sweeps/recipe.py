"""A recipe (TOML) names models, revisions and settings: which estimates it asks for, and which of them are stored."""

import dataclasses
import fnmatch
import tomllib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.checkpoints import hub
from softh.checkpoints import resolve as checkpoints
from softh.checkpoints.revisions import log_spaced_revisions
from softh.errors import InputError
from softh.spec import EstimateSpec, stored_name

_ESTIMATE = {name for field in dataclasses.fields(EstimateSpec) for name in (field.name, stored_name(field))} - {
    "model",
    "revision",
}
_MODEL = {"id", "revisions", "checkpoints"}


@dataclass(frozen=True)
class Entry:
    """One ``[[model]]`` of a recipe."""

    id: str
    """Hub id, folder or GGUF file."""
    revisions: tuple[str, ...] = ()
    """Names or patterns (``step*``) of revisions of the hub; none is the default branch."""
    checkpoints: int | None = None
    """So many of them, log-spaced in their steps; None is all."""


@dataclass(frozen=True)
class Recipe:
    """What to estimate, and how."""

    models: tuple[Entry, ...]
    settings: dict[str, Any]
    """Fields of an EstimateSpec that differ from the usual ones."""

    def specs(self, listed: Callable[[str], list[str]] = hub.revisions) -> Iterator[EstimateSpec]:
        """Every estimate, in the order of the recipe; `listed` names the revisions of a model of the hub.

        Raises InputError when the hub cannot be asked for a pattern, or nothing fits it.
        """
        for entry in self.models:
            for revision in _revisions(entry, listed):
                yield EstimateSpec.from_options({**self.settings, "model": entry.id, "revision": revision})


def load(path: Path) -> Recipe:
    """The recipe in a file. Raises InputError for a file that is none, and for keys and values it does not know."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected a recipe: check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML ({error}); expected a recipe such as recipes/pythia.toml.") from None
    _known(str(path), content, {"estimate", "model"})
    settings = content.get("estimate", {})
    _known(f"[estimate] of {path}", settings, _ESTIMATE)
    if "orders" in settings:
        settings["orders"] = tuple(settings["orders"])
    EstimateSpec.from_options({**settings, "model": ""})
    entries = content.get("model", [])
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path} names no model; expected [[model]] with an id: add one.")
    return Recipe(tuple(_entry(f"[[model]] {at} of {path}", row) for at, row in enumerate(entries, 1)), settings)


def digest(spec: EstimateSpec) -> str:
    """What tells the weights of this model and revision apart, without fetching any. Raises InputError."""
    if checkpoints.is_local(spec.model):
        return checkpoints.resolve(spec.model, spec.revision).digest
    return hub.listing(spec.model, spec.revision or "main")[0]


def missing(spec: EstimateSpec, stored: Collection[tuple[str, str]]) -> bool:
    """Whether an estimate is yet to be made; `stored` has specification and digest of every estimate there is.

    The hub is asked where a branch stands only when the specification is stored. Raises InputError.
    """
    digests = {known for canonical, known in stored if canonical == spec.canonical()}
    return not digests or digest(spec) not in digests


def _entry(where: str, row: Any) -> Entry:
    _known(where, row, _MODEL)
    name, revisions, count = row.get("id"), row.get("revisions", ()), row.get("checkpoints")
    revisions = (revisions,) if isinstance(revisions, str) else tuple(revisions)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"id of {where} was {name!r}; expected a hub id, a folder or a GGUF file: add it.")
    if not all(isinstance(revision, str) for revision in revisions):
        raise InputError(f"revisions of {where} were {list(revisions)}; expected names or patterns: quote them.")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise InputError(f"checkpoints of {where} was {count!r}; expected a whole number of at least 1: correct it.")
    return Entry(name, revisions, count)


def _revisions(entry: Entry, listed: Callable[[str], list[str]]) -> list[str | None]:
    if not entry.revisions:
        return [None]
    patterns = [name for name in entry.revisions if any(sign in name for sign in "*?[")]
    known = listed(entry.id) if patterns else []
    found = [name for name in entry.revisions if name not in patterns]
    for pattern in patterns:
        fitting = fnmatch.filter(known, pattern)
        if not fitting:
            raise InputError(
                f"{entry.id} has no revision like {pattern!r} among its {len(known)}; "
                "expected a pattern that fits some: check them on its page."
            )
        found += fitting
    names = list(dict.fromkeys(found))
    return [*(names if entry.checkpoints is None else log_spaced_revisions(names, entry.checkpoints))]


def _known(where: str, table: Any, allowed: Collection[str]) -> None:
    expected = ", ".join(sorted(allowed))
    if not isinstance(table, dict):
        raise InputError(f"{where} was {table!r}; expected a table with keys {expected}: write one.")
    if unknown := sorted(set(table) - set(allowed)):
        raise InputError(f"{where} has the unknown key {unknown[0]!r}; expected {expected}: remove it.")
