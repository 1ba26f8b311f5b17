"""The hosted demo: its packages are pinned, its settings exist, and every page runs with them and writes nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

from softh.settings import SETTINGS
from tests.test_house import requirements

ROOT = Path(__file__).parents[1]
SPACE = ROOT / "deploy" / "space"
LEFT_OUT = {"torch", "transformers", "accelerate", "datasets", "gguf"}
"""What only estimates need."""


def test_its_packages_are_the_pins_of_the_program_without_those_of_estimates() -> None:
    whole, some = (set(requirements(name)) for name in ("requirements.txt", "deploy/space/requirements.txt"))
    assert some < whole
    assert {line.partition("==")[0] for line in whole - some} == LEFT_OUT


def test_its_settings_are_settings_and_its_port_is_that_of_a_space() -> None:
    dockerfile = (SPACE / "Dockerfile").read_text(encoding="utf-8")
    readme = (SPACE / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bSOFTH_[A-Z_]+", dockerfile))
    assert "SOFTH_READ_ONLY" in named
    assert named <= {setting.name for setting in SETTINGS}
    port = re.search(r"^app_port: (\d+)$", readme, re.MULTILINE)
    assert port
    assert f"EXPOSE {port[1]}" in dockerfile
    assert f"${{PORT:-{port[1]}}}" in dockerfile


def test_every_page_runs_without_the_packages_of_estimates_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        f"for name in {sorted(LEFT_OUT)}: sys.modules[name] = None\n"
        "from streamlit.testing.v1 import AppTest\n"
        "test = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not test.exception, test.exception\n"
        "for page in sorted(Path('pages').glob('*.py')):\n"
        "    test.switch_page(str(page)).run()\n"
        "    assert not test.exception, (page, test.exception)\n"
        "    assert not test.error, (page, test.error)\n"
    )
    (tmp_path / "softh.duckdb").symlink_to(ROOT / "data" / "softh.duckdb")
    environment = os.environ | {"SOFTH_DATA": str(tmp_path), "SOFTH_READ_ONLY": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["softh.duckdb"]
