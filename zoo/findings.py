"""What the tables say of the models of the zoo, as a page of Markdown: docs/zoo.md is what :func:`document` returns.

Every number and every claim is worked out from the tables, so the page is written again when they change.
"""

import json
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from scipy.stats import spearmanr

from softh.analysis import differences, finished_models, phases, probe_changes
from softh.analysis.probe_changes import Movement
from softh.analysis.standard_errors import combined
from softh.checkpoints.stages import stage_rank
from softh.quantities import BY_COLUMN
from softh.store import read
from softh.text import sources

BOOKS = "books-heldout"
ORDER = 1
CORRECTIONS = ("debiased", "corrected", "raw")
QUANTITIES = ("input", "output", "optimality")
MEASURES = (
    "entropy", "input", "output",
    "intrinsic_dimension", "anisotropy", "participation_ratio", "matrix_entropy", "rankme", "alpha_req",
)  # fmt: skip
"""Of the plane, then of the spectrum and the geometry of the hidden states (docs/method.md)."""
STATES = {"preference": "all tokens", "preference mean": "mean state"}
"""Rows of Z that a probe is of → in words."""
SCORES = {"bits / byte": f"bits per byte, {BOOKS}", "cloze": "cloze", "grammar": "grammar"}

Cells = dict[str, str]


