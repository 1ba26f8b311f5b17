"""Locks between processes: exclusive, shared, and released when their process is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from softh.locks import lock

HOLD = """
import sys, time
from pathlib import Path
from softh.locks import lock
with lock(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("folder", [True, False])
def test_shared_locks_exclude_exclusive_ones_only(tmp_path: Path, folder: bool) -> None:
    path = tmp_path if folder else tmp_path / "a.lock"
    with lock(path, shared=True) as one, lock(path, shared=True, wait=0) as two, lock(path, wait=0) as three:
        assert (one, two, three) == (True, True, False)
    with lock(path, wait=0) as again:
        assert again


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "a.lock"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with lock(tmp_path / "a.lock", wait=0.2) as taken:
        assert not taken
    holder.kill()
    holder.communicate()
    with lock(tmp_path / "a.lock", wait=5) as taken:
        assert taken


def test_the_library_imports_where_posix_modules_are_missing() -> None:
    code = (
        "import sys; import psutil, torch, transformers\n"  # these import what they need by themselves
        "from softh import locks\n"  # asks for fcntl by the platform: it is missing on Windows alone
        "for name in ('fcntl', 'resource', 'pwd', 'grp'): sys.modules[name] = None\n"
        "import softh, softh.api, softh.callback, softh.cli.main, softh.checkpoints.hub\n"
        "import softh.store.read, softh.store.write, softh.uploads.receive, softh.jobs"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
