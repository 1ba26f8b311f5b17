"""Which of two checkpoints or models is better: how often a measure knows, what it adds to loss, and what it costs.

For every pair whose scores differ, a measure names one of the two. Which way it points, and at which layer it is read,
is chosen on pairs that share no group with the judged ones, groups being families of models or training runs; what two
measures say together is a linear discriminant of the differences of their ranks, fitted on those other pairs too.
Errors leave each group out in turn, with every choice and fit made again, as in :mod:`softh.analysis.correlation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import stdtr, stdtrit

from softh.analysis import finished_models
from softh.analysis.correlation.coefficients import midranks
from softh.analysis.correlation.layer_choice import DEPTHS, at_depths
from softh.analysis.correlation.matrix import family_names, numbered
from softh.analysis.correlation.resampling import LEAST_FAMILIES, LEVEL, degrees
from softh.analysis.correlation.study import FACTS, matched
from softh.blas import one_thread
from softh.errors import InputError
from softh.format import and_more
from softh.quantities import BY_COLUMN, CORRECTION_NAMES, PLANE

LEAST_PAIRS = 10
MOST = 0.75
"""Share of the checkpoints that must have a measure for it to be compared. Those that lack it are then left out: all
measures are compared on the same pairs."""
LOSS = BY_COLUMN["bits_per_byte"].name
_LESS_IS_BETTER = r"(?i)bits per byte|perplexity|loss"
AMONG = {
    "runs": "checkpoints of one training run",
    "models": "finished models",
    "tuned": "post-trained models, by what was measured of their base models",
}


@dataclass(frozen=True)
class MeasureValues:
    """One measure of every checkpoint or model: one number each, or one a depth among which others choose."""

    values: np.ndarray
    """[n] or [n, depths]"""
    better: int = 0
    """1 where more of it should be better, −1 where less, 0 where the other groups decide."""


@dataclass(frozen=True)
class Known:
    """A number with its 95 % interval and the two-sided p that it is none; NaN where there is none."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Choice:
    """How well one measure chooses."""

    measure: str
    accuracy: Known
    """Share of pairs whose better one it names; p against one half."""
    against: Known
    """The same less that of the loss."""
    beyond: Known
    """Share of the loss and it together less that of the loss alone."""
    regret: Known
    """Best score of a group less the score of what it would choose there, mean over groups, in units of the score."""
    pairs: int
    groups: int


@dataclass(frozen=True)
class Candidates:
    """What there is to choose among."""

    score: np.ndarray
    """[n], more being better; NaN where it is not known."""
    group: list[str]
    measures: dict[str, MeasureValues]

    @property
    def groups(self) -> int:
        """Groups in which a score is known."""
        known = zip(self.group, np.isfinite(self.score), strict=True)
        return len({name for name, scored in known if scored})


def candidates(
    points: pl.DataFrame,
    scores: pl.DataFrame,
    score: str,
    among: str,
    depths: Mapping[str, pl.DataFrame],
    further: pl.DataFrame | None = None,
) -> Candidates:
    """Checkpoints or models of the tables with one score, and every measure that most of them have.

    points: means over layers of one order, one row an estimate and correction, as `read.trajectory` gives. scores: rows
    of `benchmarks`. depths: correction → transformer layers of that order, as `read.depths` gives. further: spectral
    and other quantities of the estimates, as `read.further` gives. Raises InputError for a score that none has.
    """
    known = matched(scores, points).filter(~pl.col("metric").is_in(FACTS))
    if score not in known["label"]:
        some = and_more(sorted(set(known["label"])), 12)
        raise InputError(f"{score!r} is not a score of these models; expected one of {some or 'none'}: choose one.")
    known = known.filter(pl.col("label") == score)
    rows = _rows(points, known, among)
    sign = -1.0 if known["metric"].str.contains(_LESS_IS_BETTER).any() else 1.0
    ids = rows["measured"].to_list()
    of_estimate = points.unique("estimate_id").select("estimate_id", "bits_per_byte", "parameters", "tokens", "entropy")
    whole = _by_id(of_estimate, ids)
    measures = {
        LOSS: MeasureValues(_numbers(whole, "bits_per_byte"), -1),
        "parameters": MeasureValues(_numbers(whole, "parameters"), 1),
        "training tokens": MeasureValues(_numbers(whole, "tokens"), 1),
        "entropy": MeasureValues(_numbers(whole, "entropy")),
    }
    for correction, name in CORRECTION_NAMES.items():
        mine = points.filter(pl.col("correction") == correction)
        if correction == "null" or mine.is_empty():
            continue
        placed = _by_id(mine.with_columns(distance=pl.col("input") - pl.col("output")), ids)
        labelled = [*(each.column for each in PLANE if each.has_labels), "distance"]
        measures |= {f"{BY_COLUMN[c].name}, {name}": MeasureValues(_numbers(placed, c)) for c in labelled}
        if correction in depths:
            measures |= _layered(depths[correction], ids, name)
    further = pl.DataFrame(schema={"estimate_id": pl.String}) if further is None else further
    for column in further.columns:
        if column in BY_COLUMN and not BY_COLUMN[column].has_labels:
            first = further.group_by("estimate_id").agg(pl.col(column).drop_nulls().first())
            measures[BY_COLUMN[column].symbol] = MeasureValues(_numbers(_by_id(first, ids), column))
    scored = np.isfinite(values := sign * _numbers(rows, "score"))
    known_share = {
        name: np.isfinite(one.values.reshape(len(scored), -1)[scored]).all(axis=1).mean() if scored.any() else 0.0
        for name, one in measures.items()
    }
    kept = {name: one for name, one in measures.items() if known_share[name] >= MOST}
    if known_share[LOSS] < 1:
        raise InputError(
            "Not every checkpoint with this score has a loss, which is what the others are compared with: estimate "
            "with loss, or choose another score."
        )
    return Candidates(values, rows["group"].to_list(), kept)


