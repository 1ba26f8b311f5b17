"""Every block of code of the quickstart, the guides and the README runs as it is printed; the notebook is its script.

Models and C4 come from a hub on loopback, which serves the demo checkpoint and a little text under their names.
"""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import nbformat
import numpy as np
import polars as pl
import pytest

from docs import build
from softh.scores import tables
from softh.store import write
from tests.harness import free_port, wait_for
from tests.hub import Repo, files_of, reached
from tests.store_rows import build_record
from tests.test_corpus import C4_CARD
from tests.tiny import llama, save_model, texts

ROOT = Path(__file__).parents[1]
MODEL = "HuggingFaceTB/SmolLM2-135M"
PAGES = {
    "docs/quickstart.md": (), "docs/guides/states.md": (), "docs/guides/pages.md": (), "docs/troubleshooting.md": (),
    "docs/guides/measure.md": pytest.mark.real, "docs/guides/sweep.md": pytest.mark.real,
    "docs/training.md": pytest.mark.real, "docs/guide.md": pytest.mark.real, "README.md": pytest.mark.real,
}  # fmt: skip
RUN, TEXT = {"sh", "python", "toml"}, {"text", "json"}
"""Languages of blocks: what is run (a table of TOML becomes the file that its first line names), and what is output."""
ELSEWHERE = {"make run": "CONTRIBUTING.md", "make test": "CONTRIBUTING.md", "docker": "tests/test_container.py"}
"""Beginning of a command → where it is tested instead."""


