"""Specifications of estimates: frozen dataclasses, their canonical JSON and their identity.

A field's metadata (:func:`about`) is what the command line, the forms and the documentation know of it, so that a new
setting is one field here. A specification may grow: a field that is added later writes nothing into the canonical JSON
while it has the value that earlier estimates were made with, so stored ids never change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from softh.errors import InputError
from softh.quantities import COLUMN, TEXT_LABELS, known_labels
from softh.text import sources

Directions = Literal["iid", "orthonormal"]
TemperatureRule = Literal["bound", "leading", "exact"]
Weighting = Literal["positions", "labels"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Labels = str
"""One of :data:`softh.quantities.LABELS`, or ``column:NAME``."""

HIGHEST_ORDER = 4
PLUG_IN, DEBIASED = "plug-in", "growth-4"
"""Estimators: of estimates that have raw and null-corrected values alone, and of those with debiased ones too."""
_FORMER_DEBIASED = ("growth-3",)
"""Estimators of stored estimates with debiased values."""


def about(
    text: str,
    *,
    least: int | None = None,
    former: str | None = None,
    as_before: Any = MISSING,
    earlier: tuple[str, ...] = (),
    offered: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Metadata of a field of a specification.

    text: help for the command line, the forms and the documentation.
    least: the least value of a whole number.
    former: the former name of a renamed field. It remains the name in stored JSON and in the tables, and is accepted
        wherever options are named.
    as_before: of every field that is added later: the value that means what was done before there was such a field.
    earlier: values that stored specifications may have and that cannot be chosen any more.
    offered: values to choose from, where others are possible, too.
    """
    return {
        "help": text, "least": least, "former": former, "as_before": as_before, "earlier": earlier, "offered": offered,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of the specifications: canonical JSON, checks and names of the fields."""

    def __post_init__(self) -> None:
        types = types_of(type(self))
        for each in dataclasses.fields(self):
            value, least = getattr(self, each.name), each.metadata["least"]
            if isinstance(value, str) and (shown := value.encode(errors="backslashreplace").decode()) != value:
                raise InputError(
                    f"{each.name} was {shown}, which is not UTF-8 text and cannot be stored; expected a name in UTF-8: "
                    "rename the file or folder, or give a link to it."
                )
            if least is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(
                    f"{each.name} was {value!r}; expected a whole number of at least {least}: "
                    f"try --{option_name(each.name)} {max(least, 1)}."
                )
            choices = choices_of(types[each.name])
            stored = (each.metadata["as_before"], *each.metadata["earlier"])
            if choices and value not in choices and value not in stored:
                raise InputError(f"{each.name} was {value!r}; expected one of {', '.join(choices)}: choose one.")

    def stored(self) -> dict[str, Any]:
        """Value of every field by its name in stored JSON and in the tables."""
        return {stored_name(each): getattr(self, each.name) for each in dataclasses.fields(self)}

    def canonical(self) -> str:
        """Canonical JSON: keys sorted, no spaces; a later field only where it differs from what was done before."""
        values = self.stored()
        for each in dataclasses.fields(self):
            if values[stored_name(each)] == each.metadata["as_before"]:
                del values[stored_name(each)]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The specification that :meth:`canonical` wrote, by this version or an earlier one. Errors: InputError."""
        stored: dict[str, Any] = json.loads(text)
        names = {stored_name(each): each for each in dataclasses.fields(cls)}
        if unknown := set(stored) - set(names):
            raise InputError(
                f"The specification has unknown keys {', '.join(sorted(unknown))}; expected some of "
                f"{', '.join(sorted(names))}: upgrade softh, or remove them."
            )
        before = {each.name: each.metadata["as_before"] for each in names.values()}
        later = {name: value for name, value in before.items() if value is not MISSING}
        return cls(**later | {names[key].name: value for key, value in stored.items()})

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """The specification of options by name, each field's or its former one. Errors: InputError.

        Example:
            >>> EstimateSpec.from_options({"model": "gpt2", "frame": "orthonormal"}).directions
            'orthonormal'
        """
        names = {each.name: each.name for each in dataclasses.fields(cls)}
        former = {stored_name(each): each.name for each in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for key, value in options.items():
            name = names.get(key) or former.get(key)
            if name is None:
                raise InputError(f"{key} is not a setting; expected one of {', '.join(sorted(names))}: correct it.")
            if name in values:
                raise InputError(f"{key} is another name of a setting that was given twice: give {name} once.")
            values[name] = value
        return cls(**values)

    @classmethod
    def unusual(cls, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Of stored settings those that differ from the defaults, by stored name in the order of the fields.

        A field of which there is nothing to choose is not a setting.

        stored: the values of canonical JSON, or some of them.

        Example:
            >>> EstimateSpec.unusual({"bins": 100, "frame": "orthonormal", "seed": 1})
            {'frame': 'orthonormal', 'seed': 1}
        """
        before = {stored_name(each): each.metadata["as_before"] for each in dataclasses.fields(cls)}
        values = {name: value for name, value in before.items() if value is not MISSING} | dict(stored)
        types = types_of(cls)
        chosen = [each for each in dataclasses.fields(cls) if len(choices_of(types[each.name])) != 1]
        usual = {stored_name(each): each.default for each in chosen if each.default is not MISSING}
        usual = json.loads(json.dumps(usual))  # a tuple is a list in JSON
        return {name: values[name] for name in usual if name in values and values[name] != usual[name]}


@dataclass(frozen=True, kw_only=True)
class EstimateSpec(Spec):
    """Everything that decides the numbers of one estimate, and nothing else.

    Device, batch size and cache change how long an estimate takes, never what it means:
    they are arguments of :func:`softh.estimator.pipeline.estimate`, not part of the specification.
    """

    model: str = field(metadata=about("Hub id, folder with safetensors weights, or .gguf file."))
    revision: str | None = field(default=None, metadata=about("Branch, tag or commit of a hub model."))
    corpus: str = field(default=sources.DEFAULT, metadata=about(f"{sources.usage()}."))
    documents: int = field(default=256, metadata=about("Documents sampled from the corpus at most.", least=1))
    context: int = field(
        default=256, metadata=about("Tokens a document is truncated to, a leading BOS included.", least=2)
    )
    bins: int = field(default=100, metadata=about("Reference directions per draw, n.", least=2))
    draws: int = field(default=32, metadata=about("Independent draws of the reference directions, R.", least=1))
    directions: Directions = field(
        default="iid",
        metadata=about("Reference directions drawn independently, or as orthonormal frames.", former="frame"),
    )
    center: bool = field(
        default=False,
        metadata=about("Subtract the mean normalised hidden state first; another quantity.", former="centred"),
    )
    temperature_rule: TemperatureRule = field(
        default="bound",
        metadata=about(
            "Rule for the temperature: lower bound (as published), leading order, or exact.", former="calibration"
        ),
    )
    label_weighting: Weighting = field(
        default="positions",
        metadata=about(
            "Labels weighted by P(x), or uniformly over labels seen at least five times.", former="weighting"
        ),
    )
    folds: int = field(default=8, metadata=about("Folds of documents for the jackknife.", least=2))
    seed: int = field(
        default=0,
        metadata=about("Seed of the document sample, the reference directions and the permutation null.", least=0),
    )
    dtype: Dtype = field(
        default="auto",
        metadata=about("Number format of the forward pass; auto is bfloat16 on a GPU that has it, else float32."),
    )
    orders: tuple[int, ...] = field(default=(1, 2, 3, 4), metadata=about("n-gram orders of the labels, from 1 to 4."))
    labels: Labels = field(
        default="tokens",
        metadata=about(
            "What is labelled: tokens of the model, words (whitespace words, the same for every tokenizer), bytes, or "
            "what single tokens are: classes, bands (of frequency), places (in the document), sources, languages, or "
            "column:NAME of the corpus.",
            as_before="tokens",
            offered=TEXT_LABELS,
        ),
    )
    source: str | None = field(
        default=None,
        metadata=about("Only documents of one source, where the text says what they are a part of.", as_before=None),
    )
    estimator: Literal["growth-4"] = field(
        default=DEBIASED,
        metadata=about("Version of the estimator of debiased values.", as_before=PLUG_IN, earlier=_FORMER_DEBIASED),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", tuple(sorted(set(self.orders))))
        if not self.orders or not set(self.orders) <= set(range(1, HIGHEST_ORDER + 1)):
            given = ",".join(map(str, self.orders)) or "none"
            raise InputError(f"orders was {given}; expected numbers from 1 to {HIGHEST_ORDER}: try --orders 1,2,3,4.")
        if not known_labels(self.labels):
            names = ", ".join(TEXT_LABELS)
            raise InputError(f"labels was {self.labels!r}; expected one of {names} or {COLUMN}NAME: choose one.")
        super().__post_init__()

    def current(self) -> EstimateSpec:
        """The same, as this version of the program estimates it: what an older one asked for has another id then."""
        return dataclasses.replace(self, estimator=DEBIASED)


@dataclass(frozen=True, kw_only=True)
class PreferenceSpec(Spec):
    """Everything that decides the numbers of one preference probe, and nothing else."""

    model: str = field(metadata=about("Hub id, folder with safetensors weights, or .gguf file."))
    revision: str | None = field(default=None, metadata=about("Branch, tag or commit of a hub model."))
    pairs: str = field(metadata=about("A .jsonl or .parquet file, or a data set of the hub, with @SPLIT if need be."))
    limit: int = field(default=2000, metadata=about("Pairs sampled at most.", least=2))
    context: int = field(
        default=512, metadata=about("Tokens of prompt and answer together; longer pairs are excluded.", least=8)
    )
    bins: int = field(default=100, metadata=about("Reference directions per draw, n.", least=2))
    draws: int = field(default=32, metadata=about("Independent draws of the reference directions, R.", least=1))
    directions: Directions = field(
        default="iid",
        metadata=about("Reference directions drawn independently, or as orthonormal frames.", former="frame"),
    )
    temperature_rule: TemperatureRule = field(
        default="bound",
        metadata=about(
            "Rule for the temperature: lower bound (as published), leading order, or exact.", former="calibration"
        ),
    )
    folds: int = field(
        default=8, metadata=about("Folds of prompts for the jackknife and the cross-validated linear model.", least=3)
    )
    swaps: int = field(default=100, metadata=about("Random swaps of the labels within pairs: the null.", least=10))
    seed: int = field(
        default=0,
        metadata=about("Seed of the sample of pairs, the folds, the reference directions and the swaps.", least=0),
    )
    dtype: Dtype = field(
        default="auto",
        metadata=about("Number format of the forward pass; auto is bfloat16 on a GPU that has it, else float32."),
    )
    labels: Literal["preference"] = field(
        default="preference", metadata=about("Kind of labels; tells a probe from an estimate of the information plane.")
    )
    estimator: ClassVar[str] = PLUG_IN
    center: ClassVar[bool] = False
    label_weighting: ClassVar[Weighting] = "positions"


def identity(*parts: str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the parts, separated so that no two lists of parts coincide."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def stored_name(each: dataclasses.Field[Any]) -> str:
    """The name of a field in stored JSON and in the tables: its former name where it was renamed."""
    return each.metadata["former"] or each.name


def option_name(name: str) -> str:
    """The name of a field as an option of the command line, without the dashes before it."""
    return name.replace("_", "-")


@cache
def types_of(spec: type[Spec]) -> dict[str, Any]:
    """Type of every field of a specification."""
    return get_type_hints(spec)


def offered(each: dataclasses.Field[Any], spec: type[Spec]) -> tuple[str, ...]:
    """Values to choose from: all there are, or the usual ones."""
    usual: tuple[str, ...] = each.metadata["offered"]
    return choices_of(types_of(spec)[each.name]) or usual


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The values that a type allows: those of a Literal, none for other types."""
    return get_args(annotation) if get_origin(annotation) is Literal else ()
