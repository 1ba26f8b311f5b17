"""The information plane of language models: what they keep and what they forget."""

import os

__version__ = "0.1.0"

# Matrices that go through NumPy and SciPy are small, and OpenBLAS's threads wait for each other longer than they work:
# a probe took 50 s with two and 9 s with one. torch, which runs the models, has threads of its own. OpenBLAS reads this
# once, when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def __getattr__(name: str) -> object:
    """``softh.estimate`` without an import of its own; torch comes with it, so not before somebody asks."""
    if name == "estimate":
        from importlib import import_module

        return import_module("softh.estimate")
    raise AttributeError(f"module 'softh' has no attribute {name!r}")
