"""The view of measures against scores: which scores, which predictor, how, and what came of it."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import isnan
from typing import cast

import polars as pl

from dashboard.controls import axis_ranges, controls, session
from dashboard.data import comparison, correlation, queries
from dashboard.data.correlation import CHOSEN, FINISHED, MEAN, TRAINING, Choice
from dashboard.data.rows import ABLATION
from dashboard.figures import benchmarks, selection
from dashboard.figures.template import theme_for
from dashboard.format import data_note, signed, source
from dashboard.view import Empty, View
from dashboard.views.benchmarks_summary import headline, paragraph, published, published_coefficient
from softh.analysis.correlation import MEAN_SCORE, METHODS, Detail, Matrix, Method, Study
from softh.analysis.selection import AMONG, finding
from softh.analysis.selection import LOSS as LOSS_NAME
from softh.analysis.selection import Choice as Choosing
from softh.errors import InputError

MOST_SCORES = 12
"""Scores in the matrix until the reader chooses."""
_KNOWN_BY_LOSS = "bits per byte"
_OURS = {"zoo/recipe.toml": "our own tests"}
"""Sources that are files of ours, in words."""


def view() -> View:
    """Scatter of one cell, the matrix of all, and the forest of the one."""
    chosen = controls.shared()
    choice = _choice(chosen.setup, chosen.display.order, chosen.display.correction)
    measured = correlation.measured(choice)
    display, fallback = chosen.display.known(measured)
    choice = replace(choice, correction=display.correction)
    with _too_few():
        study = correlation.study(choice)
    wanted = controls.several("Scores", list(study.scores), "scores", default=_usual(study), help=_SCORES_HELP)
    if not wanted:
        raise Empty("No score is chosen: choose one in the sidebar.")
    predictor = controls.select(
        "Predictor", list(study.predictors), session.PREDICTOR.key, default=_first(study, "optimality")
    )
    plain = [name for name in wanted if not name.startswith(_KNOWN_BY_LOSS)] or wanted
    score = controls.select("Score", wanted, session.SCORE.key, default=plain[0])
    with _too_few():
        result, _ = correlation.matrix(choice, tuple(wanted))
        detail, cell, depths = correlation.cell(choice, predictor, score)
    theirs = published_coefficient(choice, predictor)
    theme = theme_for(chosen.display.dark)
    rows, shown = table(result), _shown(cell, choice, turned=bool(depths))
    turned = [_TURNED] if choice.layer == CHOSEN else []
    labels = comparison.labels_note(chosen.setup, measured["vocabulary"].n_unique()).strip()
    count = 0 if choice.among == TRAINING else sum(bool(re.search(ABLATION, name)) for name in cell.names)
    spoiled = f"{count} of these models were stopped early or degraded on purpose." if count else ""
    notes = [
        *turned,
        *study.notes,
        spoiled,
        labels,
        f"{data_note(chosen.setup.corpus, chosen.setup.labels)}; {chosen.setup.label}.",
    ]
    what = f"{'changes of ' if choice.among == TRAINING else ''}{predictor} and {score}"
    figures = {
        "scatter": benchmarks.scatter(shown, detail, _families(study), choice.method, theme),
        "forest": benchmarks.forest(detail, choice.method, theirs, theme),
        "matrix": benchmarks.matrix(result, display.labels, theme),
    }
    behind, notes_of = {"forest": effects(detail, theirs)}, list[str]()
    if controls.toggle("Which of two is better?", "select", help=_SELECT_HELP):
        chosen_by, notes_of = _selection(choice, score)
        if chosen_by:
            what_of = AMONG["runs" if choice.among == TRAINING else "models"]
            figures["selection"] = selection.selection(chosen_by, score, what_of, theme)
            behind["selection"] = choices(chosen_by)
    where = controls.place()
    if choice.among == FINISHED and controls.toggle(
        "Beside the published table", "paper", help=_PAPER_HELP, where=where
    ):
        beside = correlation.beside_published(choice, tuple(plain))
        of_mean = beside.filter(score=MEAN_SCORE) if beside.height else beside
        if of_mean.height:
            figures["published"] = benchmarks.published(of_mean, theme)
            behind |= {"published": beside.fill_nan(None), "published scores": beside_published(beside)}
        else:
            notes_of = [*notes_of, "No model has every score that is chosen: choose fewer, to compare their mean."]
    return View(
        title=what if predictor in correlation.WITHOUT_LAYERS else f"{what}, {display.labels}",
        figures=axis_ranges.within(figures),
        rows=rows,
        data=_data(study, wanted).with_columns(
            labels=pl.lit(display.kind), ngram=pl.lit(display.order), correction=pl.lit(display.correction)
        ),
        caption=fallback + " ".join(filter(None, notes)),
        finding=headline(choice, result, cell, detail),
        published=published(choice, detail, predictor),
        source=source(
            display.labels,
            data_note(chosen.setup.corpus, chosen.setup.labels),
            chosen.setup.label,
            "Crosses: one standard error; grey band and intervals: 95 %, by leaving out each family",
        ),
        text=f"{paragraph(choice, result, cell, detail, depths)} {spoiled}".strip(),
        behind=behind,
        name="softh-benchmarks",
        notes=tuple(notes_of),
    )


@contextmanager
def _too_few() -> Generator[None]:
    """Say as a note what a choice of models, families or checkpoints does not allow: it is no mistake of the reader."""
    try:
        yield
    except InputError as few:
        raise Empty(str(few)) from few


def table(result: Matrix) -> pl.DataFrame:
    """One row a cell of the matrix, or why there is no number."""
    rows = pl.DataFrame(
        [
            {
                "Predictor": predictor,
                "Score": score,
                result.method.capitalize(): _number(result.value[i, j], 3),
                "95 % interval": f"{result.low[i, j]:.2f} to {result.high[i, j]:.2f}"
                if _is(result.low[i, j])
                else None,
                "n": int(result.n[i, j]),
                "Families": int(result.families[i, j]),
                "p": _significant(result.p[i, j]),
                "q": _significant(result.q[i, j]),
                "Note": result.reasons.get((i, j)),
            }
            for i, predictor in enumerate(result.predictors)
            for j, score in enumerate(result.scores)
        ]
    )
    return rows if result.reasons else rows.drop("Note")


def _families(study: Study) -> list[str]:
    """Every family of the tables first, so that each has the colour of the other pages."""
    known = queries.families()
    return [*known, *sorted(set(study.family) - set(known))]


def effects(detail: Detail, theirs: float | None) -> pl.DataFrame:
    """One row a coefficient of the forest, with its 95 % interval or, without each model in turn, the range.

    theirs: the published coefficient, where there is one, which has no interval.
    """
    every = [detail.plain, *detail.adjusted, detail.without_model, *detail.without_family]
    ends = [None if isnan(one.low) else "range" if one is detail.without_model else "95 % interval" for one in every]
    rows = pl.DataFrame([asdict(one) for one in every]).with_columns(ends=pl.Series(ends, dtype=pl.String))
    published = [] if theirs is None else [{"name": benchmarks.PUBLISHED_ROW, "value": theirs, "n": 47}]
    return pl.concat([pl.DataFrame(published), rows], how="diagonal_relaxed").fill_nan(None)


def beside_published(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a predictor and kind of values, a column a score: the published coefficient, and ours with intervals.

    rows: of :func:`softh.analysis.correlation.beside_published`.
    """
    cells: dict[tuple[str, str], dict[str, str | None]] = {}
    for row in rows.sort("predictor", "correction", maintain_order=True).to_dicts():
        for words, end in (("", ""), (", given size", "_given_size")):
            kind = f"{row['correction']}{words}"
            mine = cells.setdefault(
                (row["predictor"], kind), {"Predictor": row["predictor"], "Ours": kind, "Published, mean": None}
            )
            if row["published"] is not None and not end:
                mine["Published, mean"] = signed(row["published"])
            value, low, high = (row[f"{name}{end}"] for name in ("r", "low", "high"))
            known = value is not None and _is(value)
            mine[row["score"]] = f"{signed(value)} ({signed(low)} to {signed(high)})" if known else None
    return pl.DataFrame(list(cells.values()), infer_schema_length=None)


