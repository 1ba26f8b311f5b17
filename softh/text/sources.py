"""Where text comes from: CPython's own documentation, C4 on the hub, and files of this machine."""

import glob
from collections.abc import Mapping
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub.errors import HTTPError

from softh.errors import InputError

PASSAGE = 1000
"""Characters that a passage of python-docs has at least."""
BUFFER = 10_000
"""Documents of C4 that the stream shuffles among."""

_LOADERS = {".jsonl": "json", ".json": "json", ".txt": "text", ".parquet": "parquet"}
_TEXT = ("text", "content", "document")


def python_docs() -> list[str]:
    """Passages of at least PASSAGE characters, cut between paragraphs, none of two topics, none told twice."""
    try:
        from pydoc_data.topics import topics
    except ModuleNotFoundError:
        raise InputError(
            "corpus was python-docs, which this Python was installed without: choose file:PATH or c4."
        ) from None
    seen: set[str] = set()
    return [passage for name in sorted(topics) for passage in _passages(_unseen(topics[name], seen))]


def _unseen(topic: str, seen: set[str]) -> list[str]:
    """Paragraphs of a topic that no earlier topic had: they quote each other, a fifth of the text is there twice."""
    paragraphs = []
    for paragraph in topic.split("\n\n"):
        words = " ".join(paragraph.split())
        if words not in seen:
            seen.add(words)
            paragraphs.append(paragraph)
    return paragraphs


def _passages(paragraphs: list[str]) -> list[str]:
    done: list[str] = []
    current = ""
    for paragraph in paragraphs:
        current = f"{current}\n\n{paragraph}" if current else paragraph
        if len(current) >= PASSAGE:
            done.append(current)
            current = ""
    if current and done:  # what is left over is too short to stand alone
        done[-1] += f"\n\n{current}"
    return done


def c4(documents: int, seed: int) -> list[str]:
    """Documents of the English validation split, in the order of a stream shuffled by the seed."""
    with TemporaryDirectory() as scratch:
        try:
            # The files of the English validation split by name: the card alone would make datasets open the others too.
            files = {"validation": "en/c4-validation.*.json.gz"}
            stream = _stream(scratch, "allenai/c4", data_files=files, split="validation")
            rows = stream.shuffle(seed=seed, buffer_size=BUFFER).take(documents)
            return [row["text"] for row in rows if row["text"].strip()]
        except (HTTPError, OSError) as error:
            raise InputError(
                f"corpus was c4, and the hub could not be reached ({type(error).__name__}): "
                "check the network, or choose python-docs or file:PATH."
            ) from error


def file(path: Path) -> tuple[list[str], str]:
    """Every text of a local file, and the name of the column that held them."""
    loader = _LOADERS.get(unpacked(path).suffix)
    if loader is None:
        raise InputError(f"corpus was {path.name}; expected .jsonl, .txt (also .xz, .gz) or .parquet: convert it.")
    if not path.is_file():
        raise InputError(f"corpus was file:{path}, and no file is there; expected documents: check the path.")
    settings = {"sample_by": "paragraph"} if loader == "text" else {}
    with TemporaryDirectory() as scratch:
        try:
            # Brackets and stars of a path are letters, not patterns.
            stream = _stream(scratch, loader, data_files=glob.escape(str(path)), split="train", **settings)
            column = "text" if loader == "text" else _column(stream.features or {}, path)
            rows = [row[column] for row in stream.select_columns([column])]
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, EOFError, LZMAError, StopIteration) as error:
            raise InputError(
                f"{path.name} cannot be read ({' '.join(str(error).split())[:200] or 'it is empty'}); "
                f"expected a complete {loader} file: make it again."
            ) from error
    return [text for text in rows if isinstance(text, str) and text.strip()], column


def unpacked(path: Path) -> Path:
    """The name of a packed file without its .xz or .gz."""
    return path.with_suffix("") if path.suffix in {".xz", ".gz"} else path


def _stream(scratch: str, path: str, **arguments: Any) -> Any:
    """A streamed dataset; what it writes of its own goes to ``scratch``, never into a cache to look after."""
    from datasets import load_dataset

    return load_dataset(path, streaming=True, cache_dir=scratch, **arguments)


def _column(features: Mapping[str, Any], path: Path) -> str:
    strings = [name for name, kind in features.items() if getattr(kind, "dtype", "") in {"string", "large_string"}]
    for name in (*_TEXT, *(strings if len(strings) == 1 else ())):
        if name in strings:
            return name
    found = ", ".join(features) or "none"
    raise InputError(f"{path.name} has columns {found}; expected text in a column called text: rename one.")
