"""The page on the zoo is what the shipped tables say, and its claims follow the numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from softh.store import write
from zoo import findings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def zoo() -> findings.Zoo:
    return findings.Zoo(ROOT / "data")


def test_the_page_is_what_the_shipped_tables_say() -> None:
    assert (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8") == findings.document(ROOT / "data")


def test_every_run_and_every_finished_model_has_its_row(zoo: findings.Zoo) -> None:
    runs = {row["run"] for row in findings.trajectories(zoo)}
    assert {findings.short(run) for run in zoo.runs} <= runs
    assert len(findings.frontier(zoo)) == zoo.finished(findings.BOOKS).height >= 40
    losses = [float(row["bits / byte"].split()[0]) for row in findings.frontier(zoo)]
    assert losses == sorted(losses)


def test_measures_stand_in_the_order_in_which_they_turn(zoo: findings.Zoo) -> None:
    rows = findings.turns(zoo)
    assert len(rows) == len(findings.MEASURES)
    told = [row[f"{end} at step"] for row in rows for end in ("least", "largest")]
    assert all(cell == "never sure" or cell.endswith(f" of {len(zoo.runs)}") for cell in told)
    steps = [
        max(int(row[f"{end} at step"].replace("never", "0").split()[0]) for end in ("least", "largest")) for row in rows
    ]
    assert steps == sorted(steps)


def test_a_change_is_bold_where_it_exceeds_its_error(tmp_path: Path, record: Callable) -> None:
    for name, more in (
        ("toy-1M (A architecture, trained here)", 0.0),
        ("toy-1M-q4 (A architecture, trained here)", 0.1),
    ):
        row = record(name, corpus=findings.BOOKS, shape=lambda depth, order, more=more: (0.9, 0.2 + more, 0.1, 0.01))
        row["model"] |= {
            "source": "zoo/recipe.toml",
            "parent": None if not more else "toy-1M (A architecture, trained here)",
        }
        write.save(row, tmp_path)
    (found,) = findings.bits(findings.Zoo(tmp_path))
    assert (found["model"], found["less"]) == ("toy-1M-q4 (A)", "toy-1M (A)")
    assert found["Δ I(X;Z)"].startswith("**+0.1")
    assert not found["Δ I(Y;Z)"].startswith("**")
