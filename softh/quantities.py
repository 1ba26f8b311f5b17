"""What softh measures: each quantity is described once; tables, pages, exports and the command line derive from it.

How a quantity is computed is in :mod:`softh.estimator.measures`.
"""

from dataclasses import dataclass
from typing import Literal

Correction = Literal["raw", "null", "corrected", "debiased", "lower"]
CORRECTIONS: tuple[Correction, ...] = ("raw", "null", "corrected", "debiased", "lower")
"""In the order of the stored tables."""
CORRECTION_NAMES: dict[str, str] = {
    "debiased": "debiased", "raw": "raw, as published", "corrected": "null-corrected", "null": "permutation null",
}  # fmt: skip
"""In the order of the pages, the default first. The lower bound is shown beside the others, never alone."""
NGRAMS = {1: "token", 2: "bigram", 3: "trigram", 4: "quadgram"}
"""Order of a label → its name."""


@dataclass(frozen=True)
class LabelKindName:
    """What n-grams are made of: its name in specifications and tables, and in words."""

    name: str
    one: str
    """One of them."""
    about: str
    """What they are, for people who choose."""
    series: bool = False
    """Whether they are of time series; others are of text."""


LABELS = (
    LabelKindName("tokens", "token", "tokens of the model"),
    LabelKindName("words", "word", "whitespace words, the same for every tokenizer"),
    LabelKindName("bytes", "byte", "bytes, the same for every tokenizer"),
    LabelKindName("classes", "token class", "function, content, number, punctuation, code or white space"),
    LabelKindName("bands", "frequency band", "how frequent the token is, in fifths of the text"),
    LabelKindName("places", "place", "how far into its document the token is, in octaves"),
    LabelKindName("sources", "source", "what the document is a part of"),
    LabelKindName("languages", "language", "column language or lang of a corpus"),
    LabelKindName("values", "value bin", "level of a patch of a time series, in quantiles", series=True),
    LabelKindName("slopes", "slope bin", "rise or fall over a patch, in quantiles", series=True),
    LabelKindName("phases", "seasonal phase", "place in the season", series=True),
    LabelKindName("patches", "patch", "level, slope and phase together", series=True),
    LabelKindName("changes", "change point", "whether the level shifts in the patch", series=True),
    LabelKindName("outliers", "outlier", "whether a value of the patch is far off", series=True),
)
"""Every kind of label; those of a corpus's own column are called :data:`COLUMN` and its name."""
COLUMN, AHEAD = "column:", "@"
"""Before the name of a column; before the horizon, where Y of a time series begins later than with the next patch."""
TEXT_LABELS = tuple(each.name for each in LABELS if not each.series)


def known_labels(labels: str) -> bool:
    """Whether a specification may have this kind of label.

    >>> [known_labels(name) for name in ("tokens", "column:topic", "values@8", "letters", "tokens@2", "values@1")]
    [True, True, True, False, False, False]
    """
    base, ahead, horizon = labels.partition(AHEAD)
    if labels.startswith(COLUMN):
        return len(labels) > len(COLUMN)
    kind = next((each for each in LABELS if each.name == base), None)
    return kind is not None and (not ahead or (kind.series and horizon.isdecimal() and int(horizon) > 1))


def of_series(labels: str) -> bool:
    """Whether labels are of time series, and the hidden states of a model that is not of language.

    >>> of_series("values@8"), of_series("tokens")
    (True, False)
    """
    return any(each.name == labels.partition(AHEAD)[0] and each.series for each in LABELS)


def label_columns(labels: str) -> tuple[str, ...]:
    """Columns of a corpus that have such labels, the first that is there; none for labels that need no column.

    >>> label_columns("column:topic"), label_columns("languages"), label_columns("tokens")
    (('topic',), ('language', 'lang'), ())
    """
    if labels.startswith(COLUMN):
        return (labels.removeprefix(COLUMN),)
    return {"sources": ("source",), "languages": ("language", "lang")}.get(labels, ())


