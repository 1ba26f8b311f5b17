"""Examine an upload in quarantine and rebuild its settings, in a sandboxed process.

``python -m softh.uploads.examine FOLDER SOURCE`` prints the result as JSON, or one sentence and exits with 2.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from softh.checkpoints.config import check_fit, read_shape
from softh.checkpoints.files import read_json
from softh.checkpoints.formats import choose, digest
from softh.checkpoints.layouts import check_here
from softh.checkpoints.safetensors_format import INDEX, as_read, check_tensors
from softh.checkpoints.safetensors_header import FLOATS, TensorInfo, check_finite, merge_shards, read_safetensors, short
from softh.checkpoints.weights import WeightFiles
from softh.errors import InputError
from softh.uploads import config_filter
from softh.uploads.quarantine import disk_errors

_SAMPLE = "What a model keeps, and what it forgets: 3.14 — naïve 日本語 \n\tdef f(x): return x"
_LEAST_SHARE = 0.5
"""Least ratio of tokens to rows of the embedding for a tokenizer of the same model."""


def examine(folder: Path, source: str) -> dict[str, Any]:
    """Check the files of a folder and rewrite its settings; returns a description of the model as plain values.

    Afterwards nothing in the folder loads code. Errors: InputError for anything missing, damaged, unsafe, or in
    contradiction to another part.
    """
    names = {path.name for path in folder.iterdir()}
    check_here(folder)
    weights = _weights(names, source)
    config, removed = config_filter.clean_config(read_json(folder / "config.json"), source)
    shape = read_shape(as_read(config, source), source)
    files = {name: read_safetensors(folder / name) for name in weights.names if name != INDEX}
    tensors = merge_shards(files, read_json(folder / INDEX) if INDEX in names else None, source)
    check_tensors(config, tensors, source)
    table = check_fit(shape, config, tensors, source)
    _check_types(tensors, source)
    removed += _rewrite(folder, names, config)
    _check_tokenizer(folder, table.shape[0], source)
    for name, content in files.items():
        check_finite(folder / name, content)
    return {
        "digest": digest(folder, weights),
        "architecture": shape.architecture,
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "layers": shape.layers,
        "width": shape.width,
        "left_out": removed,
    }


def _weights(names: set[str], source: str) -> WeightFiles:
    weights = choose(names, source)
    shards = {name for name in names if name.endswith(".safetensors")}
    if "model.safetensors" in shards and len(shards) > 1:
        raise InputError(f"{source} has both whole and split weights; expected one of them: remove the other.")
    return weights


def _check_types(tensors: Mapping[str, TensorInfo], source: str) -> None:
    for name, tensor in tensors.items():
        if name.endswith(".weight") and tensor.dtype not in FLOATS:
            raise InputError(
                f"{source} has weights of type {tensor.dtype} in {short(name)}; "
                "expected float32, float16 or bfloat16: save the model in one of them."
            )


def _rewrite(folder: Path, names: set[str], config: dict[str, Any]) -> list[str]:
    """Replace the settings by rebuilt ones; returns the names of the tokenizer settings that were removed."""
    given = read_json(folder / "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    tokenizer, removed = config_filter.clean_tokenizer(given)
    _write(folder / "config.json", config)
    _write(folder / "tokenizer_config.json", tokenizer)
    for name in names & {"special_tokens_map.json", "added_tokens.json"}:
        _write(folder / name, config_filter.clean_tokens(read_json(folder / name)))
    return removed


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def _check_tokenizer(folder: Path, rows: int, source: str) -> None:
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids = tokenizer.encode(_SAMPLE, add_special_tokens=True).ids
    except Exception as error:  # the library raises nothing more specific
        raise InputError(
            f"tokenizer.json of {source} cannot be used ({short(str(error))}); "
            "expected a fast tokenizer: save it again."
        ) from error
    known = tokenizer.get_vocab(with_added_tokens=True)
    largest = max([*known.values(), *ids], default=-1)
    if largest >= rows or len(known) < _LEAST_SHARE * rows or not ids:
        raise InputError(
            f"{source} has a tokenizer of {len(known):,} tokens with ids up to {largest:,} and an embedding of "
            f"{rows:,} rows; expected a tokenizer that belongs to the model: use its own."
        )


def main() -> None:
    """Examine one folder."""
    try:
        with disk_errors():
            description = examine(Path(sys.argv[1]), sys.argv[2])
    except InputError as error:
        sys.stdout.write(str(error))
        sys.exit(2)
    sys.stdout.write(json.dumps(description))


if __name__ == "__main__":
    main()
