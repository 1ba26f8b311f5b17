"""The static site: every preset with its finding, figures and numbers; names of others are text."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboard.data.presets import presets
from dashboard.gallery import site
from softh.cli.main import app
from softh.errors import InputError
from softh.store import write
from tests.store_rows import hostile_record

SHIPPED = Path(__file__).parents[1] / "data" / "softh.duckdb"


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The site of the shipped tables."""
    folder = tmp_path_factory.mktemp("shipped")
    shutil.copy(SHIPPED, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_DATA", str(folder))
        content, left_out = site.files("https://softh.lab.example")
        assert left_out == []
        content["expected"] = json.dumps([each.label for each in presets()]).encode()
        yield content


def pages(content: dict[str, bytes]) -> dict[str, bytes]:
    return {name: each for name, each in content.items() if name.endswith(".html")}


def test_every_preset_has_a_page_a_card_and_its_numbers(shipped: dict[str, bytes]) -> None:
    labels = json.loads(shipped["expected"])
    views = [name for name in pages(shipped) if "/" not in name and name != "index.html"]
    assert len(views) == len(labels) >= 6
    index = shipped["index.html"].decode()
    for name in views:
        assert f'href="{name}"' in index
        page = shipped[name].decode()
        finding = re.search(r"<h1>(.*?)</h1>", page)
        assert finding
        assert len(finding[1]) > 20
        assert finding[1] in index
        figures = re.findall(r'<div class="plot" data-figure="([\w-]+)"', page)
        assert figures
        assert all({f"figures/{each}.js", f"figures/{each}.html"} <= set(shipped) for each in figures)
        assert shipped[f"numbers/{Path(name).stem}.csv"].count(b"\n") >= 2
        assert "https://softh.lab.example/" in page


def test_nothing_is_loaded_from_elsewhere(shipped: dict[str, bytes]) -> None:
    for name, page in pages(shipped).items():
        for tag, attributes in Tags(page).found:
            for key in ("src", "data", "srcset", "poster"):
                assert not re.match(r"(?:\w+:)?//", attributes.get(key) or ""), (name, tag)
            if tag == "link":
                assert not re.match(r"(?:\w+:)?//", attributes.get("href") or "")
        folder = Path(name).parent
        sources = re.findall(r'(?:src|href)="([^"#:?]+)"', page.decode())
        assert {str(folder / each).replace("figures/../", "") for each in sources} <= set(shipped), name
        assert "default-src 'none'" in page.decode()
    assert "url(" not in shipped["site.css"].decode()


def test_a_figure_is_there_in_both_themes(shipped: dict[str, bytes]) -> None:
    name = next(name for name in shipped if name.startswith("figures/") and name.endswith(".js"))
    _, _, content = shipped[name].decode().partition(" = ")
    figure = json.loads(content)
    inks = {theme: figure[theme]["layout"]["template"]["layout"]["font"]["color"] for theme in ("light", "dark")}
    assert inks == {"light": "#1F2933", "dark": "#E4E8EC"}


def test_what_others_named_is_text_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (0, 10, 100, 1_000):
        write.save(hostile_record(step=step, tokens=1_000 * step), tmp_path)
    for number, name in enumerate("abc"):
        shape = lambda depth, order, by=number / 50: (0.9, 0.3 + by + depth / 9, 0.2 + by + depth / 9, 0.02)  # noqa: E731
        write.save(hostile_record(name, shape=shape), tmp_path)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    content, _ = site.files()
    allowed = {"a", "link", "script"}
    for name, page in pages(content).items():
        assert b"evil.example" in page or name == "index.html"
        for tag, attributes in Tags(page).found:
            assert tag not in {"img", "object", "embed", "iframe", "base", "form"}, name
            assert not any(key.startswith("on") for key in attributes), name
            for key in ("href", "src", "action"):
                value = attributes.get(key) or ""
                assert "evil" not in value.partition("?")[0], (name, tag)
                assert tag in allowed or not value
    for name, script in content.items():
        if name.startswith("figures/") and name.endswith(".js"):
            assert b"<" not in script
            assert re.fullmatch(rb'softhFigures\["[\w-]+"\] = \{.*\}\n', script)
    for name, numbers in content.items():
        if name.startswith("numbers/"):
            assert not re.search(rb"(?m)(?:^|,)\"?[=+@]", numbers), name


def test_a_site_goes_into_an_empty_folder_or_over_an_earlier_one(tmp_path: Path) -> None:
    site.write(tmp_path / "out", {"index.html": b"1", "old.html": b"1", "figures/a.js": b"1"})
    site.write(tmp_path / "out", {"index.html": b"2"})
    assert (tmp_path / "out" / "index.html").read_bytes() == b"2"
    assert not (tmp_path / "out" / "old.html").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("words")
    for mark in (None, "{", '["../thesis.tex"]', '["/etc/passwd"]', "[1]"):
        if mark:
            (tmp_path / "mine" / "softh-site.json").write_text(mark)
        with pytest.raises(InputError, match="holds other files; expected a new or empty folder"):
            site.write(tmp_path / "mine", {"index.html": b""})
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "words"


def test_the_command_says_where_to_look(
    tmp_path: Path, record: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_DATA", "")  # the command sets it for its process
    write.save(record("Only"), tmp_path / "data")
    done = CliRunner().invoke(
        app, ["site", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "data")], catch_exceptions=False
    )
    assert re.match(r"\d+ views? in \d+ files, [\d.]+ MB: open .*index\.html", done.stdout)
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize("address", ["softh.example", "javascript:alert(1)", "https://a b", "https://a'x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"The dashboard was .*; expected an address"):
        site.files(address)


def test_without_estimates_there_is_no_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    with pytest.raises(InputError, match="There are no estimates to show"):
        site.files()
