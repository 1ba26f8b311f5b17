"""compose.yaml is what the compose specification says and sets what softh reads; .ci/image.py tries the image."""

import re
import subprocess
import sys
from pathlib import Path

from softh.settings import SETTINGS

COMPOSE = Path(__file__).parents[1] / "compose.yaml"


def test_the_compose_file_holds_to_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_sets_nothing_that_is_no_setting() -> None:
    named = set(re.findall(r"\bSOFTH_[A-Z_]+", COMPOSE.read_text(encoding="utf-8")))
    assert "SOFTH_WORKER_IDLE" in named
    assert named - {setting.name for setting in SETTINGS} == set()
