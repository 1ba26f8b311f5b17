"""The panel of jobs: what runs, what waits, what ended; polled once a second while one is open."""

import os
from collections.abc import Callable
from functools import partial

import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.controls import session
from dashboard.server import auth
from softh import access, jobs
from softh.errors import InputError
from softh.jobs import Job
from softh.jobs.format import ago, overall, progress

POLL_SECONDS = 1.0
LATEST = 8
"""Ended jobs that are shown."""
_BUSY = 2.0
"""Threads that want to run for each core, from which the panel says so; a job alone has about one."""
_ICONS = {"done": "check_circle", "failed": "error", "cancelled": "cancel"}


def panel(show: Callable[[str], None]) -> None:
    """The queue; while a job is open, only the open ones are drawn again. `show` draws a finished estimate."""
    ended, busy = jobs.listing(jobs.ENDED), bool(jobs.listing(jobs.OPEN))
    toast_finished()  # those that ended since the page began
    if error := session.JOB_ERROR.get():
        st.error(escape.prose(error))
    if not (ended or busy):
        st.caption("No job yet.")
    st.fragment(_open, run_every=POLL_SECONDS if busy else None)({job.id for job in ended}, busy)
    session.JOB_ERROR.pop()  # not before: the fragment may run the page again
    for job in ended[:LATEST]:
        _ended(job, show)
    if len(ended) > 1 and _may_change() and st.button(
        f"Clear {len(ended)} ended jobs", key="clear-ended", icon=":material/clear_all:",
        help="Forget jobs that ended; their estimates stay.",
    ):  # fmt: skip
        _act(lambda: [jobs.delete(job.id) for job in ended])


def poll() -> None:
    """See that a worker runs and announce finished jobs, on every page; nothing where pages only show."""
    if not auth.read_only():
        ensure_worker()
        toast_finished()


def toast_finished() -> None:
    """A toast for every job that ended since this session last polled, on whatever page it is."""
    ended = {job.id: job for job in jobs.listing(jobs.ENDED)}
    seen = session.ENDED_JOBS.get()
    for number in sorted(ended.keys() - (ended.keys() if seen is None else seen)):
        job = ended[number]
        outcome = job.state if not job.message else f"{job.state}: {job.message}"
        st.toast(
            f"{escape.markdown(job.title)} {'is on the plane' if job.state == 'done' else escape.prose(outcome)}",
            icon=f":material/{_ICONS[job.state]}:",
        )
    session.ENDED_JOBS.set(frozenset(ended))


@st.cache_resource(ttl=5, show_spinner=False)
def ensure_worker() -> None:
    """Start a worker where jobs wait and none runs, whatever was restarted; asked at most every five seconds."""
    jobs.ensure_worker()


def _open(ended: set[int], busy: bool) -> None:
    """Running and waiting jobs; the page around runs again when a job has ended, or the queue is no longer empty."""
    ensure_worker()
    open_jobs = jobs.listing(jobs.OPEN)
    if busy != bool(open_jobs) or ended != {job.id for job in jobs.listing(jobs.ENDED)}:
        st.rerun()
    running = [job for job in open_jobs if job.state == "running"]
    for job in running:
        _running(job)
    if running and (busy_machine := _load()):
        st.caption(busy_machine)
    _waiting([job for job in open_jobs if job.place is not None])


def _running(job: Job) -> None:
    with st.container(border=True, key=f"job-{job.id}"):
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.progress(
            overall(job),
            text=f"**{escape.markdown(job.title)}**: {escape.markdown(progress(job))}; {escape.markdown(ago(job))}",
        )
        if _may_change() and right.button("Cancel", key=f"cancel-{job.id}", icon=":material/stop_circle:"):
            _act(partial(jobs.cancel, job.id))
        _log(job)


def _load() -> str:
    """That jobs take longer than estimated, while much more wants to run than there are cores; else empty."""
    cores, wanted = os.cpu_count() or 1, os.getloadavg()[0]
    if wanted < _BUSY * cores:
        return ""
    return f"The machine is busy: about {wanted:.0f} threads share {cores} cores, so jobs take longer than estimated."


def _waiting(waiting: list[Job]) -> None:
    if not waiting:
        return
    st.caption(f"{len(waiting)} waiting{'' if jobs.worker_is_running() else '; no worker runs yet'}")
    rows = [{"Place": job.place, "Job": job.id, "What": job.title, "Note": job.message or "", "When": ago(job)}
            for job in waiting]  # fmt: skip
    st.dataframe(pl.DataFrame(rows), hide_index=True, height=min(38 + 35 * len(rows), 260))
    if not _may_change():
        return
    titles = {job.id: f"{job.id}: {job.title}" for job in waiting}
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    chosen = left.multiselect("Waiting jobs to cancel", list(titles), format_func=lambda number: titles.get(number, ""))
    if right.button("Cancel these", disabled=not chosen, icon=":material/stop_circle:"):
        _act(lambda: [jobs.cancel(number) for number in chosen])


def _ended(job: Job, show: Callable[[str], None]) -> None:
    with st.container(border=True, key=f"job-{job.id}"):
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(
            f":material/{_ICONS[job.state]}: **{escape.markdown(job.title)}** {job.state}, {escape.markdown(ago(job))}"
        )
        if _may_change() and right.button(
            "Dismiss", key=f"dismiss-{job.id}", help="Forget the job; its estimate stays."
        ):
            _act(partial(jobs.delete, job.id))
        if job.state == "done" and job.result is not None:
            kind = jobs.KINDS.get(job.kind)
            if kind is not None and kind.stores:
                show(job.result)
            else:
                st.caption(escape.markdown(job.result))
            return
        if job.message:
            st.error(escape.prose(job.message))
        if _may_change() and st.button("Retry", key=f"retry-{job.id}", icon=":material/replay:"):
            _act(partial(jobs.retry, job.id))
        _log(job)


def _log(job: Job) -> None:
    if _may_change() and st.toggle("Log", key=f"log-{job.id}"):
        st.code(jobs.log_tail(job.id) or "Nothing yet.", language=None, height=200)


def _may_change() -> bool:
    """Whether the reader may change jobs, and so may read their logs, which tell of this machine."""
    return not access.current_user().refusal


def _act(action: Callable[[], object]) -> None:
    try:
        action()
    except InputError as error:
        session.JOB_ERROR.set(str(error))
    st.rerun()
