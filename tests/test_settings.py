"""Settings: one tuple that every reader and the documentation go by, and the folders they name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softh import logs, settings
from softh.errors import InputError

ROOT = Path(__file__).parent.parent
NUMBERS = [setting for setting in settings.SETTINGS if isinstance(setting.default, float)]


def test_every_variable_that_the_code_names_is_a_setting() -> None:
    files = [path for folder in ("softh", "dashboard", "zoo", "pages") for path in (ROOT / folder).rglob("*.py")]
    files += [ROOT / name for name in ("app.py", "server.py", "compose.yaml", "Dockerfile")]
    names = {name for path in files for name in re.findall(r"\bSOFTH_[A-Z_]+[A-Z]\b", path.read_text("utf-8"))}
    assert names == {setting.name for setting in settings.SETTINGS}


def test_only_settings_reads_the_variables() -> None:
    files = [path for folder in ("softh", "dashboard") for path in (ROOT / folder).rglob("*.py")]
    reading = [path.name for path in files if re.search(r"environ(\.get\(|\[)\s*\"SOFTH_", path.read_text("utf-8"))]
    assert reading == []


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_a_number_is_its_default_its_value_or_a_sentence(
    setting: settings.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, expected in (("", setting.default), ("0.5", 0.5), ("3", 3.0)):
        monkeypatch.setenv(setting.name, value)
        assert settings.number(setting.name) == expected
    monkeypatch.delenv(setting.name)
    assert settings.number(setting.name) == setting.default
    for wrong in ("much", "-1", "nan", "inf", "1e400", *(["0"] if setting.positive else [])):
        monkeypatch.setenv(setting.name, wrong)
        with pytest.raises(InputError, match=f"^{setting.name} was '{wrong}'; expected a number .*: set it to "):
            settings.number(setting.name)
    if not setting.positive:
        monkeypatch.setenv(setting.name, "0")
        assert settings.number(setting.name) == 0


def test_a_choice_is_one_of_its_choices_or_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOFTH_LOG", "jsn")
    with pytest.raises(InputError, match="SOFTH_LOG was 'jsn'; expected json"):
        settings.text("SOFTH_LOG")
    logs.set_up()  # a server logs lines then
    assert "SOFTH_LOG was 'jsn'" in caplog.text


def test_a_switch_is_on_unless_it_is_empty_or_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOFTH_READ_ONLY", raising=False)
    assert not settings.switch("SOFTH_READ_ONLY")
    for value, on in (("", False), ("0", False), ("1", True), ("yes", True)):
        monkeypatch.setenv("SOFTH_READ_ONLY", value)
        assert settings.switch("SOFTH_READ_ONLY") is on


def test_folders_of_a_checkout_are_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOFTH_DATA", raising=False)
    monkeypatch.delenv("SOFTH_CACHE", raising=False)
    assert (settings.data(), settings.cache(), settings.shipped()) == (ROOT / "data", ROOT / "cache", None)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    assert (settings.data(), settings.cache()) == (tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def installed(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A softh outside of a checkout, with shipped tables, and the environment that finds it."""
    place = tmp_path / "site-packages"
    shutil.copytree(ROOT / "softh", place / "softh", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "softh" / "shipped").mkdir()
    shutil.copy(ROOT / "data" / "softh.duckdb", place / "softh" / "shipped")
    (place / "softh" / "shipped" / "softh.duckdb").chmod(0o444)
    home = str(tmp_path / "home")
    return place, {"PYTHONPATH": str(place), "HOME": home, "XDG_DATA_HOME": f"{home}/data", "PATH": "/usr/bin:/bin"}


def _run(code: str, environment: dict[str, str], folder: Path) -> str:
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_an_installed_softh_uses_the_folders_of_the_user(
    installed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, environment = installed
    said = _run(
        "from softh import settings; print(settings.ROOT, settings.data(), settings.cache(), settings.shipped())",
        environment, tmp_path,
    )  # fmt: skip
    home = tmp_path / "home"
    assert said.split() == [*map(str, (place, home / "data/softh", home / ".cache/softh", place / "softh/shipped"))]


def test_the_shipped_tables_are_read_until_the_user_has_packed(
    installed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    _, environment = installed
    count = "from softh import settings; from softh.store import read; print(read.estimates(settings.data()).height)"
    shipped = int(_run(count, environment, tmp_path))
    assert shipped > 400
    own = tmp_path / "home" / "data" / "softh"
    assert not own.exists()
    (own / "runs").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "fixtures" / "schema1" / "runs" / "00aa.parquet", own / "runs")
    assert int(_run(count, environment, tmp_path)) == shipped + 1
    _run(
        "from softh import access, settings; from softh.store import write\n"
        "with access.as_owner(): write.pack(settings.data())",
        environment,
        tmp_path,
    )
    assert [path.name for path in own.rglob("*.*")] == ["softh.duckdb"]
    assert int(_run(count, environment, tmp_path)) == shipped + 1
    empty = {**environment, "SOFTH_DATA": str(tmp_path / "empty")}
    assert int(_run(count, empty, tmp_path)) == 0
    elsewhere = count.replace("settings.data()", "__import__('pathlib').Path('elsewhere')")
    assert int(_run(elsewhere, environment, tmp_path)) == 0
