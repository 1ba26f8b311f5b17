"""Which files make a checkpoint: chosen from names alone, read as JSON, and told apart by their content."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from softh import settings as paths
from softh.checkpoints.safetensors_header import some
from softh.errors import InputError

INDEX = "model.safetensors.index.json"
UPLOAD = "upload:"
"""What the name of an accepted upload begins with; its digest follows."""
NAMED = "upload.json"
"""File of an accepted upload that holds its name on the screen."""
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}, {"spiece.model"})
SETTINGS = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}.union(*_TOKENIZERS)
_SHARD = re.compile(r"model-.*\.safetensors")


class Weights(NamedTuple):
    """The weight files of a folder: safetensors, or one GGUF file."""

    files: tuple[str, ...]
    gguf: str | None


def upload_folder(model: str) -> Path:
    """Folder of an accepted upload. Errors: InputError when the name has no such form or nothing is kept under it."""
    digest = model.removeprefix(UPLOAD)
    folder = paths.uploads() / digest
    if not re.fullmatch(r"[0-9a-f]{64}", digest) or not folder.is_dir():
        raise InputError(f"{model} is no upload that is kept here; expected upload: and its digest: upload it again.")
    return folder


def choose(names: set[str], source: str) -> Weights:
    """Which weight files of a folder to use, from file names alone. Errors: InputError when a part is missing."""
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    shards = {"model.safetensors"} & names or {name for name in names if INDEX in names and _SHARD.fullmatch(name)}
    if ggufs and not shards:
        if len(ggufs) > 1:
            raise InputError(f"{source} holds {len(ggufs)} GGUF files ({some(ggufs)}); expected one: name the file.")
        return Weights((ggufs[0],), ggufs[0])
    if "config.json" not in names:
        raise InputError(f"{source} has no config.json; expected a model as transformers saves it: add the file.")
    if not any(needed <= names for needed in _TOKENIZERS):
        raise InputError(f"{source} has no tokenizer; expected tokenizer.json beside the config: add the file.")
    if not shards and any(Path(name).suffix in PICKLES for name in names):
        raise InputError(pickled(source))
    if not shards:
        raise InputError(f"{source} has no weights; expected model.safetensors, its shards or a .gguf: add them.")
    whole = "model.safetensors" in shards
    return Weights((*sorted(shards), *(() if whole else (INDEX,))), None)


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Errors: InputError when it holds none."""
    return parse_json(path.read_bytes(), path.name)


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """The same from the content of a file."""
    try:
        parsed = json.loads(content.decode())
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InputError(f"{name} is no JSON object; expected the file transformers writes: save it again.")
    return parsed


def names_in(path: Path) -> set[str]:
    """Names of the files of a folder."""
    return {entry.name for entry in path.iterdir() if entry.is_file()}


def digest(path: Path, weights: Weights) -> str:
    """SHA-256 over weights, config and tokenizer of a folder: everything that decides numbers."""
    settings = set() if weights.gguf else SETTINGS & names_in(path)
    names = sorted({*settings, *weights.files})
    with ThreadPoolExecutor() as pool:  # hashing lets other threads run, so shards go side by side
        contents = pool.map(_content, [path / name for name in names])
        lines = "".join(f"{name} {content}\n" for name, content in zip(names, contents, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pickled(source: str) -> str:
    """Why a pickle is refused."""
    return f"{source} has its weights only as pickles, which can run code; expected safetensors or GGUF: convert them."
