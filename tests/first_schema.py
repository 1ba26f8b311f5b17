"""A store as the first schema wrote it: what is in it, and how tests/fixtures/schema1 was made.

``python -m tests.first_schema`` made it with the program at schema 1, and refuses with any later one: the files are to
stay what that program wrote.
"""

import gzip
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from softh.store import schema, write
from tests.store_rows import record

FOLDER = Path(__file__).parent / "fixtures" / "schema1"
PACKED = [record("00aa"), record("00bb", model="other", shift=0.1)]
RUNS = [record("00aa", shift=0.2), record("00cc", revision="step128", step=128)]
"""The first takes the place of a packed one."""


def score(model: str, value: float) -> dict[str, Any]:
    """One row of the table benchmarks."""
    return {
        "model": model, "revision": None, "task": "cloze", "metric": "accuracy", "score": value, "stderr": 0.1,
        "source": "here",
    }  # fmt: skip


def unpack(data: Path) -> Path:
    """The store of the first schema in a folder of its own, as it was written."""
    shutil.copytree(FOLDER, data)
    with gzip.open(data / "softh.duckdb.gz") as packed:
        (data / schema.DATABASE).write_bytes(packed.read())
    (data / "softh.duckdb.gz").unlink()
    return data


def make() -> None:
    """Write the files of tests/fixtures/schema1."""
    if schema.version() != 1:
        sys.exit("This program no longer writes the first schema; its files are kept, not made again.")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for row in PACKED:
            write.save(row, data)
        write.pack(data, [score("tiny", 0.4)])
        for row in RUNS:
            write.save(row, data)
        write.save_scores([score("other", 0.3)], data)
        shutil.copytree(data, FOLDER, dirs_exist_ok=True)
    database = FOLDER / schema.DATABASE
    (FOLDER / "softh.duckdb.gz").write_bytes(gzip.compress(database.read_bytes(), mtime=0))
    database.unlink()


if __name__ == "__main__":
    make()
