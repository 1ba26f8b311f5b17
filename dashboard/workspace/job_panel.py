"""The jobs on a page: what runs, what waits, what ended; looked at once a second while one is open."""

from collections.abc import Callable
from functools import partial

import polars as pl
import streamlit as st

from dashboard.format import plain
from dashboard.server import auth
from softh import access, jobs
from softh.errors import InputError
from softh.jobs import Job
from softh.jobs.format import ago, progress

EVERY = 1.0
"""Seconds between two looks."""
LATEST = 8
"""Ended jobs that are shown."""
_ICONS = {"done": "check_circle", "failed": "error", "cancelled": "cancel"}


def panel(show: Callable[[str], None]) -> None:
    """The queue, whose open jobs look after themselves: only they run again. `show` draws a finished estimate."""
    ended, busy = jobs.listing(jobs.ENDED), bool(jobs.listing(jobs.OPEN))
    notices()  # of those that ended since the page began
    if said := st.session_state.get("said"):
        st.error(said)
    if not (ended or busy):
        st.caption("No job yet.")
    st.fragment(_open, run_every=EVERY if busy else None)({job.id for job in ended}, busy)
    st.session_state.pop("said", None)  # not before: the fragment may run the page again
    for job in ended[:LATEST]:
        _ended(job, show)


def look() -> None:
    """What every page does for the queue first; nothing where pages only show."""
    if not auth.read_only():
        keep_working()
        notices()


def notices() -> None:
    """A short word for every job that ended since this session last looked, on whatever page it is."""
    ended = {job.id: job for job in jobs.listing(jobs.ENDED)}
    seen = st.session_state.setdefault("ended_jobs", set(ended))
    for number in sorted(set(ended) - seen):
        job = ended[number]
        said = "is on the plane" if job.state == "done" else f"{job.state}{f': {job.message}' if job.message else ''}"
        st.toast(f"{job.title} {said}", icon=f":material/{_ICONS[job.state]}:")
    st.session_state["ended_jobs"] = set(ended)


@st.cache_resource(ttl=5, show_spinner=False)
def keep_working() -> None:
    """See that somebody works on what is queued, whoever restarted what."""
    jobs.ensure_worker()


def _open(ended: set[int], busy: bool) -> None:
    """What runs and what waits; the page around runs again when a job has ended, or there is work again."""
    keep_working()
    working = jobs.listing(jobs.OPEN)
    if busy != bool(working) or ended != {job.id for job in jobs.listing(jobs.ENDED)}:
        st.rerun()
    for job in working:
        if job.state == "running":
            _running(job)
    _waiting([job for job in working if job.place is not None])


def _running(job: Job) -> None:
    with st.container(border=True, key=f"job-{job.id}"):
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.progress(job.share, text=f"**{job.title}**: {progress(job)}; {plain(ago(job))}")
        if _changes() and right.button("Cancel", key=f"cancel-{job.id}", icon=":material/stop_circle:"):
            _act(partial(jobs.cancel, job.id))
        _log(job)


def _waiting(waiting: list[Job]) -> None:
    if not waiting:
        return
    st.caption(f"{len(waiting)} waiting{'' if jobs.worker_lives() else '; no worker runs yet'}")
    rows = [{"Place": job.place, "Job": job.id, "What": job.title, "Note": job.message or "", "When": ago(job)}
            for job in waiting]  # fmt: skip
    st.dataframe(pl.DataFrame(rows), hide_index=True, height=min(38 + 35 * len(rows), 260))
    if not _changes():
        return
    titles = {job.id: f"{job.id}: {job.title}" for job in waiting}
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    chosen = left.multiselect("Waiting jobs to cancel", list(titles), format_func=lambda number: titles.get(number, ""))
    if right.button("Cancel these", disabled=not chosen, icon=":material/stop_circle:"):
        _act(lambda: [jobs.cancel(number) for number in chosen])


def _ended(job: Job, show: Callable[[str], None]) -> None:
    with st.container(border=True, key=f"job-{job.id}"):
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(f":material/{_ICONS[job.state]}: **{job.title}** {job.state}, {plain(ago(job))}")
        if _changes() and right.button("Dismiss", key=f"dismiss-{job.id}", help="Forget the job; its estimate stays."):
            _act(partial(jobs.delete, job.id))
        if job.state == "done" and job.result is not None:
            if job.kind == "sweep":
                st.caption(job.result)
            else:
                show(job.result)
            return
        if job.message:
            st.error(job.message)
        if _changes() and st.button("Retry", key=f"retry-{job.id}", icon=":material/replay:"):
            _act(partial(jobs.retry, job.id))
        _log(job)


def _log(job: Job) -> None:
    if _changes() and st.toggle("Log", key=f"log-{job.id}"):
        st.code(jobs.log_tail(job.id) or "Nothing yet.", language=None, height=200)


def _changes() -> bool:
    """Whether the reader may change jobs, and so may read their logs, which tell of this machine."""
    return not access.at_work().refusal


def _act(action: Callable[[], object]) -> None:
    try:
        action()
    except InputError as error:
        st.session_state["said"] = str(error)
    st.rerun()