class Zoo:
    """The rows of the models that were trained here, order 1, mean over layers."""

    def __init__(self, data: Path) -> None:
        self.data = data
        rows = read.trajectory(data, order=ORDER).filter(pl.col("source").str.starts_with("zoo"))
        # The documents of one size alone: the usual one.
        usual = rows.filter(pl.col("labels") == "tokens")["documents"].mode().max()
        self.rows = rows.filter((pl.col("documents") > 0) & (pl.col("labels").is_in(["tokens", "words"])))
        self.documents = usual
        self.corrections = [name for name in CORRECTIONS if name in self.rows["correction"].to_list()]
        self.correction = self.corrections[0]
        """The best that there is."""

    def of(self, corpus: str, correction: str | None = None, labels: str = "tokens") -> pl.DataFrame:
        """Rows of one text, correction and kind of labels, in the settings that most estimates have."""
        rows = self.rows.filter(corpus=corpus, correction=correction or self.correction, labels=labels)
        usual = rows["settings"].mode().sort()
        return rows.filter(pl.col("settings") == usual[0]) if len(usual) else rows

    @cached_property
    def runs(self) -> list[str]:
        """Models with a trajectory, the largest first."""
        counts = self.of(BOOKS).group_by("model").agg(pl.col("step").n_unique(), pl.col("parameters").first())
        return (
            counts.filter(pl.col("step") > 3).sort("parameters", "model", descending=[True, False])["model"].to_list()
        )

    def finished(self, corpus: str, correction: str | None = None, labels: str = "tokens") -> pl.DataFrame:
        """The last checkpoint of every model."""
        return finished_models.last(self.of(corpus, correction, labels))

    @cached_property
    def scores(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(model, task) → score of the finished model and its standard error."""
        rows = read.benchmarks(self.data).filter(pl.col("source").str.starts_with("zoo"), pl.col("revision").is_null())
        return {(row["model"], row["task"]): (row["score"], row["stderr"]) for row in rows.to_dicts()}


def document(data: Path) -> str:
    """The whole page."""
    zoo = Zoo(data)
    parts = [
        _introduction(zoo), "## Trajectories", _trajectories_text(zoo), table(trajectories(zoo)), _sizes_text(zoo),
        "## Which measures turn where", _TURNS, table(turns(zoo)),
        "## What changed with debiasing", _debiasing_text(zoo), table(agreement(zoo)),
        "## Finished models", _finished_text(zoo), table(frontier(zoo)),
        "## One thing changed at a time", _AXES, table(axes(zoo)),
        "## Post-training", _stages_text(zoo), table(stages(zoo)), _preferences_text(zoo),
        table(preferences(zoo)),
        "## Fewer bits a weight", _BITS, table(bits(zoo)),
        "## Preference information along training", _PROBES, table(probes(zoo)),
        "## Published models", _published_text(published(data)), table(beside(published(data))),
        "## What it cost", _cost_text(data),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: Sequence[Cells]) -> str:
    """The rows as a table of Markdown; a dash-less line where there are none."""
    if not rows:
        return "The tables have no such models yet."
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def trajectories(zoo: Zoo) -> list[Cells]:
    """One row a run, seeds also together: where phases end, where they are sure, and the fall of I(X;Z) after."""
    rows = zoo.of(BOOKS)
    found = [*phases.of_runs(rows, zoo.runs, joined=False)]
    found += [run for run in phases.of_runs(rows, zoo.runs, joined=True) if run.name not in zoo.runs]
    return [
        {
            "run": short(run.name),
            "collapse ends": _boundary(run.phases.collapse),
            "fitting ends": _boundary(run.phases.fitting),
            "I(X;Z) falls by": _fall(run.fall),
            "from step": f"{run.steps[run.fall.checkpoint]:.0f}" if run.fall else "",
        }
        for run in found
    ]


def turns(zoo: Zoo) -> list[Cells]:
    """One row a measure: at which steps it is least and largest between the ends of the runs, where that is sure."""
    rows = zoo.of(BOOKS)
    others = read.further(zoo.data, MEASURES[3:], rows["estimate_id"].to_list())
    others = others.filter(ngram=ORDER, correction=zoo.correction).drop("layer", "ngram", "correction")
    rows = rows.join(others, on="estimate_id", how="left")
    found = []
    for column in MEASURES:
        runs = [rows.filter(model=model).drop_nulls(["step", column]) for model in zoo.runs]
        runs = [run.unique("step", keep="last").sort("step") for run in runs if len(run) > 3]
        curves = [(phases.log_steps(run["step"].to_list()), phases.curve_of([run], column)) for run in runs]
        least, largest = ([phases.extreme(*curve, which) for curve in curves] for which in ("least", "largest"))
        cells = {
            "mean over layers": BY_COLUMN[column].name,
            "least at step": _turns(least),
            "largest at step": _turns(largest),
            "first and last": f"{runs[0][column][0]:.3g} → {runs[0][column][-1]:.3g}" if runs else "",
        }
        sure = [each.step for each in max(least, largest, key=lambda ends: len([end for end in ends if end])) if each]
        found.append((statistics.median(sure) if sure else math.inf, cells))
    return [cells for _, cells in sorted(found, key=lambda one: one[0])]


def _turns(found: Sequence[phases.Boundary | None]) -> str:
    """'31 (26–42), 10 of 10': the median and the range of sure turns, and in how many runs."""
    steps = sorted(each.step for each in found if each)
    if not steps:
        return "never sure"
    return f"{statistics.median(steps):.0f} ({steps[0]:.0f}–{steps[-1]:.0f}), {len(steps)} of {len(found)}"


def agreement(zoo: Zoo) -> list[Cells]:
    """One row a correction: how many runs show each phase, how much sizes fall, whether optimality is quality."""
    return [_told(zoo, correction) for correction in zoo.corrections]


def _told(zoo: Zoo, correction: str) -> Cells:
    runs = phases.of_runs(zoo.of(BOOKS, correction), zoo.runs, joined=False)
    cells = {
        "": correction,
        "runs": str(len(runs)),
        "collapse sure": str(sum(run.phases.collapse is not None for run in runs)),
        "fitting sure": str(sum(run.phases.fitting is not None for run in runs)),
        "compression sure": str(sum(run.fall is not None and run.fall.low > 0 for run in runs)),
    }
    cells |= {f"fall, {size}": f"{fall:.1%}" for size, fall in _falls(zoo, correction).items()}
    for name, rows in _groups(zoo, correction).items():
        rho, low, high = _rank(zoo, rows)
        cells[f"ρ(optimality, bits / byte), {name}"] = f"{rho:+.2f} ({low:+.2f} to {high:+.2f}, n {rows.height})"
    return cells


def _groups(zoo: Zoo, correction: str) -> dict[str, pl.DataFrame]:
    """Finished base models: all, and those that were trained as well as could be."""
    rows = zoo.finished(BOOKS, correction).filter(pl.col("parent").is_null(), pl.col("optimality").is_not_null())
    rows = rows.filter(pl.col("stage").fill_null("base") == "base")
    return {"all": rows, "no ablations": rows.filter(pl.col("ablation").is_null())}


def _rank(zoo: Zoo, rows: pl.DataFrame) -> tuple[float, float, float]:
    """Spearman's ρ of optimality with bits per byte, and its 95 % interval by Fisher's transform (Fieller's error)."""
    known = [row for row in rows.to_dicts() if (row["model"], SCORES["bits / byte"]) in zoo.scores]
    if len(known) < 5:
        return math.nan, math.nan, math.nan
    loss = [zoo.scores[row["model"], SCORES["bits / byte"]][0] for row in known]
    rho = float(spearmanr([row["optimality"] for row in known], loss).statistic)
    reach = 1.96 * math.sqrt(1.06 / (len(known) - 3))
    return rho, math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)


def _falls(zoo: Zoo, correction: str) -> dict[str, float]:
    """Size → fall of I(X;Z) from its largest value after the least entropy to the end, mean over seeds."""
    falls: dict[str, list[float]] = {}
    rows = zoo.of(BOOKS, correction)
    for model in reversed(zoo.runs):
        run = rows.filter(model=model).sort("step")
        after = run["input"].to_list()[int(run["entropy"].arg_min() or 0) :]
        falls.setdefault(_size(run), []).append(1 - after[-1] / max(after))
    return {size: sum(each) / len(each) for size, each in falls.items()}


def frontier(zoo: Zoo) -> list[Cells]:
    """One row a finished model, the best predictor first: where it lies, and what it can do."""
    rows = zoo.finished(BOOKS).to_dicts()
    words = {row["model"]: row for row in zoo.finished(sources.DEFAULT, labels="words").to_dicts()}
    cells = [
        {
            "model": short(row["model"]),
            "spoiled": row["ablation"] or "",
            **{name: _score(zoo.scores.get((row["model"], task))) for name, task in SCORES.items()},
            **{BY_COLUMN[name].symbol: _value(row, name) for name in QUANTITIES},
            **{f"{BY_COLUMN[name].symbol}, default text, words": _value(words.get(row["model"]), name)
               for name in ("input", "optimality")},
        }
        for row in rows
    ]  # fmt: skip
    return sorted(cells, key=lambda row: row["bits / byte"] or "9")


def axes(zoo: Zoo) -> list[Cells]:
    """Each model with something changed less its counterpart, paired."""
    rows = zoo.finished(BOOKS).to_dicts()
    base = [row for row in rows if not row["parent"] and (row["stage"] or "base") == "base"]
    plain = {row["model"]: row for row in base if not row["ablation"]}
    found = []
    for row in base:
        name, note = row["model"].split(" (", 1)
        parts = name.split("-")
        if not row["ablation"] and "context" not in name:
            continue
        kin = [f"{'-'.join(parts[:2])}{ending} ({note}" for ending in ("", "-seed0")]
        found += [_change(zoo, row, plain[other]) for other in kin if other in plain][:1]
    return found


def stages(zoo: Zoo) -> list[Cells]:
    """Each model after a stage of post-training less the one before, paired, on held-out books."""
    rows = {row["model"]: row for row in zoo.finished(BOOKS).to_dicts()}
    after = [row for row in rows.values() if row["parent"] in rows and (row["stage"] or "base") != "base"]
    ordered = sorted(after, key=lambda row: (row["parameters"] * -1, row["family"], stage_rank(row["stage"])))
    return [_change(zoo, row, rows[row["parent"]]) for row in ordered]


def bits(zoo: Zoo) -> list[Cells]:
    """Each copy with fewer bits a weight less the model it was made from, paired."""
    rows = {row["model"]: row for row in zoo.finished(BOOKS).to_dicts()}
    copies = [row for row in rows.values() if row["parent"] in rows and (row["stage"] or "base") == "base"]
    return [_change(zoo, row, rows[row["parent"]]) for row in sorted(copies, key=lambda row: row["weights"][::-1])]


def preferences(zoo: Zoo) -> list[Cells]:
    """Preference information before and after post-training beside I(X;Z), paired; from several kinds of states."""
    found = []
    for moves in zip(*(movements(zoo, what) for what in STATES), strict=True):
        step, complexity = moves[0].step, moves[0].complexity
        cells = {"model": short(step.models[1]), "less": short(step.models[0])}
        cells["Δ I(X;Z)"] = _difference(complexity)
        for what, move in zip(STATES, moves, strict=True):
            one = move.preference
            text = f"{1e3 * one.value:+.3f} ({1e3 * one.low:+.3f} to {1e3 * one.high:+.3f})"
            cells[f"Δ I(Z; preferred), {STATES[what]}"] = f"**{text}**" if one.low * one.high > 0 else text
        found.append(cells)
    return found


def movements(zoo: Zoo, what: str) -> list[Movement]:
    """What every step of post-training changes, preference information of all pairs and one kind of states."""
    last = finished_models.last(read.probes(zoo.data).filter(pl.col("source").str.starts_with("zoo")))
    ways = probe_changes.steps(last)
    measured = read.preferences(zoo.data, [one for way in ways for one in way.probes])
    return probe_changes.movements(ways, measured.filter(what=what, subset="all"), zoo.finished(BOOKS))


def published(data: Path) -> pl.DataFrame:
    """Debiased rows of models that others published, order 1, mean over layers, the latest of each text and labels."""
    rows = read.trajectory(data, order=ORDER, correction="debiased")
    others = rows.filter(pl.col("source").str.starts_with("cache/models"), pl.col("labels").is_in(["tokens", "words"]))
    newest = others.sort("created_at").unique(["model", "corpus", "labels"], keep="last")
    return newest.sort("parameters", "model", "corpus", "labels")


def beside(rows: pl.DataFrame) -> list[Cells]:
    """One row a published model and text: where it lies under tokens and under words, and how well it predicts."""
    found = []
    for (model, corpus), both in rows.group_by("model", "corpus", maintain_order=True):
        by_labels = {row["labels"]: row for row in both.to_dicts()}
        loss = by_labels["tokens"]
        cells = {"model": str(model), "text": str(corpus)}
        for labels in ("tokens", "words"):
            cells |= {f"{BY_COLUMN[name].symbol}, {labels}": _value(by_labels.get(labels), name) for name in QUANTITIES}
        known = loss["bits_per_byte"] is not None
        cells["bits / byte"] = (
            f"{loss['bits_per_byte']:.3f} ± {loss['bits_per_byte_se_documents']:.3f}" if known else ""
        )
        found.append(cells)
    return found


def _published_text(rows: pl.DataFrame) -> str:
    """What the table shows, and the paired differences of two sizes of one family and tokenizer."""
    return _prose(
        "Weights that packages carry, so that anybody can measure them again (data/README.md); those whose names say",
        "so are dequantised from four bits, and no number of theirs is one of the published checkpoint. all-MiniLM and",
        "all-mpnet are encoders: they read what follows a token, too, so that their I(Y;Z) is no prediction.",
        *(_two_sizes(sizes) for _, sizes in rows.group_by("family", "vocabulary", maintain_order=True)),
    )


def _two_sizes(rows: pl.DataFrame) -> str:
    """The largest model of one family and tokenizer less the smallest, paired; empty where there is one size."""
    small, large = (rows.filter(parameters=size) for size in (rows["parameters"].min(), rows["parameters"].max()))
    if small["model"][0] == large["model"][0]:
        return ""
    pairs = large.join(small, on=["corpus", "labels"], suffix="_small", validate="1:1")
    by_id = {row["estimate_id"]: row for row in rows.to_dicts()}
    ids = pairs.select("estimate_id", "estimate_id_small").rows()
    told = []
    for name in QUANTITIES:
        each = [differences.difference(by_id[one], by_id[less], name) for one, less in ids]
        sure = sum(one.half_width is not None and abs(one.value or 0) > one.half_width for one in each)
        ends = sorted(one.value or 0 for one in each)
        told.append(f"{BY_COLUMN[name].symbol} by {ends[0]:+.4f} to {ends[-1]:+.4f} (sure in {sure} of {len(each)})")
    return (
        f"**{rows['family'][0]}, one tokenizer, two sizes**: over texts and kinds of labels, the larger model less the "
        f"smaller differs in {', '.join(told)}."
    )


def probes(zoo: Zoo) -> list[Cells]:
    """Preference information at the checkpoints of the runs that were probed as they trained."""
    every = read.probes(zoo.data).filter(pl.col("source").str.starts_with("zoo"))
    counts = every.group_by("model").agg(pl.col("step").n_unique())
    along = counts.filter(pl.col("step") > 3)["model"].to_list()
    rows = every.filter(pl.col("model").is_in(along)).sort("model", "step").to_dicts()
    measured = read.preferences(zoo.data, [row["estimate_id"] for row in rows]) if rows else pl.DataFrame()
    found = []
    for row in rows:
        mine = measured.filter(
            pl.col("layer").is_null(), estimate_id=row["estimate_id"], subset="all", correction="corrected",
            quantity="information", what="preference",
        )  # fmt: skip
        found.append({"run": short(row["model"]), "step": str(row["step"]), "preference information": _measure(mine)})
    return found


def _measure(rows: pl.DataFrame) -> str:
    if rows.is_empty() or rows["value"][0] is None:
        return ""
    row = rows.row(0, named=True)
    return f"{1e3 * row['value']:.3f} ± {1e3 * (combined(row['se_draws'], row['se_documents']) or 0):.3f}"


def _change(zoo: Zoo, row: Mapping[str, Any], less: Mapping[str, Any]) -> Cells:
    cells = {"model": short(row["model"]), "less": short(less["model"])}
    for name in QUANTITIES:
        cells[f"Δ {BY_COLUMN[name].symbol}"] = _difference(differences.difference(row, less, name))
    losses = [zoo.scores.get((each["model"], SCORES["bits / byte"])) for each in (row, less)]
    cells["Δ bits / byte"] = "" if None in losses else f"{losses[0][0] - losses[1][0]:+.3f}"  # ty: ignore
    return cells


def _difference(found: differences.Difference) -> str:
    if found.value is None:
        return ""
    text = f"{found.value:+.4f} ± {found.half_width or 0:.4f}"
    return f"**{text}**" if found.half_width is not None and abs(found.value) > found.half_width else text


def _value(row: Mapping[str, Any] | None, name: str) -> str:
    if row is None or row[name] is None:
        return ""
    return f"{row[name]:.4f} ± {combined(row[f'{name}_se_draws'], row[f'{name}_se_documents']) or 0:.4f}"


def _score(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0]:.3f} ± {found[1]:.3f}"


