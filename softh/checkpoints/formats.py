"""The registry of weights formats, and what is chosen and identified through it."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from softh.checkpoints.files import TOKENIZERS, settings_in
from softh.checkpoints.gguf_format import Gguf
from softh.checkpoints.layouts import check_adapter, check_layout, weights_in
from softh.checkpoints.safetensors_format import Safetensors
from softh.checkpoints.weights import WeightFiles, WeightsFormat
from softh.errors import InputError

FORMATS: tuple[WeightsFormat, ...] = (Safetensors(), Gguf())
"""In order of preference, for a folder that holds several."""
FILE_KINDS = " or ".join(f"{each.suffix} file" for each in FORMATS if each.self_contained)
"""Files that are a checkpoint by themselves, for sentences: ``.gguf file``."""


class RefusedFormat(NamedTuple):
    """Weight files that are recognised and not read."""

    suffixes: tuple[str, ...]
    reason: str
    """Follows the name of the model: ``has its weights only as …``."""
    remedy: str


PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
REFUSED = (
    RefusedFormat(
        PICKLES,
        "has its weights only as pickles, which can run code",
        "convert them",
    ),
    RefusedFormat(
        (".h5", ".msgpack", ".onnx"),
        "has its weights only in a format of TensorFlow, Flax or ONNX",
        "load it there and save it as a PyTorch model with save_pretrained",
    ),
)


def choose(names: set[str], source: str, read: Callable[[str], bytes] | None = None) -> WeightFiles:
    """The weight files of a folder, from its file names alone. read: the content of a file, to name an adapter's base.

    Errors: InputError when weights, config or tokenizer are missing, and when it is ambiguous which weights to use.

    >>> choose({"config.json", "tokenizer.json", "model.safetensors", "README.md"}, "mine").names
    ('model.safetensors',)
    """
    check_adapter(names, source, read)
    chosen = next((WeightFiles(each, files) for each in FORMATS if (files := each.select(names, source))), None)
    if chosen is not None and chosen.format.self_contained:
        return chosen
    if chosen is None:
        check_layout(names, source)
    if "config.json" not in names:
        raise InputError(f"{source} has no config.json; expected a model as transformers saves it: add the file.")
    _check_tokenizer(names, source)
    if chosen is None:
        check_not_refused(weights_in(names), source)
        raise InputError(
            f"{source} has no weights; expected model.safetensors, its shards or a {FILE_KINDS}: add them."
        )
    return chosen


def _check_tokenizer(names: set[str], source: str) -> None:
    complete = [files for files in TOKENIZERS if files <= names]
    save = "save it with AutoTokenizer.from_pretrained(…).save_pretrained(…) where it can be loaded"
    if not complete and (
        other := sorted(name for name in names if name == "tekken.json" or name.endswith(".tiktoken"))
    ):
        raise InputError(f"{source} has its tokenizer only as {other[0]}; expected tokenizer.json: {save}.")
    if not complete:
        raise InputError(f"{source} has no tokenizer; expected tokenizer.json beside the config: add the file.")
    pieces = {"tokenizer.model", "spiece.model"} & names
    if all(files <= pieces for files in complete) and find_spec("sentencepiece") is None:
        raise InputError(
            f"{source} has its tokenizer only as {min(pieces)}, which needs the package sentencepiece, not installed "
            f"here; expected tokenizer.json: run `pip install sentencepiece protobuf`, or {save}."
        )


def file_format(path: Path, source: str) -> WeightsFormat:
    """The format of a single file that is a checkpoint by itself. Errors: InputError for any other file."""
    check_not_refused({path.name}, source)
    for each in FORMATS:
        if each.self_contained and path.name.endswith(each.suffix):
            return each
    raise InputError(f"{source} is a single file; expected a folder or a {FILE_KINDS}: name the folder that holds it.")


def is_checkpoint_file(name: str) -> bool:
    """Whether a name ends like a file that is a checkpoint by itself, or like a pickle, rather than like a hub id.

    >>> is_checkpoint_file("SmolLM2-135M-Q4_1.gguf"), is_checkpoint_file("owner/model")
    (True, False)
    """
    return name.endswith((*(each.suffix for each in FORMATS if each.self_contained), *PICKLES))


def check_not_refused(names: set[str], source: str) -> None:
    """Errors: InputError when one of the files has weights in a format that is refused."""
    for refused in REFUSED:
        if any(name.endswith(refused.suffixes) for name in names):
            readable = " or ".join(each.name for each in FORMATS)
            raise InputError(f"{source} {refused.reason}; expected {readable}: {refused.remedy}.")


def digest(path: Path, weights: WeightFiles) -> str:
    """SHA-256, in hexadecimal, over weights, config, tokenizer and chat templates: all that decides numbers."""
    settings = set() if weights.format.self_contained else settings_in(path)
    names = sorted({*settings, *weights.names})
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock, so shards are read in parallel
        contents = pool.map(_content, [path / name for name in names])
        lines = "".join(f"{name} {content}\n" for name, content in zip(names, contents, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
