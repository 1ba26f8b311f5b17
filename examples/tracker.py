"""A Trainer that sends the plane wherever it sends its loss: `python -m examples.tracker [wandb|mlflow|trackio|…]`.

The tracker is one switch, `report_to`, and needs nothing of softh: its package is installed beside.
"""

import sys
from pydoc_data.topics import topics

from datasets import Dataset
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast, Trainer, TrainingArguments

from softh import InformationPlaneCallback
from softh.text import corpus


def main(tracker: str) -> None:
    """Train for a minute."""
    texts = [topics[name] for name in sorted(topics)]
    tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
    ids = tokenizer("\n\n".join(texts[1:60]), verbose=False)["input_ids"]
    rows = [{"input_ids": ids[i : i + 64], "labels": ids[i : i + 64]} for i in range(0, len(ids) - 64, 64)]
    held_out = corpus.sample("python-docs, held out", texts[60:], 32, 0, "Python's help topics, PSF licence.")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        pad_token_id=0, bos_token_id=None, eos_token_id=0,
    )  # fmt: skip
    plane = InformationPlaneCallback(
        "tracked", tokenizer, corpora=[held_out], documents=32, context=64, orders=(1,), draws=4, points=4, share=None
    )
    arguments = TrainingArguments(
        "cache/tracked", max_steps=20, report_to=[tracker] if tracker != "none" else [], logging_steps=5
    )
    model = AutoModelForCausalLM.from_config(config)
    trainer = Trainer(model, arguments, train_dataset=Dataset.from_list(rows), callbacks=[plane])
    plane.report(trainer)
    trainer.train()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tensorboard")
