"""The files of a checkpoint, in a folder of this machine or of an upload, and their reading as JSON."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from softh import settings as paths
from softh.errors import InputError

UPLOAD = "upload:"
"""Prefix of the name of an accepted upload; its digest follows."""
NAMED = "upload.json"
"""File of an accepted upload that holds its display name."""

TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}, {"spiece.model"})
"""Sets of file names, each of which is a complete tokenizer."""
CHAT_TEMPLATE, LEGACY_CHAT_TEMPLATE = "chat_template.jinja", "chat_template.json"
"""Files of a chat template that is not in tokenizer_config.json: of transformers 5, and of processors before it."""
PROCESSOR = "processor_config.json"
"""File of a processor, which once held its chat template."""
MORE_CHAT_TEMPLATES = "additional_chat_templates"
"""Folder of the chat templates that have a name, ``NAME.jinja`` each."""
SETTINGS = {
    "config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    CHAT_TEMPLATE, LEGACY_CHAT_TEMPLATE,
}.union(*TOKENIZERS)  # fmt: skip
"""Names of config and tokenizer files in the folder itself; see :func:`settings_in`."""

_MAX_JSON_BYTES = 16_000_000


class CheckpointFiles(Protocol):
    """Files of a checkpoint, local or on the hub, of which only the first bytes are read."""

    source: str
    """Name of the checkpoint in errors."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """File name → bytes."""

    def head(self, name: str, count: int) -> bytes:
        """The first `count` bytes of a file, or all of a shorter one."""


class LocalFiles:
    """The files of a folder."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder, self.source = folder, source

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """File name → bytes."""
        return {entry.name: entry.stat().st_size for entry in self.folder.iterdir() if entry.is_file()}

    def head(self, name: str, count: int) -> bytes:
        """The first `count` bytes of a file, or all of a shorter one."""
        with (self.folder / name).open("rb") as file:
            return file.read(count)


def read_settings(files: CheckpointFiles, name: str) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Errors: InputError when it holds none."""
    return parse_json(files.head(name, _MAX_JSON_BYTES), name)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Errors: InputError when it holds none."""
    return parse_json(path.read_bytes(), path.name)


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """The object in the content of a JSON file; `name` is the file's in errors.

    >>> parse_json(b'{"model_type": "llama"}', "config.json")
    {'model_type': 'llama'}
    """
    check_content(content, name)
    try:
        parsed = json.loads(content.decode())
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InputError(f"{name} is not a JSON object; expected the file transformers writes: save it again.")
    return parsed


def check_content(content: bytes, name: str) -> None:
    """Errors: InputError for a file that stands for another, from its first bytes."""
    for start, kind, remedy in _STAND_INS:
        if content.lstrip()[:64].lower().startswith(start):
            raise InputError(f"{name} is {kind}, not the file itself; expected the file: {remedy}.")


_STAND_INS = (
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` in its folder"),
    (b"version https://hawser", "a Git LFS pointer", "run `git lfs pull` in its folder"),
    (b"/annex/objects/", "a git-annex pointer", "run `git annex get .` in its folder"),
    (b"# xet version", "a Xet pointer", "run `git xet checkout` in its folder, or download it from the hub"),
    (b"<!doctype html", "a web page", "download it again, logged in where the model asks for it"),
    (b"<html", "a web page", "download it again, logged in where the model asks for it"),
    (b"<?xml", "an error message of a server", "download it again"),
)
"""How a file begins that stands for another, what it is, and what to do."""
_INSIDE = re.compile(r".*\.distcp|\S*_states\.pt|model_optim_rng\.pt")


def names_in(path: Path) -> set[str]:
    """Names of the files of a folder, and of those one level down that say how a training run saved it."""
    names = {entry.name for entry in path.iterdir() if entry.is_file()}
    inside = (file for entry in path.iterdir() if entry.is_dir() for file in _listed(entry))
    return names | {f"{file.parent.name}/{file.name}" for file in inside if tells_layout(file.name)}


def tells_layout(name: str) -> bool:
    """Whether a file in a folder of a checkpoint says how a training run saved it: shards of FSDP, DeepSpeed …

    >>> tells_layout("__0_0.distcp"), tells_layout("model.safetensors")
    (True, False)
    """
    return _INSIDE.fullmatch(name) is not None


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # a folder that may not be read holds nothing of the checkpoint


def settings_in(path: Path) -> set[str]:
    """Names, relative to a folder, of its config, tokenizer and template files."""
    templates = {f"{MORE_CHAT_TEMPLATES}/{entry.name}" for entry in (path / MORE_CHAT_TEMPLATES).glob("*.jinja")}
    names = select_settings(names_in(path) | templates)
    # Only its template decides numbers of a language model.
    return names if PROCESSOR in names and "chat_template" in read_json(path / PROCESSOR) else names - {PROCESSOR}


def select_settings(names: Iterable[str]) -> set[str]:
    """Of file names those of config, tokenizer and templates: with the weights, everything that decides numbers.

    >>> sorted(select_settings(["config.json", "README.md", "additional_chat_templates/rag.jinja"]))
    ['additional_chat_templates/rag.jinja', 'config.json']
    """
    return {name for name in names if name in SETTINGS or is_chat_template(name)}


def is_chat_template(name: str) -> bool:
    """Whether the name of a file is that of a chat template."""
    folder, _, file = name.rpartition("/")
    return name in {CHAT_TEMPLATE, LEGACY_CHAT_TEMPLATE, PROCESSOR} or (
        folder == MORE_CHAT_TEMPLATES and file.endswith(".jinja")
    )


def upload_folder(model: str) -> Path:
    """Folder of an accepted upload. Errors: InputError for a name that is malformed or of no stored upload."""
    digest = model.removeprefix(UPLOAD)
    folder = paths.uploads() / digest
    if not re.fullmatch(r"[0-9a-f]{64}", digest) or not folder.is_dir():
        raise InputError(f"{model} is not an upload of this server; expected upload: and its digest: upload it again.")
    return folder
