"""A run is a pure function of its recipe: by seed, across kills, and when it diverges it says so."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo import tokens
from zoo.recipe import Run, Size
from zoo.train import Diverged, Journal, Stopped, learning_rate, train

SIZE = Size(width=16, layers=1, heads=2, hidden=32)
RUN = Run(name="a", architecture="olmo2", size="s", steps=30, lr=1e-2, batch=4, context=16, warmup=5, checkpoints=4)
IDS = np.random.default_rng(0).integers(0, 50, 3000).astype(np.uint16)


def weights(run: Run, folder: Path, hook=lambda model, step: None, journal: Journal | None = None) -> dict:
    model = train(run, SIZE, IDS, folder, hook, journal or Journal(), fast=False)
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    first, again = (weights(RUN, tmp_path / name) for name in ("first", "again"))
    other = weights(replace(RUN, seed=1), tmp_path / "other")
    assert same(first, again)
    assert not same(first, other)


def test_a_run_told_to_stop_goes_on_where_it_was(tmp_path: Path) -> None:
    marks: list[int] = []

    def hook(model: torch.nn.Module, step: int) -> None:
        marks.append(step)
        if len(marks) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        weights(RUN, tmp_path, hook)
    journal = Journal()
    resumed = weights(RUN, tmp_path, hook, journal)
    uncut: list[int] = []
    whole = weights(RUN, tmp_path / "whole", lambda model, step: uncut.append(step))
    assert marks == uncut
    assert same(resumed, whole)
    assert journal.step == RUN.steps


def test_a_killed_run_resumes_from_its_last_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.train.SAVE", 0.0)

    class Kill(BaseException):
        pass

    def die(model: torch.nn.Module, step: int) -> None:
        if step == 10:
            raise Kill

    run = replace(RUN, checkpoints=30)
    with pytest.raises(Kill):
        weights(run, tmp_path, die)
    assert torch.load(tmp_path / "resume.pt", weights_only=True)["journal"]["step"] == 9
    assert same(weights(run, tmp_path), weights(run, tmp_path / "whole"))


def test_micro_batches_give_the_same_gradient(tmp_path: Path) -> None:
    whole, parts = weights(RUN, tmp_path / "a"), weights(replace(RUN, micro=2), tmp_path / "b")
    assert all(torch.allclose(whole[name], parts[name], atol=1e-3) for name in whole)


def test_a_loss_that_explodes_is_called_diverged(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"The loss of a was .* at step \d+"):
        weights(replace(RUN, lr=1e6, steps=80), tmp_path)


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [learning_rate(RUN, step) for step in range(RUN.steps + 1)]
    assert np.argmax(rates) in (4, 5)
    assert rates[4] == pytest.approx(RUN.lr)
    assert rates[-1] == pytest.approx(RUN.lr / 10)


def test_the_order_depends_on_seed_and_step_alone() -> None:
    whole = tokens.order(RUN, 3000, range(120))
    assert np.array_equal(whole[50:70], tokens.order(RUN, 3000, range(50, 70)))
    chunks = (3000 - 1) // RUN.context
    assert sorted(whole.ravel()[:chunks]) == [chunk * RUN.context for chunk in range(chunks)]
    assert not np.array_equal(whole, tokens.order(replace(RUN, seed=1), 3000, range(120)))


def test_shuffled_text_keeps_the_words_of_each_book() -> None:
    tokenizer = tokens.load_tokenizer()
    books = ["The old man went to the sea and saw a ship." * 40, " Nobody had ever come back from that house." * 40]
    ids = np.array(tokenizer("".join(book + tokens.END for book in books))["input_ids"], dtype=np.uint16)
    shuffled = tokens.degrade(ids, "shuffled")
    ends = np.flatnonzero(ids == tokenizer.eos_token_id)
    assert np.array_equal(ends, np.flatnonzero(shuffled == tokenizer.eos_token_id))
    first = slice(0, ends[0])
    assert sorted(ids[first]) == sorted(shuffled[first])
    words, moved = (np.array(str(tokenizer.decode(tokens_)).split()) for tokens_ in (ids, shuffled))
    assert 0.2 < np.mean(words != moved) < 0.6


def test_repeated_text_is_the_beginning() -> None:
    assert np.array_equal(tokens.degrade(IDS, "repeated"), IDS[: len(IDS) // 32])


def test_the_tokenizer_gives_every_text_back() -> None:
    tokenizer = tokens.load_tokenizer()
    text = "“Well,” said Mr. Weston — naïve, 日本 \n\n  and   so."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) == tokens.VOCABULARY
