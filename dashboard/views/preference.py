"""The view of preference probes: which pairs, which models, which rows of Z, which part of the pairs, which change."""

import json
import math
from collections.abc import Sequence

import polars as pl
from plotly.graph_objects import Figure

from dashboard.controls import axis_ranges, controls, links
from dashboard.data import comparison, queries
from dashboard.data.rows import clock
from dashboard.figures import preference
from dashboard.figures.preference import Dot, Probe
from dashboard.figures.preference_training import Moment, along_training
from dashboard.figures.template import Theme, theme_for
from dashboard.format import checkpoint_name, plus_minus
from dashboard.view import Empty, View
from dashboard.views import preference_summary
from dashboard.views.preference_summary import Findings, value_and_error
from softh.analysis import finished_models
from softh.analysis.probe_changes import Movement, changes, finding, stages
from softh.analysis.probe_summary import mean_over_layers, rank_correlation

MOST = 3
"""Models shown until the reader chooses, besides those before and after post-training."""
POSITIONS = {"all tokens": "preference", "last token": "preference last", "mean state": "preference mean"}
PARTS = {"all": "all pairs", "matched": "matched by length"}
_BIT = "% of one bit"
_UNITS = {_BIT: _BIT, "log n": "× 10⁻³ log n", "nats": "× 10⁻³ nats"}


def view() -> View:
    """Profiles over layers, the second opinion, what else tells the two apart, and the change by post-training."""
    probes = queries.probes()
    if probes.is_empty():
        raise Empty("There are no probes yet: make one with `python -m softh preference MODEL --pairs FILE`, or below.")
    theme = theme_for(links.dark())
    every = _of_pairs(probes)
    probes = finished_models.last(every)
    steps = stages(probes)
    where = controls.place()
    step = controls.select("Change", list(steps), "change", help=_CHANGE_HELP, where=where) if steps else None
    chosen = _models(probes, steps.get(step or "", ()))
    what = POSITIONS[controls.segments("Read from", list(POSITIONS), "positions", help=_POSITIONS_HELP)]
    ids = [*chosen["estimate_id"], *steps.get(step or "", ())]
    rows = queries.preferences(tuple(dict.fromkeys(ids)))
    part = _part(rows)
    unit = controls.segments("Unit", list(_UNITS), "unit", help=_UNIT_HELP)
    scale = _scale(unit, chosen["bins"][0])
    shown = _probes(chosen, rows, what, part)
    baselines = {
        name: value for name in ("length", "words") if (value := _baseline_accuracy(shown[0], name)) is not None
    }
    figures = {
        "profile": preference.profile(shown, scale, _UNITS[unit], theme),
        "linear": preference.second_opinion(shown, baselines, theme),
        "parts": _parts(chosen, rows, what, scale, _UNITS[unit], theme),
        "others": _others(chosen, rows, theme),
    }
    moved = None
    if step:
        before, after = (_rows_of(rows, steps[step][n], what, part) for n in (0, 1))
        each = changes(before, after)
        figures["changed"] = preference.change(each, step, scale, _UNITS[unit], theme)
        moved = (step, each[0], scale)
    figures |= _along_training(every, chosen["model"].to_list(), what, part, scale, _UNITS[unit])
    moves, labels = comparison.movements(tuple(probes["estimate_id"]), what, part)
    if moves:
        figures["moves"] = preference.movements(moves, labels, scale, _UNITS[unit], theme)
    found = [
        _findings(probe, _rows_of(rows, row["estimate_id"], what, "matched"), row, scale)
        for probe, row in zip(shown, chosen.to_dicts(), strict=True)
    ]
    most = max(found, key=lambda each: (each.clear, each.value))
    return View(
        title=f"Preferences, {probes['corpus'][0]}",
        figures=axis_ranges.within(figures),
        rows=_table(chosen, rows, what, part, found, scale, _UNITS[unit]),
        data=_data(chosen, rows),
        caption=preference_summary.caption(chosen, rows) + (f" {_MOVES.format(labels=labels)}" if moves else ""),
        finding=preference_summary.headline(most, among=len(found)),
        published=_PUBLISHED,
        text=preference_summary.paragraph(most, moved, _UNITS[unit]),
        behind={"moves": _moved(moves, scale, _UNITS[unit])} if moves else {},
        source=_ERRORS,
        name="softh-preference",
        notes=(finding(moves),) if moves else (),
    )


def _scale(unit: str, bins: int) -> float:
    """From parts of log n to the unit."""
    nats = math.log(bins)
    return {_BIT: 100 * nats / math.log(2), "log n": 1000.0}.get(unit, 1000 * nats)


def _of_pairs(probes: pl.DataFrame) -> pl.DataFrame:
    """The newest probe of every model on one set of pairs, measured in one way; which, the reader says."""
    counted = probes.group_by("settings", "corpus").agg(pl.col("model").n_unique(), pl.col("created_at").max())
    counted = counted.sort("model", "created_at", descending=True)
    names: dict[str, str] = {}
    for row in counted.to_dicts():
        spec = json.loads(row["settings"])
        name = f"{row['corpus']}, {spec.get('limit', '?')} × {spec.get('context', '?')} tokens"
        names[name if name not in names else f"{name}, {row['settings'][-8:]}"] = row["settings"]
    name = controls.select("Pairs", list(names), "pairs", help="Only probes on the same pairs compare.")
    chosen = probes.filter(pl.col("settings") == names[name]).sort("created_at")
    return chosen.unique(["model", "revision"], keep="last").sort("model")


