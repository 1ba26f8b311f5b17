"""Books → token ids: our byte-level BPE, the three data qualities, and the order in which a run sees them."""

import hashlib
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from softh.errors import InputError
from softh.store import atomic
from softh.text import corpus, sources
from softh.text.corpus import Corpus
from zoo.recipe import Quality, Run

END = "<|endoftext|>"
VOCABULARY = 8192
TOKENIZER = Path(__file__).parent / "tokenizer"
BOOKS = 64
"""Books tokenised together."""
BUILT_IN = Path("python-docs")
"""The name, in place of a folder, of the text that every Python carries."""


def read_texts(path: Path, limit: int | None = None, column: str = "text") -> list[str]:
    """The ``text`` of every row of a JSON-lines file, plain or xz, or of the first rows; or another column."""
    opener = lzma.open if path.suffix == ".xz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as rows:
            return [json.loads(row)[column] for row in islice(rows, limit)]
    except OSError as error:
        raise InputError(
            f"The text {path} could not be read ({error.strerror or error}); expected books as JSON lines: "
            f"give their folder with --text, or --text {BUILT_IN} for the text that Python carries."
        ) from None


@dataclass(frozen=True)
class Library:
    """The books to learn from and those held out; or Python's own documentation in their place."""

    folder: Path
    limit: int | None = None
    """Training books at most."""

    def train(self) -> list[str]:
        """One text a book."""
        if self.built_in:
            return [text for i, text in enumerate(_topics()) if i % 10]
        return read_texts(self.folder / "books-train.jsonl.xz", self.limit)

    def heldout(self) -> list[str]:
        """Documents of other books."""
        return _topics()[::10] if self.built_in else read_texts(self.folder / "books-heldout.jsonl.xz")

    def common(self, documents: int, seed: int) -> Corpus:
        """A sample of the default text, on which every model compares.

        The file that :meth:`write_common` left beside the books is read where its package is not installed.
        """
        path = self.folder / f"{sources.DEFAULT}.jsonl"
        if self.built_in or not path.exists():
            return corpus.load(sources.DEFAULT, documents, seed)
        texts, books = read_texts(path), read_texts(path, column="source")
        return corpus.sample(sources.DEFAULT, texts, documents, seed, "Written by `python -m zoo text`.", books)

    def write_common(self) -> Path:
        """Write the whole default text beside the books, in the order that it is sampled from; the path."""
        path = self.folder / f"{sources.DEFAULT}.jsonl"
        rows = "".join(json.dumps({"text": text, "source": book}) + "\n" for text, book in sources.modern_speech())
        write_atomically(path, lambda file: file.write(rows.encode()))
        return path

    @property
    def built_in(self) -> bool:
        """Whether this is the text that every Python carries."""
        return self.folder == BUILT_IN

    def digest(self) -> str:
        """Sixteen hexadecimal digits that name the texts and the tokenizer."""
        parts = [(TOKENIZER / "tokenizer.json").read_bytes(), str(self.limit).encode()]
        if self.built_in:
            parts += [text.encode() for text in _topics()]
        else:
            parts += [path.read_bytes() for path in sorted(self.folder.glob("books-*.jsonl.xz"))]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _topics() -> list[str]:
    from pydoc_data.topics import topics  # some systems ship Python without it

    return [topics[name] for name in sorted(topics)]


def train_tokenizer(texts: list[str], vocabulary: int = VOCABULARY, folder: Path = TOKENIZER) -> None:
    """Train a byte-level BPE on the texts and save it; deterministic."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, clean_up_tokenization_spaces=False).save_pretrained(
        folder
    )


def load_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the whole zoo."""
    return PreTrainedTokenizerFast.from_pretrained(TOKENIZER)


def prepare(library: Library, work: Path) -> Path:
    """Tokenise the training books once; the path of their ids, kept in the work folder by what they came from."""
    path = work / f"tokens-{library.digest()}.npy"
    if not path.exists():
        bpe, texts = load_tokenizer().backend_tokenizer, library.train()
        end = [bpe.token_to_id(END)]
        rows = [
            np.array(encoding.ids + end, dtype=np.uint16)
            for start in range(0, len(texts), BOOKS)  # all at once would take gigabytes
            for encoding in bpe.encode_batch_fast(texts[start : start + BOOKS])
        ]
        write_atomically(path, lambda file: np.save(file, np.concatenate(rows)))
    return path


def write_atomically(path: Path, write: Callable[[Any], object]) -> None:
    """Write a file under another name, make sure the disk has it, and give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as new, new.open("wb") as file:
        write(file)


def degrade(ids: np.ndarray, quality: Quality, seed: int = 0) -> np.ndarray:
    """The training text in the asked quality.

    ``shuffled``: half of the words of every book, chosen at random, change places with each other.
    ``repeated``: the first thirty-second of the text, over and over.
    """
    if quality == "repeated":
        return ids[: len(ids) // 32]
    if quality == "shuffled":
        return _shuffle_words(ids, np.random.default_rng(seed))
    return ids


def _shuffle_words(ids: np.ndarray, random: np.random.Generator) -> np.ndarray:
    end = load_tokenizer().eos_token_id
    starts = word_starts()[ids]
    starts[0] = True
    begin = np.flatnonzero(starts)  # [words]
    length = np.diff(np.append(begin, len(ids)))
    order = np.arange(len(begin))
    ends = np.flatnonzero(ids[begin] == end)
    for first, last in zip(np.append(-1, ends[:-1]) + 1, ends, strict=True):
        chosen = first + np.flatnonzero(random.random(last - first) < 0.5)
        order[chosen] = random.permutation(chosen)
    # The token at place j of the k-th word in the new order is the token at place j of word order[k].
    moved = length[order]
    within = np.arange(len(ids)) - np.repeat(np.cumsum(moved) - moved, moved)
    return ids[np.repeat(begin[order], moved) + within]


def word_starts() -> np.ndarray:
    """Whether a token begins a word: a space, a line break or the end of a book. Shape ``[vocabulary]``."""
    tokenizer = load_tokenizer()
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return np.array([token.startswith(("Ġ", "Ċ", END)) for token in tokens])


def order(run: Run, length: int, steps: range) -> np.ndarray:
    """First tokens of the sequences that the steps see, ``[steps, batch]``: a pure function of seed and step.

    Sequences do not overlap; every epoch takes them in a new random order.
    """
    chunks = (length - 1) // run.context
    if chunks < 1:
        raise InputError(f"The text has {length} tokens; expected more than {run.context} for {run.name}: add text.")
    wanted = np.arange(steps.start * run.batch, steps.stop * run.batch)
    epochs = wanted // chunks
    starts = np.empty_like(wanted)
    for epoch in np.unique(epochs):
        shuffled = np.random.default_rng([run.seed, int(epoch)]).permutation(chunks)
        starts[epochs == epoch] = shuffled[wanted[epochs == epoch] % chunks]
    return (starts * run.context).reshape(-1, run.batch)
