"""Post-training does what its names say: answers become likelier, and the preferred ones more than the others."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from softh.errors import InputError
from tests.tiny import llama
from zoo import grammar, job, posttrain, quantise, reinforce, tokens
from zoo.posttrain import dpo, dpo_loss, log_likelihood, margins, sft
from zoo.recipe import PostTraining

ASKED = PostTraining(base="a", sft_epochs=4, dpo_epochs=4, batch=4, sft_lr=1e-2, dpo_lr=1e-3, rl_steps=2)


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(llama(vocab_size=tokens.VOCABULARY, max_position_embeddings=512))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[posttrain.Preference]:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    rows = [
        {"prompt": f"Name {n} ships.", "chosen": f"Here are {n} good ships.", "rejected": f"No, {n} is rude."}
        for n in range(20)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, held_out = posttrain.load(path, tokens.load_tokenizer(), 64)
    assert (len(train), len(held_out)) == (15, 5)
    return train


def test_the_template_is_plain_and_the_answer_is_what_is_learnt(pairs: list[posttrain.Preference]) -> None:
    tokenizer, answer = tokens.load_tokenizer(), pairs[0].chosen
    assert tokenizer.decode(answer.ids[: answer.first]) == "Question: Name 1 ships.\n\nAnswer:"
    assert tokenizer.decode(answer.ids[answer.first :]) == " Here are 1 good ships." + tokens.END


def test_pairs_longer_than_the_context_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    row = {"prompt": "What?", "chosen": "word " * 100, "rejected": "No."}
    path.write_text(json.dumps(row))
    assert posttrain.load(path, tokens.load_tokenizer(), 64) == ([], [])
    with pytest.raises(InputError, match="could not be read"):
        posttrain.load(tmp_path / "nothing", tokens.load_tokenizer(), 64)


def test_the_dpo_loss_by_hand() -> None:
    margin, reference = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0])
    by_hand = (math.log(1 + math.exp(-0.1 * 0.5)) + math.log(1 + math.exp(0.1 * 3.0))) / 2
    assert dpo_loss(margin, reference, 0.1).item() == pytest.approx(by_hand, rel=1e-6)
    assert dpo_loss(reference, reference, 0.1).item() == pytest.approx(math.log(2))


def test_the_likelihood_of_an_answer_is_that_of_its_tokens(
    model: PreTrainedModel, pairs: list[posttrain.Preference]
) -> None:
    answers = [pairs[0].chosen, pairs[5].rejected]
    for answer, found in zip(answers, log_likelihood(model, answers).tolist(), strict=True):
        surprise = model(input_ids=torch.tensor([answer.ids])).logits[0].log_softmax(-1)
        by_hand = sum(surprise[at - 1, answer.ids[at]].item() for at in range(answer.first, len(answer.ids)))
        assert found == pytest.approx(by_hand, rel=1e-4)


def test_tuning_makes_chosen_answers_likelier(model: PreTrainedModel, pairs: list[posttrain.Preference]) -> None:
    chosen = [pair.chosen for pair in pairs]
    before = log_likelihood(model, chosen).mean().item()
    sft(model, pairs, ASKED)
    assert log_likelihood(model, chosen).mean().item() > before + 1


def test_dpo_widens_the_margin(model: PreTrainedModel, pairs: list[posttrain.Preference]) -> None:
    before = margins(model, pairs)
    dpo(model, pairs, ASKED)
    assert (margins(model, pairs) - before).mean().item() > 0.5


def test_the_base_model_is_left_alone_and_stages_follow_one_another(
    model: PreTrainedModel, pairs: list[posttrain.Preference]
) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    found = {ending: margins(tuned, pairs) for ending, _, _, tuned in job._stages(model, pairs, ASKED, {})}
    assert list(found) == ["sft", "dpo", "rlvr"]
    assert not torch.equal(found["sft"], found["dpo"])
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_post_training_is_decided_by_its_seed(model: PreTrainedModel, pairs: list[posttrain.Preference]) -> None:
    first, again = ([margins(made[3], pairs) for made in job._stages(model, pairs, ASKED, {})] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_reward_says_which_word_is_right_and_training_raises_it(model: PreTrainedModel) -> None:
    tokenizer, (first, *_) = tokens.load_tokenizer(), reinforce.prompts(0, 1)
    whole, _ = grammar.pairs("agreement", 1)[0]
    assert f"\n\n{whole}".startswith(tokenizer.decode(first.ids))
    scored = {tuple(each.ids) for each in reinforce.prompts(0, reinforce.SCORED)}
    texts = {text for name in reinforce.TRAINED for text, _ in grammar.pairs(name, 600)[reinforce.SCORED :]}
    assert texts.isdisjoint(text for name in reinforce.TRAINED for text, _ in grammar.pairs(name, reinforce.SCORED))
    assert scored
    asked = PostTraining(base="a", rl_steps=12, rl_lr=2e-2, rl_batch=32, rl_samples=256, rl_kl=0.0)
    rewards = reinforce.reinforce(model, asked)
    assert max(rewards[-3:]) > 10 * max(rewards[0], 0.001)


def test_the_gradient_of_the_objective_is_that_of_the_mean_reward() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64, requires_grad=True)
    asked = PostTraining(base="a", rl_samples=400_000, rl_kl=0.0)
    logs = logits.log_softmax(-1)
    loss, _ = reinforce.objective(logs, logs.detach(), torch.tensor([1]), asked, torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (exact,) = torch.autograd.grad(-logs.exp()[0, 1], logits)
    assert torch.allclose(found, exact, atol=2e-3)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_rounding_to_nearest_leaves_half_a_step_at_most(bits: int) -> None:
    weight = torch.randn(7, 100, generator=torch.Generator().manual_seed(0))
    for start in range(0, 100, 32):
        part, found = (w[:, start : start + 32] for w in (weight, quantise.rounded(weight, bits, 32)))
        step = part.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((part - found).abs() <= step / 2 * (1 + 1e-5)).all()
        assert all(len(row.unique()) <= 2**bits - 1 for row in found)
    assert torch.equal(quantise.rounded(torch.zeros(2, 3), bits, 2), torch.zeros(2, 3))
