"""Results of queries, cached for as long as what they are about does not change."""

import io
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

import polars as pl
import streamlit as st

P = ParamSpec("P")
R = TypeVar("R")


def cached_by(version: Callable[..., Any], *, entries: int = 16) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a query so that it runs once for the same arguments and the same version.

    version is called with the positional arguments of the query and returns a key that changes whenever the answer may;
    entries are the answers that are kept. Every caller gets a frame of polars itself, which nobody changes in place,
    and a copy of anything else.
    """

    def decorate(query: Callable[P, R]) -> Callable[P, R]:
        def answer(key: Any, *given: P.args, **named: P.kwargs) -> R:
            found = query(*given, **named)
            return cast(R, _own(found)) if isinstance(found, pl.DataFrame) else found

        # Streamlit tells caches apart by these names.
        function = cast(FunctionType, query)
        answer.__module__, answer.__qualname__ = function.__module__, function.__qualname__
        keep = st.cache_resource if get_type_hints(query).get("return") is pl.DataFrame else st.cache_data
        cached = keep(show_spinner=False, max_entries=entries)(answer)

        @wraps(query)
        def ask(*given: P.args, **named: P.kwargs) -> R:
            return cached(version(*given), *given, **named)

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
