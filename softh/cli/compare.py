"""The command ``softh compare``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from softh.analysis import agreement
from softh.analysis.agreement import Compared
from softh.cli.options import AsJson, Data, folder
from softh.cli.output import show, show_json
from softh.errors import InputError
from softh.quantities import BY_COLUMN, PLANE
from softh.store import read

_DIFFERS, _UNDECIDED = 1, 3
"""Exit status where a tolerance was given; 0 where both agree."""
_OF_SETTINGS = {"corpus_digest": "text", "labels": "labels", "estimator": "estimator", "bins": "bins"}


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="Id of an estimate or its first digits, or a model.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same; differences are B minus A.")],
    order: Annotated[int, typer.Option(min=1, max=4, help="n-gram order of the labels.")] = 1,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Largest difference, in log n, of H, I(X;Z) and I(Y;Z) at any place.")
    ] = None,
    mean_tolerance: Annotated[
        float | None, typer.Option(min=0, help="The same for the means over layers only, optimality included.")
    ] = None,
    other_data: Annotated[Path | None, typer.Option(help="Folder of the tables of B, if different.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Compare two estimates layer by layer, or two runs checkpoint by checkpoint, with the errors of the differences.

    What both share, reference directions and documents, is paired. With a tolerance the exit status is 0 where all
    differences are within it, 1 where one exceeds it with its whole 95 % interval, 3 where one exceeds it otherwise.
    """
    mine, theirs = _rows(folder(data), first, order), _rows(other_data or folder(data), second, order)
    if len(mine) == len(theirs) == 1:
        places = [folder(data), other_data or folder(data)]
        found = list(_by_layer(places, mine[0], theirs[0], order))
    else:
        found = list(_by_checkpoint(mine, theirs))
    means = [line for line in found if not line.place.startswith("layer")]
    gates = {
        "tolerance": (tolerance, [line for line in found if line.quantity != "optimality"]),
        "mean tolerance": (mean_tolerance, means),
    }
    verdicts = {name: agreement.judge(some, limit) for name, (limit, some) in gates.items() if limit is not None}
    notes = [*_notes(mine[0], theirs[0])]
    if as_json:
        show_json({"lines": [_plain(line) for line in found], "verdicts": verdicts, "notes": notes,
                   "summary": [asdict(each) for each in agreement.summarise(found)]})  # fmt: skip
    else:
        show(*_tables(found), "\n".join([*notes, *(f"{name}: {each}." for name, each in verdicts.items())]))
    if "differs" in verdicts.values():
        raise typer.Exit(_DIFFERS)
    if "undecided" in verdicts.values():
        raise typer.Exit(_UNDECIDED)


def _rows(place: Path, name: str, order: int) -> list[dict[str, Any]]:
    """Estimates of a name, means over layers: of an id, or else of a model, those measured as the last one was."""
    every = read.trajectory(place, order=order).to_dicts()
    chosen = [row for row in every if row["estimate_id"].startswith(name)]
    if len({row["estimate_id"] for row in chosen}) != 1:
        chosen = [row for row in every if row["model"] == name]
        if not chosen:
            read.find_estimate(place, name)  # says what there is
            raise InputError(
                f"{name} has no labels of order {order}; expected one that it has: choose another --order."
            )
        last = max(chosen, key=lambda row: row["created_at"])["settings"]
        chosen = [row for row in chosen if row["settings"] == last]
    debiased = [row for row in chosen if row["correction"] == "debiased" and row["input"] is not None]
    return debiased or [row for row in chosen if row["correction"] == "corrected"]


def _by_layer(places: Sequence[Path], first: dict[str, Any], second: dict[str, Any], order: int) -> Iterator[Compared]:
    names = [quantity.column for quantity in PLANE]
    rows = [
        {row["layer"]: {**each, **row} for row in read.layers(place, each["estimate_id"], order, each["correction"])
         .to_dicts()}
        for place, each in zip(places, (first, second), strict=True)
    ]  # fmt: skip
    if rows[0].keys() == rows[1].keys():
        for layer in rows[0]:
            yield from agreement.lines(f"layer {layer}", rows[0][layer], rows[1][layer], names)
    yield from agreement.lines("mean", first, second, names)


def _by_checkpoint(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Iterator[Compared]:
    key = "step" if all(row["step"] is not None for row in (*mine, *theirs)) else "revision"
    others = {row[key]: row for row in theirs}
    shared = [row for row in mine if row[key] in others]
    if not shared:
        raise InputError(
            f"The two have no {key} in common; expected checkpoints at the same {key}: compare single estimates by id."
        )
    for row in shared:
        yield from agreement.lines(f"{key} {row[key]}", row, others[row[key]], [each.column for each in PLANE])


def _notes(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    other = [what for name, what in _OF_SETTINGS.items() if first[name] != second[name]]
    if first["correction"] != second["correction"]:
        other.append("correction")
    if other:
        yield f"The two differ in {' and '.join(other)}, which affects the differences too."
    for each, row in (("A", first), ("B", second)):
        yield (
            f"{each}: {row['model']}, {row['revision']}, {row['corpus']}, {row['dtype']} on {row['device']}, "
            f"{row['correction']}, estimate {row['estimate_id'][:8]}"
        )
    if first["layers"] != second["layers"]:
        yield "They have different numbers of layers: only the means are compared."


def _tables(found: Sequence[Compared]) -> Iterator[Table]:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("", *(f"{BY_COLUMN[name].symbol} {end}" for name in _columns(found) for end in ("A", "B − A"))):
        table.add_column(heading, justify="right", no_wrap=True)
    for place in dict.fromkeys(line.place for line in found):
        cells = [cell for line in found if line.place == place for cell in (_number(line.first), _change(line))]
        table.add_row(place, *cells)
    yield table
    table = Table("", "places", "largest", "at", "mean", "correlation", "real", box=SIMPLE_HEAD, pad_edge=False)
    for each in agreement.summarise(found):
        table.add_row(
            BY_COLUMN[each.quantity].symbol, str(each.places), _number(each.largest), each.at, _number(each.mean),
            _number(each.correlation), str(each.real),
        )  # fmt: skip
    table.caption = "Real: places where the difference is larger than its 95 % interval. Units of log n."
    yield table


def _columns(found: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(line.quantity for line in found))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:z.4f}"


def _change(line: Compared) -> str:
    half = line.difference.half_width
    return (
        _number(line.difference.value) + (f" ±{half:.4f}" if half is not None else "") + ("*" if line.is_real else "")
    )


def _plain(line: Compared) -> dict[str, Any]:
    found = line.difference
    return {
        "place": line.place, "quantity": line.quantity, "first": line.first, "second": line.second,
        "difference": found.value, "se_draws": found.se_draws, "se_documents": found.se_documents,
        "half_width": found.half_width, "real": line.is_real,
    }  # fmt: skip
