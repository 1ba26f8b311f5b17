"""Writes docs/settings.md from the settings themselves: ``python -m docs.reference`` or ``make docs``."""

from itertools import groupby
from pathlib import Path

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


def _default(setting: Setting) -> str:
    if isinstance(setting.default, float):
        return f"{setting.default:g}"
    return setting.default_help or "not set"


def main() -> None:
    """Write the references."""
    (FOLDER / "settings.md").write_text(settings(), encoding="utf-8")


if __name__ == "__main__":
    main()
