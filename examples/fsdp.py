"""FSDP2 over two processes on a CPU, the plane in every loop: `torchrun --nproc-per-node 2 -m examples.fsdp`.

All processes call `plane.at` at every step. They run the forward passes together; the first one computes and stores.
"""

from pydoc_data.topics import topics

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from softh import InformationPlane
from softh.text import corpus

STEPS = 20


def main() -> None:
    """Train a tiny model, sharded."""
    dist.init_process_group("gloo")
    torch.manual_seed(0)  # the same weights in every process before they are sharded
    texts = [topics[name] for name in sorted(topics)]
    tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
    ids = torch.tensor(tokenizer("\n\n".join(texts[1:60]), verbose=False)["input_ids"])
    held_out = corpus.sample("python-docs, held out", texts[60:], 32, 0, "Python's help topics, PSF licence.")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        pad_token_id=0, bos_token_id=None, eos_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    for layer in model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    plane = InformationPlane(
        "fsdp-two", tokenizer, STEPS, corpora=[held_out], documents=32, context=64, orders=(1,), draws=4, points=4,
        share=None,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(dist.get_rank())
    for step in range(STEPS + 1):
        plane.at(model, step)
        rows = torch.randint(0, len(ids) - 64, (4, 1), generator=generator) + torch.arange(64)
        model(input_ids=ids[rows], labels=ids[rows]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if dist.get_rank() == 0:
        print(f"{plane.seconds:.1f} s of estimates; {plane.failures or 'none failed'}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
