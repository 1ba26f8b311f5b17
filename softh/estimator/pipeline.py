"""From an EstimateSpec to an Estimate: checkpoint, text, hidden states, entropies and measures, one after another."""

import dataclasses
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from softh.checkpoints import resolve
from softh.checkpoints.resolve import Checkpoint
from softh.checkpoints.stages import stage_from_name
from softh.errors import InputError
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import (
    Labelling,
    ProgressCallback,
    document_folds,
    label,
    label_parts,
    measure_parts,
    plan,
)
from softh.estimator.labels import label_corpus, label_kind
from softh.estimator.measures import Entropies, Measure, bits_per_byte, measure, variational_bound
from softh.estimator.spectra import SpectralSample
from softh.format import and_more, format_size, with_error
from softh.models import hidden_states
from softh.models.hidden_states import Cache, HiddenStates, LoadedModel
from softh.notebook import table
from softh.quantities import CORRECTION_NAMES, quantity_name
from softh.spec import EstimateSpec, PreferenceSpec, identity
from softh.text.corpus import Corpus, TokenizedCorpus, predicted_tokens, select_documents

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Estimate:
    """Measures of one checkpoint on one corpus, and how they were made."""

    id: str
    spec: EstimateSpec | PreferenceSpec
    checkpoint: Checkpoint
    model: LoadedModel
    corpus: Corpus
    documents: int
    positions: int
    temperature: float
    reference_digest: str
    forward_passes: int
    """Batches that the model ran; 0 when all hidden states were cached."""
    seconds: float
    created_at: datetime
    measures: tuple[Measure, ...]

    def to_polars(self) -> "pl.DataFrame":
        """One row a measure, without its replicates.

        Columns: layer (None for the mean over layers), quantity, variable, ngram, correction, value (in log n, or a
        ratio), se_draws, se_documents, positions, labels.
        """
        import polars as pl  # estimates do without

        names = [each.name for each in dataclasses.fields(Measure) if each.name not in ("draws", "folds")]
        rows = [{name: getattr(row, name) for name in names} for row in self.measures]
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        """Means over layers at the lowest order as a table of a notebook, one column a correction."""
        means = [row for row in self.measures if row.layer is None and row.correction in CORRECTION_NAMES]
        lowest = min((row.ngram for row in means if row.ngram is not None), default=None)
        cells: dict[str, dict[str, str]] = {}
        for row in means:
            if row.ngram in (None, lowest):
                told = with_error(row.value, row.se_draws, row.se_documents)
                cells.setdefault(quantity_name(row.quantity, row.variable), {})[row.correction] = told
        heads = [each for each in CORRECTION_NAMES if any(each in row for row in cells.values())]
        rows = [[name, *(row.get(each, "") for each in heads)] for name, row in cells.items()]
        title = f"{self.checkpoint.name}, {self.checkpoint.revision}"
        note = (
            f"Mean over layers, order {lowest}; {self.corpus.name}: {self.documents:,} documents, {self.positions:,} "
            f"positions; {self.spec.draws} draws of {self.spec.bins} directions; ± one standard error; id {self.id}."
        )
        return table(title, ["", *(CORRECTION_NAMES[each] for each in heads)], rows, note)

    def record(self) -> dict[str, Any]:
        """Rows of the tables `models`, `checkpoints`, `estimates` and `measures`, as plain values."""
        weights = self.checkpoint
        model = {
            "model": weights.name,
            "family": self.model.family,
            "architecture": self.model.architecture,
            "stage": stage_from_name(weights.name),
            "parameters": self.model.parameters,
            "layers": self.model.layers,
            "width": self.model.width,
            "vocabulary": self.model.vocabulary,
            "weights": weights.weights,
            "source": weights.source,
            # Known to those who trained the model alone.
            **dict.fromkeys(("size", "training_seed", "parent", "ablation", "former")),
        }
        checkpoint = {
            "model": weights.name,
            **{name: getattr(weights, name) for name in ("revision", "digest", "step", "tokens")},
        }
        estimate = {
            "estimate_id": self.id,
            "model": weights.name,
            "revision": weights.revision,
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
            "labels": self.spec.labels,
            "estimator": self.spec.estimator,
        }
        measures = [dataclasses.asdict(row) for row in self.measures]
        return {"model": model, "checkpoint": checkpoint, "estimate": estimate, "measures": measures}


