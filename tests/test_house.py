"""The rules of the house: who imports whom, what the web process loads, what is pinned, what is documented."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CORE = {
    "numpy", "scipy", "torch", "transformers", "huggingface_hub", "safetensors", "gguf", "datasets", "diskcache",
    "polars", "accelerate", "tokenizers", "triton",
}  # fmt: skip
PAGES = {"plotly", "polars", "streamlit"}
OURS = {"softh", "dashboard", "pages", "app", "server", "zoo", "benchmarks", "tests"}

# Package → what its files may import besides the standard library and each other. A file of the top level of softh or
# dashboard is a package of its own. A name allows everything below it.
TABLE: dict[str, set[str]] = {
    "softh.errors": set(),
    "softh.locks": set(),
    "softh.blas": {"threadpoolctl"},
    "softh.settings": {"softh.errors", "platformdirs"},
    "softh.logs": {"softh.errors", "softh.settings"},
    "softh.progress": set(),
    "softh.format": set(),
    "softh.notebook": set(),
    "softh.quantities": set(),
    "softh.spec": {"softh.errors", "softh.quantities", "softh.text"},
    "softh.access": {"softh.errors", "softh.settings"},
    "softh.scores": {"softh.errors", "softh.format", "yaml", *CORE},
    "softh.analysis": {"softh.blas", "softh.checkpoints", "softh.errors", "softh.format", "softh.quantities", *CORE},
    "softh.text": {"softh.errors", *CORE},
    "softh.checkpoints": {"softh.locks", "softh.errors", "softh.format", "softh.settings", *CORE},
    "softh.store": {
        "softh.locks",
        "duckdb", "polars", "pyarrow", "fsspec", "softh.access", "softh.errors", "softh.quantities", "softh.settings",
    },
    "softh.uploads": {
        "softh.access", "softh.checkpoints", "softh.errors", "softh.format", "softh.locks", "softh.preference",
        "softh.scores", "softh.settings", "softh.store", *CORE,
    },
    "softh.cost": {"softh.checkpoints", "softh.format", "softh.settings", "softh.spec", "psutil", *CORE},
    "softh.models": {
        "softh.checkpoints", "softh.cost", "softh.errors", "softh.format", "softh.settings", "softh.spec", "softh.text",
        "deepspeed", *CORE,
    },
    "softh.estimator": {
        "softh.blas", "softh.checkpoints", "softh.cost", "softh.errors", "softh.format", "softh.models",
        "softh.notebook", "softh.quantities", "softh.spec", "softh.text", *CORE,
    },
    "softh.preference": {
        "softh.blas", "softh.checkpoints", "softh.errors", "softh.estimator", "softh.models", "softh.spec",
        "softh.text", *CORE,
    },
    "softh.api": {
        "softh.access", "softh.accumulator", "softh.checkpoints", "softh.errors", "softh.estimator", "softh.models",
        "softh.settings", "softh.spec", "softh.store",
    },
    "softh.accumulator": {
        "softh.errors", "softh.estimator", "softh.format", "softh.notebook", "softh.spec", "softh.store", *CORE,
    },
    "softh.trackers": {"softh.analysis", "softh.quantities", "matplotlib", *CORE},
    "softh.callback": {
        "softh.access", "softh.checkpoints", "softh.estimator", "softh.models", "softh.preference", "softh.settings",
        "softh.spec", "softh.store", "softh.text", "softh.trackers", *CORE,
    },
    "softh.plot": {
        "dashboard.data", "dashboard.escape", "dashboard.figures", "softh.analysis", "softh.errors", "softh.estimator",
        "softh.format", "softh.quantities", "softh.settings", "softh.store", "plotly", "polars",
    },
    "softh.publish": {"softh.errors", "softh.store", "softh.__version__", *CORE},
    "softh.lightning": {"softh.callback", "softh.errors", "lightning", *CORE},
    "softh.sweeps": {
        "softh.checkpoints", "softh.cost", "softh.errors", "softh.format", "softh.estimator", "softh.models",
        "softh.progress", "softh.settings", "softh.spec", "softh.store", "softh.text", "ray", "submitit", "typer",
        *CORE,
    },
    "softh.jobs": {
        "softh.locks",
        "softh.access", "softh.checkpoints", "softh.errors", "softh.format", "softh.estimator", "softh.models",
        "softh.preference", "softh.progress", "softh.quantities", "softh.settings", "softh.spec", "softh.store",
        "softh.sweeps",
        "softh.text", "softh.uploads", "psutil",
    },
    "softh.cli": {"dashboard.gallery", "softh", "typer", "rich", "torch", "polars"},
    "softh.__init__": {
        "softh.accumulator", "softh.api", "softh.callback", "softh.errors", "softh.estimator", "softh.plot",
        "softh.spec",
    },
    "softh.__main__": {"softh.cli"},
    "dashboard.plotly_internals": {"plotly"},
    "dashboard.escape": {"dashboard.plotly_internals", "numpy", "plotly", "polars"},
    "dashboard.view": {"dashboard.escape", "softh.errors", "plotly", "polars"},
    "dashboard.format": {"softh.analysis", "softh.quantities", "softh.text"},
    "dashboard.data": {
        "dashboard.format", "softh.analysis", "softh.checkpoints.revisions", "softh.errors", "softh.format",
        "softh.quantities", "softh.settings", "softh.spec", "softh.store", *PAGES,
    },
    "dashboard.figures": {
        "dashboard.data", "dashboard.format", "dashboard.plotly_internals", "softh.analysis", "softh.format",
        "softh.quantities", "numpy", *PAGES,
    },
    "dashboard.export": {
        "dashboard.escape", "dashboard.figures", "dashboard.server", "softh.errors", "choreographer", "fontTools",
        "pptx", "plotly",
        "polars",
    },
    "dashboard.controls": {
        "dashboard.data", "dashboard.escape", "dashboard.export", "dashboard.server", "dashboard.view",
        "softh.format", "softh.quantities",
        *PAGES,
    },
    "dashboard.views": {
        "dashboard.controls", "dashboard.data", "dashboard.figures", "dashboard.format", "dashboard.view",
        "softh.analysis", "softh.errors", "softh.format", "softh.preference.reasons", "softh.quantities", *PAGES,
    },
    "dashboard.decks": {
        "dashboard.controls", "dashboard.data", "dashboard.escape", "dashboard.export", "dashboard.figures",
        "dashboard.view", "dashboard.views",
        "softh.access", "softh.errors", "softh.locks", "softh.settings", "softh.store", *PAGES,
    },
    "dashboard.gallery": {
        "dashboard.data", "dashboard.escape", "dashboard.export", "dashboard.figures", "dashboard.view",
        "dashboard.views", "softh.errors", "softh.format", "plotly", "polars",
    },
    "dashboard.server": {
        "dashboard.escape", "softh.access", "softh.errors", "softh.jobs", "softh.settings", "softh.store", "starlette",
        "prometheus_client", *PAGES,
    },
    "dashboard.page": {
        "dashboard.controls", "dashboard.data", "dashboard.decks", "dashboard.escape", "dashboard.export",
        "dashboard.figures", "dashboard.format", "dashboard.server", "dashboard.view", "dashboard.views",
        "softh.access", "softh.errors",
        *PAGES,
    },
    "dashboard.workspace": {
        "dashboard.controls", "dashboard.data", "dashboard.escape", "dashboard.format",
        "dashboard.page", "dashboard.server",
        "dashboard.views", "softh.access", "softh.checkpoints", "softh.cost", "softh.errors", "softh.format",
        "softh.jobs", "softh.preference.reasons", "softh.scores", "softh.settings", "softh.spec", "softh.store",
        "softh.text", "softh.uploads", *PAGES,
    },
    "dashboard.__init__": set(),
    "pages": {"dashboard", "softh.text", "streamlit"},
    "app": {"dashboard", "streamlit"},
    "server": {"dashboard", "softh.logs", "starlette", "streamlit"},
}  # fmt: skip


def source_files(*folders: str) -> list[Path]:
    """Python files of the program, relative to the project."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in (ROOT / "app.py", ROOT / "server.py", *found)]


