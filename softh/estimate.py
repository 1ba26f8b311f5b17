"""EstimateSpec to Estimate: the one path that strings checkpoint, text, hidden states, counts and measures together."""

import dataclasses
import json
import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softh import activations, checkpoints, corpus
from softh.activations import Cache, HiddenStates, Model
from softh.assignment import References, assign, normalise, references
from softh.calibration import temperature
from softh.checkpoints import Checkpoint
from softh.corpus import Corpus
from softh.counts import Counts, Grouping, Mass, group, indicator
from softh.errors import InputError
from softh.labels import VARIABLES, Positions, encode, shuffle, valid_positions
from softh.measures import Entropies, Key, Measure, bits_per_byte, measure
from softh.spec import EstimateSpec, identity

Progress = Callable[[str, int, int], None]
"""Called as progress(phase, done, total); the last call of a phase has done == total."""

_ASSIGNMENTS = {"cpu": 2**21, "cuda": 2**27}
"""Assignments held at once; few on a CPU, for the reason given in counts.py."""
_TABLES = 4 << 30
"""Bytes of count tables held at once in main memory; on a GPU, 40 % of what is free."""


@dataclass(frozen=True)
class Estimate:
    """Measures of one checkpoint on one corpus, with everything needed to know where they come from."""

    id: str
    spec: EstimateSpec
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
        asked = ("context", "bins", "draws", "frame", "centred", "calibration", "weighting", "folds", "seed")
        estimate = {
            "estimate_id": self.id,
            "model": made.name,
            "revision": made.revision,
            "corpus": self.corpus.name,
            "corpus_digest": self.corpus.digest,
            "documents": self.documents,
            "positions": self.positions,
            **{name: getattr(self.spec, name) for name in asked},
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


def estimate(
    spec: EstimateSpec, *, device: str = "auto", cache: Cache | None = None, progress: Progress | None = None
) -> Estimate:
    """Estimate what the specification asks for. Raises InputError for whatever its author can mend.

    With a `cache`, hidden states are remembered: another estimate of the same checkpoint, text and context runs no
    forward pass.
    """
    began = time.perf_counter()
    checkpoint = checkpoints.resolve(spec.model, spec.revision)
    text = corpus.load(spec.corpus, spec.documents, spec.seed)
    model = activations.load_model(checkpoint, spec.dtype, device)
    return estimate_model(spec, checkpoint, model, text, cache=cache, progress=progress, began=began)


def estimate_model(
    spec: EstimateSpec,
    checkpoint: Checkpoint,
    model: Model,
    text: Corpus,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
    began: float | None = None,
) -> Estimate:
    """The same for a model that is already in memory, on documents already sampled."""
    began = time.perf_counter() if began is None else began
    windows = corpus.windows(text, model.tokenizer, spec.context, max(spec.orders))
    states = HiddenStates(model, windows, checkpoint.digest, cache=cache)
    progress = progress or (lambda phase, done, total: None)
    labelling = label(windows.ids, spec, model.device)
    epsilon = temperature(spec.bins, model.width, spec.calibration)
    directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.frame)
    if states.remembered:
        states.fill(progress)
    entropies = measure_entropies(states, labelling, directions, epsilon, spec, progress)
    rows = measure(entropies)
    if states.nats is not None:
        rows.append(bits_per_byte(states.nats, windows.predicted_bytes))
    return Estimate(
        identity(spec.canonical(), checkpoint.digest, text.digest),
        spec,
        checkpoint,
        model,
        text,
        len(windows.ids),
        len(labelling.positions),
        epsilon,
        directions.digest,
        states.forward_passes,
        time.perf_counter() - began,
        datetime.now(UTC),
        tuple(rows),
    )


@dataclass(frozen=True)
class Labelling:
    """Every label set of a corpus, grouped, and where its positions lie."""

    positions: Positions
    lengths: np.ndarray  # [documents] tokens of every document
    starts: np.ndarray  # [documents + 1] first position of every document
    fold: Tensor  # [positions] int64, fold of the position's document
    folds: int
    groups: dict[Key, Grouping]

    @property
    def rows(self) -> int:
        """Rows of all count tables together."""
        return self.folds + sum(grouping.rows for grouping in self.groups.values())


def label(documents: Sequence[np.ndarray], spec: EstimateSpec, device: str) -> Labelling:
    """Label sets of input and output at every order, each with its shuffled twin."""
    positions = valid_positions(documents, max(spec.orders))
    folds = max(1, min(spec.folds, len(documents)))
    fold = positions.document % folds
    groups = {}
    for variable in VARIABLES:
        for order in spec.orders:
            true = encode(documents, positions, variable, order)
            for labels in (true, shuffle(true, spec.seed)):
                groups[Key(variable, order, labels.shuffled)] = group(labels, fold, folds).to(device)
    lengths = np.array([len(ids) for ids in documents])
    starts = np.searchsorted(positions.document, np.arange(len(documents) + 1))
    return Labelling(positions, lengths, starts, torch.from_numpy(fold).to(device), folds, groups)


