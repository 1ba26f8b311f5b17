"""The rules of the house: who imports whom, what the web process loads, what is pinned, what is documented."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from softh.cli import app

ROOT = Path(__file__).parent.parent

CORE = {
    "numpy", "scipy", "torch", "transformers", "huggingface_hub", "safetensors", "gguf", "datasets", "diskcache",
    "polars", "accelerate", "tokenizers", "statsmodels", "triton",
}  # fmt: skip
SPELT = {"python-pptx": "pptx", "fonttools": "fontTools", "prometheus-client": "prometheus_client"}
"""Packages that are imported by another name."""
OURS = {"softh", "dashboard", "pages", "app", "server", "zoo", "benchmarks", "tests"}

# Layer → what its files may import besides the standard library and each other. The first pattern that fits a file
# says its layer. A name allows everything below it; "-name" takes that part away again.
TABLE: dict[str, set[str]] = {
    "softh/errors.py|softh/paths.py|softh/__init__.py": set(),
    "softh/spec.py": {"softh.errors"},
    "softh/access.py": {"softh.errors", "softh.paths"},
    "softh/logs.py": set(),
    "softh/store/*": {
        "duckdb", "polars", "pyarrow", "fsspec", "softh.access", "softh.errors", "softh.paths", "softh.store",
    },
    "softh/jobs/*": {"softh", "huey", "psutil", "typer", "rich"},
    "softh/cli.py|softh/report.py|softh/__main__.py|softh/sweeping.py|softh/progress.py": {"softh", "typer", "rich"},
    "softh/backup.py|softh/score_commands.py": {"softh", "typer"},
    "softh/doctor.py": {"softh", "typer", "torch"},
    "softh/probing.py|softh/probe_report.py": {"softh", "typer", "rich"},
    "softh/engines.py|softh/local.py|softh/clusters.py": {
        "softh", "torch", "ray", "submitit", "-softh.store", "-softh.cli",
    },
    "softh/callback.py|softh/session.py": {*CORE, "softh", "-softh.jobs", "-softh.cli", "-softh.report"},
    "softh/*|softh/intake/*|softh/correlate/*": {
        *CORE, "softh", "-softh.store", "-softh.jobs", "-softh.cli", "-softh.report",
    },
    "dashboard/export/*": {
        "plotly", "polars", "pptx", "choreographer", "fontTools", "softh.errors", "dashboard.export",
        "dashboard.template",
    },
    "dashboard/*": {
        "softh.store", "softh.errors", "softh.paths", "softh.correlate", "softh.phases", "softh.jobs", "softh.intake",
        "softh.preflight", "softh.scores", "softh.spec", "softh.hub", "softh.revisions", "dashboard",
        "softh.checkpoints", "softh.roots", "softh.texts", "softh.pairs", "softh.access", "softh.quota", "streamlit",
        "starlette", "prometheus_client", "psutil", "plotly", "polars",
    },
    "pages/*": {"dashboard", "streamlit"},
    "app.py": {"dashboard", "streamlit"},
    "server.py": {"dashboard", "softh.logs", "starlette", "streamlit"},
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


def allowed(name: str, rule: set[str]) -> bool:
    if name.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
        return True
    taken = {entry[1:] for entry in rule if entry.startswith("-")}
    return within(name, rule) and not within(name, taken)


def rule_of(path: Path) -> set[str]:
    return next(rule for patterns, rule in TABLE.items() if any(path.match(p) for p in patterns.split("|")))


@pytest.mark.parametrize("path", source_files("softh", "dashboard", "pages"), ids=str)
def test_every_file_keeps_to_the_import_table(path: Path) -> None:
    rule = rule_of(path)
    assert [name for name in imported(path) if not allowed(name, rule)] == []


def test_the_import_table_can_say_no() -> None:
    assert not allowed("torch", rule_of(Path("dashboard/figures.py")))
    assert not allowed("softh.estimate.estimate", rule_of(Path("dashboard/figures.py")))
    assert not allowed("softh.store.read", rule_of(Path("softh/estimate.py")))
    assert not allowed("streamlit", rule_of(Path("softh/store/read.py")))
    assert not allowed("plotly", rule_of(Path("pages/layers.py")))
    assert not allowed("softh.store.read", rule_of(Path("app.py")))
    assert allowed("softh.store.read", rule_of(Path("dashboard/queries.py")))
    assert allowed("torch", rule_of(Path("softh/estimate.py")))


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
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-scale.txt"])
def test_every_requirement_is_pinned_and_justified(name: str) -> None:
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for line in requirements(name):
        package, equals, version = line.partition("==")
        assert equals, f"{line} is not pinned"
        assert re.fullmatch(r"\d[\w.]*", version), line
        assert f"`{package}`" in decisions, f"{package} has no line in docs/decisions.md"


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    names = {name.split(".")[0] for path in source_files("softh", "dashboard", "pages") for name in imported(path)}
    packages = {
        line.partition("==")[0]
        for name in ("requirements.txt", "requirements-scale.txt")
        for line in requirements(name)
    }
    # Triton comes with every build of torch for a GPU, at the version torch pins; nothing imports it without a GPU.
    # transformers asks accelerate to place a model on several devices, fonttools asks brotli to read a web font,
    # Streamlit asks Authlib and httpx to sign somebody in, fsspec asks s3fs for what is on S3; nobody imports them.
    unnamed = {"accelerate", "brotli", "Authlib", "httpx", "s3fs"}
    packages = {SPELT.get(package, package) for package in packages - unnamed}
    assert packages == names - OURS - {"triton"} - set(sys.stdlib_module_names)


def words_of_the_command_line() -> list[str]:
    commands = get_command(app).commands
    return [
        f"softh {name}" if option is None else option
        for name, command in commands.items()
        for option in (None, *(opt for parameter in command.params for opt in parameter.opts if opt.startswith("--")))
    ]


def test_every_command_and_option_is_documented() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    found = set(re.findall(r"softh [a-z]+|--[a-z-]+", text))
    assert len(words_of_the_command_line()) > 20
    assert [word for word in words_of_the_command_line() if word not in found] == []


def test_make_targets_are_documented() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if target := re.match(r"([a-z-]+):.*## ", line):
            assert f"make {target[1]}" in readme, target[1]


def test_the_tree_of_the_readme_names_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in source_files("softh", "dashboard", "pages")} - {"__init__.py", "__main__.py"}
    inside = {path.name for part in ("store", "intake", "correlate") for path in (ROOT / "softh" / part).glob("*.py")}
    assert [name for name in sorted(files - inside) if name not in readme] == []


def test_streamlit_is_local_quiet_and_bounded() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert (config["server"]["address"], config["server"]["port"]) == ("localhost", 8501)
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["maxUploadSize"] <= 2048
