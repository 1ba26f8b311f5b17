"""Last-word cloze in the manner of LAMBADA: passages of held-out books whose last word needs the wider context.

Nobody read the passages; a passage is taken when all of this holds:

1. its last sentence ends in a word of at least four letters and a full stop, with at least six words before it;
2. the whole sentences before it, as few as make 60 words, leave it at 160 words at most;
3. the last word is no function word, stands in those sentences in the same form, and nowhere else in the last one;
4. the word is not the most frequent follower of the two words before it in the training books, so that the phrase
   alone does not give it away;
5. it is the first such passage of its document.

The first condition on the context (3) makes the word guessable, the others keep the last sentence from being enough.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo import tokens

LEAST, MOST, BEFORE, LETTERS = 60, 160, 6, 4
TRAINING_WORDS = 4_000_000
"""Words of the training books in which followers are counted."""

_WORDS = (
    "about above across after again against almost alone along already also although always among another answered "
    "anything around asked away back because been before behind being below beneath beside besides between beyond "
    "both cannot could cried does doing done down during each either else enough even ever every everything except "
    "from further have having here hers herself himself however indeed into itself just last least less like many "
    "mine more most much myself near neither never next nothing only onto other others ought ours ourselves over "
    "own perhaps quite rather replied said same shall should since some something somewhere still such than that "
    "thee their theirs them themselves then there therefore these they thine thing things this those thou though "
    "through thus together toward towards under until unto upon very well went were what whatever when whence where "
    "which while whole whom whose will with within without would your yours yourself"
)
FUNCTION_WORDS = frozenset(_WORDS.split())
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SENTENCE = re.compile(r"\S.*?[.!?][\"”’']?(?=\s|$)", re.DOTALL)
LAST = re.compile(r"\s([A-Za-z]+)\.$")


@dataclass(frozen=True)
class Passage:
    """A passage without its last word."""

    context: str
    """Ends right before the space in front of the word."""
    word: str


def prepare(library: tokens.Library, work: Path, count: int) -> list[Passage]:
    """At most `count` passages of the held-out books, found once and kept in the work folder."""
    path = work / f"cloze-{library.digest()}-{count}.json"
    if not path.exists():
        found = passages(library.heldout(), library.train(), count)
        rows = json.dumps([[passage.context, passage.word] for passage in found])
        tokens.write_atomically(path, lambda file: file.write(rows.encode()))
    return [Passage(context, word) for context, word in json.loads(path.read_text(encoding="utf-8"))]


def passages(heldout: list[str], training: list[str], count: int) -> list[Passage]:
    """At most `count` passages of held-out documents, one a document, in their order."""
    if not count:
        return []
    found = [list(_candidates(text)) for text in heldout]
    favourite = _favourites(training, {pair for several in found for pair, _ in several})
    chosen = [next((p for pair, p in several if favourite.get(pair) != p.word), None) for several in found]
    return [passage for passage in chosen if passage is not None][:count]


def _candidates(text: str) -> Iterator[tuple[tuple[str, str], Passage]]:
    """Passages that meet all conditions but those on followers and documents, with the two words before the last."""
    sentences = [(match.start(), match.end()) for match in SENTENCE.finditer(text)]
    for place, (start, end) in enumerate(sentences):
        last = LAST.search(text, start, end)
        if last is None:
            continue
        word, before = last[1], WORD.findall(text, start, last.start())
        if len(word) < LETTERS or word.lower() in FUNCTION_WORDS or len(before) < BEFORE or word in before:
            continue
        begin = _begin(text, sentences[:place], LEAST)
        if begin is None:
            continue
        context = WORD.findall(text, begin, start)
        if word in context and len(context) + len(before) < MOST:
            yield (before[-2], before[-1]), Passage(text[begin : last.start()], word)


def _begin(text: str, sentences: list[tuple[int, int]], least: int) -> int | None:
    """Where the fewest last sentences with `least` words begin; None when there are not so many words."""
    words = 0
    for start, end in reversed(sentences):
        words += len(WORD.findall(text, start, end))
        if words >= least:
            return start
    return None


def _favourites(training: list[str], pairs: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The most frequent follower of each pair of words in the first words of the training books."""
    followers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    seen = 0
    for text in training:
        words = WORD.findall(text)
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            if (first, second) in pairs:
                followers[first, second][third] += 1
        seen += len(words)
        if seen > TRAINING_WORDS:
            break
    return {pair: counts.most_common(1)[0][0] for pair, counts in followers.items()}
