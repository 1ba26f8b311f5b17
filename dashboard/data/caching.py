"""Results of queries, cached for as long as what they are about does not change."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

import polars as pl

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class _Held:
    """The newest answer to a question, and the version that it is of: at first one that equals no other."""

    lock: Any = field(default_factory=Lock)
    version: Any = field(default_factory=object)
    answer: Any = None


_CACHES: list[Callable[[], None]] = []


def clear() -> None:
    """Drop all answers, for a test that counts how often a query runs."""
    for forget in _CACHES:
        forget()


def cached_by(version: Callable[..., Any], *, entries: int = 16) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a query so that it runs once for the same arguments and the same version.

    version is called with the positional arguments of the query and returns a key that changes whenever the answer may;
    entries are the arguments whose newest answer is kept. One of an earlier version is dropped as soon as there is
    another: nobody asks for it again. Every caller gets a frame of polars itself, which nobody changes in place, and a
    copy of anything else.
    """

    def decorate(query: Callable[P, R]) -> Callable[P, R]:
        # Streamlit's own caches write every argument out to tell them apart: a tenth of the time of a page whose
        # questions name hundreds of estimates.
        held_for: Any = lru_cache(entries)(lambda *given, **named: _Held())
        _CACHES.append(held_for.cache_clear)
        frames = get_type_hints(query).get("return") is pl.DataFrame

        @wraps(query)
        def ask(*given: P.args, **named: P.kwargs) -> R:
            wanted, held = version(*given), held_for(*given, **named)
            with held.lock:
                if held.version != wanted:
                    found = query(*given, **named)
                    held.answer = _own(cast(pl.DataFrame, found)) if frames else pickle.dumps(found)
                    held.version = wanted
                answer: Any = held.answer
            return cast(R, answer if frames else pickle.loads(answer))  # noqa: S301  (bytes that were made above)

        return ask

    return decorate


def _own(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame in memory of its own.

    What a query gives lies in buffers of DuckDB with room for thousands of rows, and a few rows chosen of it hold the
    texts of all: a cache of such rows would grow with every estimate that is stored.
    """
    written = io.BytesIO()
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.newest())
    written.seek(0)
    return pl.read_ipc_stream(written)
