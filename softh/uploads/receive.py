"""From an upload to a checkpoint: archive or files → quarantine → examination → published folder.

This module runs in the web process and parses no weights or settings: it checks names, types and sizes and writes to
quarantine; a sandboxed child process (:mod:`softh.uploads.examine`) reads the files.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from softh import access, settings
from softh.checkpoints.files import (
    CHAT_TEMPLATE,
    LEGACY_CHAT_TEMPLATE,
    NAMED,
    UPLOAD,
    read_json,
    tells_layout,
    upload_folder,
)
from softh.checkpoints.formats import FORMATS, PICKLES, choose
from softh.checkpoints.safetensors_format import INDEX
from softh.errors import InputError
from softh.uploads import archive, quota, sandbox
from softh.uploads.quarantine import check_room, disk_errors, publish, quarantine, remove, write_stream
from softh.uploads.streams import Limits

_MEGABYTE = 10**6
_LONGEST = {
    "config.json": _MEGABYTE,
    "tokenizer.json": 64 * _MEGABYTE,
    "tokenizer_config.json": 8 * _MEGABYTE,
    "special_tokens_map.json": _MEGABYTE,
    "added_tokens.json": 4 * _MEGABYTE,
    INDEX: 8 * _MEGABYTE,
}
"""Files of settings and their largest size in bytes. Of other files only weights are unpacked."""
_MEMORY = 1 << 30
_SECONDS, _BYTES_A_SECOND = 120, 20 * _MEGABYTE


class Part(NamedTuple):
    """One file of an upload: a name and a binary stream, as Streamlit's UploadedFile also is."""

    name: str
    file: BinaryIO


@dataclass(frozen=True)
class Accepted:
    """An accepted upload of a checkpoint."""

    model: str
    """``upload:DIGEST``, for `EstimateSpec.model`."""
    name: str
    """Display name; of two uploads of the same content, that of the first."""
    path: Path
    architecture: str
    parameters: int
    """Number of parameters in the weight files."""
    left_out: tuple[str, ...]
    """Settings that were removed because they load code or fetch something."""
    known: bool
    """True when the same content had been uploaded before."""


def accept(parts: Sequence[Any], name: str | None = None, limits: Limits | None = None) -> Accepted:
    """Accept an upload: one archive (.zip, .tar, .tar.gz), or config.json, tokenizer.json and safetensors files.

    parts: objects with ``name`` and a binary stream that reads and seeks: :class:`Part`, or an UploadedFile itself.
    name: display name of the model; that of the archive or file by default. Memory does not grow with the upload;
    on return or error nothing is left but accepted checkpoints. Errors: InputError, one sentence.
    """
    parts = [part if isinstance(part, Part) else Part(part.name, part) for part in parts]
    with access.audited("upload model", files=[part.name[-80:] for part in parts]) as facts:
        if not parts:
            raise InputError(
                "Nothing was uploaded; expected an archive, or config, tokenizer and weights: choose files."
            )
        quota.check(1)
        source = _line(parts[0].name) if len(parts) == 1 else "The upload"
        accepted = _accept(parts, name_on_screen(name or parts[0].name), source, limits or default_limits())
        facts["model"], facts["known"] = accepted.model, accepted.known
    return accepted


def _accept(parts: Sequence[Part], name: str, source: str, limits: Limits) -> Accepted:
    """Check an upload in quarantine, and publish it under the digest of its content; source is its name in errors."""
    with quarantine(settings.uploads()) as folder, disk_errors():
        files = folder / "files"
        files.mkdir()
        if len(parts) == 1 and not _wanted(parts[0].name):
            names = _unpack(parts[0], files, source, limits)
        else:
            names = _copy(parts, files, source, limits)
        description = _examine(files, source)
        if {CHAT_TEMPLATE, LEGACY_CHAT_TEMPLATE} & names:
            description["left_out"] = sorted({*description["left_out"], "chat_template"})
        (files / NAMED).write_text(json.dumps({"name": name, **description}), encoding="utf-8")
        quota.mark(files)
        home = settings.uploads() / description["digest"]
        if not home.exists():
            quota.check(quota.size(files))
        known = not publish(files, home)
    return _accepted(home, known=known)


def list_models() -> tuple[Accepted, ...]:
    """Every accepted model, newest first."""
    folders = [path for path in settings.uploads().glob("*") if re.fullmatch(r"[0-9a-f]{64}", path.name)]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return tuple(_accepted(path, known=True) for path in folders)


def delete(model: str) -> None:
    """Delete an upload, ``upload:DIGEST``; estimates made from it stay. Errors: InputError when there is none."""
    with access.audited("delete upload", model=model):
        folder = upload_folder(model)
        quota.check_owner(folder)
        remove(folder)


def default_limits() -> Limits:
    """Limits of an upload; SOFTH_UPLOAD_GB bounds its unpacked size. Errors: InputError when it is not a number."""
    return Limits(total=int(settings.number("SOFTH_UPLOAD_GB") * 1e9))


