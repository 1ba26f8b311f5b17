"""A checkpoint that is not in the tables lands among them, offline and at all defaults: by command and by page.

`python -m benchmarks.landing [MODEL FOLDER]`: without a folder, the demo checkpoint with its matrices rounded to six
bits, under tokens, as it comes, and under words, as a model with another tokenizer is compared. Prints the minutes, how
many models it lies among, and the three nearest. A folder is tried by command and under words alone.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import polars as pl
import torch
from playwright.sync_api import expect

from benchmarks._states import demo, perturbed
from softh import access
from softh.store import read
from softh.text.sources import DEFAULT
from tests.harness import browser, serving

ROOT = Path(__file__).resolve().parent.parent
BITS = 6
PATIENCE = 1_800_000.0
"""Milliseconds that an estimate on a busy machine may take."""


def made(folder: Path) -> Path:
    """A checkpoint that no table holds, as a folder."""
    model, place = perturbed(demo(), BITS), folder / "my-3m"
    model.module.to(torch.bfloat16).save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    return place


def others(labels: str) -> int:
    """How many models the shipped tables have on the default text under such labels."""
    shipped = read.estimates(ROOT / "data").filter(pl.col("corpus") == DEFAULT, pl.col("labels") == labels)
    return shipped["model"].n_unique()


def by_command(data: Path, folder: Path, labels: str) -> None:
    began = time.perf_counter()
    command = [sys.executable, "-m", "softh", "estimate", str(folder), "--labels", labels]
    settings = {**os.environ, "SOFTH_DATA": str(data)}
    done = subprocess.run(command, text=True, capture_output=True, check=True, env=settings)
    minutes = (time.perf_counter() - began) / 60
    said = [line for line in done.stdout.splitlines() if line.startswith(("On the plane", "Nearest"))]
    print(f"command, {labels}: {minutes:.1f} min, among {others(labels)} models", *said[-2:], sep="\n  ", flush=True)


def by_page(data: Path, folder: Path) -> None:
    """Upload, one click, and the sentence of the page; everything else stands as the page opens."""
    packed = folder.with_name("my-upload.tar.gz")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "my-upload")
    with serving(data) as address, browser() as opened:
        page = opened.new_page()
        page.goto(f"{address}/analyze?way=Upload")
        page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(packed)
        page.get_by_role("button", name="Estimate", exact=True).click(timeout=PATIENCE)
        began = time.perf_counter()
        said = page.get_by_text("Position: I(X;Z)").first
        expect(said).to_be_visible(timeout=PATIENCE)
        minutes = (time.perf_counter() - began) / 60
        print(f"page, tokens: {minutes:.1f} min, among {others('tokens')} models\n  {said.inner_text()}", flush=True)


def main() -> None:
    """Each way once, on a copy of the shipped tables with an empty cache."""
    access.set_identity_provider(access.Person)
    with tempfile.TemporaryDirectory(prefix="softh-landing-") as name:
        scratch = Path(name)
        os.environ |= {"SOFTH_CACHE": f"{name}/cache", "HF_HUB_OFFLINE": "1", "SOFTH_WORKER_IDLE": "5"}
        shutil.copy(ROOT / "data" / "softh.duckdb", scratch)
        if len(sys.argv) > 1:
            by_command(scratch, Path(sys.argv[1]), "words")
            return
        folder = made(scratch)
        by_page(scratch, folder)
        for labels in ("tokens", "words"):
            by_command(scratch, folder, labels)


if __name__ == "__main__":
    main()
