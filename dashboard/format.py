"""Numbers, names and hover texts as they are shown."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from softh.analysis import standard_errors
from softh.analysis.correlation import Effect
from softh.analysis.phases import Boundary, RunPhases
from softh.quantities import CORRECTION_NAMES, PLANE, label_name, of_series
from softh.text import sources

CORRECTION_WORDS = {**CORRECTION_NAMES, "lower": "lower bound"}


def order_name(order: int, labels: str = "tokens") -> str:
    """1 → 'order 1 (token)'; labels is what they are made of."""
    return f"order {order} ({label_name(order, labels)})"


def labels_name(order: int, correction: str, labels: str = "tokens") -> str:
    """'order 1 (token), debiased'."""
    return f"{order_name(order, labels)}, {CORRECTION_WORDS[correction]}"


def standard_error(row: Mapping[str, Any], quantity: str) -> float | None:
    """Standard error over draws and documents, √(a² + b²), or the known one; of joined seeds, their deviation."""
    return standard_errors.combined(*(row.get(f"{quantity}_{end}") for end in ("se_draws", "se_documents", "sd_seeds")))


@lru_cache(2**14)  # every run of a page writes the numbers of the last one again
def plus_minus(value: float | None, error: float | None) -> str:
    """Value and standard error to the error's second digit: 0.2031 ± 0.0042."""
    if value is None:
        return "undefined"
    if not error:
        return f"{value:.4f} ± ?"
    digits = decimals(error)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def decimals(error: float) -> int:
    """How many decimals a number with this standard error is shown with: to the error's second digit."""
    return min(max(1 - math.floor(math.log10(error)), 2), 6)


def bracket(row: Mapping[str, Any], quantity: str) -> str:
    """'0.0853 to 0.2128': lower bound and raw value around a debiased one; empty where they are not known."""
    ends = [row.get(f"{quantity}_{end}") for end in ("lower", "raw")]
    return "" if None in ends or row["correction"] != "debiased" else " to ".join(f"{end:z.4f}" for end in ends)


def _with_bracket(row: Mapping[str, Any], quantity: str) -> str:
    ends = bracket(row, quantity)
    return f"{plus_minus(row[quantity], standard_error(row, quantity))}{f', bracket {ends}' if ends else ''}"


def count(number: int | None) -> str:
    """Three significant digits and a letter: 8 388 608 → 8.39M."""
    if number is None:
        return "unknown"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def checkpoint_name(row: Mapping[str, Any]) -> str:
    """'step 64' where the step is known, else the revision."""
    return f"step {row['step']:,}" if row["step"] is not None else str(row["revision"])


def boundary_text(run: RunPhases, end: Boundary) -> str:
    """'step 128, 8.39M tokens (95 % interval 96–192)'."""
    tokens = f", {count(round(run.at(end.step, 'tokens')))} tokens" if run.tokens else ""
    return f"step {end.step:,.0f}{tokens} (95 % interval {end.low:,.0f}–{end.high:,.0f})"


def corpus_note(corpus: str) -> str:
    """'c4-sample (web text from C4, ODC-BY)'."""
    return f"{corpus} ({note})" if (note := sources.caption(corpus)) else corpus


def data_note(corpus: str, labels: str) -> str:
    """What was measured on: 'Text: c4-sample (web text from C4, ODC-BY)', or which time series."""
    return f"Time series: {corpus}" if of_series(labels) else f"Text: {corpus_note(corpus)}"


def units(labels: str) -> tuple[str, str]:
    """What documents and positions are called: windows and patches of time series."""
    return ("windows", "patches") if of_series(labels) else ("documents", "tokens")


def source(shown: str, data: str, settings: str, errors: str = "Bars, bands and ±: one standard error") -> str:
    """One line below figures: what is shown, of which text or series (:func:`data_note`), with which errors."""
    what = f"{shown[0].upper()}{shown[1:]}"
    return f"{what}. {data}; {settings}. {errors}."


def hover_text(row: Mapping[str, Any], title: str) -> str:
    """Hover text of one point: title, quantities with their errors, text and id (HTML of Plotly)."""
    lines = [f"<b>{title}</b>"]
    if row["tokens"] is not None:
        lines.append(f"{count(row['tokens'])} training tokens")
    lines += [f"{each.name} = {_with_bracket(row, each.column)}" for each in PLANE]
    if seeds := row.get("seeds"):
        lines.append(f"mean of {seeds} seeds, ± their standard deviation")
    else:
        kinds = {kind: error for kind in ("draws", "documents") if (error := row[f"input_se_{kind}"]) is not None}
        errors = " · ".join(f"{kind} {error:.2g}" for kind, error in kinds.items())
        lines.append(f"error of complexity: {errors}" if errors else "error unknown: one draw")
    lines += [
        labels_name(row["ngram"], row["correction"], row["labels"]),
        f"{row['corpus']}, {row['positions']:,} positions · {row['created_at']:%Y-%m-%d} · {row['estimate_id']}",
    ]
    return "<br>".join(lines)


def coefficient(effect: Effect) -> str:
    """'0.52 (95 % −0.10 to 0.78)', or the number alone where it has no interval."""
    number = signed(effect.value)
    return f"{number} (95 % {signed(effect.low)} to {signed(effect.high)})" if not math.isnan(effect.low) else number


def signed(value: float) -> str:
    """Two decimals and a true minus sign, which zero has not."""
    return f"{value:z.2f}".replace("-", "−")


def p_text(p: float) -> str:
    """'= .012', or '< .001' for a smaller one; 'unknown' where there is none.

    >>> p_text(0.0123), p_text(1e-05), p_text(float("nan"))
    ('= .012', '< .001', 'unknown')
    """
    if math.isnan(p):
        return "unknown"
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".", 1)


def short_model(name: str) -> str:
    """A model's name without its owner and the notes that its neighbours share."""
    name = name.replace(" architecture, trained here)", ")")
    return name.replace(" (trained here)", "").replace("dequantised ", "").rsplit("/", 1)[-1]
