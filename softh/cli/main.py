"""The command line ``softh``, the same as ``python -m softh``: puts the commands together and reports errors."""

import errno
import io
import sys
from collections.abc import Callable
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
)
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


_MEASURE, _LOOK, _QUEUE, _KEEP = "Measure", "Look at what was measured", "Queue", "Tables"
"""Boxes of commands in --help, in the order of use."""
_EXAMPLES = {
    "estimate": (
        "softh estimate EleutherAI/pythia-14m",
        "softh estimate EleutherAI/pythia-14m --revision step512 --labels words",
        "softh estimate ./my-model --documents 64 --layers",
        "softh estimate ./runs/my-training",
    ),
    "preference": ("softh preference HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl",),
    "list": ("softh list --last", "softh list --model pythia --corpus weymouth"),
    "show": ("softh show 3f9a --layers",),
    "compare": ("softh compare 3f9a 77c1", "softh compare 3f9a 77c1 --tolerance 0.01"),
    "submit": ("softh submit EleutherAI/pythia-14m --revision step512",),
}
"""What readers type first; each begins the lines below a command's options."""


def _add(panel: str, name: str, command: Callable[..., None]) -> None:
    lines = "\n\n".join(f"`{line}`" for line in _EXAMPLES.get(name, ()))
    app.command(name, rich_help_panel=panel, epilog=f"**Examples**\n\n{lines}" if lines else None)(command)


_add(_MEASURE, "estimate", estimates.estimate)
_add(_MEASURE, "preference", preference.preference)
_add(_MEASURE, "sweep", sweep.sweep)
_add(_MEASURE, "sample", sample.sample)
_add(_LOOK, "app", serve)
_add(_LOOK, "site", site.site)
_add(_LOOK, "list", estimates.list_)
_add(_LOOK, "show", estimates.show_one)
_add(_LOOK, "compare", compare.compare)
_add(_LOOK, "select", select.select)
_add(_QUEUE, "submit", jobs.submit)
_add(_QUEUE, "jobs", jobs.list_jobs)
_add(_QUEUE, "cancel", jobs.cancel)
_add(_QUEUE, "worker", jobs.worker)
_add(_KEEP, "pack", estimates.pack)
_add(_KEEP, "publish", publish.publish)
_add(_KEEP, "import", publish.import_)
app.add_typer(scores.app, name="scores", cls=Commands, rich_help_panel=_KEEP)
_add(_KEEP, "backup", backup.backup)
_add(_KEEP, "restore", backup.restore)
_add(_KEEP, "doctor", doctor.doctor)


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
