"""Hidden states of a text in memory, estimated for any of its documents; shared by benchmarks."""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch

from softh.checkpoints import resolve
from softh.estimator.assignment import references
from softh.estimator.buffers import AssignmentBuffer
from softh.estimator.calibration import temperature
from softh.estimator.entropies import Counting, Labelling, assemble_entropies, label, label_positions
from softh.estimator.labels import label_kind
from softh.estimator.measures import Measure, measure
from softh.models.hidden_states import HiddenStates, LoadedModel, load_model
from softh.spec import EstimateSpec
from softh.text.corpus import Corpus, TokenizedCorpus, select_documents

DEMO = Path(__file__).parent.parent / "data" / "demo" / "toy-olmo2-3m-seed0.tar.gz"


def demo(device: str = "cpu") -> LoadedModel:
    """The shipped checkpoint of 3 M parameters, trained here."""
    folder = Path(mkdtemp())
    with tarfile.open(DEMO) as archive:
        archive.extractall(folder, filter="data")
    return load_model(resolve.resolve(str(folder / DEMO.name.removesuffix(".tar.gz"))), "float32", device)


@dataclass(frozen=True)
class States:
    """Hidden states of some layers for every position of a text."""

    tokenized: TokenizedCorpus
    layers: dict[int, torch.Tensor]  # [tokens, width] float32, document after document
    starts: np.ndarray  # [documents + 1] first token of each

    @classmethod
    def of(cls, model: LoadedModel, text: Corpus, spec: EstimateSpec, layers: Sequence[int]) -> "States":
        """Run the model over a text, truncated as the specification says."""
        kind = label_kind(spec.labels)
        tokenized = kind.tokenize(text, model.tokenizer, spec.context, max(spec.orders))
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in tokenized.ids])])
        found = {layer: torch.empty(int(starts[-1]), model.width) for layer in layers}
        states = HiddenStates(model, tokenized, "", cache=None, loss=False)
        for documents, hidden in states.read(list(layers)):
            ends = np.concatenate([[0], np.cumsum([len(tokenized.ids[document]) for document in documents])])
            for place, document in enumerate(documents):
                rows = slice(int(starts[document]), int(starts[document + 1]))
                for layer, values in hidden.items():
                    found[layer][rows] = values[ends[place] : ends[place + 1]].float()
        return cls(tokenized, found, starts)

    def measures(self, documents: Sequence[int] | np.ndarray, spec: EstimateSpec, split: int = 1) -> list[Measure]:
        """All measures of some documents, as an estimate of them would have; every label split in so many at random."""
        some = select_documents(self.tokenized, np.asarray(documents))
        labelling = label(some, spec, "cpu")
        if split > 1:
            labelling = _split(labelling, some, spec, split)
        return self.labelled(documents, spec, [labelling])[0]

    def labelled(
        self, documents: Sequence[int] | np.ndarray, spec: EstimateSpec, labellings: Sequence[Labelling]
    ) -> list[list[Measure]]:
        """All measures of some documents for each labelling of the same positions, from the same assignments."""
        positions = labellings[0].positions
        rows = self.starts[np.asarray(documents)][positions.document] + positions.offset
        width = next(iter(self.layers.values())).shape[1]
        directions = references(spec.bins, width, spec.draws, spec.seed, spec.directions).directions
        epsilon = temperature(spec.bins, width, spec.temperature_rule)
        place = torch.arange(len(rows), dtype=torch.int32)
        countings = [Counting(each, place, spec) for each in labellings]
        values: list[list[np.ndarray]] = [[] for _ in countings]
        for states in self.layers.values():
            buffer = AssignmentBuffer([0], len(rows), directions, epsilon)
            buffer.put(0, states[torch.from_numpy(rows)], place, 0, None)
            for found, counting in zip(values, countings, strict=True):
                found.append(counting.rows(buffer))
        # The first row stands for the embedding, which no mean over layers has.
        whole = [np.concatenate([found[0], *found]) for found in values]
        return [
            [row for row in measure(assemble_entropies(found, each, spec)) if row.layer is None]
            for found, each in zip(whole, labellings, strict=True)
        ]


def _split(labelling: Labelling, text: TokenizedCorpus, spec: EstimateSpec, parts: int) -> Labelling:
    random, sets = np.random.default_rng(0), []
    for labels in label_kind(spec.labels).labels(text, spec.orders, torch.device("cpu")):
        finer = labels.labels * parts + torch.from_numpy(random.integers(0, parts, len(labels.labels)))
        distinct, dense = torch.unique(finer, return_inverse=True)
        sets.append(replace(labels, labels=dense, distinct=len(distinct)))
    own = labelling
    return label_positions(sets, own.positions, own.lengths, own.starts, own.fold, own.folds, spec.seed)


def perturbed(model: LoadedModel, bits: int) -> LoadedModel:
    """The same model with its matrices rounded to so many bits, a scale for each row."""
    import copy

    module = copy.deepcopy(model.module)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 2:
                scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
                weight.copy_((weight / scale).round() * scale)
    return replace(model, module=module)
