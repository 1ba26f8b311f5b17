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
    """Write the tables, your runs, your scores and your decks to FILE; the pages can be used meanwhile.

    FILE appears complete or not at all. Restore it with softh restore.
    """
    count = store.write(folder(data), target)
    typer.echo(f"{count} files are in {target} ({format_size(target.stat().st_size)}).")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="File that softh backup wrote.")],
    data: Data = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace existing files that differ.")] = False,
) -> None:
    """Restore the contents of FILE. Existing files that differ are not replaced, unless --replace."""
    written, same, different = store.read(source, folder(data), replace=replace)
    names = f": {and_more(different, 5)}" if different else ""
    typer.echo(
        f"{written} files restored, {same} were there already, {len(different)} differ and were not replaced{names}."
    )
    if different:
        raise typer.Exit(2)
