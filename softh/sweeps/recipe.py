"""Recipes: TOML files that name models, revisions and settings, and so the estimates of a sweep."""

import dataclasses
import fnmatch
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.checkpoints import hub, training_runs
from softh.checkpoints import resolve as checkpoints
from softh.checkpoints.revisions import in_training, log_spaced_revisions, log_spaced_steps
from softh.errors import InputError
from softh.format import and_more
from softh.spec import EstimateSpec, stored_name

_ESTIMATE = {name for field in dataclasses.fields(EstimateSpec) for name in (field.name, stored_name(field))} - {
    "model",
    "revision",
}
_MODEL = {"id", "revisions", "checkpoints"}


@dataclass(frozen=True)
class RecipeEntry:
    """One ``[[model]]`` of a recipe."""

    id: str
    """Hub id, folder of a model or of a training run, pattern of such folders, or GGUF file."""
    revisions: tuple[str, ...] = ()
    """Names or patterns (``step*``) of revisions of the hub or of checkpoints of the run; none is the default branch,
    or all checkpoints of a run whose folder holds no model itself."""
    checkpoints: int | None = None
    """So many of them, log-spaced in their steps; None is all."""


@dataclass(frozen=True)
class Recipe:
    """Models and settings of a sweep."""

    models: tuple[RecipeEntry, ...]
    settings: dict[str, Any]
    """Fields of an EstimateSpec that differ from the defaults."""

    def specs(self, list_revisions: Callable[[str], list[str]] = hub.list_revisions) -> Iterator[EstimateSpec]:
        """The specification of every estimate, in the order of the recipe.

        list_revisions: names of the revisions of a model of the hub. Errors: InputError when the hub cannot be reached
        for a pattern, or no revision matches it.
        """
        for entry in self.models:
            if checkpoints.is_local(entry.id):
                chosen = [(model, None) for model in _local_models(entry)]
            else:
                chosen = [(entry.id, revision) for revision in _revisions(entry, list_revisions)]
            for model, revision in chosen:
                yield EstimateSpec.from_options({**self.settings, "model": model, "revision": revision})


def load(path: Path) -> Recipe:
    """The recipe in a file, or the checkpoints of a training run in a folder, with the default settings.

    Errors: InputError for a file that is not a recipe, for unknown keys and values, and for a folder without
    checkpoints.
    """
    if path.is_dir():
        return _of_run(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected a recipe: check the path.") from None
    except (ValueError, RecursionError) as error:  # also for numbers of too many digits
        raise InputError(
            f"{path} is not valid TOML ({error}); expected a recipe such as recipes/pythia.toml."
        ) from None
    _check_keys(str(path), content, {"estimate", "model"})
    settings = content.get("estimate", {})
    _check_keys(f"[estimate] of {path}", settings, _ESTIMATE)
    if "orders" in settings:
        if not isinstance(settings["orders"], list) or not all(type(order) is int for order in settings["orders"]):
            raise InputError(
                f"orders of [estimate] of {path} was {settings['orders']!r}; expected a list such as [1, 2]: write one."
            )
        settings["orders"] = tuple(settings["orders"])
    EstimateSpec.from_options({**settings, "model": ""})
    entries = content.get("model", [])
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path} names no model; expected [[model]] with an id: add one.")
    return Recipe(tuple(_entry(f"[[model]] {at} of {path}", row) for at, row in enumerate(entries, 1)), settings)


def left_out(path: Path) -> tuple[str, ...]:
    """A sentence for each checkpoint in the folder of a training run that cannot be read; none for a recipe."""
    return training_runs.find_run(path).left_out if path.is_dir() else ()


def _of_run(path: Path) -> Recipe:
    if training_runs.find_run(path).checkpoints:
        return Recipe((RecipeEntry(str(path), ("*",)),), {})
    if training_runs.holds_model(path):
        return Recipe((RecipeEntry(str(path)),), {})
    raise InputError(
        f"{path} holds no checkpoint of a training run that can be read; expected folders such as checkpoint-500 or "
        "step1000 with model.safetensors in it, or a recipe: name one."
    )


def _local_models(entry: RecipeEntry) -> list[str]:
    """Paths of the models of an entry that names folders of this machine. Errors: InputError."""
    path = Path(entry.id).expanduser()
    if path.exists() or not any(sign in entry.id for sign in "*?["):
        return _models_in(path, entry)
    places = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    if not places:
        raise InputError(f"{entry.id} is a pattern that no path has; expected that of some folders: check it.")
    several = [model for place in places for model in _models_in(place, RecipeEntry(str(place), entry.revisions))]
    steps = {model: place.step for model in several if (place := training_runs.position(Path(model).resolve()))}
    several.sort(key=lambda model: (training_runs.position(Path(model).resolve()) is None, steps.get(model) or 0))
    return several if entry.checkpoints is None else _spaced(steps, entry.checkpoints)


