"""One job of a recipe, in a process of its own: train, measure and score a model, and leave files that say so."""

import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from softh.errors import InputError
from zoo import models, posttrain, tokens
from zoo.bench import Bench
from zoo.place import Place
from zoo.recipe import PostTraining, Run
from zoo.train import Diverged, Journal, Stopped, train


def execute(place: Place, name: str, *, quiet: bool = True) -> None:
    """Run one job to its end, or to where it stops; its summary says how it ended.

    With `quiet`, output goes to the job's own log.
    """
    job = next(job for job in place.recipe.jobs() if job.name == name)
    folder = place.folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    if quiet:
        sys.stdout = sys.stderr = (folder / "log").open("a", buffering=1)
    summary: dict[str, Any] = {"name": name, "kind": job.kind}
    try:
        if isinstance(job, Run):
            _pretrain(place, job, summary)
        else:
            _post_train(place, job, summary)
        summary["status"] = "finished"
    except Stopped:
        summary["status"] = "stopped"
    except Diverged as error:
        summary |= {"status": "diverged", "why": str(error)}
    except InputError as error:
        summary |= {"status": "failed", "why": str(error)}
    except Exception as error:  # noqa: BLE001  (the other jobs go on; the summary and the log name the error)
        traceback.print_exc()
        summary |= {"status": "failed", "why": f"{type(error).__name__}: {error}"}
    if torch.cuda.is_available():
        summary["memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    tokens.write_atomically(folder / "summary.json", lambda file: file.write(json.dumps(summary, indent=1).encode()))


def _pretrain(place: Place, run: Run, summary: dict[str, Any]) -> None:
    set_up()
    ids = tokens.degrade(np.load(tokens.prepare(place.library, place.work)), run.data)
    folder, journal = place.folder(run), Journal()
    bench = Bench(place, run, run.name, "base", journal, run.steps)
    began = time.monotonic()

    def hook(model: PreTrainedModel, step: int) -> None:
        scores = bench.at(model, step)
        summary["scores"] = {score.task: [score.score, score.stderr] for score in scores}
        seconds, loss = time.monotonic() - began, journal.losses[-1][1] if journal.losses else float("nan")
        sys.stdout.write(f"{seconds:.0f} s, step {step} of {run.steps}, loss {loss:.3f}\n")

    try:
        fast = torch.cuda.is_available()
        model = train(run, place.recipe.sizes[run.size], ids, folder, hook, journal, fast=fast)
    finally:
        summary |= {**asdict(run), **asdict(journal), **journal.seconds}
        summary["tokens"] = journal.step * run.tokens_per_step
    summary["parameters"] = models.parameters(model)
    model.save_pretrained(folder / "model")
    tokens.load_tokenizer().save_pretrained(folder / "model")
    (folder / "resume.pt").unlink()


def _post_train(place: Place, post: PostTraining, summary: dict[str, Any]) -> None:
    set_up()
    run = place.run(post)
    if place.summary(run)["status"] != "finished" or not (place.folder(run) / "model").exists():
        raise InputError(f"{post.name} needs the model {post.base}, which has not finished here: run that first.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = AutoModelForCausalLM.from_pretrained(place.folder(run) / "model", dtype=torch.float32).to(device)
    pairs, held_out = posttrain.load(place.pairs, tokens.load_tokenizer(), run.context)
    began, journal = time.monotonic(), Journal()
    for stage, model in posttrain.post_train(base, pairs, post):
        bench = Bench(place, post, f"{post.base}-{stage}", stage, journal)
        scores = bench.at(model, None, *posttrain.score(model, base, held_out))
        summary[stage] = {score.task: [score.score, score.stderr] for score in scores}
    spent = sum(journal.seconds.values())
    summary |= {**asdict(post), **journal.seconds, "failures": journal.failures}
    summary["training"] = time.monotonic() - began - spent


def set_up() -> None:
    """Numbers that do not change from run to run, and matrix units for float32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings: Any = torch.utils.deterministic
    settings.fill_uninitialized_memory = False
