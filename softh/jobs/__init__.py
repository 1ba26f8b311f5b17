"""A durable queue of estimates: submit one, watch it, cancel it; a worker runs them one after another.

Nothing here imports torch or transformers, so pages may use it; a job runs in a process of its own (`child`).
"""

from softh.jobs.client import (
    cancel,
    delete,
    ensure_worker,
    find,
    folder,
    listing,
    log_tail,
    retry,
    submit,
    submit_spec,
    worker_is_running,
)
from softh.jobs.records import ENDED, OPEN, Job
from softh.jobs.tasks import KINDS, SweepRequest

__all__ = [
    "ENDED",
    "KINDS",
    "OPEN",
    "Job",
    "SweepRequest",
    "cancel",
    "delete",
    "ensure_worker",
    "find",
    "folder",
    "listing",
    "log_tail",
    "retry",
    "submit",
    "submit_spec",
    "worker_is_running",
]
