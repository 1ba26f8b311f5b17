"""EstimateSpec to Estimate: the one path that strings checkpoint, text, hidden states, counts and measures together."""

import dataclasses
import json
import logging
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from softh.checkpoints import resolve
from softh.checkpoints.resolve import Checkpoint
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import Labelling, Progress, label, measure_entropies, plan
from softh.estimator.measures import Entropies, Measure, bits_per_byte, measure
from softh.format import format_size
from softh.models import hidden_states
from softh.models.hidden_states import Cache, HiddenStates, Model
from softh.spec import EstimateSpec, PreferenceSpec, identity
from softh.text import corpus
from softh.text.corpus import Corpus, Windows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Estimate:
    """Measures of one checkpoint on one corpus, with everything needed to know where they come from."""

    id: str
    spec: EstimateSpec | PreferenceSpec
    checkpoint: Checkpoint
    model: Model
    corpus: Corpus
    documents: int
    positions: int
    temperature: float
    reference_digest: str
    forward_passes: int
    """Batches that the model ran; 0 when all hidden states were remembered."""
    seconds: float
    created_at: datetime
    measures: tuple[Measure, ...]

    def record(self) -> dict[str, Any]:
        """Rows of the tables `models`, `checkpoints`, `estimates` and `measures`, as plain values."""
        made = self.checkpoint
        model = {
            "model": made.name,
            "family": self.model.family,
            "architecture": self.model.architecture,
            "stage": _stage(made.name),
            "parameters": self.model.parameters,
            "layers": self.model.layers,
            "width": self.model.width,
            "vocabulary": self.model.vocabulary,
            "weights": made.weights,
            "source": made.source,
        }
        checkpoint = {"model": made.name, **{n: getattr(made, n) for n in ("revision", "digest", "step", "tokens")}}
        estimate = {
            "estimate_id": self.id,
            "model": made.name,
            "revision": made.revision,
            "corpus": self.corpus.name,
            "corpus_digest": self.corpus.digest,
            "documents": self.documents,
            "positions": self.positions,
            "context": self.spec.context,
            "bins": self.spec.bins,
            "draws": self.spec.draws,
            "frame": self.spec.directions,
            "centred": self.spec.center,
            "calibration": self.spec.temperature_rule,
            "weighting": self.spec.label_weighting,
            "folds": self.spec.folds,
            "seed": self.spec.seed,
            "temperature": self.temperature,
            "reference_digest": self.reference_digest,
            "dtype": self.model.dtype,
            "attention": self.model.attention,
            "device": self.model.device,
            "versions": json.dumps(_versions(), sort_keys=True),
            "seconds": self.seconds,
            "created_at": self.created_at.replace(tzinfo=None),
            "spec": self.spec.canonical(),
        }
        measures = [dataclasses.asdict(row) for row in self.measures]
        return {"model": model, "checkpoint": checkpoint, "estimate": estimate, "measures": measures}


class Prepared(NamedTuple):
    """What an estimate needs of the text, whatever the weights."""

    windows: Windows
    labelling: Labelling


def prepare(spec: EstimateSpec, model: Model, text: Corpus) -> Prepared:
    """Tokenize and label documents for all checkpoints of a model."""
    windows = corpus.windows(text, model.tokenizer, spec.context, max(spec.orders))
    return Prepared(windows, label(windows.ids, spec, model.device))


def estimate(
    spec: EstimateSpec,
    *,
    device: str = "auto",
    cache: Cache | None = None,
    progress: Progress | None = None,
    loss: bool = True,
    say: Callable[[str], object] | None = None,
) -> Estimate:
    """Estimate what the specification asks for. Raises InputError for whatever its author can mend.

    With a `cache`, hidden states are remembered: another estimate of the same checkpoint, text and context runs no
    forward pass. Without `loss` there are no bits per byte, and no output head runs. `say` is told what the run will
    take before it begins.
    """
    began = time.perf_counter()
    checkpoint = resolve.resolve(spec.model, spec.revision)
    text = corpus.load(spec.corpus, spec.documents, spec.seed)
    model = hidden_states.load_model(checkpoint, spec.dtype, device)
    return estimate_model(
        spec, checkpoint, model, text, cache=cache, progress=progress, began=began, loss=loss, say=say
    )


def estimate_model(
    spec: EstimateSpec,
    checkpoint: Checkpoint,
    model: Model,
    text: Corpus,
    *,
    prepared: Prepared | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
    began: float | None = None,
    loss: bool = True,
    say: Callable[[str], object] | None = None,
) -> Estimate:
    """The same for a model that is already in memory, on documents already sampled.

    `prepared` is what :func:`prepare` gave for the same text and specification; checkpoints of one run share it.
    """
    began = time.perf_counter() if began is None else began
    windows, labelling = prepared or prepare(spec, model, text)
    states = HiddenStates(model, windows, checkpoint.digest, cache=cache, loss=loss)
    cut = plan(states, labelling, spec)
    if say is not None:
        say(cut.sentence())
    progress = progress or (lambda phase, done, total: None)
    epsilon = temperature(spec.bins, model.width, spec.temperature_rule)
    directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.directions)
    if states.remembered:
        states.fill(progress)
    elif cache is not None and not cut.need.gpu:
        log.warning(
            "The hidden states take %s, more than the cache may hold: they are not remembered, and the model runs "
            "anew for every group of draws. Set SOFTH_CACHE_GB higher, or ask for fewer documents.",
            format_size(states.bytes_needed),
        )
    entropies = measure_entropies(states, labelling, directions, epsilon, spec, progress, cut)
    made = Made(model, windows, epsilon, directions.digest, states.nats, states.forward_passes)
    return assemble(spec, checkpoint, text, made, entropies, time.perf_counter() - began)


class Made(NamedTuple):
    """What the statistics of an estimate were made from, besides hidden states."""

    model: Model
    windows: Windows
    temperature: float
    reference_digest: str
    nats: np.ndarray | None
    """[documents] negative log likelihood of the text; None where no head ran."""
    forward_passes: int


def assemble(
    spec: EstimateSpec, checkpoint: Checkpoint, text: Corpus, made: Made, entropies: Entropies, seconds: float
) -> Estimate:
    """The estimate whose statistics these are."""
    rows = measure(entropies)
    if made.nats is not None:
        rows.append(bits_per_byte(made.nats, made.windows.predicted_bytes))
    return Estimate(
        identity(spec.canonical(), checkpoint.digest, text.digest),
        spec,
        checkpoint,
        made.model,
        text,
        len(made.windows.ids),
        entropies.positions,
        made.temperature,
        made.reference_digest,
        made.forward_passes,
        seconds,
        datetime.now(UTC),
        tuple(rows),
    )


def _stage(name: str) -> str | None:
    """'instruct' when the model's name says so; otherwise unknown."""
    return "instruct" if re.search(r"(?i)(?:^|[-_ ])(instruct|chat|it|sft|dpo)(?:$|[-_ (])", name) else None


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "numpy", "tokenizers")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
