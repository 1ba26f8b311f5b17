"""Measures a model of the zoo: estimates of the plane and scores, the same for every model, one file a checkpoint."""

import gzip
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from softh.callback import InformationPlane
from softh.errors import InputError
from softh.models import loading
from softh.preference import pairs, probe
from softh.preference.pairs import Pairs
from softh.spec import Labels, PreferenceSpec
from softh.text import corpus
from softh.text.corpus import Corpus
from zoo import cloze, posttrain, tokens
from zoo.place import Job, Place
from zoo.recipe import Run
from zoo.scores import Score, Scorer
from zoo.train import Journal

ATTEMPTS = 5
ARCHITECTURES = {
    "olmo2": "OLMo 2", "llama": "Llama", "gpt_neox": "GPT-NeoX", "gpt2": "GPT-2", "qwen3": "Qwen3", "mamba2": "Mamba 2",
}  # fmt: skip
"""Name of each architecture as its authors write it."""


def named(run: Run, model: str) -> str:
    """Name on the screen of a model made from a run: wherever it stands, it says that it was not published.

    >>> run = Run(name="olmo2-60m-seed0", architecture="olmo2", size="xl", steps=8, lr=1.0)
    >>> named(run, "olmo2-60m-seed0-sft")
    'toy-60M-seed0-sft (OLMo 2 architecture, trained here)'
    """
    rest = (run.name.partition("-")[2] or run.name) + model.removeprefix(run.name)
    size, *more = rest.split("-")
    return f"{'-'.join(['toy', size.upper(), *more])} ({ARCHITECTURES[run.architecture]} architecture, trained here)"


