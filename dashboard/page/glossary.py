"""Every term of ours with its definition: on hover wherever a page says it, and in one list on Method."""

import re
from collections.abc import Callable, Iterator

from dashboard.controls import browser

TERMS = {
    "complexity": "I(X;Z) / log n: how much of the text read so far hidden states retain.",
    "expressivity": "I(Y;Z) / log n: how much hidden states say about the text that comes next.",
    "optimality": "I(Y;Z) / I(X;Z): the share of what is retained that predicts what comes next; 1 on the bound.",
    "entropy": "H(Z) / log n: how much of the space hidden states use at all, 1 for all of it.",
    "bound": "The line I(Y;Z) = I(X;Z), on which everything retained predicts what comes next.",
    "distance to the bound": "(I(X;Z) − I(Y;Z)) / log n: information retained that does not predict what comes next.",
    "log n": "The unit of information: the log of the number of reference directions, the largest possible value.",
    "n-gram": "A label of a position: the last token or word alone (order 1), the last two (order 2), up to four.",
    "debiased": "An estimate of the value that unlimited text would give; the default on every page.",
    "raw": "Information as published: too large where labels are rare, because few occurrences look informative.",
    "null-corrected": "Raw minus its null; this subtracts too much, so it is slightly too small.",
    "null": "The same with labels shuffled over positions: what chance alone gives.",
    "reference directions": "Random unit vectors that hidden states are softly assigned to; one set of n is a draw.",
    "draws": "Independent sets of reference directions; their spread is one part of the standard error.",
    "standard error": "Spread over reference draws and over folds of documents together; the ± of every number.",
    "paired": "A difference taken draw by draw and fold by fold, so that what both share cancels out.",
    "collapse": "The first phase of a run: entropy falls, and ends where it is lowest.",
    "fitting": "The second phase: expressivity rises, and ends where it is highest.",
    "compression": "The third phase: how far complexity falls from its peak to the last checkpoint.",
    "checkpoint": "The weights of a model at one moment of its training.",
    "frontier": "The models that no other beats: at least as good on both axes, and better on one.",
    "ablations": "Runs degraded on purpose: stopped early, shuffled or repeated text, or a poor learning rate.",
    "bits per byte": "The cross-entropy of the text per byte: how well a model predicts it, whatever its tokenizer.",
    "cloze": "The share of passages whose last word a model finds: 0 for none, 1 for all.",
    "regularity": "I(X;Z) / H(Z): the share of the entropy that the text read explains.",
    "proportion of the order": "The share of the entropy that an order explains beyond the next shorter one.",
    "residual": "(H(Z) − I(X;Z)) / H(Z): the share of the entropy that the longest n-gram leaves unexplained.",
    "effective rank": "RankMe: how many directions hidden states fill, the exponential of their spectrum's entropy.",
    "decay of the spectrum": "α-ReQ: the exponent by which eigenvalues fall with their rank.",
    "matrix entropy": "The entropy of the normalised eigenvalues of the covariance, over log d.",
    "participation ratio": "(Σλ)² / Σλ²: how many eigenvalues carry the variance.",
    "intrinsic dimension": "TwoNN: the dimension that the distances to the two nearest neighbours imply.",
    "anisotropy": "The mean cosine of two hidden states: 0 where they point anywhere, 1 where all point one way.",
    "variational bound": "(H(Y) − cross-entropy) / log n: the information that the model's own head makes use of.",
    "preference information": "What hidden states say about which of two answers was preferred; at most one bit.",
    "linear probe": "A linear classifier of hidden states, judged on pairs that it was not trained on.",
}
"""Term → its definition, without double quotes."""
_SYMBOLS = {
    "RankMe": "effective rank", "α-ReQ": "decay of the spectrum", "TwoNN": "intrinsic dimension",
    "To the bound": "distance to the bound", "bits / byte": "bits per byte", "Linear": "linear probe",
    "H(Y) − CE": "variational bound", "Null": "null", "Raw": "raw", "I(X;Z)": "complexity", "I(Y;Z)": "expressivity",
    "H(Z)": "entropy", "±": "standard error", "corrected": "null-corrected", "n-grams": "n-gram",
    "checkpoints": "checkpoint", "proportion": "proportion of the order", "Frontier": "frontier",
    "Optimality": "optimality", "Information": "preference information",
}  # fmt: skip
"""Other words for a term, in heads of tables."""
_WORDS = {**{name: name for name in TERMS}, "n-grams": "n-gram", "checkpoints": "checkpoint"}
_TERM = re.compile(
    r"(?<![\w/-])(" + "|".join(map(re.escape, sorted(_WORDS, key=len, reverse=True))) + r")(?![\w-])", re.IGNORECASE
)
_WHOLE = re.compile(r"(`[^`]*`|\[[^\]]*\]\([^)]*\))")
"""What stays as it is: code and links."""


def anchor(term: str) -> str:
    """The address of a term within Method.

    Example:
        >>> anchor("distance to the bound")
        'term-distance-to-the-bound'
    """
    return "term-" + re.sub(r"[^a-z]+", "-", term.lower()).strip("-")


def linked(text: str) -> str:
    """Markdown in which each term, where it is said first, shows its definition on hover and leads to Method."""
    seen: set[str] = set()
    return "".join(part if _WHOLE.fullmatch(part) else _TERM.sub(_link(seen), part) for part in _WHOLE.split(text))


def of_head(head: str) -> str | None:
    """The definition of what a column of a table is headed by; None where it holds no term."""
    ends = [word for word in _WORDS if head.lower().endswith(f" {word}")]
    begins = [word for word in _SYMBOLS if head.startswith(word)]
    if begins and (head in begins or not ends):
        return TERMS[_SYMBOLS[max(begins, key=len)]]
    found = _TERM.search(head)
    name = max(ends, key=len) if ends else found[1].lower() if found else None
    return TERMS[_WORDS[name]] if name else None


def entries() -> Iterator[tuple[str, str, str]]:
    """Term, its anchor and its definition, in the order of the alphabet."""
    for name in sorted(TERMS, key=str.lower):
        yield name, anchor(name), TERMS[name]


def _link(seen: set[str]) -> Callable[[re.Match[str]], str]:
    base = browser.asset_urls()["base"]

    def replace(match: re.Match[str]) -> str:
        name = _WORDS[match[1].lower()]
        if name in seen:
            return match[0]
        seen.add(name)
        return f'[{match[0]}]({base}method#{anchor(name)} "{TERMS[name]}")'

    return replace
