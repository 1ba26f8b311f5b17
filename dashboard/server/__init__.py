"""The web server: sign-in, guard, static files, metrics, memory."""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def _limit_arenas() -> None:
    """Limit glibc to two malloc arenas; otherwise each thread of a session may get its own and memory never shrinks."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


_limit_arenas()  # before the first of the libraries that start threads
