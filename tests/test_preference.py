"""The preference probe against planted truth: where the signal is, where there is none, and where it is only length."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from softh.errors import InputError
from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.estimator.measures import Measure
from softh.preference import baselines, information, linear, probe
from softh.preference.completions import completions, folds
from softh.preference.pairs import Pair, Pairs
from softh.preference.probe import ALL, MATCHED, estimate, variable
from softh.spec import PreferenceSpec, identity
from tests.shapes import save
from tests.tiny import save_model, texts, tokenizer

WIDTH, BINS, DRAWS, FOLDS = 24, 50, 4, 8


def tables(hidden: np.ndarray, answer: np.ndarray, answers: int) -> torch.Tensor:
    """[answers, draws, bins] summed assignments of hidden states [tokens, width], anisotropic as real ones are."""
    directions = references(BINS, WIDTH, DRAWS, 0).directions
    p, _ = assign(normalise(torch.from_numpy(hidden.astype(np.float32))), directions, temperature(BINS, WIDTH))
    return torch.zeros(answers, DRAWS, BINS).index_add_(0, torch.from_numpy(answer), p)


def probed(hidden: np.ndarray, lengths: np.ndarray, which: np.ndarray | None = None, seed: int = 0) -> list[Measure]:
    """Rows of one layer; hidden states lie in the order of pairs, chosen before rejected."""
    count = len(lengths)
    both = tables(hidden, np.repeat(np.arange(2 * count), lengths.ravel()), 2 * count).unflatten(0, (-1, 2))
    fold = folds(np.arange(count), FOLDS, seed)
    asked = information.design(fold, FOLDS, 60, seed)
    some = np.arange(count) if which is None else which
    found = information.information(both[some, 0], both[some, 1], asked.subset(some))
    return information.rows([found], "preference", BINS, int(lengths[some].sum()))


def corrected(rows: list[Measure]) -> Measure:
    return next(row for row in rows if (row.layer, row.quantity, row.correction) == (0, "information", "corrected"))


def error(row: Measure) -> float:
    return math.hypot(row.se_draws or 0, row.se_documents or 0)


def states(lengths: np.ndarray, random: np.random.Generator, prompts: float = 1.0) -> np.ndarray:
    """Hidden states with a long mean, a direction of their prompt and one of their answer."""
    pair = np.repeat(np.arange(len(lengths)), lengths.sum(1))
    answer = np.repeat(np.arange(2 * len(lengths)), lengths.ravel())
    scale = np.r_[4.0, np.ones(WIDTH - 1)]
    topic = random.standard_normal((len(lengths), WIDTH))[pair] * prompts
    style = random.standard_normal((2 * len(lengths), WIDTH))[answer] * 0.7
    return 0.7 * scale + (random.standard_normal((len(pair), WIDTH)) + topic + style) * scale


def test_without_a_signal_the_corrected_information_is_zero_within_three_errors() -> None:
    outside, trials = 0, 200
    for seed in range(trials):
        random = np.random.default_rng(seed)
        row = corrected(probed(states(lengths := random.integers(3, 9, (48, 2)), random), lengths, seed=seed))
        assert row.value is not None
        outside += abs(row.value) > 3 * error(row)
    assert outside <= 0.05 * trials


def test_labels_shuffled_within_pairs_lose_a_real_signal() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(4, 12, (200, 2))
    hidden, answer = states(lengths, random), np.repeat(np.arange(400), lengths.ravel())
    chosen = answer % 2 == 0
    hidden[:, 1] += np.where(chosen, 1.5, -1.5)
    row = corrected(probed(hidden, lengths))
    assert row.value is not None
    assert row.value > 5 * error(row)
    swap = random.random(200) < 0.5
    order = np.concatenate([np.flatnonzero(answer == (2 * i + j ^ int(swap[i]))) for i in range(200) for j in (0, 1)])
    swapped = np.where(swap[:, None], lengths[:, ::-1], lengths)
    shuffled = corrected(probed(hidden[order], swapped))
    assert shuffled.value is not None
    assert abs(shuffled.value) <= 3 * error(shuffled)


def test_information_of_a_perfect_label_is_that_of_the_label() -> None:
    table = torch.zeros(100, 2, 1, 2)  # one draw, two bins: all chosen answers in one, all rejected in the other
    table[:, 0, 0, 0] = table[:, 1, 0, 1] = 3
    asked = information.design(np.arange(100) % FOLDS, FOLDS, 40, 0)
    found = information.information(table[:, 0], table[:, 1], asked)
    np.testing.assert_allclose(found.raw, math.log(2), rtol=1e-12)
    assert found.permuted.max() < 0.1


def test_prompts_that_favour_long_answers_are_in_the_null_too() -> None:
    random = np.random.default_rng(1)
    lengths = np.stack([random.integers(20, 40, 60), random.integers(2, 5, 60)], axis=1)
    lengths = np.where((np.arange(60) % 2 == 0)[:, None], lengths, lengths[:, ::-1])
    rows = probed(states(lengths, random, prompts=4.0), lengths)
    raw = next(row for row in rows if (row.layer, row.correction) == (0, "raw"))
    row = corrected(rows)
    assert raw.value is not None
    assert row.value is not None
    assert raw.value > 0.01  # topics of long answers tell the label apart, by chance
    assert abs(row.value) <= 3 * error(row)


def test_a_signal_of_length_alone_vanishes_when_pairs_are_matched() -> None:
    random = np.random.default_rng(2)
    lengths = np.round(np.exp(random.normal(2.5, 0.4, (700, 2)))).astype(int) + 1
    usual = random.random(700) < 0.6  # four of five chosen answers are the longer ones
    lengths[usual] = np.sort(lengths[usual], axis=1)[:, ::-1]
    hidden = states(lengths, random)
    hidden[:, 2] += 9 * (np.log(np.repeat(lengths.ravel(), lengths.ravel())) - 2.5)
    row = corrected(probed(hidden, lengths))
    assert row.value is not None
    assert row.value > 4 * error(row)
    kept = baselines.match(lengths, 0)
    matched = corrected(probed(hidden, lengths, kept))
    assert matched.value is not None
    assert abs(matched.value) <= 3 * error(matched)
    assert len(kept) > 250
    fold = np.arange(700) % FOLDS
    before, after = (baselines.length(lengths[some], fold[some], FOLDS) for some in (np.arange(700), kept))
    assert before.accuracy.mean() > 0.6
    value, spread = linear.mean_and_error(after.accuracy, np.arange(len(kept)))
    assert abs(value - 0.5) < 3 * spread
    assert after.information.mean() < 0.01 < before.information.mean()


def test_matched_pairs_have_the_same_lengths_on_both_sides() -> None:
    random = np.random.default_rng(3)
    lengths = random.integers(5, 300, (500, 2))
    lengths[:300] = np.sort(lengths[:300], axis=1)[:, ::-1]
    kept = lengths[baselines.match(lengths, 0)]
    chosen, rejected = np.sort(kept[:, 0]), np.sort(kept[:, 1])
    assert (kept[:, 0] > kept[:, 1]).sum() == (kept[:, 0] < kept[:, 1]).sum()
    assert np.abs(np.log(chosen / rejected)).max() < 2 * baselines.CELL


def test_the_linear_probe_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    x = random.standard_normal((300, 20)) + 0.4 * random.standard_normal(20)
    penalty = 0.01
    ours = linear.fit(torch.from_numpy(x), torch.ones(300, 1, dtype=torch.bool), torch.tensor([penalty]))
    theirs = LogisticRegression(C=1 / (penalty * 300), fit_intercept=False, tol=1e-8, max_iter=1000)
    theirs.fit(np.concatenate([x, -x]), np.r_[np.ones(300), np.zeros(300)], sample_weight=np.full(600, 0.5))
    np.testing.assert_allclose(ours[:, 0].numpy(), theirs.coef_[0], atol=1e-4)
    verdict = linear.CrossValidation(x @ theirs.coef_[0])
    both = np.r_[verdict.odds, -verdict.odds]
    assert verdict.auc.mean() == pytest.approx(roc_auc_score(np.r_[np.ones(300), np.zeros(300)], both))
    assert verdict.accuracy.mean() == pytest.approx(theirs.score(x, np.ones(300)))


def test_the_linear_probe_finds_nothing_out_of_sample_where_nothing_is() -> None:
    random = np.random.default_rng(5)
    x = torch.from_numpy(random.standard_normal((200, 400)))  # any labels can be fitted in sample
    verdict = linear.cross_validate(x, np.arange(200) % FOLDS, FOLDS)
    value, spread = linear.mean_and_error(verdict.accuracy, np.arange(200))
    assert abs(value - 0.5) < 3 * spread
    assert verdict.information.mean() < 0.01
    x[:, 7] += 1
    signal = linear.cross_validate(x[:, :20], np.arange(200) % FOLDS, FOLDS)
    assert signal.accuracy.mean() > 0.65
    assert signal.information.mean() > 0.03


def test_errors_over_prompts_cover_the_spread_of_fresh_samples() -> None:
    random = np.random.default_rng(6)
    found = []
    for _ in range(300):
        odds = random.normal(0.5, 1, 80)
        group = np.arange(80) // 2
        odds = odds + random.normal(0, 1, 40)[group]
        verdict = linear.CrossValidation(odds)
        found.append([linear.mean_and_error(values, group) for values in (verdict.accuracy, verdict.auc)])
    values, errors = np.moveaxis(np.array(found), -1, 0)
    np.testing.assert_allclose(errors.mean(0) * [1, 2], values.std(0), rtol=0.15)


def test_words_alone_tell_what_they_can() -> None:
    random = np.random.default_rng(7)
    noise = ["ship", "sea", "wind", "sail", "rope", "mast", "deck", "crew"]

    def answer(*words: str) -> str:
        return " ".join([*random.choice(noise, 6), *words])

    said = [(answer(*(["please"] if random.random() < 0.6 else [])), answer()) for _ in range(200)]
    fold = np.arange(200) % FOLDS
    assert baselines.words(said, fold, FOLDS).information.mean() > 0.1
    assert baselines.words([(answer(), answer()) for _ in range(200)], fold, FOLDS).information.mean() < 0.02


# The whole path


def some_pairs(count: int = 64, *, sources: int = 1) -> Pairs:
    """Pairs of real passages; the chosen one begins with a word of its own."""
    passages = texts(2 * count, 60)
    made = [
        Pair(
            (("user", f"Passage {n}?"),), f"Yes: {passages[2 * n]}", f"No: {passages[2 * n + 1]}", f"s{n % sources}", n
        )
        for n in range(count)
    ]
    return Pairs("some", tuple(made), identity(repr(made)), "", {"identical answers": 3})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def spec(model: Path, tmp_path_factory: pytest.TempPathFactory) -> PreferenceSpec:
    path = tmp_path_factory.mktemp("pairs") / "some.jsonl"
    rows = [
        {"prompt": pair.prompt[0][1], "chosen": pair.chosen, "rejected": pair.rejected, "source": pair.source}
        for pair in some_pairs(90, sources=2).pairs
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], {**rows[1], "rejected": " "}]))
    return PreferenceSpec(model=str(model), pairs=str(path), context=96, draws=3, bins=20, swaps=20)


def test_an_estimate_holds_the_probe_its_confounds_and_what_was_set_aside(spec: PreferenceSpec) -> None:
    found = estimate(spec)
    rows = {(row.layer, row.quantity, row.variable, row.correction): row for row in found.measures}
    assert len(rows) == len(found.measures)
    for what in probe.POSITIONS:
        for subset in (ALL, "source s0", "source s1"):
            raw, null, part = (
                rows[None, "information", variable(what, subset), correction].value
                for correction in ("raw", "null", "corrected")
            )
            assert raw is not None
            assert null is not None
            assert part == pytest.approx(raw - null)
            assert null >= 0
            assert raw * math.log(20) <= math.log(2)
    assert rows[2, "accuracy", "linear", "raw"].value > 0.75  # the first word says it
    assert rows[None, "accuracy", "words", "raw"].value > 0.9
    counted = {row.variable: row.value for row in found.measures if row.quantity == "pairs"}
    assert counted == {"measured, in plain form": 90, "told before": 1, "an empty answer": 1}
    folds_of = rows[None, "folds", "preference", "corrected"]
    assert len(folds_of.draws) == 8
    g, without = 8, np.array(folds_of.draws)
    assert folds_of.se_documents == pytest.approx(math.sqrt((g - 1) / g * ((without - without.mean()) ** 2).sum()))
    record = found.record()
    assert json.loads(record["estimate"]["spec"])["labels"] == "preference"
    assert record["estimate"]["documents"] == 180
    assert record["estimate"]["positions"] == rows[None, "information", "preference", "raw"].positions


def test_the_same_probe_twice_is_equal_and_batches_change_nothing(
    spec: PreferenceSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = estimate(spec), estimate(spec)
    assert first.id == again.id
    assert first.measures == again.measures
    monkeypatch.setitem(probe.TABLES, "cpu", 1)  # a draw at a time
    monkeypatch.setitem(probe.ASSIGNMENTS, "cpu", 500)
    pieces = estimate(spec)
    assert pieces.forward_passes == 3 * first.forward_passes
    for row, other in zip(first.measures, pieces.measures, strict=True):
        if row.quantity == "information" and (row.variable or "").startswith("preference"):
            assert other.value == pytest.approx(row.value, abs=1e-6)


def test_rows_of_an_answer_are_its_own_tokens(spec: PreferenceSpec, model: Path) -> None:
    found = completions(some_pairs(40), tokenizer(), 96)
    rows, row, last = probe.token_rows(found, np.array([5, 2]))
    sizes = [len(found.tokenized.ids[n]) for n in (5, 2)]
    first = [int(found.first[n]) for n in (5, 2)]
    assert rows.tolist() == [*range(first[0], sizes[0]), *range(sizes[0] + first[1], sum(sizes))]
    assert row.tolist() == [0] * (sizes[0] - first[0]) + [1] * (sizes[1] - first[1])
    assert rows[last].tolist() == [sizes[0] - 1, sum(sizes) - 1]


def test_a_planted_layer_is_found_by_both_opinions() -> None:
    random = np.random.default_rng(8)
    lengths, strength = random.integers(4, 12, (240, 2)), [0.0, 0.2, 0.5, 1.2, 0.4]
    answer = np.repeat(np.arange(480), lengths.ravel())
    fold, values, accuracies = folds(np.arange(240), FOLDS, 0), [], []
    for size in strength:
        hidden = states(lengths, random)
        hidden[:, 1] += np.where(answer % 2 == 0, size, -size)
        values.append(corrected(probed(hidden, lengths)).value)
        mean = np.stack([hidden[answer == n].mean(0) for n in range(480)]).reshape(240, 2, WIDTH)
        accuracies.append(linear.cross_validate(torch.from_numpy(mean[:, 0] - mean[:, 1]), fold, FOLDS).accuracy.mean())
    assert int(np.argmax(values)) == int(np.argmax(accuracies)) == 3
    assert spearmanr(values, accuracies).statistic >= 0.8


# Pairs as tokens


def test_prompts_are_shared_and_answers_run_to_the_end() -> None:
    bpe, found = tokenizer(), some_pairs(20)
    asked = completions(found, bpe, 96)
    for n, pair in enumerate(found.pairs):
        for side, text in enumerate((pair.chosen, pair.rejected)):
            ids, first = asked.tokenized.ids[2 * n + side], asked.first[2 * n + side]
            assert bpe.decode(ids[:first]) == f"Question: {pair.prompt[0][1]}\n\nAnswer:"
            assert bpe.decode(ids[first:]) == f" {text}"
    assert not asked.templated
    assert (asked.lengths > 0).all()


def test_a_chat_template_is_used_where_there_is_one() -> None:
    bpe, found = tokenizer(), some_pairs(20)
    bpe.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    asked = completions(found, bpe, 96)
    assert asked.templated
    assert bpe.decode(asked.tokenized.ids[0][: asked.first[0]]) == f"[user]{found.pairs[0].prompt[0][1]}[assistant]"
    bpe.chat_template = "{{ raise_exception('no') }}"
    with pytest.raises(InputError, match="roles unfit for the template"):
        completions(found, bpe, 96)


def test_pairs_that_do_not_fit_are_set_aside_whole() -> None:
    found = some_pairs(40)
    cut = [replace_prompt(pair, "word " * 200) if n < 3 else pair for n, pair in enumerate(found.pairs)]
    cut[3:7] = [pair._replace(rejected="word " * 200) for pair in cut[3:7]]
    asked = completions(replace(found, pairs=tuple(cut)), tokenizer(), 96)
    assert len(asked.pairs) == 33
    assert asked.excluded == {
        "identical answers": 3, "a prompt longer than the context": 3, "an answer cut by the context": 4,
    }  # fmt: skip
    with pytest.raises(InputError, match="longer --context than 12"):
        completions(found, tokenizer(), 12)


def replace_prompt(pair: Pair, text: str) -> Pair:
    return pair._replace(prompt=(("user", text),))


def test_pairs_of_one_prompt_share_their_fold() -> None:
    group = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0])
    fold = folds(group, 4, 0)
    assert fold[0] == fold[10]
    assert fold[1] == fold[2]
    assert set(fold) == {0, 1, 2, 3}
    assert not np.array_equal(fold, folds(group, 4, 1))


def test_subsets_are_the_matched_and_the_large_sources() -> None:
    names = probe.subsets(completions(some_pairs(96, sources=2), tokenizer(), 96), 0)
    assert {ALL, "source s0", "source s1"} <= set(names)
    small = probe.subsets(completions(some_pairs(20, sources=2), tokenizer(), 96), 0)
    assert set(small) == {ALL}
    assert MATCHED not in small


@pytest.mark.parametrize("kind", ["bert", "mamba"])
def test_models_without_a_head_and_of_other_kinds_are_probed(kind: str, spec: PreferenceSpec, tmp_path: Path) -> None:
    found = estimate(replace(spec, model=str(save(tmp_path / kind, kind))))
    values = {row.layer: row.value for row in found.measures if (row.quantity, row.variable) == ("accuracy", "linear")}
    assert set(values) == set(range(found.model.layers + 1))
    assert all(value is not None and 0 <= value <= 1 for value in values.values())


def test_answers_of_several_languages_are_pairs_like_others(spec: PreferenceSpec, tmp_path: Path) -> None:
    said = [("Ja, ein Schiff", "Нет, уходи"), ("はい、船です", "不，走开"), ("Yes 🚢", "No 🚫")]
    rows = [{"prompt": f"{n}?", "chosen": f"{a} {n}", "rejected": f"{b} {n}"} for n in range(10) for a, b in said]
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    found = estimate(replace(spec, pairs=str(path)))
    assert [row.value for row in found.measures if row.variable == "measured, in plain form"] == [30]
