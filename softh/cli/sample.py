"""The command ``softh sample``."""

from pathlib import Path
from typing import Annotated

import typer

from softh.cli.options import AsJson, numbers
from softh.cli.output import show_json
from softh.spec import EstimateSpec
from softh.text import sources


def sample(
    tokenizer: Annotated[str, typer.Option(help="Tokenizer: a hub id, or a folder that holds one.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder of the sample.")],
    corpus: Annotated[str, typer.Option(help=f"{sources.usage()}.")] = "python-docs",
    documents: Annotated[int, typer.Option(min=1, help="Documents sampled from the corpus at most.")] = 256,
    context: Annotated[int, typer.Option(min=2, help="Tokens a document is truncated to.")] = 256,
    orders: Annotated[str, typer.Option(help="n-gram orders of the labels, from 1 to 4.")] = "1,2,3,4",
    labels: Annotated[str, typer.Option(help="What is labelled, as in `estimate`.")] = "tokens",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write token ids, labels and checksums of a text into a folder, on which every training loop can then measure.

    `--corpus file:FOLDER` of the other commands reads it, and softh.FrozenSample gives batches of it to any framework.
    A tokenizer that gives other token ids is refused.
    """
    spec = EstimateSpec.from_options(
        {"model": "", "corpus": corpus, "documents": documents, "context": context, "orders": numbers(orders),
         "labels": labels, "seed": seed}
    )  # fmt: skip
    # transformers takes seconds to import; the other commands do without.
    from softh.estimator.frozen_sample import FrozenSample
    from softh.models.loading import load_tokenizer

    found = load_tokenizer(tokenizer)
    made = FrozenSample.write(
        output, found, spec.corpus, name=tokenizer, documents=spec.documents, context=spec.context, orders=spec.orders,
        labels=spec.labels, seed=spec.seed,
    )  # fmt: skip
    about = made.about
    if as_json:
        show_json(about)
        return
    typer.echo(
        f"{about['documents']:,} documents of {about['corpus']}, {about['tokens']:,} tokens of {about['tokenizer']}, "
        f"{about['positions']:,} positions, labels {', '.join(made.label_sets)}: {output}, digest {made.digest}."
    )
