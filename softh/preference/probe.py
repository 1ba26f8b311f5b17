"""PreferenceSpec to Estimate: what each layer says about which of two answers was preferred, and what else says it."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from softh.checkpoints import resolve
from softh.checkpoints.resolve import Checkpoint
from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import Progress, full_precision
from softh.estimator.measures import Measure
from softh.estimator.pipeline import Estimate
from softh.models import hidden_states
from softh.models.hidden_states import HiddenStates, Model
from softh.preference import baselines, pairs
from softh.preference import information as paired
from softh.preference.completions import Completions, completions, folds
from softh.preference.information import Design
from softh.preference.linear import Verdict, cross_validate, mean_and_error
from softh.preference.pairs import Pairs
from softh.spec import PreferenceSpec, identity
from softh.text.corpus import Corpus

POSITIONS = ("completion", "last", "mean")
"""Rows of Z: every token of an answer, its last token, or the mean hidden state of the answer."""
ALL, MATCHED = "all", "matched"
FEWEST = 40
"""Pairs that a subset must have to be measured by itself."""
MOST_SOURCES = 8

_ASSIGNMENTS = {"cpu": 2**21, "cuda": 2**26}
"""Assignments held at once, as in entropies.py."""
_TABLES = {"cpu": 4 << 30, "cuda": 24 << 30}
"""Bytes of summed assignments held at once; what does not fit takes another reading of the model."""


def variable(what: str, subset: str = ALL) -> str:
    """Name in the column `variable`: ``preference`` for completion tokens of all pairs, ``preference last | matched`` …

    what: one of POSITIONS, or ``linear``, ``length``, ``words``.
    """
    name = {"completion": "preference", "last": "preference last", "mean": "preference mean"}.get(what, what)
    return name if subset == ALL else f"{name} | {subset}"


@dataclass(frozen=True)
class Summed:
    """What is kept of the hidden states of one layer; rows are answers, chosen and rejected of each pair in turn."""

    tables: dict[str, Tensor]  # position → [answers, draws, bins] float32 summed assignments
    mean: Tensor  # [answers, width] float32, mean hidden state of the answer


def estimate(spec: PreferenceSpec, *, device: str = "auto", progress: Progress | None = None) -> Estimate:
    """Probe what the specification asks for. Raises InputError for whatever its author can mend."""
    began = time.perf_counter()
    found = pairs.load(spec.pairs, spec.limit, spec.seed)
    checkpoint = resolve.resolve(spec.model, spec.revision)
    model = hidden_states.load_model(checkpoint, spec.dtype, device)
    return estimate_model(spec, checkpoint, model, found, progress=progress, began=began)


def estimate_model(
    spec: PreferenceSpec,
    checkpoint: Checkpoint,
    model: Model,
    found: Pairs,
    *,
    progress: Progress | None = None,
    began: float | None = None,
) -> Estimate:
    """The same for a model that is already in memory, on pairs already sampled."""
    began = time.perf_counter() if began is None else began
    progress = progress or (lambda phase, done, total: None)
    answers = completions(found, model.tokenizer, spec.context)
    # The head is not needed: what an answer is worth to the model itself is another question.
    states = HiddenStates(dataclasses.replace(model, has_head=False), answers.windows, checkpoint.digest, cache=None)
    epsilon = temperature(spec.bins, model.width, spec.temperature_rule)
    directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.directions)
    fold = folds(answers.group, spec.folds, spec.seed)
    asked = paired.design(fold, spec.folds, spec.swaps, spec.seed)
    with full_precision():
        layers = summed(states, answers, directions.directions.to(model.device), epsilon, progress)
        rows = [*_set_aside(answers), *_measures(layers, answers, asked, spec, progress)]
    text = Corpus(found.name, (), found.digest, found.note)
    return Estimate(
        identity(spec.canonical(), checkpoint.digest, found.digest), spec, checkpoint, model, text,
        2 * len(answers.pairs), int(answers.lengths.sum()), epsilon, directions.digest, states.forward_passes,
        time.perf_counter() - began, datetime.now(UTC), tuple(rows),
    )  # fmt: skip


def summed(
    states: HiddenStates, answers: Completions, directions: Tensor, epsilon: float, progress: Progress
) -> list[Summed]:
    """Summed assignments and mean hidden states of every answer in every layer.

    directions: [draws, bins, width]. One reading of the model where all draws fit in memory, otherwise one for each
    group of draws.
    """
    draws, bins, _ = directions.shape
    table = 4 * len(answers.first) * bins * len(POSITIONS)  # bytes a draw and layer
    step = max(1, _TABLES[directions.device.type] // (table * states.layers))
    groups = [slice(start, min(start + step, draws)) for start in range(0, draws, step)]
    parts = []
    for number, some in enumerate(groups):

        def tell(done: int, total: int, before: int = number) -> None:
            progress("forward passes", before * total + done, len(groups) * total)

        parts.append(_read(states, answers, directions[some], epsilon, tell))
    if len(parts) == 1:
        return parts[0]  # joining would hold everything twice
    return [
        Summed({name: torch.cat([part.tables[name] for part in layer], dim=1) for name in POSITIONS}, layer[0].mean)
        for layer in zip(*parts, strict=True)
    ]


def _read(
    states: HiddenStates,
    answers: Completions,
    directions: Tensor,
    epsilon: float,
    tell: Callable[[int, int], None],
) -> list[Summed]:
    count, width, device = len(answers.first), directions.shape[-1], directions.device
    shape = (count, *directions.shape[:2])
    layers = [
        Summed(
            {name: torch.zeros(shape, device=device) for name in POSITIONS}, torch.zeros(count, width, device=device)
        )
        for _ in range(states.layers)
    ]
    tell(0, len(states.blocks))
    for done, (documents, hidden) in enumerate(states.read(range(states.layers)), start=1):
        rows, row, last = (part.to(device) for part in _rows(answers, documents))
        at = torch.from_numpy(documents).to(device)
        for layer, z in hidden.items():
            _add(layers[layer], z[rows.to(z.device)].to(device), row, last, at, directions, epsilon)
        tell(done, len(states.blocks))
    return layers


def _rows(answers: Completions, documents: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Of the tokens of some documents: which are of an answer, the place of each one's document, and the last ones."""
    sizes = np.array([len(answers.windows.ids[document]) for document in documents])
    first = answers.first[documents]
    starts = np.cumsum(sizes) - sizes
    rows = [np.arange(start + begin, start + size) for start, begin, size in zip(starts, first, sizes, strict=True)]
    row = np.repeat(np.arange(len(documents)), sizes - first)
    last = np.cumsum(sizes - first) - 1
    return torch.from_numpy(np.concatenate(rows)), torch.from_numpy(row), torch.from_numpy(last)


