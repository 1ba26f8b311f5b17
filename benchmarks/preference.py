"""What the shipped probes say, as the tables of docs/method.md: ``python -m benchmarks.preference``."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dashboard.format import plus_minus
from dashboard.views.preference_summary import value_and_error
from softh import settings
from softh.analysis.probe_changes import changes, stages
from softh.analysis.probe_summary import rank_correlation
from softh.store import read

POSITIONS = ("preference", "preference last", "preference mean")


def main(data: Path) -> None:
    probes = read.probes(data)
    rows = read.preferences(data)
    whole = rows.filter(pl.col("layer").is_null())
    print("| model | pairs | all tokens | null | last token | mean state | matched | linear | words | length | ρ |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for probe in probes.sort("parameters", "model", descending=True).to_dicts():
        mine = whole.filter(estimate_id=probe["estimate_id"])
        cells = [_cell(mine, what, "all") for what in POSITIONS] + [_cell(mine, "preference", "matched")]
        null = 1000 * mine.filter(what="preference", subset="all", correction="null")["value"][0]
        cells.insert(1, f"{null:.3f}")
        layers = rows.filter(estimate_id=probe["estimate_id"], subset="all")
        print("|", " | ".join([probe["model"], f"{probe['documents'] // 2:,}", *cells, *_others(mine, layers)]), "|")
    print(f"\nRank correlation of models with the linear model: {', '.join(_agreement(rows))}")
    print("\n| change | all tokens | mean state | mean state, held out |\n|---|---|---|---|")
    for name, (before, after) in stages(probes).items():
        print(f"| {name} | {' | '.join(_changes(rows, before, after))} |")


def _agreement(rows: pl.DataFrame) -> Iterator[str]:
    linear = rows.filter(what="linear", subset="all", quantity="accuracy").filter(pl.col("layer") > 0)
    right = dict(linear.group_by("estimate_id").agg(pl.col("value").mean()).iter_rows())
    for what in POSITIONS:
        found = rows.filter(what=what, subset="all", quantity="information", correction="corrected")
        means = dict(found.filter(pl.col("layer").is_null()).select("estimate_id", "value").iter_rows())
        agreed = rank_correlation([means[one] for one in right], [right[one] for one in right])
        yield f"{what} {agreed:.2f} ({len(right)} models)"


def _cell(rows: pl.DataFrame, what: str, subset: str) -> str:
    found = rows.filter(what=what, subset=subset, quantity="information", correction="corrected").to_dicts()
    return plus_minus(*value_and_error(found[0], 1000)) if found else "–"


def _others(mine: pl.DataFrame, layers: pl.DataFrame) -> Iterator[str]:
    linear = layers.filter(what="linear", quantity="accuracy").sort("layer")
    yield f"{linear.filter(pl.col('layer') > 0)['value'].mean():.1%}"
    for what in ("words", "length"):
        yield f"{mine.filter(what=what, subset='all', quantity='accuracy')['value'][0]:.1%}"
    surface = layers.filter(what="preference", quantity="information", correction="corrected").drop_nulls("layer")
    agreed = rank_correlation(surface.sort("layer")["value"].to_list(), linear["value"].to_list())
    yield "–" if agreed is None else f"{agreed:.2f}"


def _changes(rows: pl.DataFrame, before: str, after: str) -> Iterator[str]:
    parts = (("preference", "all"), ("preference mean", "all"), ("preference mean", "source held out of post-training"))
    for what, subset in parts:
        both_rows = [rows.filter(estimate_id=one, what=what, subset=subset) for one in (before, after)]
        if any(part.is_empty() for part in both_rows):
            yield "–"
            continue
        mean = changes(*both_rows)[0]
        yield f"{1000 * mean.value:+.3f} ({1000 * mean.low:+.3f} to {1000 * mean.high:+.3f})"


if __name__ == "__main__":
    main(settings.data())
