"""A backup holds everything of yours and nothing else, and comes back whole or not at all."""

import gzip
import io
import json
import os
import random
import resource
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from softh.errors import InputError
from softh.store import backup, read, write
from tests.store_rows import record


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write.save(record(), folder)
    write.pack(folder)
    write.save(record("Another"), folder)
    (folder / "decks").mkdir()
    (folder / "decks" / "talk.json").write_text("{}")
    (folder / "jobs").mkdir()
    (folder / "jobs" / "log").write_text("not kept")
    return folder


def test_a_backup_restored_elsewhere_is_the_same_store(data: Path, tmp_path: Path) -> None:
    assert backup.write(data, tmp_path / "b.tar.gz") == 3
    assert backup.read(tmp_path / "b.tar.gz", tmp_path / "new") == (3, 0, [])
    assert read.trajectory(tmp_path / "new").equals(read.trajectory(data))
    assert (tmp_path / "new" / "decks" / "talk.json").read_text() == "{}"
    assert not (tmp_path / "new" / "jobs").exists()
    assert backup.read(tmp_path / "b.tar.gz", tmp_path / "new") == (0, 3, [])


def test_what_differs_stays_unless_it_is_to_be_replaced(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    (data / "decks" / "talk.json").write_text("newer")
    assert backup.read(tmp_path / "b.tar.gz", data) == (0, 2, ["decks/talk.json"])
    assert (data / "decks" / "talk.json").read_text() == "newer"
    assert backup.read(tmp_path / "b.tar.gz", data, replace=True) == (1, 2, [])
    assert (data / "decks" / "talk.json").read_text() == "{}"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _foreign(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("../evil")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))


def _link(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("runs/a.parquet")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)


def _swapped(path: Path) -> None:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    files["decks/talk.json"] = b"other"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("spoil", [_cut, _foreign, _link, _swapped, lambda path: path.write_bytes(b"no archive")])
def test_a_bad_backup_changes_nothing(data: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    spoil(tmp_path / "b.tar.gz")
    with pytest.raises(InputError) as caught:
        backup.read(tmp_path / "b.tar.gz", tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "new").rglob("*")) == []
    assert not (tmp_path / "evil").exists()


def test_nothing_to_back_up_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check --data"):
        backup.write(tmp_path, tmp_path / "b.tar.gz")


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive of files of any name."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def refused(source: Path, data: Path) -> str:
    """The sentence that a restore ends in; nothing is written."""
    with pytest.raises(InputError) as caught:
        backup.read(source, data)
    assert "\n" not in str(caught.value)
    assert [path for path in data.rglob("*") if path.is_file()] == []
    return str(caught.value)