@dataclass
class Bench:
    """Estimates and scores one model."""

    place: Place
    job: Job
    model: str
    """Its name in the tables, without the prefix."""
    stage: str
    journal: Journal
    """Takes note of the time spent and of what failed."""
    steps: int | None = None
    """Of the whole training; None for a model whose steps are not counted."""
    parent: str | None = None
    """The model that it was made from, named as `model` is."""
    weights: str = "float32, trained here"

    def at(self, model: PreTrainedModel, step: int | None, *known: Score) -> list[Score]:
        """Estimate and score a model at a step, or a finished one; a file holds what was found and what was known."""
        self._records: list[dict[str, Any]] = []
        # A copy, so that nothing which measuring hangs on the model gets in the way of its compiled layers.
        model = deepcopy(model).eval()
        last = step == self.steps
        for plane in (self.plane, *self.along, *(self.finished if last else ())):
            self._measure("estimate", plane.estimate, model, step)
        if self.place.recipe.measure.pairs and (last or self.model in self.place.recipe.measure.probed):
            self._measure("preference probe", self._probe, model, step)
        with self._clock("scoring"):
            scores = [*self.scorer.score(model), *known]
        found = {"records": self._records, "scores": self._rows(scores, step), "about": self.about}
        name = f"{self.model}-{'main' if step is None else f'{step:08d}'}.json.gz"
        rows = gzip.compress(json.dumps(found, default=str).encode(), mtime=0)
        tokens.write_atomically(self.place.folder(self.job) / f"at-{name}", lambda file: file.write(rows))
        return scores

    def _measure(
        self, what: str, work: Callable[[PreTrainedModel, int | None], None], model: PreTrainedModel, step: int | None
    ) -> None:
        """Measure; when other jobs have taken the memory, wait for it; what cannot be, is noted."""
        kept = len(self._records)
        for attempt in range(ATTEMPTS):
            try:
                with self._clock("estimating"):
                    work(model, step)
                return
            except (torch.OutOfMemoryError, InputError) as error:
                del self._records[kept:]
                why = str(error)
                if not any(isinstance(cause, torch.OutOfMemoryError) for cause in (error, error.__context__)):
                    break
            finally:
                torch.cuda.empty_cache()  # what estimates take is far more than training needs
            time.sleep(attempt)
        self.journal.failures.append(f"Step {step} of {self.model} has no {what}: {why}")

    def _probe(self, model: PreTrainedModel, step: int | None) -> None:
        """What a finished model says about preferences, also of pairs seen in post-training and of those held out."""
        asked, checkpoint = self.place.recipe.measure, self.plane.checkpoint(model, step)
        described = loading.describe(model, tokens.load_tokenizer(), self.name)
        spec = PreferenceSpec(
            model=checkpoint.name, revision=checkpoint.revision, pairs=self.pairs.name, limit=asked.pairs,
            context=asked.context, draws=asked.draws, seed=asked.seed,
        )  # fmt: skip
        self._keep(probe.estimate_model(spec, checkpoint, described, self.pairs).record())

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of the probe; their source is whether post-training may see them."""
        asked = self.place.recipe.measure
        found = pairs.load(str(self.place.pairs), asked.pairs, asked.seed)
        roles = posttrain.roles(self.place.pairs)
        marked = [pair._replace(source=roles[pair.row]) for pair in found.pairs]
        return replace(found, pairs=tuple(marked))

    def _rows(self, scores: list[Score], step: int | None) -> list[dict[str, Any]]:
        """Rows of the table `benchmarks`; those of the last step also stand for the finished model."""
        model = {"model": self.name, "source": self.place.recipe.source}
        rows = [] if step is None else [{**model, "revision": f"step{step}", **asdict(score)} for score in scores]
        if step == self.steps:
            rows += [{**model, "revision": None, **asdict(score)} for score in scores]
        return rows

    @property
    def name(self) -> str:
        """Name of the model in the tables."""
        return named(self.place.run(self.job), self.model)

    @property
    def about(self) -> dict[str, Any]:
        """What the tables say of the model beside its shape."""
        run = self.place.run(self.job)
        return {
            "family": f"toy {ARCHITECTURES[run.architecture]}",
            "size": self.name.removeprefix("toy-").partition(" ")[0].partition("-")[0],
            "training_seed": run.seed,
            "parent": named(run, self.parent) if self.parent else None,
            "ablation": run.ablation or None,
            "former": f"zoo-{self.model} (trained here)",
        }

    @cached_property
    def plane(self) -> InformationPlane:
        """The hook that estimates every checkpoint, on the held-out books."""
        return self._plane(self.corpora(self.place.recipe.measure.documents)[:1])

    @cached_property
    def along(self) -> list[InformationPlane]:
        """Hooks for what some runs are measured on at every checkpoint: the default text, other amounts of text."""
        asked = self.place.recipe.measure
        planes = [self._common("tokens")] if self.model in asked.common else []
        sizes = asked.sizes if self.model in asked.sized else ()
        return planes + [self._plane(self.corpora(size)[:1], documents=size) for size in sizes]

    @cached_property
    def finished(self) -> list[InformationPlane]:
        """Hooks for finished models: web text, the labels that all tokenizers share, and the default text."""
        asked = self.place.recipe.measure
        texts = self.corpora(asked.documents)
        planes = [self._plane(texts[1:])] if texts[1:] else []
        planes += [self._plane(texts[:1], labels="words"), self._common("words")]
        return planes if self.model in asked.common else [*planes, self._common("tokens")]

    def _common(self, labels: Labels) -> InformationPlane:
        asked = self.place.recipe.measure
        text = self.place.library.common(asked.documents, asked.seed)
        return self._plane([text], labels=labels, draws=asked.common_draws)

    def _plane(self, texts: list[Corpus], **changes: Any) -> InformationPlane:
        asked = asdict(self.place.recipe.measure)
        settings = {key: asked[key] for key in ("documents", "context", "draws", "orders", "seed")}
        return InformationPlane(
            self.name,
            tokens.load_tokenizer(),
            self.steps or 1,
            corpora=texts,
            share=None,
            tokens_per_step=self.place.run(self.job).tokens_per_step,
            save=self._keep,
            source=self.place.recipe.source,
            **settings | changes,
        )

    @cached_property
    def scorer(self) -> Scorer:
        """The scores, prepared when they are first needed."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        recipe = self.place.recipe
        passages = cloze.prepare(self.place.library, self.place.work, recipe.measure.cloze)
        texts = self.corpora(recipe.measure.score_documents)
        return Scorer(passages, texts, recipe.measure.grammar, recipe.context, device)

    def corpora(self, documents: int) -> list[Corpus]:
        """Samples of the held-out books and of web text; of Python's own documentation where there are no books."""
        library, seed = self.place.library, self.place.recipe.measure.seed
        if library.built_in:
            return [corpus.load(str(tokens.BUILT_IN), documents, seed)]
        books, web = library.folder / "books-heldout.jsonl.xz", library.folder / "c4-sample.jsonl"
        note, titles = (
            "24 held-out books, mostly fiction before 1930, public domain.",
            tokens.read_texts(books, column="source"),
        )
        return [
            corpus.sample("books-heldout", tokens.read_texts(books), documents, seed, note, titles),
            corpus.sample("c4-sample", tokens.read_texts(web), documents, seed, "Web text of C4, ODC-BY."),
        ]

    def _keep(self, record: dict[str, Any]) -> None:
        record["model"] |= {"stage": self.stage, "weights": self.weights}
        record["model"] |= self.about
        self._records.append(record)

    @contextmanager
    def _clock(self, what: str) -> Generator[None]:
        began = time.monotonic()
        yield
        self.journal.seconds[what] += time.monotonic() - began
