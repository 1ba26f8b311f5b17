"""The tables that the documents quote are what the shipped tables say."""

from itertools import pairwise
from pathlib import Path

from zoo import findings

ROOT = Path(__file__).parent.parent


def test_docs_quote_every_row_of_the_shipped_findings() -> None:
    quoted = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    tables = [findings.trajectories(ROOT / "data"), findings.frontier(ROOT / "data")]
    assert [len(rows) for rows in tables] == [16, 44]
    for rows in tables:
        for line in findings.table(rows).splitlines():
            assert line.replace(" (trained here)", "") in quoted


def test_larger_models_of_the_zoo_compress_more() -> None:
    falls = {row["run"]: float(row["fall"].split("%")[0]) for row in findings.trajectories(ROOT / "data")
             if row[""] == "corrected"}  # fmt: skip
    by_size = [[fall for run, fall in falls.items() if size in run] for size in ("-3m", "-9m", "-20m", "-60m")]
    assert [len(group) for group in by_size] == [3, 3, 1, 1]
    assert all(max(small) < min(large) for small, large in pairwise(by_size))
