"""The information plane of a model while it trains: a callback for transformers.Trainer and a hook for plain loops."""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import TrainerCallback

from softh import settings as paths
from softh.checkpoints.resolve import Checkpoint
from softh.estimator.pipeline import Prepared, estimate_model, prepare
from softh.models import loading
from softh.spec import EstimateSpec
from softh.text import corpus
from softh.text.corpus import Corpus

log = logging.getLogger(__name__)

Save = Callable[[dict[str, Any]], object]
"""Takes the record of one estimate (:meth:`softh.estimator.pipeline.Estimate.record`) to where it is kept."""


def log_spaced(steps: int, points: int) -> list[int]:
    """At least `points` steps from 0 to `steps`, evenly spaced in their logarithm; all of them when there are fewer."""
    if points < 2 or steps < 1:
        return [steps]
    grid = np.array([steps])
    for wanted in range(points - 1, 20 * points):
        grid = np.unique([*np.geomspace(1, steps, wanted).round().astype(int), steps])
        if len(grid) >= min(points - 1, steps):
            break
    return [0, *grid.tolist()]


class InformationPlane:
    """Estimates a model in memory at chosen steps; a plain loop calls `at(model, step)` at every step.

    Args:
        name: the model's name in the tables.
        tokenizer: of the model.
        steps: optimiser steps of the whole training.
        points: how many log-spaced steps to estimate at, or the steps themselves.
        corpora: what :func:`softh.text.corpus.load` knows by name, or documents already sampled.
        documents, context, draws: as in EstimateSpec; the defaults cost little and say where a run stands.
        share: estimates are thinned so as to take no larger part of the training time than this; None never thins.
        tokens_per_step: for the tokens in the tables, when they are known.
        save: keeps a record; by default it becomes a run of the store in `data`.
        data: folder of the store; SOFTH_DATA or data/ by default.
        source: what made the weights, for the tables.
    """

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        steps: int,
        *,
        points: int | Sequence[int] = 20,
        corpora: Sequence[str | Corpus] = ("python-docs",),
        documents: int = 64,
        context: int = 256,
        draws: int = 8,
        orders: tuple[int, ...] = (1, 2, 3, 4),
        seed: int = 0,
        share: float | None = 0.03,
        tokens_per_step: int | None = None,
        save: Save | None = None,
        data: Path | str | None = None,
        source: str = "trained here",
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.steps = steps
        self.due = log_spaced(steps, points) if isinstance(points, int) else sorted(points)
        self.corpora = corpora
        self.spec = EstimateSpec(
            model=name, documents=documents, context=context, draws=draws, orders=orders, seed=seed
        )
        self.share = share
        self.tokens_per_step = tokens_per_step
        self.save = save or (lambda record: _save(record, Path(data or paths.data())))
        self.source = source
        self.seconds = 0.0
        """Spent on estimates so far."""
        self.failures: list[str] = []
        self._prepared: dict[str, Prepared] = {}
        self._cost = 0.0
        self._credit = 0.0
        self._timed: tuple[int, float] | None = None

    def at(self, model: nn.Module, step: int) -> None:
        """Estimate if the step is due; whatever goes wrong is logged as a sentence and the training goes on."""
        if self._timed is None and step > 0:
            # The first step compiles and warms up, so the pace is taken from its end.
            self._timed = (step, time.monotonic() - self.seconds)
        if step not in self.due or not self._affordable(step):
            return
        began, training = time.monotonic(), model.training
        try:
            self.estimate(model, step)
        except Exception as error:  # noqa: BLE001  (an estimate must never stop a training, whatever goes wrong in it)
            self.failures.append(f"Step {step} of {self.name} has no estimate: {error}")
            log.warning(self.failures[-1])
        finally:
            model.train(training)
        self._cost = time.monotonic() - began
        self.seconds += self._cost

    def _affordable(self, step: int) -> bool:
        """Whether to estimate now: the first always; of the others what the share allows, evenly, and the last."""
        if self.share is None or not self._cost:
            return True
        if self._timed is None or step <= self._timed[0]:
            return False  # the pace of the training is not known yet
        first, clock = self._timed
        a_step = (time.monotonic() - clock - self.seconds) / (step - first)
        left = (self.share * a_step * self.steps - self.seconds) / self._cost
        later = sum(due > step for due in self.due)
        if not later:
            return left >= 1
        self._credit += max(0.0, left - 1) / later  # one is kept for the end
        if self._credit < 1:
            return False
        self._credit = min(self._credit, 2.0) - 1
        return True

    @torch.no_grad()
    def estimate(self, model: nn.Module, step: int | None) -> None:
        """Estimate now, due or not, and keep the records; a model without a step is the revision ``main``."""
        described = loading.describe(model.eval(), self.tokenizer, self.name)
        checkpoint = self.checkpoint(model, step)
        for text in self.texts:
            spec = replace(self.spec, revision=checkpoint.revision, corpus=text.name)
            if text.name not in self._prepared:
                self._prepared[text.name] = prepare(spec, described, text)
            prepared = self._prepared[text.name]
            self.save(estimate_model(spec, checkpoint, described, text, prepared=prepared).record())

    @cached_property
    def texts(self) -> list[Corpus]:
        """The documents of every corpus, sampled once."""
        asked = self.spec.documents, self.spec.seed
        return [text if isinstance(text, Corpus) else corpus.load(text, *asked) for text in self.corpora]

    def checkpoint(self, model: nn.Module, step: int | None) -> Checkpoint:
        """What the tables say of the weights as they are now."""
        each = self.tokens_per_step
        return Checkpoint(
            name=self.name,
            source=self.source,
            revision="main" if step is None else f"step{step}",
            digest=digest(model),
            path=Path(),
            weights="in training",
            step=step,
            tokens=None if step is None or each is None else step * each,
        )


class InformationPlaneCallback(TrainerCallback):
    """The same as a callback of transformers.Trainer; arguments as for :class:`InformationPlane`, without steps.

    After a resume it goes on with the steps that are left; estimates already stored keep their place. At the end it
    logs what part of the time the estimates took.
    """

    def __init__(self, name: str, tokenizer: Any, **settings: Any) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.settings = settings
        self.plane: InformationPlane | None = None
        self.began = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Plan the steps, and estimate the untrained model."""
        if state.is_world_process_zero:
            self.began = time.monotonic()
            self.plane = InformationPlane(self.name, self.tokenizer, state.max_steps, **self.settings)
            if state.global_step == 0:
                self.plane.at(model, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Estimate when the step is due."""
        if self.plane is not None:
            self.plane.at(model, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log what the estimates took."""
        if self.plane is not None:
            spent, training = self.plane.seconds, time.monotonic() - self.began - self.plane.seconds
            part = spent / max(training, 1e-9)
            log.info(
                "Estimates of %s took %.1f s, %.1f %% of the training's %.1f s.", self.name, spent, 100 * part, training
            )


def digest(model: nn.Module) -> str:
    """SHA-256 of the names and values of a model's weights, as they are in memory."""
    total = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _save(record: dict[str, Any], data: Path) -> None:
    from softh.store import write  # DuckDB is not needed where records are kept in another way

    write.save(record, data)
