"""Statistics of one layer under some draws, remembered until the estimate is whole: what was counted is not lost."""

import inspect
from types import ModuleType

import numpy as np
import torch

from softh import assignment, counts, labels
from softh.activations import HiddenStates
from softh.memo import recall, remember
from softh.spec import EstimateSpec, identity


def _text(module: ModuleType) -> str:
    return inspect.getsource(module)


class Shards:
    """What an interrupted estimate has counted; the same specification, weights, text and program alone find it."""

    def __init__(self, states: HiddenStates, spec: EstimateSpec, directions: str) -> None:
        self.cache = states.cache
        # Another version of the counting may give other numbers: its text is part of the name.
        code = (_text(module) for module in (assignment, counts, labels))
        self.key = identity(states.key, spec.canonical(), directions, *code)
        self.kept: list[str] = []

    def recall(self, layer: int, draws: slice) -> np.ndarray | None:
        """[statistics, 1 + folds, draws] float64 of a layer; None when it was not counted yet."""
        if self.cache is None:
            return None
        found = recall(self.cache, self._name(layer, draws))
        return None if found is None else found.numpy()

    def keep(self, layer: int, draws: slice, values: np.ndarray) -> None:
        """Remember the statistics of a layer."""
        if self.cache is not None:
            remember(self.cache, self._name(layer, draws), torch.from_numpy(values))

    def forget(self) -> None:
        """Drop everything: the estimate is whole, and the next one counts anew."""
        if self.cache is not None:
            for name in self.kept:
                self.cache.delete(name)

    def _name(self, layer: int, draws: slice) -> str:
        name = f"{self.key}/{layer}/{draws.start}-{draws.stop}"
        self.kept.append(name)
        return name