def choices(rows: list[Choosing]) -> pl.DataFrame:
    """One row a measure of the selection, with its 95 % intervals."""
    ends = ("accuracy", "against", "beyond", "regret")
    return pl.DataFrame(
        [
            {"measure": row.measure, "pairs": row.pairs, "groups": row.groups}
            | {f"{end}_{part}": value for end in ends for part, value in asdict(getattr(row, end)).items()}
            for row in rows
        ]
    ).fill_nan(None)


def _selection(choice: Choice, score: str) -> tuple[list[Choosing], list[str]]:
    """How well each measure chooses by a score and what came of it, or why that cannot be asked."""
    try:
        rows = correlation.selection(choice, score)
    except InputError as error:
        return [], [str(error)]
    return rows, [finding(rows, LOSS_NAME)]


def _shown(cell: Study, choice: Choice, *, turned: bool) -> Study:
    """The same with names that say what the values are."""
    [predictor], [score] = cell.predictors, cell.scores
    if choice.among == TRAINING:
        predictor, score = f"change of {predictor}", f"change of {score}"
    if turned:
        predictor = f"{predictor} standardised, sign-aligned, at the selected layer"
    return replace(cell, predictors=(predictor,), scores=(score,))


def _choice(setup: queries.Setup, order: int, correction: str) -> Choice:
    among = [among for among in (FINISHED, TRAINING) if correlation.sources(setup, among)]
    # Where all finished models are siblings, training is what can be looked at first.
    among.sort(key=lambda one: one == FINISHED and not correlation.several_families(setup))
    if not among:
        raise Empty(
            "No score belongs to a model of this text and these settings: import some with "
            "`python -m softh scores import FILE`, or below."
        )
    where = controls.segments("Compare", among, "among", help=_AMONG_HELP)
    named = {_OURS.get(source, source): source for source in correlation.sources(setup, where)}
    former = {source: name for name, source in named.items()}
    source = named[controls.select("Scores from", list(named), "source", former=former)]
    method = cast(Method, controls.segments("Coefficient", list(METHODS), "coefficient", help=_METHOD_HELP))
    layers = [MEAN, CHOSEN] if where == FINISHED else [MEAN]
    place, layer = controls.place(), MEAN
    if len(layers) > 1:
        layer = controls.segments("Layers", layers, "layers", help=_LAYER_HELP, where=place)
    return Choice(setup, order, correction, source, where, method, layer)


