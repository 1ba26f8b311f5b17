"""The queue as the command line and the pages use it: submit, list, cancel and retry jobs, start a worker."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softh import access, settings
from softh.checkpoints import hub
from softh.checkpoints.files import UPLOAD
from softh.checkpoints.resolve import is_local
from softh.errors import InputError
from softh.jobs import launcher, processes, records, tasks
from softh.jobs.records import Job
from softh.jobs.tasks import SweepRequest
from softh.spec import EstimateSpec, PreferenceSpec

_launched: dict[Path, subprocess.Popen[bytes]] = {}
"""Folder → the worker that this process started last: a child, whose end only its parent can observe."""


MOST_ENDED = 500
"""Ended jobs that are listed."""
_LONGEST_TITLE = 300


def folder(data: Path | None = None) -> Path:
    """Folder of the queue: records, logs and lock. In the data folder, since the cache may be cleared at any time."""
    return (data or settings.data()) / "jobs"


def submit(
    kind: str, spec: str | Mapping[str, Any], *, title: str, options: Mapping[str, Any] | None = None,
    data: Path | None = None,
) -> tuple[Job, bool]:  # fmt: skip
    """Submit a job; returns it and whether it is new, since an open job of the same specification is not queued again.

    kind: what runs it, a key of :data:`softh.jobs.tasks.KINDS`.
    spec: everything that decides the result, as JSON or a mapping.
    options: what decides how it runs, such as ``device``.
    Errors: InputError when the records cannot be written, and for a person who may not start it or has too many open.
    """
    with access.audited("submit job", data, kind=kind, title=title) as facts:
        job, new = _submitted(kind, spec, title, options or {}, data)
        facts["job"], facts["new"] = job.id, new
    return job, new


def _submitted(
    kind: str, spec: str | Mapping[str, Any], title: str, options: Mapping[str, Any], data: Path | None
) -> tuple[Job, bool]:
    person = access.current_user()
    place = folder(data)
    fields = json.loads(spec) if isinstance(spec, str) else dict(spec)
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    title = "".join(letter if letter.isprintable() else " " for letter in title)[:_LONGEST_TITLE]
    number, new = records.add(place, kind, canonical, title, options, person.name, person.jobs)
    return records.one(place, number), new


def submit_spec(
    spec: EstimateSpec | PreferenceSpec | SweepRequest,
    options: Mapping[str, Any] | None = None,
    data: Path | None = None,
    *,
    commit: str | None = None,
    name: str | None = None,
) -> tuple[Job, bool]:
    """:func:`submit` for the specification of a registered kind, with its paths made absolute.

    commit: of a hub model, which is estimated even if its branch moves on.
    name: of the model in the title.
    Errors: as :func:`submit`, and for a model that is neither here nor named as those of the hub are.
    """
    kind = tasks.kind_of(spec)
    if isinstance(model := getattr(spec, "model", None), str):
        _check_model(model)
    title = tasks.KINDS[kind].title(spec, name)
    fields = json.loads(tasks.KINDS[kind].absolute(spec).canonical()) | ({"commit": commit} if commit else {})
    return submit(kind, fields, title=title, options=options, data=data)


def _check_model(model: str) -> None:
    """Refuse a name that no model can have before it is stored and shown to others. Errors: InputError."""
    if not model or not is_local(model):
        hub.check_id(model)
    elif not model.startswith(UPLOAD) and not Path(model).expanduser().exists():
        raise InputError(f"{model} does not exist; expected a folder, a file of weights or a hub id: check the path.")


def listing(states: tuple[str, ...] = (*records.OPEN, *records.ENDED), data: Path | None = None) -> list[Job]:
    """Jobs: the running, then the waiting in their order, then the ended, latest first.

    Every open one, and of the ended the last MOST_ENDED: :func:`unlisted` says how many more there are.
    """
    place = folder(data)
    if not (place / records.FILE).exists():
        return []
    open_states = tuple(state for state in states if state in records.OPEN)
    ended = tuple(state for state in states if state in records.ENDED)
    return [
        *(records.rows(place, open_states) if open_states else []),
        *(records.rows(place, ended, MOST_ENDED) if ended else []),
    ]


def unlisted(data: Path | None = None) -> int:
    """How many ended jobs :func:`listing` leaves out."""
    place = folder(data)
    return max(0, records.count(place, records.ENDED) - MOST_ENDED) if (place / records.FILE).exists() else 0


def find(number: int, data: Path | None = None) -> Job:
    """The job of a number. Errors: InputError when there is none."""
    return records.one(folder(data), number)


def cancel(number: int, data: Path | None = None) -> bool:
    """Cancel a job; its worker stops a running one within seconds. False when it has ended already."""
    place = folder(data)
    with access.audited("cancel job", data, job=number) as facts:
        is_open = facts["open"] = records.stop(place, number)
        if is_open and not launcher.is_running(place):
            records.drop(place, number)  # its process died with its worker, and nothing else would end it
    return is_open


def retry(number: int, data: Path | None = None) -> Job:
    """Submit a failed or cancelled job again, as a new job. Errors: InputError for one in another state."""
    with access.audited("retry job", data, job=number) as facts:
        job = find(number, data)
        if job.state not in {"failed", "cancelled"}:
            raise InputError(f"Job {number} is {job.state}; expected one that failed or was cancelled: choose another.")
        again, _ = _submitted(job.kind, job.spec, job.title, json.loads(job.options), data)
        facts["as"] = again.id
    return again


def delete(number: int, data: Path | None = None) -> None:
    """Delete the record and the log of a job; its result stays. Errors: InputError when it has not ended."""
    place = folder(data)
    with access.audited("dismiss job", data, job=number):
        if not records.delete(place, number):
            job = find(number, data)
            raise InputError(f"Job {number} is {job.state}; expected one that has ended: cancel it first.")
    processes.log_path(place, number).unlink(missing_ok=True)


def log_tail(number: int, data: Path | None = None) -> str:
    """The end of a job's log."""
    return processes.tail(folder(data), number)


def worker_is_running(data: Path | None = None) -> bool:
    """Whether a worker runs."""
    return launcher.is_running(folder(data))


def ensure_worker(data: Path | None = None) -> None:
    """Start a worker when jobs are open and none is running; of two that start at once, one ends at the lock.

    Users without permission start none; SOFTH_WORKER_IDLE=0 means that workers are started in another way.
    """
    place, idle = folder(data), settings.number("SOFTH_WORKER_IDLE")
    if idle == 0 or access.current_user().refusal:
        return
    if (last := _launched.get(place)) and last.poll() is None:
        return
    if not launcher.is_running(place) and listing(records.OPEN, data):
        _launched[place] = launcher.launch(place, idle)
