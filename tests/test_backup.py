"""A backup holds everything of yours and nothing else, and comes back whole or not at all."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

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
