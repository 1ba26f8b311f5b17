"""Uploaded texts are kept under their content and a harmless name; folders of the server offer models, no links."""

from pathlib import Path

import pytest

from softh import settings
from softh.checkpoints import server_folders
from softh.errors import InputError
from softh.uploads import texts


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_text_is_kept_once_and_knows_that_it_was_uploaded(data: Path) -> None:
    first = texts.save("My Notes.TXT", b"words")
    assert texts.save("My Notes.TXT", b"words") == first
    assert texts.save("My Notes.TXT", b"other words") != first
    assert (first.name, first.read_bytes()) == ("My-Notes.txt", b"words")
    assert texts.is_uploaded(f"file:{first.resolve()}")
    assert not texts.is_uploaded("file:/elsewhere/text.txt")
    assert not texts.is_uploaded("python-docs")


@pytest.mark.parametrize(
    "name", ["../../../up.txt", "/etc/cron.d/x.txt", "a\x00b.txt", "\u202etxt.exe.txt", ".txt", "%2e%2e/a.txt"]
)
def test_no_name_leads_out_of_the_folder(name: str, data: Path) -> None:
    path = texts.save(name, b"words")
    assert path.resolve().is_relative_to(settings.texts().resolve())
    assert path.parent.parent == settings.texts()


@pytest.mark.parametrize(("name", "content"), [("a.exe", b"x"), ("a.txt", b""), ("a.pkl", b"x"), ("noending", b"x")])
def test_what_is_no_text_is_refused(name: str, content: bytes, data: Path) -> None:
    with pytest.raises(InputError, match="expected"):
        texts.save(name, content)
    assert not settings.texts().exists()


def test_a_text_that_is_too_long_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MOST", 4)
    with pytest.raises(InputError, match="has 5 bytes"):
        texts.save("a.txt", b"words")


def test_roots_offer_models_and_follow_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, secret = tmp_path / "shared", tmp_path / "secret"
    for folder in (shared / "owner" / "model", secret):
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
        (folder / "model.safetensors").touch()
    (shared / "owner" / "small.gguf").touch()
    (shared / "owner" / "linked").symlink_to(secret)
    (shared / "only-config").mkdir()
    (shared / "only-config" / "config.json").touch()
    assert server_folders.list_models() == {}
    monkeypatch.setenv("SOFTH_MODELS", f"{shared}:{tmp_path / 'nowhere'}")
    assert set(server_folders.list_models()) == {"shared/owner/model", "shared/owner/small.gguf"}
