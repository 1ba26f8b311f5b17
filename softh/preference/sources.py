"""Rows of preference data: a random sample of a .jsonl, .json or .parquet file, or of a data set of the hub."""

import gzip
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np
from huggingface_hub.errors import HTTPError

from softh.errors import InputError

Rows = list[tuple[int, dict[str, Any]]]
"""(number of the row in the source, row)."""

BUFFER = 10_000
"""Shuffle buffer of a stream from the hub, in rows."""
LONGEST = 1 << 24
"""Most characters of a line."""
MOST_BLANK = 100_000
"""Most blank lines between two rows: a packed file of nothing else would take minutes to read."""

_ROW = "number of the row in the file"
"""Column of a table while it is sampled; no table has one of this name."""
_SPLITS = {"HuggingFaceH4/ultrafeedback_binarized": "train_prefs"}
_FILES = (".jsonl", ".json", ".parquet")
_OPEN: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open}
_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")


def title(name: str) -> str:
    """Name of a source in the tables.

    >>> title("data/pairs.jsonl.gz"), title("Anthropic/hh-rlhf@test")
    ('pairs', 'Anthropic/hh-rlhf@test')
    """
    path = local(name)
    return name if path is None else _plain(path).stem


def local(name: str) -> Path | None:
    """The file that a name means, or None for an id of the hub.

    Raises:
        InputError: for a name that is neither.
    """
    path = Path(name.removeprefix("file:")).expanduser()
    if name.startswith("file:") or _plain(path).suffix in _FILES or path.exists():
        return path
    if _HUB.fullmatch(name):
        return None
    raise InputError(
        f"pairs was {name!r}; expected a .jsonl or .parquet file, or the id of a data set of the hub such as "
        "Anthropic/hh-rlhf: give one."
    )


def rows(name: str, limit: int, seed: int) -> tuple[Rows, int]:
    """Sample at most `limit` rows of a source, in its order.

    Returns the rows, and how many the source has (of a stream, how many were read).

    Raises:
        InputError: for a file that is missing, damaged or of another format, and for a data set that cannot be read.
    """
    path = local(name)
    if path is None:
        return _hub(name, limit, seed)
    if not path.is_file():
        raise InputError(f"pairs was {name}, and no file is there; expected preference pairs: check the path.")
    kind = _plain(path).suffix
    if kind == ".parquet":
        return _parquet(path, limit, seed)
    if kind in _FILES:
        return _json(path, limit, seed)
    raise InputError(f"pairs was {path.name}; expected .jsonl (also .xz, .gz), .json or .parquet: convert it.")


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in _OPEN else path


def _json(path: Path, limit: int, seed: int) -> tuple[Rows, int]:
    try:
        with _OPEN.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            if _plain(path).suffix == ".json" and (whole := _array(file)) is not None:
                numbers = _sample(len(whole), limit, seed)
                return [(number, _row(whole[number], number, path)) for number in numbers], len(whole)
            lines, total = _reservoir(_lines(file, path), limit, seed)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} cannot be read ({str(error) or 'it ends too soon'}); expected complete UTF-8 text: write "
            "it again."
        ) from error
    return [(number, _row(_parsed(line, number, path), number, path)) for number, line in lines], total


def _array(file: TextIO) -> list[Any] | None:
    """The rows of a file that is one JSON array, or None for one row a line."""
    first = file.read(1)
    file.seek(0)
    if first != "[":
        return None
    try:
        return json.load(file)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The file is not a complete JSON array ({error}): write it again, or one row a line."
        ) from None


def _lines(file: TextIO, path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank, each of bounded length."""
    last = -1
    for number, line in enumerate(iter(lambda: file.readline(LONGEST), "")):
        if len(line) == LONGEST:
            raise InputError(
                f"Line {number + 1} of {path.name} has no end; expected one row of JSON a line: make it so."
            )
        if line.strip():
            last = number
            yield number, line
        elif number - last > MOST_BLANK:
            raise InputError(
                f"{path.name} has more than {MOST_BLANK:,} blank lines after line {last + 1}; expected one row of JSON "
                "a line: remove them."
            )


def _reservoir(lines: Iterator[tuple[int, str]], limit: int, seed: int) -> tuple[list[tuple[int, str]], int]:
    """A uniform sample of lines, in order, without storing the others, and how many there were."""
    random = np.random.default_rng(seed)
    sample: list[tuple[int, str]] = []
    total = 0
    for total, line in enumerate(lines, start=1):
        if total <= limit:
            sample.append(line)
        elif (index := int(random.integers(total))) < limit:
            sample[index] = line
    return sorted(sample), total


def _parsed(line: str, number: int, path: Path) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Line {number + 1} of {path.name} is not JSON ({error}); expected one row a line: correct it."
        ) from None


def _row(value: Any, number: int, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InputError(f"Row {number + 1} of {path.name} is a {kind}; expected named columns: make it an object.")
    return value


def _sample(total: int, limit: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).permutation(total)[:limit].tolist())


def _parquet(path: Path, limit: int, seed: int) -> tuple[Rows, int]:
    import polars as pl  # the zoo's machines have none, and read JSON lines

    try:
        table = pl.scan_parquet(path, glob=False)
        total = int(table.select(pl.len()).collect().item())
        numbers = _sample(total, limit, seed)
        sample = table.with_row_index(_ROW).filter(pl.col(_ROW).is_in(numbers))
        return [(row.pop(_ROW), row) for row in sample.collect(engine="streaming").to_dicts()], total
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name} cannot be read ({reason}); expected a complete Parquet file: write it again."
        ) from None


def _hub(name: str, limit: int, seed: int) -> tuple[Rows, int]:
    from datasets import load_dataset  # only this source needs it

    repository, _, split = name.partition("@")
    with TemporaryDirectory() as scratch:
        try:
            split = split or _SPLITS.get(repository, "train")
            stream = load_dataset(repository, split=split, streaming=True, cache_dir=scratch)
            sample = stream.shuffle(seed=seed, buffer_size=BUFFER).take(limit)
            rows = [(number, dict(row)) for number, row in enumerate(sample)]
        except (HTTPError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"pairs was {name}, which the hub does not give ({type(error).__name__}: {reason}): check the name and "
                "the network, or give a file."
            ) from error
    return rows, len(rows)
