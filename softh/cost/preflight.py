"""Before anything heavy: what a model is and what its estimate will cost, from config and headers alone."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from softh.checkpoints import hub, resolve
from softh.checkpoints.config import read_shape
from softh.checkpoints.files import INDEX, SETTINGS, UPLOAD, Weights, choose, digest, names_in, parse_json, read_json
from softh.checkpoints.gguf_header import GgufHeader, parse_gguf, read_gguf
from softh.checkpoints.resolve import Checkpoint
from softh.checkpoints.safetensors_header import Tensor, header_length, parse_safetensors, read_safetensors, unite
from softh.cost import predict
from softh.cost.hardware import Machine, this_machine
from softh.cost.predict import Cost, Sizes
from softh.errors import InputError
from softh.spec import EstimateSpec

_FIRST = 1 << 17
"""Bytes asked for first: nearly every header fits."""
_GGUF_HEADS = (1 << 22, 1 << 25, 1 << 27)
"""Bytes of a GGUF file asked for, one after another: its vocabulary is in its head."""
_LARGEST_SETTING = 16_000_000
_HASHED = 2 * 10**9
"""Bytes of local weights that are hashed while somebody waits."""
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Preflight:
    """What is known of a model and its estimate before either is loaded. Costs are estimates; say so."""

    spec: EstimateSpec
    revision: str
    """Branch, tag or commit as asked; ``local`` for a folder, file or upload."""
    digest: str | None
    """Of the checkpoint: the commit of a hub model, else SHA-256 of the files; None for local files of more than 2 GB,
    which would take long to read."""
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
    """Bytes that are not on this machine yet."""
    cost: Cost
    refusal: str | None
    """Why it cannot run here and what to do, one sentence; None when it can."""

    @property
    def key(self) -> tuple[str, str | None]:
        """Canonical specification and digest: a stored estimate with both in its columns answers the same question."""
        return self.spec.canonical(), self.digest


class _Found(NamedTuple):
    """What the files of a model say, wherever they are."""

    architecture: str
    causal: bool
    sizes: Sizes
    longest_context: int | None
    dtype: str
    weights: str
    bytes: int


def preflight(
    spec: EstimateSpec, history: Iterable[Mapping[str, Any]] = (), machine: Machine | None = None
) -> Preflight:
    """Look at a model without loading it: a hub id by range requests, a folder, a .gguf file or an upload by its heads.

    history: see :func:`softh.cost.predict.cost`. Takes a fraction of a second, and on the hub a few requests.
    Errors: InputError for a model that is missing, unreachable, gated, damaged or of an unknown architecture. One that
    is sound and does not fit has a `refusal` instead.
    """
    machine = machine or this_machine()
    name, revision, download = spec.model, spec.revision or "main", 0
    if not resolve.is_local(spec.model):
        sha, found, download = _on_hub(spec.model, revision)
    else:
        located = resolve.locate(spec.model, spec.revision)
        name, revision, (sha, found) = located.name, "local", _local(spec.model, located)
    price = predict.cost(spec, found.sizes, machine, history)
    return Preflight(
        spec, revision, sha, found.architecture, found.causal, found.sizes.parameters, found.sizes.layers,
        found.sizes.width, found.sizes.vocabulary, found.longest_context, found.dtype, found.weights, found.bytes,
        download, price, _refusal(name, spec.context, found, download, price, machine),
    )  # fmt: skip


def _on_hub(model: str, revision: str) -> tuple[str, _Found, int]:
    sha, sizes = hub.listing(model, revision)
    weights = choose(set(sizes), model)
    needed = {*weights.files, *(() if weights.gguf else SETTINGS & set(sizes))}
    download = sum(sizes[name] for name in hub.absent(model, sha, needed))
    total = sum(sizes[name] for name in weights.files if name != INDEX)
    if weights.gguf:
        return sha, _gguf(_hub_gguf(model, sha, weights.gguf, total), total), download

    def settings(name: str) -> dict[str, Any]:
        return parse_json(hub.head(model, sha, name, _LARGEST_SETTING), name)

    def tensors(name: str) -> dict[str, Tensor]:
        start = hub.head(model, sha, name, min(_FIRST, sizes[name]))
        if header_length(start) > len(start):
            start = hub.head(model, sha, name, header_length(start))
        return parse_safetensors(io.BytesIO(start), sizes[name], name)

    config = settings("config.json")
    resolve.check_config(config, model)
    shards = [name for name in weights.files if name != INDEX]
    with ThreadPoolExecutor(8) as pool:
        files = dict(zip(shards, pool.map(tensors, shards), strict=True))
    index = settings(INDEX) if INDEX in weights.files else None
    return sha, _safetensors(config, unite(files, index, model), total, model), download


def _hub_gguf(model: str, sha: str, name: str, size: int) -> GgufHeader:
    for count in _GGUF_HEADS:
        if header := parse_gguf(hub.head(model, sha, name, count), size, name):
            return header
    raise InputError(f"{name} of {model} has a head of more than {_GGUF_HEADS[-1]:,} bytes or is truncated; expected a "
                     "complete GGUF file: choose another one.")  # fmt: skip


def _local(model: str, located: resolve.Located) -> tuple[str | None, _Found]:
    folder, weights, *_ = located
    total, found = _here(folder, weights, model)
    if model.startswith(UPLOAD):
        return model.removeprefix(UPLOAD), found
    return digest(folder, weights) if total <= _HASHED else None, found


def sizes_of(checkpoint: Checkpoint) -> Sizes:
    """The sizes of a checkpoint that is on this machine, from its headers."""
    gguf = checkpoint.gguf
    weights = Weights((gguf,), gguf) if gguf else choose(names_in(checkpoint.path), checkpoint.source)
    return _here(checkpoint.path, weights, checkpoint.source)[1].sizes


def _here(folder: Path, weights: Weights, source: str) -> tuple[int, _Found]:
    """Bytes of the weights of a folder, and what its files say."""
    total = sum((folder / name).stat().st_size for name in weights.files if name != INDEX)
    if weights.gguf:
        return total, _gguf(read_gguf(folder / weights.gguf), total)
    config = read_json(folder / "config.json")
    resolve.check_config(config, source)
    files = {name: read_safetensors(folder / name) for name in weights.files if name != INDEX}
    index = read_json(folder / INDEX) if INDEX in weights.files else None
    return total, _safetensors(config, unite(files, index, source), total, source)


def _safetensors(config: Mapping[str, Any], tensors: Mapping[str, Tensor], total: int, source: str) -> _Found:
    shape = read_shape(config, source)
    parameters = sum(tensor.size for tensor in tensors.values())
    types: Counter[str] = Counter()
    for tensor in tensors.values():
        types[tensor.dtype] += tensor.size
    common = types.most_common(1)[0][0] if types else "unknown"
    method = (config.get("quantization_config") or {}).get("quant_method")
    return _Found(
        shape.architecture,
        shape.causal,
        Sizes(parameters, shape.layers, shape.width, shape.vocabulary),
        shape.longest_context,
        _NAMES.get(common, common),
        f"safetensors quantised by {method}" if method else "safetensors",
        total,
    )


def _gguf(header: GgufHeader, total: int) -> _Found:
    sizes = Sizes(header.parameters, header.layers or 1, header.width or 1, header.vocabulary or 1)
    kind = f"GGUF {header.quantisation}"
    return _Found(
        header.architecture,
        True,  # only decoders are converted to GGUF for transformers
        sizes,
        header.longest_context,
        header.quantisation,
        f"dequantised {kind}" if header.quantised else kind,
        total,
    )


def _refusal(name: str, context: int, found: _Found, download: int, price: Cost, machine: Machine) -> str | None:
    """The first reason why it cannot run here, with a remedy."""
    if found.longest_context is not None and context > found.longest_context:
        return (
            f"{name} reads {found.longest_context:,} tokens at most and the context was {context:,}; "
            f"expected no more: ask for a context of {found.longest_context:,}."
        )
    if download > machine.disk:
        return (
            f"{name} needs a download of {_gb(download)} and the disk has {_gb(machine.disk)} free; "
            "expected room for it: delete something, or set HF_HOME to a larger disk."
        )
    for what, needed, there in (
        ("GPU memory", price.device_memory, sum(gpu.free for gpu in machine.gpus)),
        ("memory", price.memory, machine.memory),
    ):
        if needed > there:
            return (
                f"{name} needs about {_gb(needed)} of {what} and this machine has {_gb(there)} free; "
                "expected a model that fits: choose a smaller one, ask for dtype bfloat16, or use a larger machine."
            )
    return None


def _gb(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