def _along_training(
    every: pl.DataFrame, models: Sequence[str], what: str, part: str, scale: float, unit: str
) -> dict[str, Figure]:
    """The information of the chosen models at each of their checkpoints, where some were probed at several."""
    mine = every.filter(pl.col("model").is_in(models))
    if (ordered := clock(mine)) is None:
        return {}
    timed = mine.drop_nulls(ordered).sort("model", ordered)
    timed = timed.filter(pl.len().over("model") > 1)
    rows = queries.preferences(tuple(timed["estimate_id"])).filter(what=what, subset=part, quantity="information")
    rows = rows.filter(pl.col("layer").is_null(), correction="corrected")
    means = {row["estimate_id"]: value_and_error(row, scale) for row in rows.to_dicts()}
    runs: dict[str, list[Moment]] = {}
    for row in timed.to_dicts():
        if row["estimate_id"] in means:
            moment = Moment(row[ordered], checkpoint_name(row), *means[row["estimate_id"]])
            runs.setdefault(row["model"], []).append(moment)
    return {"training": along_training(runs, ordered, unit, dark=links.dark())} if runs else {}


def _models(probes: pl.DataFrame, change: Sequence[str]) -> pl.DataFrame:
    """The models to draw, by name."""
    names = probes["model"].to_list()
    changed = probes.filter(pl.col("estimate_id").is_in(list(change)))["model"].to_list()
    published = probes.filter(~pl.col("weights").str.contains("trained here"))["model"].to_list()
    usual = list(dict.fromkeys([*published[:MOST], *changed])) or names[:MOST]
    chosen = controls.several("Models", names, "models", default=sorted(usual))
    if not chosen:
        raise Empty("No model is chosen: choose one in the sidebar.")
    return probes.filter(pl.col("model").is_in(chosen)).sort("model")


def _part(rows: pl.DataFrame) -> str:
    """One of the parts of the pairs that every probe on the page has."""
    probed = rows.filter(what="preference").group_by("subset").agg(pl.col("estimate_id").n_unique().alias("probes"))
    subsets = probed.filter(probes=rows["estimate_id"].n_unique())["subset"].to_list()
    ordered = sorted(subsets, key=lambda name: (name != "all", name != "matched", name))
    names = {_named(name): name for name in ordered}
    return names[controls.select("Subset", list(names), "part", help=_PART_HELP)]


def _named(subset: str) -> str:
    return PARTS.get(subset, subset.removeprefix("source "))


def _probes(chosen: pl.DataFrame, rows: pl.DataFrame, what: str, part: str) -> list[Probe]:
    linear = rows.filter((pl.col("what") == "linear") & (pl.col("subset") == (part if part == "matched" else "all")))
    mine = rows.filter(pl.col("what").is_in([what, "length", "words"]), pl.col("subset") == part)
    both_rows = pl.concat([mine, linear])
    return [
        Probe(row["model"], row["layers"], both_rows.filter(estimate_id=row["estimate_id"]))
        for row in chosen.to_dicts()
    ]


def _rows_of(rows: pl.DataFrame, estimate_id: str, what: str, part: str) -> pl.DataFrame:
    return rows.filter(estimate_id=estimate_id, what=what, subset=part)


def _baseline_accuracy(probe: Probe, what: str) -> float | None:
    return next(iter(probe.rows.filter(what=what, quantity="accuracy")["value"]), None)


def _parts(chosen: pl.DataFrame, rows: pl.DataFrame, what: str, scale: float, unit: str, theme: Theme) -> Figure:
    """Information of every part of the pairs, one dot a model."""
    wanted = rows.filter(what=what, quantity="information", correction="corrected").filter(pl.col("layer").is_null())
    names = dict(chosen.select("estimate_id", "model").iter_rows())
    parts = wanted.sort(pl.col("subset") != "all", pl.col("subset") != "matched", "subset").to_dicts()
    every = [
        Dot(_named(row["subset"]), names[row["estimate_id"]], *value_and_error(row, scale))
        for row in parts
        if row["estimate_id"] in names
    ]
    return preference.dots(every, list(names.values()), f"mean over layers, {unit}", 0.0, theme)


def _others(chosen: pl.DataFrame, rows: pl.DataFrame, theme: Theme) -> Figure:
    """How many held-out pairs length, words and hidden states order correctly; hollow: pairs matched by length."""
    every: list[Dot] = []
    for what, row_name in (("linear", "hidden states"), ("words", "words alone"), ("length", "length alone")):
        for probe in chosen.to_dicts():
            for part in ("all", "matched"):
                accuracies = (
                    _rows_of(rows, probe["estimate_id"], what, part).filter(quantity="accuracy").drop_nulls("value")
                )
                if not accuracies.is_empty():
                    value, error = mean_over_layers(accuracies)
                    every.append(Dot(row_name, probe["model"], value, error, part == "matched"))
    return preference.dots(every, chosen["model"].to_list(), "accuracy on held-out pairs", 0.5, theme, share=True)


