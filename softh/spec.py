"""What is asked of an estimate: frozen specifications, their canonical JSON and their hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from softh.errors import InputError

Frame = Literal["iid", "orthonormal"]
Calibration = Literal["bound", "leading", "exact"]
Weighting = Literal["positions", "labels"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

HIGHEST_ORDER = 4


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """What every specification can do."""

    def canonical(self) -> str:
        """Canonical JSON: keys sorted, no spaces, every field present."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The specification that :meth:`canonical` wrote; unknown keys are refused."""
        fields: dict[str, Any] = json.loads(text)
        unknown = set(fields) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(
                f"The specification has unknown keys {', '.join(sorted(unknown))}; expected those of this version "
                "alone: remove them."
            )
        return cls(**fields)

    def _check(self, least: dict[str, int], choices: dict[str, Any]) -> None:
        for name, value in least.items():
            _at_least(name, getattr(self, name), value)
        for name, literal in choices.items():
            if getattr(self, name) not in get_args(literal):
                raise InputError(
                    f"{name} was {getattr(self, name)!r}; expected one of {', '.join(get_args(literal))}: choose one."
                )


@dataclass(frozen=True, kw_only=True)
class EstimateSpec(_Spec):
    """Everything that decides the numbers of one estimate, and nothing else.

    Device, batch size and cache change how long an estimate takes, never what it means:
    they are arguments of :func:`softh.estimator.pipeline.estimate`, not part of the specification.
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
        least = {"documents": 1, "context": 2, "bins": 2, "draws": 1, "folds": 2, "seed": 0}
        self._check(least, {})
        if not self.orders or not set(self.orders) <= set(range(1, HIGHEST_ORDER + 1)):
            given = ",".join(map(str, self.orders)) or "none"
            raise InputError(f"orders was {given}; expected numbers from 1 to {HIGHEST_ORDER}: try --orders 1,2,3,4.")
        self._check({}, {"frame": Frame, "calibration": Calibration, "weighting": Weighting, "dtype": Dtype})


@dataclass(frozen=True, kw_only=True)
class PreferenceSpec(_Spec):
    """Everything that decides the numbers of one preference probe, and nothing else."""

    model: str
    """Hub id, folder, or ``.gguf`` file."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; ``None`` is the default branch."""
    pairs: str
    """A .jsonl or .parquet file, or the id of a data set of the hub, with ``@SPLIT`` if need be."""
    limit: int = 2000
    """Pairs sampled at most."""
    context: int = 512
    """Tokens of prompt and answer together; longer pairs are set aside."""
    bins: int = 100
    """Reference directions a draw, n."""
    draws: int = 32
    """Independent draws of the reference directions, R."""
    frame: Frame = "iid"
    """Directions drawn independently, or as orthonormal frames."""
    calibration: Calibration = "bound"
    """Rule for the temperature."""
    folds: int = 8
    """Folds of prompts for the jackknife, and for the cross-validation of the second opinion."""
    swaps: int = 100
    """Random swaps of the labels within pairs: the null."""
    seed: int = 0
    """Seed of the sample of pairs, the folds, the reference directions and the swaps."""
    dtype: Dtype = "auto"
    """Number format of the forward pass; auto is bfloat16 on a GPU that has it, else float32."""
    labels: Literal["preference"] = "preference"
    """What the labels are; tells a probe from an estimate of the information plane."""
    centred: ClassVar[bool] = False
    weighting: ClassVar[Weighting] = "positions"

    def __post_init__(self) -> None:
        least = {"limit": 2, "context": 8, "bins": 2, "draws": 1, "folds": 3, "swaps": 10, "seed": 0}
        choices = {"frame": Frame, "calibration": Calibration, "dtype": Dtype, "labels": Literal["preference"]}
        self._check(least, choices)


def identity(*parts: str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the parts, each kept apart from the next."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"{name} was {value!r}; expected a whole number of at least {least}: try --{name} {max(least, 1)}."
        )
