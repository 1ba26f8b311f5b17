"""Writes docs/settings.md and docs/commands.md from the code: ``python -m docs.reference`` or ``make docs``."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.main import get_command

from softh.cli.main import app
from softh.settings import SETTINGS, Setting

FOLDER = Path(__file__).parent
GENERATED = "<!-- Written by `make docs`; do not edit. -->"


def settings() -> str:
    """The text of docs/settings.md: a table of environment variables for each section."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Every setting is an environment variable; an empty one counts as not set. `softh doctor` checks them all.",
    ]
    for section, members in groupby(SETTINGS, key=lambda setting: setting.section):
        lines += ["", f"## {section}", "", "| variable | default | |", "|---|---|---|"]
        lines += [f"| `{each.name}` | {_default(each)} | {each.help} |" for each in members]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The text of docs/commands.md: a heading and a table of arguments and options for each command."""
    root = get_command(app)
    lines = [
        "# Commands",
        "",
        GENERATED,
        "",
        "`softh COMMAND` is the same as `python -m softh COMMAND`. An error that you can correct is one sentence, with "
        "exit code 2.",
        "",
        *_table(root),
    ]
    for name, command in _walk(root, "softh"):
        lines += ["", f"## {name}", "", command.help, "", *_table(command)]
        lines += ["", command.epilog.replace("\n\n`", "\n- `")] if command.epilog else []
    return "\n".join(lines).rstrip() + "\n"


def _default(setting: Setting) -> str:
    if isinstance(setting.default, float):
        return f"{setting.default:g}"
    return setting.default_help or "not set"


def _walk(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name; those of a group after one another."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _walk(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _table(command: Any) -> list[str]:
    return ["| | default | |", "|---|---|---|", *map(_row, command.params)]


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{parameter.metavar or parameter.name.upper()}` | required | {parameter.help} |"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.hidden:
        return f"| {names} | | Former name, still accepted. |"
    if parameter.required:
        default = "required"
    elif parameter.default is None:
        default = ""
    elif parameter.is_flag:
        default = f"`{parameter.opts[0]}`" if parameter.default else ""
    else:
        default = f"`{parameter.default}`"
    metavar = parameter.metavar or ""
    choices = f" One of {metavar.strip('[]').replace('|', ', ')}." if metavar.startswith("[") else ""
    return f"| {names} | {default} | {parameter.help}{choices} |"


def main() -> None:
    """Write both references."""
    (FOLDER / "settings.md").write_text(settings(), encoding="utf-8")
    (FOLDER / "commands.md").write_text(commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
