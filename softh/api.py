"""The public functions :func:`softh.estimate`, from model to table, and :func:`softh.save_accumulated`."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from softh import access, settings
from softh.accumulator import Accumulator
from softh.checkpoints.resolve import Checkpoint
from softh.errors import InputError
from softh.estimator import pipeline
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import ProgressCallback
from softh.estimator.frozen_sample import FrozenSample
from softh.estimator.measures import measure
from softh.estimator.pipeline import Estimate
from softh.estimator.series import SeriesSample
from softh.models.cache import open_cache
from softh.models.hidden_states import Cache
from softh.models.loading import LoadedModel
from softh.spec import EstimateSpec, identity
from softh.store import write


@access.as_owner()
def estimate(
    model: str,
    *,
    device: str = "auto",
    save: bool = True,
    data: Path | str | None = None,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Estimate:
    """Estimate the information plane of a model, and store the estimate so that the dashboard shows it.

    Hidden states are cached: another estimate of the same checkpoint, text and context runs no forward pass.

    Args:
        model: hub id, folder, or ``.gguf`` file.
        device: ``auto``, ``cpu`` or the name of a GPU.
        save: whether to store the estimate.
        data: folder of the store; by default SOFTH_DATA, else ``data``.
        progress: called with phase, steps done and steps in all.
        options: other fields of :class:`softh.EstimateSpec`, such as ``revision``, ``corpus`` or ``documents``.

    Returns:
        The estimate; its ``measures`` are rows in units of log n, with standard errors over draws and documents.

    Raises:
        InputError: for every mistake in the options or files, most of them before anything is computed.

    >>> estimate("folder/of/a/model", draws=0)
    Traceback (most recent call last):
    softh.errors.InputError: draws was 0; expected a whole number of at least 1: try --draws 1.
    """
    spec = EstimateSpec.from_options({"model": model, **options})
    with _storing(save=save, data=data) as (cache, store):
        result = pipeline.estimate(spec, device=device, cache=cache, progress=progress)
        store(result)
    return result


@access.as_owner()
def estimate_by_source(
    model: str,
    *,
    device: str = "auto",
    save: bool = True,
    data: Path | str | None = None,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> dict[str | None, Estimate]:
    """Estimate a text and each of its sources in the same passes, and store all; arguments as for :func:`estimate`.

    Returns:
        Estimates by source, the whole text under None; the smallest sources of more than 32 are one together.

    Raises:
        InputError: as :func:`estimate` does, and for a text that does not say what its documents are a part of.

    >>> estimate_by_source("folder/of/a/model", draws=0)
    Traceback (most recent call last):
    softh.errors.InputError: draws was 0; expected a whole number of at least 1: try --draws 1.
    """
    spec = EstimateSpec.from_options({"model": model, **options})
    with _storing(save=save, data=data) as (cache, store):
        results = pipeline.estimate_by_source(spec, device=device, cache=cache, progress=progress)
        for result in results:
            store(result)
    return {result.spec.source: result for result in results if isinstance(result.spec, EstimateSpec)}


@contextmanager
def _storing(*, save: bool, data: Path | str | None) -> Generator[tuple[Cache, Callable[[Estimate], None]]]:
    """The cache, and what stores an estimate if it is to be saved; a folder that takes none is refused first."""
    folder = Path(data or settings.data())
    if save:
        write.check_writable(folder)

    def store(result: Estimate) -> None:
        if save:
            write.save(result.record(), folder)

    with open_cache(settings.cache()) as cache:
        yield cache, store


@access.as_owner()
def save_accumulated(
    accumulator: Accumulator,
    sample: FrozenSample | SeriesSample,
    model: str,
    *,
    parameters: int,
    step: int | None = None,
    tokens: int | None = None,
    family: str = "",
    architecture: str = "other",
    dtype: str = "float32",
    device: str = "cpu",
    source: str = "trained here",
    seconds: float = 0.0,
    data: Path | str | None = None,
) -> Estimate:
    """Store what an accumulator has collected of a model of any framework, so that the dashboard shows it.

    Args:
        accumulator: of all hidden states of a model on a frozen sample: the first layer is the embedding, the others
            count in the mean; label sets are those of the sample.
        sample: the frozen sample of a text, or the sample of time series, whose digest the accumulator was made with.
        model: its name in the tables.
        parameters: number of weights.
        step: optimiser steps so far; an estimate of another step is another point.
        tokens: training tokens so far.
        family: models with one colour; by default the name of the model.
        architecture: its name.
        dtype: number format of the hidden states.
        device: where they were computed.
        source: origin of the weights.
        seconds: time that the estimate took.
        data: folder of the store; by default SOFTH_DATA, else ``data``.

    Raises:
        InputError: when the accumulator is of another sample or has label sets of other names, or the folder cannot be
            written.
    """
    if accumulator.sample != sample.digest or set(accumulator.labels) != set(sample.label_sets):
        raise InputError(
            f"The accumulator was made with the sample {accumulator.sample} and labels "
            f"{', '.join(accumulator.labels)}; expected {sample.digest} and {', '.join(sample.label_sets)}: pass "
            "sample.digest and sample.label_sets."
        )
    folder = Path(data or settings.data())
    write.check_writable(folder)
    entropies = accumulator.entropies(sample.corpus.sources)
    spec, about = accumulator.spec, sample.about
    revision = "main" if step is None else f"step{step}"
    full = EstimateSpec(
        model=model, revision=revision, corpus=about["corpus"], documents=len(sample), context=about["context"],
        bins=spec.bins, draws=spec.draws, seed=spec.seed, orders=tuple(about["orders"]), labels=about["labels"],
    )  # fmt: skip
    width, layers = next(iter(accumulator.widths.values())), len(accumulator.layers) - 1
    digest = identity(accumulator.fingerprint, model, revision, str(entropies.entropy.tolist()))
    checkpoint = Checkpoint(model, source, revision, digest, Path(), "in training", step, tokens)
    described = LoadedModel(
        module=None, tokenizer=None, layers=layers, width=width, has_head=False, plain_head=False, dtype=dtype,
        attention="none", device=device, architecture=architecture, family=family or model, parameters=parameters,
        vocabulary=about["vocabulary"], longest_context=None,
    )  # fmt: skip
    found = Estimate(
        identity(full.canonical(), digest, sample.corpus.digest), full, checkpoint, described, sample.corpus,
        len(sample), entropies.positions,
        temperature(spec.bins, width, spec.temperature_rule),
        references(spec.bins, width, spec.draws, spec.seed, spec.directions).digest, 0, seconds, datetime.now(UTC),
        tuple(measure(entropies)),
    )  # fmt: skip
    write.save(found.record(), folder)
    return found
