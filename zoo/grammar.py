"""Grammatical minimal pairs: templates over words of old fiction; the first sentence is right, the second wrong.

Both sentences of a pair hold the same number of words and differ in exactly one, so the total log-likelihoods compare.
"""

from collections.abc import Callable, Iterator

import numpy as np

Pair = tuple[str, str]

PEOPLE = (
    *("gentleman gentlemen", "lady ladies", "servant servants", "soldier soldiers", "child children", "boy boys"),
    *("girl girls", "doctor doctors", "sailor sailors", "farmer farmers", "stranger strangers", "neighbour neighbours"),
    *("officer officers", "woman women", "man men", "merchant merchants", "sister sisters", "brother brothers"),
)
THINGS = (
    *("letter letters", "book books", "house houses", "window windows", "door doors", "table tables", "horse horses"),
    *("picture pictures", "candle candles", "carriage carriages", "garden gardens", "chair chairs", "room rooms"),
    *("ship ships", "road roads", "tree trees", "stone stones", "lamp lamps", "story stories", "key keys"),
)
PLACES = (
    "in the room",
    "near the door",
    "by the river",
    "at the window",
    "in the garden",
    "on the road",
    "under the tree",
)
STATES = ("tired", "ready", "silent", "happy", "young", "late", "pleased", "afraid", "honest", "alone")
LOOKS = ("old", "beautiful", "small", "dark", "strange", "broken", "new", "heavy", "white", "pretty")
SAW = ("saw", "knew", "loved", "watched", "followed", "admired", "visited", "feared", "helped", "blamed")
ARRIVED = ("arrived", "slept", "smiled", "laughed", "died", "wept", "vanished", "fainted", "trembled", "waited")
DONE = (
    "gone went",
    "fallen fell",
    "risen rose",
    "spoken spoke",
    "begun began",
    "awoken awoke",
    "sung sang",
    "swum swam",
)
DONE_TO = (
    *("seen saw", "taken took", "chosen chose", "broken broke", "forgotten forgot", "known knew", "given gave"),
    *(
        "stolen stole",
        "hidden hid",
        "drawn drew",
        "shaken shook",
        "thrown threw",
        "mistaken mistook",
        "forsaken forsook",
    ),
)
BASES = (
    *("go goes", "see sees", "speak speaks", "stay stays", "leave leaves", "sleep sleeps", "write writes"),
    *("come comes", "wait waits", "laugh laughs", "listen listens", "answer answers", "return returns", "begin begins"),
)
COMPARED = ("older old", "taller tall", "richer rich", "wiser wise", "younger young", "stronger strong", "kinder kind")
VOWELS = ("old", "empty", "ugly", "open", "elegant", "ancient", "ordinary", "excellent", "immense", "odd", "uncommon")
CONSONANTS = ("new", "small", "dark", "broken", "heavy", "white", "pretty", "large", "narrow", "curious", "familiar")
MEN = ("John", "Henry", "George", "William", "Thomas", "Edward", "Charles", "Robert", "my father", "the king")
WOMEN = ("Mary", "Jane", "Alice", "Elizabeth", "Margaret", "Emily", "Anne", "Charlotte", "my mother", "the queen")
HURT = ("hurt", "blamed", "saw", "dressed", "found", "deceived", "praised", "killed", "reproached", "amused")
GIFTS = ("letter", "book", "picture", "candle", "key", "lamp", "ring", "basket", "parcel", "flower", "story", "paper")
MODALS = ("could", "would", "must", "might", "should", "did not", "could not", "would not")


class Draw:
    """Picks words at random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, words: tuple[str, ...]) -> str:
        """One of the words."""
        return words[self.random.integers(len(words))]

    def two(self, words: tuple[str, ...]) -> tuple[str, str]:
        """The two halves of one of the words, by its space."""
        first, second = self.one(words).split()
        return first, second

    def people(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Two different people, each in singular and plural."""
        first, second = self.two(PEOPLE), self.two(PEOPLE)
        return (first, second) if first != second else self.people()

    def coin(self) -> bool:
        """True half of the time."""
        return bool(self.random.integers(2))


def _agreement(draw: Draw) -> Pair:
    noun, plural = draw.two(PEOPLE)
    right, wrong, subject = ("were", "was", plural) if draw.coin() else ("was", "were", noun)
    rest = f"{draw.one(STATES)} {draw.one(PLACES)}."
    return f"The {subject} {right} {rest}", f"The {subject} {wrong} {rest}"


def _agreement_across_phrase(draw: Draw) -> Pair:
    (noun, plural), (other, others) = draw.two(THINGS), draw.two(PEOPLE)
    many = draw.coin()
    right, wrong = ("were", "was") if many else ("was", "were")
    # The nearer noun has the other number, so that the nearest noun misleads.
    subject = f"{plural} of the {other}" if many else f"{noun} of the {others}"
    look = draw.one(LOOKS)
    return f"The {subject} {right} {look}.", f"The {subject} {wrong} {look}."


def _agreement_across_clause(draw: Draw) -> Pair:
    (noun, plural), (other, others) = draw.people()
    many = draw.coin()
    right, wrong = ("were", "was") if many else ("was", "were")
    subject, object_ = (plural, other) if many else (noun, others)
    start, state = f"The {subject} who {draw.one(SAW)} the {object_}", draw.one(STATES)
    return f"{start} {right} {state}.", f"{start} {wrong} {state}."


