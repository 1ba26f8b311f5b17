"""The web server: sign-in, guard, static files, metrics, memory."""

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h; mallopt(3) says what they are."""
_LARGE = 2**18
"""Bytes from which on a block is mapped by itself and goes back to the system once it is freed."""


def _keep_little() -> None:
    """Limit glibc to two malloc arenas and to little memory that nobody uses.

    Otherwise each thread of a session may get an arena of its own, and every large block that is freed makes glibc keep
    larger ones: memory never shrinks.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            allocator = ctypes.CDLL(None)
            for option, value in ((_M_ARENA_MAX, 2), (_M_TRIM_THRESHOLD, _LARGE), (_M_MMAP_THRESHOLD, _LARGE)):
                allocator.mallopt(option, value)


_keep_little()  # before the first of the libraries that start threads
