"""A hub id, a folder or a GGUF file becomes a verified checkpoint in a local folder."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from softh import hub
from softh.errors import InputError
from softh.revisions import exact_tokens, parse_revision
from softh.weights import check_safetensors, read_gguf

INDEX = "model.safetensors.index.json"
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}, {"spiece.model"})
_SETTINGS = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}.union(*_TOKENIZERS)
_QUANTISATION = re.compile(r"[-_.](?:i?q\d\w*|b?f16|f32)$", re.IGNORECASE)
_SHARD = re.compile(r"model-.*\.safetensors")


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


class _Weights(NamedTuple):
    """The weight files of a folder: safetensors, or one GGUF file."""

    files: tuple[str, ...]
    gguf: str | None


def resolve(model: str, revision: str | None = None) -> Checkpoint:
    """Find, fetch and verify the checkpoint that ``model`` names.

    model: hub id (``owner/name``), folder, or ``.gguf`` file.
    revision: branch, tag or commit of a hub id; a local checkpoint has none.
    Errors: InputError for whatever is missing, unreachable, unsafe or damaged.
    """
    if not model.strip():
        raise InputError("The model was empty; expected a hub id, a folder or a .gguf file: name one.")
    path = Path(model).expanduser()
    if not path.exists() and not _looks_local(model):
        return _from_hub(model, revision or "main")
    if revision is not None:
        raise InputError(f"{model} was given with revision {revision!r}; only hub models have one: leave it out.")
    if path.is_dir():
        return _from_folder(path, model)
    if path.is_file():
        return _from_file(path, model)
    raise InputError(f"{model} does not exist; expected a folder, a .gguf file or a hub id: check the path.")


def _looks_local(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.count("/") > 1 or model.endswith((".gguf", *PICKLES))


def _from_file(path: Path, source: str) -> Checkpoint:
    if path.suffix in PICKLES:
        raise InputError(_pickled(source))
    if path.suffix != ".gguf":
        raise InputError(
            f"{source} is a single file; expected a folder or a .gguf file: name the folder that holds it."
        )
    stem = _QUANTISATION.sub("", path.stem)
    # Converters call their output "model": then only the folder tells models apart.
    name = path.resolve().parent.name if stem in {"model", "ggml-model"} else stem
    return _local(path.parent, source, name, _Weights((path.name,), path.name))


def _from_folder(path: Path, source: str) -> Checkpoint:
    """A folder called like a training revision is one step of the model its parent names."""
    weights = _choose(_names(path), source)
    if weights.gguf:
        return _from_file(path / weights.gguf, source)
    _check_config(path, source)
    folder = path.resolve()
    return _local(path, source, folder.parent.name if parse_revision(folder.name) else folder.name, weights)


def _local(path: Path, source: str, name: str, weights: _Weights) -> Checkpoint:
    shown, label = _verify(path, source, name, weights)
    folder = path.resolve().name
    parsed = None if weights.gguf else parse_revision(folder)
    settings = set() if weights.gguf else _SETTINGS & _names(path)
    return Checkpoint(
        name=shown,
        source=source,
        revision=folder if parsed else "local",
        digest=_digest(path, sorted({*settings, *weights.files})),
        path=path,
        gguf=weights.gguf,
        weights=label,
        step=parsed.step if parsed else None,
        tokens=None,
    )


def _from_hub(model: str, revision: str) -> Checkpoint:
    sha, names = hub.listing(model, revision)
    weights = _choose(names, model)
    if not weights.gguf:
        # Settings first: nothing large is fetched for a model that cannot run.
        _check_config(hub.fetch(model, sha, names & {*_SETTINGS, INDEX}), model)
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


def _choose(names: set[str], source: str) -> _Weights:
    """Which weight files to use, from file names alone."""
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    shards = {"model.safetensors"} & names or {name for name in names if INDEX in names and _SHARD.fullmatch(name)}
    if ggufs and not shards:
        if len(ggufs) > 1:
            raise InputError(f"{source} holds {len(ggufs)} GGUF files ({_some(ggufs)}); expected one: name the file.")
        return _Weights((ggufs[0],), ggufs[0])
    if "config.json" not in names:
        raise InputError(f"{source} has no config.json; expected a model as transformers saves it: add the file.")
    if not any(needed <= names for needed in _TOKENIZERS):
        raise InputError(f"{source} has no tokenizer; expected tokenizer.json beside the config: add the file.")
    if not shards and any(Path(name).suffix in PICKLES for name in names):
        raise InputError(_pickled(source))
    if not shards:
        raise InputError(f"{source} has no weights; expected model.safetensors, its shards or a .gguf: add them.")
    return _Weights((*sorted(shards), *({INDEX} & names)), None)


def _check_config(path: Path, source: str) -> None:
    config = _json(path / "config.json")
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING_NAMES:
        code = "and code that comes with a model is never run" if "auto_map" in config else "which may be too old"
        raise InputError(
            f"{source} has architecture {kind!r}, unknown to the installed transformers, {code}: choose another model."
        )


def _verify(path: Path, source: str, name: str, weights: _Weights) -> tuple[str, str]:
    """Name on the screen and kind of weights, once every weight file has been checked."""
    if weights.gguf:
        header = read_gguf(path / weights.gguf)
        label = f"dequantised GGUF {header.quantisation}" if header.quantised else f"GGUF {header.quantisation}"
        return f"{name} ({label.replace('dequantised GGUF', 'dequantised')})", label
    if INDEX in weights.files and "model.safetensors" not in weights.files:
        shards = _json(path / INDEX).get("weight_map", {})
        if missing := sorted({str(shard) for shard in shards.values()} - set(weights.files)):
            raise InputError(f"{source} lacks {_some(missing)}, which {INDEX} names; expected every shard: add them.")
    for file in weights.files:
        if file != INDEX:
            check_safetensors(path / file)
    method = (_json(path / "config.json").get("quantization_config") or {}).get("quant_method")
    return name, f"safetensors quantised by {method}" if method else "safetensors"


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path.name} is no JSON object; expected the file transformers writes: save it again.")
    return content


def _names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir() if entry.is_file()}


def _digest(path: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        with (path / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _pickled(source: str) -> str:
    return f"{source} has its weights only as pickles, which can run code; expected safetensors or GGUF: convert them."


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
