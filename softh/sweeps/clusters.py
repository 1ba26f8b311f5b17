"""Engines of several machines: tasks of a Ray cluster, and jobs of Slurm."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softh import settings as paths
from softh.sweeps.engine import Engine, Task, TaskResult, run_task

_PASSED_ON = ("SOFTH_CACHE", "HF_ENDPOINT", "HF_HOME")
"""Environment variables that the processes of a cluster get from the driver's."""


def runtime_environment() -> dict[str, Any]:
    """Ray's `runtime_env` of worker processes: this installation of softh, and its settings."""
    settings = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Ray hands the interpreter to a shell as it is: with a space in its path no worker would ever start.
    python = {"py_executable": shlex.quote(sys.executable)} if " " in sys.executable else {}
    return {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2]), **settings}, **python}


class RayEngine(Engine):
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
                runtime_env=runtime_environment(),
            )
        resources = ray.cluster_resources()
        gpus_each = (gpus or 1) if resources.get("GPU") else 0
        # A lost task is counted and started again by the driver, not by Ray.
        self._task: Any = ray.remote(num_cpus=1, num_gpus=gpus_each, max_retries=0, scheduling_strategy="SPREAD")(
            run_task
        )
        self.max_tasks = max(1, int(resources["GPU"] // gpus_each if gpus_each else resources.get("CPU", 1)))

    def has_capacity(self, task: Task) -> bool:
        """Whether fewer tasks run than the cluster had GPUs or processors for when the sweep began."""
        return self._open < self.max_tasks

    def submit(self, task: Task) -> Any:
        """Queue a task with Ray, which starts it when a machine is free."""
        self._open += 1
        return self._task.remote(task, self.device, free=self.free)

    def poll(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Tasks that have ended."""
        return self._ray.wait(list(handles), num_returns=1, timeout=1)[0]

    def result(self, handle: Any) -> TaskResult:
        """Its result, or that its worker or machine is gone."""
        self._open -= 1
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            return TaskResult(crashed=f"It failed with {str(error).splitlines()[-1]}")
        except self._ray.exceptions.RayError as error:
            return TaskResult(crashed=f"Its worker or machine went away ({type(error).__name__}).")

    def cancel(self, handle: Any) -> None:
        """End the process of a task, or take it out of the queue."""
        self._open -= 1
        self._ray.cancel(handle, force=True)

    def close(self) -> None:
        """Leave a running cluster, or end the one started here."""
        if self._ours:
            self._ray.shutdown()


class SlurmEngine(Engine):
    """Jobs of Slurm, through submitit; without Slurm on this machine, processes that submitit starts here."""

    POLL_SECONDS = 0.5

    def __init__(
        self,
        device: str = "auto",
        partition: str | None = None,
        gpus: int | None = None,
        minutes: int = 240,
        max_tasks: int = 64,
        *,
        free: bool = False,
    ) -> None:
        import submitit

        self.device, self.max_tasks, self.free, self._open = device, max_tasks, free, 0
        self._executor = submitit.AutoExecutor(paths.cache() / "slurm")
        if self._executor.cluster == "local":
            self.max_tasks = max(1, (os.cpu_count() or 1) // 2)
        parameters = {"timeout_min": minutes, "name": "softh", "slurm_partition": partition}
        per_node = {} if device == "cpu" or self._executor.cluster == "local" else {"gpus_per_node": gpus or 1}
        self._executor.update_parameters(
            **{name: value for name, value in parameters.items() if value is not None}, **per_node
        )

    def has_capacity(self, task: Task) -> bool:
        """Whether fewer jobs are submitted than `max_tasks`; Slurm queues what no node is free for."""
        return self._open < self.max_tasks

    def submit(self, task: Task) -> Any:
        """Submit a job."""
        self._open += 1
        return self._executor.submit(run_task, task, self.device, free=self.free)

    def poll(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Jobs that have ended."""
        time.sleep(self.POLL_SECONDS)
        return [job for job in handles if job.done()]

    def result(self, handle: Any) -> TaskResult:
        """Its result, or that the job is gone."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        self._open -= 1
        try:
            return handle.result()
        except FailedJobError as error:
            return TaskResult(crashed=f"Its job failed: {str(error).strip().splitlines()[-1]}")
        except UncompletedJobError:
            return TaskResult(crashed=f"Its job ended as {handle.state} before it returned a result.")

    def cancel(self, handle: Any) -> None:
        """Cancel a job; those of a driver that was killed are cancelled by hand, with scancel."""
        self._open -= 1
        handle.cancel()
