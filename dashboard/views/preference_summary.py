"""The paragraph and the caption of the preference page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboard.figures.preference import combined_error, interval
from dashboard.format import plus_minus, short_model
from softh.analysis.probe_changes import Change
from softh.preference.reasons import count_text

Row = Mapping[str, Any]
_CLEAR = 3.0
"""Standard errors from which on a number is called different from zero."""


@dataclass(frozen=True)
class Findings:
    """The numbers of one model in the paragraph; information in the unit of the page."""

    model: str
    pairs: int
    value: float
    error: float
    most: float
    """What a label of two values can have."""
    peak: int
    """Layer of the largest information."""
    matched: tuple[float, float] | None
    """Value and error of pairs matched by length."""
    right: dict[str, tuple[float, float]]
    """linear, words, length → share of held-out pairs ordered correctly, and its error; linear: mean over layers."""
    agreement: float | None
    """Rank correlation over layers of the information and the linear model."""

    @property
    def clear(self) -> bool:
        """Whether there is more than chance gives."""
        return self.value > _CLEAR * self.error


def headline(findings: Findings, *, among: int) -> str:
    """One sentence about the model that shows most of so many: how much, and whether a linear probe beats words."""
    name, share = short_model(findings.model), findings.value / findings.most
    if not findings.clear:
        shows = f"{name} shows no" if among == 1 else f"None of {among} models shows"
        head = f"{shows} more about which answer was preferred than chance gives"
    else:
        error = 100 * findings.error / findings.most
        shows = f"{name} shows" if among == 1 else f"Of {among} models {name} shows the most,"
        head = (
            f"{shows} {plus_minus(100 * share, error)} % of the one bit that tells the preferred answer from the "
            "other, on average over its layers"
        )
    linear, words = findings.right.get("linear"), findings.right.get("words")
    if not linear or not words:
        return f"{head}."
    ahead, spread = linear[0] - words[0], (linear[1] ** 2 + words[1] ** 2) ** 0.5
    if abs(ahead) <= 2 * spread:
        verdict = "is no better than counting words"
    else:
        verdict = "is better than counting words" if ahead > 0 else "is worse than counting words"
    pairs = f"{percent_text(linear)} against {percent_text(words)} of pairs"
    return f"{head}; a linear probe of its states {verdict} ({pairs})."


def paragraph(findings: Findings, change: tuple[str, Change, float] | None, unit: str) -> str:
    """The one paragraph; change: its name, itself and the scale of the unit."""
    parts = [_first(findings, unit), _matched(findings, unit), _others(findings), _agreement(findings)]
    if change:
        parts.append(_changed(*change, unit))
    return " ".join(part for part in parts if part)


def caption(probes: pl.DataFrame, rows: pl.DataFrame) -> str:
    """Pairs, excluded pairs, settings and errors."""
    first = probes.row(0, named=True)
    counted = rows.filter(quantity="pairs", estimate_id=first["estimate_id"])
    counts = ", ".join(f"{row['positions']:,} {count_text(row['variable'])}" for row in counted.to_dicts())
    others = (
        "; counts are for the first model; with other tokenizers other pairs fit the context" if _differ(probes) else ""
    )
    return (
        f"Pairs: {first['corpus']}, at most {first['context']} tokens each; {counts}{others}. Bands are one standard "
        "error, bars two, over draws of the directions and over pairs together (the larger of jackknife and spread of "
        "the null); hollow marks are pairs matched by length. Null: labels swapped within pairs; "
        f"{first['draws']} draws of {first['bins']} directions, {first['folds']} folds of prompts, or of pairs where "
        "there are fewer prompts. Accuracies are cross-validated over the same folds; they judge the difference of two "
        "whole answers, the information single states: the two do not convert into one another. "
        f"Probed on {first['created_at']:%Y-%m-%d}."
    )


def percent_text(value: tuple[float, float]) -> str:
    """81.2 ± 2.1 %."""
    return f"{100 * value[0]:.1f} ± {100 * value[1]:.1f} %"


def value_and_error(row: Row, scale: float = 1.0) -> tuple[float, float]:
    """Value and error of a row of measures."""
    return scale * row["value"], scale * combined_error(row)


def _differ(probes: pl.DataFrame) -> bool:
    return probes["documents"].n_unique() > 1


def _first(findings: Findings, unit: str) -> str:
    head = f"**{findings.model}**, {findings.pairs:,} pairs: "
    if not findings.clear:
        return (
            f"{head}its hidden states hold {plus_minus(findings.value, findings.error)} {unit} about which answer was "
            "preferred, which is no more than chance gives on these pairs."
        )
    return (
        f"{head}its hidden states hold {plus_minus(findings.value, findings.error)} {unit} about which answer was "
        f"preferred, most in layer {findings.peak}: clearly more than chance, and "
        f"{100 * findings.value / findings.most:.2f} % of the one bit there is to know."
    )


def _matched(findings: Findings, unit: str) -> str:
    if findings.matched is None:
        return "Too few pairs are left to match them by length."
    value, error = findings.matched
    if value <= _CLEAR * error:
        return f"Among pairs matched by length it is {plus_minus(value, error)}, which is no more than chance gives."
    return f"Length does not explain it: among pairs matched by length it is {plus_minus(value, error)}."


def _others(findings: Findings) -> str:
    linear, words, length = (findings.right.get(name) for name in ("linear", "words", "length"))
    if not words or not length:
        return ""
    said = f"the words of the two answers alone {percent_text(words)} and their length alone {percent_text(length)}"
    if not linear:
        return f"A linear probe ranks {said} of held-out pairs correctly."
    ahead = linear[0] - words[0]
    spread = (linear[1] ** 2 + words[1] ** 2) ** 0.5
    if abs(ahead) <= 2 * spread:
        verdict = "so word choice alone may explain it"
    elif ahead > 0:
        verdict = f"so they say {100 * ahead:.1f} points more than the words do"
    else:
        verdict = "so they say less than the words do"
    return (
        f"A linear probe of the mean hidden states ranks {percent_text(linear)} of held-out pairs correctly "
        f"(mean over layers), {said}: {verdict}."
    )


def _agreement(findings: Findings) -> str:
    if findings.agreement is None:
        return ""
    kind = "agree" if findings.agreement > 0.5 else "disagree" if findings.agreement < 0.2 else "partly agree"
    return f"The two methods {kind} on which layers are most informative (Spearman's ρ = {findings.agreement:.2f})."


def _changed(name: str, change: Change, scale: float, unit: str) -> str:
    value, error = scale * change.value, scale * change.error
    if change.low <= 0 <= change.high:
        said = plus_minus(value, error).replace("-", "−")
        return f"{name}: no detectable change, {said} {unit} (95 % interval {interval(change, scale)})."
    kind = "gain" if value > 0 else "loss"
    said = f"{plus_minus(abs(value), error)} {unit} (95 % interval of the change {interval(change, scale)})"
    return f"{name}: a {kind} of {said}."
