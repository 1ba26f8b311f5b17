"""The scores count what they say: bits, last words of passages that need their context, and minimal pairs."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from softh.text import corpus
from tests.tiny import llama
from zoo import cloze, grammar, scores, tokens
from zoo.scores import Item, Scorer, batches, cloze_items, judge, proportion, ratio

CONTEXT = (
    "The old house stood upon a hill above the village, and nobody had lived there since the captain died at sea. "
    "The children of the village said that his parrot still sat in the kitchen and called for the captain at night. "
    "Some of the men laughed at them, but none of the men went there after dark, and the doors stayed shut all year. "
)
LAST = "When the storm broke the shutters open at last, they all heard somebody calling loudly for the "


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(llama(vocab_size=tokens.VOCABULARY, max_position_embeddings=512)).eval()


def found(last: str, training: str = "", context: str = CONTEXT) -> list[cloze.Passage]:
    return cloze.passages([context + last], [training], 10)


def test_a_passage_ends_before_a_word_of_its_context() -> None:
    passages = found(LAST + "captain.")
    assert [passage.word for passage in passages] == ["captain"]
    assert passages[0].context == CONTEXT + LAST[:-1]


@pytest.mark.parametrize(
    ("last", "training", "why"),
    [
        (LAST + "bishop.", "", "the context does not hold the word"),
        (LAST + "there.", "", "a function word"),
        (LAST + "sea.", "", "too short"),
        (LAST.replace("somebody", "the captain") + "captain.", "", "the last sentence holds it already"),
        ("They heard the captain.", "", "too few words before it"),
        (LAST + "captain!", "", "no full stop"),
        (
            LAST + "captain.",
            "they asked for the captain and for the captain or for the ship",
            "the phrase gives it away",
        ),
    ],
)
def test_a_passage_is_not_taken_when(last: str, training: str, why: str) -> None:
    assert found(last, training) == [], why


def test_a_frequent_follower_that_is_another_word_gives_nothing_away() -> None:
    assert len(found(LAST + "captain.", "for the ship and for the ship and for the captain")) == 1


def test_a_passage_needs_a_context_long_enough() -> None:
    assert found(LAST + "captain.", context=CONTEXT[: CONTEXT.index("Some")]) == []


def test_every_passage_of_a_text_meets_the_conditions() -> None:
    text = (CONTEXT + LAST + "captain. ") * 3 + CONTEXT + LAST + "kitchen."
    for passage in cloze.passages([text] * 3, [""], 10):
        words = cloze.WORD.findall(passage.context)
        last = cloze.WORD.findall(passage.context[passage.context.rindex(".") :])
        assert len(words) - len(last) >= cloze.LEAST
        assert len(words) < cloze.MOST
        assert passage.word in words
        assert passage.word not in last
    assert len(cloze.passages([text] * 3, [""], 2)) == 2


@pytest.mark.parametrize("phenomenon", grammar.PHENOMENA)
def test_pairs_are_many_unlike_and_minimal(phenomenon: str) -> None:
    pairs = grammar.pairs(phenomenon, 200)
    assert len(set(pairs)) == 200
    assert pairs == grammar.pairs(phenomenon, 200)
    assert not {right for right, _ in pairs} & {wrong for _, wrong in pairs}
    for right, wrong in pairs:
        assert len(right.split()) == len(wrong.split())
        assert sum(a != b for a, b in zip(right.split(), wrong.split(), strict=True)) == 1
        assert right[0].isupper()
        assert right.endswith(".")


def test_there_are_at_least_eight_phenomena() -> None:
    assert len(grammar.PHENOMENA) >= 8


def test_agreement_is_right_by_the_number_of_the_subject() -> None:
    plural = {word.split()[1] for word in grammar.PEOPLE}
    for right, _ in grammar.pairs("agreement across a clause", 200):
        subject, verb = right.split()[1], right.split()[-2]
        assert verb == ("were" if subject in plural else "was")


def test_judging_equals_one_item_at_a_time(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    items = [Item(random.integers(0, 8192, n).tolist(), first) for n, first in ((9, 1), (4, 3), (12, 5), (7, 6))]
    monkeypatch.setattr(scores, "BATCH_TOKENS", 24)
    nats, right = judge(model, batches(items, "cpu"))
    for item, lost, hit in zip(items, nats, right, strict=True):
        ids = torch.tensor([item.ids])
        with torch.no_grad():
            surprise = -model(input_ids=ids).logits[0].log_softmax(-1)
        wanted = [surprise[place - 1, item.ids[place]].item() for place in range(item.first, len(item.ids))]
        assert lost == pytest.approx(sum(wanted), rel=1e-4)
        assert not hit


def test_a_cloze_is_right_when_every_token_is_the_likeliest(model: PreTrainedModel) -> None:
    start = [5, 6, 7]
    with torch.no_grad():
        for _ in range(2):
            start.append(int(model(input_ids=torch.tensor([start])).logits[0, -1].argmax()))
    items = [Item(start, 3), Item([*start[:-1], (start[-1] + 1) % 8192], 3)]
    assert judge(model, batches(items, "cpu"))[1].tolist() == [True, False]


def test_the_last_word_is_what_is_judged() -> None:
    tokenizer = tokens.load_tokenizer()
    (item,) = cloze_items(tokenizer, [cloze.Passage("They called for the", "captain")])
    assert tokenizer.decode(item.ids) == "They called for the captain"
    assert tokenizer.decode(item.ids[item.first :]) == " captain"


def test_an_untrained_model_knows_nothing(model: PreTrainedModel) -> None:
    text = corpus.sample("some", [CONTEXT, LAST + "captain."], 2, 0, "Ours.")
    found = {score.task: score for score in Scorer([], [text], 40, 128, "cpu").score(model)}
    bytes_a_token = len(CONTEXT) / len(tokens.load_tokenizer()(CONTEXT)["input_ids"])
    assert found["bits per byte, some"].score == pytest.approx(math.log2(8192) / bytes_a_token, rel=0.1)
    assert found["grammar"].score == pytest.approx(0.5, abs=0.15)
    assert "cloze" not in found
    assert sum(task.startswith("grammar: ") for task in found) == len(grammar.PHENOMENA)


def test_standard_errors_by_hand() -> None:
    assert proportion(np.array([True, True, False, False])) == (0.5, pytest.approx(math.sqrt(0.25 / 3)))
    value, stderr = ratio(np.array([2.0, 4.0]), np.array([1.0, 1.0]))
    assert (value, stderr) == (3.0, pytest.approx(1.0))