class Prepared(NamedTuple):
    """Tokens and labels of the text, whatever the weights."""

    tokenized: TokenizedCorpus
    labelling: Labelling


def prepare(spec: EstimateSpec, model: LoadedModel, text: Corpus) -> Prepared:
    """Tokenize and label documents, once for all checkpoints of a model."""
    tokenized = tokenize_source(spec, text, model.tokenizer)
    return Prepared(tokenized, label(tokenized, spec, model.device))


def tokenize_source(spec: EstimateSpec, text: Corpus, tokenizer: Any) -> TokenizedCorpus:
    """Tokens of the documents that a specification asks for: of all, or of one source.

    Raises:
        InputError: for a source that the text does not have, and as tokenizing does.
    """
    tokenized = label_kind(spec.labels).tokenize(text, tokenizer, spec.context, max(spec.orders))
    if spec.source is None:
        return tokenized
    documents = [number for number, source in enumerate(tokenized.sources) if source == spec.source]
    if not documents:
        names = and_more(sorted(set(tokenized.sources))) or "no sources"
        raise InputError(
            f"No document of {text.name} is of source {spec.source!r}; it has {names}: choose one, or leave --source "
            "out."
        )
    return select_documents(tokenized, documents)


def estimate(
    spec: EstimateSpec,
    *,
    device: str = "auto",
    cache: Cache | None = None,
    progress: ProgressCallback | None = None,
    loss: bool = True,
    on_plan: Callable[[str], object] | None = None,
) -> Estimate:
    """Estimate what a specification describes.

    Args:
        spec: model, text and settings.
        device: ``auto``, ``cpu`` or the name of a GPU.
        cache: where to store hidden states; another estimate of the same checkpoint, text and context then runs no
            forward pass.
        progress: called with phase, steps done and steps in all.
        loss: whether to measure bits per byte; without it no output head runs.
        on_plan: called with one sentence about memory and time before the work begins.

    Raises:
        InputError: for every mistake in the specification or its files, with what to do about it.
    """
    began = time.perf_counter()
    spec = spec.current()
    checkpoint = resolve.resolve(spec.model, spec.revision)
    text = label_corpus(spec.corpus, spec.documents, spec.seed, spec.labels)
    model = hidden_states.load_model(checkpoint, spec.dtype, device)
    return estimate_model(
        spec, checkpoint, model, text, cache=cache, progress=progress, began=began, loss=loss, on_plan=on_plan
    )


def estimate_model(
    spec: EstimateSpec,
    checkpoint: Checkpoint,
    model: LoadedModel,
    text: Corpus,
    *,
    prepared: Prepared | None = None,
    cache: Cache | None = None,
    progress: ProgressCallback | None = None,
    began: float | None = None,
    loss: bool = True,
    on_plan: Callable[[str], object] | None = None,
    states: HiddenStates | None = None,
    on_partial: Callable[[str], object] | None = None,
) -> Estimate:
    """Estimate a model that is already in memory, on documents already sampled.

    `prepared` is the result of :func:`prepare` for the same text and specification; checkpoints of one run share it.
    `states` are its hidden states of that text, where another process or a training has computed them.
    `on_partial` is called with a sentence of what the layers counted so far show.
    Other arguments are those of :func:`estimate`; `began` is when the work began, on the clock of
    :func:`time.perf_counter`.
    """
    return _estimate_parts(
        spec, checkpoint, model, text, prepared=prepared, cache=cache, progress=progress, began=began, loss=loss,
        on_plan=on_plan, states=states, on_partial=on_partial,
    )[0]  # fmt: skip


def estimate_by_source(
    spec: EstimateSpec,
    *,
    device: str = "auto",
    cache: Cache | None = None,
    progress: ProgressCallback | None = None,
    loss: bool = True,
    on_plan: Callable[[str], object] | None = None,
) -> list[Estimate]:
    """Estimate a text and each of its sources in the same passes: the whole first, then the sources by size.

    The estimate of a source is that of its documents alone, as ``source`` of the specification asks for it.
    :func:`softh.analysis.by_source.split` tells how much of the whole lies within and between sources.

    Arguments and errors are those of :func:`estimate`; a text that is of one source, or does not say, is an error too.
    """
    began = time.perf_counter()
    spec = spec.current()
    checkpoint = resolve.resolve(spec.model, spec.revision)
    text = label_corpus(spec.corpus, spec.documents, spec.seed, spec.labels)
    model = hidden_states.load_model(checkpoint, spec.dtype, device)
    return _estimate_parts(
        spec, checkpoint, model, text, cache=cache, progress=progress, began=began, loss=loss, on_plan=on_plan,
        by_source=True,
    )  # fmt: skip


