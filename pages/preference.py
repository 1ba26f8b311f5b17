"""How much does a model know about what people prefer, in which layer, and is it only length?"""

import streamlit as st

from dashboard import escape
from dashboard.data import queries
from dashboard.page import frame
from dashboard.views import preference
from dashboard.workspace import preference_form

frame.enter()
st.title("How much does a model know about what people prefer?")
st.markdown(
    "Pairs of answers to the same prompt, of which one was preferred: how much do the hidden states of each layer say "
    "about which, beyond chance, beyond length and beyond the words?"
)

if queries.probes().is_empty():
    st.info("There are no probes yet. The first takes minutes on a laptop:", icon=":material/flag:")
    st.code("python -m softh preference HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl", language="bash")
else:
    view = preference.view()
    st.markdown(escape.prose(view.text))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("By depth")
        frame.chart(view.figures["profile"], "profile", view.data)
        st.subheader("By part of the pairs")
        frame.chart(view.figures["parts"], "parts", view.data)
    with right:
        st.subheader("A second opinion")
        frame.chart(view.figures["linear"], "linear", view.data)
        st.subheader("What else tells the two apart")
        frame.chart(view.figures["others"], "others", view.data)
    if "changed" in view.figures:
        st.subheader("By post-training")
        frame.chart(view.figures["changed"], "changed", view.data)
    st.caption(escape.prose(view.caption))
    frame.table(view.rows, view.data, f"{view.name}.csv")

st.subheader("Your own pairs")
preference_form.panel()