def imported(path: Path) -> Iterator[str]:
    """Full names that a file imports, wherever in the file; `from a import b` may mean the module a.b."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, parents: set[str]) -> bool:
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def allowed(name: str, package: str) -> bool:
    if name.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
        return True
    return within(name, TABLE[package] | {package})


def package_of(path: Path) -> str:
    """'softh.store', 'softh.errors', 'pages', 'app': the line of the table that a file falls under."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] in {"softh", "dashboard"} else parts[0]


@pytest.mark.parametrize("path", source_files("softh", "dashboard", "pages"), ids=str)
def test_every_file_keeps_to_the_import_table(path: Path) -> None:
    assert [name for name in imported(path) if not allowed(name, package_of(path))] == []


def test_the_import_table_has_no_unused_line_and_no_circle() -> None:
    used: dict[str, set[str]] = {package: set() for package in TABLE}
    for path in source_files("softh", "dashboard", "pages"):
        used[package_of(path)] |= {
            package for name in imported(path) for package in TABLE if within(name, {package})
        } - {package_of(path)}
    ours = {
        package: {name for name in rule if name.partition(".")[0] in OURS and name in TABLE}
        for package, rule in TABLE.items()
    }
    assert {package: names - used[package] for package, names in ours.items() if names - used[package]} == {}
    assert [*TopologicalSorter(used).static_order()]  # raises CycleError where packages import each other


def test_the_import_table_can_say_no() -> None:
    assert not allowed("torch", "dashboard.figures")
    assert not allowed("softh.estimator.pipeline", "dashboard.figures")
    assert not allowed("softh.store.read", "softh.estimator")
    assert not allowed("streamlit", "softh.store")
    assert not allowed("plotly", "pages")
    assert not allowed("softh.store.read", "app")
    assert allowed("softh.store.read", "dashboard.data")
    assert allowed("torch", "softh.estimator")


def test_the_web_process_never_loads_torch_or_transformers(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from streamlit.testing.v1 import AppTest\n"
        "test = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not test.exception, test.exception\n"
        "for page in sorted(Path('pages').glob('*.py')):\n"
        "    test.switch_page(str(page)).run()\n"
        "    assert not test.exception, (page, test.exception)\n"
        "assert 'dashboard' in sys.modules\n"
        "print(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"SOFTH_DATA": str(tmp_path)},
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.partition(";")[0] for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize("kind", ["", "-dev", "-docs", "-scale"])
def test_every_requirement_is_pinned_and_justified(kind: str) -> None:
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for line in requirements(f"requirements{kind}.txt"):
        package, equals, version = line.partition("==")
        assert equals, f"{line} is not pinned"
        assert re.fullmatch(r"\d[\w.]*", version), line
        assert f"`{package}`" in decisions, f"{package} has no line in docs/decisions.md"


def test_make_targets_are_documented_and_the_readme_is_short() -> None:
    readme, more = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if target := re.match(r"([a-z-]+):.*## ", line):
            assert f"`make {target[1]}`" in more, target[1]
    assert "make run " in readme
    assert "make test " in readme
    assert len(readme.splitlines()) <= 120


def test_links_between_documents_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_streamlit_is_local_quiet_and_bounded() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert (config["server"]["address"], config["server"]["port"]) == ("localhost", 8501)
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["maxUploadSize"] <= 2048
