"""Channels of known information, which the debiased estimate is measured against."""

import numpy as np
import pytest

from benchmarks._channels import Channel, assign, directions

REFERENCE = directions(16, 0, 32)
SMALL = {"width": 16, "types": 40}


def small(**changes: object) -> Channel:
    return Channel("small", "a test", **{**SMALL, **changes})  # ty: ignore[invalid-argument-type]


def entropy_of(assigned: np.ndarray) -> float:
    mean = assigned.mean(0)
    return float(-(mean * np.log(mean)).sum())


def test_labels_that_states_do_not_depend_on_carry_nothing() -> None:
    found = small(y_scale=0.0).truth(REFERENCE, 0, labels=400, occurrences=400, positions=20_000)
    assert found.x > 0.2
    assert abs(found.y) < 0.01


def test_more_noise_leaves_less_information() -> None:
    found = [small(noise=noise).truth(REFERENCE, 0, 400, 200, 20_000).x for noise in (0.5, 1.0, 2.0)]
    assert found == sorted(found, reverse=True)


def test_plug_in_information_of_much_text_is_the_truth() -> None:
    channel = small()
    sample = channel.sample(40_000, 1)
    assigned = assign(sample.states, REFERENCE).astype(float)
    share = np.bincount(sample.x, minlength=40) / len(sample.x)
    conditional = sum(share[k] * entropy_of(assigned[sample.x == k]) for k in np.flatnonzero(share))
    truth = channel.truth(REFERENCE, 0, labels=400, occurrences=1_000, positions=40_000)  # all labels are frequent
    assert entropy_of(assigned) - conditional == pytest.approx(truth.x, rel=0.03)


@pytest.mark.parametrize(
    "changes",
    [{"tail": "vector"}, {"rank": 4}, {"giant": 0.3, "offset": 1.0}, {"repetition": 0.4, "document_scale": 0.5},
     {"topics": 3}],
    ids="-".join,
)  # fmt: skip
def test_samples_are_repeatable_and_finite(changes: dict[str, object]) -> None:
    first, second = small(**changes).sample(500, 3), small(**changes).sample(500, 3)
    assert np.array_equal(first.states, second.states)
    assert np.array_equal(first.x, second.x)
    assert np.isfinite(first.states).all()
    assert first.documents.max() == 4


def test_repeated_labels_recur_within_their_document() -> None:
    def repeats(channel: Channel) -> float:
        sample = channel.sample(4_000, 0)
        return 1 - len(np.unique(sample.documents * 400 + sample.x)) / 4_000

    assert repeats(small(types=400, repetition=0.5)) > repeats(small(types=400)) + 0.1


def test_topics_make_the_labels_depend() -> None:
    def association(channel: Channel) -> float:
        sample = channel.sample(20_000, 0)
        joint = np.zeros((40, 40))
        np.add.at(joint, (sample.x, sample.y), 1 / 20_000)
        product = np.outer(joint.sum(1), joint.sum(0))
        return float((joint[joint > 0] * np.log(joint[joint > 0] / product[joint > 0])).sum())

    assert association(small(topics=3)) > association(small()) + 0.1
