"""From a PreferenceSpec to an Estimate: information of every layer about which answer was preferred, and baselines."""

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
from softh.estimator.entropies import ProgressCallback, full_precision
from softh.estimator.measures import Measure
from softh.estimator.pipeline import Estimate
from softh.models import hidden_states
from softh.models.hidden_states import HiddenStates, LoadedModel
from softh.preference import baselines, pairs
from softh.preference import information as paired
from softh.preference.completions import Completions, completions, folds, independent
from softh.preference.information import PairDesign
from softh.preference.linear import CrossValidation, cross_validate, mean_and_error
from softh.preference.pairs import Pairs
from softh.spec import PreferenceSpec, identity
from softh.text.corpus import Corpus

POSITIONS = ("completion", "last", "mean")
"""Rows of Z: every token of an answer, its last token, or the mean hidden state of the answer."""
ALL, MATCHED = "all", "matched"
MIN_FOLDS = 3
"""Least folds that a cross-validated model needs: to fit, to choose its penalty, to test."""
FEWEST = 40
"""Least pairs of a subset that is measured by itself."""
MOST_SOURCES = 8

ASSIGNMENTS = {"cpu": 2**21, "cuda": 2**26}
"""Assignments computed at once."""
TABLES = {"cpu": 4 << 30, "cuda": 24 << 30}
"""Most bytes of summed assignments in memory; more draws take another forward pass."""


def variable(statistic: str, subset: str = ALL) -> str:
    """Name in the column `variable`: ``preference`` for completion tokens of all pairs, ``preference last | matched`` …

    Args:
        statistic: one of POSITIONS, or ``linear``, ``length``, ``words``.
        subset: ALL, MATCHED or a source of pairs.

    >>> variable("last", MATCHED)
    'preference last | matched'
    """
    name = {"completion": "preference", "last": "preference last", "mean": "preference mean"}.get(statistic, statistic)
    return name if subset == ALL else f"{name} | {subset}"


@dataclass(frozen=True)
class AnswerSums:
    """Sums over the answers of one layer; rows are answers, chosen and rejected of each pair in turn."""

    tables: dict[str, Tensor]  # position → [answers, draws, bins] float32 summed assignments
    mean: Tensor  # [answers, width] float32, mean hidden state of the answer


def estimate(spec: PreferenceSpec, *, device: str = "auto", progress: ProgressCallback | None = None) -> Estimate:
    """Probe a checkpoint with preference pairs.

    Args:
        spec: model, pairs and settings.
        device: ``auto``, ``cpu`` or the name of a GPU.
        progress: called with phase, steps done and steps in all.

    Raises:
        InputError: for every mistake in the specification or its files, with what to do about it.
    """
    began = time.perf_counter()
    sample = pairs.load(spec.pairs, spec.limit, spec.seed)
    checkpoint = resolve.resolve(spec.model, spec.revision)
    model = hidden_states.load_model(checkpoint, spec.dtype, device)
    return estimate_model(spec, checkpoint, model, sample, progress=progress, began=began)


def estimate_model(
    spec: PreferenceSpec,
    checkpoint: Checkpoint,
    model: LoadedModel,
    sample: Pairs,
    *,
    progress: ProgressCallback | None = None,
    began: float | None = None,
    answers: Completions | None = None,
    states: HiddenStates | None = None,
) -> Estimate:
    """Probe a model that is already in memory, on pairs already sampled.

    `answers` are :func:`softh.preference.completions.completions` of the pairs, which checkpoints of one run share;
    `states` their hidden states, where another process or a training has computed them.
    """
    began = time.perf_counter() if began is None else began
    progress = progress or (lambda phase, done, total: None)
    answers = answers or completions(sample, model.tokenizer, spec.context)
    # No head runs: how likely the model itself finds an answer is another question.
    headless = dataclasses.replace(model, has_head=False)
    states = states or HiddenStates(headless, answers.tokenized, checkpoint.digest, cache=None)
    epsilon = temperature(spec.bins, model.width, spec.temperature_rule)
    directions = references(spec.bins, model.width, spec.draws, spec.seed, spec.directions)
    count = min(spec.folds, len(answers.pairs))
    fold = folds(independent(answers.group, count), count, spec.seed)
    pairing = paired.design(fold, count, spec.swaps, spec.seed)
    with full_precision():
        layers = answer_sums(states, answers, directions.directions.to(model.device), epsilon, progress)
        rows = [*_counts(answers), *_measures(layers, answers, pairing, spec, progress)]
    text = Corpus(sample.name, (), sample.digest, sample.note)
    return Estimate(
        identity(spec.canonical(), checkpoint.digest, sample.digest), spec, checkpoint, model, text,
        2 * len(answers.pairs), int(answers.lengths.sum()), epsilon, directions.digest, states.forward_passes,
        time.perf_counter() - began, datetime.now(UTC), tuple(rows),
    )  # fmt: skip


