"""Plans: what fits is read once, what does not is cut, spilled or refused in a sentence, and nothing is left out."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softh.errors import InputError
from softh.estimator.memory_plan import Need, Resources, choose

GB = 10**9
SMALL = Need(
    positions=60_000, tokens=65_536, layers=17, draws=32, bins=100, width=2048, parameters=10**9, gpu=True,
    cached=False, states=4 * GB,
)  # fmt: skip
PAPER = dataclasses.replace(
    SMALL, positions=5_050_000, tokens=5_120_000, layers=33, draws=1, width=4096, parameters=7 * 10**9
)
H100 = Resources(device=65 * GB, ram=100 * GB, rate=6e14)


def test_what_fits_is_kept_in_single_precision_and_read_once() -> None:
    plan = choose(SMALL, H100)
    assert (plan.layers, plan.draws, plan.half, plan.spilled) == (17, 32, False, False)
    assert len(list(plan.readings())) == 1


def test_the_size_of_the_paper_is_read_once_in_half_precision() -> None:
    plan = choose(PAPER, H100)
    assert (plan.layers, plan.draws, plan.half, plan.spilled) == (33, 1, True, False)
    assert "1 forward pass over 5,120,000 tokens" in plan.sentence()
    assert "half precision" in plan.sentence()
    assert "about 4 min" in plan.sentence()


def test_main_memory_takes_what_a_gpu_cannot_when_another_forward_pass_costs_more() -> None:
    two = choose(dataclasses.replace(PAPER, draws=2), dataclasses.replace(H100, ram=150 * GB))
    assert two.spilled
    assert two.draws == 2
    little = choose(dataclasses.replace(PAPER, draws=2), dataclasses.replace(H100, ram=10 * GB))
    assert not little.spilled
    assert len(list(little.readings())) == 2


def test_remembered_states_are_read_a_layer_at_a_time_with_all_draws_that_fit() -> None:
    plan = choose(dataclasses.replace(SMALL, gpu=False, cached=True), Resources(0, 16 * GB, 1e11))
    assert (plan.layers, plan.draws) == (1, 32)
    assert "4.0 GB of disk" in plan.sentence()


def test_what_never_fits_is_refused_with_a_remedy() -> None:
    for need in (PAPER, dataclasses.replace(PAPER, gpu=False)):
        with pytest.raises(InputError, match=r"5,050,000 positions.*ask for at most \d+% of the documents"):
            choose(need, Resources(GB, GB, 1e12))


@given(
    st.integers(1, 10**7), st.integers(1, 40), st.integers(1, 64), st.integers(2, 1000), st.booleans(), st.booleans(),
    st.integers(10**8, 10**11), st.integers(10**8, 10**12),
)  # fmt: skip
def test_every_layer_and_draw_is_read_exactly_once_and_fits(
    positions: int, layers: int, draws: int, bins: int, gpu: bool, remembered: bool, device: int, ram: int
) -> None:
    need = dataclasses.replace(
        SMALL, positions=positions, layers=layers, draws=draws, bins=bins, gpu=gpu, cached=remembered and not gpu
    )
    try:
        plan = choose(need, Resources(device, ram, 1e12))
    except InputError:
        assert need.assignment_bytes(half=gpu and positions >= 2**15) > 0.5 * (device if gpu else ram)
        return
    read = [(layer, draw) for some, part in plan.readings() for layer in some for draw in range(draws)[part]]
    assert sorted(read) == [(layer, draw) for layer in range(layers) for draw in range(draws)]
    room = 0.6 * ram if plan.spilled or not gpu else max(0.6 * device, device - 16 * 2**30)
    assert plan.assignments <= room + 1
