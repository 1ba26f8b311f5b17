"""A recipe asks for exactly what it says, and whatever it does not know is one sentence."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies

from softh.callback import log_spaced
from softh.errors import InputError
from zoo import plan, recipe
from zoo.models import configure

ZOO = Path(__file__).parent.parent / "zoo"
GOOD = """
[sizes]
s = { width = 16, layers = 1, heads = 2, hidden = 32 }
[[trajectory]]
name = "a"
architecture = "olmo2"
size = "s"
steps = 8
lr = 1e-3
"""
LONG = "[measure]\ncontext = 1024"


def load(tmp_path: Path, text: str) -> recipe.Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return recipe.load(path)


def test_the_zoo_is_what_it_promises() -> None:
    zoo = recipe.load(ZOO / "recipe.toml")
    trajectories = [run for run in zoo.runs if run.kind == "trajectory"]
    assert len({run.size for run in trajectories}) == 4
    assert all(len(run.marks) >= 24 for run in trajectories)
    assert all(run.architecture == "olmo2" for run in trajectories)
    for size in ("s", "m", "xl"):
        assert sorted(run.seed for run in trajectories if run.size == size) == [0, 1, 2]
    frontier = [run for run in zoo.runs if run.kind == "frontier"]
    assert len(frontier) >= 24
    assert len({run.architecture for run in zoo.runs}) >= 6
    assert {run.data for run in frontier} == {"clean", "shuffled", "repeated"}
    assert len(zoo.posttraining) >= 3


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.toml")), ids=lambda path: path.stem)
def test_every_run_of_a_shipped_recipe_has_a_configuration_and_a_cost(path: Path) -> None:
    zoo = recipe.load(path)
    for run in zoo.runs:
        assert configure(run, zoo.sizes[run.size]).vocab_size == 8192
    assert all(cost.seconds > 0 for cost in plan.costs(zoo))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD + "colour = 3", "colour"),
        (GOOD + "[measure]\ndocumnets = 3", "documnets"),
        ("colour = 3\n" + GOOD, "colour"),
        (GOOD.replace("olmo2", "olmo9"), "olmo9"),
        (GOOD.replace('size = "s"', 'size = "xxl"'), "xxl"),
        (GOOD + '[[posttraining]]\nbase = "b"', "'b'"),
        ('demo = "nobody"\n' + GOOD, "nobody"),
        (GOOD.replace("steps = 8", "steps = -8"), "-8"),
        (GOOD.replace("steps = 8", 'steps = "many"'), "many"),
        (GOOD.replace("lr = 1e-3", ""), "'lr'"),
        (GOOD + 'data = "dirty"', "dirty"),
        (GOOD + GOOD[GOOD.index("[[") :], "'a' twice"),
        (GOOD[: GOOD.index("[[")], "no runs"),
        ("trajectory = 3\n", "trajectory"),
        ("sizes = [", "not TOML"),
        (GOOD + LONG, "1024"),
        (GOOD.replace("steps = 8", "steps = 0"), "at least 1"),
        (GOOD.replace("heads = 2", "heads = 3"), "3 heads"),
        (GOOD + "seeds = 3", "seeds"),
        ("defaults = 3\n" + GOOD, "defaults"),
        (GOOD + "[speed]\nother = 'fast'", "fast"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_that_names_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        load(tmp_path, text)
    assert str(caught.value).count("\n") == 0


def test_a_missing_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be read"):
        recipe.load(tmp_path / "nothing.toml")


def test_seeds_make_one_run_each(tmp_path: Path) -> None:
    runs = load(tmp_path, GOOD + "seeds = [0, 3]").runs
    assert [(run.name, run.seed) for run in runs] == [("a-seed0", 0), ("a-seed3", 3)]


def test_defaults_reach_every_run_and_give_way(tmp_path: Path) -> None:
    runs = load(tmp_path, "[defaults]\nbatch = 7\nsteps = 9\n" + GOOD).runs
    assert (runs[0].batch, runs[0].steps) == (7, 8)


@given(strategies.integers(1, 5000), strategies.integers(2, 40))
def test_log_spaced_steps_rise_from_nothing_to_the_end(steps: int, points: int) -> None:
    marks = log_spaced(steps, points)
    assert marks[0] == 0
    assert marks[-1] == steps
    assert marks == sorted(set(marks))
    assert len(marks) >= min(points, steps + 1)


def test_log_spaced_steps_are_evenly_spaced_where_they_can_be() -> None:
    late = log_spaced(1 << 20, 21)[12:]
    ratios = [b / a for a, b in pairwise(late)]
    assert max(ratios) / min(ratios) < 1.01
