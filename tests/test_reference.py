"""The references of docs/: what make docs writes, and every command, option and setting under its own heading."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from docs import reference
from softh.cli.main import app
from softh.settings import SETTINGS

DOCS = Path(__file__).parent.parent / "docs"
GROUP: Any = get_command(app)
COMMANDS = {
    **{name: command for name, command in GROUP.commands.items() if name != "scores"},
    **{f"scores {name}": command for name, command in GROUP.commands["scores"].commands.items()},
}


def sections(name: str) -> dict[str, str]:
    """Heading → the text below it."""
    _, *parts = re.split(r"^## ", (DOCS / name).read_text("utf-8"), flags=re.MULTILINE)
    return dict(part.split("\n", 1) for part in parts)


@pytest.mark.parametrize("name", ["settings", "commands"])
def test_a_reference_is_what_make_docs_writes(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text("utf-8") == getattr(reference, name)(), "run `make docs`"


def test_every_command_has_a_heading_and_no_heading_is_of_another() -> None:
    assert set(sections("commands.md")) == {f"softh {name}" for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_a_command_is_under_its_heading_with_its_help(name: str) -> None:
    rows = [line for line in sections("commands.md")[f"softh {name}"].splitlines() if line.startswith("| `")]
    parameters = COMMANDS[name].params
    assert len(rows) == len(parameters) > 0
    for row, parameter in zip(rows, parameters, strict=True):
        names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
        assert row.startswith(f"| `{names[0]}`")
        assert parameter.hidden or (parameter.help and parameter.help in row)


def test_every_setting_is_under_the_heading_of_its_section() -> None:
    text = sections("settings.md")
    assert [setting.name for setting in SETTINGS if f"| `{setting.name}` |" not in text[setting.section]] == []


def test_every_row_of_the_formats_names_tests_that_there_are() -> None:
    tests = Path(__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py"))
    for line in (DOCS / "formats.md").read_text(encoding="utf-8").splitlines():
        last = line.strip("| ").rpartition("|")[2].strip()
        if not line.startswith("|") or set(last) == {"-"} or last == "test":
            continue
        assert "`" in last or last == "the same", line
        for file, name in re.findall(r"`(?:([\w/]+\.py)(?:::)?)?(\w+)?`", last):
            assert not file or (tests / file).is_file(), line
            assert not name or f"def {name}(" in text, line
