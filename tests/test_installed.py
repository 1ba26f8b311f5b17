"""An installed softh, outside of any checkout: a wheel made from the sdist answers, estimates, trains and serves."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests import first_schema
from tests.harness import DRAWN, browser, free_port, settled, wait_for

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "data" / "demo" / "toy-olmo2-3m-seed0.tar.gz"
TRAIN = """
import sys
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments
from softh.callback import InformationPlaneCallback
from softh.store import read

model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
rows = Dataset.from_list([{"input_ids": [*range(1, 33)], "labels": [*range(1, 33)]}] * 8)
plane = InformationPlaneCallback("mine", tokenizer, points=[0, 2], share=None, documents=8, context=32, draws=1)
options = TrainingArguments("out", max_steps=2, per_device_train_batch_size=2, use_cpu=True, save_strategy="no")
Trainer(model, options, train_dataset=rows, callbacks=[plane]).train()
from softh import settings
print(read.estimates(settings.data()).filter(model="mine")["step"].sort().to_list())
"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own that the wheel is installed in, beside the packages of this environment."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(next(archives.glob("*.whl")))], check=True)
    return target


@pytest.fixture
def environment(installed: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a person who has never run softh."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOFTH_")}
    return kept | {
        "PYTHONPATH": str(installed),
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": "",
        "XDG_CACHE_HOME": "",
    }


def run(environment: dict[str, str], folder: Path, *command: str) -> str:
    """What a command prints in an empty folder."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unpacked(folder: Path) -> Path:
    """The model of three million parameters that softh ships."""
    with tarfile.open(DEMO) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.rglob("config.json")).parent


def files(*folders: str) -> set[str]:
    """Files of the project's folders, relative to it."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.mark.real
def test_the_wheel_holds_the_program_and_the_sdist_what_makes_and_tests_it(archives: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    site = {"app.py", "server.py", ".streamlit/config.toml", *files("pages")}
    program = files("softh", "dashboard") | {f"dashboard/site/{name}" for name in site} | {"softh/shipped/softh.duckdb"}
    assert inside == program
    with tarfile.open(next(archives.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    single = {
        path.name for pattern in ("*.md", "*.toml", "*.txt", "LICENSE", "Makefile") for path in ROOT.glob(pattern)
    }
    source = files("tests", "zoo", "benchmarks", "recipes", "examples", "data/demo")
    assert (files("softh", "dashboard") | site | single | source | {"data/softh.duckdb"}) - names == set()


@pytest.mark.real
def test_an_installed_softh_answers_estimates_and_follows_a_training(
    environment: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    folder, model = tmp_path / "empty", str(unpacked(tmp_path / "model"))
    script = str(installed / "bin" / "softh")
    assert run(environment, folder, script, "--version").startswith("softh 0.")
    shipped = json.loads(run(environment, folder, script, "list", "--json"))
    asked = ["--documents", "16", "--context", "64", "--draws", "2", "--json"]
    record = json.loads(run(environment, folder, sys.executable, "-m", "softh", "estimate", model, *asked))
    assert {row["layer"] for row in record["measures"]} > {None, 0, 1}
    assert run(environment, folder, sys.executable, "-c", TRAIN, model).splitlines()[-1] == "[0, 2]"
    stored = json.loads(run(environment, folder, script, "list", "--json"))
    assert len(shipped) > 100
    assert len(stored) == len(shipped) + 3
    assert "all that softh needs; extras: app" in run(environment, folder, script, "doctor")
    assert [path.name for path in folder.iterdir()] == ["out"]  # the Trainer's own


@pytest.mark.real
def test_an_installed_softh_reads_the_data_folder_of_the_first_release(
    environment: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    environment |= {"SOFTH_DATA": str(first_schema.unpack(tmp_path / "data"))}
    rows = json.loads(run(environment, tmp_path / "empty", str(installed / "bin" / "softh"), "list", "--json"))
    assert {row["estimate_id"] for row in rows} == {"00aa", "00bb", "00cc"}


@pytest.mark.browser
def test_the_dashboard_of_an_installed_softh_draws_its_figures(environment: dict[str, str], tmp_path: Path) -> None:
    folder, port = tmp_path / "empty", free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "softh", "app", "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            with browser() as chromium:
                page = chromium.new_page()
                page.goto(f"http://localhost:{port}")
                page.wait_for_selector(DRAWN)
                settled(page)
                assert page.locator(DRAWN).count() >= 2
                page.goto(f"http://localhost:{port}/method")
                page.wait_for_selector("text=How to cite")
                assert page.locator("[data-testid=stException]").count() == 0
        finally:
            server.terminate()
    assert [*folder.iterdir()] == []
