"""The figures of the pages for notebooks and scripts, from stored estimates and from those in memory.

Every function returns a Plotly figure, which shows itself in a notebook and writes itself to a file
(``figure.write_html("plane.html")``). What to draw comes first:

- nothing: the tables, as the page does before anything is chosen;
- names of models, as ``softh list`` shows them, or as much of the beginning as no other has;
- what :func:`softh.estimate` returned, stored or not;
- a polars frame of ``softh.store.read.trajectory``, filtered as you like (:func:`layers` takes none).

:func:`plane` and :func:`values` also take what :func:`softh.information` and :meth:`softh.Accumulator.result` return.
Needs Plotly: ``pip install "softh[plot]"``.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from softh import settings
from softh.analysis import finished_models, phases
from softh.errors import InputError, missing_extra
from softh.format import and_more
from softh.quantities import BY_COLUMN, CORRECTION_NAMES, FURTHER, OF_THE_MODEL, PLANE, QUANTITIES, Correction
from softh.store import read

try:
    import plotly.graph_objects as go
except ModuleNotFoundError:
    raise missing_extra("softh.plot", "plotly", "plot") from None

from dashboard import escape
from dashboard.data import axis_options
from dashboard.data.rows import (
    ABLATION,
    Against,
    Display,
    clock,
    in_order_of_colours,
    newest,
    usual_models,
    with_bracket,
)
from dashboard.figures import curves, depth, measured, runs
from dashboard.figures.frontier import Models
from dashboard.figures.frontier import frontier as draw_frontier
from dashboard.figures.marks import phase_marks
from dashboard.figures.plane import Spread
from dashboard.figures.template import theme_for

if TYPE_CHECKING:
    from softh.estimator.information import Information
    from softh.estimator.pipeline import Estimate

    One = str | Estimate
    Source = One | Sequence[One] | pl.DataFrame | None
    Measured = tuple[Information, Information]

__all__ = ["frontier", "layers", "plane", "trajectory", "values"]
_KEYS = ("ngram", "correction")


def plane(
    what: "Source | Mapping[str, Measured | Sequence[Measured]]" = None,
    *,
    order: int = 1,
    correction: Correction = "debiased",
    layer: int | None = None,
    corpus: str | None = None,
    spread: Spread = "crosses",
    dark: bool = False,
    data: Path | str | None = None,
) -> go.Figure:
    """The information plane: a path for each model with several checkpoints, a point for each other.

    Args:
        what: see :mod:`softh.plot`; also name → (complexity, expressivity), or a list of such pairs in the order of
            training, each an :class:`softh.Information`.
        order: n-gram order of the labels.
        correction: which values.
        layer: 0 is the embedding; None for the mean over all others.
        corpus: the text, where the tables have several; by default that of most estimates.
        spread: one standard error as crosses, as bands, or not at all.
        dark: for a dark ground.
        data: folder of the tables; by default SOFTH_DATA, else ``data``.

    Raises:
        InputError: no such model, or none of these values.

    >>> figure = plane("toy-3M-seed0")
    >>> figure.layout.meta["alt"].partition(".")[0]
    'Information plane, order 1 (token), debiased'
    """
    if isinstance(what, Mapping):
        pairs = {name: _pairs(each) for name, each in what.items()}
        return _shown(measured.plane(pairs, correction, spread, dark=dark), dark=dark)
    points, names = _points(what, corpus, layer, data)
    display, _ = _display(points, order, correction, dark=dark).known(points)
    shown = _known(display.select(points), display)
    marks = phase_marks(_phases(shown, display), clock(shown) or "step")
    return _shown(runs.trajectory_plane(points, display, names, spread=spread, marks=marks), dark=dark)


def trajectory(
    what: "Source" = None,
    *,
    quantities: Sequence[str] = tuple(each.name for each in PLANE),
    along: Against | None = None,
    linear: bool = False,
    minus: str | None = None,
    order: int = 1,
    correction: Correction = "debiased",
    layer: int | None = None,
    corpus: str | None = None,
    dark: bool = False,
    data: Path | str | None = None,
) -> go.Figure:
    """Quantities along training, one panel each, with bands of one standard error and the ends of phases.

    Args:
        what: see :mod:`softh.plot`.
        quantities: by name, such as ``complexity``, ``expressivity``, ``optimality``, ``entropy`` or ``bits per byte``.
        along: ``tokens``, ``step`` or ``order``; by default tokens where they are known.
        linear: a linear axis of tokens or steps, not a logarithmic one.
        minus: name of a run that the others are drawn less of, with the error of the paired difference.
        order: as for :func:`plane`, like all that follow.
        correction: which values.
        layer: 0 is the embedding; None for the mean over all others.
        corpus: the text.
        dark: for a dark ground.
        data: folder of the tables.

    Raises:
        InputError: as for :func:`plane`; no model with several checkpoints.

    >>> figure = trajectory("toy-3M-seed0", quantities=["optimality", "bits per byte"])
    >>> figure.layout.xaxis.title.text
    'training tokens'
    """
    columns = _columns(quantities)
    points, names = _points(what, corpus, layer, data, _further(columns))
    display, _ = _display(points, order, correction, dark=dark).known(points)
    shown = _known(display.select(points), display)
    ordered = along or clock(shown)
    if ordered is None:
        raise InputError(
            "None of these models has several checkpoints; expected a run: choose one, or draw along='order', or draw "
            "the plane."
        )
    where = curves.Along(ordered, linear)
    found = _phases(shown, display) if ordered != "order" and not minus else ()
    figure = curves.trajectory_curves(
        points, display, names, where, quantities=_present(columns, points), marks=phase_marks(found, ordered),
        minus=minus,
    )  # fmt: skip
    return _shown(figure, dark=dark)


def layers(
    what: "One",
    *,
    kind: Literal["profiles", "plane", "training"] = "profiles",
    revision: str | None = None,
    quantities: Sequence[str] = tuple(each.name for each in PLANE),
    order: int = 1,
    correction: Correction = "debiased",
    corpus: str | None = None,
    dark: bool = False,
    data: Path | str | None = None,
) -> go.Figure:
    """The layers of one checkpoint.

    Args:
        what: a model by name, or an estimate.
        kind: ``profiles``, quantities by depth, one line an n-gram order; ``plane``, the path from the embedding to the
            last layer; or ``training``, the first of the quantities in every layer at every checkpoint of the model.
        revision: the checkpoint; by default the last.
        quantities: by name, as for :func:`trajectory`.
        order: as for :func:`plane`, like all that follow.
        correction: which values.
        corpus: the text.
        dark: for a dark ground.
        data: folder of the tables.

    Raises:
        InputError: as for :func:`plane`; no such revision.

    >>> layers("toy-3M-seed0", kind="plane").layout.meta["alt"].partition(",")[0]
    'Path through toy-3M-seed0 (OLMo 2 architecture'
    """
    with _opened([what], data) as found:
        every = read.estimates(found.folder)
        mine = newest(_comparable(found.of(every), corpus, every))
        chosen = mine if revision is None else mine.filter(pl.col("revision") == revision)
        if chosen.is_empty():
            raise InputError(
                f"No estimate of {found.names[0]} has the revision {revision}; expected one of "
                f"{and_more(mine['revision'].to_list())}: choose one."
            )
        if kind == "training":
            return _shown(_training(found, mine, quantities[0], order, correction, dark=dark), dark=dark)
        row = finished_models.last(chosen)
        one, columns = row["estimate_id"][0], _columns(quantities)
        rows = with_bracket(read.layers(found.folder, one).drop("positions"))
        if further := _further(columns):
            more = read.further(found.folder, further, [one], layers=True)
            rows = rows.join(more, on=["estimate_id", "layer", *_KEYS], how="left", maintain_order="left")
        rows = rows.join(every, on="estimate_id")
        display, _ = _display(rows, order, correction, dark=dark).known(rows)
        _known(display.select(rows), display)
        if kind == "plane":
            return _shown(runs.depth_plane(rows, display), dark=dark)
        return _shown(runs.depth_profiles(rows, display, _present(columns, rows)), dark=dark)


def frontier(
    what: "Source" = None,
    *,
    x: str = "complexity",
    y: str = "expressivity",
    ablations: bool = False,
    order: int = 1,
    correction: Correction = "debiased",
    corpus: str | None = None,
    dark: bool = False,
    data: Path | str | None = None,
) -> go.Figure:
    """The last checkpoint of every model with the Pareto frontier, and arrows from base models to post-trained ones.

    Args:
        what: see :mod:`softh.plot`.
        x: what is on the horizontal axis: a quantity by name, ``parameters``, or ``score: TASK`` with the name of a
            benchmark of the tables.
        y: the same for the vertical axis.
        ablations: whether runs that were spoiled on purpose or stopped early are among them.
        order: as for :func:`plane`, like all that follow.
        correction: which values.
        corpus: the text.
        dark: for a dark ground.
        data: folder of the tables.

    Raises:
        InputError: as for :func:`plane`; an axis that these models have no number for.

    >>> figure = frontier(x="parameters", y="optimality")
    >>> figure.layout.xaxis.type
    'log'
    """
    points, _ = _points(what, corpus, None, data, usual=False)
    last = finished_models.last(points.unique("estimate_id", maintain_order=True))["estimate_id"]
    rows = finished_models.with_distance(points.filter(pl.col("estimate_id").is_in(last.to_list())))
    if not ablations:
        rows = rows.filter(pl.col("ablation").is_null(), ~pl.col("model").str.contains(ABLATION))
    display, _ = _display(rows, order, correction, dark=dark).known(rows)
    rows = _known(display.select(rows), display)
    scores = axis_options.finished_scores(read.benchmarks(_folder(data)), rows)
    options = axis_options.available(rows, scores)
    if unknown := [name for name in (x, y) if name not in options]:
        raise InputError(f"The axis was {unknown[0]}; expected one of {and_more(list(options), most=12)}: choose one.")
    across, up = options[x], options[y]
    placed = axis_options.placed(rows, across, up, scores)
    placed = _known(placed, display)
    judged = display.correction != "null" or not (across.has_labels or up.has_labels)
    front = finished_models.pareto(placed, across.better or 0, up.better or 0)
    front = front if judged and across.better and up.better else []
    origins = finished_models.origins(placed.unique("model", maintain_order=True))
    families = sorted({*read.models(_folder(data))["family"], *placed["family"]})
    return _shown(draw_frontier(Models(placed, front, origins, (), families), across, up, display), dark=dark)


def values(what: "Information | Mapping[str, Information]", *, dark: bool = False) -> go.Figure:
    """The values of one :class:`softh.Information`, or of several by name, with bars of one standard error.

    >>> import numpy as np, softh
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 20, 2000)
    >>> hidden = rng.standard_normal((20, 32))[labels] + rng.standard_normal((2000, 32))
    >>> figure = values({"layer 1": softh.information(hidden, labels, draws=4)})
    >>> list(figure.data[0].y)
    ['debiased', 'raw, as published', 'null-corrected', 'permutation null', 'lower bound']
    """
    named = dict(what) if isinstance(what, Mapping) else {"information": what}
    return _shown(measured.values(named, dark=dark), dark=dark)


@dataclass(frozen=True)
class _Tables:
    """Where estimates are read from, and which of them are meant; an empty list of names is all."""

    folder: Path
    names: list[str]
    ids: list[str] | None = None
    """Of estimates in memory."""

    def of(self, estimates: pl.DataFrame) -> pl.DataFrame:
        """Those of some estimates that are meant."""
        found = estimates.filter(pl.col("model").is_in(self.names)) if self.names else estimates
        return found if self.ids is None else found.filter(pl.col("estimate_id").is_in(self.ids))


@contextmanager
def _opened(what: Sequence[Any], data: Path | str | None) -> Generator[_Tables]:
    """The tables of what is to be drawn, while they are open."""
    made = [each for each in what if not isinstance(each, str)]
    if not made:
        yield _Tables(_folder(data), _stored_names([str(each) for each in what], _folder(data)))
        return
    if len(made) < len(what) or not all(hasattr(each, "record") for each in made):
        raise InputError(
            f"What to draw was {and_more([type(each).__name__ for each in what])}; expected names of models, or "
            "estimates that softh.estimate returned: pass one kind of them."
        )
    records = [each.record() for each in made]
    with read.temporary(records) as folder:
        yield _Tables(folder, [*{each["model"]["model"]: None for each in records}], [each.id for each in made])


def _pairs(given: Any) -> list[Any]:
    """Pairs of complexity and expressivity, of which one may be given alone."""
    first = next(iter(given), None)
    return [given] if hasattr(first, "debiased") else list(given)


def _folder(data: Path | str | None) -> Path:
    return Path(data or settings.data())


def _stored_names(names: list[str], folder: Path) -> list[str]:
    """The names, with those that begin one model alone in full. Errors: InputError for others."""
    known = read.estimates(folder)["model"].unique().sort().to_list()
    found = []
    for name in names:
        alike = [name] if name in known else [each for each in known if each.startswith(name)]
        if len(alike) != 1:
            raise InputError(
                f"The model was {name}; expected one of {and_more(alike or known)} in {folder}: choose one that "
                "`python -m softh list` shows."
            )
        found.append(alike[0])
    return found


def _points(
    what: "Source", corpus: str | None, layer: int | None, data: Path | str | None, further: Sequence[str] = (),
    *, usual: bool = True,
) -> tuple[pl.DataFrame, list[str]]:  # fmt: skip
    """Rows of one setup, the newest of every checkpoint, and all models in the order of their colours.

    further: columns that the plane has not; usual: whether nothing chosen means what the page shows first, or all.
    """
    if isinstance(what, pl.DataFrame):
        rows = what
        if missing := [name for name in ("estimate_id", "model", "ngram", "correction") if name not in rows.columns]:
            raise InputError(
                f"The frame has no column {missing[0]}; expected rows of softh.store.read.trajectory: pass those."
            )
        return with_bracket(newest(_comparable(rows, corpus, words=not usual))), in_order_of_colours(rows)
    chosen: list[Any] = [] if what is None else [*what] if isinstance(what, list | tuple) else [what]
    with _opened(chosen, data) as found:
        every = read.estimates(found.folder)
        estimates = _comparable(found.of(every), corpus, every, words=not usual)
        if not chosen and usual:
            estimates = estimates.filter(pl.col("model").is_in(usual_models(estimates)))
        ids = newest(estimates)["estimate_id"].to_list()
        rows = read.trajectory(found.folder, layer=layer, estimates=ids)
        if further:
            more = read.further(found.folder, further, ids, layer).drop("layer")
            rows = rows.join(more, on=["estimate_id", *_KEYS], how="left", maintain_order="left")
    return with_bracket(rows), in_order_of_colours(every)


def _comparable(
    rows: pl.DataFrame, corpus: str | None, every: pl.DataFrame | None = None, *, words: bool = False
) -> pl.DataFrame:
    """Those of the text and settings that a page shows first: of most estimates, tokens rather than words.

    every: all estimates of the tables, among which the settings are the first that the rows have too; words: words
    rather than tokens where tokenizers differ, as the page of finished models has it.
    """
    if rows.is_empty():
        raise InputError("There are no estimates; expected some: make one with `python -m softh estimate MODEL`.")
    known = rows["corpus"].unique().sort().to_list()
    if corpus is not None and corpus not in known:
        raise InputError(f"The corpus was {corpus}; expected one of {and_more(known)}: choose one.")
    setups = rows.filter(pl.col("corpus") == corpus) if corpus else rows
    counted = (rows if every is None else every).unique("estimate_id").group_by("corpus", "settings", "labels")
    counted = counted.agg(pl.len(), pl.col("vocabulary").n_unique()).join(setups, on=["corpus", "settings"], how="semi")
    counted = counted.sort(["len", "corpus", "settings"], descending=[True, False, False])
    of_text = counted.filter(pl.col("corpus") == counted["corpus"][0])
    differ = pl.col("vocabulary") > 1
    preferred = of_text.filter((pl.col("labels") == "words") & differ if words else pl.col("labels") == "tokens")
    chosen = (preferred if preferred.height else of_text).row(0, named=True)
    return rows.filter(pl.col("corpus") == chosen["corpus"], pl.col("settings") == chosen["settings"])


def _display(rows: pl.DataFrame, order: int, correction: Correction, *, dark: bool) -> Display:
    if correction not in CORRECTION_NAMES:
        raise InputError(f"The correction was {correction}; expected one of {', '.join(CORRECTION_NAMES)}: choose one.")
    return Display(order, correction, dark, rows["labels"][0] if rows.height else "tokens")


def _known(rows: pl.DataFrame, display: Display) -> pl.DataFrame:
    """The rows, of which there are some. Errors: InputError."""
    if rows.is_empty():
        raise InputError(
            f"None of these estimates has values of {display.labels}; expected some: choose another order, correction "
            "or layer."
        )
    return rows


def _columns(quantities: Sequence[str]) -> list[str]:
    """Columns of quantities that are named in words. Errors: InputError for another name."""
    by_name = {each.name: each.column for each in QUANTITIES}
    if unknown := [name for name in quantities if name not in by_name]:
        raise InputError(f"A quantity was {unknown[0]}; expected one of {', '.join(by_name)}: choose one.")
    return [by_name[name] for name in quantities]


def _further(columns: Sequence[str]) -> list[str]:
    """Those that are stored and not on the plane."""
    return [each.column for each in (*FURTHER, *OF_THE_MODEL) if each.column in columns]


def _present(columns: Sequence[str], rows: pl.DataFrame) -> list[str]:
    """The columns, all of which the rows have. Errors: InputError."""
    if lacking := [name for name in columns if name not in rows.columns]:
        raise InputError(
            f"There is no {BY_COLUMN[lacking[0]].name} here; expected a quantity of layers or of checkpoints: choose "
            "another."
        )
    return list(columns)


def _phases(shown: pl.DataFrame, display: Display) -> tuple[phases.RunPhases, ...]:
    """The ends of phases; shuffled labels have none, and neither has what is of no training."""
    if display.correction == "null" or clock(shown) is None:
        return ()
    return phases.of_runs(shown, shown["model"].unique().sort().to_list(), joined=False)


def _training(
    found: _Tables, estimates: pl.DataFrame, quantity: str, order: int, correction: Correction, *, dark: bool
) -> go.Figure:
    ordered = clock(estimates)
    if ordered is None:
        raise InputError(f"{found.names[0]} has one checkpoint; expected several: choose a run, or kind='profiles'.")
    display = _display(estimates, order, correction, dark=dark)
    about = estimates.select("estimate_id", "model", "revision", "step", "tokens")
    ids = estimates.drop_nulls(ordered)["estimate_id"].to_list()
    rows = read.depths(found.folder, ids, correction).filter(ngram=order).join(about, on="estimate_id")
    rows = _known(rows.drop_nulls([ordered, "input", "output"]), display)
    return depth.training_map(rows, display, _present(_columns([quantity]), rows)[0], ordered)


def _shown(figure: go.Figure, *, dark: bool) -> go.Figure:
    """The figure on a ground of its own: that of a notebook may have another theme. No name is markup in it."""
    return escape.figure(figure.update_layout(paper_bgcolor=theme_for(dark).background))
