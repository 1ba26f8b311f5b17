"""The information plane of language models: what they keep and what they forget."""

import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "estimate"]

# Matrices that go through NumPy and SciPy are small, and OpenBLAS's threads wait for each other longer than they work:
# a probe took 50 s with two and 9 s with one. torch, which runs the models, has threads of its own. OpenBLAS reads this
# once, when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def __getattr__(name: str) -> Any:
    """Import :func:`softh.api.estimate` on first use: it brings torch, which takes seconds."""
    if name == "estimate":
        from softh.api import estimate

        return estimate
    raise AttributeError(f"module 'softh' has no attribute {name!r}")
