"""The paragraph of the benchmarks page: the coefficient, how robust it is, and what it does not show."""

from math import isnan

from dashboard.data.correlation import CHOSEN, LOSS, TRAINING, WITHOUT_LAYERS, Choice
from dashboard.figures.benchmarks import outliers
from dashboard.format import coefficient, labels_name, p_text, short_model, signed
from softh.analysis.correlation import Detail, Matrix, Study

NO_CAUSE = (
    "This is an association between models that happen to be in the tables. It does not say that changing the "
    "predictor would change the score, nor that it would hold for other families, texts or settings."
)


PUBLISHED = {
    "optimality": 0.52,
    "complexity I(X;Z)": -0.38,
    "expressivity I(Y;Z)": 0.08,
    "preference information": 0.76,
}
"""Pearson's r with the mean of six benchmarks over 47 open-weight models, raw values (Conklin et al., 2026)."""

_LETTERS = {"pearson": "r", "spearman": "ρ", "kendall": "τ"}
"""How coefficients are written."""


def headline(choice: Choice, result: Matrix, cell: Study, detail: Detail) -> str:
    """One sentence: direction, size and certainty, and whether plain loss predicts better."""
    [predictor], [score], plain = cell.predictors, cell.scores, detail.plain
    if isnan(plain.value):
        return f"There is no coefficient for {predictor} and {score} with these models."
    among = f"{len(cell.names)} {'changes along training' if choice.among == TRAINING else 'models'}"
    q = result.q[result.predictors.index(predictor), result.scores.index(score)]
    interval = "" if isnan(plain.low) else f", 95 % {signed(plain.low)} to {signed(plain.high)}"
    size = f"{choice.method.capitalize()} {signed(plain.value)}{interval}"
    told = not isnan(plain.low) and plain.low * plain.high > 0
    if not told or isnan(q):
        sentence = f"Among {among}, {predictor} shows no clear association with {score} ({size})"
    elif choice.layer == CHOSEN:
        sentence = f"Among {among}, {predictor} at the selected layer predicts {score} ({size})"
    else:
        way = "higher" if plain.value > 0 else "lower"
        sentence = f"Among {among}, higher {predictor} is associated with {way} {score} ({size})"
    if told and q >= 0.05:
        sentence += f", but not significant after correcting for {int((result.q >= 0).sum())} pairs"
    rival = detail.rival
    if rival is None or not (rival.p < 0.05 and rival.low * rival.high > 0):
        return f"{sentence}."
    than = "far better" if abs(rival.first - rival.second) > 0.3 else "better"
    if rival.second > rival.first:
        return f"{sentence}; plain loss predicts {than} (|{_LETTERS[choice.method]}| = {rival.second:.2f})."
    return f"{sentence}; it predicts {than} than plain loss (|{_LETTERS[choice.method]}| = {rival.second:.2f})."


def published_coefficient(choice: Choice, predictor: str) -> float | None:
    """What was published for a predictor among models; None where nothing was."""
    return None if choice.among == TRAINING else PUBLISHED.get(predictor)


def published(choice: Choice, detail: Detail, predictor: str) -> str:
    """Whether the sign and size agree with the published coefficient; empty where none was published."""
    theirs, ours = published_coefficient(choice, predictor), detail.plain
    if theirs is None or isnan(ours.value):
        return ""
    known = f"Published for 47 larger models and six benchmarks: r = {signed(theirs)} (raw values)."
    if not isnan(ours.low) and ours.low <= theirs <= ours.high:
        return f"{known} Agrees: it lies within our 95 % interval."
    if isnan(ours.low):
        return known
    if ours.low <= 0 <= ours.high:
        return f"{known} It lies outside our 95 % interval, which leaves the sign open."
    return f"{known} {'Same sign, different size' if theirs * ours.value > 0 else 'Disagrees: opposite sign'} here."


