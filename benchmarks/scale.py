"""Prints docs/scale.md: hours, bytes and money of large sweeps, their schedule with failures, and what breaks first.

``python -m benchmarks.scale > docs/scale.md``; seconds. Nothing is measured here: _rates.py says what was and by what.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import _rates as rates
from benchmarks import _schedule as schedule
from softh.spec import EstimateSpec

HERE = Path(__file__).parent
PRICES = (2.0, 4.0)
"""Dollars an hour of one GPU: assumed, low and high."""
LINK, HOST = 1.25e9, 8
"""Bytes a second that a host gets from the hub (10 Gbit/s) and GPUs in a host: assumed."""
BYTES = (2, 4)
"""Of a weight as the hub has it: bfloat16, or float32 as many training checkpoints are."""
GPUS = (1, 8, 64)
FAILURES = {"1 in 50,000 h": 1 / 50_000, "1 in 20 h": 0.05, "1 in 1 h": 1.0}
"""How often one GPU goes away, assumed: hardware of a data centre; machines that may be taken back; a bad day."""
SEEDS = 20


@dataclass(frozen=True)
class Sweep:
    """Models or checkpoints to estimate."""

    name: str
    units: tuple[rates.Shape, ...]

    @property
    def cards(self) -> int:
        """GPUs that one unit takes."""
        return self.units[0].cards

    def hours(self) -> float:
        """Of one GPU for all units."""
        return sum(shape.cards * sum(shape.seconds()) for shape in self.units) / 3600

    def weights(self) -> float:
        """Of all units together."""
        return sum(shape.parameters for shape in self.units)


def sweeps() -> list[Sweep]:
    """OLMo2, the 32B on one card and over two; 47 models spread over the sizes of the frontier's recipe, and all."""
    runs = [Sweep(f"OLMo2 {name}", (rates.OLMO2[name],) * count) for name, count in rates.CHECKPOINTS.items()]
    runs.append(Sweep("OLMo2 32B over two", tuple(replace(shape, cards=2) for shape in runs[-1].units)))
    recipe = tomllib.loads((HERE.parent / "recipes" / "frontier.toml").read_text(encoding="utf-8"))
    models = sorted((rates.of_name(model["id"]) for model in recipe["model"]), key=lambda shape: shape.inner)
    some = tuple(models[round(place * (len(models) - 1) / 46)] for place in range(47))
    return [*runs, Sweep(f"frontier, {len(some)}", some), Sweep(f"frontier, {len(models)}", tuple(models))]


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def costs() -> str:
    """Hours, bytes and money of every sweep."""

    def rows() -> Iterator[Sequence[str]]:
        for sweep in sweeps():
            hours, weights = sweep.hours(), sweep.weights()
            each = [sum(shape.seconds()[part] for shape in sweep.units) / len(sweep.units) for part in range(3)]
            passes = sorted({shape.readings for shape in sweep.units})
            yield (
                sweep.name, f"{len(sweep.units)}", " + ".join(f"{part:.0f}" for part in each),
                "–".join(str(count) for count in dict.fromkeys((passes[0], passes[-1]))), f"{hours:.1f}",
                "–".join(f"{weights * size / 1e12:.1f}" for size in BYTES),
                "–".join(f"{hours * price:,.0f}" for price in PRICES), *(_time(sweep, gpus) for gpus in GPUS),
            )  # fmt: skip

    head = ["sweep", "units", "s a unit: start + passes + statistics", "passes", "GPU h", "TB", "$"]
    return table([*head, *(f"h on {gpus}" for gpus in GPUS)], rows())


def _time(sweep: Sweep, gpus: int) -> str:
    """Hours of computing and of downloading on so many GPUs."""
    if gpus < sweep.cards:
        return "–"
    link = LINK * max(1, gpus // HOST) * 3600
    loading = [sweep.weights() * size / link for size in BYTES]
    return f"{sweep.hours() / gpus:.2f} / {loading[0]:.2f}–{loading[1]:.2f}"


def courses() -> str:
    """The schedule of every sweep with failures, over seeds."""

    def rows() -> Iterator[Sequence[str]]:
        for sweep, gpus, (words, rate) in product(sweeps()[:-1], GPUS[1:], FAILURES.items()):
            seconds = {str(place): sum(shape.seconds()) for place, shape in enumerate(sweep.units)}
            units = [EstimateSpec(model=name) for name in seconds]
            found = [
                schedule.course(units, seconds, gpus // sweep.cards, rate * sweep.cards, seed) for seed in range(SEEDS)
            ]
            yield (
                sweep.name, str(gpus), words,
                schedule.over_seeds([course.makespan for course in found], ".2f"),
                schedule.over_seeds([course.utilisation for course in found], ".1%"),
                schedule.over_seeds([course.lost for course in found], ".2%"),
                schedule.over_seeds([course.aside for course in found], ".1f"),
                str(max(course.sweeps for course in found)),
            )  # fmt: skip

    head = ["sweep", "GPUs", "one GPU goes away", "makespan, h", "utilisation", "work lost", "set aside", "sweeps said"]
    return table(head, rows())


def growth() -> str:
    """Questions on ten times the rows, and runs that were not packed."""
    found = json.loads((HERE / "results" / "growth.json").read_text(encoding="utf-8"))
    once, more = (name for name in found if name.endswith(" rows"))

    def rows() -> Iterator[Sequence[str]]:
        for question in found[once]:
            if question != "MB":
                yield question, *(_milliseconds(found[name][question]) for name in (once, more))

    def runs() -> Iterator[Sequence[str]]:
        for number, times in found["runs"].items():
            yield number, _milliseconds(times["look"]), _milliseconds(times["open"])

    sizes = [f"{int(name.split()[0]):,} measure rows, {found[name]['MB']} MB" for name in (once, more)]
    return (
        table(["question, ms: median (most)", *sizes], rows())
        + "\n\n"
        + table(["runs not packed", "a look at the folder, ms", "opening anew after one more run, ms"], runs())
    )


def _milliseconds(times: dict[str, float]) -> str:
    return f"{1000 * times['p50']:,.0f} ({1000 * times['most']:,.0f})"


def numbers() -> dict[str, Any]:
    """Single numbers of the text."""
    pages = json.loads((HERE / "results" / "pages.json").read_text(encoding="utf-8"))
    grown = json.loads((HERE / "results" / "growth.json").read_text(encoding="utf-8"))
    core = sum(page["cpu"] for page in pages["reruns"].values()) / len(pages["reruns"])
    alone = replace(rates.OLMO2["32B"], cards=1)
    return {
        "core": core, "a_second": 1 / core, "readers": 1 / core * 30, "memory": pages["memory MB"],
        "session": grown["session MB"], "machine": grown["machine"], "load": grown["load"],
        "ten": pages["ten readers"]["a second between changes"]["p95"],
        "alone": sum(alone.seconds()) / 3600, "alone_passes": alone.readings,
        "together": sum(replace(alone, cards=2).seconds()) / 3600, "processes": round(10_000 * 0.05 / 30 * core + 0.5),
        "held": 10_000 * 0.05 * grown["session MB"] / 1000,
    }  # fmt: skip


def text() -> str:
    """The whole of docs/scale.md."""
    page = (HERE / "_scale.md").read_text(encoding="utf-8")
    return page.format(costs=costs(), courses=courses(), growth=growth(), seeds=SEEDS, **numbers())


if __name__ == "__main__":
    print(text(), end="")
