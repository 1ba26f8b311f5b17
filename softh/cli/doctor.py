"""The command ``softh doctor``: checks of the installation and of every stored file, each with its remedy."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import typer

from softh import settings
from softh.cli.options import Data, folder
from softh.errors import InputError
from softh.format import format_size
from softh.jobs import client, records
from softh.store import read, schema, write

LEAST_FREE = 5e9
"""Bytes of disk below which an estimate may run out of space."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    what: str
    state: str
    remedy: str = ""
    """What to do; empty when nothing is wrong."""


def doctor(data: Data = None) -> None:
    """Check the installation, the device, the folders and every stored file; exit code 2 when something is wrong."""
    wrong = 0
    for finding in examine(folder(data)):
        wrong += bool(finding.remedy)
        typer.echo(f"{'✗' if finding.remedy else '✓'} {finding.what}: {finding.state}")
        if finding.remedy:
            typer.echo(f"  → {finding.remedy}")
    if wrong:
        raise typer.Exit(2)


def examine(data: Path) -> Iterator[Finding]:
    """Run every check, in order; no stored file is changed."""
    yield Finding("Python", sys.version.split()[0])
    yield _packages()
    yield from _settings()
    yield _device()
    yield from _tables(data)
    yield from _share(data)
    yield from _others(data)
    yield _cache()
    yield from (_folder(name, place) for name, place in (("data", data), ("cache", settings.cache())))
    yield _browser()


def _packages() -> Finding:
    """Installed packages against the pins of a checkout, or against what an installed softh requires."""
    project = settings.checkout()
    if project is None:
        return _required()
    wrong = []
    for line in (project / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name, _, pinned = line.partition(";")[0].strip().partition("==")
        if pinned and (installed := _version(name)) != pinned:
            wrong.append(f"{name} {installed or 'missing'} instead of {pinned}")
    if wrong:
        return Finding("packages", "; ".join(wrong), "run `pip install -r requirements.txt`.")
    return Finding("packages", "all as pinned")


def _required() -> Finding:
    """What is missing of the packages that softh needs, and which of its extras are complete."""
    try:
        requirements = requires("softh") or []
    except PackageNotFoundError:
        return Finding("packages", "not known, since softh was not installed by pip")
    missing: dict[str, list[str]] = {}
    for requirement in requirements:
        package, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        names = missing.setdefault(extra[1] if extra else "", [])
        name = re.match(r"[\w.-]+", package)
        if name and _version(name[0]) is None:
            names.append(name[0])
    if absent := missing.pop("", []):
        return Finding("packages", f"without {', '.join(absent)}", "run `pip install --force-reinstall softh`.")
    extras = [extra for extra, names in missing.items() if not names]
    return Finding("packages", f"all that softh needs; extras: {', '.join(extras) or 'none'}")


def _version(name: str) -> str | None:
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return None


def _settings() -> Iterator[Finding]:
    """The environment variables that have a wrong value."""
    for setting in settings.SETTINGS:
        try:
            settings.number(setting.name) if isinstance(setting.default, float) else settings.text(setting.name)
        except InputError as error:
            yield Finding("setting", str(error), "correct it, and start softh again.")


def _device() -> Finding:
    if _version("torch") is None:
        return Finding("device", "not known without torch", "run `pip install softh`.")
    import torch  # takes seconds; the other commands do without

    if not torch.cuda.is_available():
        return Finding("device", f"no GPU that torch {torch.__version__} can use; estimates run on the CPU")
    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    free = format_size(torch.cuda.mem_get_info()[0])
    return Finding("device", f"{', '.join(names)}; {free} free on the first")


def _tables(data: Path) -> Iterator[Finding]:
    try:
        read.check(data)
        estimates, problems, oldest = read.estimates(data), read.invalid_files(data), read.oldest(data)
    except InputError as error:
        yield Finding("tables", str(error), "move the file away, or restore a backup with `softh restore`.")
        return
    newest = schema.version()
    older = f", some of schema {oldest}, which `softh pack` brings up to {newest}" if oldest < newest else ""
    yield Finding("tables", f"{estimates.height} estimates of {estimates['model'].n_unique()} models{older}")
    for problem in problems:
        yield Finding("run", problem, "remove the file, and estimate again or restore a backup.")


def _share(data: Path) -> Iterator[Finding]:
    """The share of SOFTH_RUNS, if there is one: whether it answers, and how many runs it lacks."""
    if settings.runs() is None:
        return
    try:
        read.refresh()
    except InputError as error:
        yield Finding(
            "share", str(error), "check SOFTH_RUNS, the network and your access, then run `softh doctor` again."
        )
    else:
        runs = len(read.list_runs(data))
        yield Finding(
            "share", f"answers, {runs} runs" if runs else "answers, and has no run: check that it is the right one"
        )
    if pending := read.pending_uploads(data):
        yield Finding(
            "share", f"lacks {len(pending)} run files of {data}", "run `python -m softh pack` when it answers."
        )


def _others(data: Path) -> Iterator[Finding]:
    """Decks and the queue, where they are damaged."""
    for deck in sorted((data / "decks").glob("*.json")):
        try:
            json.loads(deck.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            yield Finding("deck", f"{deck} cannot be read ({error})", "restore a backup, or remove the file.")
    queue = client.folder(data) / records.FILE
    if queue.exists() and (wrong := _damage(queue)):
        yield Finding(
            "queue", f"{queue} is damaged ({wrong})", "stop the worker and move the folder away; submit again."
        )


def _damage(queue: Path) -> str | None:
    """SQLite's report on the damage of the queue's file; None when it is intact."""
    try:
        with closing(sqlite3.connect(f"{queue.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            [(report,), *_] = connection.execute("PRAGMA quick_check").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if report == "ok" else report


def _cache() -> Finding:
    """How many remembered values were damaged, and were computed again."""
    from softh.models import cache  # torch takes seconds; the other commands do without

    try:
        damaged = cache.count_damaged(settings.cache())
    except InputError as error:
        return Finding("cache", "cannot be used", str(error))
    if damaged:
        remedy = f"check the disk of {settings.cache()}; every value was computed again, and no number was changed."
        return Finding("cache", f"{damaged} values were damaged", remedy)
    return Finding("cache", "no value was damaged")


def _folder(name: str, place: Path) -> Finding:
    free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free
    state = f"{place}, {format_size(free)} free"
    if name == "data":
        try:
            write.check_writable(place)
        except InputError as error:
            return Finding(name, f"{place} cannot be written", str(error))
    if free < LEAST_FREE:
        return Finding(name, state, f"free some space there: below {format_size(LEAST_FREE)} an estimate may stop.")
    return Finding(name, state)


def _browser() -> Finding:
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome", "chromium-browser"))), None)
    return Finding("browser", program or "none: PDF and PNG are not exported here, SVG and HTML are")
