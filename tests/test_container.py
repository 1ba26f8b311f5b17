"""compose.yaml is what the compose specification says; .ci/image.py tries the image."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def verdict(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)


def test_the_compose_file_holds_to_the_specification() -> None:
    found = verdict(ROOT / "compose.yaml")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("old", "new"), [("services:", "servants:"), ("cap_drop: [ALL]", "cap_drop: ALL")])
def test_the_specification_can_say_no(tmp_path: Path, old: str, new: str) -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "compose.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    assert verdict(tmp_path / "compose.yaml").returncode == 1