def _models_in(path: Path, entry: RecipeEntry) -> list[str]:
    """The folder itself where it is a model and no checkpoints are asked for, else checkpoints of the run in it."""
    if not path.is_dir() or (not entry.revisions and training_runs.holds_model(path)):
        if entry.revisions:
            checkpoints.locate(entry.id, entry.revisions[0])
        return [entry.id]
    run = training_runs.find_run(path).checkpoints
    if not run and not entry.revisions:
        return [entry.id]  # reading it says why it is not a model
    names = [each.position.revision for each in run]
    chosen: list[str] = []
    shown = f" ({and_more(names, 3)})" if names else ""
    for pattern in entry.revisions or ("*",):
        if not (matching := fnmatch.filter(names, pattern)):
            raise InputError(
                f"{entry.id} has no checkpoint like {pattern!r} among its {len(names)}{shown}; "
                "expected a pattern that matches some: check the folder."
            )
        chosen += matching
    steps = {str(each.path): each.position.step for each in run if each.position.revision in chosen}
    return [*steps] if entry.checkpoints is None else _spaced(steps, entry.checkpoints)


def _spaced(steps: Mapping[str, int | None], count: int) -> list[str]:
    """At most `count` models, log-spaced in their steps; steps: of each model."""
    models = {step: model for model, step in steps.items() if step is not None}
    return [models[step] for step in log_spaced_steps(models, count)]


def digest(spec: EstimateSpec) -> str:
    """Digest of the checkpoint of a specification, without fetching its weights. Errors: InputError."""
    if checkpoints.is_local(spec.model):
        return checkpoints.resolve(spec.model, spec.revision).digest
    return hub.digest_of(spec.model, hub.list_files(spec.model, spec.revision or "main")[0])


def is_missing(spec: EstimateSpec, stored: Collection[tuple[str, str]]) -> bool:
    """Whether an estimate is not stored; stored: specification and digest of every stored estimate.

    The hub is asked for the commit of a branch only when the specification is stored. Errors: InputError.
    """
    digests = {known for canonical, known in stored if canonical == spec.canonical()}
    return not digests or digest(spec) not in digests


def _entry(where: str, row: Any) -> RecipeEntry:
    _check_keys(where, row, _MODEL)
    name, revisions, count = row.get("id"), row.get("revisions", ()), row.get("checkpoints")
    revisions = tuple(revisions) if isinstance(revisions, list | tuple) else (revisions,)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"id of {where} was {name!r}; expected a hub id, a folder or a GGUF file: add it.")
    if not all(isinstance(revision, str) for revision in revisions):
        raise InputError(f"revisions of {where} were {list(revisions)}; expected names or patterns: quote them.")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise InputError(f"checkpoints of {where} was {count!r}; expected a whole number of at least 1: correct it.")
    return RecipeEntry(name, revisions, count)


def _revisions(entry: RecipeEntry, list_revisions: Callable[[str], list[str]]) -> list[str | None]:
    if not entry.revisions:
        return [None]
    patterns = [name for name in entry.revisions if any(sign in name for sign in "*?[")]
    known = list_revisions(entry.id) if patterns else []
    chosen = [name for name in entry.revisions if name not in patterns]
    for pattern in patterns:
        matching = fnmatch.filter(known, pattern)
        if not matching:
            raise InputError(
                f"{entry.id} has no revision like {pattern!r} among its {len(known)}; "
                "expected a pattern that matches some: check them on its page."
            )
        chosen += sorted(matching, key=in_training)  # the hub sorts step_1000 before step_200
    names = list(dict.fromkeys(chosen))
    return [*(names if entry.checkpoints is None else log_spaced_revisions(names, entry.checkpoints))]


def _check_keys(where: str, table: Any, allowed: Collection[str]) -> None:
    expected = ", ".join(sorted(allowed))
    if not isinstance(table, dict):
        raise InputError(f"{where} was {table!r}; expected a table with keys {expected}: write one.")
    if unknown := sorted(set(table) - set(allowed)):
        raise InputError(f"{where} has the unknown key {unknown[0]!r}; expected {expected}: remove it.")
