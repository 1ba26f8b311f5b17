"""A training by Lightning whose curve grows on the trajectory page: `python -m examples.lightning_loop`.

It needs `pip install lightning`; softh does not.
"""

from pydoc_data.topics import topics

import lightning  # ty: ignore[import-not-found]
import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from softh.lightning import LightningPlane
from softh.text import corpus

STEPS = 40


class Module(lightning.LightningModule):
    """A language model and its optimiser."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            pad_token_id=0, bos_token_id=None, eos_token_id=0,
        )  # fmt: skip
        self.model = AutoModelForCausalLM.from_config(config)

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Loss of a batch of token ids."""
        return self.model(input_ids=batch[0], labels=batch[0]).loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def main() -> None:
    """Train for a minute."""
    texts = [topics[name] for name in sorted(topics)]
    tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
    ids = torch.tensor(tokenizer("\n\n".join(texts[1:60]), verbose=False)["input_ids"])
    rows = DataLoader(TensorDataset(ids[: len(ids) // 64 * 64].reshape(-1, 64)), batch_size=8, shuffle=True)
    held_out = corpus.sample("python-docs, held out", texts[60:], 32, 0, "Python's help topics, PSF licence.")
    plane = LightningPlane(
        "lightning-toy", tokenizer, corpora=[held_out], documents=32, context=64, orders=(1,), draws=4, points=5,
        share=None,
    )  # fmt: skip
    trainer = lightning.Trainer(
        max_steps=STEPS, accelerator="cpu", callbacks=[plane], default_root_dir="cache/lightning",
        enable_checkpointing=False, logger=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(Module(len(tokenizer)), rows)
    assert plane.plane is not None
    print(f"{plane.plane.seconds:.1f} s of estimates; {plane.plane.failures or 'none failed'}")


if __name__ == "__main__":
    main()