def of_table(table: pl.DataFrame, score: str, group: str, loss: str, *, less_is_better: bool = False) -> Candidates:
    """One's own table: every column of numbers besides is a measure. Raises InputError for a column that is missing."""
    if missing := [name for name in (score, group, loss) if name not in table.columns]:
        raise InputError(
            f"{missing[0]!r} is not a column; expected one of {and_more(table.columns, 12)}: name the columns of the "
            "score, the group and the loss."
        )
    numeric = [name for name, kind in table.schema.items() if kind.is_numeric() and name not in (score, group)]
    if loss not in numeric or not table.schema[score].is_numeric():
        raise InputError(f"{loss!r} and {score!r} must be columns of numbers: correct the table.")
    measures = {name: MeasureValues(_numbers(table, name), -1 if name == loss else 0) for name in numeric}
    sign = -1.0 if less_is_better else 1.0
    return Candidates(sign * _numbers(table, score), [str(one) for one in table[group]], measures)


def _rows(points: pl.DataFrame, scores: pl.DataFrame, among: str) -> pl.DataFrame:
    """One row a candidate: group, score and `measured`, the estimate whose measures are asked."""
    each = points.unique("estimate_id").sort("model", "step", "estimate_id")
    if among == "runs":
        exact = scores.filter(pl.col("revision").is_not_null()).unique(["model", "revision"], keep="first")
        timed = each.filter(pl.col("step").is_not_null()).unique(["model", "step"], keep="last", maintain_order=True)
        timed = timed.join(exact.select("model", "revision", "score"), on=["model", "revision"], how="inner")
        timed = timed.filter(pl.len().over("model") > 1)
        return timed.select("score", group="model", measured="estimate_id")
    last = finished_models.last(each)
    own = scores.join(last.select("model", last="revision"), on="model")
    own = own.filter(pl.col("revision").is_null() | (pl.col("revision") == pl.col("last")))
    own = own.sort(pl.col("revision").is_null()).unique("model", keep="first").select("model", "score")
    if among == "models":
        return last.join(own, on="model", how="inner").select("score", group="family", measured="estimate_id")
    origin_of = finished_models.origins(last)
    ids = dict(last.select("model", "estimate_id").iter_rows())
    tuned = last.join(own, on="model", how="inner").filter(pl.col("model").is_in(list(origin_of)))
    bases = [_root(model, origin_of) for model in tuned["model"]]
    return tuned.select("score", group="family").with_columns(
        measured=pl.Series([ids[base] for base in bases], dtype=pl.String)
    )


def _root(model: str, origin_of: Mapping[str, str]) -> str:
    while model in origin_of:
        model = origin_of[model]
    return model


def _by_id(rows: pl.DataFrame, ids: Sequence[str]) -> pl.DataFrame:
    """The rows of some estimates, one each, in their order; an estimate may be asked for twice."""
    one = rows.unique("estimate_id", keep="first")
    return pl.DataFrame({"estimate_id": ids}, schema={"estimate_id": pl.String}).join(
        one, on="estimate_id", how="left", maintain_order="left"
    )


