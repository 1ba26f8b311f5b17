"""The web process has at most two malloc arenas, and gives large blocks back, whatever there was before."""

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_large_blocks_go_back_to_the_system_however_many_were_freed_before() -> None:
    def kept(first: str) -> int:
        """How many of five blocks of 4 MB lie in an arena, after one of 30 MB was freed."""
        blocks = "import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; "
        blocks += "libc.free(ctypes.c_void_p(libc.malloc(30 << 20))); held = [libc.malloc(4 << 20) for _ in range(5)]; "
        blocks += "libc.malloc_stats()"
        run = [sys.executable, "-c", f"{first}; {blocks}"]
        said = subprocess.run(run, cwd=settings.ROOT, capture_output=True, text=True, check=True).stderr
        in_arena = int(said.partition("in use bytes")[2].partition("\n")[0].strip(" ="))
        return in_arena // (4 << 20)

    assert kept("import dashboard.server") == 0
    assert kept("import json") == 5
