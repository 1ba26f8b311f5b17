"""Preference data as other tools write it: no prompt is lost, odd rows are counted, and folds suit the prompts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dashboard.views import registry
from softh.errors import InputError
from softh.estimator.measures import Measure
from softh.preference import conversations, pairs
from softh.preference.completions import folds, independent
from softh.preference.information import design
from softh.preference.pairs import load
from softh.preference.probe import estimate, subset_design
from softh.spec import PreferenceSpec
from softh.store import read, write
from tests.tiny import save_model

Q, A, B = "Two and two?", "Four.", "Five."
USER, GOOD, BAD = ({"role": role, "content": text} for role, text in (("user", Q), ("assistant", A), ("assistant", B)))
HUMAN, GPT, WORSE = ({"from": role, "value": text} for role, text in (("human", Q), ("gpt", A), ("gpt", B)))
SYSTEM = {"role": "system", "content": "Be short."}
ANSWERS = {"chosen": A, "rejected": B}
LATER = [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]
ONE, SPOKEN = (("user", Q),), (("system", "Be short."), ("user", Q))
LONG = (("user", Q), ("assistant", "ok"), ("user", "go on"))
PARTS = [{"type": "text", "text": "Two and "}, {"type": "text", "text": "two?"}]

FORMS: dict[str, tuple[dict[str, Any], Any]] = {
    "TRL, explicit": ({"prompt": Q, **ANSWERS}, ONE),
    "TRL, explicit messages": ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, ONE),
    "TRL, implicit messages": ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, ONE),
    "TRL, answers of several turns": ({"prompt": Q, "chosen": [*LATER, GOOD], "rejected": [*LATER, BAD]}, LONG),
    "TRL, prompt with a system turn": ({"prompt": [SYSTEM, USER], "chosen": [GOOD], "rejected": [BAD]}, SPOKEN),
    "UltraFeedback binarized": (
        {"prompt": Q, "prompt_id": "a1", "chosen": [USER, GOOD], "rejected": [USER, BAD], "messages": [USER, GOOD],
         "score_chosen": 8.0, "score_rejected": 3.0},
        ONE,
    ),
    "hh-rlhf": (
        {side: f"\n\nHuman: {Q}\n\nAssistant: ok\n\nHuman: go on\n\nAssistant: {end}" for side, end in ANSWERS.items()},
        LONG,
    ),
    "LlamaFactory, ShareGPT": ({"conversations": [HUMAN], "chosen": GPT, "rejected": WORSE}, ONE),
    "LlamaFactory, ShareGPT with system": (
        {"conversations": [HUMAN], "chosen": GPT, "rejected": WORSE, "system": "Be short.", "tools": ""}, SPOKEN,
    ),
    "LlamaFactory, Alpaca": ({"instruction": "Two and", "input": "two?", **ANSWERS}, (("user", "Two and\ntwo?"),)),
    "LlamaFactory, Alpaca with history": (
        {"instruction": "go on", "input": "", "history": [[Q, "ok"]], "system": "Be short.", **ANSWERS},
        (("system", "Be short."), *LONG),
    ),
    "argilla orca": ({"system": "Be short.", "input": Q, **ANSWERS, "generations": [A, B], "status": "tie"}, SPOKEN),
    "Intel orca": ({"system": "Be short.", "question": Q, **ANSWERS}, SPOKEN),
    "axolotl, argilla": ({"instruction": Q, "chosen_response": A, "rejected_response": B}, ONE),
    "axolotl, messages beside the answers": ({"messages": [SYSTEM, USER], "chosen": GOOD, "rejected": BAD}, SPOKEN),
    "a conversation that ends with the chosen answer": ({"messages": [USER, GOOD], **ANSWERS}, ONE),
    "OpenRLHF": ({"system_prompt": "Be short.", "query": Q, **ANSWERS}, SPOKEN),
    "stack-exchange-paired": ({"question": Q, "response_j": A, "response_k": B, "qid": 1}, ONE),
    "question and context": ({"question": Q, "context": "On paper.", **ANSWERS}, (("user", f"{Q}\nOn paper."),)),
    "context alone": ({"context": Q, **ANSWERS}, ONE),
    "one column in another": ({"prompt": Q, "instruction": "Two and two?", "input": "two", **ANSWERS}, ONE),
    "history as messages": ({"history": [USER, LATER[0]], "prompt": "go on", **ANSWERS}, LONG),
    "messages as JSON": (
        {"prompt": json.dumps([SYSTEM, USER]), "chosen": json.dumps([GOOD]), "rejected": json.dumps([BAD])}, SPOKEN,
    ),
    "conversations as JSON": ({"chosen": json.dumps([HUMAN, GPT]), "rejected": json.dumps([HUMAN, WORSE])}, ONE),
    "messages as pandas writes them": ({"chosen": str([USER, GOOD]), "rejected": str([USER, BAD])}, ONE),
    "history as JSON": ({"history": json.dumps([[Q, "ok"]]), "question": "go on", **ANSWERS}, LONG),
    "content in parts": (
        {"prompt": [{"role": "user", "content": PARTS}], "chosen": [{"role": "assistant", "content": [
            {"type": "text", "text": A}]}], "rejected": [BAD]},
        ONE,
    ),
    "an answer that is JSON": ({"prompt": Q, **ANSWERS}, ONE),
    "no prompt": (ANSWERS, ()),
}  # fmt: skip


def save(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_every_prompt_is_read_whole(tmp_path: Path, form: str, kind: str) -> None:
    row, prompt = FORMS[form]
    if kind == "parquet":
        pl.DataFrame([row]).write_parquet(tmp_path / "pairs.parquet")
    else:
        save(tmp_path / "pairs.jsonl", [row])
    found = load(str(tmp_path / f"pairs.{kind}"), 10, 0)
    assert [(pair.prompt, pair.chosen, pair.rejected) for pair in found.pairs] == [(prompt, A, B)]
    assert found.excluded == {}


def test_an_answer_that_is_json_stays_text(tmp_path: Path) -> None:
    row = {"prompt": "As JSON.", "chosen": '[{"role": 1}, {"a": 2}]', "rejected": '{"answer": "x", "content": "y"}'}
    found = load(save(tmp_path / "a.jsonl", [row]), 10, 0)
    assert (found.pairs[0].chosen, found.pairs[0].rejected) == (row["chosen"], row["rejected"])


CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add", "arguments": "{}"}}]}
IMAGE = {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": Q}]}
ODD: dict[str, tuple[dict[str, Any], str]] = {
    "a tool call": ({"prompt": Q, "chosen": [CALL], "rejected": [BAD]}, conversations.TOOL_CALL),
    "a tool call of LlamaFactory": (
        {"conversations": [HUMAN, {"from": "function_call", "value": "{}"}], "chosen": GPT, "rejected": WORSE},
        conversations.TOOL_CALL,
    ),
    "tools to call": ({"prompt": Q, **ANSWERS, "tools": '[{"name": "add"}]'}, conversations.TOOL_CALL),
    "null content": ({"prompt": Q, "chosen": [{**GOOD, "content": None}], "rejected": [BAD]}, conversations.NOT_TEXT),
    "an image in the prompt": ({"prompt": [IMAGE], **ANSWERS}, conversations.NOT_TEXT),
    "an image beside the prompt": ({"prompt": Q, **ANSWERS, "images": ["a.png"]}, conversations.NOT_TEXT),
    "a number": ({"prompt": Q, "chosen": 4, "rejected": B}, conversations.MALFORMED),
    "a message without a role": ({"prompt": Q, "chosen": [{"text": A}], "rejected": B}, conversations.MALFORMED),
    "an answer of the user": ({"chosen": [USER, GOOD, USER], "rejected": [USER, BAD]}, conversations.MALFORMED),
    "messages as numpy prints them": (
        {"chosen": str([USER, GOOD]).replace("}, {", "}\n {"), "rejected": str([USER, BAD])}, conversations.MALFORMED,
    ),
    "another prompt than that of the answers": (
        {"prompt": "Three?", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, pairs.OTHER_PROMPT,
    ),
    "answers that part earlier": (
        {"chosen": [USER, *LATER, GOOD], "rejected": [USER, {**LATER[0], "content": "no"}, LATER[1], BAD]},
        pairs.MISMATCHED_PROMPTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(ODD))
def test_one_odd_row_is_counted_and_the_others_are_read(tmp_path: Path, kind: str) -> None:
    row, reason = ODD[kind]
    plain = [{"prompt": f"{Q} {n}", "chosen": f"{A} {n}", "rejected": B} for n in range(39)]
    found = load(save(tmp_path / "a.jsonl", [*plain[:7], row, *plain[7:]]), 100, 0)
    assert (len(found.pairs), found.excluded) == (39, {reason: 1})


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"post": "What is it that he wants?", "id": "a1"}, "post"),
        ({"turns_before": [USER]}, "turns_before"),
        ({"user_text": Q, "model_name": "x y", "score_chosen": 1.0, "category": "maths and more"}, "user_text"),
    ],
)
def test_a_prompt_in_an_unknown_column_is_named_instead_of_lost(
    tmp_path: Path, columns: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=rf"no prompt in a column that is known, and texts in {named}; .*rename"):
        load(save(tmp_path / "a.jsonl", [{**columns, **ANSWERS}]), 10, 0)
    beside = load(save(tmp_path / "b.jsonl", [{"prompt": "Go.", **columns, **ANSWERS}]), 10, 0)
    assert f"Columns that were not read: {named}." in beside.note


# Folds


def test_pairs_are_held_out_by_themselves_where_prompts_are_too_few() -> None:
    two, own = np.array([0] * 30 + [1] * 30), np.arange(60)
    assert independent(own, 8).tolist() == own.tolist()
    assert independent(two, 8).tolist() == own.tolist()
    assert np.bincount(folds(independent(two, 8), 8, 0)).tolist() == [8, 8, 8, 8, 7, 7, 7, 7]
    whole = np.arange(200) // 2
    pairing = design(folds(whole, 8, 0), 8, 10, 0)
    many, group = subset_design(pairing, whole, np.arange(100), 0)
    assert many.fold.tolist() == pairing.fold[:100].tolist()
    assert group.tolist() == whole[:100].tolist()
    crowded = np.array([0] * 60 + list(range(1, 41)))
    pairing = design(folds(crowded, 8, 0), 8, 10, 0)
    few, group = subset_design(pairing, crowded, np.arange(60), 0)
    assert len(set(few.fold)) == 8
    assert group.tolist() == list(range(60))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


def probed(model: Path, rows: list[dict[str, Any]], place: Path, count: int = 8) -> Any:
    spec = PreferenceSpec(model=str(model), pairs=save(place, rows), draws=2, bins=8, context=64, folds=count, swaps=10)
    return estimate(spec, device="cpu")


def row(found: Any, name: str, quantity: str = "accuracy", layer: int | None = None) -> Measure:
    return next(
        each for each in found.measures if (each.variable, each.quantity, each.layer) == (name, quantity, layer)
    )


@pytest.mark.parametrize("prompts", [None, 1, 2, 60])
def test_the_longer_answer_is_found_whatever_prompts_there_are(
    model: Path, tmp_path: Path, prompts: int | None
) -> None:
    words = np.random.default_rng(0).permuted(np.tile(list("abcdefghij"), (60, 1)), axis=1)
    rows = [{"chosen": " ".join(line), "rejected": " ".join(line[:4])} for line in words.tolist()]
    if prompts:
        rows = [{**each, "prompt": f"Letters {number % prompts}?"} for number, each in enumerate(rows)]
    found = probed(model, rows, tmp_path / "pairs.jsonl")
    accuracy = row(found, "length")
    assert (accuracy.value, accuracy.se_documents) == (1.0, 0.0)
    information = row(found, "preference", "information")
    assert information.se_documents is not None
    assert information.se_documents > 0
    linear = [each for each in found.measures if (each.variable, each.quantity) == ("linear", "accuracy")]
    assert max(each.value for each in linear) > 0.7
    assert all(each.se_documents is not None for each in linear)


def test_more_folds_than_pairs_are_as_many_as_pairs(model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "chosen": f"a b c {n}", "rejected": f"d {n}"} for n in range(20)]
    found = probed(model, rows, tmp_path / "pairs.jsonl", count=64)
    assert len(row(found, "preference", "folds").draws) == 20


def test_what_learned_nothing_has_a_dash_instead_of_one_half(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"{n}?", "chosen": "a b", "rejected": "b a"} for n in range(48)]
    found = probed(model, rows, tmp_path / "pairs.jsonl")
    for name in ("length", "words"):
        for quantity in ("accuracy", "auc", "information"):
            assert (row(found, name, quantity).value, row(found, name, quantity).se_documents) == (None, None)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    write.save(found.record(), tmp_path / "data")
    assert (
        read.preferences(tmp_path / "data").filter(what="length", quantity="accuracy")["value"].to_list() == [None] * 2
    )
    view, notes = registry.build("preference", {}, dark=False)
    assert notes == []
    assert view.rows["Length"].to_list() == ["–"]
    assert view.rows["Words"].to_list() == ["–"]
