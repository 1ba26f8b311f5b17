"""The measurements of benchmarks/ and the pretraining of zoo/ follow the library: every module of them imports."""

import importlib
import pkgutil
from importlib.util import find_spec

import pytest

import benchmarks
import zoo

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
