"""The engines of several machines: tasks of a Ray cluster, and jobs of Slurm."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softh import settings as paths
from softh.sweeps.engine import Answer, Engine, Unit, work

_PASSED_ON = ("SOFTH_CACHE", "HF_ENDPOINT", "HF_HOME")
"""What the machines of a cluster are told of the driver's environment."""


def surroundings() -> dict[str, Any]:
    """What the processes of a cluster find around them: this folder, and the settings that go along."""
    settings = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Ray hands the interpreter to a shell as it is: with a space in its path no worker would ever start.
    python = {"py_executable": shlex.quote(sys.executable)} if " " in sys.executable else {}
    return {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2]), **settings}, **python}


class Ray(Engine):
    """Tasks of a Ray cluster, each on GPUs of its own where there are any; all machines must hold softh at one path."""

    def __init__(
        self, device: str = "auto", address: str | None = None, gpus: int | None = None, *, free: bool = False
    ) -> None:
        import ray
        import ray.exceptions

        self._ray, self.device, self.free, self._open = ray, device, free, 0
        self._ours = not ray.is_initialized()
        if self._ours:
            ray.init(
                address,
                log_to_driver=False,
                configure_logging=False,
                include_dashboard=None if address else False,
                runtime_env=surroundings(),
            )
        there = ray.cluster_resources()
        each = (gpus or 1) if there.get("GPU") else 0
        # A lost task is counted and started again by the driver, not by Ray.
        self._task: Any = ray.remote(num_cpus=1, num_gpus=each, max_retries=0, scheduling_strategy="SPREAD")(work)
        self.places = max(1, int(there["GPU"] // each if each else there.get("CPU", 1)))

    def room(self, unit: Unit) -> bool:
        """As many as the cluster had room for when the sweep began; Ray keeps the rest waiting."""
        return self._open < self.places

    def start(self, unit: Unit) -> Any:
        """A task, queued by Ray until a machine has room."""
        self._open += 1
        return self._task.remote(unit, self.device, free=self.free)

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Tasks that have ended."""
        return self._ray.wait(list(running), num_returns=1, timeout=1)[0]

    def answer(self, running: Any) -> Answer:
        """Its answer, or that its worker or machine is gone."""
        self._open -= 1
        try:
            return self._ray.get(running)
        except self._ray.exceptions.RayTaskError as error:
            return {"lost": f"It failed with {str(error).splitlines()[-1]}"}
        except self._ray.exceptions.RayError as error:
            return {"lost": f"Its worker or machine went away ({type(error).__name__})."}

    def stop(self, running: Any) -> None:
        """End the process of a task, or take the task back."""
        self._open -= 1
        self._ray.cancel(running, force=True)

    def close(self) -> None:
        """Leave the cluster, or end the one started here."""
        if self._ours:
            self._ray.shutdown()


class Slurm(Engine):
    """Jobs of Slurm, through submitit; without Slurm on this machine, processes that submitit starts here."""

    EVERY = 0.5

    def __init__(
        self,
        device: str = "auto",
        partition: str | None = None,
        gpus: int | None = None,
        minutes: int = 240,
        places: int = 64,
        *,
        free: bool = False,
    ) -> None:
        import submitit

        self.device, self.places, self.free, self._open = device, places, free, 0
        self._executor = submitit.AutoExecutor(paths.cache() / "slurm")
        if self._executor.cluster == "local":
            self.places = max(1, (os.cpu_count() or 1) // 2)
        wishes = {"timeout_min": minutes, "name": "softh", "slurm_partition": partition}
        each = {} if device == "cpu" or self._executor.cluster == "local" else {"gpus_per_node": gpus or 1}
        self._executor.update_parameters(**{name: wish for name, wish in wishes.items() if wish is not None}, **each)

    def room(self, unit: Unit) -> bool:
        """Slurm keeps waiting what it has no room for."""
        return self._open < self.places

    def start(self, unit: Unit) -> Any:
        """A job, queued by Slurm."""
        self._open += 1
        return self._executor.submit(work, unit, self.device, free=self.free)

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Jobs that have ended."""
        time.sleep(self.EVERY)
        return [job for job in running if job.done()]

    def answer(self, running: Any) -> Answer:
        """Its answer, or that the job is gone."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        self._open -= 1
        try:
            return running.result()
        except FailedJobError as error:
            return {"lost": f"Its job failed: {str(error).strip().splitlines()[-1]}"}
        except UncompletedJobError:
            return {"lost": f"Its job ended as {running.state} before it answered."}

    def stop(self, running: Any) -> None:
        """Cancel a job; those of a driver that was killed are cancelled by hand, as Slurm's users do."""
        self._open -= 1
        running.cancel()
