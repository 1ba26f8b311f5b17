"""The simulated schedule keeps the books right, and docs/scale.md is what its script prints."""

from pathlib import Path

import pytest

from benchmarks import _rates, _schedule, scale
from softh.spec import EstimateSpec

UNITS = [EstimateSpec(model=str(place)) for place in range(20)]
SECONDS = {unit.model: 3600.0 for unit in UNITS}


@pytest.fixture(autouse=True)
def _no_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_schedule, "SPREAD", 0.0)


def test_without_failures_the_schedule_is_that_of_a_pencil() -> None:
    found = _schedule.course(UNITS, SECONDS, 8, 0.0, seed=0)
    assert (found.makespan, found.utilisation) == (3.0, pytest.approx(20 / 24))
    assert (found.lost, found.aside, found.sweeps) == (0.0, 0, 1)


def test_with_failures_every_unit_ends_and_no_gpu_is_used_while_it_is_away() -> None:
    engine = _schedule.Simulated(SECONDS, 4, 0.5, seed=1)
    outcomes = list(_schedule.engines.run(UNITS, engine))
    assert sorted(outcome.spec.model for outcome in outcomes) == sorted(SECONDS)
    stored = sum(outcome.record is not None for outcome in outcomes)
    assert 0 < stored < len(UNITS)
    assert engine.useful == pytest.approx(3600 * stored)
    assert engine.lost > 0
    assert engine.useful + engine.lost <= 4 * engine.now


def test_a_sweep_that_is_said_again_stores_what_was_set_aside() -> None:
    found = _schedule.course(UNITS, SECONDS, 4, 1.0, seed=1)
    assert found.sweeps > 1
    assert found.aside > 0


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("EleutherAI/pythia-410m", 0.41),
        ("bigscience/bloom-7b1", 7.1),
        ("openai-community/gpt2", 0.124),
        ("google/gemma-2-9b-it", 9),
        ("stabilityai/stablelm-2-1_6b", 1.6),
    ],
)
def test_sizes_are_those_of_the_names(name: str, billions: float) -> None:
    assert _rates.of_name(name).inner == pytest.approx(billions * 1e9)


def test_olmo2_has_the_published_sizes() -> None:
    found = {name: round(shape.parameters / 1e9, 2) for name, shape in _rates.OLMO2.items()}
    assert found == {"1B": 1.48, "7B": 7.3, "32B": 32.23}


def test_the_page_is_what_the_script_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    page = Path(__file__).parent.parent / "docs" / "scale.md"
    assert page.read_text(encoding="utf-8") == scale.text()
