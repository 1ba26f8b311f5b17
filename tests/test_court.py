"""The estimators that ours are judged beside do what their names say, and the figures show what was measured."""

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif

from benchmarks import court as measured
from benchmarks._channels import Channel
from dashboard.figures import court, token_labels


def test_nearest_neighbours_are_those_of_scikit_learn_for_one_feature() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 600)
    labels[0] = 40  # seen once
    states = labels[:, None] / 9 + rng.standard_normal((600, 1))
    [ours] = measured.nearest(states, labels, 0).values()
    [theirs] = mutual_info_classif(states, labels, discrete_features=False, n_neighbors=3, random_state=0)
    assert ours == pytest.approx(theirs, abs=1e-4)  # it adds a little noise


def test_the_truth_of_a_channel_is_nothing_without_a_signal_and_all_without_noise() -> None:
    quiet = Channel("q", "", width=measured.WIDTH, types=8, exponent=0.0, x_scale=9.0, y_scale=0.0)
    deaf = Channel("q", "", width=measured.WIDTH, types=8, exponent=0.0, x_scale=0.0, y_scale=0.0)
    assert measured.information(quiet, 4_000) == pytest.approx(np.log(8), abs=1e-3)
    assert measured.information(deaf, 4_000) == pytest.approx(0, abs=1e-9)


def test_hard_bins_are_too_high_and_the_correction_lowers_them() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 30, 2_000)
    found = measured.binned(rng.standard_normal((2_000, measured.WIDTH)), labels, 0)
    assert found["binned"] > 0.3
    assert abs(found["binned, Miller-Madow"]) < found["binned"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_channel_has_a_figure_with_all_estimators_and_both_truths(dark: bool) -> None:
    found = court.results()
    assert len(court.channels(found)) == len(measured.CHANNELS)
    for channel in court.channels(found):
        figure = court.chart(found, channel, dark=dark)
        names = {row["estimator"] for row in found["rows"]}
        assert set(figure.data[0].y) == names >= {"InfoNCE", "binned", "soft entropy, debiased"}
        truth = next(row for row in found["rows"] if row["channel"] == channel)
        assert {shape.x0 for shape in figure.layout.shapes} == {truth["truth"], truth["soft truth"]}
        assert channel in figure.layout.meta["alt"]


def test_kinds_of_tokens_have_a_line_each_with_errors() -> None:
    rows = token_labels.results()
    for model in {row["model"] for row in rows}:
        figure = token_labels.by_layer(rows, model, dark=False)
        assert {"classes", "bands", "places"} <= {trace.name for trace in figure.data}
        assert all(trace.error_y.array is not None and len(trace.x) > 2 for trace in figure.data)
