"""Every control of the pages, and its name in the URL: a view is a link, and a link is a view."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.controls import links, session
from dashboard.controls.links import current, note, requested
from dashboard.data import queries
from dashboard.data.queries import Selection
from dashboard.data.rows import Display
from dashboard.view import Empty
from softh.format import and_more
from softh.quantities import CORRECTION_NAMES, NGRAMS

T = TypeVar("T", str, bool, float | None, list[str])


def draw() -> None:
    """The shared controls, in the sidebar: corpus, settings, n-gram order and correction."""
    session.SELECTION.set(_shared())


def shared() -> Selection:
    """What the shared controls say."""
    return (None if current() else session.SELECTION.get()) or _shared()


def _shared() -> Selection:
    if not (setups := queries.setups()):
        raise Empty("There are no estimates yet: make one with `python -m softh estimate`.")
    corpora = list(dict.fromkeys(setup.corpus for setup in setups))
    wanted = requested("corpus")
    if wanted and not current():
        session.LINKED_CORPUS.set(wanted[-1])
    corpus = select("Corpus", corpora, "corpus", help="The text the models were run on.")
    of_corpus = {setup.label: setup for setup in setups if setup.corpus == corpus}
    named = bool(wanted) if current() else session.LINKED_CORPUS.get() == corpus
    # A link that names a text and no settings is of a time when the text had no others, of tokens: where the link has
    # to name the text, tokens are the default.
    label = _usual_label(list(of_corpus.values()), "tokens" if named or corpus != corpora[0] else _across_tokenizers())
    where = place()
    if len(of_corpus) > 1:
        label = select("Settings", list(of_corpus), "settings", default=label, help=_SETTINGS_HELP, where=where)
    setup = of_corpus[label]
    order = segments("n-gram order", [str(order) for order in setup.orders], "order", help=_ORDERS_HELP)
    correction = segments("Correction", list(CORRECTION_NAMES), "correction", help=_CORRECTIONS_HELP)
    return Selection(setup, Display(int(order), correction, links.dark(), setup.labels))


def _across_tokenizers() -> str:
    """Words where finished models of several tokenizers stand beside each other; runs along training have tokens."""
    page = links.page()
    among = requested("among") or ([] if current() else [str(st.session_state.get("among", ""))])
    finished = page == "frontier" or (page == "benchmarks" and not any("training" in one for one in among))
    return "words" if finished else "tokens"


def _usual_label(setups: Sequence[queries.Setup], wanted: str) -> str:
    """The settings of most estimates; those with words, which all tokenizers share, where tokenizers are compared."""
    preferred = [each for each in setups if each.labels == wanted and (wanted == "tokens" or each.vocabularies > 1)]
    return (preferred or setups)[0].label


def select(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    default: str | None = None,
    former: Mapping[str, str] = MappingProxyType({}),
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> str:
    """One of many options, the first unless a default is named. key is the name in the URL, here and below.

    Where the URL says nothing, every control stands at its default, and there it leaves the URL: going back and forth
    opens what was seen, and a link is as short as what was chosen. A control that nobody touched follows its default
    when that changes. former: names of options in older links.
    """
    usual = default or options[0]
    value = _one(key, options, usual, former)
    if current():
        return value
    place = _at(where)
    chosen = place.selectbox(
        label, options, options.index(usual), key=key, bind="query-params", required=True, help=help
    )
    return _drawn(key, chosen or value, usual)


def segments(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    default: str | None = None,
    former: Mapping[str, str] = MappingProxyType({}),
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> str:
    """One of a few options that stand side by side; former: names of options in older links."""
    usual = default or options[0]
    value = _one(key, options, usual, former)
    if current():
        return value
    chosen = _at(where).segmented_control(
        label, options, default=usual, key=key, bind="query-params", required=True, help=help
    )
    return _drawn(key, chosen or value, usual)


def radio(
    label: str, options: Sequence[str], key: str, *, captions: Sequence[str], where: DeltaGenerator | None = None
) -> str:
    """One of several options below each other, each with its words."""
    value = _one(key, options, options[0])
    if current():
        return value
    chosen = _at(where).radio(label, options, key=key, bind="query-params", captions=captions)
    return _drawn(key, chosen or value, options[0])


def slider(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    default: str | None = None,
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> str:
    """One of several options in their order."""
    usual = default or options[0]
    value = _one(key, options, usual)
    if current():
        return value
    place = _at(where)
    return _drawn(key, place.select_slider(label, options, usual, key=key, bind="query-params", help=help), usual)


def several(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    default: Sequence[str],
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> list[str]:
    """Any number of options, in the order they were chosen; none is an answer too."""
    value = _many(key, options, default)
    if current():
        return value
    place = _at(where)
    chosen = place.multiselect(
        label, options, list(default), key=key, bind="query-params", help=help, select_all=False, filter_mode="contains"
    )
    return _drawn(key, chosen, list(default))


def toggle(
    label: str,
    key: str,
    *,
    default: bool = False,
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> bool:
    """Yes or no; in a link `true` or `false`."""
    meanings = {"true": True, "false": False}
    wanted = requested(key)
    if unknown := [word for word in wanted if word not in meanings]:
        note(key, unknown, list(meanings), str(default).lower())
    value = meanings.get(wanted[-1], default) if wanted else default
    if current():
        return value
    if not default:
        st.session_state[key] = st.session_state.get(key, value)  # as in `text`
    return _drawn(key, _at(where).toggle(label, default, key=key, bind="query-params", help=help), default)


def number(
    label: str,
    key: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    step: float | None = None,
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> float | None:
    """A number of low to high, or None where nothing was written."""
    wanted = requested(key)
    value = _number(wanted[-1] if wanted else None, low, high)
    if wanted and value is None:
        note(key, wanted, [f"numbers of {low:g} to {high:g}"], "none")
    if current():
        return value
    least, most = (float(end) if math.isfinite(end) else None for end in (low, high))
    # A number out of bounds never reaches the control, which would refuse it with a traceback.
    st.session_state[key] = value if wanted else _number(st.session_state.get(key), low, high)
    written = _at(where).number_input(label, least, most, None, step, key=key, bind="query-params", help=help)
    return _drawn(key, written, None)


def text(
    label: str,
    key: str,
    *,
    placeholder: str | None = None,
    help: str | None = None,
    where: DeltaGenerator | None = None,
) -> str:
    """Free words, such as those of a search; '' where nothing was written."""
    wanted = (requested(key) or [""])[-1]
    if current():
        return wanted.strip()
    # A control that is moved by another's coming or going no longer writes into the URL, unless it is given its value.
    st.session_state[key] = st.session_state.get(key, wanted)
    place = _at(where)
    written = place.text_input(label, key=key, bind="query-params", placeholder=placeholder, help=help)
    return _drawn(key, written.strip(), "")


def group(label: str) -> DeltaGenerator | None:
    """A place for controls that are needed seldom, closed at first; nothing where a link draws none."""
    return None if current() else st.sidebar.expander(label)


def place(where: DeltaGenerator | None = None) -> DeltaGenerator | None:
    """A place for a control that comes and goes, so that those after it stay; nothing where a link draws none.

    Streamlit mounts a control that is moved once more, and what is then chosen may never reach the address.
    """
    return None if current() else _at(where).container()


def _at(where: DeltaGenerator | None) -> DeltaGenerator:
    return st.sidebar if where is None else where


def _drawn(key: str, value: T, default: T) -> T:
    """Register in the link of the page what a control says that was drawn on it; nothing is no parameter."""
    if isinstance(value, list):
        said = value or [""]
    elif isinstance(value, bool):
        said = [str(value).lower()]
    else:
        said = [] if value is None or value == "" else [str(value)]
    if said:
        links.register(key, said, usual=value == default)
    return value


def _one(
    key: str,
    options: Sequence[str],
    default: str,
    former: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The option to show: what a link asks for, else the control's own while that is on offer, else the default.

    A note names what a link asks for and is not on offer. On a page the control has this value when it is drawn.
    """
    wanted = _renamed(key, options, former)
    link = current()
    held: Any = next(iter(wanted), None) if link or wanted else _held(key, default)
    value: str = held if held in options else default
    if unknown := [name for name in wanted if name not in options]:
        note(key, unknown, options, value)
    if not link:
        _hold(key, value)
    return value