def label_name(order: int, labels: str = "tokens") -> str:
    """The labels of an order in words; labels is what they are made of.

    >>> label_name(1), label_name(2), label_name(1, "words"), label_name(3, "bytes")
    ('token', 'bigram', 'word', 'trigram of bytes')
    >>> label_name(1, "classes"), label_name(1, "values@8"), label_name(1, "column:topic")
    ('token class', 'value bin, Y 8 ahead', 'topic')
    """
    if labels == "tokens":
        return NGRAMS[order]
    base, _, horizon = labels.partition(AHEAD)
    if labels.startswith(COLUMN):
        base, horizon = labels.removeprefix(COLUMN), ""
    one = next((each.one for each in LABELS if each.name == base), base)
    later = f", Y {horizon} ahead" if horizon else ""
    return f"{one}{later}" if order == 1 else f"{NGRAMS[order]} of {base}{later}"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One measured quantity: where it is stored, what it is called, and how to read it."""

    column: str
    """In tables of points, beside `<column>_se_draws` and `<column>_se_documents`."""
    quantity: str | None
    """In the stored table `measures`; None for one that is computed from others while reading."""
    variable: str | None = None
    """In the stored table `measures`: input (X), output (Y), or None where it has no meaning."""
    name: str
    """In words; the key of an axis in links."""
    symbol: str
    """In headings and in lists of options, where there is little room."""
    formula: str | None = None
    """With its unit; None where the symbol says it."""
    predictor: str | None = None
    """What it is called as a predictor of scores; None where it is not among them. One that is not on the plane is
    computed in :mod:`softh.analysis.correlation.study`."""
    better: int | None = None
    """1 where more is better, −1 where less is, None where neither is."""
    has_labels: bool = False
    """Whether it depends on labels: then it has an n-gram order, a null and a correction."""
    axis_limits: tuple[float, float] | None = None
    """Where an axis ends at the latest: a ratio over hardly any information can be anything."""
    per_layer: bool = True
    """Whether every layer has one, not only the model."""
    highest_order_only: bool = False
    """Whether it is of the highest n-gram order of an estimate only."""
    on_plane: bool = False
    """Whether it is a column of the view `plane`, which every page reads; others are read where they are asked for."""

    @property
    def title(self) -> str:
        """'I(X;Z) / log n · complexity'."""
        return f"{self.formula} · {self.name}" if self.formula else self.name


QUANTITIES = (
    Quantity(
        column="input", quantity="information", variable="input", name="complexity", symbol="I(X;Z)",
        formula="I(X;Z) / log n", predictor="complexity I(X;Z)", better=-1, has_labels=True, on_plane=True,
    ),
    Quantity(
        column="output", quantity="information", variable="output", name="expressivity", symbol="I(Y;Z)",
        formula="I(Y;Z) / log n", predictor="expressivity I(Y;Z)", better=1, has_labels=True, on_plane=True,
    ),
    Quantity(
        column="optimality", quantity="optimality", name="optimality", symbol="optimality",
        formula="I(Y;Z) / I(X;Z)", predictor="optimality", better=1, has_labels=True, on_plane=True,
        axis_limits=(-0.2, 1.6),
    ),
    Quantity(
        column="entropy", quantity="entropy", name="entropy", symbol="H(Z)", formula="H(Z) / log n",
        predictor="entropy H(Z)", better=-1, on_plane=True,
    ),
    Quantity(
        column="regularity", quantity="regularity", variable="input", name="regularity", symbol="regularity",
        formula="I(X;Z) / H(Z)", predictor="regularity I(X;Z) / H", has_labels=True,
    ),
    Quantity(
        column="proportion", quantity="proportion", variable="input", name="proportion of the order",
        symbol="proportion", formula="(Iₖ(X;Z) − Iₖ₋₁(X;Z)) / H(Z)", has_labels=True,
    ),
    Quantity(
        column="residual", quantity="residual", variable="input", name="residual", symbol="residual",
        formula="(H(Z) − I(X;Z)) / H(Z)", predictor="residual", has_labels=True,
        highest_order_only=True,
    ),
    Quantity(
        column="distance", quantity=None, name="distance to the bound", symbol="to the bound",
        formula="(I(X;Z) − I(Y;Z)) / log n", predictor="distance to the bound", better=-1, has_labels=True,
    ),
    Quantity(
        column="bits_per_byte", quantity="bits_per_byte", name="bits per byte", symbol="bits / byte",
        predictor="loss, bits per byte", better=-1, per_layer=False,
    ),
    Quantity(
        column="rankme", quantity="rankme", name="effective rank", symbol="RankMe", formula="exp H(√λ / Σ√λ)",
    ),
    Quantity(
        column="alpha_req", quantity="alpha_req", name="decay of the spectrum", symbol="α-ReQ",
        formula="α of λᵢ ∝ i^−α",
    ),
    Quantity(
        column="matrix_entropy", quantity="matrix_entropy", name="matrix entropy", symbol="S(Z)",
        formula="H(λ / Σλ) / log d",
    ),
    Quantity(
        column="participation_ratio", quantity="participation_ratio", name="participation ratio",
        symbol="participation", formula="(Σλ)² / Σλ²",
    ),
    Quantity(
        column="intrinsic_dimension", quantity="intrinsic_dimension", name="intrinsic dimension", symbol="TwoNN",
        formula="d of the ratios r₂ / r₁",
    ),
    Quantity(
        column="anisotropy", quantity="anisotropy", name="anisotropy", symbol="mean cosine",
        formula="mean of cos(zᵢ, zⱼ)",
    ),
    Quantity(
        column="variational_bound", quantity="variational_bound", name="variational bound", symbol="H(Y) − CE",
        formula="(H(Y) − cross-entropy) / log n", per_layer=False,
    ),
)  # fmt: skip
"""In the order of tables and panels."""
PLANE = tuple(each for each in QUANTITIES if each.on_plane)
"""Columns of the view `plane`."""
FURTHER = tuple(each for each in QUANTITIES if each.quantity and each.per_layer and not each.on_plane)
"""Stored for every layer, and read where they are asked for."""
OF_THE_MODEL = tuple(each for each in QUANTITIES if each.column == "variational_bound")
"""Stored for the model as a whole alone, and read where they are asked for; bits per byte are in every row."""
BY_COLUMN = {each.column: each for each in QUANTITIES}


def quantity_name(quantity: str, variable: str | None) -> str:
    """What a row of the stored table `measures` is called in words.

    >>> quantity_name("information", "input"), quantity_name("entropy", None), quantity_name("accuracy", "linear")
    ('complexity', 'entropy', 'accuracy, linear')
    """
    known = [each.name for each in QUANTITIES if (each.quantity, each.variable) == (quantity, variable)]
    return known[0] if known else f"{quantity}, {variable}" if variable else quantity


def has_labels(column: str) -> bool:
    """Whether a column of points depends on labels; neither H(Z) nor a benchmark's score does."""
    return column in BY_COLUMN and BY_COLUMN[column].has_labels
