"""Every row of docs/formats.md names a test that there is."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_row_names_tests_that_there_are() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    for line in (TESTS.parent / "docs" / "formats.md").read_text(encoding="utf-8").splitlines():
        last = line.strip("| ").rpartition("|")[2].strip()
        if not line.startswith("|") or set(last) == {"-"} or last == "test":
            continue
        assert "`" in last or last == "the same", line
        for file, name in re.findall(r"`(?:([\w/]+\.py)(?:::)?)?(\w+)?`", last):
            assert not file or (TESTS / file).is_file(), line
            assert not name or f"def {name}(" in text, line
