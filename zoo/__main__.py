"""``python -m zoo``: plan, train and pack a family of small models."""

import argparse
import sys
import time
from pathlib import Path

import torch

from softh import access
from softh.errors import InputError
from softh.format import duration
from zoo import plan, recipe, report, speed, tokens
from zoo.driver import Driver
from zoo.job import execute
from zoo.place import Place

TEXT = Path("../shared/text")
PAIRS = Path("../shared/prefs/pairs.jsonl")
PATIENCE = 3600.0
"""Seconds that a recipe may take on a CPU without being asked for twice."""


@access.as_owner()
def main(arguments: list[str] | None = None) -> int:
    """Run one command; what a person can mend is one sentence on stderr and exit code 2."""
    asked = _parser().parse_args(arguments)
    try:
        asked.command(asked)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zoo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, command in (("plan", _plan), ("all", _all), ("run", _run), ("speed", _speed)):
        added = commands.add_parser(name, help=command.__doc__)
        added.set_defaults(command=command)
        added.add_argument("recipe", type=Path)
        added.add_argument("--text", type=Path, default=TEXT, help=f"folder of the books, or {tokens.BUILT_IN}")
        added.add_argument("--pairs", type=Path, default=PAIRS, help="preference pairs for post-training")
        added.add_argument("--work", type=Path, default=Path("cache/zoo"), help="where runs keep their state")
        if name == "run":
            added.add_argument("name")
        if name in ("all", "speed"):
            added.add_argument("--only", nargs="+", metavar="NAME", help="these runs alone, or these kinds of runs")
        if name == "all":
            added.add_argument("--out", type=Path, default=Path("cache/zoo/out"), help="where results are packed")
            added.add_argument("--minutes", type=float, default=float("inf"), help="stop then; the next call goes on")
            added.add_argument(
                "--slots", type=int, default=plan.SLOTS if torch.cuda.is_available() else 1, help="runs at a time"
            )
            added.add_argument("--restore", type=Path, metavar="OUT", help="go on from results packed before")
            added.add_argument("--anyway", action="store_true", help="run however long it takes")
    unpack = commands.add_parser("unpack", help=_unpack.__doc__)
    unpack.set_defaults(command=_unpack)
    unpack.add_argument("folders", type=Path, nargs="+", help="one for every machine that ran")
    unpack.add_argument("--data", type=Path, default=Path("data"))
    unpack.add_argument("--fold", action="store_true", help="fold runs and scores into the database")
    unpack.add_argument("--replace", action="store_true", help="and drop the models of the zoo that the database had")
    findings = commands.add_parser("findings", help=_findings.__doc__)
    findings.set_defaults(command=_findings)
    findings.add_argument("--data", type=Path, default=Path("data"))
    text = commands.add_parser("text", help=_text.__doc__)
    text.set_defaults(command=_text)
    text.add_argument("--text", type=Path, default=TEXT, help="folder of the books")
    train = commands.add_parser("tokenizer", help=_tokenizer.__doc__)
    train.set_defaults(command=_tokenizer)
    train.add_argument("--text", type=Path, default=TEXT)
    return parser


def _place(asked: argparse.Namespace) -> Place:
    read = recipe.load(asked.recipe)
    return Place(read, tokens.Library(asked.text, read.books or None), asked.pairs, asked.work)


def _plan(asked: argparse.Namespace) -> None:
    """Say what every run of a recipe is expected to cost on this machine."""
    say(plan.table(plan.costs(recipe.load(asked.recipe))))


def _all(asked: argparse.Namespace) -> None:
    """Run everything in a recipe, several runs at a time, and pack the results."""
    place = _place(asked)
    names = _named(place, asked.only)
    if not torch.cuda.is_available() and not asked.anyway:
        _have_patience(sum(cost.seconds for cost in plan.costs(place.recipe) if cost.name in names), asked.recipe)
    if asked.restore:
        report.restore(asked.restore, asked.work)
    Driver(place, asked.slots, asked.minutes, say, asked.out).run(names)
    report.pack(place, asked.out)
    say(report.table(place))


def _named(place: Place, only: list[str] | None) -> set[str]:
    """Names of the jobs that are asked for, by their name or their kind; of all when nothing is."""
    jobs = place.recipe.jobs()
    for name in only or ():
        if not any(name in (job.name, job.kind) for job in jobs):
            raise InputError(f"The run {name!r} is not in the recipe; expected one that `python -m zoo plan` lists.")
    return {job.name for job in jobs if not only or job.name in only or job.kind in only}


def _have_patience(seconds: float, path: Path) -> None:
    say(f"{path} is expected to take {duration(seconds)} on this CPU.")
    if seconds > PATIENCE:
        raise InputError(
            f"There is no GPU, and {path} would take about {duration(seconds)} on this CPU; "
            "expected an hour at most: take zoo/small.toml, or add --anyway."
        )


def _run(asked: argparse.Namespace) -> None:
    """Run one job of a recipe in this process, its output on the screen."""
    place = _place(asked)
    execute(place, *_named(place, [asked.name]), quiet=False)
    say(report.table(place))


def _speed(asked: argparse.Namespace) -> None:
    """Measure the training speed of every architecture and size of a recipe, one after another."""
    say(speed.table(_place(asked), asked.only))


def _unpack(asked: argparse.Namespace) -> None:
    """Write packed estimates as runs of the store, the scores and summaries in its folder zoo."""
    count = report.unpack(asked.folders, asked.data, fold=asked.fold, replace=asked.replace)
    say(f"{count} estimates are in {asked.data}.")


def _findings(asked: argparse.Namespace) -> None:
    """Print the page docs/zoo.md: what the tables tell of the zoo."""
    from zoo import findings  # training needs no database

    sys.stdout.write(findings.document(asked.data))


def _text(asked: argparse.Namespace) -> None:
    """Write the default text beside the books, for a machine without its package."""
    say(f"{tokens.Library(asked.text).write_common()} holds the default text.")


def _tokenizer(asked: argparse.Namespace) -> None:
    """Train the tokenizer of the zoo again."""
    began = time.monotonic()
    tokens.train_tokenizer(tokens.Library(asked.text).train())
    say(f"{tokens.TOKENIZER} was trained in {time.monotonic() - began:.0f} s.")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
