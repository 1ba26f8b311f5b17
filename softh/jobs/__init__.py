"""A durable queue of jobs: estimates, preference probes and sweeps, run by a worker one after another.

Nothing here imports torch or transformers, so pages may use it; each job runs in its own process (:mod:`runner`).
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
    unlisted,
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
    "unlisted",
    "worker_is_running",
]
