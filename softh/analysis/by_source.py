"""How much of a text's entropy and information lies within its sources, and how much between them.

With w the share of a source in the positions and S the source of a position,

    H(Z)   = sum of w H(Z of the source)    + I(S;Z),
    I(X;Z) = sum of w I(X;Z of the source)  + I(S;Z) - I(S;Z | X),

exactly for plug-in (raw) values of a text and of its sources, estimated in the same pass. What lies between is negative
where labels tell the source better than the hidden states do. For debiased values it is what is left of two estimates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from softh.errors import InputError


@dataclass(frozen=True)
class Split:
    """A quantity of a text as a sum, in units of log n."""

    whole: float
    within: float
    """Mean over sources, by positions."""
    between: float
    """The rest."""
    se_draws: float | None
    """Of what lies between, over draws, which the estimates share; None where they are not stored."""


def split(whole: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], name: str) -> Split:
    """Split a quantity of a text by the sources of one pass.

    Args:
        whole: row of the text, of one layer, order and correction, as :func:`softh.store.read.trajectory` gives it.
        parts: rows of all its sources, of the same.
        name: column: entropy, input (I(X;Z)) or output (I(Y;Z)).

    Raises:
        InputError: for sources that are not all of the text, or rows that lack the value.

    >>> rows = [{"positions": n, "entropy": h, "entropy_draws": [h]} for n, h in ((4, 0.9), (3, 0.6), (1, 0.4))]
    >>> found = split(rows[0], rows[1:], "entropy")
    >>> round(found.within, 3), round(found.between, 3)
    (0.55, 0.35)
    """
    positions = sum(part["positions"] for part in parts)
    if positions != whole["positions"]:
        raise InputError(
            f"The sources have {positions:,} positions and the text {whole['positions']:,}; expected all sources of "
            "one pass: estimate with --by-source."
        )
    if any(row[name] is None for row in (whole, *parts)):
        raise InputError(
            f"Some sources have no such value of {name}; expected one of each: choose raw values, or more documents."
        )
    shares = [part["positions"] / positions for part in parts]
    within = math.fsum(share * part[name] for share, part in zip(shares, parts, strict=True))
    return Split(whole[name], within, whole[name] - within, _error_of_draws(whole, parts, shares, f"{name}_draws"))


def _error_of_draws(
    whole: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], shares: Sequence[float], name: str
) -> float | None:
    draws: list[Sequence[float]] = [row.get(name) or () for row in (whole, *parts)]
    if len(draws[0]) < 2 or any(len(each) != len(draws[0]) for each in draws):
        return None
    between = [
        value - math.fsum(share * each[at] for share, each in zip(shares, draws[1:], strict=True))
        for at, value in enumerate(draws[0])
    ]
    mean = math.fsum(between) / len(between)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in between) / (len(between) - 1) / len(between))
