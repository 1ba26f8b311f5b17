"""What part of a training's time the estimates of InformationPlane take at their default settings.

`python -m benchmarks.callback [--steps N]` trains an OLMo2 model on the text that every Python carries (20 M parameters
on a GPU, 1 M on a CPU), estimates as it goes and prints how many estimates there were and what they took. The same
training without them stands beside it.
"""

import time

import numpy as np
import torch
import typer

from softh.callback import InformationPlane
from zoo import models, tokens
from zoo.recipe import Run, Size
from zoo.train import Stream, adamw, update

LARGE = Size(width=384, layers=8, heads=6, hidden=1024)
SMALL = Size(width=64, layers=4, heads=4, hidden=192)


def main(steps: int = 0) -> None:
    """Train twice, and print one line for each."""
    gpu = torch.cuda.is_available()
    size, batch, context = (LARGE, 64, 512) if gpu else (SMALL, 8, 256)
    run = Run(
        name="bench", architecture="olmo2", size="", steps=steps or (2000 if gpu else 400), lr=1e-3, batch=batch,
        context=context,
    )  # fmt: skip
    text = tokens.END.join(tokens.Library(tokens.BUILT_IN).train())
    ids = np.array(tokens.load_tokenizer()(text, verbose=False)["input_ids"], dtype=np.uint16)
    for estimates in (False, True):
        records: list[object] = []
        plane = InformationPlane("bench", tokens.load_tokenizer(), run.steps, save=records.append)
        whole = train(run, size, ids, plane if estimates else None)
        share = plane.seconds / (whole - plane.seconds)
        print(
            f"{run.steps} steps in {whole:6.1f} s, of them {len(records):2} estimates in {plane.seconds:5.1f} s: "
            f"{share:.2%} of the training's own time"
        )


def train(run: Run, size: Size, ids: np.ndarray, plane: InformationPlane | None) -> float:
    """Seconds of a whole training."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = models.build(run, size).to(device).train()
    optimizer, stream = adamw(model, run), Stream(run, ids, 0, device)
    began = time.monotonic()
    for step in range(run.steps + 1):
        if plane is not None:
            plane.at(model, step)
        if step < run.steps:
            update(model, optimizer, run, stream.batch(step), step)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - began


if __name__ == "__main__":
    typer.run(main)
