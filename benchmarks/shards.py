"""One sample in eight document shards on Ray against one piece: ``python -m benchmarks.shards [--shards N]``.

The demo checkpoint, Python's own documentation; both as `softh sweep` runs them. Says the largest difference of all
numbers, what both took, the bytes of all assignments, and how much larger the sums of every label and fold would be.
"""

import json
import os
import platform
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import typer

from benchmarks.cluster import ROOT
from softh.estimator.entropies import label
from softh.spec import EstimateSpec
from softh.sweeps import clusters, engine, local
from softh.text import corpus
from zoo import tokens

RESULTS = ROOT / "benchmarks" / "results" / "shards.json"


def main(shards: int = 8, documents: int = 160, draws: int = 4) -> None:
    """Estimate twice, compare, and write what was found."""
    scratch = Path(tempfile.mkdtemp(prefix="softh-shards-"))
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "SOFTH_CACHE": str(scratch / "cache")}
    try:
        with tarfile.open(next((ROOT / "data" / "demo").glob("*.tar.gz"))) as archive:
            archive.extractall(scratch / "demo", filter="data")
        model = next((scratch / "demo").rglob("config.json")).parent
        spec = EstimateSpec(model=str(model), documents=documents, draws=draws)
        began = time.monotonic()
        whole = only(engine.run([spec], local.LocalEngine("cpu")))
        middle = time.monotonic()
        split = only(engine.run_sharded([spec], clusters.RayEngine("cpu"), shards))
        ended = time.monotonic()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "shards": shards,
        "draws": draws,
        "seconds": {"one_piece": round(middle - began), "shards_on_ray": round(ended - middle)},
        "same_id": whole["estimate"]["estimate_id"] == split["estimate"]["estimate_id"],
        "numbers": sum(1 for _ in values(whole)),
        "largest_difference": max(abs(a - b) for a, b in zip(values(whole), values(split), strict=True)),
        **sizes(spec, whole["model"]["layers"] + 1),
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(RESULTS.read_text())


def only(outcomes: Any) -> dict[str, Any]:
    """The record of the one outcome."""
    [outcome] = outcomes
    assert outcome.record is not None, outcome.why
    return outcome.record


def values(record: dict[str, Any]) -> Any:
    """Every value, standard error and draw."""
    for row in record["measures"]:
        for value in (row["value"], row["se_draws"], row["se_documents"], *(row["draws"] or ())):
            yield 0.0 if value is None else value


def sizes(spec: EstimateSpec, layers: int) -> dict[str, Any]:
    """Positions, bytes of their assignments, and rows of sums (a label in a fold) that shards would have to add up."""
    text = corpus.load(spec.corpus, spec.documents, spec.seed)
    tokenized = corpus.tokenize(text, tokens.load_tokenizer(), spec.context, max(spec.orders))
    found = label(tokenized, spec, "cpu")
    rows = sum(len(grouping.row_begin) for grouping in (*found.groups.values(), found.whole))
    positions = len(found.positions)
    return {
        "positions": positions,
        "assignment_bytes": 4 * positions * layers * spec.draws * (spec.bins + 1),
        "rows_of_sums": rows,
        "sums_over_assignments": round(8 * rows / (4 * positions), 2),
    }


if __name__ == "__main__":
    typer.run(main)