def paragraph(choice: Choice, result: Matrix, cell: Study, detail: Detail, depths: list[float]) -> str:
    """Summary of one predictor and one score: coefficient, adjustments, robustness, power and limits."""
    i, j = result.predictors.index(cell.predictors[0]), result.scores.index(cell.scores[0])
    cells = int((result.q >= 0).sum())
    sentences = [
        _what(choice, cell, detail),
        f"{choice.method.capitalize()} {coefficient(detail.plain)}; p {p_text(result.p[i, j])}, "
        f"q {p_text(result.q[i, j])} over the {cells} cells of the matrix: {_verdict(result.q[i, j])}.",
        _adjusted(detail, training=choice.among == TRAINING),
        _without(detail),
        _rival(choice, cell, detail),
        _power(detail),
        _far(cell, detail),
        _layers(choice, depths),
        NO_CAUSE,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _what(choice: Choice, cell: Study, detail: Detail) -> str:
    where = "mean over layers" if choice.layer != CHOSEN else "a layer chosen by the other families"
    how = labels_name(choice.order, choice.correction, choice.setup.labels)
    layered = cell.predictors[0] not in WITHOUT_LAYERS
    if choice.among == TRAINING:
        note = f" ({how})" if layered else ""
        return (
            f"n = {len(cell.names)} changes from one checkpoint to the next in {detail.plain.families} runs; "
            f"{cell.predictors[0]}{note} against {cell.scores[0]}. Levels along a run would correlate "
            "with anything that has a trend, so changes are compared, and each run counts as one family."
        )
    note = f" ({how}, {where})" if layered else ""
    return (
        f"n = {len(cell.names)} models of {detail.plain.families} families; {cell.predictors[0]}"
        f"{note} against {cell.scores[0]} ({choice.source})."
    )


def _verdict(q: float) -> str:
    if isnan(q):
        return "no test could be made"
    return "significant after correction" if q < 0.05 else "not significant after correction"


def _adjusted(detail: Detail, *, training: bool) -> str:
    said = [f"{row.name} {coefficient(row)}" for row in detail.adjusted]
    if not said:
        return ""
    tokens = any("tokens" in row.name for row in detail.adjusted)
    missing = "" if tokens or training else " Training tokens are not known for all of these models, or do not differ."
    return f"Adjusted: {'; '.join(said)}.{missing}"


def _without(detail: Detail) -> str:
    rows = [row for row in detail.without_family if not isnan(row.value)]
    if not rows:
        return ""
    low, high = min(rows, key=lambda row: row.value), max(rows, key=lambda row: row.value)
    ends = " and ".join(f"{signed(row.value)} ({short_model(row.name)})" for row in (low, high))
    return (
        f"Leaving out one family at a time, it lies between {ends}; leaving out one model at a time, between "
        f"{signed(detail.without_model.low)} and {signed(detail.without_model.high)}."
    )


def _rival(choice: Choice, cell: Study, detail: Detail) -> str:
    rival = detail.rival
    if rival is None:
        return ""
    loss = LOSS.split(",")[0]
    if rival.p < 0.05:
        better = f"{cell.predictors[0]} predicts better" if rival.first > rival.second else f"{loss} predicts better"
    else:
        better = "it is unclear which of the two predicts better"
    reached = f"|{_LETTERS[choice.method]}| = {rival.second:.2f}"
    return (
        f"The {loss} (bits per byte on the same text) reaches {reached} with the same score, this predictor "
        f"{rival.first:.2f}; difference {signed(rival.first - rival.second)} (95 % {signed(rival.low)} to "
        f"{signed(rival.high)} over families, p {p_text(rival.p)}): {better}."
    )


def _power(detail: Detail) -> str:
    least = detail.smallest_here
    some = f"With {detail.plain.n} independent models, 80 % power needs |r| ≥ {detail.smallest:.2f}"
    if isnan(least):
        return f"{some}."
    here = f"|r| ≥ {least:.2f}" if least < 0.995 else "a perfect correlation"
    families = f"models from these {detail.plain.families} families, which are fewer independent observations"
    return f"{some}; with {families}, {here}."


def _far(cell: Study, detail: Detail) -> str:
    rows = outliers(cell, detail, 3)
    residuals = [(short_model(cell.names[row]), detail.line.residual[row]) for row in rows]
    names = ", ".join(f"{name} ({abs(by):.1f} sd {'above' if by > 0 else 'below'})" for name, by in residuals)
    return f"Farthest from the line: {names}." if rows else ""


def _layers(choice: Choice, depths: list[float]) -> str:
    if choice.layer != CHOSEN:
        return ""
    if not depths:
        return "This predictor has no layers to choose from."
    where = f"{min(depths):.0%} to {max(depths):.0%} of the layers" if max(depths) else "the embedding"
    return f"Each family is judged at the depth that the others chose ({where}), never at the best-looking one."
