"""How much does a model know about what people prefer, in which layer, and is it only length?"""

import streamlit as st

from dashboard import escape
from dashboard.data import queries
from dashboard.page import frame
from dashboard.views import preference
from dashboard.workspace import preference_form

frame.enter()
st.title("How much does a model know about what people prefer?")
if queries.probes().is_empty():
    st.info("There are no probes yet. The first takes minutes on a laptop:", icon=":material/flag:")
    st.code("python -m softh preference HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl", language="bash")
else:
    view = preference.view()
    frame.finding(view, view.text)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Where preference is readable")
        frame.chart(view.figures["profile"], "profile", view.data)
        st.subheader("Does length explain it?")
        frame.chart(view.figures["parts"], "parts", view.data, legend=False)
    with right:
        st.subheader("Can a linear probe order the pairs?")
        frame.chart(view.figures["linear"], "linear", view.data, legend=False)
        st.subheader("Do words or length alone do as well?")
        frame.chart(view.figures["others"], "others", view.data, legend=False)
    if "training" in view.figures:
        st.subheader("Along training")
        frame.chart(view.figures["training"], "training", view.data)
    left, right = st.columns(2, gap="medium")
    if "changed" in view.figures:
        with left:
            st.subheader("What post-training changes")
            frame.chart(view.figures["changed"], "changed", view.data)
    if "moves" in view.figures:
        with right:
            st.subheader("Preference changes against complexity changes")
            frame.chart(view.figures["moves"], "moves", view.behind["moves"])
            st.markdown(escape.prose(" ".join(view.notes)))
    frame.reading(view)
    frame.table(view.rows, view.data, f"{view.name}.csv")

st.subheader("Your own pairs")
preference_form.panel()
