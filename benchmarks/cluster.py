"""A sweep on a cluster that loses a machine: ``python -m benchmarks.cluster [--points N]``.

Trains the run of zoo/small.toml on the text that every Python carries, keeps N log-spaced checkpoints, and sweeps them
three times with the command line: on this machine alone, on a Ray cluster of two nodes (two raylets here) of which one
is killed when half is stored, and with submitit's local executor. The tables must be equal to the bit and nothing may
be stored twice; what came of it goes to benchmarks/results/cluster.json.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

from softh.callback import log_spaced
from softh.store import read
from zoo import models, recipe, tokens
from zoo.train import Stream, adamw, update

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
PASSING = {"seconds", "created_at"}
"""Columns of an estimate that say when it was made, not what it says."""
Watch = Callable[[int], None]
"""Called now and then with the number of stored estimates."""


def main(points: int = 24) -> None:
    """Train, sweep three times, compare, and write what was found."""
    scratch = Path(tempfile.mkdtemp(prefix="softh-cluster-"))
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    torch.set_num_threads(1)
    try:
        asked = write_recipe(scratch, train(scratch / "softh-zoo", points))
        local, local_said = sweep(scratch, asked, "local")
        found = {"local": local_said, "ray": on_ray(scratch, asked, local), "submitit": on_slurm(scratch, asked, local)}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    about = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "torch": torch.__version__}
    RESULTS.write_text(json.dumps(about | found, indent=1) + "\n")
    print(RESULTS.read_text())


def train(folder: Path, points: int) -> list[Path]:
    """Checkpoints of the run, a folder each, named by their steps."""
    read_ = recipe.load(ROOT / "zoo" / "small.toml")
    run = replace(read_.runs[0], checkpoints=points)
    text = tokens.END.join(tokens.Library(tokens.BUILT_IN).train())
    ids = np.array(tokens.load_tokenizer()(text, verbose=False)["input_ids"], dtype=np.uint16)
    model = models.build(run, read_.sizes[run.size]).train()
    optimizer, stream = adamw(model, run), Stream(run, ids, 0, torch.device("cpu"))
    marks, kept = set(log_spaced(run.steps, points)), []
    for step in range(run.steps + 1):
        if step in marks:
            kept.append(folder / run.name / f"step{step}")
            model.save_pretrained(kept[-1])
            tokens.load_tokenizer().save_pretrained(kept[-1])
        if step < run.steps:
            update(model, optimizer, run, stream.batch(step), step)
    return kept


def write_recipe(scratch: Path, checkpoints: list[Path]) -> Path:
    """A recipe of all checkpoints, with the settings that zoo/small.toml measures with."""
    asked = recipe.load(ROOT / "zoo" / "small.toml").measure
    head = f"[estimate]\ndocuments = {asked.documents}\ncontext = {asked.context}\ndraws = {asked.draws}\n"
    path = scratch / "recipe.toml"
    path.write_text(head + "".join(f"[[model]]\nid = '{folder}'\n" for folder in checkpoints))
    return path


def sweep(scratch: Path, asked: Path, name: str, *options: str, watch: Watch = lambda stored: None) -> tuple[Any, Any]:
    """Sweep into a folder and with a cache of its own: the tables that it made, and what it took."""
    data, began = scratch / name, time.monotonic()
    alone = os.environ | {"SOFTH_CACHE": str(scratch / f"{name}-cache")}
    command = [sys.executable, "-m", "softh", "sweep", str(asked), "--device", "cpu", "--data", str(data), *options]
    with (scratch / f"{name}.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=alone, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            watch(len(list((data / "runs").glob("*.parquet"))))
            time.sleep(0.2)
        log.seek(0)
        said = log.read()
    assert process.returncode == 0, said
    lines = [line for line in said.splitlines() if re.search(r"/step\d+$", line)]
    assert len(lines) == len(set(lines)), "something was stored twice"
    return tables(data), {"seconds": round(time.monotonic() - began), "stored": len(lines)}


def tables(data: Path) -> dict[str, Any]:
    """Every estimate by its id, with all rows and columns that say what it found."""
    found = {}
    for name in read.estimates(data)["estimate_id"].to_list():
        record = read.record(data, name)
        estimate = {column: value for column, value in record["estimate"].items() if column not in PASSING}
        # Where a model came from is said by the run that was stored last, and a cluster stores in another order.
        model = {column: value for column, value in record["model"].items() if column != "source"}
        found[name] = record | {"estimate": estimate, "model": model}
    return found


def compared(tables: dict[str, Any], local: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """What was found, with the verdict; a difference in one bit is an error."""
    numbers = [len(record["measures"]) for record in tables.values()]
    assert set(tables) == set(local), f"{len(tables)} estimates instead of {len(local)}"
    for name, record in tables.items():
        assert record == local[name], f"{name} differs: {difference(record, local[name])}"
    return said | {"estimates": len(tables), "measures": sum(numbers), "equal_to_the_bit": True}


def difference(found: Any, expected: Any, where: str = "") -> str:
    """The first place where two records differ, with what stands there in both."""
    if type(found) is type(expected) and isinstance(found, dict) and found.keys() == expected.keys():
        pairs = [(f"{where}.{key}", found[key], expected[key]) for key in found]
    elif type(found) is type(expected) and isinstance(found, list) and len(found) == len(expected):
        pairs = [(f"{where}[{at}]", *pair) for at, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return f"{where}: {found!r} and {expected!r}"
    return next(difference(a, b, place) for place, a, b in pairs if a != b)


def on_ray(scratch: Path, asked: Path, local: dict[str, Any]) -> dict[str, Any]:
    """Two raylets of one core each; the one without the driver's services dies when half is stored."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other, killed_at = [cluster.add_node(num_cpus=1)], []

    def watch(stored: int) -> None:
        if other and stored >= len(local) // 2:
            cluster.remove_node(other.pop(), allow_graceful=False)
            killed_at.append(stored)

    try:
        made, said = sweep(scratch, asked, "ray", "--engine", "ray", "--address", cluster.address, watch=watch)
    finally:
        cluster.shutdown()
    assert killed_at, "no node was killed"
    return compared(made, local, said | {"nodes": 2, "node_killed_when_stored": killed_at[0]})


def on_slurm(scratch: Path, asked: Path, local: dict[str, Any]) -> dict[str, Any]:
    """Processes that submitit starts here."""
    made, said = sweep(scratch, asked, "submitit", "--engine", "slurm")
    return compared(made, local, said)


if __name__ == "__main__":
    typer.run(main)
