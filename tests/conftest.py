"""Fixtures that several tests share."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # tests in parallel share the processors
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

import polars as pl
import pytest
from hypothesis import settings

from softh import access
from softh.store import read, write
from tests.store_rows import build_record

access.set_identity_provider(access.Person)  # tests act as the owner of the machine

# Two busy cores make any deadline a lottery.
settings.register_profile("softh", deadline=None)
settings.load_profile("softh")


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    """The function that builds one whole record."""
    return build_record


@pytest.fixture
def points(tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Stores one record for each set of keywords and reads them back as `read.trajectory` does."""

    def stored(*keywords: dict[str, Any]) -> pl.DataFrame:
        for given in keywords or ({},):
            write.save(build_record(**given), tmp_path)
        return read.trajectory(tmp_path)

    return stored


@pytest.fixture
def layers(tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Stores one record and reads its layers back, with the columns of the estimate."""

    def stored(**given: Any) -> pl.DataFrame:
        record = build_record(**given)
        write.save(record, tmp_path)
        rows = read.layers(tmp_path, record["estimate"]["estimate_id"]).drop("positions")
        return rows.join(read.estimates(tmp_path), on="estimate_id")

    return stored


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """A cluster that never starts is a failure after a quarter of an hour, and no wait without end."""
    if request.node.get_closest_marker("real") is None:
        yield
        return

    def give_up(*_: object) -> None:
        raise TimeoutError("The test did not end within 900 s.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(900)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit's AppTest leaves its script as ``__main__``, which processes that a later test starts would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
