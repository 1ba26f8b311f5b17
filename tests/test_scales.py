"""The logarithmic scale with a place for zero."""

import pytest

from dashboard.figures.scales import LogScale


def test_zero_lies_half_a_decade_before_the_first_value():
    log = LogScale.of([0, 1, 1000])
    assert log.place(0) == pytest.approx(-0.5)
    assert [log.share(value) for value in (0, 1000)] == [0, 1]
    assert 0 < log.share(1) < log.share(10) < 1


def test_without_zero_the_scale_begins_at_the_least_value():
    assert LogScale.of([10, 1000]).share(10) == 0


def test_ticks_are_decades_and_closer_on_a_short_scale():
    assert LogScale.of([0, 1, 4000]).ticks() == [0, 1, 10, 100, 1000]
    assert LogScale.of([30, 300]).ticks() == [50, 100, 200]


def test_a_scale_of_one_value_or_of_zero_alone_is_sound():
    assert LogScale.of([7]).share(7) == 1
    assert LogScale.of([0]).share(0) == 0
