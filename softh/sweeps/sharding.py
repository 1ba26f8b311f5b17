"""One estimate in shards, for several machines: soft assignments by documents, then entropies by layers.

All that the entropies need of hidden states is their soft assignments. An :class:`AssignTask` runs the model over every
n-th batch and returns the assignments of its positions; a :class:`CountTask` takes those of some layers from all shards
and computes their entropies under the labels of the whole text. Batches, products and the order of every sum are those
of an estimate in one piece, and so are its numbers.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from softh.checkpoints import resolve
from softh.checkpoints.resolve import Checkpoint
from softh.cost.hardware import free_memory
from softh.errors import InputError
from softh.estimator import spectra
from softh.estimator.assignment import references
from softh.estimator.buffers import AssignmentBuffer
from softh.estimator.calibration import temperature
from softh.estimator.entropies import (
    Counting,
    HiddenStateReader,
    Labelling,
    ProgressCallback,
    assemble_entropies,
    assign_all,
    document_offsets,
    full_precision,
    label,
    plan,
)
from softh.estimator.labels import label_corpus
from softh.estimator.measures import Measure
from softh.estimator.pipeline import Estimate, RunMetadata, assemble_estimate, tokenize_source
from softh.format import format_size
from softh.models import hidden_states
from softh.models.hidden_states import HiddenStates, LoadedModel
from softh.spec import EstimateSpec
from softh.text.corpus import Corpus, TokenizedCorpus, select_documents

_MEMORY_SHARE = 0.6
"""Share of the free main memory that the assignments of one shard may take."""


@dataclass(frozen=True)
class ShardAssignments:
    """Soft assignments of one part of the documents, and what else an estimate needs of its checkpoint."""

    documents: np.ndarray  # [documents of the part] int64, their numbers, in the order of their positions
    p: np.ndarray  # [layers, positions, draws, bins] float32
    entropy: np.ndarray  # [layers, positions, draws] float32
    sample: np.ndarray  # [layers, sampled positions of the part, width] float32, of softh.estimator.spectra
    checkpoint: Checkpoint
    text: Corpus
    """Without the texts."""
    metadata: RunMetadata
    """Of the whole text; nll of the documents of the part, in their order, and the model without its module."""


@dataclass(frozen=True)
class LayerEntropies:
    """H(Z | labels) of some layers."""

    values: np.ndarray  # [layers, rows, 1 + folds, draws], of softh.estimator.entropies.Counting


@dataclass(frozen=True, eq=False)
class AssignTask:
    """Computes the soft assignments of one part of the documents."""

    spec: EstimateSpec
    part: int
    parts: int

    @property
    def title(self) -> str:
        """For people, after the name of the model."""
        return f"documents {self.part + 1} of {self.parts}"

    def run(self, device: str, progress: ProgressCallback | None) -> ShardAssignments:
        """Assign every `parts`-th batch. Errors: InputError, as for an estimate in one piece."""
        spec = self.spec
        checkpoint = resolve.resolve(spec.model, spec.revision)
        text = label_corpus(spec.corpus, spec.documents, spec.seed, spec.labels)
        model = hidden_states.load_model(checkpoint, spec.dtype, device)
        tokenized = tokenize_source(spec, text, model.tokenizer)
        documents = _share(tokenized, model.device, self.part, self.parts)
        states = HiddenStates(model, select_documents(tokenized, documents), checkpoint.digest, cache=None)
        labelling = label(states.tokenized, spec, model.device, labels=False)
        epsilon = temperature(spec.bins, model.width, spec.temperature_rule)
        directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.directions)
        sample = spectra.StateSample(_sample_of(spec, tokenized, model, documents)[0], states)
        states.observer = sample.put
        p, entropy = _assignments(states, labelling, directions.directions.to(labelling.fold.device), epsilon, spec)
        metadata = RunMetadata(
            replace(model, module=None, tokenizer=None), tokenized, epsilon, directions.digest, states.nll,
            states.forward_passes,
        )  # fmt: skip
        sampled = np.stack([sample.take(layer).float().cpu().numpy() for layer in range(states.layers)])
        return ShardAssignments(documents, p, entropy, sampled, checkpoint, replace(text, texts=()), metadata)


@dataclass(frozen=True, eq=False)
class CountTask:
    """Computes the entropies of some layers of all documents, on a CPU."""

    spec: EstimateSpec
    layers: slice
    tokenized: TokenizedCorpus
    documents: np.ndarray  # their numbers, part after part
    p: Sequence[np.ndarray]  # of each part [layers, positions, draws, bins]
    entropy: Sequence[np.ndarray]  # of each part [layers, positions, draws]

    @property
    def title(self) -> str:
        """For people, after the name of the model."""
        return f"layers {self.layers.start} to {self.layers.stop - 1}"

    def run(self, device: str, progress: ProgressCallback | None) -> LayerEntropies:
        """Compute one layer after another; only one at a time is copied into memory."""
        labelling = label(self.tokenized, self.spec, "cpu")
        _, order = document_offsets(self.documents, labelling.starts)
        counting = Counting(labelling, order, self.spec)
        draws, bins = self.p[0].shape[2:]
        buffer, values = AssignmentBuffer([0], len(order), torch.empty(draws, bins, 0), 1.0), []
        count = len(self.p[0])
        with full_precision():
            for layer in range(count):
                np.concatenate([part[layer] for part in self.p], out=buffer.p[0].numpy())
                np.concatenate([part[layer] for part in self.entropy], out=buffer.entropy[0].numpy())
                values.append(counting.rows(buffer))
                if progress is not None:
                    progress("statistics", layer + 1, count)
        return LayerEntropies(np.concatenate(values))


ShardTask = AssignTask | CountTask
Kind = TypeVar("Kind", AssignTask, CountTask)


class RunTasks(Protocol):
    """Runs tasks somewhere: :func:`softh.sweeps.engine.run_tasks` on an engine."""

    def __call__(self, tasks: Sequence[Kind]) -> Iterable[tuple[Kind, Any]]:
        """Yield (task, what its `run` returned) in completion order. Errors: InputError when one fails."""
        ...


def estimate(spec: EstimateSpec, parts: int, run: RunTasks, folder: Path) -> Estimate:
    """Estimate a specification in so many shards, bit-equal to an estimate in one piece.

    folder: for the temporary files of the assignments. The memory of this process holds one shard at a time, that of a
    task one shard, and a :class:`CountTask` one layer more. Errors: InputError for one that cannot be sharded.
    """
    if spec.center:
        raise InputError(
            "centred was asked for in shards, whose documents never meet before they are assigned; "
            "expected one of both: leave out --shards or the centring."
        )
    began = time.perf_counter()
    spec = spec.current()
    with TemporaryDirectory(dir=folder, prefix="shards-") as scratch:
        shards = [
            _move_to_files(task.part, shard, Path(scratch))
            for task, shard in run([AssignTask(spec, part, parts) for part in range(parts)])
        ]
        _check_same_inputs(shards)
        by_layer = {task.layers.start: result for task, result in run(_count_tasks(spec, shards, parts))}
    first = shards[0]
    labelling = label(first.metadata.tokenized, spec, "cpu")
    values = np.concatenate([by_layer[layer].values for layer in sorted(by_layer)])
    entropies = assemble_entropies(values, labelling, spec)
    metadata = first.metadata._replace(
        nll=_nll(shards),
        forward_passes=sum(shard.metadata.forward_passes for shard in shards),
        further=_spectral_measures(spec, shards),
    )
    return assemble_estimate(spec, first.checkpoint, first.text, metadata, entropies, time.perf_counter() - began)


def _share(tokenized: TokenizedCorpus, device: str, part: int, parts: int) -> np.ndarray:
    """Numbers of the documents of a part, every `parts`-th batch: sorted by length, so all parts take as long."""
    batches = hidden_states.batches(tokenized, device)
    if len(batches) < parts:
        raise InputError(
            f"{parts} shards were asked for and the {len(tokenized.ids):,} documents are {len(batches)} batches; "
            f"expected a batch for each: try --shards {len(batches)}."
        )
    return np.concatenate(batches[part::parts])


def _assignments(
    states: HiddenStates, labelling: Labelling, directions: torch.Tensor, epsilon: float, spec: EstimateSpec
) -> tuple[np.ndarray, np.ndarray]:
    """p [layers, positions, draws, bins] and its entropies [layers, positions, draws], float32, document by document.

    On a CPU from one forward pass.
    """
    shape = (states.layers, len(labelling.positions), spec.draws, spec.bins)
    _check_memory(shape)
    reader, layers = HiddenStateReader(states, labelling, directions.device), list(range(states.layers))
    with full_precision():
        if directions.device.type == "cpu":
            buffer = AssignmentBuffer(layers, shape[1], directions, epsilon)
            reader.fill(buffer, layers, {})
            return buffer.p.numpy(), buffer.entropy.numpy()
        return _from_gpu(reader, directions, epsilon, spec, shape)


def _from_gpu(
    reader: HiddenStateReader,
    directions: torch.Tensor,
    epsilon: float,
    spec: EstimateSpec,
    shape: tuple[int, int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """The same on a GPU, in as many readings of the hidden states as its memory requires."""
    p, entropy = np.empty(shape, dtype=np.float32), np.empty(shape[:3], dtype=np.float32)
    readings = plan(reader.states, reader.labelling, spec)
    for layers, draws in readings.readings():
        buffer = assign_all(reader, directions[draws], epsilon, layers, spec, readings)
        for row, layer in enumerate(layers):
            p[layer, :, draws] = buffer.p[row][..., : spec.bins].float().cpu().numpy()
            entropy[layer, :, draws] = buffer.entropy[row].cpu().numpy()
    return p, entropy


def _check_memory(shape: Sequence[int]) -> None:
    needed, available = 4 * int(np.prod(shape)), int(_MEMORY_SHARE * free_memory())
    if needed > available:
        raise InputError(
            f"The assignments of one shard take {format_size(needed)} and {format_size(available)} may be used; "
            "expected room for them: ask for more shards, or for fewer draws."
        )


def _move_to_files(part: int, shard: ShardAssignments, folder: Path) -> ShardAssignments:
    """The same with its assignments memory-mapped from files, so that only what is read is in memory."""
    files = {name: folder / f"{name}-{part}.npy" for name in ("p", "entropy", "sample")}
    for name, path in files.items():
        np.save(path, getattr(shard, name))
    return replace(shard, **{name: np.asarray(np.load(path, mmap_mode="r")) for name, path in files.items()})


def _check_same_inputs(shards: Sequence[ShardAssignments]) -> None:
    """Errors: InputError unless all shards are of the same weights, text and directions."""
    seen = {
        (each.checkpoint.digest, each.metadata.tokenized.digest, each.metadata.model, each.metadata.reference_digest)
        for each in shards
    }
    if len(seen) > 1:
        raise InputError(
            "The shards had different weights, texts, machines or versions (a branch may have moved meanwhile); "
            "expected the same for all: name a commit as revision, and machines of one kind."
        )


def _count_tasks(spec: EstimateSpec, shards: Sequence[ShardAssignments], parts: int) -> list[CountTask]:
    """Tasks for groups of layers, as many as `parts` where there are that many layers."""
    documents = np.concatenate([part.documents for part in shards])
    groups = [group for group in np.array_split(np.arange(len(shards[0].p)), parts) if len(group)]
    slices = [slice(int(group[0]), int(group[-1]) + 1) for group in groups]
    tokenized = shards[0].metadata.tokenized
    return [
        CountTask(
            spec,
            layers,
            tokenized,
            documents,
            [each.p[layers] for each in shards],
            [each.entropy[layers] for each in shards],
        )
        for layers in slices
    ]


def _sample_of(
    spec: EstimateSpec, tokenized: TokenizedCorpus, model: LoadedModel, documents: np.ndarray
) -> tuple[spectra.SampledPositions, np.ndarray]:
    """What documents have of the sample of the whole text, and its rows in it."""
    return spectra.of_documents(spectra.sample_positions(tokenized, model.width, spec.seed), documents)


def _spectral_measures(spec: EstimateSpec, shards: Sequence[ShardAssignments]) -> list[Measure]:
    """The measures of the whole sample, a layer after another."""
    metadata = shards[0].metadata
    tokenized, width = metadata.tokenized, metadata.model.width
    positions = spectra.sample_positions(tokenized, width, spec.seed)
    folds, values = spectra.position_folds(positions, tokenized, spec.folds), []
    for layer in range(len(shards[0].sample)):
        states = torch.empty(len(folds.fold), width)
        for shard in shards:
            _, rows = _sample_of(spec, tokenized, metadata.model, shard.documents)
            states[torch.from_numpy(rows)] = torch.from_numpy(np.array(shard.sample[layer]))
        with full_precision():
            values.append(spectra.spectral_values(states, *folds))
    return spectra.spectral_measures(values, len(folds.fold))


def _nll(shards: Sequence[ShardAssignments]) -> np.ndarray | None:
    """Negative log-likelihood [documents] of the whole text, in nats; None where no head ran."""
    parts: Iterator[np.ndarray | None] = (shard.metadata.nll for shard in shards)
    known = [nll for nll in parts if nll is not None]
    if len(known) < len(shards):
        return None
    nll = np.empty(len(shards[0].metadata.tokenized.ids))
    nll[np.concatenate([shard.documents for shard in shards])] = np.concatenate(known)
    return nll