@pytest.mark.parametrize(
    "manifest",
    [
        b"", b"{", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"schema_version": "1", "files": {}}',
        b'{"schema_version": 1, "files": []}', b'{"schema_version": 1, "files": {"decks/a.json": 1}}',
        b'{"schema_version": 1, "files": {"../a": "00"}}', b'{"schema_version": true, "files": {}}',
        b'{"schema_version": 1' + b"0" * 5000 + b', "files": {}}', b'{"files": {}}',
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_a_sentence(tmp_path: Path, manifest: bytes) -> None:
    source = archive(tmp_path / "b.tar.gz", {"decks/a.json": b"{}", backup.MANIFEST: manifest})
    refused(source, tmp_path / "new")


@pytest.mark.parametrize(
    "name",
    [
        "x/softh.duckdb", "jobs/softh.duckdb", "runs/softh.duckdb", "~/softh.duckdb", "./softh.duckdb", "/softh.duckdb",
        "runs/../../a.parquet", "runs/a/b.parquet", "runs/a.parquet.exe", "decks/.hidden.json", "decks/a\\b.json",
        "softh.duckdb.wal", "decks/a\nb.json", "scores/ä.parquet", "RUNS/a.parquet",
    ],
)  # fmt: skip
def test_a_member_has_an_exact_name(tmp_path: Path, name: str) -> None:
    digest = "0" * 64
    manifest = json.dumps({"schema_version": 1, "files": {name: digest}}).encode()
    refused(archive(tmp_path / "b.tar.gz", {name: b"x", backup.MANIFEST: manifest}), tmp_path / "new")


def _manifest(**files: str) -> bytes:
    return json.dumps({"schema_version": 1, "files": files}).encode()


BOMBS: Mapping[str, Callable[[Path], object]] = {
    "a file that the manifest does not name": lambda path: archive(
        path, {"decks/bomb.json": bytes(300 << 20), backup.MANIFEST: _manifest()}
    ),
    "a file that the manifest names": lambda path: archive(
        path, {"decks/bomb.json": bytes(300 << 20), backup.MANIFEST: _manifest(**{"decks/bomb.json": "0" * 64})}
    ),
    "a header of a gigabyte": lambda path: path.write_bytes(gzip.compress(_long_header(), 1)),
    "a manifest of a gigabyte": lambda path: archive(path, {backup.MANIFEST: bytes(300 << 20)}),
}  # fmt: skip


def _long_header() -> bytes:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 30
    return entry.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_not_unpacked(tmp_path: Path, bomb: str) -> None:
    BOMBS[bomb](tmp_path / "b.tar.gz")
    started = time.process_time()
    refused(tmp_path / "b.tar.gz", tmp_path / "new")
    assert time.process_time() - started < 10


def test_any_changed_byte_is_a_sentence_or_harmless(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    whole, dice = (tmp_path / "b.tar.gz").read_bytes(), random.Random(0)
    for number in range(60):
        changed = bytearray(whole)
        changed[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        source = tmp_path / "c.tar.gz"
        source.write_bytes(changed)
        with suppress(InputError):
            backup.read(source, tmp_path / f"new{number}")
            assert read.trajectory(tmp_path / f"new{number}").equals(read.trajectory(data))


FOREIGN = {
    "a view that reads a file": (
        "ALTER TABLE models RENAME TO m0; CREATE VIEW models AS SELECT * REPLACE "
        "((SELECT content FROM read_text('/etc/hostname'))::VARCHAR AS family) FROM m0"
    ),
    "a view of another name": "CREATE VIEW other AS FROM read_text('/proc/self/environ')",
    "a table of another name": "CREATE TABLE other (x INTEGER)",
    "a macro": "CREATE MACRO json_merge_patch(a, b) AS (SELECT content FROM read_text('/etc/hostname'))",
    "another schema": "CREATE SCHEMA packed; CREATE TABLE packed.models (x INTEGER)",
    "a column too many": "ALTER TABLE models ADD COLUMN more VARCHAR",
    "a column of another type": "ALTER TABLE benchmarks ALTER score TYPE VARCHAR",
    "a table too few": "DROP TABLE benchmarks",
    "a type": "CREATE TYPE mood AS ENUM ('a')",
    "a sequence": "CREATE SEQUENCE numbers",
    "no version": "DELETE FROM schema_version",
    "two versions": "INSERT INTO schema_version VALUES (1)",
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_database_that_is_no_pack_is_refused_and_reads_no_file(tmp_path: Path, kind: str) -> None:
    made = tmp_path / "made"
    write.save(record(), made)
    write.pack(made)
    copy = tmp_path / "data"
    copy.mkdir()
    (copy / "softh.duckdb").write_bytes((made / "softh.duckdb").read_bytes())
    with duckdb.connect(str(copy / "softh.duckdb")) as database:
        database.execute(FOREIGN[kind])
    for ask in (read.models, read.estimates, read.check):
        with pytest.raises(InputError, match=r"softh\.duckdb is (not a database of softh|damaged)"):
            ask(copy)
    backup.write(copy, tmp_path / "b.tar.gz")
    assert "softh.duckdb" in refused(tmp_path / "b.tar.gz", tmp_path / "new")


def test_what_is_in_the_way_is_a_sentence(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    (tmp_path / "a file").write_text("x")
    (tmp_path / "new" / "softh.duckdb" / "folder").mkdir(parents=True)
    for place in (tmp_path / "a file", tmp_path / "new"):
        with pytest.raises(InputError, match="could not be restored in"):
            backup.read(tmp_path / "b.tar.gz", place, replace=True)
    (tmp_path / "target").mkdir()
    for target in (tmp_path / "a file" / "b.tar.gz", tmp_path / "target"):
        with pytest.raises(InputError, match="could not be written in"):
            backup.write(data, target)
    (data / "runs" / "x.parquet").mkdir()
    os.mkfifo(data / "runs" / "y.parquet")
    assert backup.write(data, tmp_path / "again.tar.gz") == 3


@pytest.fixture
def full() -> Iterator[None]:
    """No file takes more than 2,000 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    before = read.trajectory(data)
    request.getfixturevalue("full")
    with pytest.raises(InputError, match=r"could not be written in .*: free some space"):
        backup.write(data, tmp_path / "new.tar.gz")
    with pytest.raises(InputError, match=r"could not be restored in .*: free some space"):
        backup.read(tmp_path / "b.tar.gz", tmp_path / "new")
    with pytest.raises(InputError, match=r"could not be restored in .*: free some space"):
        backup.read(tmp_path / "b.tar.gz", data, replace=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "data", "new"]
    assert list((tmp_path / "new").iterdir()) == []
    assert read.trajectory(data).equals(before)


def test_what_a_killed_restore_left_is_gone_after_the_next(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    left = tmp_path / "new" / ".restore-abc" / "runs"
    left.mkdir(parents=True)
    (left / "00aa.parquet").write_bytes(b"half")
    backup.read(tmp_path / "b.tar.gz", tmp_path / "new")
    assert not [path for path in (tmp_path / "new").iterdir() if path.name.startswith(".")]
    stale, young = (tmp_path / f"softh-{letter * 32}.tmp" for letter in "ab")
    for path in (stale, young):
        path.write_bytes(b"half")
    os.utime(stale, (0, 0))
    backup.write(data, tmp_path / "b.tar.gz")
    assert [path.exists() for path in (stale, young)] == [False, True]