def _boundary(found: phases.Boundary | None) -> str:
    return "not sure" if found is None else f"{found.step:.0f} ({found.low:.0f}–{found.high:.0f})"


def _fall(found: phases.Fall | None) -> str:
    return "" if found is None else f"{found.amount:.4f} (95 % {found.low:.4f} to {found.high:.4f})"


def _size(run: pl.DataFrame) -> str:
    return run["size"][0] or f"{run['parameters'][0] / 1e6:.0f}M"


def short(name: str) -> str:
    """The name without what all models here share."""
    return (
        name.replace(" architecture, trained here)", ")").replace(", trained here)", ")").replace(" (trained here)", "")
    )


def _prose(*sentences: str) -> str:
    """Sentences as a paragraph of lines that a person can read in the file, too."""
    return textwrap.fill(" ".join(filter(None, sentences)), 120, break_on_hyphens=False, break_long_words=False)


def _introduction(zoo: Zoo) -> str:
    return "# What the zoo shows\n\n" + _prose(
        "Small models that were trained here (`zoo/recipe.toml`) on public-domain books, mostly fiction before 1930;",
        "nothing here is a published checkpoint, and names say so: `toy-60M (OLMo 2)` stands for “toy-60M (OLMo 2",
        "architecture, trained here)”. This page is printed by `python -m zoo findings` from the shipped",
        "tables. Unless",
        f"said, order 1 (token), mean over layers, {zoo.correction} values, held-out books, information in units of",
        "log n. Behind ± is one standard error of draws and documents together; of differences half of the 95 %",
        "interval, paired in draws and folds, and those that exceed it are bold.",
    )


