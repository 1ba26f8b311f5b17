"""Estimates against each other: their differences in sentences, and what comparing them across tokenizers means."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboard.data import queries
from dashboard.data.axis_options import AxisOption
from dashboard.data.caching import cached_by
from dashboard.data.queries import Setup
from dashboard.data.rows import Display, title
from dashboard.format import decimals, labels_name, plus_minus
from softh.analysis import differences, finished_models, probe_changes
from softh.analysis.differences import Difference
from softh.analysis.probe_changes import Movement
from softh.format import and_more
from softh.quantities import AHEAD, BY_COLUMN, COLUMN, LABELS, PLANE, of_series

MOST = 5
"""Differences that are told at a time."""
_TOLD = ("input", "output", "optimality")


def sentences(ids: Sequence[str], display: Display, layer: int | None = None) -> tuple[str, ...]:
    """The differences of some estimates from the first of them, by name; none for fewer than two."""
    if len(ids) < 2:
        return ()
    rows = queries.replicates(tuple(sorted(ids)), display.order, display.correction, layer)
    first, *others = rows.sort("model", "tokens", "step").to_dicts() or [{}]
    parts = [f"**{title(row)}** minus {title(first)}: {changes(row, first)}" for row in others[:MOST]]
    return (*parts[:-1], f"{parts[-1]}{_pairing(others[0], first)}") if parts else ()


def changes(row: Mapping[str, Any], less: Mapping[str, Any]) -> str:
    """'I(X;Z) −0.0123 ± 0.0021 (95 % −0.017 to −0.008), …': each difference with its interval."""
    return ", ".join(_change(row, less, name) for name in _TOLD) + "."


def told(found: Difference, name: str) -> str:
    """'0.0123 ± 0.0021 more complexity', or that the difference is not significant at 95 %."""
    if found.value is None or not found.error or found.half_width is None or abs(found.value) <= found.half_width:
        return f"no significant difference in {name} (95 %)"
    return f"{plus_minus(abs(found.value), found.error)} {'more' if found.value > 0 else 'less'} {name}"


def of_origins(points: pl.DataFrame, origins: Mapping[str, str], display: Display) -> dict[str, str]:
    """Id of a post-trained estimate → its differences from the model that it was made from, where both are there."""
    ids = dict(points.select("model", "estimate_id").iter_rows())
    pairs = [(ids[model], ids[origin]) for model, origin in origins.items() if {model, origin} <= set(ids)]
    return _of_pairs(tuple(sorted(ids.values())), tuple(pairs), display.order, display.correction) if pairs else {}


@cached_by(queries.estimates_version)
def _of_pairs(ids: tuple[str, ...], pairs: tuple[tuple[str, str], ...], order: int, correction: str) -> dict[str, str]:
    """Id of the first estimate of each pair → its differences from the second.

    ids: of all estimates of the figure, whose rows other questions of the same figure ask for too.
    """
    rows = queries.replicates(ids, order, correction)
    by_id = {row["estimate_id"]: row for row in rows.to_dicts()}
    return {first: changes(by_id[first], by_id[second]).rstrip(".") for first, second in pairs}


@cached_by(queries.tables_version)
def movements(ids: tuple[str, ...], what: str, subset: str) -> tuple[list[Movement], str]:
    """What post-training changes in I(X;Z) and in preference information; text, labels and correction of the former.

    ids: of probes, one a model. The text is the one on which most steps have both models, order 1; nothing where no
    model was probed before and after a step.
    """
    ways = probe_changes.steps(queries.probes().filter(pl.col("estimate_id").is_in(ids)).sort("model"))
    setups = {setup: set(queries.comparable(setup)["model"]) for setup in queries.setups()} if ways else {}
    if not setups:
        return [], ""
    setup = max(setups, key=lambda one: sum(set(way.models) <= setups[one] for way in ways))
    last = finished_models.last(queries.comparable(setup))
    wanted = last.filter(pl.col("model").is_in([name for way in ways for name in way.models]))["estimate_id"].to_list()
    for correction in ("debiased", "corrected"):
        plane = queries.replicates(tuple(wanted), 1, correction).drop_nulls("input")
        if not plane.is_empty():
            break
    rows = queries.preferences(tuple(dict.fromkeys(one for way in ways for one in way.probes)))
    found = probe_changes.movements(ways, rows.filter(what=what, subset=subset), plane)
    return found, f"{setup.corpus}, {labels_name(1, correction, setup.labels)}"


def chances(points: pl.DataFrame, x: AxisOption, y: AxisOption, display: Display) -> dict[str, float]:
    """Id of an estimate → share of samples in which it is on the Pareto frontier, where both axes have a better way.

    points: rows of :func:`dashboard.data.axis_options.placed`. Samples are of reference draws and of documents, alike
    for estimates that share them; a score has its standard error.
    """
    if not (x.better and y.better) or points.height < 2:
        return {}
    given = [tuple(points[f"{letter}{end}"].to_list()) for letter in "xy" for end in ("", "_error")]
    ids = tuple(points["estimate_id"].to_list())
    shares = _chances(ids, display.order, display.correction, (x.column, y.column), (x.better, y.better), *given)
    return dict(zip(ids, shares, strict=True))


@cached_by(queries.estimates_version, entries=32)
def _chances(
    ids: tuple[str, ...], order: int, correction: str, columns: tuple[str | None, str | None], better: tuple[int, int],
    x: tuple[float, ...], x_errors: tuple[float | None, ...], y: tuple[float, ...], y_errors: tuple[float | None, ...],
) -> list[float]:  # fmt: skip
    rows = _with_replicates(ids, order, correction)
    samples = [
        finished_models.sampled(rows, column)
        if column in _REPLICATED
        else finished_models.sampled(
            [{"one": v, "one_se_draws": e} for v, e in zip(values, errors, strict=True)], "one"
        )
        for column, values, errors in zip(columns, (x, y), (x_errors, y_errors), strict=True)
    ]
    return finished_models.membership(samples[0], samples[1], *better).tolist()


def _with_replicates(ids: tuple[str, ...], order: int, correction: str) -> list[dict[str, Any]]:
    """The rows of some estimates in their order, with the distance to the bound and its replicates."""
    known = finished_models.with_distance(queries.replicates(tuple(sorted(ids)), order, correction))
    known = known.with_columns(
        distance_draws=pl.col("input_draws") - pl.col("output_draws"),
        distance_folds=pl.col("input_folds") - pl.col("output_folds"),
    )
    by_id = {row["estimate_id"]: row for row in known.to_dicts()}
    return [by_id[one] for one in ids]


_REPLICATED = {*(each.column for each in PLANE), "distance"}
_SURE, _HARDLY = 0.95, 0.05


def frontier_sentences(points: pl.DataFrame, shares: Mapping[str, float], display: Display) -> tuple[str, ...]:
    """Who is on the frontier for sure, who may be, and who is nearest to the bound, with the difference of the next."""
    if not shares:
        return ()
    names = dict(points.select("estimate_id", "model").iter_rows())
    ordered = sorted(shares, key=lambda one: -shares[one])
    sure = [names[one] for one in ordered if shares[one] >= _SURE]
    maybe = [f"{names[one]} ({shares[one]:.0%})" for one in ordered if _HARDLY <= shares[one] < _SURE]
    told = [
        f"**On the frontier** in {_SURE:.0%} of samples of draws and documents or more: {and_more(sure, 6) or 'none'}"
        f"{f'; in some: {and_more(maybe, 6)}' if maybe else ''}."
    ]
    near = _nearest(tuple(shares), display.order, display.correction)
    if near:
        first, second, share, change = near
        told.append(
            f"**Least distance to the bound**, I(X;Z) − I(Y;Z): {names[first]}, in {share:.0%} of samples; next "
            f"{names[second]}, farther by {change}."
        )
    return tuple(told)


@cached_by(queries.estimates_version, entries=32)
def _nearest(ids: tuple[str, ...], order: int, correction: str) -> tuple[str, str, float, str] | None:
    """The two estimates nearest to the bound, in how many samples the first is, and the difference, paired."""
    rows = [row for row in _with_replicates(ids, order, correction) if row["distance"] is not None]
    if len(rows) < 2:
        return None
    first, second = sorted(rows, key=lambda row: row["distance"])[:2]
    share = finished_models.least(finished_models.sampled(rows, "distance"))[rows.index(first)]
    found = differences.difference(second, first, "distance")
    half = "" if not found.half_width else f" (95 % half-width {found.half_width:.2g})"
    return first["estimate_id"], second["estimate_id"], float(share), f"{plus_minus(found.value, found.error)}{half}"


def labels_note(setup: Setup, vocabularies: int) -> str:
    """What labels are, and what that means for models of several vocabularies."""
    if setup.labels != "tokens":
        return labels_about(setup.labels)
    if vocabularies < 2:
        return "Labels are tokens. "
    words = [other for other in queries.setups() if other.corpus == setup.corpus and other.labels == "words"]
    better = f"choose the settings “{words[0].label}”" if words else "estimate with --labels words"
    return (
        f"Labels are tokens, and the {vocabularies} vocabularies of these models differ: compare "
        f"across tokenizers with care, or {better}, which all tokenizers share. "
    )


def labels_about(labels: str) -> str:
    """What labels other than tokens are; empty for tokens."""
    if labels == "tokens":
        return ""
    if labels in ("words", "bytes"):
        return f"Labels are {labels}, which are the same for every tokenizer. "
    base, _, horizon = labels.partition(AHEAD)
    about = next((each.about for each in LABELS if each.name == base), "a column of the text")
    if of_series(labels):
        later = f"the one {horizon} patches ahead" if horizon else "the next"
        return (
            f"Hidden states are of time series; labels are {base} ({about}): X of the patch last read, Y of {later}. "
        )
    return f"Labels are {labels.removeprefix(COLUMN)} ({about}): X of the token last read, Y of the next. "


def _change(row: Mapping[str, Any], less: Mapping[str, Any], name: str) -> str:
    found, symbol = differences.difference(row, less, name), BY_COLUMN[name].symbol
    if found.value is None or not found.error or found.half_width is None:
        return f"{symbol} {plus_minus(found.value, found.error)}"
    low, high = (f"{found.value + sign * found.half_width:.{decimals(found.error)}f}" for sign in (-1, 1))
    chance = ", which may be chance" if abs(found.value) <= found.half_width else ""
    return f"{symbol} {plus_minus(found.value, found.error)} (95 % {low} to {high}{chance})".replace("-", "−")


def _pairing(row: Mapping[str, Any], less: Mapping[str, Any]) -> str:
    """What the errors of the two share, or that they share nothing."""
    shared = [
        *(["directions"] if differences.same_directions(row, less) else []),
        *(
            ["documents"]
            if differences.same_documents(row, less) and row["input_folds"] and less["input_folds"]
            else []
        ),
    ]
    if not shared:
        return " Errors are not paired: these estimates share neither directions nor stored folds of documents."
    return f" Errors are of the differences, paired in {' and '.join(shared)}."
