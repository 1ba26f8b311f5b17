"""A plain PyTorch loop with the plane in it: `python -m examples.plain_loop`.

`log` may be any tracker's own function: wandb.log, trackio.log and mlflow.log_metrics take (numbers, step).
"""

from pydoc_data.topics import topics

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from softh import InformationPlane
from softh.text import corpus

STEPS = 60


def log(numbers: dict[str, float], step: int) -> None:
    """Where the numbers go."""
    print(step, {name: round(value, 4) for name, value in numbers.items() if name.endswith(("input", "output"))})


def main() -> None:
    """Train for a minute."""
    torch.manual_seed(0)
    texts = [topics[name] for name in sorted(topics)]
    tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
    ids = torch.tensor(tokenizer("\n\n".join(texts[1:60]), verbose=False)["input_ids"])
    held_out = corpus.sample("python-docs, held out", texts[60:], 32, 0, "Python's help topics, PSF licence.")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        pad_token_id=0, bos_token_id=None, eos_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    plane = InformationPlane(
        "plain-loop", tokenizer, STEPS, corpora=[held_out], documents=32, context=64, orders=(1,), draws=4, points=5,
        share=None, log=log,
    )  # fmt: skip
    for step in range(STEPS + 1):
        plane.at(model, step)
        rows = torch.randint(0, len(ids) - 64, (8, 1)) + torch.arange(64)
        model(input_ids=ids[rows], labels=ids[rows]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"{plane.seconds:.1f} s of estimates; {plane.failures or 'none failed'}")


if __name__ == "__main__":
    main()
