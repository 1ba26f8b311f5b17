"""Where tables and remembered hidden states are kept; imports nothing heavy, since pages ask too."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def data() -> Path:
    """Folder of softh.duckdb and runs/: SOFTH_DATA, or data/ of the project."""
    return Path(os.environ.get("SOFTH_DATA") or ROOT / "data")


def runs() -> str | None:
    """URL of the share where runs are kept, instead of runs/ in the folder of the tables: SOFTH_RUNS, if it is set."""
    return os.environ.get("SOFTH_RUNS") or None


def uploads() -> Path:
    """Folder of the checkpoints that were uploaded and accepted, each named by its content; they exist nowhere else."""
    return data() / "uploads"


def texts() -> Path:
    """Folder of the texts that were uploaded; they exist nowhere else."""
    return data() / "texts"


def cache() -> Path:
    """Folder of what may always be deleted: SOFTH_CACHE, or cache/ of the project. SOFTH_CACHE_GB bounds its size."""
    return Path(os.environ.get("SOFTH_CACHE") or ROOT / "cache")


def roots() -> list[Path]:
    """Folders whose models the analyze page offers: SOFTH_MODELS, several apart by ``:``; none unless it says so."""
    return [Path(part).expanduser() for part in os.environ.get("SOFTH_MODELS", "").split(os.pathsep) if part]
