"""What is measured, where the numbers come from, and what others have published."""

import streamlit as st

from dashboard import frame, queries, tables
from dashboard.words import CORPORA

frame.enter()
st.title("What is measured, and where do the numbers come from?")

st.header("Definitions")
st.markdown(
    "A hidden state $z$ of one layer, one for each token position, is scaled to length one and softly assigned to $n$ "
    "reference directions $w_1 \\dots w_n$, drawn uniformly on the sphere. Entropy is that of the mean assignment."
)
st.latex(r"p(w \mid z) = \operatorname{softmax}_w\!\left(\frac{\bar z^\top w}{\varepsilon}\right)")
st.latex(r"H(Z) = -\sum_w \bar p(w) \log \bar p(w), \qquad \bar p = \frac1N \sum_i p(\cdot \mid z_i)")
st.markdown(
    "The temperature $\\varepsilon$ makes a von Mises–Fisher distribution of concentration $1/\\varepsilon$ differ "
    "from the uniform one by $\\log n$ nats. $X$ is the n-gram of tokens that ends at a position, $Y$ the one that "
    "starts right after it; orders 1 to 4 are token, bigram, trigram and quadgram."
)
st.latex(r"I(X;Z) = H(Z) - \sum_x P(x)\, H(Z \mid X = x)")
st.latex(r"I(Y;Z) = H(Z) - \sum_y P(y)\, H(Z \mid Y = y)")
st.markdown(
    """
| on the screen | is | says |
|---|---|---|
| **complexity** | $I(X;Z) / \\log n$ | how much a hidden state keeps of the words read |
| **expressivity** | $I(Y;Z) / \\log n$ | how much it says about the words to come |
| **optimality** | $I(Y;Z) / I(X;Z)$ | which share of what is kept is of use; 1 on the bound |
| **entropy** | $H(Z) / \\log n$ | how much of the space is used at all |
| **bits / byte** | cross-entropy of the text | how well the model predicts it |

The dashed line is the bound $I(Y;Z) = I(X;Z)$ of the published figures. It is not a rate–distortion curve, and an
estimate may lie above it. A model's number is the mean over its transformer layers, embedding left out: information is
averaged first, then divided.
"""
)

st.header("How sure a number is")
st.markdown(
    """
- **Null.** Rare labels inflate information: with every label unique, labels that have nothing to do with $Z$ seem to
  carry a third of $\\log n$, and optimality goes to 1. Every estimate is therefore repeated with its labels shuffled
  over positions. *Corrected* is raw minus that null; published values are raw.
- **Reference draws.** Hidden states point in few directions, so one draw of the $w$ is not a measurement. Each number
  is the mean of several draws, the same for all models of one width.
- **Documents.** A jackknife over folds of documents says how much the text matters.
- **±** combines both standard errors, $\\sqrt{s_\\text{draws}^2 + s_\\text{documents}^2}$; the files have them apart.
- **Comparing.** Points share a figure only when text, context, directions and all other settings are the same. A model
  with another tokenizer has other labels: compare such models with care, and by bits per byte.
"""
)

st.header("Where these tables come from")
st.markdown("Texts: " + "; ".join(f"**{name}**, {note}" for name, note in CORPORA.items()) + ".")
estimates = queries.estimates()
if estimates.is_empty():
    st.markdown("There are no estimates yet.")
else:
    st.markdown(
        "*Dequantised* weights were stored in four or so bits and expanded again: such a number is of those weights, "
        "not of the model as published."
    )
    frame.table(tables.provenance(estimates), estimates.write_csv(), "softh-estimates.csv")

st.header("Published results, not ours")
st.markdown(
    """
Conklin et al. (2026) report, over 47 open-weight models, these correlations with benchmark scores (MMLU-Pro, BBH,
MATH Lvl 5, IFEval, GPQA, MuSR), with labels backed off to tokens. No table by model is public.

| predictor | r | p |
|---|---|---|
| optimality | .52 | < .001 |
| preference information | .76 | – |
| complexity | −.38 | .006 |
| expressivity | .08 | .575 |

They describe two phases of pretraining, first fitting, then compression, over about 150 checkpoints of OLMo 2: the 7B
and 32B models come near the bound, the 1B model drifts. Their values are raw, without a null.
"""
)

st.header("How to cite")
st.markdown(
    """
Cite the method: Conklin et al., *Learning is Forgetting: LLM Training As Lossy Compression*, ICLR 2026,
[arXiv:2604.07569](https://arxiv.org/abs/2604.07569), and for the estimator Conklin 2025,
[arXiv:2505.23960](https://arxiv.org/abs/2505.23960). With a number from here give its model, checkpoint, text, order,
*raw* or *corrected*, and the id of the estimate: it stands in every hover card and every file.
"""
)
