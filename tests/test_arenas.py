"""The web process has at most two malloc arenas, however many threads there are."""

import platform
import subprocess
import sys

import pytest

from softh import settings

THREADS = """
import ctypes, sys, threading
together = threading.Barrier(24)
def take():
    together.wait()
    blocks = [ctypes.create_string_buffer(1000) for _ in range(1000)]
    together.wait()
threads = [threading.Thread(target=take) for _ in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_many_threads_share_two_arenas() -> None:
    def arenas(first: str) -> int:
        run = [sys.executable, "-c", f"{first}; {THREADS.strip()}".replace("; \n", "\n")]
        said = subprocess.run(run, cwd=settings.ROOT, capture_output=True, text=True, check=True).stdout
        return said.count("<heap nr=")

    assert arenas("import dashboard.server") <= 2 < arenas("import json")
