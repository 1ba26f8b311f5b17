"""The published table beside ours, from the shipped tables, for docs/method.md: ``python -m benchmarks.published``."""

import polars as pl

from dashboard.data import correlation, queries
from dashboard.data.correlation import FINISHED, MEAN, Choice
from dashboard.views.benchmarks import beside_published


def main() -> None:
    setup = queries.setups()[0]
    source = correlation.sources(setup, FINISHED)[0]
    choice = Choice(setup, 1, "debiased", source, FINISHED, "pearson", MEAN)
    names = correlation.study(choice).scores
    scores = tuple(name for name in names if ": " not in name and not name.startswith("bits per byte"))
    rows = correlation.beside_published(choice, scores)
    counts = rows.select("correction", "n", "families").unique().sort("correction", "n").iter_rows()
    print(f"{setup.corpus}, {setup.label}; {source}; {', '.join(f'{c}: {n} of {f} families' for c, n, f in counts)}")
    print_table(beside_published(rows))


def print_table(rows: pl.DataFrame) -> None:
    """The rows as Markdown."""
    print("|", " | ".join(rows.columns), "|")
    print("|", " | ".join(["---"] * rows.width), "|")
    for row in rows.iter_rows():
        print("|", " | ".join(cell or "" for cell in row), "|")


if __name__ == "__main__":
    main()
