"""What is measured, where the numbers come from, and what others have published."""

import re
from functools import partial
from itertools import cycle

import streamlit as st

from dashboard import escape
from dashboard.controls import browser
from dashboard.data import queries, tables
from dashboard.figures import amounts, court, sensitivity, token_labels
from dashboard.page import frame, glossary
from softh.text import sources


def anchor(heading: str) -> str:
    """The address of a heading within the page, the same in every link."""
    return re.sub(r"[^a-z]+", "-", heading.lower()).strip("-")


frame.enter()
st.title("What is measured, and where do the numbers come from?")
CONTENTS = (
    "Definitions", "Terms", "How sure a number is", "What the amount of text does", "Phases of pretraining",
    "Kinds of tokens", "Against other estimators", "What the settings do", "Where these tables come from",
    "Published results, not ours", "How to cite",
)  # fmt: skip
with st.sidebar:
    st.markdown("**Contents**\n\n" + "\n".join(f"- [{name}](#{anchor(name)})" for name in CONTENTS))
frame.introduction(always=True)

st.header("Definitions", anchor=anchor("Definitions"))
st.markdown(browser.asset("method/definitions.md"))

st.header("Terms", anchor=anchor("Terms"))
for place, (term, address, definition) in zip(cycle(st.columns(2, gap="medium")), glossary.entries(), strict=False):
    with place:
        st.subheader(term, anchor=address)
        st.markdown(definition)

st.header("How sure a number is", anchor=anchor("How sure a number is"))
st.markdown(browser.asset("method/sureness.md"))

st.header("What the amount of text does", anchor=anchor("What the amount of text does"))
for model, found in amounts.results().items():
    frame.shipped_picture(f"amounts {model}", partial(amounts.curves, found))
    st.caption(
        f"{escape.prose(model)} on {found['text']}, mean of layers {', '.join(map(str, found['layers']))}. "
        "Debiased values hardly change as text is added; raw ones fall and corrected ones rise."
    )

st.header("Phases of pretraining", anchor=anchor("Phases of pretraining"))
st.markdown(browser.asset("method/phases.md"))

st.header("Kinds of tokens", anchor=anchor("Kinds of tokens"))
found = token_labels.results()
for model in dict.fromkeys(row["model"] for row in found):
    frame.shipped_picture(f"token labels {model}", partial(token_labels.by_layer, found, model))
    first = next(row for row in found if row["model"] == model)
    st.caption(
        f"{escape.prose(model)} on {first['text']}, {first['documents']} documents, {first['positions']:,} positions, "
        f"{first['draws']} draws: what each layer says about the class of a token, its frequency and its place in "
        "the document, debiased, as a share of the label's entropy. Bars are one standard error."
    )

st.header("Against other estimators", anchor=anchor("Against other estimators"))
judged = court.results()
st.markdown(browser.asset("method/court.md"))
for place, channel in zip(cycle(st.columns(2)), court.channels(judged), strict=False):
    with place:
        st.markdown(f"**{escape.markdown(channel)}**")
        frame.shipped_picture(f"court {channel}", partial(court.chart, judged, channel))

st.header("What the settings do", anchor=anchor("What the settings do"))
swept = sensitivity.results()
about = swept["about"]
st.markdown(
    f"One setting at a time, from {about['documents']} documents × {about['context']} tokens of {about['corpus']}, "
    f"order 1, {about['bins']} directions, {about['draws']} draws, on two real models (dequantised) and ours. "
    "Complexity minus its null, which is dotted; bars are one standard error over draws."
)
for place, (setting, meaning) in zip(cycle(st.columns(2)), sensitivity.SWEPT.items(), strict=False):
    with place:
        frame.shipped_picture(f"sweep {setting}", partial(sensitivity.curves, swept, setting))
        st.markdown(f":small[{meaning}]")
agreement = sensitivity.agreement(swept)
st.markdown("Kendall's tau between the order at each setting and at the base one; based on three models only.")
frame.table(agreement, agreement, "softh-agreement.csv")

st.header("Where these tables come from", anchor=anchor("Where these tables come from"))
st.markdown("Texts: " + "; ".join(f"**{name}**, {note}" for name, note in sources.captions().items()) + ".")
estimates = queries.estimates()
if estimates.is_empty():
    st.markdown("There are no estimates yet.")
else:
    st.markdown(browser.asset("method/tables.md"))
    st.subheader("Estimates")
    frame.table(tables.provenance(estimates), estimates, "softh-estimates.csv")
if not (scores := queries.benchmarks()).is_empty():
    st.subheader("Benchmark scores")
    frame.table(tables.sources(scores), scores, "softh-scores.csv")

st.header("Published results, not ours", anchor=anchor("Published results, not ours"))
st.markdown(browser.asset("method/published.md"))

st.header("How to cite", anchor=anchor("How to cite"))
st.markdown(browser.asset("method/cite.md"))
st.code(browser.asset("method/cite.bib"), language="bibtex")
