"""The commands ``softh backup`` and ``softh restore``."""

from pathlib import Path
from typing import Annotated

import typer

from softh.cli.options import Data, folder
from softh.format import and_more, format_size
from softh.store import backup as store


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to, for example softh-2026-11-23.tar.gz.")],
    data: Data = None,
) -> None:
    """Put the tables, your runs, your scores and your decks in FILE; the pages may go on meanwhile.

    FILE appears whole or not at all. Restore it with softh restore.
    """
    count = store.write(folder(data), target)
    typer.echo(f"{count} files are in {target} ({format_size(target.stat().st_size)}).")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="What softh backup wrote.")],
    data: Data = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of what differs.")] = False,
) -> None:
    """Put back what FILE holds. Files that are here already and differ stay, unless --replace."""
    written, same, kept = store.read(source, folder(data), replace=replace)
    typer.echo(f"{written} files restored, {same} were here already, {len(kept)} differ and stay{_names(kept)}.")
    if kept:
        raise typer.Exit(2)


def _names(names: list[str]) -> str:
    return ": " + and_more(names, 5) if names else ""