def _findings(probe: Probe, matched: pl.DataFrame, row: dict, scale: float) -> Findings:
    mean = probe.rows.filter(quantity="information", correction="corrected").filter(pl.col("layer").is_null())
    alone = matched.filter(quantity="information", correction="corrected").filter(pl.col("layer").is_null()).to_dicts()
    right = {
        what: mean_over_layers(accuracies)
        for what in ("linear", "words", "length")
        if not (accuracies := probe.rows.filter(what=what, quantity="accuracy").drop_nulls("value")).is_empty()
    }
    layers = probe.information()
    linear = {row["layer"]: row["value"] for row in probe.linear()}
    shared = [row for row in layers if row["layer"] in linear]
    value, error = value_and_error(mean.row(0, named=True), scale)
    return Findings(
        probe.name, row["documents"] // 2, value, error, scale * math.log(2) / math.log(row["bins"]),
        max(layers, key=lambda row: row["value"])["layer"], value_and_error(alone[0], scale) if alone else None,
        right,
        rank_correlation([one["value"] for one in shared], [linear[one["layer"]] for one in shared]),
    )  # fmt: skip


def _table(
    chosen: pl.DataFrame, rows: pl.DataFrame, what: str, part: str, found: Sequence[Findings], scale: float, unit: str
) -> pl.DataFrame:
    """One row a model."""
    table = []
    for row, findings in zip(chosen.to_dicts(), found, strict=True):
        parts = _rows_of(rows, row["estimate_id"], what, part).filter(quantity="information")
        parts = {
            one["correction"]: value_and_error(one, scale) for one in parts.filter(pl.col("layer").is_null()).to_dicts()
        }
        right = {name: preference_summary.percent_text(value) for name, value in findings.right.items()}
        table.append(
            {
                "Model": row["model"],
                f"Information, {unit}": plus_minus(*parts["corrected"]),
                f"Raw, {unit}": f"{parts['raw'][0]:.3g}",
                f"Null, {unit}": f"{parts['null'][0]:.3g}",
                "Most in layer": findings.peak,
                f"Matched by length, {unit}": plus_minus(*findings.matched) if findings.matched else "–",
                "Linear": right.get("linear", "–"),
                "Words": right.get("words", "–"),
                "Length": right.get("length", "–"),
                "ρ of layers": "–" if findings.agreement is None else f"{findings.agreement:.2f}",
                "Pairs": f"{row['documents'] // 2:,}",
                "Positions": f"{row['positions']:,}",
                "Date": f"{row['created_at']:%Y-%m-%d}",
            }
        )
    return pl.DataFrame(table)


def _data(chosen: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    about = chosen.select(
        "estimate_id", "model", "revision", "stage", "weights", "source", "digest", pairs="corpus",
        pairs_digest="corpus_digest", context="context", bins="bins", draws_of="draws", folds="folds", seed="seed",
        dtype="dtype", device="device", created_at="created_at",
    )  # fmt: skip
    flat = rows.drop("draws", "folds", "ngram", "variable").join(about, on="estimate_id")
    return flat.sort("model", "what", "subset", "layer")


def _moved(moves: Sequence[Movement], scale: float, unit: str) -> pl.DataFrame:
    """One row a step of post-training, with both changes and their 95 % intervals."""
    return pl.DataFrame(
        [
            {
                "before": move.step.models[0], "after": move.step.models[1], "whole": move.step.whole,
                "complexity": move.complexity.value,
                "complexity_low": (move.complexity.value or 0.0) - (move.complexity.half_width or 0.0),
                "complexity_high": (move.complexity.value or 0.0) + (move.complexity.half_width or 0.0),
                "preference": scale * move.preference.value, "preference_low": scale * move.preference.low,
                "preference_high": scale * move.preference.high, "preference_unit": unit,
            }
            for move in moves
        ]
    )  # fmt: skip


_MOVES = (
    "Steps of post-training: each model minus its predecessor; hollow: last minus first. "
    "Complexity is I(X;Z) on {labels}, mean over layers. Bars are 95 % intervals, paired in draws, documents and pairs."
)
_ERRORS = (
    "Bands by depth: one standard error; bars of parts and of accuracy: two, hollow where pairs are matched by length; "
    "changes: 95 % intervals."
)
_PUBLISHED = (
    "In the paper, preference information goes with benchmark scores (r = 0.76 over 47 models); ours is on Benchmarks."
)
_POSITIONS_HELP = "Every token of an answer (the default), its last token, or the mean hidden state of the answer."
_PART_HELP = "All pairs, those matched by length so that length says nothing, or those of one source."
_UNIT_HELP = (
    "Which answer was preferred is at most one bit. log n (the unit of other pages) and nats are in thousandths."
)
_CHANGE_HELP = "Before and after post-training, on the same pairs, draws and folds."
