"""Settings: every environment variable that softh reads, with its default and help, and the folders they name.

Nothing heavy is imported here, since pages read settings too.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from softh.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds the package: the checkout, or where an installed softh was put."""


@dataclass(frozen=True)
class Setting:
    """An environment variable. One that is empty counts as not set."""

    name: str
    section: str
    help: str
    default: str | float = ""
    """Value where the variable is not set. A number makes the setting a number."""
    positive: bool = False
    """Whether a number must be above zero; otherwise zero is allowed."""
    choices: tuple[str, ...] = ()
    """The values that are allowed, if not all are."""
    default_help: str = ""
    """The default in words, for one that is not a constant."""


FOLDERS, LIMITS, SERVER, OWN = "Folders", "Limits", "A server for several people", "Set by softh itself"
SETTINGS = (
    Setting(
        "SOFTH_DATA",
        FOLDERS,
        "Folder of the tables (`softh.duckdb`), runs, scores, decks, uploads and the queue.",
        default_help="`data/` of a checkout, else the user's data folder",
    ),
    Setting(
        "SOFTH_RUNS",
        FOLDERS,
        "Where runs are stored instead of `runs/` in the data folder: a shared folder or any URL of fsspec.",
    ),
    Setting(
        "SOFTH_CACHE",
        FOLDERS,
        "Folder of the cached hidden states. It may always be deleted.",
        default_help="`cache/` of a checkout, else the user's cache folder",
    ),
    Setting(
        "SOFTH_MODELS",
        FOLDERS,
        "Folders whose models the page Analyze offers, several separated by `:` (`;` on Windows).",
    ),
    Setting("SOFTH_CACHE_GB", LIMITS, "Largest size of the cache, in GiB.", 16.0, positive=True),
    Setting("SOFTH_UPLOAD_GB", LIMITS, "Largest size of an unpacked upload, in GB.", 20.0, positive=True),
    Setting(
        "SOFTH_WORKER_IDLE",
        LIMITS,
        "Seconds without a job after which a worker that a page started ends. 0: pages start no worker, since one runs "
        "elsewhere.",
        600.0,
    ),
    Setting(
        "SOFTH_HOSTS",
        SERVER,
        "Names that browsers may use for this server, separated by commas, such as `plane.lab.example`. `*`: all.",
        default_help="localhost, the addresses of Streamlit's options, and the host of the sign-in",
    ),
    Setting(
        "SOFTH_FRAMES",
        SERVER,
        "Sites that may show these pages in a frame, separated by commas, such as `https://blog.lab.example`; `*`: all "
        "sites. Meant for pages that only show, since a site can place a frame under a reader's click.",
        default_help="none",
    ),
    Setting("SOFTH_LOG", SERVER, "`json`: web process and worker log one JSON object a line.", choices=("json",)),
    Setting(
        "SOFTH_READ_ONLY",
        SERVER,
        "`1`: the pages only show. No job, upload, deck, score or deletion, no audit line, no worker.",
    ),
    Setting(
        "SOFTH_VIEWERS",
        SERVER,
        "Who may see the pages: addresses and domains, such as `eve@example.org, @lab.example`.",
        default_help="everybody who is signed in",
    ),
    Setting(
        "SOFTH_STARTERS",
        SERVER,
        "Who may see the pages, start jobs, upload and change.",
        default_help="nobody, once people sign in",
    ),
    Setting("SOFTH_USER_JOBS", SERVER, "Open jobs of one person at a time.", 40.0),
    Setting("SOFTH_USER_UPLOAD_GB", SERVER, "Stored uploads of one person, in GB.", 20.0),
    Setting(
        "SOFTH_METRICS_TOKEN",
        SERVER,
        "What `/metrics` expects as `Authorization: Bearer …`. Needed where people sign in.",
    ),
    Setting("SOFTH_JOB", OWN, "Folder and number of the job that a process belongs to, in the processes of jobs."),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def text(name: str) -> str:
    """The value of a setting, its default where it is not set. Errors: InputError for a value that is not allowed."""
    setting = _BY_NAME[name]
    value = os.environ.get(name) or str(setting.default)
    if value and setting.choices and value not in setting.choices:
        raise InputError(
            f"{name} was {value!r}; expected {' or '.join(setting.choices)}, or nothing: set it to "
            f"{setting.choices[0]} or unset it."
        )
    return value


def number(name: str) -> float:
    """The value of a setting that is a number. Errors: InputError for another value, or one out of range."""
    setting = _BY_NAME[name]
    value = text(name)
    try:
        result = float(value)
    except ValueError:
        result = math.nan
    if not math.isfinite(result) or result < 0 or (setting.positive and result == 0):
        least = "above zero" if setting.positive else "of at least zero"
        raise InputError(f"{name} was {value!r}; expected a number {least}: set it to {setting.default:g}, say.")
    return result


def switch(name: str) -> bool:
    """Whether a setting that is on or off is on; what is neither empty nor 0 is on."""
    return text(name) not in {"", "0"}


def checkout() -> Path | None:
    """The folder of the project when softh runs from a checkout; None when it is installed."""
    return ROOT if all((ROOT / name).exists() for name in ("app.py", "pages", "data")) else None


def data() -> Path:
    """Folder of softh.duckdb and runs/: SOFTH_DATA, else data/ of a checkout, else the user's data folder."""
    if named := text("SOFTH_DATA"):
        return Path(named)
    project = checkout()
    return project / "data" if project else platformdirs.user_data_path("softh", appauthor=False)


def use_data(folder: Path) -> None:
    """Have this process, and those that it starts, read the tables of another folder."""
    os.environ.update({"SOFTH_DATA": str(folder.absolute())})


def cache() -> Path:
    """Folder that may always be deleted: SOFTH_CACHE, else cache/ of a checkout, else the user's cache folder."""
    if named := text("SOFTH_CACHE"):
        return Path(named)
    project = checkout()
    return project / "cache" if project else platformdirs.user_cache_path("softh", appauthor=False)


def shipped() -> Path | None:
    """Folder of the tables that an installed softh comes with; None in a checkout, whose data folder holds them.

    They are only read, and only where the user's own data folder has no packed tables: :mod:`softh.store.connection`.
    """
    folder = Path(__file__).resolve().with_name("shipped")
    return folder if folder.is_dir() and checkout() is None and not text("SOFTH_DATA") else None


def runs() -> str | None:
    """URL of the share where runs are stored instead of runs/ in the data folder: SOFTH_RUNS, if it is set."""
    return text("SOFTH_RUNS") or None


def uploads() -> Path:
    """Folder of accepted checkpoints, each named by its content; they exist nowhere else."""
    return data() / "uploads"


def texts() -> Path:
    """Folder of uploaded texts; they exist nowhere else."""
    return data() / "texts"


def roots() -> list[Path]:
    """Folders whose models the page Analyze offers: SOFTH_MODELS; none unless it is set."""
    return [Path(part).expanduser() for part in text("SOFTH_MODELS").split(os.pathsep) if part]
