"""Backups: tables, runs, scores and decks in one file with a digest of each, and their restoration."""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from softh.errors import InputError
from softh.store import atomic, connection, schema

MANIFEST = "softh-backup.json"
CONTENTS = (schema.DATABASE, "runs/*.parquet", "scores/*.parquet", "decks/*.json")
"""Files of the data folder in a backup; demo models and job records are not results."""
_BLOCK = 1 << 20


def write(data: Path, target: Path) -> int:
    """Write a backup and return how many files it holds. Errors: InputError when there is nothing to keep."""
    connection.refresh()
    files = {path.relative_to(data).as_posix(): path for pattern in CONTENTS for path in sorted(data.glob(pattern))}
    files |= {f"{schema.RUNS}/{path.name}": path for path in connection.list_runs(data)}
    if not files:
        raise InputError(f"{data} holds no tables, runs or decks; expected some to back up: check --data.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(target) as new, tarfile.open(new, mode="w:gz", compresslevel=1) as archive:
        digests = {name: _add(archive, name, path) for name, path in files.items()}
        manifest = {"schema_version": schema.version(), "files": digests}
        _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
    return len(files)


def read(source: Path, data: Path, *, replace: bool = False) -> tuple[int, int, list[str]]:
    """Restore a backup: files written, files that were the same, and names of those that differ and stay.

    Everything is unpacked beside the folder and checked before anything of it is touched. Errors: InputError for a
    file that is not a backup, is damaged, or was written by a later version.
    """
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data, prefix=".restore-") as folder:
        digests = _unpack(source, Path(folder))
        written, same, different = 0, 0, []
        for name, digest in digests.items():
            target = data / name
            if target.exists() and _digest(target) == digest:
                same += 1
            elif target.exists() and not replace:
                different.append(name)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic.publish(Path(folder) / name, target)
                written += 1
    return written, same, different


def _unpack(source: Path, folder: Path) -> dict[str, str]:
    """Unpack a backup into a folder and check it; returns the digest of each file by name."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            unpacked = dict(_members(archive, folder))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{source} is not a backup ({error}); expected a file of `softh backup`: check it.") from None
    if MANIFEST not in unpacked:
        raise InputError(f"{source} has no {MANIFEST}; expected a file of `softh backup`: check it.")
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["schema_version"] > schema.version():
        raise InputError(
            f"{source} was written with schema {manifest['schema_version']}, this softh reads up to "
            f"{schema.version()}: upgrade softh first."
        )
    digests: dict[str, str] = manifest["files"]
    for name, digest in digests.items():
        if unpacked.get(name) != digest:
            raise InputError(
                f"{source} is damaged: the digest of {name} differs from its manifest; restore another backup."
            )
    return digests


def _members(archive: tarfile.TarFile, folder: Path) -> Iterator[tuple[str, str]]:
    """Unpack the kinds of files that a backup holds, and nothing else; yields name and digest of each."""
    for member in archive:
        name = PurePosixPath(member.name)
        fits = member.name == MANIFEST or any(name.match(pattern) and len(name.parts) <= 2 for pattern in CONTENTS)
        stream = archive.extractfile(member) if member.isfile() and fits and ".." not in name.parts else None
        if stream is None or name.is_absolute():
            raise InputError(f"The backup holds {member.name!r}; expected tables, runs, scores and decks alone.")
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with stream, place.open("wb") as file:
            while block := stream.read(_BLOCK):
                file.write(block)
        yield member.name, _digest(place)


def _add(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file as it stands now, whole: runs never change, and a pack swaps the database by its name."""
    content = path.read_bytes()
    _add_bytes(archive, name, content)
    return hashlib.sha256(content).hexdigest()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
