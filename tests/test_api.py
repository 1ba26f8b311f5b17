"""The public API: softh.estimate stores and returns an estimate, and importing softh changes nothing."""

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
    with pytest.raises(InputError, match="unknown_setting is not a setting; expected one of"):
        softh.estimate(str(model), unknown_setting=1)


def test_importing_softh_loads_no_torch() -> None:
    code = "import softh, sys; assert 'torch' not in sys.modules; assert callable(softh.estimate)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_softh_changes_nothing_in_the_process() -> None:
    code = (
        "import logging, os, signal, sys\n"
        "import diskcache, numpy, polars, scipy.linalg, torch, transformers  # what these change is theirs\n"
        "from threadpoolctl import threadpool_info\n"
        "def state():\n"
        "    return (dict(os.environ), threadpool_info(), torch.get_num_threads(), torch.get_num_interop_threads(),\n"
        "            torch.get_float32_matmul_precision(), torch.get_default_dtype(), torch.is_grad_enabled(),\n"
        "            logging.root.level, list(logging.root.handlers), list(sys.path),\n"
        "            sys.excepthook, signal.getsignal(signal.SIGTERM), os.getcwd())\n"
        "before = state()\n"
        "import softh, softh.callback, softh.preference.probe, softh.analysis.correlation\n"
        "assert [getattr(softh, name) for name in softh.__all__]\n"
        "after = state()\n"
        "assert after == before, [pair for pair in zip(before, after) if pair[0] != pair[1]]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_callback_needs_no_package_of_the_pages_or_of_the_queue() -> None:
    code = (
        "import sys\n"
        "for name in ('streamlit', 'plotly', 'typer', 'rich', 'datasets', 'duckdb', 'polars', 'statsmodels', "
        "'gguf', 'ray', 'submitit', 'pptx', 'starlette'):\n"
        "    sys.modules[name] = None\n"
        "import softh\n"
        "assert softh.InformationPlaneCallback\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        softh.nothing  # noqa: B018  (asking is the test)