def name_on_screen(name: str) -> str:
    """A safe display name: one line of letters, digits and a few signs, without path and ending."""
    stem = re.sub(r"\.(zip|tar|tgz|tar\.gz|safetensors|json)$", "", _line(name), flags=re.IGNORECASE)
    return stem.strip(" .-") or "upload"


def _line(name: str) -> str:
    """The same with its ending, as errors name a file."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w.+() -]+", "-", last, flags=re.ASCII).strip(" .-")[:80] or "upload"


def _wanted(name: str) -> bool:
    return name in _LONGEST or _is_weights(name)


def _is_weights(name: str) -> bool:
    return any(pattern.fullmatch(name) for each in FORMATS if (pattern := each.upload_names))


def _unpack(part: Part, files: Path, source: str, limits: Limits) -> set[str]:
    """Unpack an archive; all of it is checked in a first pass, before anything is written.

    Returns the names of the files in the folder of the model, also of those that are not unpacked.
    """
    listed = {entry.path: entry.size for entry in archive.entries(part.file, source, limits)}
    home = _home(set(listed), source)
    names = {path.name for path in listed if path.parent == home}
    inside = {str(path.relative_to(home)) for path in listed if path.parent.parent == home and tells_layout(path.name)}
    _check_names(names | inside, source)
    check_room(files, sum(size for path, size in listed.items() if path.parent == home and _wanted(path.name)))
    for entry in archive.entries(part.file, source, limits):
        if entry.path.parent == home and _wanted(entry.path.name):
            write_stream(entry.content, files / entry.path.name, _most(entry.path.name, limits), entry.path.name)
    return names


def _home(listed: set[PurePosixPath], source: str) -> PurePosixPath:
    """The folder of the archive that holds the model."""
    endings = (*(each.suffix for each in FORMATS if each.upload_names), *PICKLES)
    shards = {path.parent.parent for path in listed if tells_layout(path.name)}
    weights = {path.parent for path in listed if path.suffix in endings and not tells_layout(path.name)} | shards
    configs = {path.parent for path in listed if path.name == "config.json"}
    homes = sorted(weights & configs)
    if len(homes) > 1:
        raise InputError(f"{source} holds {len(homes)} models, in {homes[0]} and {homes[1]}; expected one: pack one "
                         "model's folder.")  # fmt: skip
    # What is missing is reported by the checks of a folder, so any one with a part of a model will do.
    return min(homes or sorted(configs) or sorted(weights) or [PurePosixPath()], key=lambda path: len(path.parts))


def _copy(parts: Sequence[Part], files: Path, source: str, limits: Limits) -> set[str]:
    """Copy the files of a model; returns the names of all files that were given."""
    left = limits.total
    names = [str(archive.check_name(part.name, source)) for part in parts]
    if len(set(names)) < len(names):
        raise InputError(f"{source} was given a file twice; expected every file once: choose each once.")
    _check_names(set(names), source)
    for part in parts:
        part.file.seek(0)
        if _wanted(part.name):
            left -= write_stream(part.file, files / part.name, min(left, _most(part.name, limits)), part.name)
    return set(names)


def _check_names(names: set[str], source: str) -> None:
    """Errors: InputError when a file of a model is missing; checked before anything is written."""
    for each in FORMATS:
        if each.upload_names is None:
            files = {name for name in names if name.endswith(each.suffix)}
            if files and not any(map(_is_weights, names)):
                readable = " or ".join(other.name for other in FORMATS if other.upload_names)
                raise InputError(f"{source} is a {each.name} file; expected {readable} weights: put it in a folder of "
                                 "the server and name the folder.")  # fmt: skip
            names = names - files
    choose(names, source)
    if "tokenizer.json" not in names:
        raise InputError(
            f"{source} has no tokenizer.json, the only tokenizer that an upload may have; expected it beside "
            "the config: load the tokenizer and save it with save_pretrained."
        )


def _most(name: str, limits: Limits) -> int:
    return _LONGEST.get(name, limits.total)


def _examine(files: Path, source: str) -> dict[str, Any]:
    """Description of the model by the sandboxed child. Errors: InputError, also when the child was killed."""
    total = sum(path.stat().st_size for path in files.iterdir())
    allowed = sandbox.ProcessLimits(memory=_MEMORY, seconds=_SECONDS + total // _BYTES_A_SECOND, file=64 * _MEGABYTE)
    child = sandbox.start(
        "softh.uploads.examine", [str(files.resolve()), source], allowed,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = child.communicate()
    if child.returncode == 2 and output:
        raise InputError(output)
    if child.returncode != 0:
        raise InputError(f"{source} could not be examined within the memory and time that an upload may take; expected "
                         "a model as transformers saves it: save and pack it again.")  # fmt: skip
    return json.loads(output)


def _accepted(path: Path, *, known: bool) -> Accepted:
    description = read_json(path / NAMED)
    return Accepted(
        model=UPLOAD + path.name,
        name=description["name"],
        path=path,
        architecture=description["architecture"],
        parameters=description["parameters"],
        left_out=tuple(description["left_out"]),
        known=known,
    )
