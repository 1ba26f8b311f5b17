"""Hardware of this machine: free memory, GPUs, disk and processor speed, measured without importing torch."""

import json
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from softh import settings

_SIDE = 1024
_REPEATS = 5
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver describes it."""

    name: str
    total: int
    """Bytes."""
    free: int


@dataclass(frozen=True)
class Machine:
    """What is available now."""

    memory: int
    """Bytes of main memory, as :func:`free_memory`."""
    disk: int
    """Bytes free where downloads go."""
    gpus: tuple[Gpu, ...]
    cores: int
    flops: float
    """Float32 multiplications and additions a second on the processor, measured once by a matrix product."""


def this_machine() -> Machine:
    """This machine now. Its speed is measured once, in well under a second, and kept in the cache folder."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(free_memory(), _free_disk(), _gpus(), cores, _flops(cores))


def free_memory() -> int:
    """Bytes of main memory that can be allocated without swapping, within the limit of the container if there is one.

    >>> free_memory() > 0
    True
    """
    free = psutil.virtual_memory().available
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:  # no Linux, or the root of all control groups, which has no limit
        return free
    return free if limit == "max" else min(free, int(limit) - int(used))


def _free_disk() -> int:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _gpus() -> tuple[Gpu, ...]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.rsplit(",", 2) for line in output.splitlines() if line.count(",") >= 2]
    return tuple(Gpu(name.strip(), int(total) << 20, int(free) << 20) for name, total, free in rows)


def _flops(cores: int) -> float:
    machine = [platform.node(), platform.machine(), cores, np.__version__]
    file = settings.cache() / "machine.json"
    try:
        remembered = json.loads(file.read_text(encoding="utf-8"))
        if remembered["machine"] == machine:
            return float(remembered["flops"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never measured, on another machine, or damaged: measure
    measured = _measure()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"machine": machine, "flops": measured}), encoding="utf-8")
    except OSError:
        pass  # a cache that cannot be written costs the measurement again
    return measured


def _measure() -> float:
    matrix = np.ones((_SIDE, _SIDE), dtype=np.float32)
    matrix @ matrix  # the first one starts the threads
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - began)
    return 2 * _SIDE**3 / min(seconds)
