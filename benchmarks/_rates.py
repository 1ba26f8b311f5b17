"""What one checkpoint takes on one GPU: rates that were measured for one shape, scaled to others."""

import math
import re
from dataclasses import dataclass
from functools import cached_property

from softh.estimator.memory_plan import Need, Plan, Resources, choose
from softh.spec import EstimateSpec

TOKENS = 16 * 512
"""Tokens of the batch that was measured (docs/method.md, `python -m benchmarks.gpu`), OLMo2-1B shape, one H200."""
FORWARD, ASSIGNMENT, STATISTICS = 0.0576, 0.0041, 0.0071
"""Seconds of that batch: forward pass without the head; soft assignment, and all statistics with it, of 32 draws with
null."""
WHOLE = 0.956
"""Token rate of a whole estimate over that of the bare loop, with one draw."""
STARTING, READING = 20.0, 5e8
"""Seconds to start a process and bytes of weights read a second: assumed by softh/cost/predict.py, not measured."""
CARD, RAM, PRODUCT = 80e9, 256e9, 6e14
"""Assumed of a machine, for each GPU: its memory, main memory, operations a second of a large product."""
SETTINGS = EstimateSpec(model="", corpus="c4", documents=1000, context=512)
"""What the recipes ask for; all documents are taken as full."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    layers: int
    width: int
    inner: float
    """Weights of the layers."""
    vocabulary: int = 100_352
    cards: int = 1
    """GPUs that hold the weights, with as many times the main memory."""

    @property
    def parameters(self) -> float:
        """All weights, the embedding and the head apart."""
        return self.inner + 2 * self.vocabulary * self.width

    @cached_property
    def plan(self) -> Plan:
        """How the program itself would cut the work: how often the model has to run."""
        tokens = SETTINGS.documents * SETTINGS.context
        need = Need(
            positions=tokens, tokens=tokens, layers=self.layers + 1, draws=SETTINGS.draws, bins=SETTINGS.bins,
            width=self.width, parameters=int(self.parameters), gpu=True, cached=False, states=0,
        )  # fmt: skip
        free = CARD - 2 * self.parameters / self.cards - 4e9  # on the first card, where the assignments lie
        return choose(need, Resources(int(free), int(RAM * self.cards), PRODUCT))

    @property
    def readings(self) -> int:
        """Forward passes over all tokens."""
        return len(list(self.plan.readings()))

    def seconds(self) -> tuple[float, float, float]:
        """Of a checkpoint that is on this machine: start and reading, forward passes, statistics."""
        batches = SETTINGS.documents * SETTINGS.context / TOKENS / WHOLE
        head = self.vocabulary * self.width  # runs once, for bits per byte
        passes = FORWARD * (self.readings * self.inner + head) / OLMO2["1B"].inner
        states = (self.layers + 1) / 17
        counted = ASSIGNMENT * states * self.width / 2048 + (STATISTICS - ASSIGNMENT) * states
        moved = self.plan.assignments / 3e9 if self.plan.spilled else 0.0  # as softh/estimator/memory_plan.py assumes
        return STARTING + 2 * self.parameters / READING, batches * passes, batches * counted + moved


def olmo2(layers: int, width: int, middle: int, keys: int) -> Shape:
    """OLMo2 of the published sizes: width, inner width of the MLP, width of keys and values."""
    return Shape(layers, width, layers * (2 * width * width + 2 * width * keys + 3 * width * middle))


OLMO2 = {"1B": olmo2(16, 2048, 8192, 2048), "7B": olmo2(32, 4096, 11008, 4096), "32B": olmo2(64, 5120, 27648, 1024)}
CHECKPOINTS = {"1B": 267, "7B": 971, "32B": 150}
"""Of the published run: stage 1 and 2 of the 1B (195 and 72) and of the 7B (935 and 36), as AI2 lists them; of the 32B,
about 150, as arXiv 2604.07569 used."""
TYPICAL = {
    0.135: (30, 576),
    0.4: (24, 1024),
    1.1: (16, 2048),
    1.7: (24, 2048),
    3: (28, 3072),
    7: (32, 4096),
    13: (40, 5120),
}
"""Billions of parameters → layers and width, for models of which only the size is known."""
NAMED = {
    "gpt2": 0.124,
    "gpt2-medium": 0.355,
    "gpt2-large": 0.774,
    "gpt2-xl": 1.56,
    "phi-1_5": 1.42,
    "phi-2": 2.78,
    "TinyLlama_v1.1": 1.1,
}
"""Billions of parameters that the name does not say."""


def of_name(model: str) -> Shape:
    """A model of the hub by the size in its name."""
    name = model.rpartition("/")[2]
    billions = NAMED.get(name) or _said(name.lower())
    layers, width = TYPICAL[min(TYPICAL, key=lambda size: abs(math.log(size / billions)))]
    return Shape(layers, width, billions * 1e9, vocabulary=0)


def _said(name: str) -> float:
    """Billions that a name says: 410m, 6.9b, 1_6b, or 7b1 for 7.1."""
    found = re.search(r"(?<![a-z\d])(\d+(?:[._]\d+)?)([bm])(\d?)(?![a-z\d])", name)
    if not found:
        raise ValueError(f"{name} does not say its size: add it to NAMED.")
    whole, unit, tenths = found.groups()
    return float(f"{whole}.{tenths}" if tenths else whole.replace("_", ".")) / (1 if unit == "b" else 1000)