def _trajectories_text(zoo: Zoo) -> str:
    marks = zoo.of(BOOKS).filter(model=zoo.runs[0])["step"].n_unique() if zoo.runs else 0
    return _prose(
        f"{len(zoo.runs)} runs of the OLMo 2 architecture, 1,024 steps of 32,768 tokens, {marks} checkpoints",
        "each. An end",
        "of a phase is a training step with its 95 % interval, and “not sure” where the curve turns by no",
        "more than noise",
        "does. Intervals of the fall know that its beginning was chosen by looking (`softh/analysis/phases.py`).",
    )


def _sizes_text(zoo: Zoo) -> str:
    falls = _falls(zoo, zoo.correction)
    told = ", ".join(f"{fall:.1%} with {size}" for size, fall in falls.items())
    claim = "The larger the model, the more it compresses" if _rising(falls) else "Compression does not rise with size"
    return _prose(
        f"**{claim}**: from its largest value after the collapse to the end, I(X;Z) falls by {told} (means",
        "over seeds).",
        "Size and learning rate change together here, as such runs have it.",
    )


def _rising(falls: Mapping[str, float]) -> bool:
    """Whether every size falls by more than the one before."""
    return all(a < b for a, b in pairwise(falls.values()))


def _debiasing_text(zoo: Zoo) -> str:
    before = "Raw values are too large where labels are sparse, null-corrected ones too small (docs/debiasing.md)."
    after = "Models of one architecture resemble one another, so the intervals of ρ are too narrow: the page Benchmarks"
    told = "\n".join(f"- {_told_in_words(zoo, correction)}" for correction in zoo.corrections)
    first, last = _prose(before, "What each of them says of the same runs:"), _prose(after, "resamples families.")
    return f"{first}\n\n{told}\n\n{last}"