def _usual(study: Study) -> list[str]:
    """Whole benchmarks first; parts of one, named 'whole: part', where there is room."""
    names = sorted(study.scores, key=lambda name: (": " in name, list(study.scores).index(name)))
    whole = [name for name in names if ": " not in name]
    return (whole or names)[:MOST_SCORES]


def _first(study: Study, name: str) -> str:
    return name if name in study.predictors else study.predictors[0]


def _data(study: Study, wanted: list[str]) -> pl.DataFrame:
    """One row a model, predictor and score."""
    models = pl.DataFrame(
        {"model": study.names, "family": study.family, **{name: v.tolist() for name, v in study.given.items()}}
    ).with_row_index("row")
    x = pl.DataFrame(study.x, schema=list(study.predictors)).with_row_index("row")
    y = pl.DataFrame(study.y, schema=list(study.scores)).select(wanted).with_row_index("row")
    long = x.unpivot(index="row", variable_name="predictor", value_name="predictor_value").join(
        y.unpivot(index="row", variable_name="score", value_name="score_value"), on="row"
    )
    return models.join(long, on="row", maintain_order="left_right").drop("row").fill_nan(None)


def _is(value: float) -> bool:
    return not isnan(value)


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if _is(value) else None


def _significant(p: float) -> float | None:
    """Two digits that count: a small p is never 0."""
    return float(f"{p:.2g}") if _is(p) else None


_SCORES_HELP = "Columns of the matrix; q corrects for every cell that is shown."
_AMONG_HELP = (
    "**finished models**: the last checkpoint of each, families resampled. **training steps**: changes from one "
    "checkpoint to the next within runs."
)
_METHOD_HELP = "Spearman and Kendall use ranks, so outliers affect them little; published coefficients are Pearson's."
_TURNED = (
    "At a selected layer a predictor is standardised and its sign aligned, for each family by what the others show, so "
    "that more of it predicts more: a positive coefficient says that it predicts, not in which direction."
)
_SELECT_HELP = (
    "For every pair of checkpoints of a run, or of finished models, whose score differs: how often does each measure "
    "identify the better one, and what does it add to the loss?"
)
_PAPER_HELP = (
    "Complexity, expressivity, optimality and preference against the mean of the chosen scores and each of them, "
    "Pearson, raw as published and debiased, also given the number of parameters, beside the published coefficients, "
    "which were published for the mean only."
)
_LAYER_HELP = (
    "The mean over layers, or the layer at which the *other* families' scores are predicted best. Choosing the "
    "best-looking layer for all would overestimate it."
)
