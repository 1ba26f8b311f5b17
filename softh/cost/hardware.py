"""What this machine has to give: memory, GPUs, disk, and how fast it multiplies; asked without importing torch."""

import json
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    """What can be had now."""

    memory: int
    """Bytes of main memory that are free, within the container's bound."""
    disk: int
    """Bytes free where downloads go."""
    gpus: tuple[Gpu, ...]
    cores: int
    flops: float
    """Float32 multiplications and additions a second on the processor, measured once by a matrix product."""


def this_machine() -> Machine:
    """This machine now; its speed is measured the first time, in well under a second, and remembered in the cache."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(_memory(), _disk(), _gpus(), cores, _flops(cores))


def _memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # no Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        bound, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free
    return free if bound == "max" else min(free, int(bound) - int(used))


def _disk() -> int:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _gpus() -> tuple[Gpu, ...]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.rsplit(",", 2) for line in said.splitlines() if line.count(",") >= 2]
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