def answer_sums(
    states: HiddenStates, answers: Completions, directions: Tensor, epsilon: float, progress: ProgressCallback
) -> list[AnswerSums]:
    """Summed assignments and mean hidden states of every answer in every layer.

    One forward pass where all draws fit in memory, otherwise one for each group of draws.

    Args:
        states: hidden states of the answers.
        answers: tokenized pairs.
        directions: [draws, bins, width] float32.
        epsilon: the temperature ε.
        progress: called after every batch.
    """
    draws, bins, _ = directions.shape
    table = 4 * len(answers.first) * bins * len(POSITIONS)  # bytes a draw and layer
    step = max(1, TABLES[directions.device.type] // (table * states.layers))
    groups = [slice(start, min(start + step, draws)) for start in range(0, draws, step)]
    parts = []
    for number, group in enumerate(groups):

        def on_batch(done: int, total: int, before: int = number) -> None:
            progress("forward passes", before * total + done, len(groups) * total)

        parts.append(_read(states, answers, directions[group], epsilon, on_batch))
    if len(parts) == 1:
        return parts[0]  # a copy would need twice the memory
    return [
        AnswerSums({name: torch.cat([part.tables[name] for part in layer], dim=1) for name in POSITIONS}, layer[0].mean)
        for layer in zip(*parts, strict=True)
    ]


def _read(
    states: HiddenStates,
    answers: Completions,
    directions: Tensor,
    epsilon: float,
    on_batch: Callable[[int, int], None],
) -> list[AnswerSums]:
    count, width, device = len(answers.first), directions.shape[-1], directions.device
    shape = (count, *directions.shape[:2])
    layers = [
        AnswerSums(
            {name: torch.zeros(shape, device=device) for name in POSITIONS}, torch.zeros(count, width, device=device)
        )
        for _ in range(states.layers)
    ]
    on_batch(0, len(states.blocks))
    for done, (documents, hidden) in enumerate(states.read(range(states.layers)), start=1):
        rows, answer, last = (part.to(device) for part in token_rows(answers, documents))
        documents_at = torch.from_numpy(documents).to(device)
        for layer, z in hidden.items():
            _add(layers[layer], z[rows.to(z.device)].to(device), answer, last, documents_at, directions, epsilon)
        on_batch(done, len(states.blocks))
    return layers


def token_rows(answers: Completions, documents: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the tokens of answers in a batch, the document of each in the batch, and each answer's last token."""
    sizes = np.array([len(answers.tokenized.ids[document]) for document in documents])
    first = answers.first[documents]
    starts = np.cumsum(sizes) - sizes
    rows = [np.arange(start + begin, start + size) for start, begin, size in zip(starts, first, sizes, strict=True)]
    answer = np.repeat(np.arange(len(documents)), sizes - first)
    last = np.cumsum(sizes - first) - 1
    return torch.from_numpy(np.concatenate(rows)), torch.from_numpy(answer), torch.from_numpy(last)


def _add(
    layer: AnswerSums, z: Tensor, answer: Tensor, last: Tensor, documents: Tensor, directions: Tensor, epsilon: float
) -> None:
    """Add the answers of one batch.

    Args:
        layer: where to add them.
        z: [tokens, width] hidden states of the answers' tokens.
        answer: [tokens] number of each token's answer within the batch.
        last: [answers of the batch] last token of each.
        documents: [answers of the batch] rows in `layer`.
        directions: [draws, bins, width].
        epsilon: the temperature ε.
    """
    step = max(1, ASSIGNMENTS[directions.device.type] // (directions.shape[0] * directions.shape[1]))
    z = z.float()
    total = torch.zeros(len(documents), z.shape[1], device=z.device)
    for states, numbers in zip(z.split(step), answer.split(step), strict=True):
        present, inverse = numbers.unique_consecutive(return_inverse=True)
        member = torch.nn.functional.one_hot(inverse).T.float()  # a product instead of scattered additions, which race
        p, _ = assign(normalise(states), directions, epsilon)
        layer.tables["completion"][documents[present]] += (member @ p.flatten(1)).unflatten(1, p.shape[1:])
        total[present] += member @ states
    mean = total / torch.bincount(answer, minlength=len(documents))[:, None]
    layer.mean[documents] = mean
    for name, vectors in (("last", z[last]), ("mean", mean)):
        for states, rows in zip(vectors.split(step), documents.split(step), strict=True):
            layer.tables[name][rows] = assign(normalise(states), directions, epsilon)[0]


def subsets(answers: Completions, seed: int) -> dict[str, np.ndarray]:
    """Name → numbers of its pairs: all, those matched by length, and each large source where there are several."""
    numbers = {ALL: np.arange(len(answers.pairs)), MATCHED: baselines.match(answers.lengths, seed)}
    names = np.array([pair.source for pair in answers.pairs])
    several = sorted(set(names) - {""}, key=lambda name: -int((names == name).sum()))
    if len(several) > 1:
        numbers |= {f"source {name}": np.flatnonzero(names == name) for name in several[:MOST_SOURCES]}
    return {name: which for name, which in numbers.items() if name == ALL or len(which) >= FEWEST}


def subset_design(
    pairing: PairDesign, group: np.ndarray, pairs: np.ndarray, seed: int
) -> tuple[PairDesign, np.ndarray]:
    """Design of some pairs, by number, and [pairs] what they are held out by.

    Their folds are those of all pairs, unless the prompts of these few are in too few of them.
    """
    part, own = pairing.subset(pairs), independent(group[pairs], pairing.folds)
    if len(np.unique(own)) > len(np.unique(group[pairs])) or len(np.unique(part.fold)) < MIN_FOLDS:
        count = min(pairing.folds, len(pairs))
        part = PairDesign(part.keep, folds(own, count, seed), count)
    return part, own


def _measures(
    layers: Sequence[AnswerSums],
    answers: Completions,
    pairing: PairDesign,
    spec: PreferenceSpec,
    progress: ProgressCallback,
) -> list[Measure]:
    subset_pairs = subsets(answers, spec.seed)
    designs = {
        name: subset_design(pairing, answers.group, numbers, spec.seed) for name, numbers in subset_pairs.items()
    }
    rows = [
        row
        for name, numbers in subset_pairs.items()
        for row in _baseline_rows(answers, numbers, *designs[name], name, spec.bins)
    ]
    informations: dict[tuple[str, str], list[paired.PairInformation]] = {}
    regressions: dict[str, list[CrossValidation]] = {}
    for number, layer in enumerate(layers):
        progress("statistics", number, len(layers))
        mean = layer.mean.unflatten(0, (-1, 2))
        for name, numbers in subset_pairs.items():
            part, index = designs[name][0], torch.from_numpy(numbers).to(mean.device)
            for position, table in layer.tables.items():
                both = table.unflatten(0, (-1, 2))[index]
                information = paired.information(both[:, 0], both[:, 1], part)
                informations.setdefault((position, name), []).append(information)
            if name in (ALL, MATCHED):
                difference = (mean[index, 0] - mean[index, 1]).double()
                regressions.setdefault(name, []).append(cross_validate(difference, part.fold, part.folds))
    progress("statistics", len(layers), len(layers))
    tokens = answers.lengths.sum(1)
    for (position, name), of_layers in informations.items():
        count = tokens[subset_pairs[name]].sum() if position == "completion" else 2 * len(subset_pairs[name])
        rows += paired.rows(of_layers, variable(position, name), spec.bins, int(count))
    for name, of_layers in regressions.items():
        group = designs[name][1]
        for number, regression in enumerate(of_layers):
            rows += _score_rows(regression, variable("linear", name), number, group, spec.bins)
    return rows


def _baseline_rows(
    answers: Completions, numbers: np.ndarray, pairing: PairDesign, group: np.ndarray, subset: str, bins: int
) -> list[Measure]:
    """Scores of the baselines, length only and bag of words, on some pairs, whose design and groups these are."""
    fold = pairing.fold
    texts = [(answers.pairs[i].chosen, answers.pairs[i].rejected) for i in numbers]
    length = baselines.length(answers.lengths[numbers], fold, pairing.folds)
    words = baselines.words(texts, fold, pairing.folds)
    return [
        *_score_rows(length, variable("length", subset), None, group, bins),
        *_score_rows(words, variable("words", subset), None, group, bins),
    ]


def _score_rows(
    predictions: CrossValidation, name: str, layer: int | None, group: np.ndarray, bins: int
) -> list[Measure]:
    """Accuracy, area under the curve, and information in log n, each with its error over prompts.

    Undefined where the model has learned nothing at all, such as the length of answers that are all of one length.
    """
    scores = {
        "accuracy": (predictions.accuracy, 1.0),
        "auc": (predictions.auc, 2.0),  # a U-statistic of two pairs: twice the spread of its terms
        "information": (predictions.information / np.log(bins), 1.0),
    }
    rows = []
    for quantity, (values, factor) in scores.items():
        value, error = mean_and_error(values, group) if predictions.odds.any() else (None, None)
        error = None if error is None else factor * error
        rows.append(Measure(layer, quantity, name, None, "raw", value, None, error, len(values), 2, None, None))
    return rows


def _counts(answers: Completions) -> list[Measure]:
    """How many pairs were measured, and how many were excluded for which reason."""
    form = "in the chat template" if answers.templated else "in plain form"
    counts: Mapping[str, int] = {f"measured, {form}": len(answers.pairs), **answers.excluded}
    return [
        Measure(None, "pairs", reason, None, "raw", float(count), None, None, count, None, None, None)
        for reason, count in counts.items()
    ]
