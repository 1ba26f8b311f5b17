"""Threads of NumPy's and SciPy's linear algebra."""

from collections.abc import Generator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Generator[None]:
    """Run the block with one thread of NumPy's and SciPy's BLAS; torch keeps its own threads.

    Their matrices are small here, and OpenBLAS's threads wait for each other longer than they work: a probe took 50 s
    with two and 9 s with one. One thread also means the same bits whatever the number of processors.

    >>> with one_thread():
    ...     pass
    """
    with threadpool_limits(1, user_api="blas"):
        yield
