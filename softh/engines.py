"""Where the units of a sweep run: processes of this machine, tasks of a Ray cluster, or jobs of Slurm."""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from softh import paths
from softh.errors import InputError
from softh.spec import EstimateSpec

TRIES = 2
"""A unit that failed is tried once more, on another machine where there is one; then it is set aside."""

Answer = dict[str, Any]
"""What a unit came to: the rows of its estimate under ``record``, or one sentence under ``refused`` or ``lost``."""


@dataclass(frozen=True)
class Outcome:
    """The end of one unit."""

    spec: EstimateSpec
    record: dict[str, Any] | None
    """Rows for :func:`softh.store.write.save`; None when the unit is set aside."""
    why: str
    """Why it is set aside, in one sentence."""


class Engine(Protocol):
    """A place where units run; it knows nothing of the store."""

    places: int
    """Units worth starting at a time."""

    def start(self, spec: EstimateSpec) -> Any:
        """Start a unit; what it returns names the unit to the other methods."""

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those that have ended; returns within about a second, also with none."""

    def answer(self, unit: Any) -> Answer:
        """What an ended unit came to."""

    def close(self) -> None:
        """End whatever still runs."""


def run(specs: Iterable[EstimateSpec], engine: Engine, tries: int = TRIES) -> Iterator[Outcome]:
    """Every unit once, as it ends, in no order; a unit whose process or machine goes away is tried again."""
    waiting = deque((spec, 1) for spec in specs)
    running: dict[Any, tuple[EstimateSpec, int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < engine.places:
                spec, attempt = waiting.popleft()
                running[engine.start(spec)] = spec, attempt
            for unit in engine.done([*running]):
                spec, attempt = running.pop(unit)
                answer = engine.answer(unit)
                if "record" not in answer and attempt < tries:
                    waiting.append((spec, attempt + 1))
                    continue
                yield Outcome(spec, answer.get("record"), answer.get("refused") or answer.get("lost", ""))
    finally:
        engine.close()


def work(spec: EstimateSpec, device: str, *, bar: bool = False) -> Answer:
    """Estimate one unit in this process; what its author can mend comes back as a sentence, on whatever machine."""
    from softh.estimate import estimate
    from softh.memo import open_cache
    from softh.progress import Bar

    try:
        with open_cache(paths.cache()) as cache, Bar() as shown:
            return {"record": estimate(spec, device=device, cache=cache, progress=shown if bar else None).record()}
    except InputError as error:
        return {"refused": str(error)}


class Local:
    """Processes of this machine, one for each GPU, or one: what a unit takes of memory comes back when it ends."""

    def __init__(self, device: str = "auto") -> None:
        import torch

        self.device, self.gpus = device, torch.cuda.device_count() if device in ("auto", "cuda") else 0
        self.places = max(1, self.gpus)
        self._context = multiprocessing.get_context("spawn")
        self._units: dict[Connection, Any] = {}
        self._busy: dict[Connection, int] = {}

    def start(self, spec: EstimateSpec) -> Connection:
        """A new process, on a GPU of its own where there are several."""
        ours, theirs = self._context.Pipe(duplex=False)
        gpu = min(set(range(self.places)) - {*self._busy.values()})
        visible = str(gpu) if self.gpus > 1 else None
        process = self._context.Process(target=_child, args=(theirs, spec, self.device, visible), daemon=True)
        process.start()
        theirs.close()
        self._units[ours], self._busy[ours] = process, gpu
        return ours

    def done(self, running: Sequence[Connection]) -> Sequence[Connection]:
        """Pipes that hold an answer, or that nobody holds the other end of any more."""
        return [pipe for pipe in wait(running, timeout=1) if isinstance(pipe, Connection)]

    def answer(self, unit: Connection) -> Answer:
        """What came through the pipe."""
        process = self._units.pop(unit)
        del self._busy[unit]
        try:
            answer = unit.recv()
        except EOFError:
            answer = None
        process.join()
        unit.close()
        return answer or {"lost": f"Its process ended with code {process.exitcode} before it answered."}

    def close(self) -> None:
        """End all processes."""
        for process in self._units.values():
            process.terminate()
            process.join()


class Ray:
    """Tasks of a Ray cluster, each on one GPU where the cluster has any; all machines must hold softh at one path."""

    def __init__(self, device: str = "auto", address: str | None = None) -> None:
        import ray
        import ray.exceptions

        self._ray, self.device = ray, device
        root = str(Path(__file__).parent.parent)
        settings = {name: os.environ[name] for name in ("SOFTH_CACHE", "HF_ENDPOINT", "HF_HOME") if name in os.environ}
        self._ours = not ray.is_initialized()
        if self._ours:
            ray.init(
                address,
                log_to_driver=False,
                configure_logging=False,
                include_dashboard=None if address else False,
                runtime_env={"env_vars": {"PYTHONPATH": root, **settings}},
            )
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        # A lost task is counted and started again by the driver, not by Ray.
        self._task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD")(work)
        self.places = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))

    def start(self, spec: EstimateSpec) -> Any:
        """A task, queued by Ray until a machine has room."""
        return self._task.remote(spec, self.device)

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Tasks that have ended."""
        return self._ray.wait(list(running), num_returns=1, timeout=1)[0]

    def answer(self, unit: Any) -> Answer:
        """Its answer, or that its worker or machine is gone."""
        try:
            return self._ray.get(unit)
        except self._ray.exceptions.RayTaskError as error:
            return {"lost": f"It failed with {str(error).splitlines()[-1]}"}
        except self._ray.exceptions.RayError as error:
            return {"lost": f"Its worker or machine went away ({type(error).__name__})."}

    def close(self) -> None:
        """Leave the cluster, or end the one started here; tasks that still run end with their driver."""
        if self._ours:
            self._ray.shutdown()


class Slurm:
    """Jobs of Slurm, through submitit; without Slurm on this machine, processes that submitit starts here."""

    EVERY = 0.5

    def __init__(
        self, device: str = "auto", partition: str | None = None, minutes: int = 240, places: int = 64
    ) -> None:
        import submitit

        self.device, self.places = device, places
        self._executor = submitit.AutoExecutor(paths.cache() / "slurm")
        if self._executor.cluster == "local":
            self.places = max(1, (os.cpu_count() or 1) // 2)
        wishes = {"timeout_min": minutes, "name": "softh", "slurm_partition": partition}
        gpus = {} if device == "cpu" or self._executor.cluster == "local" else {"gpus_per_node": 1}
        self._executor.update_parameters(**{name: wish for name, wish in wishes.items() if wish is not None}, **gpus)

    def start(self, spec: EstimateSpec) -> Any:
        """A job, queued by Slurm."""
        return self._executor.submit(work, spec, self.device)

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Jobs that have ended."""
        time.sleep(self.EVERY)
        return [job for job in running if job.done()]

    def answer(self, unit: Any) -> Answer:
        """Its answer, or that the job is gone."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            return unit.result()
        except FailedJobError as error:
            return {"lost": f"Its job failed: {str(error).strip().splitlines()[-1]}"}
        except UncompletedJobError:
            return {"lost": f"Its job ended as {unit.state} before it answered."}

    def close(self) -> None:
        """Jobs end by themselves; those of a driver that was stopped are cancelled by hand, as Slurm's users do."""


def _child(answer: Connection, spec: EstimateSpec, device: str, visible: str | None) -> None:
    """The process of one unit; torch sees only the GPU that is its own."""
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    answer.send(work(spec, device, bar=visible is None))
