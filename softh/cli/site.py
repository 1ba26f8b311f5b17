"""The command ``softh site``."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from softh import settings
from softh.cli.app import need_extra
from softh.cli.options import Data
from softh.cli.output import say
from softh.format import format_size


def site(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write: new, empty, or with an earlier site.")
    ],
    dashboard: Annotated[
        str, typer.Option(help="Address of a dashboard on the same tables, which every view then links to.")
    ] = "",
    data: Data = None,
) -> None:
    """Write telling views of the tables as a static site, which opens without a server or a network.

    Every view has its finding, its figures in a light and a dark theme, its numbers as a table and as CSV, and code
    that embeds a figure elsewhere. Any server of files can show the folder.
    """
    need_extra("The site")
    if data is not None:
        settings.use_data(data)
    with _quiet():
        from dashboard.gallery import site as gallery  # late: Streamlit and Plotly, which no other command waits for

        content, left_out = gallery.files(dashboard)
        gallery.write(output, content)
    for sentence in left_out:
        say(sentence)
    views = sum("/" not in name and name.endswith(".html") for name in content) - 1
    typer.echo(
        f"{views} views in {len(content)} files, {format_size(sum(map(len, content.values())))}: open "
        f"{(output / 'index.html').absolute()}"
    )


@contextmanager
def _quiet() -> Generator[None]:
    """No warnings: Streamlit warns at every cache that there is no server around it."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