def _numbers(rows: pl.DataFrame, column: str) -> np.ndarray:
    return rows[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _layered(layers: pl.DataFrame, ids: Sequence[str], correction: str) -> dict[str, MeasureValues]:
    """Every quantity of the plane at the depths among which the other groups choose."""
    parts = layers.sort("layer").partition_by("estimate_id", as_dict=True)
    found = {}
    for each in PLANE:
        if not each.has_labels:
            continue
        gap = np.full(DEPTHS, np.nan)
        profiles = [gap if (own := parts.get((one,))) is None else at_depths(_numbers(own, each.column)) for one in ids]
        found[f"{each.name} at a chosen layer, {correction}"] = MeasureValues(np.array(profiles))
    return found


@one_thread()
def choices(
    score: np.ndarray, group: Sequence[str], measures: Mapping[str, MeasureValues], loss: str, *, within: bool
) -> list[Choice]:
    """How well each measure chooses by a score [n], more being better; loss names the one to be beaten.

    within: only pairs of one group, such as checkpoints of one run. Checkpoints that lack the score or any measure are
    left out, so that all measures judge the same pairs. Raises InputError for fewer than three groups or ten pairs.
    """
    known = np.isfinite(score) & np.all(
        [np.isfinite(each.values.reshape(len(score), -1)).all(axis=1) for each in measures.values()], axis=0
    )
    score, names = score[known], [name for name, one in zip(group, known, strict=True) if one]
    if len(set(numbered(names).tolist())) < LEAST_FAMILIES:
        raise InputError(
            f"{len(names)} checkpoints or models have the score and every measure, of {len(set(names))} families or "
            f"runs ({', '.join(family_names(names)) or 'none'}); expected {LEAST_FAMILIES} at least, to choose on some "
            "and judge on others: add some, or leave out a measure that many lack."
        )
    pairs = _Pairs(score, numbered(names), within=within)
    if len(pairs.first) < LEAST_PAIRS:
        raise InputError(
            f"{len(pairs.first)} pairs differ in the score; expected {LEAST_PAIRS} at least: choose another score, or "
            "add checkpoints."
        )
    read = {name: _read(measure, known) for name, measure in measures.items()}
    base = pairs.judged(read[loss], measures[loss].better)
    rows = []
    for name, values in read.items():
        alone = pairs.judged(values, measures[name].better)
        both = base if name == loss else pairs.together(read[loss], values)
        rows.append(
            Choice(
                name, pairs.known(alone, 0.5), pairs.known(alone - base), pairs.known(both - base),
                pairs.regret(values, measures[name].better), len(pairs.first), pairs.groups,
            )
        )  # fmt: skip
    return rows


def _read(measure: MeasureValues, known: np.ndarray) -> np.ndarray:
    """Ranks [n, depths] of a measure."""
    return midranks(measure.values.reshape(len(known), -1)[known])


class _Pairs:
    """Pairs of which the first has the better score, in blocks by the groups of both."""

    def __init__(self, score: np.ndarray, group: np.ndarray, *, within: bool) -> None:
        self.score, self.group, self.groups = score, group, int(group.max()) + 1
        first, second = np.nonzero(score[:, None] > score[None])
        if within:
            same = group[first] == group[second]
            first, second = first[same], second[same]
        self.first, self.second = first, second
        self.sizes = np.bincount(group)
        low, high = np.sort([group[first], group[second]], axis=0)
        self.block = low * self.groups + high
        self.blocks = np.unique(self.block)
        self.counts = np.bincount(self.block, minlength=self.groups**2).astype(float)

    def judged(self, ranks: np.ndarray, better: int) -> np.ndarray:
        """Share of pairs judged correctly, [groups + 1]: without each group, and of all."""
        sums = self._sums(self._right(ranks))
        shares = []
        for left_out in (*range(self.groups), None):
            right = total = 0.0
            for block in self._tested(left_out):
                depth, turned = self._chosen(sums, self._others(block, left_out), better)
                count = self.counts[block]
                right += count - sums[block, depth] if turned else sums[block, depth]
                total += count
            shares.append(right / total if total else np.nan)
        return np.array(shares)

    def together(self, loss: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """The same of a linear discriminant of the differences in loss and in another measure."""
        n = len(self.score)
        a = (loss[self.first, 0] - loss[self.second, 0]) / n
        d = (ranks[self.first] - ranks[self.second]) / n
        aa, ad, dd = self._sums(np.broadcast_to((a**2)[:, None], d.shape)), self._sums(a[:, None] * d), self._sums(d**2)
        of_a, of_d = self._sums(np.broadcast_to(a[:, None], d.shape)), self._sums(d)
        rows = {block: np.flatnonzero(self.block == block) for block in self.blocks}
        shares = []
        for left_out in (*range(self.groups), None):
            right = total = 0.0
            for block in self._tested(left_out):
                train = self._others(block, left_out)
                m11, m12, m22, v1, v2 = (each[train].sum(axis=0) for each in (aa, ad, dd, of_a, of_d))
                m11, m22 = m11 * (1 + _RIDGE) + _RIDGE, m22 * (1 + _RIDGE) + _RIDGE
                below = m11 * m22 - m12**2
                of_loss, of_measure = (m22 * v1 - m12 * v2) / below, (m11 * v2 - m12 * v1) / below
                depth = int(np.argmax(v1 * of_loss + v2 * of_measure))
                said = of_loss[depth] * a[rows[block]] + of_measure[depth] * d[rows[block], depth]
                right += float((said > 0).sum() + 0.5 * (said == 0).sum())
                total += self.counts[block]
            shares.append(right / total if total else np.nan)
        return np.array(shares)

    def known(self, shares: np.ndarray, none: float = 0.0) -> Known:
        """A share or a difference of shares with its interval."""
        without, value = shares[:-1], float(shares[-1])
        apart = without - without.mean()
        error = float(np.sqrt((self.groups - 1) / self.groups * (apart**2).sum()))
        freedom = degrees(self.sizes)
        half = stdtrit(freedom, (1 + LEVEL) / 2) * error
        p = float(2 * stdtr(freedom, -abs(value - none) / error)) if error > 0 else float("nan")
        low, high = (value - half, value + half) if error > 0 else (np.nan, np.nan)
        return Known(value, max(float(low), 0.0 if none else -1.0), min(float(high), 1.0), p)

    def regret(self, ranks: np.ndarray, better: int) -> Known:
        """Mean over groups of the best score less that of what is chosen; of equal ones their mean."""
        sums, lost = self._sums(self._right(ranks)), []
        for one in range(self.groups):
            mine = self.group == one
            if mine.sum() < 2:
                continue
            depth, turned = self._chosen(sums, self._others(one * self.groups + one, None), better)
            values = (-1 if turned else 1) * ranks[mine, depth]
            lost.append(self.score[mine].max() - self.score[mine][values == values.max()].mean())
        if len(lost) < LEAST_FAMILIES:
            return Known(np.nan, np.nan, np.nan, np.nan)
        mean, error = float(np.mean(lost)), float(np.std(lost, ddof=1) / np.sqrt(len(lost)))
        half = float(stdtrit(len(lost) - 1, (1 + LEVEL) / 2)) * error
        return Known(mean, max(mean - half, 0.0), mean + half, np.nan)

    def _right(self, ranks: np.ndarray) -> np.ndarray:
        apart = ranks[self.first] - ranks[self.second]
        return (apart > 0) + 0.5 * (apart == 0)

    def _sums(self, of_pairs: np.ndarray) -> np.ndarray:
        """Sums [groups², depths] over the pairs of every block."""
        totals = np.zeros((self.groups**2, of_pairs.shape[1]))
        np.add.at(totals, self.block, of_pairs)
        return totals

    def _tested(self, left_out: int | None) -> list[int]:
        return [block for block in self.blocks.tolist() if left_out not in divmod(block, self.groups)]

    def _others(self, block: int, left_out: int | None) -> np.ndarray:
        """Blocks that share no group with one, and not the one left out."""
        gone = {*divmod(block, self.groups), left_out}
        return np.array([each for each in self.blocks.tolist() if not gone & set(divmod(each, self.groups))], dtype=int)

    def _chosen(self, sums: np.ndarray, blocks: np.ndarray, better: int) -> tuple[int, bool]:
        """Depth of a measure that is right most often on these blocks, and whether less of it is better."""
        count = self.counts[blocks].sum()
        share = sums[blocks].sum(axis=0) / count if count else np.full(sums.shape[1], 0.5)
        strength = share - 0.5 if better > 0 else 0.5 - share if better < 0 else np.abs(share - 0.5)
        depth = int(np.argmax(strength))
        return depth, better < 0 or (better == 0 and bool(share[depth] < 0.5))


_RIDGE = 1e-9


def finding(rows: Sequence[Choice], loss: str) -> str:
    """Whether any measure beats loss, alone or added, after correction for their number, in a sentence."""
    first = next(row for row in rows if row.measure == loss)
    others = [row for row in rows if row.measure != loss]
    claims = {
        "alone": [_better(row.against, len(others)) for row in others],
        "added to it": [_better(row.beyond, len(others)) for row in others],
    }
    said = f"Loss ranks {first.accuracy.value:.1%} of {first.pairs:,} pairs correctly. "
    corrected = f"Bonferroni-corrected for {len(others)} measures"
    parts = [
        f"{and_more([row.measure for row, is_better in zip(others, better, strict=True) if is_better], 3)} {how}"
        for how, better in claims.items()
        if any(better)
    ]
    if parts:
        return f"{said}Significantly better than loss, {corrected}: {'; '.join(parts)}."
    return f"{said}No other measure is significantly better, alone or added to it ({corrected})."


def _better(one: Known, tests: int) -> bool:
    return one.value > 0 and one.p < (1 - LEVEL) / tests
