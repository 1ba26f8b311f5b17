"""The plane of a model while Lightning trains it."""

from collections.abc import Callable
from typing import Any

from torch import nn

from softh.callback import InformationPlane
from softh.errors import InputError

try:
    from lightning.pytorch.callbacks import Callback  # ty: ignore[import-not-found]
except ImportError:  # said where somebody makes one
    Callback = None

_Base: Any = object if Callback is None else Callback


class LightningPlane(_Base):
    """:class:`softh.InformationPlane` as a callback of lightning.Trainer; same arguments, except `steps`.

    Estimates go to every logger of the trainer by its ``log_metrics``. The model may be sharded by a strategy that
    shards it in place (ModelParallelStrategy, which is FSDP2), compiled, or under DistributedDataParallel.

    Args:
        name: the model's name in the tables.
        tokenizer: of the model.
        model: finds the language model in the LightningModule, by default its attribute ``model``.
        options: other arguments of :class:`softh.InformationPlane`.

    Raises:
        InputError: where Lightning is not installed.

    >>> # lightning.Trainer(max_steps=1000, callbacks=[LightningPlane("my-model", tokenizer)]).fit(module, rows)
    """

    def __init__(
        self, name: str, tokenizer: Any, *, model: Callable[[Any], nn.Module] = lambda module: module.model,
        **options: Any,
    ) -> None:  # fmt: skip
        if Callback is None:
            raise InputError(
                "LightningPlane needs the package lightning, which is not installed: pip install lightning."
            )
        super().__init__()
        self.name = name
        self.tokenizer = tokenizer
        self.model = model
        self.options = options
        self.plane: InformationPlane | None = None
        self._last = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Plan the steps, and estimate the untrained model; after a resume the steps that are left."""

        def log(numbers: dict[str, float], step: int) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step)

        options: dict[str, Any] = {"log": log, **self.options}
        self.plane = InformationPlane(self.name, self.tokenizer, int(trainer.estimated_stepping_batches), **options)
        self._last = trainer.global_step
        if self._last == 0:
            self.plane.at(self.model(pl_module), 0)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Estimate when an optimiser step has ended that is due."""
        if self.plane is not None and trainer.global_step != self._last:
            self._last = trainer.global_step
            self.plane.at(self.model(pl_module), self._last)
