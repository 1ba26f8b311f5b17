"""Starting a worker as a process of its own, and checking whether one runs."""

import os
import subprocess
import sys
from pathlib import Path

from softh import settings
from softh.locks import lock

LOCK = "worker.lock"


def is_running(folder: Path) -> bool:
    """Whether a worker of this folder runs on this machine: whether its lock is held."""
    if not (folder / LOCK).exists():
        return False
    with lock(folder / LOCK, shared=True, wait=0) as free:
        return not free


def launch(folder: Path, idle: float) -> subprocess.Popen[bytes]:
    """Start a worker that survives this process; it ends when another runs, or after `idle` seconds without jobs."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "softh", "worker", "--idle", str(idle), "--data", str(folder.parent.resolve())]
    with (folder / "worker.log").open("ab") as log_file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
            env={**os.environ, "SOFTH_CACHE": str(settings.cache().resolve())},
            cwd=settings.ROOT,
        )