def _add(layer: Summed, z: Tensor, row: Tensor, last: Tensor, at: Tensor, directions: Tensor, epsilon: float) -> None:
    """Add the answers `at` of one block: hidden states z [tokens, width], the answer of each token, its last token."""
    step = max(1, _ASSIGNMENTS[directions.device.type] // (directions.shape[0] * directions.shape[1]))
    z = z.float()
    total = torch.zeros(len(at), z.shape[1], device=z.device)
    for some, of in zip(z.split(step), row.split(step), strict=True):
        answer, inverse = of.unique_consecutive(return_inverse=True)
        member = torch.nn.functional.one_hot(inverse).T.float()  # a product instead of scattered additions, which race
        p, _ = assign(normalise(some), directions, epsilon)
        layer.tables["completion"][at[answer]] += (member @ p.flatten(1)).unflatten(1, p.shape[1:])
        total[answer] += member @ some
    mean = total / torch.bincount(row, minlength=len(at))[:, None]
    layer.mean[at] = mean
    for name, one in (("last", z[last]), ("mean", mean)):
        for some, where in zip(one.split(step), at.split(step), strict=True):
            layer.tables[name][where] = assign(normalise(some), directions, epsilon)[0]


def subsets(answers: Completions, seed: int) -> dict[str, np.ndarray]:
    """Name → numbers of its pairs: all, those matched by length, and each large source where there are several."""
    found = {ALL: np.arange(len(answers.pairs)), MATCHED: baselines.match(answers.lengths, seed)}
    names = np.array([pair.source for pair in answers.pairs])
    several = sorted(set(names) - {""}, key=lambda name: -int((names == name).sum()))
    if len(several) > 1:
        found |= {f"source {name}": np.flatnonzero(names == name) for name in several[:MOST_SOURCES]}
    return {name: which for name, which in found.items() if name == ALL or len(which) >= FEWEST}


def _measures(
    layers: Sequence[Summed], answers: Completions, asked: Design, spec: PreferenceSpec, progress: Progress
) -> list[Measure]:
    which = subsets(answers, spec.seed)
    rows = [row for name, some in which.items() for row in _surface(answers, some, asked, name, spec)]
    found: dict[tuple[str, str], list[paired.Information]] = {}
    verdicts: dict[str, list[Verdict]] = {}
    for number, layer in enumerate(layers):
        progress("statistics", number, len(layers))
        mean = layer.mean.unflatten(0, (-1, 2))
        for name, some in which.items():
            part, at = asked.subset(some), torch.from_numpy(some).to(mean.device)
            for position, table in layer.tables.items():
                both = table.unflatten(0, (-1, 2))[at]
                found.setdefault((position, name), []).append(paired.information(both[:, 0], both[:, 1], part))
            if name in (ALL, MATCHED):
                difference = (mean[at, 0] - mean[at, 1]).double()
                verdicts.setdefault(name, []).append(cross_validate(difference, part.fold, part.folds))
    progress("statistics", len(layers), len(layers))
    tokens = answers.lengths.sum(1)
    for (position, name), information in found.items():
        counted = tokens[which[name]].sum() if position == "completion" else 2 * len(which[name])
        rows += paired.rows(information, variable(position, name), spec.bins, int(counted))
    for name, several in verdicts.items():
        group = answers.group[which[name]]
        for number, verdict in enumerate(several):
            rows += _judged(verdict, variable("linear", name), number, group, spec.bins)
    return rows


def _surface(answers: Completions, some: np.ndarray, asked: Design, name: str, spec: PreferenceSpec) -> list[Measure]:
    """What length alone and words alone say, of some pairs."""
    fold, group = asked.fold[some], answers.group[some]
    texts = [(answers.pairs[i].chosen, answers.pairs[i].rejected) for i in some]
    verdicts = {
        "length": baselines.length(answers.lengths[some], fold, asked.folds),
        "words": baselines.words(texts, fold, asked.folds),
    }
    return [
        row
        for what, verdict in verdicts.items()
        for row in _judged(verdict, variable(what, name), None, group, spec.bins)
    ]


def _judged(verdict: Verdict, name: str, layer: int | None, group: np.ndarray, bins: int) -> list[Measure]:
    """Accuracy, area under the curve, and information in log n, each with its error over prompts."""
    parts = {
        "accuracy": (verdict.accuracy, 1.0),
        "auc": (verdict.auc, 2.0),  # a U-statistic of two pairs: twice the spread of its terms
        "information": (verdict.nats / np.log(bins), 1.0),
    }
    rows = []
    for quantity, (values, factor) in parts.items():
        value, error = mean_and_error(values, group)
        rows.append(Measure(layer, quantity, name, None, "raw", value, None, factor * error, len(values), 2, None))
    return rows


def _set_aside(answers: Completions) -> list[Measure]:
    """How many pairs were measured, and how many left out for which reason."""
    form = "in the chat template" if answers.templated else "in plain form"
    counts: Mapping[str, int] = {f"measured, {form}": len(answers.pairs), **answers.set_aside}
    return [
        Measure(None, "pairs", reason, None, "raw", float(count), None, None, count, None, None)
        for reason, count in counts.items()
    ]
