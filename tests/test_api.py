"""The same from Python: softh.estimate stores and returns an estimate."""

import subprocess
import sys
from pathlib import Path

import pytest

import softh
from softh.errors import InputError
from softh.store import read
from tests.tiny import save_model, save_text


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    return save_model(tmp_path / "tiny")


def test_an_estimate_from_python_is_stored_and_returned(model: Path, tmp_path: Path) -> None:
    asked = {"corpus": f"file:{save_text(tmp_path / 'text.jsonl')}", "documents": 8, "context": 32, "draws": 2}
    seen: list[str] = []
    made = softh.estimate(str(model), **asked, progress=lambda phase, done, total: seen.append(phase))
    assert read.estimates(tmp_path / "data")["estimate_id"].to_list() == [made.id]
    assert made.measures
    assert "forward passes" in seen
    assert softh.estimate(str(model), **asked, save=False, seed=1).id != made.id
    assert len(read.estimates(tmp_path / "data")) == 1


def test_bad_input_from_python_is_a_sentence(model: Path) -> None:
    with pytest.raises(InputError, match="draws was 0; expected"):
        softh.estimate(str(model), draws=0)
    with pytest.raises(TypeError, match="unknown_setting"):
        softh.estimate(str(model), unknown_setting=1)


def test_importing_softh_loads_no_torch() -> None:
    code = "import softh, sys; assert 'torch' not in sys.modules; assert callable(softh.estimate)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        softh.nothing  # noqa: B018  (asking is the test)
