"""Time series: labels of patches, known information of Markov chains, and what pages say of such models."""

from pathlib import Path

import numpy as np
import pytest
import torch

import softh
from dashboard.views import registry
from softh import Accumulator, InputError, SeriesSample
from softh.estimator import series as ts
from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.store import read

LEVELS, WIDTH, DRAWS, BINS = 5, 16, 4, 100


def chain(length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A Markov chain over LEVELS levels, and its transition matrix."""
    transition = np.random.default_rng(5).dirichlet(np.full(LEVELS, 0.4), LEVELS)
    rng = np.random.default_rng(seed)
    states = np.zeros(length, dtype=np.int64)
    for at in range(1, length):
        states[at] = rng.choice(LEVELS, p=transition[states[at - 1]])
    return states, transition


def sample_of(horizon: int, orders: tuple[int, ...]) -> tuple[SeriesSample, np.ndarray]:
    chains = {str(number): chain(2_000, number)[0] for number in range(8)}
    sample = SeriesSample(
        {name: states.astype(float) for name, states in chains.items()}, chains, labels="values", name="Markov",
        context=50, orders=orders, horizon=horizon,
    )  # fmt: skip
    return sample, sample.windows[:, :, 0].astype(np.int64).reshape(-1)[sample.rows]


def known(vectors: np.ndarray, transition: np.ndarray, horizon: int) -> tuple[float, float]:
    """I(X;Z) and I(Y;Z) in log n of hidden states that are one vector a level: in closed form, mean over draws."""
    directions = references(BINS, WIDTH, DRAWS, 0).directions
    p = assign(normalise(torch.tensor(vectors)), directions, temperature(BINS, WIDTH))[0].double().numpy()
    values, rows = np.linalg.eig(transition.T)
    share = np.real(rows[:, np.argmax(np.real(values))])
    share /= share.sum()
    later = np.linalg.matrix_power(transition, horizon)
    joint = share[:, None] * later  # level now, level then

    def entropy(q: np.ndarray) -> np.ndarray:
        return -(q * np.log(q)).sum(-1)

    of_all = entropy(np.einsum("k,kdn->dn", share, p))
    given_x = np.einsum("k,kd->d", share, entropy(p))
    given_y = np.einsum("y,yd->d", joint.sum(0), entropy(np.einsum("ky,kdn->ydn", joint / joint.sum(0), p)))
    return tuple(float((of_all - given).mean() / np.log(BINS)) for given in (given_x, given_y))


@pytest.mark.parametrize("horizon", [1, 3])
def test_known_information_of_a_markov_chain_is_recovered_at_every_order(horizon: int) -> None:
    orders = (1, 2, 3, 4)
    sample, levels = sample_of(horizon, orders)
    vectors = np.random.default_rng(1).standard_normal((LEVELS, WIDTH)).astype(np.float32)
    of_x, of_y = known(vectors, chain(2, 0)[1], horizon)
    accumulator = Accumulator(["z"], sample.label_sets, positions=len(sample.rows), draws=DRAWS, bins=BINS)
    accumulator.update(vectors[levels], sample.label_values, document=sample.document, position=sample.position)
    assert of_x > 2 * of_y > 0.001
    for name, truth in (("input", of_x), ("output", of_y)):
        for order in orders:
            found = accumulator.result(labels=f"{name} {order}").debiased
            assert found.value == pytest.approx(truth, abs=0.003 + 0.04 * truth), (name, order)


def test_labels_are_the_symbols_before_and_after_a_position() -> None:
    values = {"one": np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), "two": np.arange(9.0)[::-1]}
    symbols = {"one": np.array([0, 1, 0, 1, 2]), "two": np.array([2, 0, 1, 0])}
    sample = SeriesSample(
        values, symbols, labels="values", name="few", patch=2, context=4, orders=(1, 2), horizon=1
    )  # fmt: skip
    assert (len(sample), sample.windows.shape) == (2, (2, 4, 2))
    assert sample.position.tolist() == [1, 1]
    assert sample.ends == [("one", 3), ("two", 3)]
    assert sample.rows.tolist() == [1, 5]
    assert {name: labels.tolist() for name, labels in sample.label_values.items()} == {
        "input 1": [1, 0], "input 2": [0, 1], "output 1": [0, 1], "output 2": [0, 1],
    }  # fmt: skip


def test_a_longer_horizon_moves_y_alone() -> None:
    near, far = (sample_of(horizon, (1, 2))[0] for horizon in (1, 5))
    assert (near.about["labels"], far.about["labels"]) == ("values", "values@5")
    assert near.digest != far.digest
    inside = np.isin(near.rows, far.rows)
    for order in (1, 2):
        assert np.array_equal(near.label_values[f"input {order}"][inside], far.label_values[f"input {order}"])
    levels = near.windows.reshape(-1)
    assert np.array_equal(levels[far.rows + 5], far.label_values["output 1"])


def test_planted_events_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(600)
    values[300:] += 8
    values[[50, 170, 450]] += 12
    found = ts.change_points({"a": values}), ts.outliers({"a": values})
    assert found[0]["a"].nonzero()[0].tolist() == pytest.approx([300], abs=2)
    assert set(found[1]["a"].nonzero()[0]) >= {50, 170, 450}
    assert found[1]["a"].sum() <= 6
    assert ts.outliers({"a": values}, patch=10)["a"][[5, 17, 45]].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, np.nan, 3, np.inf], "Series a has 2 gaps, the first at value 1; expected a number at every time"),
        ([4.0] * 9, "Series a is 4 throughout; expected values that vary"),
        ([1.0], "Series a is 1 throughout"),
        ([[1.0, 2], [3, 4]], r"Series a has shape \(2, 2\); expected one value a time"),
    ],
)
def test_gaps_and_constant_series_are_told(values: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ts.value_bins({"a": np.array(values)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "tokens"}, "labels was 'tokens'; expected values, slopes, phases, patches, changes or outliers"),
        ({"labels": "values@2"}, "labels was 'values@2'"),
        ({"context": 3, "orders": (2,)}, "context was 3 patches; orders up to 2 at a horizon of 1 need more than 3"),
        ({"context": 99}, "No series of b has 99 patches of 1 values"),
        ({"horizon": 0}, "horizon was 0; expected at least 1"),
        ({"symbols": {"a": np.zeros(20, int)}}, "All patches of b have one symbol"),
        ({"symbols": {"a": np.arange(9)}}, "Series a has 20 patches of 1 values and 9 symbols"),
        ({"symbols": {"c": np.arange(20)}}, "symbols and series have different names"),
    ],
)
def test_samples_that_cannot_be_are_told(options: dict[str, object], said: str) -> None:
    whole = {"series": {"a": np.arange(20.0)}, "symbols": {"a": np.arange(20) % 2}, "labels": "values", "context": 10}
    with pytest.raises(InputError, match=said):
        SeriesSample(**{**whole, "name": "b", **options})  # ty: ignore[invalid-argument-type]


def test_a_model_of_time_series_is_a_path_on_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, levels = sample_of(3, (1, 2))
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((LEVELS, WIDTH))
    for step in (0, 10):
        accumulator = Accumulator(
            ["0", "1"], sample.label_sets, positions=len(sample.rows), draws=3, sample=sample.digest
        )
        noise = rng.standard_normal((2, len(levels), WIDTH))
        states = {"0": noise[0], "1": noise[1] + step / 5 * vectors[levels]}
        accumulator.update(states, sample.label_values, document=sample.document, position=sample.position)
        softh.save_accumulated(accumulator, sample, "clock", parameters=99, step=step, data=tmp_path)
    assert not read.warnings(tmp_path)
    rows = read.trajectory(tmp_path, correction="debiased", order=1).sort("step")
    assert rows["labels"].unique().to_list() == ["values@3"]
    assert rows["input"][1] > rows["input"][0] + 0.05
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    for page in ("trajectory", "layers"):
        view, notes = registry.build(page, {}, dark=False)
        assert not notes
        assert "time series" in view.title
        assert "Hidden states are of time series; labels are values" in view.caption
        assert "Y of the one 3 patches ahead" in view.caption
        assert "Time series: Markov; time series, " in view.source
        assert "value bin, Y 3 ahead" in view.figures["plane"].to_json()


def test_a_layer_that_knows_nothing_of_a_label_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, levels = sample_of(1, (1,))
    states = {str(layer): np.random.default_rng(layer).standard_normal((len(levels), WIDTH)) for layer in range(3)}
    accumulator = Accumulator(
        list(states), sample.label_sets, positions=len(sample.rows), draws=3, sample=sample.digest
    )
    accumulator.update(states, sample.label_values, document=sample.document, position=sample.position)
    softh.save_accumulated(accumulator, sample, "deaf", parameters=99, data=tmp_path)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    view, _ = registry.build("layers", {}, dark=False)
    assert view.finding.startswith("No layer of deaf says more about these labels than its error")
