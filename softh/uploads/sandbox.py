"""Sandbox of processes that open uploads: no tokens, no network, limits of memory and time.

``python -m softh.uploads.sandbox LIMITS MODULE ARGUMENTS`` enters it, then runs the module. On Linux, the kernel also
isolates the network; elsewhere only an audit hook does.
"""

import ctypes
import dataclasses
import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh import settings as paths
from softh.errors import InputError

# No other variable is passed on: tokens and passwords have too many names to list.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "HF_HOME", "HF_HUB_CACHE")
_FAMILIES = ("LC_", "SOFTH_", "PYTHON", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "TORCH", "PYTORCH_", "TRITON_")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_ANONYMOUS = {"HF_TOKEN_PATH": os.devnull, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_USER, _NETWORK = 0x1000_0000, 0x4000_0000
"""CLONE_NEWUSER and CLONE_NEWNET of linux/sched.h."""
_CALLS = {"connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr"}


@dataclass(frozen=True)
class ProcessLimits:
    """Limits that the kernel enforces on a sandboxed process."""

    memory: int | None = None
    """Bytes of data memory, without mapped files; None for work on a GPU, whose driver reserves far more."""
    seconds: int | None = None
    """Processor time of all threads."""
    file: int | None = None
    """Bytes of the largest file it may write."""


def environment(*, offline: bool = True) -> dict[str, str]:
    """The environment of this process without its secrets: only variables that are known to hold none.

    offline: let the libraries of the hub use local files only.
    """
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or (name.startswith(_FAMILIES) and not name.endswith("_TOKEN"))
    }
    passed_on.pop("SOFTH_RUNS", None)  # it may hold a password; the worker puts the estimate on the share
    return {**passed_on, **_ANONYMOUS, **(_OFFLINE if offline else {})}


def start(module: str, arguments: Sequence[str], limits: ProcessLimits, **options: Any) -> subprocess.Popen[str]:
    """Run ``python -m module arguments`` in the sandbox, in a process group of its own.

    options: of subprocess.Popen, such as ``stdout``. The group's id is the process's: ``os.killpg(child.pid, …)``.
    """
    if os.name != "posix":
        raise InputError(
            "Uploads are opened in a process with limits of memory and time; expected Linux or macOS, which have "
            "them: put the model in a folder and name that folder instead."
        )
    settings = json.dumps(dataclasses.asdict(limits))
    command = [sys.executable, "-m", "softh.uploads.sandbox", settings, module, *arguments]
    return subprocess.Popen(
        command, cwd=paths.ROOT, env=environment(), start_new_session=True, text=True, **options
    )  # fmt: skip


def enter(limits: ProcessLimits) -> str:
    """Put this process into the sandbox for good; returns how its network was closed, see :func:`close_network`."""
    import resource  # POSIX only, as :func:`start` says

    for kind, bound in (
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
    ):
        if bound is not None:
            _, hard = resource.getrlimit(kind)
            least = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(kind, (least, least))
    return close_network()


def close_network() -> str:
    """``namespace`` where the kernel gives this process an empty network namespace of its own; else ``hook``.

    The audit hook refuses all calls of Python's sockets but Unix ones; code that is not Python could bypass it. It is
    installed in both cases, because its error says what happened.
    """
    sys.addaudithook(_refuse)
    return "namespace" if _leave_network() else "hook"


def _leave_network() -> bool:
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
    except AttributeError:  # not Linux
        return False
    if unshare(_NETWORK) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if unshare(_USER | _NETWORK) != 0:  # forbidden, or there are threads already
        return False
    own = Path("/proc/self")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        (own / name).write_text(text)
    return True


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or event.removeprefix("socket.") not in _CALLS:
        return
    if isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX:
        return
    raise PermissionError("A sandboxed process has no network.")


def main() -> None:
    """Enter the sandbox and run a module in it."""
    settings, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    enter(ProcessLimits(**json.loads(settings)))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
