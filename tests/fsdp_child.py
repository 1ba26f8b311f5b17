"""One process of two that train tiny models with FSDP2 on the CPU: ``python -m tests.fsdp_child RANK FOLDER KIND…``.

One training a kind, each in a folder of its name: plain, compiled, checkpointing (gradients and bfloat16), untokenized
(the second process cannot prepare its text), frozen (the second process never asks; no estimate is possible after it),
killed (the second process dies before the last estimate).
"""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM

from softh.callback import InformationPlane
from softh.text import corpus
from tests.tiny import llama, texts, tokenizer

STEPS, DUE = 2, (0, 2)
TEXT = corpus.sample("some", texts(12), 12, 0, "English of Python's help.")


def build(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(llama())
    policy = MixedPrecisionPolicy()
    if kind == "checkpointing":
        model.gradient_checkpointing_enable()
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16)
    for layer in model.model.layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return torch.compile(model, backend="eager") if kind == "compiled" else model


def main(rank: int, folder: Path, kinds: list[str]) -> None:
    store = dist.FileStore(str(folder / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    for kind in kinds:
        (folder / kind).mkdir(exist_ok=True)
        train(rank, folder / kind, kind)


def train(rank: int, folder: Path, kind: str) -> None:
    model, records = build(kind), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    plane = InformationPlane(
        "mine", None if kind == "untokenized" and rank else tokenizer(), STEPS, points=DUE, corpora=[TEXT],
        documents=12, context=32, draws=2, orders=(1,), share=None, save=records.append, wait=2,
    )  # fmt: skip
    generator, began = torch.Generator().manual_seed(rank), 0.0
    for step in range(STEPS + 1):
        if kind == "killed" and step == DUE[-1]:
            if rank:
                os.kill(os.getpid(), signal.SIGKILL)
            began = time.monotonic()
        if not (kind == "frozen" and rank):
            plane.at(model, step)
        if step in DUE and kind != "killed":
            whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
            if rank == 0:
                named = {name.removeprefix("_orig_mod."): weight for name, weight in whole.items()}
                torch.save(named, folder / f"step{step}.pt")
        if kind == "killed" and step == DUE[-1]:
            break
        ids = torch.randint(0, 300, (4, 16), generator=generator)
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    report = {
        "failures": plane.failures, "waited": time.monotonic() - began if began else None, "seconds": plane.seconds,
        "training": model.training,
        "records": [
            {"step": each["checkpoint"]["step"], "digest": each["checkpoint"]["digest"],
             "parameters": each["model"]["parameters"], "dtype": each["estimate"]["dtype"],
             "architecture": each["model"]["architecture"], "measures": each["measures"]}
            for each in records
        ],
    }  # fmt: skip
    (folder / f"rank{rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
