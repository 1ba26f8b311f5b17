"""Where tables and remembered hidden states are kept; imports nothing heavy, since pages ask too."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def data() -> Path:
    """Folder of softh.duckdb and runs/: SOFTH_DATA, or data/ of the project."""
    return Path(os.environ.get("SOFTH_DATA") or ROOT / "data")


def cache() -> Path:
    """Folder of what may always be deleted: SOFTH_CACHE, or cache/ of the project. SOFTH_CACHE_GB bounds its size."""
    return Path(os.environ.get("SOFTH_CACHE") or ROOT / "cache")
