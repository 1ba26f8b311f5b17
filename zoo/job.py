"""One job of a recipe, in a process of its own: train, measure and score a model, and leave files that say so."""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from softh.errors import InputError
from zoo import models, posttrain, quantise, reinforce, tokens
from zoo.bench import Bench
from zoo.place import Place
from zoo.posttrain import Preference
from zoo.recipe import PostTraining, Quantised, Run
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
            _build_on(place, job, summary)
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


def _build_on(place: Place, job: PostTraining | Quantised, summary: dict[str, Any]) -> None:
    """Make and measure the models that one job makes of a finished one."""
    set_up()
    run = place.run(job)
    if place.summary(run)["status"] != "finished" or not (place.folder(run) / "model").exists():
        raise InputError(f"{job.name} needs the model {job.base}, which has not finished here: run that first.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = AutoModelForCausalLM.from_pretrained(place.folder(run) / "model", dtype=torch.float32).to(device).eval()
    pairs, held_out = posttrain.load(place.pairs, tokens.load_tokenizer(), run.context)
    began, journal = time.monotonic(), Journal()
    made = _stages(base, pairs, job, summary) if isinstance(job, PostTraining) else _copies(base, job)
    parent = job.base
    for ending, stage, weights, model in made:
        name = f"{job.base}-{ending}"
        bench = Bench(place, job, name, stage, journal, parent=parent, weights=weights)
        scores = bench.at(model, None, *posttrain.score(model, base, held_out), reinforce.score(model))
        summary[ending] = {score.task: [score.score, score.stderr] for score in scores}
        parent = name if isinstance(job, PostTraining) else parent
    spent = sum(journal.seconds.values())
    summary |= {**asdict(job), **journal.seconds, "failures": journal.failures}
    summary["training"] = time.monotonic() - began - spent


Made = Iterator[tuple[str, str, str, PreTrainedModel]]
"""Ending of the name, stage, weights in words, model; the same object again and again, so each is used at once."""


def _stages(base: PreTrainedModel, pairs: Sequence[Preference], job: PostTraining, summary: dict[str, Any]) -> Made:
    """The model after instruction tuning, then after DPO, then after reinforcement learning."""
    model, weights = deepcopy(base), "float32, trained here"
    posttrain.sft(model, pairs, job)
    yield "sft", "sft", weights, model
    posttrain.dpo(model, pairs, job)
    yield "dpo", "dpo", weights, model
    if job.rl_steps:
        summary["rewards"] = reinforce.reinforce(model, job)
        yield "rlvr", "rlvr", weights, model


def _copies(base: PreTrainedModel, job: Quantised) -> Made:
    """The model with fewer bits a weight."""
    for bits in job.bits:
        weights = f"{bits} bits, rounded to nearest in groups of {job.group}"
        yield f"q{bits}", "base", weights, quantise.quantised(base, bits, job.group)


def set_up() -> None:
    """Numbers that do not change from run to run, and matrix units for float32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings: Any = torch.utils.deterministic
    settings.fill_uninitialized_memory = False
