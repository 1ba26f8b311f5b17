"""Results of queries, cached for as long as what they are about does not change."""

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

import streamlit as st

P = ParamSpec("P")
R = TypeVar("R")


def cached_by(version: Callable[..., Any], *, entries: int = 16) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a query so that it runs once for the same arguments and the same version.

    version is called with the positional arguments of the query and returns a key that changes whenever the answer may;
    entries are the answers that are kept.
    """

    def decorate(query: Callable[P, R]) -> Callable[P, R]:
        def answer(key: Any, *given: P.args, **named: P.kwargs) -> R:
            return query(*given, **named)

        # Streamlit tells caches apart by these names.
        function = cast(FunctionType, query)
        answer.__module__, answer.__qualname__ = function.__module__, function.__qualname__
        cached = st.cache_data(show_spinner=False, max_entries=entries)(answer)

        @wraps(query)
        def ask(*given: P.args, **named: P.kwargs) -> R:
            return cached(version(*given), *given, **named)

        return ask

    return decorate
