"""How the C library of the web process shares memory out among threads."""

import ctypes
from contextlib import suppress

_ARENAS = 2
_M_ARENA_MAX = -8
"""Of malloc.h."""


def share() -> None:
    """Have all threads use a few pools of memory: glibc gives each its own, and Streamlit runs a thread a session."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
