"""A hub id, a folder, a single file or an accepted upload → a verified checkpoint in a local folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from softh.checkpoints import hub
from softh.checkpoints.config import check_architecture
from softh.checkpoints.files import NAMED, UPLOAD, LocalFiles, names_in, read_json, select_settings, upload_folder
from softh.checkpoints.formats import FILE_KINDS, choose, digest, file_format, is_checkpoint_file
from softh.checkpoints.revisions import exact_tokens, parse_revision
from softh.checkpoints.weights import WeightFiles, WeightsHeader
from softh.errors import InputError

_QUANTISATION = re.compile(r"[-_.](?:i?q\d\w*|b?f16|f32)$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights with its config and tokenizer, in a local folder, verified."""

    name: str
    """Display name; says so when the weights were quantised."""
    source: str
    """Hub id or path, as given."""
    revision: str
    """Branch, tag or step name; ``local`` for a folder or file of this machine."""
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

    model: hub id (``owner/name``), folder, ``.gguf`` file, or ``upload:DIGEST`` of :mod:`softh.uploads.receive`.
    revision: branch, tag or commit of a hub id; a local checkpoint has none.
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
    return model.startswith((".", "/", "~", UPLOAD)) or model.count("/") > 1 or is_checkpoint_file(model)


class Located(NamedTuple):
    """A checkpoint of this machine before its weights are read."""

    folder: Path
    weights: WeightFiles
    name: str
    revision: str
    """The folder's name when that is a training revision, else ``local``."""


def locate(model: str, revision: str | None = None) -> Located:
    """Folder and weight files of a local model, single file or upload. Errors: InputError when something is missing."""
    path = Path(model).expanduser()
    if revision is not None:
        raise InputError(f"{model} was given with revision {revision!r}; only hub models have one: leave it out.")
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
    name = path.resolve().parent.name if stem in {"model", "ggml-model"} else stem
    return Located(path.parent, WeightFiles(format_, (path.name,)), name, "local")


def _folder(path: Path, source: str) -> Located:
    """A folder called like a training revision is one step of the model its parent names."""
    weights = choose(names_in(path), source)
    if weights.format.self_contained:
        return _file(path / weights.names[0], source)
    folder = path.resolve()
    if parse_revision(folder.name):
        return Located(path, weights, folder.parent.name, folder.name)
    return Located(path, weights, folder.name, "local")


def _from_local(source: str, located: Located) -> Checkpoint:
    path, weights, name, revision = located
    header = weights.format.read_header(LocalFiles(path, source), weights.names)
    parsed = parse_revision(revision)
    return Checkpoint(
        name=_display_name(name, header),
        source=source,
        revision=revision,
        digest=digest(path, weights),
        path=path,
        weights=header.label,
        step=parsed.step if parsed else None,
        tokens=None,
        files=weights,
    )


def _from_hub(model: str, revision: str) -> Checkpoint:
    sha, sizes = hub.list_files(model, revision)
    weights = choose(set(sizes), model)
    if not weights.format.self_contained:
        # Settings first: nothing large is fetched for a model that cannot run.
        check_architecture(read_json(hub.fetch(model, sha, select_settings(sizes)) / "config.json"), model)
    path = hub.fetch(model, sha, weights.names)
    header = weights.format.read_header(LocalFiles(path, model), weights.names)
    parsed = parse_revision(revision)
    return Checkpoint(
        name=_display_name(model, header),
        source=model,
        revision=revision,
        digest=sha,
        path=path,
        weights=header.label,
        step=parsed.step if parsed else None,
        tokens=exact_tokens(model, parsed),
        files=weights,
    )


def _display_name(name: str, header: WeightsHeader) -> str:
    return f"{name} ({header.variant})" if header.variant else name
