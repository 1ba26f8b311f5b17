"""Timing and reporting that the measurements share."""

import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

SHORT = "--short" in sys.argv
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RESULTS: dict[str, Any] = {}
LINES: list[str] = []


def say(line: str) -> None:
    LINES.append(line)
    print(line, flush=True)


def clock(run: Callable[[], object], repeats: int = 9) -> list[float]:
    """Milliseconds of each repeat, sorted, after two that do not count."""
    found = []
    for repeat in range(repeats + 2):
        if DEVICE == "cuda":
            torch.cuda.synchronize()
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            began.record()
            run()
            ended.record()
            torch.cuda.synchronize()
            spent = began.elapsed_time(ended)
        else:
            start = time.perf_counter()
            run()
            spent = 1e3 * (time.perf_counter() - start)
        if repeat > 1:
            found.append(spent)
    return sorted(found)


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """The same launches as a CUDA graph: what the device needs, however slow the host is."""
    if DEVICE == "cpu":
        return run
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def report(name: str, times: list[float], base: float | None = None) -> float:
    """One line: median, range and the part of the base."""
    median = statistics.median(times)
    part = f"{median / base:8.2%}" if base else ""
    say(f"{name:58}{median:10.3f} ms ({times[0]:.3f} to {times[-1]:.3f}, n {len(times)}) {part}")
    RESULTS[name] = {"ms": times, "of": base}
    return median


def guard(part: Callable[[], None]) -> None:
    """Run a part; a failure of one does not lose the rest."""
    try:
        part()
    except Exception:  # noqa: BLE001  (whatever it is, it is printed, and the other parts go on)
        say("FAILED: " + traceback.format_exc())
