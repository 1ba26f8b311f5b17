"""The command ``softh app``."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from softh import settings
from softh.cli.options import Data, folder
from softh.errors import InputError, missing_extra
from softh.store import write

EXTRA = ("authlib", "choreographer", "fontTools", "plotly", "pptx", "prometheus_client", "starlette", "streamlit")
"""Modules of the packages of softh[app] that the pages import."""


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 means all addresses of this machine.")
    ] = "localhost",
    data: Data = None,
) -> None:
    """Serve the dashboard at http://ADDRESS:PORT until Ctrl-C.

    Where the folder of the tables cannot be written, the pages only show.
    """
    need_extra("The dashboard")
    check_free(address, port)
    environment = dict(os.environ)
    if data is not None:
        environment["SOFTH_DATA"] = str(data.absolute())
    if not settings.switch("SOFTH_READ_ONLY"):
        try:
            write.check_writable(folder(data))
        except InputError as error:
            typer.echo(f"{error} Until then the pages only show.", err=True)
            environment["SOFTH_READ_ONLY"] = "1"
    script = str(site() / "server.py")
    options = ["--server.port", str(port), "--server.address", address]
    # A process of its own: the pages must not act with the rights of a command.
    command = [sys.executable, "-m", "streamlit", "run", script, *options]
    if os.name == "posix":
        os.execve(sys.executable, command, environment)
    sys.exit(subprocess.call(command, env=environment))


def need_extra(feature: str) -> None:
    """Raise InputError where a package of softh[app] is missing."""
    if absent := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise missing_extra(feature, absent[0], "app")


def site() -> Path:
    """Folder of server.py, app.py, pages/ and .streamlit/: the checkout, or dashboard/site of an installed softh."""
    return settings.checkout() or settings.ROOT / "dashboard" / "site"


def check_free(address: str, port: int) -> None:
    """Raise InputError unless a server could listen there now."""
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # elsewhere it would allow a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        raise InputError(
            f"Nothing can listen on port {port} of {address} ({error.strerror}); expected a free port of this machine: "
            f"stop what uses it, or choose another with --port."
        ) from None
