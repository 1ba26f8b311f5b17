"""One pretraining run: deterministic, resumable, watched for divergence, stopped where it stands when told to."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from zoo import models, tokens
from zoo.recipe import Run, Size

CHECK = 25
"""Steps between two looks at the loss; each look waits for the GPU."""
SAVE = 60.0
"""Seconds of training that a killed run loses at most."""

Entropy = Callable[[Tensor, Tensor], Tensor]
"""Mean cross-entropy of logits ``[tokens, vocabulary]`` and targets ``[tokens]``, in nats."""

Hook = Callable[[PreTrainedModel, int], None]
"""Called with the model and the step at every marked step."""


class Stopped(Exception):
    """The run was told to stop; it has saved where it stands."""


class Diverged(Exception):
    """The loss is not finite, or after the warm-up worse than that of the untrained model."""


@dataclass
class Journal:
    """What a run remembers besides its weights."""

    step: int = 0
    measured: int = -1
    """Last step whose hook has run."""
    training: float = 0.0
    """Seconds of training alone."""
    hooks: float = 0.0
    """Seconds of estimates and scores."""
    seconds: dict[str, float] = field(default_factory=lambda: {"estimating": 0.0, "scoring": 0.0})
    """Of the hooks, by what they did."""
    failures: list[str] = field(default_factory=list)
    """One sentence for every estimate that could not be made."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(step, mean loss since the last look, nats a token)."""


def train(
    run: Run, size: Size, ids: np.ndarray, folder: Path, hook: Hook, journal: Journal, *, fast: bool
) -> PreTrainedModel:
    """Train a run to its end, from where it stopped if it did; the finished model, on the device that trained it.

    Args:
        ids: [tokens] of the training text in the run's quality.
        folder: where the run keeps its state, ``resume.pt``.
        journal: filled in as the run goes on.
        fast: compile the layers; worth it on a GPU.

    Raises:
        Stopped: after SIGTERM. Diverged: with the step and the loss.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = models.build(run, size).to(device).train()
    optimizer = adamw(model, run)
    resume(folder, model, optimizer, journal)
    entropy = compiled(model) if fast else functional.cross_entropy
    stream = Stream(run, ids, journal.step, device)
    marks = set(run.marks)
    stop = _Stop()
    total, since, saved = torch.zeros((), device=device), 0, time.monotonic()
    began = time.monotonic()
    while True:
        step = journal.step
        due = step in marks and step > journal.measured
        looks = due or stop.asked or step % CHECK == 0 or step == run.steps
        if looks and since:
            journal.losses.append((step, total.item() / since))
            check(run, journal)
            total.zero_()
            since = 0
        if due:
            began = _paused(journal, began, lambda at=step: hook(model, at))
            journal.measured = step
        if stop.asked or step == run.steps or (looks and time.monotonic() - saved > SAVE):
            _synchronize()
            journal.training += time.monotonic() - began
            save(folder, model, optimizer, journal)
            saved = began = time.monotonic()
        if stop.asked and step < run.steps:
            raise Stopped(f"{run.name} stopped at step {step}")
        if step == run.steps:
            return model
        total += update(model, optimizer, run, stream.batch(step), step, entropy)
        since += 1
        journal.step += 1


def _paused(journal: Journal, began: float, work: Callable[[], None]) -> float:
    """Do work on a clock of its own; the new beginning of training time."""
    _synchronize()
    paused = time.monotonic()
    journal.training += paused - began
    work()
    _synchronize()
    journal.hooks += time.monotonic() - paused
    return time.monotonic()


def update(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    run: Run,
    batch: Tensor,
    step: int,
    entropy: Entropy = functional.cross_entropy,
) -> Tensor:
    """One optimiser step on a batch ``[sequences, context + 1]``; its mean loss in nats a token, not waited for."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(run, step)
    parts = batch.split(run.micro or run.batch)
    loss = torch.zeros((), device=batch.device)
    for part in parts:
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=batch.device.type == "cuda"):
            share = loss_of(model, part, entropy) / len(parts)
        share.backward()
        loss += share.detach()
    nn.utils.clip_grad_norm_(model.parameters(), run.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


def loss_of(model: PreTrainedModel, batch: Tensor, entropy: Entropy) -> Tensor:
    """Mean cross-entropy of every next token of a batch ``[sequences, context + 1]``, in nats."""
    hidden = model.base_model(input_ids=batch[:, :-1], use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden)
    return entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def learning_rate(run: Run, step: int) -> float:
    """Linear warm-up to the peak, then a cosine to a tenth of it."""
    warmup = min(run.warmup, run.steps // 2)
    rising = min(1.0, (step + 1) / max(1, warmup))
    progress = max(0.0, step - warmup) / max(1, run.steps - warmup)
    return run.lr * rising * (0.55 + 0.45 * math.cos(math.pi * progress))


def adamw(model: nn.Module, run: Run) -> torch.optim.AdamW:
    """AdamW that decays matrices alone."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": run.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=run.lr, betas=(0.9, 0.95), fused=True)


def check(run: Run, journal: Journal) -> None:
    """Raise Diverged when the last loss is not finite, or after the warm-up above that of an untrained model."""
    step, loss = journal.losses[-1]
    untrained = math.log(tokens.VOCABULARY) + 1
    if not math.isfinite(loss) or (step > run.warmup and loss > untrained):
        raise Diverged(f"The loss of {run.name} was {loss:.3g} nats a token at step {step}.")


class Stream:
    """The batches of a run, on its device: batch k depends on the seed and k alone."""

    def __init__(self, run: Run, ids: np.ndarray, first: int, device: torch.device) -> None:
        self.first = first
        self.starts = torch.from_numpy(tokens.order(run, len(ids), range(first, run.steps))).to(device)
        self.ids = torch.from_numpy(ids.astype(np.int16)).to(device)  # the vocabulary is far below 2**15
        self.within = torch.arange(run.context + 1, device=device)

    def batch(self, step: int) -> Tensor:
        """Token ids ``[batch, context + 1]`` int64."""
        return self.ids[self.starts[step - self.first][:, None] + self.within].long()


def compiled(model: nn.Module) -> Entropy:
    """Have each layer compiled by itself, and the cross-entropy, which is returned.

    Layers share one compiled form, so this costs seconds where the whole model would cost a minute.
    """
    settings: Any = torch._dynamo.config
    settings.recompile_limit = 32
    settings.suppress_errors = True  # what cannot be compiled runs as it is
    layers = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    for layer in layers:
        layer.compile(dynamic=False)
    return torch.compile(functional.cross_entropy, dynamic=False)


def resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, journal: Journal) -> None:
    """Load what the run saved last, if it did."""
    path = folder / "resume.pt"
    if not path.exists():
        return
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for name, value in state["journal"].items():
        setattr(journal, name, value)


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, journal: Journal) -> None:
    """Save weights, optimiser and place in the data; all of it or nothing."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "journal": asdict(journal)}
    tokens.write_atomically(folder / "resume.pt", lambda file: torch.save(state, file))


class _Stop:
    """True once SIGTERM arrived."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
