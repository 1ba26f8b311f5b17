"""A killed estimate leaves whole estimates only: the store opens and nothing half-written shows."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import kills
from softh.store import read
from tests.tiny import save_model, save_text

ROUNDS = 12


def command(model: Path, text: Path, folder: Path, seed: int) -> subprocess.Popen:
    arguments = [sys.executable, "-m", "softh", "estimate", str(model), "--corpus", f"file:{text}", "--documents", "24"]
    arguments += ["--context", "64", "--draws", "2", "--seed", str(seed), "--data", str(folder / "data")]
    environment = {**os.environ, "SOFTH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(arguments, env=environment, start_new_session=True, **quiet)


@pytest.mark.real
def test_kill_at_random_moments_leaves_only_whole_estimates(tmp_path: Path) -> None:
    model, text = save_model(tmp_path / "tiny"), save_text(tmp_path / "text.jsonl")
    began = time.perf_counter()
    assert command(model, text, tmp_path, seed=0).wait() == 0
    seconds = time.perf_counter() - began
    chance, finished = random.Random(0), 1

    def killed(seed: int, share: float) -> bool:
        """Whether it had finished before."""
        process = command(model, text, tmp_path, seed)
        time.sleep(seconds * share)
        process.send_signal(signal.SIGKILL)
        return process.wait() == 0

    with ThreadPoolExecutor(2) as two:
        for seed in range(1, ROUNDS + 1, 2):
            # Imports take most of the time: half of the kills aim at the work and the write at its end.
            finished += sum(two.map(killed, (seed, seed + 1), (chance.uniform(0.7, 1.1), chance.uniform(0, 1))))
            stored = read.estimates(tmp_path / "data")
            assert read.warnings(tmp_path / "data") == []
            assert finished <= len(stored) <= seed + 2
            assert stored["positions"].min() > 0
    print(f"\n{ROUNDS} kills within {seconds:.1f} s each, {len(stored)} whole estimates, {finished} finished before")  # noqa: T201
    process = command(model, text, tmp_path, seed=ROUNDS + 1)
    assert process.wait() == 0
    assert len(read.estimates(tmp_path / "data")) == len(stored) + 1


@pytest.mark.real
def test_kills_of_worker_job_and_app_end_every_job_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOFTH_DATA", "SOFTH_CACHE", "SOFTH_WORKER_IDLE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what the benchmark sets is undone with this
    found = kills.torture(6, tmp_path)
    print(f"\n{json.dumps(found, indent=1)}")  # noqa: T201
    assert sum(found["states"].values()) == found["submitted"] >= kills.OPEN
    assert found["states"].get("done", 0) >= found["submitted"] - 1
    for name in ("ended_not_once", "lost", "orphans", "half_files"):
        assert found[name] == [], name
