"""Soft assignment: rows are distributions, directions are what they claim, seeds and draws nest."""

import numpy as np
import pytest
import torch

from softh.estimator import assignment
from softh.estimator.assignment import assign, assign_into, normalise, references


@pytest.mark.parametrize("frame", ["iid", "orthonormal"])
def test_directions_are_unit_and_uniform(frame: str) -> None:
    w = references(bins=16, dimension=8, draws=400, seed=3, frame=frame).directions.double()
    assert torch.allclose(w.norm(dim=-1), torch.ones(400, 16, dtype=torch.float64), atol=2**-8)
    assert (w.norm(dim=-1).mean() - 1).abs() < 5e-5  # rounding makes them neither longer nor shorter
    flat = w.reshape(-1, 8)
    assert flat.mean(0).abs().max() < 4 / np.sqrt(8 * len(flat))
    assert torch.allclose(flat.T @ flat / len(flat), torch.eye(8, dtype=torch.float64) / 8, atol=0.006)


def test_orthonormal_frames_are_orthonormal_in_groups_of_the_dimension() -> None:
    w = references(bins=11, dimension=4, draws=2, seed=0, frame="orthonormal").directions
    for frame in (w[:, :4], w[:, 4:8], w[:, 8:]):
        gram = frame @ frame.transpose(1, 2)
        assert torch.allclose(gram, torch.eye(frame.shape[1]).expand_as(gram), atol=2**-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_holds_the_directions_as_they_are(dtype: torch.dtype) -> None:
    directions = references(bins=100, dimension=4096, draws=3, seed=5).directions
    assert torch.equal(directions.to(dtype).float(), directions)


def test_fewer_draws_are_a_prefix_and_the_digest_names_the_numbers() -> None:
    few, many = (references(10, 6, draws, seed=1) for draws in (2, 5))
    assert torch.equal(few.directions, many.directions[:2])
    assert few.digest != many.digest == references(10, 6, 5, seed=1).digest
    assert many.digest != references(10, 6, 5, seed=2).digest


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_assignment_agrees_with_float64(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = (torch.randn(37, 21, generator=generator) * 50).to(dtype)
    directions = references(13, 21, 3, seed=0).directions
    p, entropy = assign(normalise(hidden), directions, 0.05)
    exact = hidden.double()
    scores = torch.einsum("md,rnd->mrn", exact / exact.norm(dim=-1, keepdim=True), directions.double() / 0.05)
    expected = scores.softmax(-1)
    assert (p.double() - expected).abs().max() < 2e-6
    assert (entropy.double() - torch.special.entr(expected).sum(-1)).abs().max() < 5e-6
    assert (p.sum(-1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("centred", [False, True])
def test_what_is_written_a_piece_at_a_time_is_the_same_and_fills_every_element(
    centred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignment, "_PIECE", 5 * 3 * 13)
    hidden = torch.randn(37, 21, generator=torch.Generator().manual_seed(0)) * 50
    directions = references(13, 21, 3, seed=0).directions
    unit = normalise(hidden)
    centre = unit.mean(0) if centred else None
    p, entropy = torch.full((37, 3, 16), torch.nan), torch.full((37, 3), torch.nan)
    assign_into(hidden, directions, 0.05, p, entropy, centre)
    expected = assign(unit if centre is None else normalise(unit - centre), directions, 0.05)
    assert (p[:, :, :13] - expected[0]).abs().max() < 2e-6
    assert (entropy - expected[1]).abs().max() < 5e-6
    assert (p[:, :, 13:] == 0).all()
