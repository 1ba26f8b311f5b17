"""One job of a recipe, in a process of its own: train, measure and score a model, and leave files that say so."""

import gzip
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from softh import corpus
from softh.callback import InformationPlane
from softh.corpus import Corpus
from softh.errors import InputError
from zoo import cloze, models, posttrain, tokens
from zoo.recipe import PostTraining, Recipe, Run
from zoo.scores import Score, Scorer
from zoo.train import Diverged, Journal, Stopped, train

PREFIX = "zoo-"
"""In front of the names of all models of the zoo."""
SOURCE = "zoo/recipe.toml"


@dataclass(frozen=True)
class Place:
    """Where the jobs find their input and leave their output."""

    library: tokens.Library
    pairs: Path
    work: Path

    def folder(self, name: str) -> Path:
        """Everything that one job leaves."""
        return self.work / "runs" / name

    def summary(self, name: str) -> dict[str, Any]:
        """What the job said when it last ended; empty before that."""
        path = self.folder(name) / "summary.json"
        return json.loads(path.read_text()) if path.exists() else {}


@dataclass
class Bench:
    """Estimates and scores one model of the zoo; the same for all of them."""

    recipe: Recipe
    place: Place
    name: str
    """Without the prefix."""
    stage: str
    steps: int = 1
    tokens_per_step: int | None = None
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"estimating": 0.0, "scoring": 0.0})

    def corpora(self, documents: int) -> list[Corpus]:
        """Samples of the held-out books and of web text; of Python's own documentation where there are no books."""
        library, seed = self.place.library, self.recipe.measure.seed
        if library.built_in:
            return [corpus.load(str(tokens.BUILT_IN), documents, seed)]
        books, web = library.heldout(), tokens.read_texts(library.folder / "c4-sample.jsonl")
        note = "24 held-out books, mostly fiction before 1930, public domain."
        return [
            corpus.sample("books-heldout", books, documents, seed, note),
            corpus.sample("c4-sample", web, documents, seed, "Web text of C4, ODC-BY."),
        ]

    @cached_property
    def plane(self) -> InformationPlane:
        """The hook that estimates at all of the points."""
        asked = asdict(self.recipe.measure)
        settings = {key: asked[key] for key in ("documents", "context", "draws", "orders", "seed")}
        return InformationPlane(
            PREFIX + self.name,
            tokens.load_tokenizer(),
            self.steps,
            corpora=self.corpora(asked["documents"]),
            share=None,
            tokens_per_step=self.tokens_per_step,
            save=self._keep,
            source=SOURCE,
            **settings,
        )

    @cached_property
    def scorer(self) -> Scorer:
        """The scores, prepared when they are first needed."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        asked = self.recipe.measure
        passages = cloze.prepare(self.place.library, self.place.work, asked.cloze)
        return Scorer(passages, self.corpora(asked.score_documents), asked.grammar, self.recipe.context, device)

    def at(self, model: PreTrainedModel, step: int | None, *known: Score) -> list[Score]:
        """Estimate and score a model at a step, or a finished one; a file holds what was found and what was known."""
        self._records: list[dict[str, Any]] = []
        # A copy, so that nothing which measuring hangs on the model gets in the way of its compiled layers.
        model = deepcopy(model).eval()
        with self._clock("estimating"):
            self._estimate(model, step)
        with self._clock("scoring"):
            scores = [*self.scorer.score(model), *known]
        found = {"records": self._records, "scores": self._rows(scores, step)}
        path = self.place.folder(self.name) / f"at-{'main' if step is None else f'{step:08d}'}.json.gz"
        rows = gzip.compress(json.dumps(found, default=str).encode(), mtime=0)
        tokens.write_atomically(path, lambda file: file.write(rows))
        return scores

    def _estimate(self, model: PreTrainedModel, step: int | None) -> None:
        """Estimate; when other jobs have taken the GPU's memory, wait for it, and at last go on without."""
        for _ in range(5):
            try:
                self.plane.estimate(model, step)
            except torch.OutOfMemoryError:
                self._records.clear()
                time.sleep(2)
            else:
                break
            finally:
                torch.cuda.empty_cache()  # what estimates take is far more than training needs
        else:
            self.failures.append(f"step {step} has no estimate: the GPU's memory was taken")

    def _rows(self, scores: list[Score], step: int | None) -> list[dict[str, Any]]:
        """Rows of the table `benchmarks`; those of the last step also stand for the finished model."""
        model = {"model": PREFIX + self.name, "source": SOURCE}
        rows = [] if step is None else [{**model, "revision": f"step{step}", **asdict(score)} for score in scores]
        if step in (None, self.steps):
            rows += [{**model, "revision": None, **asdict(score)} for score in scores]
        return rows

    def _keep(self, record: dict[str, Any]) -> None:
        record["model"] |= {"stage": self.stage, "weights": "safetensors"}
        self._records.append(record)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] += time.monotonic() - began


