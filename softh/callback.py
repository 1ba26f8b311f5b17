"""The information plane of a model while it trains: a callback for transformers.Trainer and a hook for plain loops.

Where a model is sharded over processes, all of them call :meth:`InformationPlane.at` at every step, run the forward
passes together, and the first one computes and stores. They agree before they begin, within a bounded time, so that one
that cannot estimate keeps none of them waiting.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from transformers import TrainerCallback

from softh import access, settings, trackers
from softh.checkpoints.resolve import Checkpoint
from softh.estimator.labels import label_corpus
from softh.estimator.pipeline import Estimate, Prepared, estimate_model, prepare
from softh.models import loading, sharded
from softh.models.loading import LoadedModel
from softh.preference import pairs as preference_pairs
from softh.preference import probe
from softh.preference.completions import Completions, completions
from softh.preference.pairs import Pairs
from softh.spec import EstimateSpec, Labels, PreferenceSpec
from softh.text import sources
from softh.text.corpus import Corpus
from softh.trackers import Curve, Draw, Tell, metrics

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)

PAIR_TOKENS = 512
"""Tokens of prompt and answer of a preference pair, where the model reads as many."""

Save = Callable[[dict[str, Any]], object]
"""Stores the record of one estimate (:meth:`softh.estimator.pipeline.Estimate.record`)."""
Log = Callable[[dict[str, float], int], object]
"""Sends numbers by name, at a step, to a tracker: wandb.log, mlflow.log_metrics and trackio.log take them so."""


def log_spaced(steps: int, points: int) -> list[int]:
    """At least `points` steps from 0 to `steps`, evenly spaced in their logarithm; all of them when there are fewer.

    >>> log_spaced(1000, 5)
    [0, 1, 10, 100, 1000]
    """
    if points < 2 or steps < 1:
        return [steps]
    grid = np.array([steps])
    for size in range(points - 1, 20 * points):
        grid = np.unique([*np.geomspace(1, steps, size).round().astype(int), steps])
        if len(grid) >= min(points - 1, steps):
            break
    return [0, *grid.tolist()]


class InformationPlane:
    """Estimates a model in memory at chosen steps; a training loop calls `at(model, step)` at every step.

    Args:
        name: the model's name in the tables.
        tokenizer: of the model.
        steps: optimiser steps of the whole training.
        points: number of log-spaced steps to estimate at, or the steps themselves.
        corpora: names for :func:`softh.text.corpus.load`, or documents already sampled.
        documents: as in :class:`softh.EstimateSpec`, like the next four; the defaults are chosen for speed.
        context: tokens of a document.
        draws: draws of the reference directions.
        orders: n-gram orders of the labels.
        seed: of all random numbers.
        labels: what is labelled: tokens, words, bytes, or others of :data:`softh.quantities.LABELS`.
        pairs: preference pairs to probe the model with at the same steps: a name for
            :func:`softh.preference.pairs.load`, or pairs already sampled; None for no probe.
        pair_limit: preference pairs sampled at most.
        share: largest share of the training time for estimates, some of which are skipped to keep it; None for all.
        tokens_per_step: training tokens of a step, for the tables, where they are known.
        save: stores a record; by default in the store in `data`.
        log: sends :func:`softh.trackers.metrics` of every estimate to a tracker, called as log(metrics, step).
        draw: sends the plane so far as a picture, called as draw(name, image, step) with uint8 [height, width, 3].
        tell: sends a sentence once the end of a phase is sure, called as tell(name, sentence, step).
        wait: seconds that processes with a sharded model wait for each other before an estimate is given up.
        data: folder of the store; by default SOFTH_DATA, else ``data``.
        source: origin of the weights, for the tables.

    >>> from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
    >>> from tokenizers import Tokenizer, models
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0, "b": 1}, [])))
    >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> config = LlamaConfig(vocab_size=2, **sizes)
    >>> from softh.text import corpus
    >>> text = corpus.sample("letters", ["abba" * 9, "baab" * 9], 2, 0, "Two letters.")
    >>> records = []
    >>> plane = InformationPlane("tiny", tokenizer, steps=2, corpora=[text], orders=(1,), draws=2, save=records.append)
    >>> plane.at(AutoModelForCausalLM.from_config(config), step=0)
    >>> records[0]["checkpoint"]["step"], plane.failures
    (0, [])
    """

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        steps: int,
        *,
        points: int | Sequence[int] = 20,
        corpora: Sequence[str | Corpus] = (sources.DEFAULT,),
        documents: int = 64,
        context: int = 256,
        draws: int = 8,
        orders: tuple[int, ...] = (1, 2, 3, 4),
        seed: int = 0,
        labels: Labels = "tokens",
        pairs: str | Pairs | None = None,
        pair_limit: int = 256,
        share: float | None = 0.03,
        tokens_per_step: int | None = None,
        save: Save | None = None,
        log: Log | None = None,
        draw: Draw | None = None,
        tell: Tell | None = None,
        wait: float = 60.0,
        data: Path | str | None = None,
        source: str = "trained here",
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.steps = steps
        self.due = log_spaced(steps, points) if isinstance(points, int) else sorted(points)
        self.corpora = corpora
        self.spec = EstimateSpec(
            model=name, documents=documents, context=context, draws=draws, orders=orders, seed=seed, labels=labels
        )
        self.pairs = pairs
        self.pair_limit = pair_limit
        self.share = share
        self.tokens_per_step = tokens_per_step
        self.data = None if save else Path(data or settings.data())
        """Folder of the store; None where `save` takes the records."""
        self.save = save or (lambda record: _save(record, Path(data or settings.data())))
        self.log = log
        self.draw = draw
        self.tell = tell
        self.wait = wait
        self.source = source
        self.seconds = 0.0
        """Time spent on estimates so far."""
        self.failures: list[str] = []
        """A sentence for each estimate that failed."""
        self._prepared: dict[str, Prepared] = {}
        self._answers: Completions | None = None
        self._curves: dict[str, Curve] = {}
        self._cost = 0.0
        self._credit = 0.0
        self._timed: tuple[int, float] | None = None
        self._control: Any = None

    def at(self, model: nn.Module, step: int) -> None:
        """Estimate if the step is due; an error is logged, with its traceback, and the training goes on."""
        if self._timed is None and step > 0:
            # The first step compiles and warms up, so the pace is measured from its end.
            self._timed = (step, time.monotonic() - self.seconds)
        if step not in self.due:
            return
        began, training = time.monotonic(), model.training
        try:
            inner = sharded.unwrapped(model)
            if sharded.is_sharded(inner):
                if not self._agreed(self._affordable(step)):
                    return
            elif _rank() or not self._affordable(step):
                return
            # Numbers of an estimate are those of the weights, whatever a training computes in.
            with torch.autocast(next(inner.parameters()).device.type, enabled=False):
                self.estimate(inner, step)
        except Exception as error:  # an estimate must never stop a training, whatever goes wrong in it
            self.failures.append(f"Step {step} of {self.name} has no estimate: {type(error).__name__}: {error}")
            log.warning(self.failures[-1], exc_info=True)
        finally:
            model.train(training)
        self._cost = time.monotonic() - began
        self.seconds += self._cost

    def _affordable(self, step: int) -> bool:
        """Whether to estimate now: always the first; of the others as many as the share allows, and the last."""
        if self.share is None or not self._cost:
            return True
        if self._timed is None or step <= self._timed[0]:
            return False  # the pace of the training is not known yet
        first, clock = self._timed
        step_seconds = (time.monotonic() - clock - self.seconds) / (step - first)
        affordable = (self.share * step_seconds * self.steps - self.seconds) / self._cost
        later = sum(due > step for due in self.due)
        if not later:
            return affordable >= 1
        self._credit += max(0.0, affordable - 1) / later  # one is reserved for the end
        if self._credit < 1:
            return False
        self._credit = min(self._credit, 2.0) - 1
        return True

    @torch.no_grad()
    def estimate(self, model: nn.Module, step: int | None) -> None:
        """Estimate now, due or not, and store the records; without a step the revision is ``main``.

        All processes of a sharded model call it together.
        """
        if sharded.is_sharded(model):
            self._estimate_together(model.eval(), step)
            return
        model = sharded.unwrapped(model)
        loaded, checkpoint = loading.describe(model.eval(), self.tokenizer, self.name), self.checkpoint(model, step)
        for text in self.texts:
            prepared, spec = self._prepare(text, loaded, checkpoint)
            self._store(estimate_model(spec, checkpoint, loaded, text, prepared=prepared), step)
        if self.pairs is not None:
            answers, asked = self._prepare_pairs(loaded, checkpoint)
            self._store(probe.estimate_model(asked, checkpoint, loaded, self.sampled_pairs, answers=answers), step)

    def _estimate_together(self, model: nn.Module, step: int | None) -> None:
        """The same in every process of a sharded model; the first one computes and stores."""
        loaded = sharded.describe_sharded(model, self.tokenizer, self.name)
        checkpoint = self.checkpoint(model, step)
        trouble: Exception | None = None
        parts, probes = [], []
        try:
            parts = [(text, *self._prepare(text, loaded, checkpoint)) for text in self.texts]
            probes = [self._prepare_pairs(loaded, checkpoint)] if self.pairs is not None else []
        except Exception as error:  # noqa: BLE001  (the others wait for this process: they are told first)
            trouble = error
        if not self._agreed(trouble is None, everybody=True):
            raise trouble or RuntimeError("another process could not prepare the text; its log says why")
        for text, prepared, spec in parts:
            states = sharded.GatheredStates(loaded, prepared.tokenized, checkpoint.digest, keep=_rank() == 0)
            if _rank() == 0:
                found = estimate_model(spec, checkpoint, loaded, text, prepared=prepared, states=states)
                self._store(found, step)
        headless = replace(loaded, has_head=False)
        for answers, asked in probes:
            states = sharded.GatheredStates(headless, answers.tokenized, checkpoint.digest, keep=_rank() == 0)
            if _rank() == 0:
                found = probe.estimate_model(
                    asked, checkpoint, loaded, self.sampled_pairs, answers=answers, states=states
                )
                self._store(found, step)

    def _agreed(self, answer: bool, *, everybody: bool = False) -> bool:
        """What the first process answers, or whether everybody says yes; all processes ask together, and none for ever.

        Raises:
            RuntimeError: when one is gone, or does not ask within the time to wait.
        """
        if self._control is None:
            self._control = dist.new_group(backend="gloo", timeout=timedelta(seconds=self.wait))
        answers: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(answers, answer, group=self._control)
        return all(answers) if everybody else bool(answers[0])

    def _prepare(self, text: Corpus, loaded: LoadedModel, checkpoint: Checkpoint) -> tuple[Prepared, EstimateSpec]:
        """Tokens and labels of a text, made once, and the specification of its estimate."""
        spec = replace(self.spec, revision=checkpoint.revision, corpus=text.name)
        if text.name not in self._prepared:
            self._prepared[text.name] = prepare(spec, loaded, text)
        return self._prepared[text.name], spec

    def _prepare_pairs(self, loaded: LoadedModel, checkpoint: Checkpoint) -> tuple[Completions, PreferenceSpec]:
        """Tokens of the answers, made once, and the specification of their probe."""
        context = min(PAIR_TOKENS, loaded.longest_context or PAIR_TOKENS)
        if self._answers is None:
            self._answers = completions(self.sampled_pairs, self.tokenizer, context)
        spec = PreferenceSpec(
            model=self.name, revision=checkpoint.revision, pairs=self.sampled_pairs.name, limit=self.pair_limit,
            context=context, bins=self.spec.bins, draws=self.spec.draws, seed=self.spec.seed,
        )  # fmt: skip
        return self._answers, spec

    def _store(self, found: Estimate, step: int | None) -> None:
        record = found.record()
        self.save(record)
        if self.log is self.draw is self.tell is None:
            return
        try:
            self.report(record, step)
        except Exception as error:  # the estimate is stored, whatever is wrong with a tracker
            self.failures.append(f"Step {step} of {self.name} was not logged in full: {type(error).__name__}: {error}")
            log.warning(self.failures[-1], exc_info=True)

    def report(self, record: dict[str, Any], step: int | None) -> None:
        """Send the record of an estimate to the tracker: numbers, the picture of the plane so far, phases now sure."""
        numbers, ends, curve = metrics(record), {}, None
        start = trackers.name_of(record)
        if step is not None and record["estimate"]["labels"] != "preference":
            curve = self._curve(record, start)
            ends = curve.ends()
            numbers |= trackers.numbers_of(ends, start)
        if self.log is not None:
            self.log(numbers, step or 0)
        if curve is None or step is None:
            return
        if self.draw is not None and (image := self._picture(curve)) is not None:
            self.draw(f"{start}/plane", image, step)
        tell = self.tell or (lambda name, sentence, step: None)
        for name in curve.news(ends):
            tell(f"{start}/{name}", trackers.sentence(name, ends[name]), step)

    def _curve(self, record: dict[str, Any], start: str) -> Curve:
        """The curve of a text with this estimate in it; after a resume the stored estimates before it are, too."""
        if start not in self._curves:
            resumed = self.data is not None and record["checkpoint"]["step"]
            self._curves[start] = Curve(_stored(record, self.data) if resumed else None)
        self._curves[start].add(record)
        return self._curves[start]

    def _picture(self, curve: Curve) -> np.ndarray | None:
        """The plane so far; without matplotlib none, which is said once."""
        try:
            return curve.picture()
        except ImportError:
            log.warning("Trackers get no picture of the plane: matplotlib is not installed (pip install matplotlib).")
            self.draw = None
            return None

    @cached_property
    def sampled_pairs(self) -> Pairs:
        """The preference pairs, sampled once."""
        if isinstance(self.pairs, Pairs):
            return self.pairs
        assert self.pairs is not None
        return preference_pairs.load(self.pairs, self.pair_limit, self.spec.seed)

    @cached_property
    def texts(self) -> list[Corpus]:
        """The documents of every corpus, sampled once."""
        spec = self.spec
        size = spec.documents, spec.seed, spec.labels
        return [text if isinstance(text, Corpus) else label_corpus(text, *size) for text in self.corpora]

    def checkpoint(self, model: nn.Module, step: int | None) -> Checkpoint:
        """Description of the current weights, for the tables."""
        per_step = self.tokens_per_step
        return Checkpoint(
            name=self.name,
            source=self.source,
            revision="main" if step is None else f"step{step}",
            digest=digest(model),
            path=Path(),
            weights="in training",
            step=step,
            tokens=None if step is None or per_step is None else step * per_step,
        )


class InformationPlaneCallback(TrainerCallback):
    """:class:`InformationPlane` as a callback of transformers.Trainer, which takes the same arguments except `steps`.

    After a resume it estimates the steps that are left; the estimates already stored stay. At the end it logs the share
    of the time that the estimates took.

    >>> callback = InformationPlaneCallback("my-model", tokenizer=None, points=10)
    >>> # Trainer(model, arguments, train_dataset=rows, callbacks=[callback]).train()
    """

    def __init__(self, name: str, tokenizer: Any, **options: Any) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.options = options
        self.plane: InformationPlane | None = None
        self.began = 0.0
        self._trainer: Any = None

    def report(self, trainer: Any) -> None:
        """Log estimates through a trainer, so that they go wherever its ``report_to`` sends the loss.

        Numbers go to every tracker; the plane as a picture and phases as sentences to W&B, MLflow, TensorBoard and
        Trackio.
        """
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Plan the steps, and estimate the untrained model."""
        self.began = time.monotonic()
        self.plane = InformationPlane(self.name, self.tokenizer, state.max_steps, **self.options)
        if self._trainer is not None and self.plane.log is None:
            self.plane.log = lambda numbers, _: self._trainer.log(numbers)
            self.plane.draw, self.plane.tell = trackers.senders(self._trainer)
        if state.global_step == 0:
            self.plane.at(model, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Estimate when the step is due."""
        if self.plane is not None:
            self.plane.at(model, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the time that the estimates took."""
        if self.plane is not None and state.is_world_process_zero:
            spent, training = self.plane.seconds, time.monotonic() - self.began - self.plane.seconds
            share = spent / max(training, 1e-9)
            log.info(
                "Estimates of %s took %.1f s, %.1f %% of the training's %.1f s.",
                self.name,
                spent,
                100 * share,
                training,
            )


def digest(model: nn.Module) -> str:
    """SHA-256 of the names and values of a model's weights; of a sharded one all processes ask together."""
    total = hashlib.sha256()
    for name, weight in sorted(model.state_dict(keep_vars=True).items()):
        total.update(name.encode())
        total.update(sharded.whole(weight).detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _save(record: dict[str, Any], data: Path) -> None:
    from softh.store import write  # DuckDB is not needed where `save` stores the records

    with access.as_owner():
        write.save(record, data)


def _stored(record: dict[str, Any], data: Path | None) -> "pl.DataFrame | None":
    """Stored estimates of the model and the text of a record."""
    from softh.store import read  # as in `_save`

    about = record["estimate"]
    return None if data is None else read.trajectory(data, [about["model"]], about["corpus"])
