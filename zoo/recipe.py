"""A recipe file (TOML) → the list of runs it asks for; whatever it does not know it refuses."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from softh.callback import log_spaced
from softh.errors import InputError
from zoo.checked import build, known, valid

Architecture = Literal["olmo2", "llama", "gpt_neox", "gpt2", "qwen3", "mamba2"]
Quality = Literal["clean", "shuffled", "repeated"]
Kind = Literal["trajectory", "frontier", "posttraining", "quantised"]


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
    at: tuple[int, ...] = ()
    """Steps to measure at instead, beside step 0 and the end: close together where a curve turns."""
    ablation: str = ""
    """What was spoiled on purpose, as a name of one word; empty for a model that was trained as well as we could."""
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
    def marks(self) -> list[int]:
        """Steps to measure at, in order."""
        return sorted({0, self.steps, *self.at}) if self.at else log_spaced(self.steps, self.checkpoints)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step predicts."""
        return self.batch * self.context


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """Instruction tuning of a finished run, DPO, reinforcement learning: ``NAME-sft``, ``NAME-dpo``, ``NAME-rlvr``."""

    base: str
    sft_epochs: int = 3
    sft_lr: float = 5e-4
    dpo_epochs: int = 2
    dpo_lr: float = 5e-5
    beta: float = 0.1
    rl_steps: int = 200
    """Of reinforcement learning with a reward that is verified in the text (zoo/reinforce.py); 0 for no such stage."""
    rl_lr: float = 2e-5
    rl_batch: int = 64
    """Sentences a step."""
    rl_samples: int = 16
    """Words drawn for each sentence, whose mean reward is the baseline of each."""
    rl_kl: float = 0.1
    """Weight of the divergence from the model that the stage began with."""
    batch: int = 32
    seed: int = 0
    kind: Kind = "posttraining"

    @property
    def name(self) -> str:
        """Name of the job; unlike those of the two models it never enters a table."""
        return f"{self.base}-post"


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """Copies of a finished run with fewer bits a weight, one model each: ``NAME-q8`` has eight."""

    base: str
    bits: tuple[int, ...] = (8, 5, 4)
    group: int = 64
    """Weights that share a scale."""
    kind: Kind = "quantised"

    @property
    def name(self) -> str:
        """Name of the job; unlike those of its models it never enters a table."""
        return f"{self.base}-quantised"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured at a checkpoint: fields of EstimateSpec, and the sizes of the scores."""

    documents: int = 512
    context: int = 256
    draws: int = 32
    pairs: int = 1400
    """Preference pairs at most that a finished model is probed with; 0 for no probe."""
    orders: tuple[int, ...] = (1, 2, 3, 4)
    seed: int = 0
    common: tuple[str, ...] = ()
    """Runs of which every checkpoint is also measured on the default text; of the others the finished model is."""
    common_draws: int = 32
    """Draws on the default text, as by default."""
    probed: tuple[str, ...] = ()
    """Runs of which every checkpoint is also probed for preferences; of the others the finished model is."""
    sized: tuple[str, ...] = ()
    """Runs of which every checkpoint is also measured on other amounts of text, which shows what depends on it."""
    sizes: tuple[int, ...] = (64, 512)
    """Documents of these."""
    score_documents: int = 512
    cloze: int = 1000
    grammar: int = 200
    """Pairs of each phenomenon."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything a zoo is made from."""

    source: str
    """Where it stands, for the tables: folder and file."""
    runs: tuple[Run, ...]
    posttraining: tuple[PostTraining, ...] = ()
    quantised: tuple[Quantised, ...] = ()
    sizes: dict[str, Size]
    measure: Measure = field(default_factory=Measure)
    speed: dict[str, float] = field(default_factory=dict)
    """Expected on the GPU: tokens per second of ``architecture-size`` or ``other``, and ``checkpoint_seconds``."""
    books: int = 0
    """Training books to read; 0 is all of them."""
    demo: str | None = None
    """The run that is kept as demo checkpoint."""

    def jobs(self) -> tuple[Run | PostTraining | Quantised, ...]:
        """All runs, then all that builds on one."""
        return (*self.runs, *self.posttraining, *self.quantised)

    @property
    def context(self) -> int:
        """Tokens that every model of the recipe can read."""
        return min(run.context for run in self.runs)

    def run(self, name: str) -> Run:
        """The pretraining run of that name."""
        found = [run for run in self.runs if run.name == name]
        if not found:
            names = ", ".join(run.name for run in self.runs)
            raise InputError(f"The model {name!r} is not in the recipe; expected one of {names}: correct the name.")
        return found[0]


_TOP = {"defaults", "sizes", "trajectory", "frontier", "posttraining", "quantised", "measure", "speed", "books", "demo"}


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
    known("the recipe", table, _TOP)
    for name, expected in (("books", int), ("demo", str)):
        if name in table:
            valid("the recipe", name, table[name], expected)
    for name in ("defaults", "sizes", "speed"):
        if not isinstance(table.get(name, {}), dict):
            raise InputError(f"{name} was {table[name]!r}; expected a table, [{name}] and lines below: write it so.")
    for name, value in table.get("speed", {}).items():
        valid("speed", name, value, float)
    sizes = {name: build(Size, f"sizes.{name}", row) for name, row in table.get("sizes", {}).items()}
    defaults = table.get("defaults", {})
    for kind in ("trajectory", "frontier", "posttraining", "quantised"):
        if not isinstance(table.get(kind, []), list):
            raise InputError(f"{kind} was {table[kind]!r}; expected tables, each under [[{kind}]]: write them so.")
    runs = [
        run for kind in ("trajectory", "frontier") for row in table.get(kind, []) for run in _runs(kind, defaults, row)
    ]
    recipe = Recipe(
        source=f"{path.resolve().parent.name}/{path.name}",
        runs=tuple(runs),
        posttraining=tuple(build(PostTraining, "posttraining", row) for row in table.get("posttraining", [])),
        quantised=tuple(build(Quantised, "quantised", row) for row in table.get("quantised", [])),
        sizes=sizes,
        measure=build(Measure, "measure", table.get("measure", {})),
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
    label = f"{kind} {row.get('name', 'without a name')}"
    valid(label, "seeds", seeds, tuple)
    several = len(seeds) > 1
    name = values.get("name", "")
    return [
        build(Run, label, {**values, "seed": seed, "name": f"{name}-seed{seed}" if several else name}) for seed in seeds
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
            sizes = ", ".join(recipe.sizes) or "none"
            raise InputError(f"The size of {run.name} was {run.size!r}; expected one of {sizes}: add it under [sizes].")
    for name, size in recipe.sizes.items():
        if size.width % size.heads:
            raise InputError(f"sizes.{name} has {size.heads} heads; expected a divisor of its width {size.width}.")
    if recipe.measure.context > recipe.context:
        raise InputError(
            f"context of measure was {recipe.measure.context}; expected at most {recipe.context}, the shortest context "
            "of a run: lower it."
        )
    measured = (*recipe.measure.common, *recipe.measure.probed, *recipe.measure.sized)
    bases = [job.base for job in (*recipe.posttraining, *recipe.quantised)]
    for name in [*bases, *measured, *([recipe.demo] if recipe.demo else [])]:
        recipe.run(name)