def execute(recipe: Recipe, name: str, place: Place, *, quiet: bool = True) -> None:
    """Run one job to its end, or to where it stops; its summary says how it ended.

    With `quiet`, output goes to the job's own log.
    """
    folder = place.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    if quiet:
        sys.stdout = sys.stderr = (folder / "log").open("a", buffering=1)
    job = next(job for job in recipe.jobs() if job.name == name)
    summary: dict[str, Any] = {"name": name, "kind": job.kind}
    try:
        run = _pretrain if isinstance(job, Run) else _post_train
        run(recipe, job, place, summary)
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


def _pretrain(recipe: Recipe, run: Run, place: Place, summary: dict[str, Any]) -> None:
    set_up()
    ids = tokens.degrade(np.load(tokens.prepare(place.library, place.work)), run.data)
    bench = Bench(recipe, place, run.name, "base", run.steps, run.tokens_per_step)
    journal = Journal()
    began = time.monotonic()

    def hook(model: PreTrainedModel, step: int) -> None:
        scores = bench.at(model, step)
        summary["scores"] = {score.task: [score.score, score.stderr] for score in scores}
        seen = f"{time.monotonic() - began:.0f} s, step {step} of {run.steps}"
        sys.stdout.write(f"{seen}, loss {journal.losses[-1][1] if journal.losses else float('nan'):.3f}\n")

    try:
        fast = torch.cuda.is_available()
        model = train(run, recipe.sizes[run.size], ids, place.folder(run.name), hook, journal, fast=fast)
    finally:
        summary |= {**asdict(run), "tokens": journal.step * run.tokens_per_step, "training": journal.training}
        summary |= {"hooks": journal.hooks, "step": journal.step, "losses": journal.losses, **bench.seconds}
        summary |= {"failures": bench.failures, "wall": time.monotonic() - began}
    summary["parameters"] = models.parameters(model)
    model.save_pretrained(place.folder(run.name) / "model")
    tokens.load_tokenizer().save_pretrained(place.folder(run.name) / "model")
    (place.folder(run.name) / "resume.pt").unlink()


def _post_train(recipe: Recipe, post: PostTraining, place: Place, summary: dict[str, Any]) -> None:
    set_up()
    if place.summary(post.base).get("status") != "finished":
        raise InputError(f"{post.name} needs {post.base}, which has not finished: run that first.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = AutoModelForCausalLM.from_pretrained(place.folder(post.base) / "model", dtype=torch.float32).to(device)
    pairs, held_out = posttrain.load(place.pairs, tokens.load_tokenizer(), recipe.run(post.base).context)
    began = time.monotonic()
    for stage, model in posttrain.post_train(base, pairs, post):
        bench = Bench(recipe, place, f"{post.base}-{stage}", stage)
        scores = bench.at(model, None, *posttrain.score(model, base, held_out))
        summary[stage] = {score.task: [score.score, score.stderr] for score in scores}
    summary |= {**asdict(post), "training": time.monotonic() - began}


def set_up() -> None:
    """Numbers that do not change from run to run, and matrix units for float32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