def measure_entropies(
    states: HiddenStates,
    labelling: Labelling,
    directions: References,
    epsilon: float,
    spec: EstimateSpec,
    progress: Progress,
) -> Entropies:
    """H(Z) and H(Z | labels) of every layer under every draw.

    Remembered hidden states are read a layer at a time; otherwise all layers come from each forward pass. Either way
    only as many draws are counted at once as fit in memory, and the states are read again for the rest.
    """
    shape = (states.layers, 1 + labelling.folds, directions.draws)
    entropy = np.empty(shape)
    conditional = {key: np.empty(shape) for key in labelling.groups}
    scaled = (directions.directions / epsilon).to(labelling.fold.device)
    plan = list(_plan(states, labelling, spec, directions.draws))
    for done, (layers, draws) in enumerate(plan):
        progress("statistics", done, len(plan))
        for layer, (mass, counts) in _count(states, labelling, scaled[draws], layers, spec.centred).items():
            entropy[layer, :, draws] = mass.entropy()
            for key, statistic in counts.items():
                conditional[key][layer, :, draws] = statistic.conditional_entropy(spec.weighting)
    progress("statistics", len(plan), len(plan))
    distinct = {key: grouping.distinct for key, grouping in labelling.groups.items()}
    return Entropies(entropy, conditional, distinct, spec.bins, len(labelling.positions))


def _plan(
    states: HiddenStates, labelling: Labelling, spec: EstimateSpec, draws: int
) -> Iterator[tuple[list[int], slice]]:
    """Which layers and draws to count in each reading, so that their tables fit in memory together."""
    device = labelling.fold.device
    budget = _TABLES if device.type == "cpu" else int(0.4 * torch.cuda.mem_get_info(device)[0])
    fit = max(1, budget // (labelling.rows * spec.bins * 8))
    at_once = 1 if states.remembered else min(states.layers, fit)
    step = max(1, fit // at_once)
    for first in range(0, states.layers, at_once):
        for start in range(0, draws, step):
            layers = list(range(first, min(first + at_once, states.layers)))
            yield layers, slice(start, min(start + step, draws))


_Statistic = tuple[Mass, dict[Key, Counts]]


def _count(
    states: HiddenStates, labelling: Labelling, scaled: Tensor, layers: list[int], centred: bool
) -> dict[int, _Statistic]:
    """Statistics of some layers under some draws, from one reading of the hidden states."""
    draws, bins, _ = scaled.shape
    centre = _centres(states, labelling, layers) if centred else {}
    statistics: dict[int, _Statistic] = {
        layer: (
            Mass(labelling.folds, draws, bins, scaled.device),
            {key: Counts(grouping, draws, bins) for key, grouping in labelling.groups.items()},
        )
        for layer in layers
    }
    for at, units in _units(states, labelling, layers, max(1, _ASSIGNMENTS[scaled.device.type] // (draws * bins))):
        fold = indicator(labelling.fold[at], labelling.folds)
        parts = {key: grouping.part(at) for key, grouping in labelling.groups.items()}
        for layer, unit in units.items():
            mass, counts = statistics[layer]
            p, entropy = assign(normalise(unit - centre[layer]) if centred else unit, scaled)
            p, entropy = p.double(), entropy.double()
            mass.add(p, fold)
            for key, statistic in counts.items():
                statistic.add(p, entropy, parts[key])
    return statistics


def _units(
    states: HiddenStates, labelling: Labelling, layers: list[int], most: int
) -> Iterator[tuple[Tensor, dict[int, Tensor]]]:
    """At most so many positions at a time, and their normalised hidden states [positions, width] by layer."""
    device = labelling.fold.device
    lengths = labelling.lengths
    for documents, hidden in states.read(layers):
        ranges = [np.arange(labelling.starts[d], labelling.starts[d + 1]) for d in documents]
        at = np.concatenate(ranges)
        first = np.repeat(np.cumsum(lengths[documents]) - lengths[documents], [len(r) for r in ranges])
        rows = torch.from_numpy(first + labelling.positions.offset[at])
        for some, where in zip(rows.split(most), torch.from_numpy(at).split(most), strict=True):
            units = {layer: normalise(z[some.to(z.device)]).to(device) for layer, z in hidden.items()}
            yield where.to(device), units


def _centres(states: HiddenStates, labelling: Labelling, layers: list[int]) -> dict[int, Tensor]:
    """Mean of the normalised hidden states of each layer, [width] float32."""
    sums: dict[int, Tensor] = {}
    for _, units in _units(states, labelling, layers, len(labelling.positions)):
        for layer, unit in units.items():
            sums[layer] = sums.get(layer, 0) + unit.double().sum(0)
    centres = {layer: (total / len(labelling.positions)).float() for layer, total in sums.items()}
    for layer, centre in centres.items():
        if float(centre.norm()) > 1 - 1e-6:
            raise InputError(
                f"The hidden states of layer {layer} all point the same way and centring would leave nothing of them; "
                "expected some spread: estimate without --centred."
            )
    return centres


def _stage(name: str) -> str | None:
    """'instruct' when the model's name says so; otherwise unknown."""
    return "instruct" if re.search(r"(?i)(?:^|[-_ ])(instruct|chat|it|sft|dpo)(?:$|[-_ (])", name) else None


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "numpy", "tokenizers")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
