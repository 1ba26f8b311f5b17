"""A plain transformers.Trainer whose curve grows on the trajectory page: `python -m examples.trainer_callback`."""

import logging
from pydoc_data.topics import topics

from datasets import Dataset
from transformers import AutoModelForCausalLM, Olmo2Config, PreTrainedTokenizerFast, Trainer, TrainingArguments

from softh import InformationPlaneCallback
from softh.text import corpus

logging.basicConfig(level=logging.INFO)
texts = [topics[name] for name in sorted(topics)]
tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
ids = tokenizer("\n\n".join(text for i, text in enumerate(texts) if i % 5), verbose=False)["input_ids"]
rows = [{"input_ids": ids[i : i + 128], "labels": ids[i : i + 128]} for i in range(0, len(ids) - 128, 128)]
held_out = corpus.sample("python-docs, held out", texts[::5], 64, 0, "A fifth of Python's help topics, PSF licence.")

config = Olmo2Config(
    vocab_size=len(tokenizer), hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
    pad_token_id=0, eos_token_id=0,
)  # fmt: skip
model = AutoModelForCausalLM.from_config(config)
# A training of minutes: its few estimates may take more than the usual 3 % of the time.
plane = InformationPlaneCallback("trainer-1m", tokenizer, corpora=[held_out], context=128, share=None)
arguments = TrainingArguments("cache/trainer", max_steps=300, per_device_train_batch_size=8, learning_rate=3e-3)
Trainer(model, arguments, train_dataset=Dataset.from_list(rows), callbacks=[plane]).train()