def _reflexive(draw: Draw) -> Pair:
    his = draw.coin()
    name, right, wrong = (draw.one(MEN), "himself", "herself") if his else (draw.one(WOMEN), "herself", "himself")
    start, place = _capital(f"{name} {draw.one(HURT)}"), draw.one(PLACES)
    return f"{start} {right} {place}.", f"{start} {wrong} {place}."


def _determiner(draw: Draw) -> Pair:
    noun, plural = draw.two(THINGS)
    many = draw.coin()
    this = draw.one(("these", "those")) if many else "this"
    right, wrong = (plural, noun) if many else (noun, plural)
    verb = draw.one(("saw", "bought", "admired", "showed us", "found", "wanted"))
    start, place = _capital(f"{draw.one(MEN + WOMEN)} {verb} {this}"), draw.one(PLACES)
    return f"{start} {right} {place}.", f"{start} {wrong} {place}."


def _participle(draw: Draw) -> Pair:
    alone = draw.coin()
    right, wrong = draw.two(DONE if alone else DONE_TO)
    start = f"The {draw.one(draw.two(PEOPLE))} had already"
    rest = draw.one(PLACES) if alone else f"the {draw.two(THINGS)[0]} {draw.one(PLACES)}"
    return f"{start} {right} {rest}.", f"{start} {wrong} {rest}."


def _bare_verb(draw: Draw) -> Pair:
    right, wrong = draw.two(BASES)
    start, place = f"The {draw.one(draw.two(PEOPLE))} {draw.one(MODALS)}", draw.one(PLACES)
    return f"{start} {right} {place}.", f"{start} {wrong} {place}."


def _polarity(draw: Draw) -> Pair:
    (noun, plural), (other, _) = draw.people()
    seen = {"saw": "seen", "knew": "known"}
    verb = draw.one(SAW)
    rest = f"had ever {seen.get(verb, verb)} the {other} {draw.one(PLACES)}."
    if draw.coin():
        return f"No {noun} {rest}", f"{draw.one(('That', 'This', 'One'))} {noun} {rest}"
    return f"None of the {plural} {rest}", f"{draw.one(('Some', 'Many', 'Most'))} of the {plural} {rest}"


def _case(draw: Draw) -> Pair:
    right, wrong = draw.one(("me I", "him he", "her she", "us we", "them they")).split()
    gave = draw.one(("gave the {} to", "lent the {} to", "sent the {} to", "brought the {} for", "showed the {} to"))
    start = f"The {draw.two(PEOPLE)[0]} {gave.format(draw.one(GIFTS))}"
    place = draw.one(PLACES)
    return f"{start} {right} {place}.", f"{start} {wrong} {place}."


def _transitivity(draw: Draw) -> Pair:
    (subject, _), (_, objects) = draw.people()
    rest = f"the {objects} {draw.one(PLACES)}."
    return f"The {subject} {draw.one(SAW)} {rest}", f"The {subject} {draw.one(ARRIVED)} {rest}"


def _who_or_which(draw: Draw) -> Pair:
    person = draw.coin()
    noun, _ = draw.two(PEOPLE if person else THINGS)
    right, wrong = ("who", "which") if person else ("which", "who")
    if draw.coin():
        rest = f"stood {draw.one(PLACES)}."
        return f"It was the {noun} {right} {rest}", f"It was the {noun} {wrong} {rest}"
    rest = f"stood {draw.one(PLACES)} was {draw.one(STATES if person else LOOKS)}."
    return f"The {noun} {right} {rest}", f"The {noun} {wrong} {rest}"


def _article(draw: Draw) -> Pair:
    vowel = draw.coin()
    right, wrong = ("an", "a") if vowel else ("a", "an")
    rest = f"{draw.one(VOWELS if vowel else CONSONANTS)} {draw.two(THINGS)[0]} {draw.one(PLACES)}."
    return f"There was {right} {rest}", f"There was {wrong} {rest}"


def _comparative(draw: Draw) -> Pair:
    right, wrong = draw.two(COMPARED)
    (subject, _), (other, _) = draw.people()
    start, end = f"The {subject} was", f"than the {other} {draw.one(PLACES)}."
    return f"{start} {right} {end}", f"{start} {wrong} {end}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


PHENOMENA: dict[str, Callable[[Draw], Pair]] = {
    "agreement": _agreement,
    "agreement across a phrase": _agreement_across_phrase,
    "agreement across a clause": _agreement_across_clause,
    "reflexive": _reflexive,
    "determiner": _determiner,
    "participle": _participle,
    "bare verb": _bare_verb,
    "polarity": _polarity,
    "case": _case,
    "transitivity": _transitivity,
    "who or which": _who_or_which,
    "article": _article,
    "comparative": _comparative,
}


def pairs(phenomenon: str, count: int) -> list[Pair]:
    """`count` different pairs of one phenomenon, always the same ones."""
    return [pair for pair, _ in zip(_unique(PHENOMENA[phenomenon]), range(count), strict=False)]


def _unique(template: Callable[[Draw], Pair]) -> Iterator[Pair]:
    draw, seen = Draw(0), set()
    while True:
        pair = template(draw)
        if pair not in seen:
            seen.add(pair)
            yield pair
