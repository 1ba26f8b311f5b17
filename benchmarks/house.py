"""The size of the project at two revisions: `python -m benchmarks.house 33cfb8f HEAD`, with `--wheel` also of a wheel.

Lines, modules, functions, tests, dependencies, duplicates and bytes are read from what git holds. Seconds of the tests
are those of a report that pytest wrote: `--report FILE` (`make test` with `--junit-xml=FILE`), for the last revision.
"""

import argparse
import ast
import io
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

PROGRAM = ("softh", "dashboard", "pages")
BESIDE = ("zoo", "benchmarks", "examples", "tests")
Function = ast.FunctionDef | ast.AsyncFunctionDef
LEAST = 6
"""Lines of a function below which an equal one is no duplicate."""


def unpack(revision: str, folder: Path) -> Path:
    """What git holds at a revision, in a folder."""
    archive = subprocess.run(["git", "archive", revision], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def sources(root: Path, *folders: str) -> list[Path]:
    """Python files below folders, those of the top level with them where the program is meant."""
    top = [root / "app.py", root / "server.py"] if folders == PROGRAM else []
    return [*top, *(path for folder in folders for path in sorted((root / folder).rglob("*.py")))]


def functions(paths: list[Path]) -> Iterator[tuple[Path, Function]]:
    """Every function and method."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield path, node


def lines_of(function: Function) -> int:
    """Lines of a function, docstring and decorators included."""
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def shape(function: Function) -> str:
    """A function's code without its docstring, its names and its constants."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return re.sub(r"(id|arg|attr|name|value)='[^']*'|value=[\d.]+", "", "".join(map(ast.dump, body)))


def duplicates(paths: list[Path]) -> tuple[int, int]:
    """Functions that say the same as another one but for names and constants, and names of classes used again."""
    shapes = Counter(shape(function) for _, function in functions(paths) if lines_of(function) >= LEAST)
    classes = Counter(
        node.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sum(n - 1 for n in shapes.values()), sum(n - 1 for n in classes.values())


def pins(root: Path, name: str) -> int:
    """Packages that a requirements file pins itself."""
    path = root / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum("==" in line for line in lines if not line.startswith("#"))


def measure(revision: str, *, wheel: bool) -> dict[str, str]:
    """Name of a figure → its value at a revision."""
    with tempfile.TemporaryDirectory() as scratch:
        root = unpack(revision, Path(scratch) / "tree")
        program = sources(root, *PROGRAM)
        everything = [*program, *sources(root, *BESIDE)]
        sizes = [(lines_of(function), path, function.name) for path, function in functions(program)]
        longest, where, name = max(sizes)
        tests = [function for path, function in functions(sources(root, "tests")) if function.name.startswith("test_")]
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = {package for names in project.get("optional-dependencies", {}).values() for package in names}
        equal, classes = duplicates(program)
        files = [path for path in root.rglob("*") if path.is_file()]
        lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in everything}
        return {
            "lines of the program": f"{sum(lines[path] for path in program):,}",
            "lines of tests": f"{sum(lines[path] for path in sources(root, 'tests')):,}",
            "lines of Python in all": f"{sum(lines.values()):,}",
            "modules of the program": f"{len(program):,}",
            "largest module, lines": f"{max(lines[path] for path in program):,}",
            "functions of the program": f"{len(sizes):,}",
            "median function, lines": f"{statistics.median(size for size, _, _ in sizes):g}",
            "longest function, lines": f"{longest} ({where.relative_to(root).as_posix()}: {name})",
            "functions of tests": f"{len(tests):,}",
            "dependencies: needed, of extras": f"{len(project['dependencies'])}, {len(extras)}",
            "pins: to run, to develop": f"{pins(root, 'requirements.txt')}, "
            f"{sum(pins(root, f'requirements-{kind}.txt') for kind in ('dev', 'scale', 'docs'))}",
            f"functions of {LEAST} lines or more that repeat another": str(equal),
            "names of classes used again": str(classes),
            "files, MB in the repository": f"{len(files):,}, {sum(path.stat().st_size for path in files) / 1e6:.1f}",
            "wheel, MB": f"{built(root) / 1e6:.1f}" if wheel else "–",
        }


def built(root: Path) -> int:
    """Bytes of the wheel of a tree."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(root / "dist"), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return next((root / "dist").glob("*.whl")).stat().st_size


def ran(report: Path) -> str:
    """How many tests a run had, and their seconds in all processes together."""
    cases = [*ElementTree.parse(report).iter("testcase")]
    return f"{len(cases):,}, {sum(float(case.get('time', 0)) for case in cases):,.0f} s"


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revisions", nargs="+")
    parser.add_argument("--wheel", action="store_true")
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    found = [measure(revision, wheel=asked.wheel) for revision in asked.revisions]
    print(f"| | {' | '.join(asked.revisions)} |\n|---|{'---|' * len(found)}")
    for name in found[0]:
        print(f"| {name} | {' | '.join(figures[name] for figures in found)} |")
    if asked.report:
        print(f"| tests that ran, and their seconds | {'| ' * (len(found) - 1)}{ran(asked.report)} |")


if __name__ == "__main__":
    main()
