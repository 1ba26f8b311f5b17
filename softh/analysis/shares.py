"""What the last token, bigram, trigram and quadgram explain of the hidden states, each beyond the shorter one.

The information of an order contains that of all lower ones, so the part of an order is a difference between two numbers
of one estimate: its error is paired over draws and folds, as that of a difference between two estimates is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from softh.analysis.differences import Difference, difference
from softh.errors import InputError
from softh.quantities import label_name


@dataclass(frozen=True)
class Share:
    """One part of H(Z), in units of log n."""

    name: str
    """'token', 'bigram', 'trigram', 'quadgram', or 'rest' for what none of them explains."""
    order: int | None
    """None for the rest."""
    above: int
    """The order that it is beyond; 0 for the first."""
    part: Difference


def of_context(
    rows: Sequence[Mapping[str, Any]], variable: Literal["input", "output"] = "input", labels: str = "tokens"
) -> list[Share]:
    """The parts of H(Z) by order, then the rest; they add up to H(Z).

    Args:
        rows: of one estimate, layer and correction, one an order, as :func:`softh.store.read.trajectory` gives them
            with their replicates. Debiased ones are the parts themselves: the bias of raw information grows with the
            order.
        variable: the tokens before a position and at it, or those after it.
        labels: what labels are made of, for the names.

    Returns:
        A part is negative where the errors of two orders are larger than what they differ by.

    Raises:
        InputError: rows of several estimates, layers or corrections, or two of one order.
    """
    ordered = sorted(rows, key=lambda row: row["ngram"])
    kinds = {(row["estimate_id"], row.get("layer"), row["correction"]) for row in ordered}
    if len(kinds) != 1 or len({row["ngram"] for row in ordered}) < len(ordered):
        raise InputError(
            f"{len(ordered)} rows of {len(kinds)} estimates, layers and corrections were given; expected those of one, "
            "one an order: select an estimate, a layer and a correction first."
        )
    nothing = _nothing(ordered[0], variable)
    shares = [
        Share(label_name(row["ngram"], labels), row["ngram"], before.get("ngram", 0), difference(row, before, variable))
        for before, row in zip([nothing, *ordered], ordered, strict=False)
    ]
    last = ordered[-1]
    return [
        *shares,
        Share("rest", None, last["ngram"], difference(_renamed(last, "entropy", variable), last, variable)),
    ]


def _nothing(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A row that is zero without an error, in the draws and folds of another."""
    zeros = {f"{name}_{end}": [0.0] * len(row.get(f"{name}_{end}") or ()) for end in ("draws", "folds")}
    errors = {f"{name}_se_{kind}": 0.0 for kind in ("draws", "documents")}
    return {**row, name: 0.0, **zeros, **errors, "ngram": 0}


def _renamed(row: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The row with one quantity in the place of another."""
    ends = ("", "_se_draws", "_se_documents", "_draws", "_folds")
    return {**row, **{f"{new}{end}": row.get(f"{old}{end}") for end in ends}}
