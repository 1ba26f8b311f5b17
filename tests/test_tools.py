"""The measurements of benchmarks/ and the pretraining of zoo/ follow the library: every module of them imports."""

import importlib
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks
import zoo
from benchmarks import attacks, faults

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (benchmarks, zoo)
    for module in pkgutil.iter_modules(package.__path__)
]
NEEDS_A_GPU = {"benchmarks._gpu"}
"""Modules that import triton, which is installed beside a torch for GPUs only."""


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_every_module_of_benchmarks_and_zoo_imports(name: str) -> None:
    if name in NEEDS_A_GPU and find_spec("triton") is None:
        pytest.skip("triton is not installed")
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("number", attacks.ROWS)
def test_every_attack_is_held_by_tests_that_there_are(number: str) -> None:
    assert len(attacks.ATTACKS[number]) >= 4  # itself and three variants
    for entry in attacks.TESTS[number].split("; "):
        file, _, words = entry.partition(": ")
        if file == "faults.py":
            assert all(any(word in name for name in faults.CAMPAIGNS) for word in words.split(", "))
            continue
        source = (Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8")
        names = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
        for word in words.split(", "):
            assert any(word.replace(" ", "_") in name for name in names), f"{file} has no test about {word}"


def test_the_table_of_attacks_is_what_its_script_prints() -> None:
    docs = Path(benchmarks.__path__[0]).parent / "docs" / "attacks.md"
    assert docs.read_text(encoding="utf-8") == f"{attacks.table()}\n"
