"""The commands ``softh publish`` and ``softh import``."""

from typing import Annotated

import typer

from softh.cli.options import Data, folder
from softh.cli.output import say
from softh.format import format_size


def publish(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="New folder, or hub:OWNER/NAME.")],
    license_: Annotated[
        str, typer.Option("--license", help="Licence of the tables, as the hub names it, for example cc-by-4.0.")
    ],
    author: Annotated[str, typer.Option(help="Author to cite.")],
    title: Annotated[str, typer.Option(help="Title of the data set.")] = "Information planes of language models",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be given several times.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A repository of the hub that is not public.")] = False,
    data: Data = None,
) -> None:
    """Write the tables as a data set: Parquet files, and a card with columns, provenance, licence and how to cite.

    A data set of the hub is written with the token that its own client finds. softh import reads either back.
    """
    from softh import publish as store  # imports the hub's client where it is needed

    files = store.publish(
        folder(data), target, title=title, licence=license_, author=author, models=model or (), private=private
    )
    rows = ", ".join(f"{each.rows:,} rows of {each.table}" for each in files)
    typer.echo(f"{rows} are in {target} ({format_size(sum(each.size for each in files))}).")


def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder of softh publish, or hub:OWNER/NAME.")],
    data: Data = None,
) -> None:
    """Store the estimates and scores of a published data set beside your own. Estimates that are there stay."""
    from softh import publish as store  # as above

    done = store.take_in(source, folder(data))
    for sentence in done.refused[:12]:
        say(sentence)
    typer.echo(
        f"{done.stored} estimates and {done.scores} scores stored, {done.known} estimates were there already, "
        f"{len(done.refused)} are refused."
    )
    if done.refused:
        raise typer.Exit(2)
