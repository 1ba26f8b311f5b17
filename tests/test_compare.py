"""`softh compare`: differences with their errors, and a gate whose exit status says what they mean."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import softh
from softh.cli.main import main
from softh.store import write
from tests.store_rows import build_record, flat
from tests.tiny import llama, save_model, save_text

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))

    def compared(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softh", "compare", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return (end.value.code or 0, *capsys.readouterr())

    return compared


def moved(by: float) -> Callable[[float, int], tuple[float, float, float, float]]:
    def shape(depth: float, order: int) -> tuple[float, float, float, float]:
        entropy, x, y, null = flat(depth, order)
        return entropy, x + by, y, null

    return shape


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Two models, of which the second has .05 more I(X;Z) everywhere."""
    for name, by in (("One", 0.0), ("Two", 0.05)):
        write.save(build_record(name, shape=moved(by)), tmp_path / "data")
    return "One", "Two"


def test_differences_by_layer_and_their_summary(run: Run, pair: tuple[str, str]) -> None:
    code, out, _ = run(*pair, "--json")
    assert code == 0
    found = json.loads(out)
    of_input = [line for line in found["lines"] if line["quantity"] == "input"]
    assert [line["place"] for line in of_input] == [*(f"layer {layer}" for layer in range(5)), "mean"]
    assert [line["difference"] for line in of_input] == pytest.approx([0.05] * 6)
    [summary] = [each for each in found["summary"] if each["quantity"] == "input"]
    assert (summary["largest"], summary["mean"], summary["correlation"]) == pytest.approx((0.05, 0.05, 1.0))
    # Of the mean, draws and folds are paired: they moved by less than either alone.
    assert 0 < of_input[-1]["se_documents"] < 0.001
    code, out, _ = run(*pair)
    assert "0.0500" in out
    assert "B: Two" in out


@pytest.mark.parametrize(
    ("options", "code", "verdict"),
    [
        (("--tolerance", 0.06), 0, "tolerance: agrees"),
        (("--tolerance", 0.01), 1, "tolerance: differs"),
        (("--tolerance", 0.0499), 3, "tolerance: undecided"),
        (("--mean-tolerance", 0.01), 1, "mean tolerance: differs"),
    ],
)
def test_the_exit_status_is_the_gate(
    run: Run, pair: tuple[str, str], options: tuple[object, ...], code: int, verdict: str
) -> None:
    assert run(*pair, *options)[0] == code
    assert verdict in run(*pair, *options)[1]


def test_runs_are_compared_at_their_steps(run: Run, tmp_path: Path) -> None:
    for name, by, steps in (("One", 0.0, (1, 4, 16)), ("Two", 0.02, (4, 16, 64))):
        for step in steps:
            write.save(build_record(name, f"step{step}", step=step, shape=moved(by)), tmp_path / "data")
    code, out, _ = run("One", "Two", "--json", "--tolerance", 0.1)
    found = json.loads(out)
    assert code == 0
    assert {line["place"] for line in found["lines"]} == {"step 4", "step 16"}
    write.save(build_record("Three", "step2", step=2), tmp_path / "data")
    code, _, err = run("One", "Three")
    assert code == 2
    assert "have no step in common" in err


def test_what_does_not_compare_is_said(run: Run, tmp_path: Path, pair: tuple[str, str]) -> None:
    write.save(build_record("Other", corpus="c4", layers=6), tmp_path / "data")
    _, out, _ = run("One", "Other")
    assert "The two differ in text" in out
    assert "different numbers of layers" in out
    code, _, err = run("One", "nobody")
    assert code == 2
    assert "No stored estimate has the id 'nobody'" in err
    code, _, err = run("One", "Two", "--order", 4, "--data", tmp_path / "empty")
    assert code == 2


def test_two_stacks_of_one_checkpoint_agree_and_two_checkpoints_differ(run: Run, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "corpus": f"file:{save_text(tmp_path / 'text.jsonl')}", "documents": 24, "context": 40, "draws": 4,
        "orders": (1,),
    }  # fmt: skip
    one, two = save_model(tmp_path / "one"), save_model(tmp_path / "two", llama(initializer_range=0.5))
    softh.estimate(str(one), data=tmp_path / "data", dtype="float32", **settings)
    softh.estimate(str(one), data=tmp_path / "other", dtype="bfloat16", **settings)
    softh.estimate(str(two), data=tmp_path / "data", dtype="float32", **settings)
    code, out, _ = run("one", "one", "--other-data", tmp_path / "other", "--tolerance", 0.002, "--json")
    assert code == 0, out
    code, out, _ = run("one", "two", "--mean-tolerance", 0.002, "--json")
    assert code == 1, out
