"""A recipe file (TOML) → the list of runs it asks for; whatever it does not know it refuses."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from softh.errors import InputError

Architecture = Literal["olmo2", "llama", "gpt_neox", "gpt2", "qwen3", "mamba2"]
Quality = Literal["clean", "shuffled", "repeated"]
Kind = Literal["trajectory", "frontier", "posttraining"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Shape of a model; the vocabulary comes from the tokenizer."""

    width: int
    layers: int
    heads: int
    hidden: int
    """Width of the feed-forward layer (of the gate, where there is one)."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pretraining run."""

    name: str
    architecture: Architecture
    size: str
    steps: int
    lr: float
    kind: Kind = "frontier"
    seed: int = 0
    data: Quality = "clean"
    checkpoints: int = 1
    """Log-spaced steps to measure at, from step 0; 1 is the end alone."""
    batch: int = 64
    """Sequences a step."""
    micro: int = 0
    """Sequences a forward pass, for models that need much memory; 0 is the whole batch."""
    context: int = 512
    """Tokens a sequence."""
    warmup: int = 100
    """Steps of linear warm-up, at most half of the run; a cosine to a tenth follows."""
    weight_decay: float = 0.1
    clip: float = 1.0

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step predicts."""
        return self.batch * self.context


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """Instruction tuning of a finished run, then DPO; two models, ``NAME-sft`` and ``NAME-dpo``."""

    base: str
    sft_epochs: int = 3
    sft_lr: float = 5e-4
    dpo_epochs: int = 2
    dpo_lr: float = 5e-5
    beta: float = 0.1
    batch: int = 32
    seed: int = 0
    kind: Kind = "posttraining"

    @property
    def name(self) -> str:
        """Name of the job; unlike those of the two models it never enters a table."""
        return f"{self.base}-post"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured at a checkpoint: fields of EstimateSpec, and the sizes of the scores."""

    documents: int = 512
    context: int = 256
    draws: int = 32
    orders: tuple[int, ...] = (1, 2, 3, 4)
    seed: int = 0
    score_documents: int = 512
    cloze: int = 1000
    grammar: int = 200
    """Pairs of each phenomenon."""


