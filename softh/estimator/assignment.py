"""Hidden states to soft assignments: reference directions on the unit sphere and the softmax over them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.blas import one_thread
from softh.spec import Directions

_PIECE = 2**18
"""Scores computed at once, few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class References:
    """R draws of n reference directions, uniform on the unit sphere of dimension d."""

    directions: Tensor  # [draws, bins, dimension] float32 of eight significant bits, unit rows but for that, on the CPU
    digest: str  # SHA-256 of the directions' bytes

    @property
    def draws(self) -> int:
        """Number of independent draws, R."""
        return self.directions.shape[0]


def references(bins: int, dimension: int, draws: int, seed: int, frame: Directions = "iid") -> References:
    """Draw reference directions, on the CPU so that one seed means the same numbers on every device.

    Draw r depends on (seed, r) alone: fewer draws are a prefix of more, and all models of one width share them.

    Coordinates are rounded to what bfloat16 and half precision both represent. Directions are random anyway, so this
    is another draw as good as the first, and a GPU multiplies by it exactly in one product instead of two or three.

    Args:
        bins: directions in a draw, n.
        dimension: width of the hidden states, d.
        draws: independent draws, R.
        seed: of all draws.
        frame: ``iid`` for independent directions, ``orthonormal`` for orthonormal frames of at most d directions.

    Source: soft entropy with random reference directions, Conklin 2025, arXiv 2505.23960.

    >>> references(bins=100, dimension=8, draws=4, seed=0).directions.shape
    torch.Size([4, 100, 8])
    """
    with one_thread():  # the same bits whatever the number of processors
        rows = np.stack([one_draw(bins, dimension, np.random.SeedSequence((seed, r)), frame) for r in range(draws)])
    rounded = torch.from_numpy(rows).bfloat16().half().float()
    return References(rounded, hashlib.sha256(rounded.numpy().tobytes()).hexdigest())


def one_draw(bins: int, dimension: int, seed: np.random.SeedSequence, frame: Directions) -> np.ndarray:
    """Directions [bins, dimension] of one draw in float32, before they are rounded."""
    generator = np.random.Generator(np.random.PCG64(seed))
    if frame == "iid":
        gaussian = generator.standard_normal((bins, dimension))
        unit = gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)
    else:
        # A frame holds at most `dimension` directions; more bins take more frames.
        sizes = [min(dimension, bins - start) for start in range(0, bins, dimension)]
        unit = np.concatenate([_orthonormal(size, dimension, generator) for size in sizes])
    return unit.astype(np.float32)


def _orthonormal(count: int, dimension: int, generator: np.random.Generator) -> np.ndarray:
    """`count` orthonormal rows, each uniform on the sphere: QR of a Gaussian with R's diagonal made positive."""
    q, r = np.linalg.qr(generator.standard_normal((dimension, count)))
    return (q * np.sign(np.diagonal(r))).T


def normalise(hidden: Tensor) -> Tensor:
    """Rows of length one in float32, from finite, non-zero rows [positions, dimension] of any float type.

    >>> normalise(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return torch.nn.functional.normalize(hidden.float(), dim=-1)


def assign(unit: Tensor, directions: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Soft assignment p = softmax(z̄ Wᵀ / ε) of every position under every draw, and its entropy.

    Args:
        unit: [positions, dimension] float32, rows of length one.
        directions: [draws, bins, dimension] float32, reference directions.
        epsilon: the temperature ε.

    Returns:
        p [positions, draws, bins] float32, each row summing to one, and its entropy [positions, draws] in nats.

    Source: Conklin 2025, arXiv 2505.23960.

    >>> unit, directions = torch.tensor([[1.0, 0.0]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> p, entropy = assign(unit, directions, epsilon=1.0)
    >>> p
    tensor([[[0.7311, 0.2689]]])
    >>> entropy
    tensor([[0.5822]])
    """
    draws, bins, dimension = directions.shape
    scores = (unit @ directions.reshape(draws * bins, dimension).T).div_(epsilon).view(-1, draws, bins)
    log_p = torch.log_softmax(scores, dim=-1)
    p = log_p.exp()
    return p, -(p * log_p).sum(-1)


def assign_into(
    hidden: Tensor, directions: Tensor, epsilon: float, p: Tensor, entropy: Tensor, center: Tensor | None = None
) -> None:
    """Write the soft assignments of hidden states of any length and float type into given tensors, piece by piece.

    Args:
        hidden: [positions, dimension], finite and not all zero.
        directions: as for :func:`assign`.
        epsilon: the temperature ε.
        p: [positions, draws, at least bins], written; columns beyond the bins become zero.
        entropy: [positions, draws], written, in nats.
        center: [dimension] float32, subtracted from the normalised states, which are then normalised again.
    """
    draws, bins, dimension = directions.shape
    flat = directions.reshape(draws * bins, dimension).T
    p[:, :, bins:] = 0
    for start in range(0, len(hidden), step := max(1, _PIECE // (draws * bins))):
        piece = slice(start, start + step)
        z = hidden[piece].float()
        if center is not None:
            z = normalise(normalise(z) - center)
        # Length and temperature divide the few scores of a row, not its many coordinates.
        scores = (z @ flat).div_(torch.linalg.vector_norm(z, dim=-1, keepdim=True).mul_(epsilon))
        log_p = torch.log_softmax(scores.view(-1, draws, bins), dim=-1)
        p[piece, :, :bins] = weights = log_p.exp()
        entropy[piece] = log_p.mul_(weights).sum(-1).neg_()