@dataclass(frozen=True)
class Block:
    """One block of code of a page."""

    language: str
    line: int
    code: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(fence[1], text[: fence.start()].count("\n") + 2, fence[2]) for fence in fences]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with `softh` on the path, the shipped tables, and a hub that has what pages name."""
    place, programs, data = (tmp_path / name for name in ("work", "bin", "data"))
    for each in (place, programs, data):
        each.mkdir()
    shutil.copy(ROOT / "data" / "softh.duckdb", data)
    for name, words in {"softh": "-m softh", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    with reached(tmp_path / "hub", monkeypatch) as hub:
        model = files_of(unpacked(tmp_path / "model"))
        hub.repos[f"models/{MODEL}"] = hub.repos[f"models/{MODEL}-Instruct"] = Repo({"main": model})
        small = files_of(
            save_model(tmp_path / "small", llama(max_position_embeddings=512))
        )  # a sweep is about its commands: no minutes of estimates
        steps = {f"step-{step}": {**small, "of": str(step).encode()} for step in (1000, 4000, 16000)}
        hub.repos[f"models/{MODEL}-intermediate-checkpoints"] = Repo({"main": small, **steps})
        rows = [{"text": text, "timestamp": "", "url": ""} for text in texts(24, 600)]
        part = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
        names = [f"en/c4-{kind}.00000-of-00001.json.gz" for kind in ("train", "validation")]
        hub.repos["datasets/allenai/c4"] = Repo({"main": {"README.md": C4_CARD.encode(), **dict.fromkeys(names, part)}})
        hub.repos["datasets/open-llm-leaderboard/contents"] = Repo({"main": {"data/train-0.parquet": leaderboard()}})
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        where = hub.url + "/datasets/{repo_id}/resolve/{revision}/{path}"
        monkeypatch.setattr(datasets.config, "HUB_DATASETS_URL", where)
        settings = {"SOFTH_DATA": data, "SOFTH_CACHE": tmp_path / "cache", "HF_HOME": tmp_path / "hf",
                    "HF_ENDPOINT": hub.url, "PYTHONPATH": ROOT}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.delenv("SOFTH_RUNS", raising=False)
        monkeypatch.chdir(place)
        yield place


def leaderboard() -> bytes:
    """A table with the columns of the Open LLM Leaderboard."""
    row = {"fullname": f"{MODEL}-Instruct", "Precision": "bfloat16", "Model sha": "0123456789abcdef", "Flagged": False}
    content = io.BytesIO()
    pl.DataFrame([row | dict.fromkeys(tables.LEADERBOARD, 1.0)]).write_parquet(content)
    return content.getvalue()


def unpacked(place: Path) -> Path:
    """The folder of the demo checkpoint."""
    with tarfile.open(ROOT / "data" / "demo" / "toy-olmo2-3m-seed0.tar.gz") as archive:
        archive.extractall(place, filter="data")
    return next(path.parent for path in place.rglob("config.json"))


@pytest.mark.parametrize("page", [pytest.param(page, marks=marks) for page, marks in PAGES.items()])
def test_every_block_runs_as_printed(page: str, folder: Path) -> None:
    names = READERS.get(page, dict)()
    found = blocks(page)
    assert {block.language for block in found} <= RUN | TEXT
    for block in found:
        if block.language == "python":
            # As a reader's own program would: one namespace for the whole page.
            exec(compile(block.code, f"{ROOT / page}:{block.line}", "exec"), names)
        elif block.language == "toml" and (name := re.match(r"# ([\w.]+\.toml)\n", block.code)):
            (folder / name[1]).write_text(block.code, encoding="utf-8")
        elif block.language == "sh":
            for number, line in enumerate(block.code.splitlines()):
                said(line, f"{page}:{block.line + number}")


def said(line: str, where: str) -> None:
    """Run one line of a block of the shell."""
    command = line.partition("    #")[0].strip()
    if extras := re.fullmatch(r'pip install "softh\[([\w,]+)\]"', command):
        # tests/test_installed.py installs it.
        known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(extras[1].split(",")) <= set(known["optional-dependencies"]), where
    elif command == "softh app":
        with serving(f"{command} --port") as port:
            wait_for(port)
    elif command and not command.startswith("#") and not command.startswith(tuple(ELSEWHERE)):
        done = subprocess.run(["bash", "-c", command], text=True, capture_output=True, check=False, timeout=600)
        # A comparison says in its exit code how far two values are apart.
        assert done.returncode in ((0, 1, 3) if "compare" in command else (0,)), f"{where}: {command}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{where}: {done.stderr}"


@contextmanager
def serving(command: str) -> Iterator[int]:
    """The port of an app that runs meanwhile."""
    port = free_port()
    with subprocess.Popen([*command.split(), str(port)], stdout=subprocess.DEVNULL) as server:
        try:
            yield port
        finally:
            server.terminate()


def training() -> dict[str, Any]:
    """What docs/training.md calls yours, and the estimates that it compares."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments

    tokenizer, model = AutoTokenizer.from_pretrained(MODEL), AutoModelForCausalLM.from_pretrained(MODEL)
    row = {"input_ids": [*range(1, 33)], "labels": [*range(1, 33)]}
    arguments = TrainingArguments("out", max_steps=2, use_cpu=True, report_to=[], save_strategy="no")
    table = np.random.default_rng(0).standard_normal((len(tokenizer) + 1, 16))

    def forward(ids: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
        return {"embedding": table[ids], "block 1": np.tanh(table[ids]) * mask[..., None]}

    compared()
    return {
        "model": model, "tokenizer": tokenizer, "arguments": arguments, "forward": forward,
        "rows": datasets.Dataset.from_list([row] * 8),
    }  # fmt: skip


def compared() -> None:
    """Stored estimates with the ids and names that docs/training.md compares."""
    data = Path(os.environ["SOFTH_DATA"])
    for number, name in enumerate(("0a1b2c3d", "4e5f6071")):
        record = build_record("compared", seed=0, step=number, revision=f"step{number}")
        record["estimate"]["estimate_id"] = name + "0" * 8
        write.save(record, data)
    for model in ("run-a", "run-b"):
        for step in (1, 2):
            write.save(build_record(model, f"step{step}", step=step), data)
    (theirs := Path("their-tables")).mkdir()
    for place in (data, theirs):
        write.save(build_record("my-model", "step1000", step=1000), place)


def readme() -> dict[str, Any]:
    """What README.md calls yours."""
    from transformers import Trainer

    rng = np.random.default_rng(0)
    labels, names = rng.integers(0, 5, 400), training()
    own = {"hidden": rng.standard_normal((5, 16))[labels] + rng.standard_normal((400, 16)), "labels": labels}
    return names | own | {"documents": np.repeat(np.arange(20), 20), "data": names["rows"], "Trainer": Trainer}


def further() -> dict[str, Any]:
    """Files that docs/guide.md calls yours."""
    pairs = [{"prompt": f"Question {n}?", "chosen": f"Yes, {text}", "rejected": f"No, {text[::-1]}"}
             for n, text in enumerate(texts(24, 60))]  # fmt: skip
    Path("my-pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    result = {"results": {"arc_easy": {"acc,none": 0.41}}, "config": {"model_args": f"pretrained={MODEL}-Instruct"}}
    Path("results_2026-11-20.json").write_text(json.dumps(result))
    Path("leaderboard.csv").write_text(f"model,task,score\n{MODEL}-Instruct,mmlu,0.25\n")
    rng = np.random.default_rng(0)
    lines = [f"{run},{rng.random():.3f},{rng.random():.3f},{rng.random():.3f}" for run in "abcd" for _ in range(5)]
    Path("own.csv").write_text("run,loss,rank,accuracy\n" + "\n".join(lines) + "\n")
    return {}


READERS = {"docs/training.md": training, "README.md": readme, "docs/guide.md": further}
"""Page → what stands for what it calls yours: names of its blocks of Python, files in the folder."""


def test_blocks_are_found_and_one_that_is_wrong_fails(folder: Path) -> None:
    assert len(blocks("docs/quickstart.md")) >= 6
    with pytest.raises(AssertionError, match=r"here:1: softh show nothing"):
        said("softh show nothing", "here:1")
    with pytest.raises(AssertionError):
        said('pip install "softh[unknown]"', "here:1")


def test_the_notebook_is_its_script_and_holds_its_figures() -> None:
    made, kept = build.notebook(), nbformat.read(build.NOTEBOOK, nbformat.NO_CONVERT)
    nbformat.validate(kept)
    assert [(cell.cell_type, cell.id, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.id, cell.source) for cell in made.cells
    ], "run `make docs`"
    outputs = [output for cell in kept.cells for output in cell.get("outputs", ())]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert str(Path.home()) not in str(outputs)
    assert sys.prefix not in str(outputs)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    drawn = [cell.source for cell in code if "application/vnd.plotly.v1+json" in str(cell.outputs)]
    assert drawn == [cell.source for cell in code if re.search(r"^softh\.plot\.", cell.source, re.MULTILINE)]
    assert len(drawn) >= 6


def test_what_a_page_lacks_or_loads_from_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<h2 id="there">…</h2>')
    (tmp_path / "index.html").write_text(
        '<a href="other.html#there">1</a><a href="other.html#gone">2</a><a href="gone.html">3</a>'
        '<a href="https://example.org">4</a><script src="https://example.org/a.js"></script><img src="gone.png">'
        '<link rel="stylesheet" href="//example.org/a.css"><a href="#gone">5</a>'
    )
    assert [line.partition(" loads ")[2] or line.split()[3].rstrip(",") for line in build.problems(tmp_path)] == [
        "https://example.org/a.js", "gone.png", "//example.org/a.css", "other.html#gone", "gone.html", "#gone"
    ]  # fmt: skip


@pytest.mark.real
def test_the_script_runs_and_the_site_is_built_without_a_warning(folder: Path) -> None:
    for command in ([ROOT / "examples" / "quickstart.py"], ["-m", "docs.build", "--no-run"]):
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=ROOT, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (build.SITE / "index.html").is_file()


@pytest.mark.real
def test_tasks_of_newcomers_take_so_many_clicks_through_the_site() -> None:
    if not (build.SITE / "index.html").is_file():
        subprocess.run([sys.executable, "-m", "docs.build", "--no-run"], cwd=ROOT, check=True)
    tasks = re.findall(r"\| \[.+\]\((.+)\) \| (\d) \|$", (ROOT / "docs" / "tasks.md").read_text("utf-8"), re.MULTILINE)
    assert len(tasks) == 8
    first = build.Page((build.SITE / "index.html").read_text("utf-8"))
    for link, told in tasks:
        page, _, part = link.replace(".md", ".html").partition("#")
        assert page in first.links
        inside = build.Page((build.SITE / page).read_text("utf-8"))
        assert not part or f"#{part}" in inside.links
        assert int(told) == 1 + bool(part), link


def test_every_document_is_on_the_site_and_the_log_is_for_maintainers() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    parts = re.findall(r":caption: ([\w ]+)\n\n(.*?)```", index, flags=re.DOTALL)
    listed = {name: caption for caption, names in parts for name in names.split()}
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(listed) == pages - {"index"} | {"notebook"}
    assert listed["log"] == "For maintainers"


def test_hooks_and_workflows_are_those_of_the_project() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pins = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    for name, package in (("ruff-pre-commit", "ruff"), ("check-jsonschema", "check-jsonschema")):
        revision = re.search(rf"{name}\n    rev: v?([\d.]+)", hooks)
        assert revision is not None
        assert f"\n{package}=={revision[1]}\n" in pins
    flows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, flows)], text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    targets = set(re.findall(r"run: make ([a-z-]+)", "".join(path.read_text(encoding="utf-8") for path in flows)))
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
