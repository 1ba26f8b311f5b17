"""What is asked of an estimate: one frozen specification, its canonical JSON and its hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from softh.errors import InputError

Frame = Literal["iid", "orthonormal"]
Calibration = Literal["bound", "leading", "exact"]
Weighting = Literal["positions", "labels"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

HIGHEST_ORDER = 4


@dataclass(frozen=True, kw_only=True)
class EstimateSpec:
    """Everything that decides the numbers of one estimate, and nothing else.

    Device, batch size and cache change how long an estimate takes, never what it means:
    they are arguments of :func:`softh.estimate.estimate`, not part of the specification.
    """

    model: str
    """Hub id, folder, or ``.gguf`` file."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; ``None`` is the default branch."""
    corpus: str = "python-docs"
    """``python-docs``, ``c4`` or ``file:PATH``."""
    documents: int = 256
    """Documents sampled from the corpus at most."""
    context: int = 256
    """Tokens a document is truncated to, a leading BOS included."""
    orders: tuple[int, ...] = (1, 2, 3, 4)
    """n-gram orders of the labels, each from 1 to 4."""
    bins: int = 100
    """Reference directions a draw, n."""
    draws: int = 32
    """Independent draws of the reference directions, R."""
    frame: Frame = "iid"
    """Directions drawn independently, or as orthonormal frames."""
    centred: bool = False
    """Subtract the mean normalised hidden state first; another quantity, off by default."""
    calibration: Calibration = "bound"
    """Rule for the temperature: lower bound (as published), leading order, or exact."""
    weighting: Weighting = "positions"
    """Labels weighted by P(x), or uniformly over labels seen at least five times."""
    folds: int = 8
    """Folds of documents for the jackknife."""
    seed: int = 0
    """Seed of the document sample, the reference directions and the permutation null."""
    dtype: Dtype = "auto"
    """Number format of the forward pass; auto is bfloat16 on a GPU that has it, else float32."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", tuple(sorted(set(self.orders))))
        _at_least("documents", self.documents, 1)
        _at_least("context", self.context, 2)
        _at_least("bins", self.bins, 2)
        _at_least("draws", self.draws, 1)
        _at_least("folds", self.folds, 2)
        _at_least("seed", self.seed, 0)
        if not self.orders or not set(self.orders) <= set(range(1, HIGHEST_ORDER + 1)):
            given = ",".join(map(str, self.orders)) or "none"
            raise InputError(f"orders was {given}; expected numbers from 1 to {HIGHEST_ORDER}: try --orders 1,2,3,4.")
        for name, choices in (
            ("frame", Frame),
            ("calibration", Calibration),
            ("weighting", Weighting),
            ("dtype", Dtype),
        ):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"{name} was {getattr(self, name)!r}; expected one of {', '.join(get_args(choices))}: choose one."
                )

    def canonical(self) -> str:
        """Canonical JSON: keys sorted, no spaces, every field present."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> EstimateSpec:
        """The specification that :meth:`canonical` wrote; unknown keys are refused."""
        fields: dict[str, Any] = json.loads(text)
        unknown = set(fields) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(
                f"The specification has unknown keys {', '.join(sorted(unknown))}; expected those of this version "
                "alone: remove them."
            )
        return cls(**fields)


def identity(*parts: str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the parts, each kept apart from the next."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"{name} was {value!r}; expected a whole number of at least {least}: try --{name} {max(least, 1)}."
        )
