"""What a model is and what its estimate will cost, from config and weight headers, before anything is downloaded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from softh.checkpoints import hub, resolve
from softh.checkpoints.config import Shape
from softh.checkpoints.files import UPLOAD, LocalFiles, select_settings
from softh.checkpoints.formats import choose, digest
from softh.checkpoints.resolve import Checkpoint
from softh.checkpoints.weights import WeightsHeader
from softh.cost import predict
from softh.cost.hardware import Machine, this_machine
from softh.cost.predict import Cost, Sizes
from softh.format import format_size
from softh.spec import EstimateSpec

_HASHED = 2 * 10**9
"""Bytes of local weights that are hashed at most."""


@dataclass(frozen=True)
class Preflight:
    """A model and the predicted cost of its estimate, before the model is loaded."""

    spec: EstimateSpec
    revision: str
    """Branch, tag or commit of a hub model; ``local`` for a folder, file or upload."""
    digest: str | None
    """Of the checkpoint: the commit of a hub model, else SHA-256 of the files; None for local files of more than 2 GB,
    whose hash takes too long to wait for."""
    architecture: str
    causal: bool
    """Whether it predicts the next token, so that there are bits per byte."""
    parameters: int
    layers: int
    width: int
    vocabulary: int
    longest_context: int | None
    dtype: str
    """Number format of most weights in the files."""
    weights: str
    """``safetensors``, ``GGUF Q4_1`` …"""
    bytes: int
    """Of all weight files."""
    download: int
    """Bytes to download: those not on this machine yet."""
    cost: Cost
    refusal: str | None
    """Why it cannot run on this machine and what to do, in one sentence; None when it can."""

    @property
    def key(self) -> tuple[str, str | None]:
        """Canonical specification and digest: the stored estimate with these columns is the one asked for."""
        return self.spec.canonical(), self.digest


def preflight(
    spec: EstimateSpec, history: Iterable[Mapping[str, Any]] = (), machine: Machine | None = None
) -> Preflight:
    """Read the headers of a model (of the hub by range requests, else from its files) and predict the cost.

    history: see :func:`softh.cost.predict.predict_cost`. Takes a fraction of a second, and on the hub a few requests.
    Errors: InputError for a model that is missing, unreachable, gated, damaged or of an unknown architecture. One
    that is valid but does not fit has a `refusal` instead.
    """
    machine = machine or this_machine()
    name, revision, download = spec.model, spec.revision or "main", 0
    if not resolve.is_local(spec.model):
        sha, header, download = _on_hub(spec.model, revision)
    else:
        located = resolve.locate(spec.model, spec.revision)
        name, revision = located.name, located.revision
        header = located.weights.format.read_header(LocalFiles(located.folder, spec.model), located.weights.names)
        sha = _digest(spec.model, located, header.bytes)
    shape = header.shape()
    cost = predict.predict_cost(spec, _sizes(header, shape), machine, history)
    return Preflight(
        spec, revision, sha, shape.architecture, shape.causal, header.parameters, shape.layers, shape.width,
        shape.vocabulary, shape.longest_context, header.dtype, header.label, header.bytes, download, cost,
        _refusal(name, spec.context, shape.longest_context, download, cost, machine),
    )  # fmt: skip


def _on_hub(model: str, revision: str) -> tuple[str, WeightsHeader, int]:
    """Digest, header of the weights and bytes to download."""
    sha, sizes = hub.list_files(model, revision)
    files = hub.HubFiles(model, sha, sizes)
    weights = choose(set(sizes), model, lambda name: files.head(name, sizes[name]))
    needed = {*weights.names, *(() if weights.format.self_contained else select_settings(sizes))}
    download = sum(sizes[name] for name in hub.not_downloaded(model, sha, needed))
    return hub.digest_of(model, sha), weights.format.read_header(files, weights.names), download


def _digest(model: str, located: resolve.Located, size: int) -> str | None:
    if model.startswith(UPLOAD):
        return model.removeprefix(UPLOAD)
    return digest(located.folder, located.weights) if size <= _HASHED else None


def sizes_of(checkpoint: Checkpoint) -> Sizes:
    """The sizes of a checkpoint that is on this machine, from its headers."""
    weights = checkpoint.files
    assert weights is not None, "a model that exists in memory only has no files"
    header = weights.format.read_header(LocalFiles(checkpoint.path, checkpoint.source), weights.names)
    return _sizes(header, header.shape())


def _sizes(header: WeightsHeader, shape: Shape) -> Sizes:
    return Sizes(header.parameters, shape.layers, shape.width, shape.vocabulary)


def _refusal(
    name: str, context: int, longest_context: int | None, download: int, cost: Cost, machine: Machine
) -> str | None:
    """The first reason why it cannot run on this machine, with a remedy."""
    if longest_context is not None and context > longest_context:
        return (
            f"{name} reads {longest_context:,} tokens at most and the context was {context:,}; "
            f"expected no more: ask for a context of {longest_context:,}."
        )
    if download > machine.disk:
        return (
            f"{name} needs a download of {format_size(download)} and the disk has {format_size(machine.disk)} free; "
            "expected room for it: delete something, or set HF_HOME to a larger disk."
        )
    for memory, needed, free in (
        ("GPU memory", cost.device_memory, sum(gpu.free for gpu in machine.gpus)),
        ("memory", cost.memory, machine.memory),
    ):
        if needed > free:
            return (
                f"{name} needs about {format_size(needed)} of {memory} and this machine has {format_size(free)} free; "
                "expected a model that fits: choose a smaller one, ask for dtype bfloat16, or use a larger machine."
            )
    return None