def _estimate_parts(
    spec: EstimateSpec,
    checkpoint: Checkpoint,
    model: LoadedModel,
    text: Corpus,
    *,
    prepared: Prepared | None = None,
    cache: Cache | None,
    progress: ProgressCallback | None,
    began: float | None,
    loss: bool,
    on_plan: Callable[[str], object] | None,
    states: HiddenStates | None = None,
    by_source: bool = False,
    on_partial: Callable[[str], object] | None = None,
) -> list[Estimate]:
    """The estimate of a text, then those of its sources where they are asked for."""
    began = time.perf_counter() if began is None else began
    spec = spec.current()
    tokenized, labelling = prepared or prepare(spec, model, text)
    parts = label_parts(tokenized, labelling, spec, model.device) if by_source else []
    states = states or HiddenStates(model, tokenized, checkpoint.digest, cache=cache, loss=loss)
    sample = SpectralSample(states, spec)
    reading_plan = plan(states, labelling, spec)
    if on_plan is not None:
        on_plan(reading_plan.sentence())
    progress = progress or (lambda phase, done, total: None)
    epsilon = temperature(spec.bins, model.width, spec.temperature_rule)
    directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.directions)
    if states.cached:
        states.fill(progress)
    elif cache is not None and not reading_plan.need.gpu:
        log.warning(
            "The hidden states take %s, more than the cache may hold: they are not stored, and the model runs "
            "again for every group of draws. Set SOFTH_CACHE_GB higher, or ask for fewer documents.",
            format_size(states.bytes_needed),
        )
    entropies, *of_parts = measure_parts(
        states, labelling, directions, epsilon, spec, progress, reading_plan, parts, on_partial
    )
    further = sample.measures()
    metadata = RunMetadata(model, tokenized, epsilon, directions.digest, states.nll, states.forward_passes, further)
    seconds = time.perf_counter() - began
    estimates = [assemble_estimate(spec, checkpoint, text, metadata, entropies, seconds)]
    for part, found in zip(parts, of_parts, strict=True):
        some = metadata._replace(
            tokenized=select_documents(tokenized, part.documents), further=(),
            nll=None if states.nll is None else states.nll[part.documents],
        )  # fmt: skip
        of_source = dataclasses.replace(spec, source=part.source)
        estimates.append(assemble_estimate(of_source, checkpoint, text, some, found, seconds))
    return estimates


class RunMetadata(NamedTuple):
    """How the entropies of an estimate were computed."""

    model: LoadedModel
    tokenized: TokenizedCorpus
    temperature: float
    reference_digest: str
    nll: np.ndarray | None
    """[documents] negative log-likelihood of the text, in nats; None where no head ran."""
    forward_passes: int
    further: Sequence[Measure] = ()
    """Measures of the hidden states that no label or direction enters."""


def assemble_estimate(
    spec: EstimateSpec,
    checkpoint: Checkpoint,
    text: Corpus,
    metadata: RunMetadata,
    entropies: Entropies,
    seconds: float,
) -> Estimate:
    """Put together the estimate that these entropies belong to."""
    rows = [*measure(entropies), *metadata.further]
    if metadata.nll is not None:
        rows.append(bits_per_byte(metadata.nll, metadata.tokenized.predicted_bytes))
        fold = document_folds(len(metadata.tokenized.ids), metadata.tokenized.sources, spec.folds)
        rows.append(variational_bound(metadata.nll, predicted_tokens(metadata.tokenized), fold, spec.bins))
    return Estimate(
        identity(spec.canonical(), checkpoint.digest, text.digest),
        spec,
        checkpoint,
        metadata.model,
        text,
        len(metadata.tokenized.ids),
        entropies.positions,
        metadata.temperature,
        metadata.reference_digest,
        metadata.forward_passes,
        seconds,
        datetime.now(UTC),
        tuple(rows),
    )


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "numpy", "tokenizers")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
