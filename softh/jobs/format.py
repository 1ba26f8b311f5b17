"""Progress and times of jobs as text, for the terminal and the pages."""

import re
import time

from softh.format import duration
from softh.jobs.records import Job


def progress(job: Job) -> str:
    """Phase, rate and time left of a running job, place of a waiting one, result of an ended one; one line."""
    if job.state == "running":
        far = ", ".join(filter(None, (_phase(job), _rate(job), _left(job))))
        says = job.message if job.kind == "estimate" else f"now {_of_unit(job.message or '')}"
        return f"{far}; {says}" if job.message else far
    if job.place is not None:
        waits = "next" if job.place == 1 else f"{job.place - 1} before it"
        return f"{waits}; {job.message}" if job.message else waits
    return job.result or job.message or ""


def overall(job: Job) -> float:
    """Fraction of the whole job that is done, 0 to 1: one bar over all phases, which never falls.

    Example:
        >>> from types import SimpleNamespace
        >>> phases = ("text", "forward passes", "statistics")
        >>> [round(overall(SimpleNamespace(phase=name, share=0.5)), 3) for name in phases]
        [0.0, 0.325, 0.8]
    """
    if job.phase is None or job.phase in _BEFORE:
        return 0.0
    begin, end = _SPANS.get(job.phase, (0.0, 1.0))
    return begin + job.share * (end - begin)


def ago(job: Job) -> str:
    """When a job was submitted, and how long it ran or has been running."""
    person = f" by {job.person}" if job.person else ""
    if job.state == "running" and job.started is not None:
        return f"running for {duration(time.time() - job.started)}{person and f', submitted{person}'}"
    ran = ""
    if job.started is not None and job.ended is not None:
        how = "after" if job.state == "cancelled" else "ran"
        ran = f", {how} {duration(job.ended - job.started)}"
    return f"submitted {duration(time.time() - job.submitted)} ago{person}{ran}"


_WORDS = {"model": "reading the checkpoint", "loading": "loading weights", "forward passes": "running the text",
          "statistics": "counting", "text": "reading the text", "pairs": "reading the pairs"}  # fmt: skip
"""Phases as readers know them."""
_BEFORE = ("starting", "text", "model", "pairs")
"""Phases that come in any order and take seconds."""
_SPANS = {"loading": (0.02, 0.05), "forward passes": (0.05, 0.6), "statistics": (0.6, 1.0)}
"""Where the longer ones lie on the bar; a job of one phase has it for itself."""


def _of_unit(message: str) -> str:
    """What one checkpoint of a sweep is at, "run/step8: statistics, 2 of 5", with its phase in words."""
    return re.sub(rf": ({'|'.join(_WORDS)})(?=, \d+ of )", lambda found: f": {_WORDS[found[1]]}", message, count=1)


def _phase(job: Job) -> str:
    if not job.total or job.total == 1:
        return _WORDS.get(job.phase or "starting", job.phase or "")
    documents = job.settings.get("documents")
    if isinstance(documents, int) and job.phase == "forward passes":
        return f"{_WORDS[job.phase]}, {round(job.share * documents)} of {documents} documents"
    parts = " parts" if job.phase == "statistics" else ""
    return f"{_WORDS.get(job.phase or '', job.phase)}, {job.done} of {job.total}{parts}"


def _rate(job: Job) -> str:
    if not job.rate or not job.total or job.total == 1:
        return ""
    documents = job.settings.get("documents")
    if isinstance(documents, int) and job.phase == "forward passes":
        return f"{job.rate * documents / job.total:.1f} documents/s"
    return f"{job.rate:.1f}/s" if job.rate >= 1 else f"{1 / job.rate:.1f} s each"


def _left(job: Job) -> str:
    left = job.seconds_left
    return "" if left is None or not job.total or job.total == 1 else f"{duration(left)} left"
