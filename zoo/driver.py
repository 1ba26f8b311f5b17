"""All jobs of a recipe, several at a time, each in its own process; what is left in the end waits for the next call."""

import multiprocessing
import os
import time
from collections.abc import Callable, Collection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from zoo import cloze, plan, report, tokens
from zoo.job import execute
from zoo.place import Job, Place
from zoo.recipe import Run

GRACE = 25.0
"""Seconds that running jobs get to save where they stand."""
KEEP = 60.0
"""Seconds between two times that everything measured so far is packed, for a machine that may be taken away."""
EVERY = 30.0
"""Seconds between two lines that say where the running jobs are."""


class Driver:
    """Runs jobs until all have ended or the time is up."""

    def __init__(
        self, place: Place, slots: int, minutes: float, say: Callable[[str], object], out: Path | None = None
    ) -> None:
        self.place, self.slots, self.say, self.out = place, slots, say, out
        self.began = time.monotonic()
        self.deadline = self.began + 60 * minutes - GRACE
        self.running: dict[Job, ForkServerProcess] = {}
        threads = max(1, (os.cpu_count() or 1) // slots)
        usual = {"OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        os.environ |= usual | {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"} | os.environ
        self.context = multiprocessing.get_context("forkserver")
        # Children are forked from a process that has imported everything and touched no GPU.
        self.context.set_forkserver_preload(["zoo.job"])

    def run(self, names: Collection[str] | None = None) -> None:
        """Run the jobs (all if none are named), the longest first."""
        tokens.prepare(self.place.library, self.place.work)
        cloze.prepare(self.place.library, self.place.work, self.place.recipe.measure.cloze)
        self._told = self._kept = time.monotonic()
        self.say(f"{self._elapsed()} the text is ready")
        waiting = self.order(names)
        while (waiting or self.running) and time.monotonic() < self.deadline:
            waiting += self._collect()
            self._start(waiting)
            self._tell()
            self._keep()
            time.sleep(0.2)
        self._stop()

    def order(self, names: Collection[str] | None) -> list[Job]:
        """What has not ended yet: what builds on a model (once that has ended), bases, the others by falling cost."""
        cost = {item.name: item.seconds for item in plan.costs(self.place.recipe)}
        jobs = [job for job in self.place.recipe.jobs() if names is None or job.name in names]
        left = [job for job in jobs if not self.place.ended(job)]
        bases = {job.base for job in left if not isinstance(job, Run)}
        last = {job.name for job in left if isinstance(job, Run) and job.ablation}

        def place(job: Job) -> tuple[bool, bool, bool, float]:
            return isinstance(job, Run), job.name not in bases, job.name in last, -cost[job.name]

        return sorted(left, key=place)

    def _start(self, waiting: list[Job]) -> None:
        for job in [*waiting]:
            if len(self.running) >= self.slots:
                return
            if not isinstance(job, Run) and not self._may_follow(job.base, waiting):
                continue
            waiting.remove(job)
            process = self.context.Process(target=execute, args=(self.place, job.name))
            process.start()
            self.running[job] = process
            self.say(f"{self._elapsed()} {job.name} starts")

    def _may_follow(self, base: str, waiting: list[Job]) -> bool:
        """Whether the base has ended, or will not be run at all (then the job says so itself)."""
        return all(job.name != base for job in (*waiting, *self.running))

    def _collect(self) -> list[Job]:
        """Say how jobs ended; those that found no memory beside the others, which are to be tried again."""
        again = []
        for job, process in [*self.running.items()]:
            if process.is_alive():
                continue
            del self.running[job]
            summary = self.place.summary(job)
            status = summary["status"] if process.exitcode == 0 else f"killed ({process.exitcode})"
            self.say(f"{self._elapsed()} {job.name} {status} {summary.get('why', '')}".rstrip())
            if status == "failed" and summary["why"].startswith("OutOfMemoryError"):
                again.append(job)
        return again

    def _tell(self) -> None:
        if time.monotonic() - self._told < EVERY:
            return
        self._told = time.monotonic()
        for job in self.running:
            log = self.place.folder(job) / "log"
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            self.say(f"{self._elapsed()}   {job.name}: {lines[-1] if lines else 'starting'}")

    def _keep(self) -> None:
        if self.out and time.monotonic() - self._kept > KEEP:
            report.pack(self.place, self.out)
            self._kept = time.monotonic()

    def _stop(self) -> None:
        """Have the running jobs save and end; whoever does not in time is killed and resumes from its last save."""
        for process in self.running.values():
            process.terminate()
        limit = time.monotonic() + GRACE
        for process in self.running.values():
            process.join(max(0.1, limit - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self._collect()

    def _elapsed(self) -> str:
        return f"[{time.monotonic() - self.began:6.1f} s]"