def _told_in_words(zoo: Zoo, correction: str) -> str:
    cells = _told(zoo, correction)
    rho, low, high = _rank(zoo, _groups(zoo, correction)["no ablations"])
    link = "goes with worse prediction" if rho > 0 else "goes with better prediction"
    link = "cannot be told from none" if math.isnan(rho) or low < 0 < high else link
    return (
        f"**{correction}**: of {cells['runs']} runs {cells['collapse sure']} show a sure end of collapse, "
        f"{cells['fitting sure']} a sure end of fitting and {cells['compression sure']} a sure fall of I(X;Z) "
        "after it; "
        f"falls {'rise' if _rising(_falls(zoo, correction)) else 'do not rise'} with size; among models not spoiled, "
        f"optimality {link} (ρ with bits per byte {rho:+.2f}, 95 % {low:+.2f} to {high:+.2f})."
    )


def _finished_text(zoo: Zoo) -> str:
    rows = zoo.finished(BOOKS)
    spoiled = rows.filter(pl.col("ablation").is_not_null()).height
    return _prose(
        f"{rows.height} models at their last checkpoint, the best predictor first; {spoiled} were spoiled on",
        "purpose and",
        "are left off the Frontier page unless asked for. Bits / byte of 512 held-out documents; cloze: last word of",
        "1,000 passages; grammar: 13 phenomena × 200 minimal pairs.",
    )