Row = TypeVar("Row", Size, Run, PostTraining, Measure)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything a zoo is made from."""

    runs: tuple[Run, ...]
    posttraining: tuple[PostTraining, ...] = ()
    sizes: dict[str, Size]
    measure: Measure = field(default_factory=Measure)
    speed: dict[str, float] = field(default_factory=dict)
    """Expected on the GPU: tokens per second of ``architecture-size`` or ``other``, and ``checkpoint_seconds``."""
    books: int = 0
    """Training books to read; 0 is all of them."""
    demo: str | None = None
    """The run that is kept as demo checkpoint."""

    def jobs(self) -> tuple[Run | PostTraining, ...]:
        """All runs, then all post-training."""
        return (*self.runs, *self.posttraining)

    @property
    def context(self) -> int:
        """Tokens that every model of the recipe can read."""
        return min(run.context for run in self.runs)

    def run(self, name: str) -> Run:
        """The pretraining run of that name."""
        found = [run for run in self.runs if run.name == name]
        if not found:
            known = ", ".join(run.name for run in self.runs)
            raise InputError(f"The model {name!r} is not in the recipe; expected one of {known}: correct the name.")
        return found[0]


_TOP = {"defaults", "sizes", "trajectory", "frontier", "posttraining", "measure", "speed", "books", "demo"}


def load(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        InputError: for a missing or malformed file, an unknown key, architecture, size or model, or a bad value.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The recipe {path} could not be read ({error.strerror}): give the path of a recipe."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The recipe {path} is not TOML ({error}): correct that line.") from None
    _known("the recipe", table, _TOP)
    for name, kind in (("books", int), ("demo", str)):
        if name in table:
            _valid("the recipe", name, table[name], kind)
    for name, value in table.get("speed", {}).items():
        _valid("speed", name, value, float)
    sizes = {name: _build(Size, f"sizes.{name}", row) for name, row in table.get("sizes", {}).items()}
    defaults = table.get("defaults", {})
    for kind in ("trajectory", "frontier", "posttraining"):
        if not isinstance(table.get(kind, []), list):
            raise InputError(f"{kind} was {table[kind]!r}; expected tables, each under [[{kind}]]: write them so.")
    runs = [
        run for kind in ("trajectory", "frontier") for row in table.get(kind, []) for run in _runs(kind, defaults, row)
    ]
    recipe = Recipe(
        runs=tuple(runs),
        posttraining=tuple(_build(PostTraining, "posttraining", row) for row in table.get("posttraining", [])),
        sizes=sizes,
        measure=_build(Measure, "measure", table.get("measure", {})),
        speed=table.get("speed", {}),
        books=table.get("books", 0),
        demo=table.get("demo"),
    )
    _check(recipe)
    return recipe


def _runs(kind: str, defaults: dict[str, Any], row: dict[str, Any]) -> list[Run]:
    """The runs of one row: one for every seed."""
    values = {**defaults, **row, "kind": kind}
    seeds = values.pop("seeds", [values.pop("seed", 0)])
    several = len(seeds) > 1
    label = f"{kind} {row.get('name', 'without a name')}"
    name = values.get("name", "")
    return [
        _build(Run, label, {**values, "seed": seed, "name": f"{name}-seed{seed}" if several else name})
        for seed in seeds
    ]


def _check(recipe: Recipe) -> None:
    """Refuse what single rows cannot show: names twice, unknown sizes and models."""
    if not recipe.runs:
        raise InputError("The recipe has no runs; expected a [[trajectory]] or a [[frontier]]: add one.")
    names = [job.name for job in recipe.jobs()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"The recipe names {twice[0]!r} twice; expected names that differ: rename one.")
    for run in recipe.runs:
        if run.size not in recipe.sizes:
            known = ", ".join(recipe.sizes) or "none"
            raise InputError(f"The size of {run.name} was {run.size!r}; expected one of {known}: add it under [sizes].")
    if recipe.measure.context > recipe.context:
        raise InputError(
            f"context of measure was {recipe.measure.context}; expected at most {recipe.context}, the shortest context "
            "of a run: lower it."
        )
    for name in [post.base for post in recipe.posttraining] + ([recipe.demo] if recipe.demo else []):
        recipe.run(name)


def _known(where: str, table: Any, allowed: set[str]) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where} was {table!r}; expected a table with keys {', '.join(sorted(allowed))}: write one.")
    unknown = sorted(set(table) - allowed)
    if unknown:
        raise InputError(
            f"{where} has the unknown key {unknown[0]!r}; expected {', '.join(sorted(allowed))}: remove it."
        )


def _build(kind: type[Row], where: str, row: dict[str, Any]) -> Row:
    """A frozen dataclass from a table, with every key and type checked."""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    _known(where, row, set(fields))
    for name, item in fields.items():
        if name not in row and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key {name!r}: add it.")
        if name in row:
            _valid(where, name, row[name], item.type)
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})


def _valid(where: str, name: str, value: Any, expected: Any) -> None:
    choices = get_args(expected) if expected in (Architecture, Quality, Kind) else ()
    if choices:
        good, hint = value in choices, f"one of {', '.join(choices)}"
    elif expected is int:
        good, hint = (
            isinstance(value, int) and not isinstance(value, bool) and value >= 0,
            "a whole number of at least 0",
        )
    elif expected is float:
        good, hint = (
            isinstance(value, int | float) and not isinstance(value, bool) and value >= 0,
            "a number of at least 0",
        )
    elif expected is str:
        good, hint = (
            isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum(),
            "letters, digits and -",
        )
    else:
        good, hint = isinstance(value, list) and all(isinstance(item, int) for item in value), "a list of whole numbers"
    if not good:
        raise InputError(f"{name} of {where} was {value!r}; expected {hint}: correct it.")
