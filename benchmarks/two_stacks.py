"""Whether `softh compare` calls two stacks of one checkpoint alike and two checkpoints different.

`python -m benchmarks.two_stacks [--output FILE]` needs no network. The checkpoint is the toy of 3 M parameters in
data/demo, the text a frozen sample of Python's help. Three runs, each in tables of its own:

- the checkpoint in float32 on the CPU,
- the same in bfloat16 on the GPU, or on the CPU where there is none,
- the checkpoint after a few more steps of training on other documents, in float32 on the CPU.

The first two are one checkpoint on two stacks, the first and the third are two checkpoints whose difference is real.
Prints what compare finds of both pairs: verdict, exit status, differences with their errors.
"""

import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

import softh
from softh import FrozenSample
from softh.text import corpus

DEMO = Path("data/demo/toy-olmo2-3m-seed0.tar.gz")
DOCUMENTS, CONTEXT, DRAWS, STEPS, RATE = 64, 128, 16, 30, 1e-4
TOLERANCE = 0.005
"""Largest difference, in log n, of H, I(X;Z) and I(Y;Z) at any layer between two stacks."""
EXPECTED = {"two stacks": "agrees", "two checkpoints": "differs"}


def main(output: Annotated[Path | None, typer.Option(help="File for the results as JSON.")] = None) -> None:
    """Measure three times, compare twice, and print."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["SOFTH_CACHE"] = str(folder / "cache")
        first = unpack(folder)
        passages = [topics[name] for name in sorted(topics)]
        tokenizer = PreTrainedTokenizerFast.from_pretrained(first)
        text = corpus.sample("python-docs, every fourth", passages[::4], DOCUMENTS, 0, "Python's help, PSF licence.")
        sample = FrozenSample.write(
            folder / "sample", tokenizer, text, documents=DOCUMENTS, context=CONTEXT, orders=(1,)
        )
        gpu = torch.cuda.is_available()
        measure(first, sample, folder / "float32", "float32", "cpu")
        measure(first, sample, folder / "bfloat16", "bfloat16", "cuda" if gpu else "cpu")
        second = train_on(first, tokenizer, [each for number, each in enumerate(passages) if number % 4], folder)
        measure(second, sample, folder / "trained", "float32", "cpu")
        found = {
            "two stacks": compare(folder / "float32", folder / "bfloat16", first.name, first.name),
            "two checkpoints": compare(folder / "float32", folder / "trained", first.name, second.name),
        }
    show(found)
    if output is not None:
        about = {
            "machine": platform.processor() or platform.machine(), "torch": torch.__version__,
            "gpu": torch.cuda.get_device_name() if gpu else None, "documents": DOCUMENTS, "context": CONTEXT,
            "draws": DRAWS, "steps": STEPS, "tolerance": TOLERANCE,
        }  # fmt: skip
        output.write_text(json.dumps({"about": about, **found}, indent=1) + "\n")
    sys.exit(int(any(found[name]["verdicts"]["tolerance"] != verdict for name, verdict in EXPECTED.items())))


def unpack(folder: Path) -> Path:
    """The demo checkpoint."""
    with tarfile.open(DEMO) as archive:
        archive.extractall(folder, filter="data")
    return folder / DEMO.name.removesuffix(".tar.gz")


def measure(model: Path, sample: FrozenSample, data: Path, dtype: str, device: str) -> None:
    """Estimate on the frozen sample."""
    softh.estimate(
        str(model), corpus=f"file:{sample.folder}", documents=DOCUMENTS, context=CONTEXT, orders=(1,), draws=DRAWS,
        dtype=dtype, device=device, data=data,
    )  # fmt: skip


def train_on(first: Path, tokenizer: PreTrainedTokenizerFast, passages: list[str], folder: Path) -> Path:
    """The checkpoint after a few steps of AdamW, on the CPU, so that it is the same everywhere."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(first, dtype=torch.float32).train()
    ids = torch.tensor(tokenizer("\n\n".join(passages), verbose=False)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        rows = torch.randint(0, len(ids) - CONTEXT, (8, 1)) + torch.arange(CONTEXT)
        model(input_ids=ids[rows], labels=ids[rows]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    target = folder / f"{first.name}-trained-on"
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def compare(first: Path, second: Path, *names: str) -> dict[str, Any]:
    """What the command says of the estimates in two folders, and its exit status."""
    command = [sys.executable, "-m", "softh", "compare", *names, "--tolerance", str(TOLERANCE), "--json"]
    done = subprocess.run(
        [*command, "--data", str(first), "--other-data", str(second)], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    return {"status": done.returncode, **json.loads(done.stdout)}


def show(found: dict[str, dict[str, Any]]) -> None:
    """A table a pair: every quantity at its place of largest difference, with the 95 % interval, and the mean."""
    console = Console(width=120)
    for name, result in found.items():
        table = Table(title=f"{name}: {result['verdicts']['tolerance']}, exit status {result['status']}")
        for heading in ("", "places", "largest", "±95 %", "at", "mean over layers", "±95 %", "correlation", "real"):
            table.add_column(heading, justify="right")
        lines = {(line["quantity"], line["place"]): line for line in result["lines"]}
        for each in result["summary"]:
            at, mean = lines[each["quantity"], each["at"]], lines[each["quantity"], "mean"]
            numbers = (at["difference"], at["half_width"], mean["difference"], mean["half_width"], each["correlation"])
            largest, wide, middle, width, alike = ("–" if n is None else f"{n:.5f}" for n in numbers)
            table.add_row(
                each["quantity"], str(each["places"]), largest, wide, each["at"], middle, width, alike,
                f"{each['real']} of {each['places']}",
            )  # fmt: skip
        console.print(table)
        console.print("\n".join(result["notes"]))


if __name__ == "__main__":
    typer.run(main)
