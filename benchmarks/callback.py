"""What part of a training's time the estimates of InformationPlane take.

`python -m benchmarks.callback [--steps N] [--processes N] [--output FILE]` trains an OLMo2 model on the text that every
Python carries (20 M parameters on a GPU, 1 M on a CPU), in one process or with FSDP2 over several, and estimates as it
goes at the steps that the plane chooses so that its share is kept: on a GPU with the default settings, on a CPU, where
the training lasts minutes only, with those of SMALL_SPEC. The same training without estimates stands beside it. Prints
one line for each, and exits with 1 where the share is larger than asked for or an estimate failed.
"""

import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.distributed as dist
import typer
from torch import multiprocessing
from torch.distributed.fsdp import fully_shard

from softh.callback import InformationPlane
from zoo import models, tokens
from zoo.recipe import Run, Size
from zoo.train import Stream

LARGE = Size(width=384, layers=8, heads=6, hidden=1024)
SMALL = Size(width=64, layers=4, heads=4, hidden=192)
SMALL_SPEC: dict[str, Any] = {"documents": 16, "context": 128, "draws": 4, "orders": (1,)}
SHARE = 0.03
"""The default of InformationPlane."""


def main(
    steps: int = 0,
    processes: Annotated[int, typer.Option(help="With more than one, FSDP2 over them.")] = 1,
    output: Annotated[Path | None, typer.Option(help="File for the results as JSON.")] = None,
) -> None:
    """Train twice, and print one line for each."""
    gpu = torch.cuda.is_available()
    batch, context = (64, 512) if gpu else (8, 256)
    run = Run(
        name="bench", architecture="olmo2", size="", steps=steps or (2000 if gpu else 300), lr=1e-3,
        batch=batch // processes, context=context,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if processes > 1:
            multiprocessing.spawn(train_twice, (processes, run, folder), nprocs=processes)
        else:
            train_twice(0, 1, run, folder)
        found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    first, most = found[0], max(each["with estimates"]["share"] for each in found)
    for name in ("without estimates", "with estimates"):
        each = first[name]
        print(
            f"{run.steps} steps in {each['seconds']:6.1f} s {name}, {len(each['steps'])} estimates in "
            f"{each['estimates']:5.1f} s: {each['share']:.2%} of the training's own time; at {each['steps']}"
        )
    print(f"largest share of {processes} processes: {most:.2%}, asked for {SHARE:.0%}")
    failures = [failure for each in found for failure in each["with estimates"]["failures"]]
    print("\n".join(failures))
    if output is not None:
        about = {"torch": torch.__version__, "gpu": torch.cuda.get_device_name() if gpu else None,
                 "cores": os.cpu_count(), "steps": run.steps, "asked": SHARE}  # fmt: skip
        output.write_text(json.dumps({"about": about, "processes": found}, indent=1) + "\n")
    sys.exit(int(most > SHARE or bool(failures)))


def train_twice(rank: int, processes: int, run: Run, folder: Path) -> None:
    """One process: without estimates, then with them; the results are a file of the folder."""
    if processes > 1:
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        store = dist.FileStore(str(folder / "store"), processes)
        dist.init_process_group(backend, store=store, rank=rank, world_size=processes, timeout=timedelta(seconds=300))
    text = tokens.END.join(tokens.Library(tokens.BUILT_IN).train())
    ids = np.array(tokens.load_tokenizer()(text, verbose=False)["input_ids"], dtype=np.uint16)
    ids = ids[rank * len(ids) // processes : (rank + 1) * len(ids) // processes]
    found: dict[str, Any] = {}
    for name in ("without estimates", "with estimates"):
        records: list[dict[str, Any]] = []
        settings = {} if torch.cuda.is_available() else SMALL_SPEC
        plane = InformationPlane(
            "bench", tokens.load_tokenizer(), run.steps, save=records.append, share=SHARE, **settings
        )
        seconds = train(run, ids, plane if name == "with estimates" else None, rank, processes)
        found[name] = {
            "seconds": seconds, "estimates": plane.seconds, "share": plane.seconds / (seconds - plane.seconds),
            "steps": [each["checkpoint"]["step"] for each in records], "failures": plane.failures,
        }  # fmt: skip
    (folder / f"{rank}.json").write_text(json.dumps(found))
    if processes > 1:
        dist.destroy_process_group()


def train(run: Run, ids: np.ndarray, plane: InformationPlane | None, rank: int, processes: int) -> float:
    """Seconds of a whole training."""
    gpu = torch.cuda.is_available()
    device = torch.device(f"cuda:{rank}" if gpu else "cpu")
    if gpu:
        torch.cuda.set_device(device)
    model: Any = models.build(run, LARGE if gpu else SMALL).to(device).train()
    if processes > 1:
        for layer in model.model.layers:
            fully_shard(layer)
        fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.lr)
    stream = Stream(run, ids, 0, device)
    began = time.monotonic()
    for step in range(run.steps + 1):
        if plane is not None:
            plane.at(model, step)
        if step < run.steps:
            batch = stream.batch(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=gpu):
                model(input_ids=batch, labels=batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    if gpu:
        torch.cuda.synchronize()
    return time.monotonic() - began


if __name__ == "__main__":
    typer.run(main)
