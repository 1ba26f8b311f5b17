"""A hub id, a folder, a GGUF file or an accepted upload becomes a verified checkpoint in a local folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from softh.checkpoints import architectures, hub
from softh.checkpoints.files import (
    INDEX,
    NAMED,
    PICKLES,
    SETTINGS,
    UPLOAD,
    Weights,
    choose,
    digest,
    names_in,
    pickled,
    read_json,
    upload_folder,
)
from softh.checkpoints.gguf_header import read_gguf
from softh.checkpoints.revisions import exact_tokens, parse_revision
from softh.checkpoints.safetensors_header import read_safetensors, short, unite
from softh.errors import InputError

_QUANTISATION = re.compile(r"[-_.](?:i?q\d\w*|b?f16|f32)$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights with its config and tokenizer, in a local folder, verified."""

    name: str
    """Name on the screen; says so when the weights were quantised."""
    source: str
    """Hub id or path, as given."""
    revision: str
    """Branch, tag or step name; ``local`` for a folder or file of this machine."""
    digest: str
    """Commit sha of the hub, or SHA-256 over weights, config and tokenizer."""
    path: Path
    gguf: str | None
    """Name of the GGUF file inside ``path``."""
    weights: str
    """``safetensors``, ``dequantised GGUF Q4_1`` …"""
    step: int | None
    """Optimiser steps, when the revision names them."""
    tokens: int | None
    """Training tokens seen, only when exactly known."""


def resolve(model: str, revision: str | None = None) -> Checkpoint:
    """Find, fetch and verify the checkpoint that ``model`` names.

    model: hub id (``owner/name``), folder, ``.gguf`` file, or ``upload:DIGEST`` of :mod:`softh.uploads.receive`.
    revision: branch, tag or commit of a hub id; a local checkpoint has none.
    Errors: InputError for whatever is missing, unreachable, unsafe or damaged.
    """
    if not model.strip():
        raise InputError("The model was empty; expected a hub id, a folder or a .gguf file: name one.")
    if not is_local(model):
        return _from_hub(model, revision or "main")
    return _from_here(model, locate(model, revision))


def is_local(model: str) -> bool:
    """Whether this names a folder, file or upload of this machine, there or not, rather than a model of the hub."""
    if Path(model).expanduser().exists():
        return True
    return model.startswith((".", "/", "~", UPLOAD)) or model.count("/") > 1 or model.endswith((".gguf", *PICKLES))


class Located(NamedTuple):
    """A checkpoint of this machine before its weights have been looked at."""

    folder: Path
    weights: Weights
    name: str
    revision: str
    """The folder's name when that is a training revision, else ``local``."""


def locate(model: str, revision: str | None = None) -> Located:
    """Where the files of a folder, a ``.gguf`` file or an upload are. Errors: InputError when they are not."""
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
    raise InputError(f"{model} does not exist; expected a folder, a .gguf file or a hub id: check the path.")


def _file(path: Path, source: str) -> Located:
    if path.suffix in PICKLES:
        raise InputError(pickled(source))
    if path.suffix != ".gguf":
        raise InputError(
            f"{source} is a single file; expected a folder or a .gguf file: name the folder that holds it."
        )
    stem = _QUANTISATION.sub("", path.stem)
    # Converters call their output "model": then only the folder tells models apart.
    name = path.resolve().parent.name if stem in {"model", "ggml-model"} else stem
    return Located(path.parent, Weights((path.name,), path.name), name, "local")


def _folder(path: Path, source: str) -> Located:
    """A folder called like a training revision is one step of the model its parent names."""
    weights = choose(names_in(path), source)
    if weights.gguf:
        return _file(path / weights.gguf, source)
    folder = path.resolve()
    if parse_revision(folder.name):
        return Located(path, weights, folder.parent.name, folder.name)
    return Located(path, weights, folder.name, "local")


def _from_here(source: str, found: Located) -> Checkpoint:
    path, weights, name, revision = found
    if not weights.gguf:
        check_config(read_json(path / "config.json"), source)
    shown, label = _verify(path, source, name, weights)
    parsed = parse_revision(revision)
    return Checkpoint(
        name=shown,
        source=source,
        revision=revision,
        digest=digest(path, weights),
        path=path,
        gguf=weights.gguf,
        weights=label,
        step=parsed.step if parsed else None,
        tokens=None,
    )


def _from_hub(model: str, revision: str) -> Checkpoint:
    sha, sizes = hub.listing(model, revision)
    weights = choose(set(sizes), model)
    if not weights.gguf:
        # Settings first: nothing large is fetched for a model that cannot run.
        check_config(read_json(hub.fetch(model, sha, set(sizes) & {*SETTINGS, INDEX}) / "config.json"), model)
    path = hub.fetch(model, sha, weights.files)
    shown, label = _verify(path, model, model, weights)
    parsed = parse_revision(revision)
    return Checkpoint(
        name=shown,
        source=model,
        revision=revision,
        digest=sha,
        path=path,
        gguf=weights.gguf,
        weights=label,
        step=parsed.step if parsed else None,
        tokens=exact_tokens(model, parsed),
    )


def check_config(config: Mapping[str, Any], source: str) -> None:
    """Errors: InputError for an architecture that the installed transformers does not know."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in architectures.known():
        code = "and code that comes with a model is never run" if "auto_map" in config else "which may be too old"
        raise InputError(
            f"{source} has architecture {short(kind)}, unknown to the installed transformers, {code}: "
            "choose another model."
        )


def _verify(path: Path, source: str, name: str, weights: Weights) -> tuple[str, str]:
    """Name on the screen and kind of weights, once every weight file has been checked."""
    if weights.gguf:
        header = read_gguf(path / weights.gguf)
        label = f"dequantised GGUF {header.quantisation}" if header.quantised else f"GGUF {header.quantisation}"
        return f"{name} ({label.replace('dequantised GGUF', 'dequantised')})", label
    tensors = {file: read_safetensors(path / file) for file in weights.files if file != INDEX}
    unite(tensors, read_json(path / INDEX) if INDEX in weights.files else None, source)
    method = (read_json(path / "config.json").get("quantization_config") or {}).get("quant_method")
    return name, f"safetensors quantised by {method}" if method else "safetensors"