def _stages_text(zoo: Zoo) -> str:
    rows = stages(zoo)
    sure = sum(row["Δ I(X;Z)"].startswith("**") for row in rows)
    return _prose(
        "Instruction tuning on chosen answers (sft), DPO on the same pairs, then reinforcement learning",
        "whose reward is",
        "verified in the text (rlvr: the word that a sentence decides, `zoo/reinforce.py`). Each stage less the one",
        f"before; {sure} of {len(rows)} changes of I(X;Z) exceed their error.",
    )


def _preferences_text(zoo: Zoo) -> str:
    """What both changes show; empty where no model was probed before and after."""
    told = [(where, moves) for what, where in STATES.items() if (moves := movements(zoo, what))]
    if not told:
        return ""
    return _prose(
        "**Preference changes against complexity changes**: every step, and the last model less the first;",
        "I(Z; preferred) of 1,400 pairs, corrected, mean over layers, in thousandths, with 95 % intervals, and I(X;Z)",
        "on held-out books.",
        *(
            f"From {'the ' if where == 'mean state' else ''}{where}: {_lower(probe_changes.finding(moves))}"
            for where, moves in told
        ),
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _cost_text(data: Path) -> str:
    path = data.parent / "benchmarks" / "results" / "zoo.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    total = {key: sum(row.get(key) or 0 for row in rows) for key in ("training", "estimating", "scoring")}
    return _prose(
        f"Added over {len(rows)} jobs that ran side by side: training {total['training']:,.0f} s, estimates",
        f"and probes {total['estimating']:,.0f} s, scores {total['scoring']:,.0f} s; each job is in",
        "`benchmarks/results/zoo.json`.",
    )


_AXES = "A model with one thing changed less its counterpart of the same architecture and size."
_TURNS = _prose(
    "Of every run, where a measure is least or largest between its ends, in the order of these steps: the median over",
    "runs, the range, and in how many runs the turn is more than noise. Those of the spectrum have errors over",
    "documents alone and not paired, so that fewer turns are sure than could be. The last column is of the largest",
    "run. The page Trajectory draws any of them in one figure, with bands.",
)
_BITS = "Every matrix rounded to nearest, 64 weights with one scale; less the model they were made from."
_PROBES = (
    "I(Z; preferred or rejected) of 1,400 pairs, all tokens of the answers, corrected, mean over layers; in training, "
    "in thousandths."
)
