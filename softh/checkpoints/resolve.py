"""A hub id, a folder, a single file or an accepted upload → a verified checkpoint in a local folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from softh.checkpoints import hub, training_runs
from softh.checkpoints.files import NAMED, UPLOAD, LocalFiles, names_in, read_json, select_settings, upload_folder
from softh.checkpoints.formats import FILE_KINDS, choose, digest, file_format, is_checkpoint_file
from softh.checkpoints.layouts import check_here
from softh.checkpoints.revisions import exact_tokens, parse_revision, with_seed
from softh.checkpoints.safetensors_format import check_config
from softh.checkpoints.weights import WeightFiles, WeightsHeader
from softh.errors import InputError
from softh.format import and_more

_QUANTISATION = re.compile(r"[-_.](?:i?q\d\w*|b?f16|f32)$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights with its config and tokenizer, in a local folder, verified."""

    name: str
    """Display name; says so when the weights were quantised, and of which seed they are where the model has several."""
    source: str
    """Hub id, path in full, or ``upload:DIGEST``."""
    revision: str
    """Branch, tag or step name; ``local`` for a folder or file of this machine that is no checkpoint of a run."""
    digest: str
    """Commit sha of the hub, or SHA-256 over weights, config and tokenizer."""
    path: Path
    weights: str
    """``safetensors``, ``dequantised GGUF Q4_1`` …"""
    step: int | None
    """Optimiser steps, when the revision names them."""
    tokens: int | None
    """Training tokens seen, only when exactly known."""
    files: WeightFiles | None = None
    """The weight files inside ``path``; None for a model that exists in memory only."""


def resolve(model: str, revision: str | None = None) -> Checkpoint:
    """Find, fetch and verify the checkpoint that ``model`` names.

    model: hub id (``owner/name``; for one of several GGUF files ``owner/name:Q4_K_M`` or ``owner/name/FILE``), folder,
    ``.gguf`` file, or ``upload:DIGEST`` of :mod:`softh.uploads.receive`.
    revision: branch, tag or commit of a hub id, or the name of a checkpoint in the folder of a training run.
    Errors: InputError for whatever is missing, unreachable, unsafe or damaged.
    """
    if not model.strip():
        raise InputError(f"The model was empty; expected a hub id, a folder or a {FILE_KINDS}: name one.")
    if not is_local(model):
        return _from_hub(model, revision or "main")
    return _from_local(model, locate(model, revision))


def is_local(model: str) -> bool:
    """Whether a name is that of a folder, file or upload of this machine, existing or not, rather than a hub id.

    >>> is_local("EleutherAI/pythia-160m"), is_local("./run/step8"), is_local("tiny.gguf")
    (False, True, True)
    """
    if Path(model).expanduser().exists():
        return True
    if hub.split_name(model)[1] and not model.startswith((".", "~", UPLOAD)):
        return False
    return model.startswith((".", "/", "~", UPLOAD)) or model.count("/") > 1 or is_checkpoint_file(model)


class Located(NamedTuple):
    """A checkpoint of this machine before its weights are read."""

    folder: Path
    weights: WeightFiles
    name: str
    revision: str
    """The folder's name where it is a checkpoint of a training run, else ``local``."""
    step: int | None = None
    tokens: int | None = None


def locate(model: str, revision: str | None = None) -> Located:
    """Folder and weight files of a local model, single file or upload. Errors: InputError when something is missing."""
    path = Path(model).expanduser()
    if revision is not None:
        path = _in_run(path, model, revision)
    if model.startswith(UPLOAD):
        folder = upload_folder(model)
        return Located(folder, choose(names_in(folder), model), str(read_json(folder / NAMED)["name"]), "local")
    if path.is_dir():
        return _folder(path, model)
    if path.is_file():
        return _file(path, model)
    raise InputError(f"{model} does not exist; expected a folder, a {FILE_KINDS} or a hub id: check the path.")


def _file(path: Path, source: str) -> Located:
    format_ = file_format(path, source)
    stem = _QUANTISATION.sub("", path.stem)
    # Converters call their output "model": then only the folder tells models apart.
    name = training_runs.readable_name(path.resolve().parent) if stem in {"model", "ggml-model"} else stem
    return Located(path.parent, WeightFiles(format_, (path.name,)), name, "local")


def _in_run(path: Path, model: str, revision: str) -> Path:
    """The folder of a checkpoint of a training run, by its name in the run. Errors: InputError."""
    known = {each.position.revision: each.path for each in training_runs.find_run(path).checkpoints}
    if not known:
        raise InputError(
            f"{model} was given with revision {revision!r}; only hub models and training runs have one: leave it out."
        )
    if revision not in known:
        raise InputError(
            f"{model} has no checkpoint {revision!r} among its {len(known)} ({and_more([*known], 3)}); expected the "
            "name of one: correct it."
        )
    return known[revision]


def _folder(path: Path, source: str) -> Located:
    """A checkpoint of a training run is one step of the model that the run is called after."""
    check_here(path)
    try:
        weights = choose(names_in(path), source, lambda name: (path / name).read_bytes())
    except InputError as error:
        raise InputError(training_runs.explain(path, source) or str(error)) from None
    if weights.format.self_contained:
        return _file(path / weights.names[0], source)
    folder = path.resolve()
    if place := training_runs.position(folder):
        return Located(path, weights, training_runs.readable_name(place.run), place.revision, place.step, place.tokens)
    return Located(path, weights, training_runs.readable_name(folder), "local", *training_runs.progress(folder))


def _from_local(source: str, located: Located) -> Checkpoint:
    path, weights, name, revision, step, tokens = located
    header = weights.format.read_header(LocalFiles(path, source), weights.names)
    return Checkpoint(
        name=with_seed(_display_name(name, header), parse_revision(revision)),
        source=source if source.startswith(UPLOAD) else str(_file_or_folder(path, weights).resolve()),
        revision=revision,
        digest=digest(path, weights),
        path=path,
        weights=header.label,
        step=step,
        tokens=tokens,
        files=weights,
    )


def _file_or_folder(path: Path, weights: WeightFiles) -> Path:
    """What a local checkpoint is: a file that is one by itself, or a folder."""
    return path / weights.names[0] if weights.format.self_contained else path


def _from_hub(model: str, revision: str) -> Checkpoint:
    sha, sizes = hub.list_files(model, revision)
    files = hub.HubFiles(model, sha, sizes)
    weights = choose(set(sizes), model, lambda name: files.head(name, sizes[name]))
    # Settings and headers first: nothing large is fetched for a model that cannot run.
    if weights.format.self_contained:
        weights.format.read_header(files, weights.names)
    else:
        check_config(read_json(hub.fetch(model, sha, select_settings(sizes)) / "config.json"), model)
    path = hub.fetch(model, sha, weights.names)
    if weights.format.self_contained:
        path, weights = (path / weights.names[0]).parent, weights._replace(names=(Path(weights.names[0]).name,))
    header = weights.format.read_header(LocalFiles(path, model), weights.names)
    parsed = parse_revision(revision)
    return Checkpoint(
        name=with_seed(_display_name(hub.split_name(model)[0], header), parsed),
        source=model,
        revision=revision,
        digest=hub.digest_of(model, sha),
        path=path,
        weights=header.label,
        step=parsed.step if parsed else None,
        tokens=exact_tokens(model, parsed),
        files=weights,
    )


def _display_name(name: str, header: WeightsHeader) -> str:
    return f"{name} ({header.variant})" if header.variant else name
