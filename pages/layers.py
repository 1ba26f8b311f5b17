"""What does each layer keep, and what does it foretell?"""

import streamlit as st

from dashboard import figures, frame, queries, selection, tables
from dashboard.words import checkpoint_name, corpus_note, count

frame.enter()
st.title("What does each layer keep, and what does it foretell?")
st.markdown(
    "One point a layer, from the embedding to the last. To the right, a layer keeps more of the words read so far; "
    "upwards, it says more about the words to come."
)
frame.need_estimates()

chosen = selection.shared()
row = selection.checkpoint(queries.comparable(chosen.setup))
layers = queries.layers(row["estimate_id"])

st.subheader(f"{row['model']}, {checkpoint_name(row)}")
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(figures.depth_plane(layers, chosen.view), "plane")
with right:
    frame.chart(figures.depth_profiles(layers, chosen.view), "profiles")

shown = chosen.view.of(layers)
labels = shown.row(0, named=True)
st.caption(
    "Crosses, bands and ± are one standard error, of reference draws and of documents combined. Solid rays join "
    f"points of equal optimality. {count(row['parameters'])} parameters, {row['weights']}. Text: "
    f"{corpus_note(row['corpus'])}; {row['documents']:,} documents, {row['positions']:,} positions, "
    f"{labels['input_labels']:,} different X and {labels['output_labels']:,} different Y; {row['draws']} draws of "
    f"{row['bins']} directions; {row['dtype']} on {row['device']}, {row['created_at']:%Y-%m-%d}."
)
frame.table(tables.layers(shown), tables.csv(shown), "softh-layers.csv")
