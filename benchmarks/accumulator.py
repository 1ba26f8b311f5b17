"""Whether parts equal the whole: an accumulator in one update, in shuffled ones, killed and resumed, and merged.

`python -m benchmarks.accumulator [--positions N]` makes hidden states and two label sets, gives them to accumulators in
processes of their own, and compares every value. Updates take turns between NumPy, torch and JAX. The process of the
shuffled updates is killed (SIGKILL) and started again. The peak of each process's own memory stands beside the promise.
Writes benchmarks/results/accumulator.json.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import typer

from softh.accumulator import Accumulator
from softh.estimator.information import Value

WIDTH, TYPES, CLASSES, A_DOCUMENT = 32, 5000, 50, 400
DRAWS, UPDATES, WORKERS, SAVE_EVERY, KILLED_AT = 2, 100, 4, 10, 47
RESULTS = Path(__file__).parent / "results" / "accumulator.json"


class Data:
    """Positions with labels of a Zipf law, in files from which rows are read."""

    def __init__(self, folder: Path, positions: int) -> None:
        self.positions = positions
        self.path = folder / "hidden.f32"
        rng = np.random.default_rng(0)
        weight = 1 / np.arange(1, TYPES + 1)
        self.token = rng.choice(TYPES, positions, p=weight / weight.sum())
        self.kind = (self.token + rng.integers(0, 40, positions)) % CLASSES
        self.document = np.arange(positions) // A_DOCUMENT
        if not self.path.exists():
            means = rng.standard_normal((TYPES, WIDTH))
            with self.path.open("wb") as file:
                for rows in np.array_split(np.arange(positions), max(1, positions // 50_000)):
                    states = means[self.token[rows]] + rng.standard_normal((len(rows), WIDTH))
                    file.write(states.astype(np.float32).tobytes())

    def hidden(self, rows: np.ndarray) -> np.ndarray:
        """States of sorted rows, read and not mapped, so that they are not counted as memory of the process."""
        found = np.empty((len(rows), WIDTH), dtype=np.float32)
        with self.path.open("rb") as file:
            for piece in np.array_split(np.arange(len(rows)), max(1, len(rows) // 4096)):
                first, last = rows[piece[0]], rows[piece[-1]] + 1
                file.seek(int(first) * WIDTH * 4)
                block = np.frombuffer(file.read(int(last - first) * WIDTH * 4), dtype=np.float32)
                found[piece] = block.reshape(-1, WIDTH)[rows[piece] - first]
        return found


class Peak:
    """The most memory of its own that the process has while the block runs, read every 10 ms."""

    def __enter__(self) -> "Peak":
        self.before = self.most = own_memory()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def bytes(self) -> int:
        return self.most - self.before

    def _watch(self) -> None:
        while not self.ended.wait(0.01):
            self.most = max(self.most, own_memory())


def own_memory() -> int:
    """Bytes of this process that are in memory and in no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


def empty(positions: int) -> Accumulator:
    return Accumulator(["layer"], ["token", "kind"], positions=positions, draws=DRAWS, sample="benchmark")


def update(accumulator: Accumulator, data: Data, rows: np.ndarray, number: int) -> None:
    states: Any = data.hidden(rows)
    if number % 3 == 1:
        states = torch.from_numpy(states)
    if number % 3 == 2:
        import jax  # only here: it takes a second and threads of its own

        states = jax.numpy.asarray(states)
    labels = {"token": data.token[rows], "kind": data.kind[rows]}
    accumulator.update({"layer": states}, labels, document=data.document[rows], position=rows)


def parts(positions: int) -> list[np.ndarray]:
    return [np.sort(part) for part in np.array_split(np.random.default_rng(1).permutation(positions), UPDATES)]


def collect(task: str, data: Data, folder: Path) -> Accumulator:
    """The accumulator of a task."""
    accumulator = empty(data.positions)
    if task == "one":
        update(accumulator, data, np.arange(data.positions), 0)
    elif task == "merged":
        for worker in range(WORKERS):
            accumulator.merge(Accumulator.load(folder / f"worker{worker}"))
    else:
        worker = None if task == "shuffled" else int(task.removeprefix("worker"))
        mine = list(range(UPDATES)) if worker is None else list(range(worker, UPDATES, WORKERS))
        done = accumulator.resume(folder / task) if (folder / task / "accumulator.json").exists() else 0
        split = parts(data.positions)
        for count, number in enumerate(mine[done:], done):
            update(accumulator, data, split[number], number)
            if (count + 1) % SAVE_EVERY == 0 or count + 1 == len(mine):
                accumulator.save(folder / task)
            if worker is None and not done and count == KILLED_AT:
                os.kill(os.getpid(), signal.SIGKILL)
    return accumulator


def child(task: str, positions: int, folder: Path) -> None:
    data, began = Data(folder, positions), time.perf_counter()
    torch.ones(8, 8) @ torch.ones(8, 8)  # threads and their memory are there before
    if task not in {"one", "merged"}:
        import jax

        jax.numpy.ones(3)
    split = parts(positions)
    largest = positions if task == "one" else len(split[0])
    promise = empty(positions).memory(batch=largest)
    with Peak() as peak:
        accumulator = collect(task, data, folder)
        collected, kept = time.perf_counter() - began, accumulator.kept
        results = {} if task.startswith("worker") else accumulator.results()
    values = {
        "/".join(key): {name: asdict(each) for name, each in vars(found).items() if isinstance(each, Value)}
        for key, found in results.items()
    }
    report = {
        "collect_s": collected, "all_s": time.perf_counter() - began, "kept": kept, "peak": peak.bytes,
        "promise": promise.peak, "batch": int(largest * WIDTH * 4), "values": values,
    }  # fmt: skip
    (folder / f"{task}.json").write_text(json.dumps(report))


def run(task: str, positions: int, folder: Path) -> int:
    command = [sys.executable, "-m", "benchmarks.accumulator", "--positions", str(positions), "--task", task]
    return subprocess.run([*command, "--folder", str(folder)], check=False).returncode


def numbers(values: Any) -> list[float]:
    if isinstance(values, dict):
        return [number for each in values.values() for number in numbers(each)]
    if isinstance(values, list):
        return [number for each in values for number in numbers(each)]
    return [] if values is None else [float(values)]


def main(positions: int = 2_000_000, task: str = "", folder: Path = Path()) -> None:
    """All tasks, each in a process, and the largest difference of any value, error, draw or fold."""
    if task:
        child(task, positions, folder)
        return
    report: dict[str, Any] = {
        "positions": positions, "width": WIDTH, "draws": DRAWS, "updates": UPDATES, "workers": WORKERS,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__,
    }  # fmt: skip
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        Data(place, positions)
        codes = {name: run(name, positions, place) for name in ("one", "shuffled")}
        assert codes["shuffled"] == -signal.SIGKILL, codes
        for name in ("shuffled", *(f"worker{worker}" for worker in range(WORKERS)), "merged"):
            assert run(name, positions, place) == 0, name
        found = {path.stem: json.loads(path.read_text()) for path in sorted(place.glob("*.json"))}
    one = numbers(found["one"]["values"])
    for name, each in found.items():
        values = numbers(each.pop("values"))
        each["largest_difference"] = max(abs(a - b) for a, b in zip(one, values, strict=True)) if values else None
        report[name] = each
        size = f"peak {each['peak'] / 1e9:.2f} GB of {(each['promise'] + each['batch']) / 1e9:.2f} GB promised"
        print(f"{name:9} {each['all_s']:6.1f} s, {size}, largest difference {each['largest_difference']}")
    report["values_compared"] = len(one)
    if positions >= 2_000_000:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
