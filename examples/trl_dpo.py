"""A DPO training by TRL whose plane and preference information grow on the pages: `python -m examples.trl_dpo`.

It needs `pip install trl`; softh does not. The model is the toy of 3 M parameters in data/demo. The preferred answer
continues a passage of Python's help; the other one has the same words in another order. The probe reads pairs of
passages that the training does not see. Look at the pages Trajectory and Preferences while it runs.
"""

import json
import tarfile
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer  # ty: ignore[import-not-found]

from softh import InformationPlaneCallback
from softh.text import corpus

STEPS, PROMPT, ANSWER = 80, 24, 24
DEMO = Path("data/demo/toy-olmo2-3m-seed0.tar.gz")


def pairs(passages: list[str], seed: int) -> list[dict[str, str]]:
    """Prompt, chosen and rejected answer of every stretch of words."""
    words = [word for passage in passages for word in passage.split()]
    rng, found = np.random.default_rng(seed), []
    for start in range(0, len(words) - PROMPT - ANSWER, ANSWER):
        prompt, answer = words[start : start + PROMPT], words[start + PROMPT : start + PROMPT + ANSWER]
        other = rng.permutation(answer)
        found.append({"prompt": " ".join(prompt), "chosen": " ".join(answer), "rejected": " ".join(other)})
    return [found[i] for i in rng.permutation(len(found))]


def as_plain_text(row: dict[str, str]) -> dict[str, str]:
    """The pair in the form in which softh writes a conversation for a tokenizer without a chat template."""
    return {
        "prompt": f"Question: {row['prompt']}\n\nAnswer:", "chosen": f" {row['chosen']}",
        "rejected": f" {row['rejected']}",
    }  # fmt: skip


def main() -> None:
    """Train for two minutes."""
    folder = Path(tempfile.mkdtemp())
    with tarfile.open(DEMO) as archive:
        archive.extractall(folder, filter="data")
    model_folder = folder / DEMO.name.removesuffix(".tar.gz")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    passages = [topics[name] for name in sorted(topics)]
    held_out = folder / "word-order.jsonl"
    held_out.write_text("\n".join(map(json.dumps, pairs(passages[::4], 0)[:200])))
    rows = [as_plain_text(row) for row in pairs([each for i, each in enumerate(passages) if i % 4], 1)]
    plane = InformationPlaneCallback(
        "toy-3M-dpo", tokenizer, corpora=[corpus.sample("python-docs, held out", passages[::4], 32, 0, "PSF licence.")],
        documents=32, context=128, orders=(1,), points=[0, 10, 20, 40, STEPS], pairs=str(held_out), pair_limit=200,
        share=None,
    )  # fmt: skip
    arguments = DPOConfig(
        str(folder / "out"), max_steps=STEPS, per_device_train_batch_size=4, learning_rate=5e-4, max_length=192,
        report_to=[], logging_steps=20, save_strategy="no", use_cpu=True, bf16=False, gradient_checkpointing=False,
        disable_tqdm=True, seed=0,
    )  # fmt: skip
    trainer = DPOTrainer(
        model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[plane]
    )
    plane.report(trainer)
    trainer.train()
    for row in trainer.state.log_history:
        for name in ("softh/word-order/preference", "softh/python-docs__held_out/1/input"):
            if name in row:
                print(f"step {row['step']}: {name} {row[name]:.2e} ± {row[f'{name}_se_documents']:.1e}")
    assert plane.plane is not None
    print(f"{plane.plane.seconds:.1f} s of estimates; {plane.plane.failures or 'none failed'}")


if __name__ == "__main__":
    main()