def _renamed(key: str, options: Sequence[str], former: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What a link asks for, with today's name of what had another when the link was made."""
    asked, found = requested(key), []
    for name in (former.get(each, each) for each in asked):
        today = [name.replace(old, new) for old, new in queries.former_names().items() if old in name]
        found.append(next((each for each in today if each in options), name) if name not in options else name)
    if found != asked and not current():
        # The control would drop the former name from the address, and going back would lose the choice.
        st.query_params[key] = found
        st.rerun()
    return found


def _many(key: str, options: Sequence[str], default: Sequence[str]) -> list[str]:
    """The same for a control of several options."""
    wanted, link, usual = _renamed(key, options), current(), list(default)
    chosen = [name for name in wanted if name] if wanted or link else _held(key, usual)
    valid = [name for name in chosen or [] if name in options]
    # `?models=` is a link to nothing chosen.
    empty = wanted == [""] or (not wanted and chosen == [] and not link)
    value = valid if valid or empty else usual
    if unknown := [name for name in wanted if name and name not in options]:
        note(key, unknown, options, and_more(value))
    if not link:
        _hold(key, value)
    return value


def _held(key: str, default: Any) -> Any:
    """What a control of the page says; the default where it stood at a former one, which nobody chose."""
    former, known = session.former_default(key), key in st.session_state
    held, before = st.session_state.get(key, default), former.get()
    former.set(default)
    return default if known and before not in (None, default) and held == before else held


def _hold(key: str, value: Any) -> None:
    """Give the control its value where it has another; what is set unchanged would count as set by the page."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _number(value: Any, low: float, high: float) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


_SETTINGS_HELP = "Estimates are comparable only with identical settings."
_ORDERS_HELP = (
    "Labels are n-grams of tokens, words or bytes, or of other labels that the settings name: "
    + ", ".join(f"{order} {name}" for order, name in NGRAMS.items())
    + "."
)
_CORRECTIONS_HELP = (
    "**debiased**: the information itself, as far as this text can tell. **raw**: as published; too large where labels "
    "are sparse. **corrected**: raw minus chance; too small. **null**: chance only, the same labels shuffled over "
    "positions."
)
