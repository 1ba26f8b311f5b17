"""The command line ``softh``, the same as ``python -m softh``: puts the commands together and reports errors."""

import errno
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from softh import __version__, access
from softh.cli import (
    backup,
    compare,
    doctor,
    estimates,
    jobs,
    preference,
    publish,
    sample,
    scores,
    select,
    site,
    sweep,
)  # fmt: skip
from softh.cli.app import serve
from softh.cli.output import say
from softh.errors import InputError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


class Commands(TyperGroup):
    """The commands; an unknown name is answered with those that there are."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name. Errors: InputError where there is none."""
        if command := super().get_command(ctx, cmd_name):
            return command
        raise InputError(f"{cmd_name} is not a command; expected one of {', '.join(self.commands)}: choose one.")


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"softh {__version__}")
        raise typer.Exit


@app.callback()
def softh(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """The information plane of language models."""
    access.set_identity_provider(access.Person)  # whoever has a terminal owns the machine


app.command("app")(serve)
app.command("site")(site.site)
app.command("estimate")(estimates.estimate)
app.command("preference")(preference.preference)
app.command("sweep")(sweep.sweep)
app.command("sample")(sample.sample)
app.command("list")(estimates.list_)
app.command("show")(estimates.show_one)
app.command("compare")(compare.compare)
app.command("select")(select.select)
app.command("pack")(estimates.pack)
app.command("publish")(publish.publish)
app.command("import")(publish.import_)
app.add_typer(scores.app, name="scores", cls=Commands)
app.command("submit")(jobs.submit)
app.command("worker")(jobs.worker)
app.command("jobs")(jobs.list_jobs)
app.command("cancel")(jobs.cancel)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; an error that its user can correct is one sentence on stderr and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be UTF-8, or of the terminal's encoding
    try:
        app()
    except InputError as error:
        say(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        say(f"{error.strerror} ({error.filename or 'writing'}): free some space or choose a folder you may write to.")
        sys.exit(2)
