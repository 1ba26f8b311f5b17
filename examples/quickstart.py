# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From install to a plane
#
# Five minutes on two CPU cores, without a network. Install softh first, in a terminal or in a cell of its own:
#
# ```sh
# pip install "softh[app]"
# ```
#
# This notebook is `docs/notebook.ipynb` and the script `examples/quickstart.py`; `make docs` makes the first of the
# second and runs it.

# %% [markdown]
# ## The models that softh ships
#
# Each path is a model while it trains, from its random start to its end. To the right it keeps more of its input,
# upwards it says more about the next tokens. A cross is one standard error, rings mark where phases end.

# %%
import softh.plot

softh.plot.plane()

# %% [markdown]
# The same quantities along training, and every finished model with the Pareto frontier:

# %%
softh.plot.trajectory(["toy-60M-seed1", "toy-9M-seed0"], quantities=["complexity", "expressivity", "optimality"])

# %%
softh.plot.frontier()

# %% [markdown]
# ## Hidden states and labels of your own
#
# Rows of hidden states from anywhere, and a label for each: here twenty labels, states around the mean of their label.
# The estimate is the debiased value; raw and lower are bounds in expectation, the null is what shuffled labels give.

# %%
import numpy as np

rng = np.random.default_rng(0)
labels = rng.integers(0, 20, 2000)
hidden = rng.standard_normal((20, 64))[labels] + rng.standard_normal((2000, 64))
found = softh.information(hidden, labels)
print(found.summary())

# %%
softh.plot.values({"clear labels": found, "noisy": softh.information(hidden + rng.normal(0, 3, hidden.shape), labels)})

# %% [markdown]
# ## A model while it trains
#
# A small model of this notebook's own, with a tokenizer made from Python's help topics. `InformationPlane.at(model,
# step)` stands in the training loop and estimates at log-spaced steps; `InformationPlaneCallback` does the same in
# transformers' Trainer. Estimates go into a folder of their own here, and into your tables without `data`.

# %%
import tempfile
from pydoc_data.topics import topics

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

folder = tempfile.mkdtemp()
texts = [topics[name] for name in sorted(topics)]
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(texts, vocab_size=800, show_progress=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer)
ids = torch.tensor(tokenizer("\n\n".join(texts), verbose=False)["input_ids"])

# %%
STEPS = 200
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4
)
model = AutoModelForCausalLM.from_config(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
plane = softh.InformationPlane(
    "first-model", tokenizer, STEPS, documents=32, context=64, draws=8, orders=(1, 2), points=9, share=None, data=folder
)
for step in range(STEPS + 1):
    plane.at(model, step)
    rows = torch.randint(0, len(ids) - 64, (16, 1)) + torch.arange(64)
    model(input_ids=ids[rows], labels=ids[rows]).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(plane.failures or "Every estimate is stored.")

# %% [markdown]
# Its own path through the plane, and its layers at the end:

# %%
softh.plot.plane("first-model", data=folder)

# %%
softh.plot.layers("first-model", data=folder)

# %% [markdown]
# ## And then
#
# A model of the hub takes one line (the first time it is fetched), and is then a point on the pages of `softh app`:
#
# ```python
# estimate = softh.estimate("HuggingFaceTB/SmolLM2-135M", documents=32, draws=8)
# softh.plot.plane(estimate)
# ```
#
# Every figure is Plotly's: `figure.write_html("plane.html")` keeps it as a page that works offline.
