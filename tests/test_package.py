"""The package: ranges that hold the pins, extras that hold the imports, and a sentence for an extra that is missing."""

import re
import socket
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

import softh
from softh.checkpoints import resolve
from softh.cli.app import serve, site
from softh.cli.main import app
from softh.errors import InputError
from tests.test_checkpoints import write_gguf
from tests.test_house import OURS, imported, requirements, source_files

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
MODULES = {
    "fonttools": "fontTools", "huggingface-hub": "huggingface_hub", "prometheus-client": "prometheus_client",
    "python-pptx": "pptx", "pyyaml": "yaml",
}  # fmt: skip
"""Packages whose module has another name."""
UNNAMED = {"accelerate", "authlib", "brotli", "httpx", "pythonbible-wmth", "s3fs", "uvloop"}
"""transformers asks for accelerate, fonttools for brotli, Streamlit for Authlib, httpx and uvloop, fsspec for s3fs;
the text of pythonbible-wmth is read, not imported."""
BROUGHT = {"triton", "deepspeed", "lightning", "matplotlib"}
"""Triton comes with every build of torch for a GPU, at the version torch pins, and nothing imports it without a GPU.
The others are those of a training that uses them, or of pictures for its tracker; nothing else needs them."""


def ranges(*extras: str, base: bool = True) -> dict[str, Requirement]:
    """Canonical name → requirement, of the base and of extras."""
    lines = [*(PROJECT["dependencies"] if base else []), *(line for extra in extras for line in EXTRAS[extra])]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def modules(*extras: str) -> set[str]:
    return {MODULES.get(name, name) for name in ranges(*extras) if name not in UNNAMED}


@pytest.mark.parametrize(
    ("file", "extras"), [("requirements.txt", ("app", "gguf")), ("requirements-scale.txt", ("scale",))]
)
def test_every_pin_lies_within_its_range_and_every_range_has_a_pin(file: str, extras: tuple[str, ...]) -> None:
    pins = {canonicalize_name(pin.name): pin.specifier for pin in map(Requirement, requirements(file))}
    allowed = ranges(*extras, base=file == "requirements.txt")
    assert set(pins) == set(allowed)
    assert [name for name, (pin,) in pins.items() if pin.version not in allowed[name].specifier] == []


def test_a_range_has_both_ends_but_where_versions_are_dates() -> None:
    dated = {"fsspec", "s3fs"}
    open_ended = {
        name
        for name, each in ranges(*EXTRAS).items()
        if not {"<", "=="} & set(re.findall("[<=]+", str(each.specifier)))
    }
    assert open_ended == dated


@pytest.mark.parametrize(
    ("folders", "extras"),
    [(("softh",), ("gguf", "plot", "scale")), (("softh", "dashboard", "pages"), ("app", "gguf", "plot", "scale"))],
)
def test_what_is_imported_is_in_the_base_or_an_extra(folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
    paths = [path for path in source_files(*folders) if path.parts[0] in folders]
    names = {name.partition(".")[0] for path in paths for name in imported(path)}
    assert names - OURS - BROUGHT - set(sys.stdlib_module_names) == modules(*extras)


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", softh.__version__)
    assert f"version: {softh.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_a_gguf_file_without_the_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(tmp_path / "tiny.Q4_1.gguf")
    monkeypatch.delitem(sys.modules, "softh.checkpoints.gguf_header", raising=False)
    for name in ("gguf", "gguf.constants"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r'needs the package gguf.*pip install "softh\[gguf\]"'):
        resolve.resolve(str(path))


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_engine_without_its_package_names_the_extra(
    engine: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[model]]\nid = "owner/name"\n', encoding="utf-8")
    command = ["sweep", str(recipe), "--engine", engine, "--data", str(tmp_path)]
    with pytest.raises(InputError, match=rf'needs the package {package}.*pip install "softh\[scale\]"'):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_the_dashboard_without_its_packages_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    with pytest.raises(InputError, match=r'needs the package streamlit.*pip install "softh\[app\]"'):
        serve()


def test_the_dashboard_on_a_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} of localhost \(Address already in use\).*--port"):
            serve(port)
    with pytest.raises(InputError, match=r"of no\.such\.host\.invalid \("):
        serve(port, "no.such.host.invalid")


def test_the_dashboard_of_a_checkout_is_at_its_top_level() -> None:
    assert site() == ROOT
    assert (site() / "server.py").is_file()
