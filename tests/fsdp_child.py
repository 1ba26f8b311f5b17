"""One process of two that train tiny models with FSDP2 on the CPU: ``python -m tests.fsdp_child RANK FOLDER KIND…``.

One training a kind, each in a folder of its name: plain, compiled, checkpointing (gradients and bfloat16), probed (with
preference pairs), parallel (layers split over a tensor-parallel mesh instead), zero (DeepSpeed ZeRO-3 instead),
untokenized (the second process cannot prepare its text), frozen (the second process never asks; no estimate is possible
after it), killed (the second process dies before the last estimate), killed_within (it dies in the forward passes of
the last estimate).
"""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from transformers import AutoModelForCausalLM

from softh.callback import InformationPlane
from softh.preference.pairs import Pair, Pairs
from softh.text import corpus
from tests.tiny import llama, texts, tokenizer

STEPS, DUE = 2, (0, 2)
TEXT = corpus.sample("some", texts(12), 12, 0, "English of Python's help.")
PAIRS = Pairs(
    "some pairs", tuple(Pair((("user", text[:40]),), text[40:90], text[200:260], "", row)
                        for row, text in enumerate(texts(24))), "p1", "English of Python's help.", {},
)  # fmt: skip
COLUMNS, ROWS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"), ("o_proj", "down_proj")
"""Linear layers that a tensor-parallel mesh splits by columns and by rows."""


def build(kind: str) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(llama())
    if kind == "zero":
        return zero(model)
    if kind == "parallel":
        plan = dict.fromkeys(COLUMNS, ColwiseParallel()) | dict.fromkeys(ROWS, RowwiseParallel())
        mesh = init_device_mesh("cpu", (2,))
        return parallelize_module(model, mesh, {f"model.layers.*.*.{name}": style for name, style in plan.items()})
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


def zero(model: torch.nn.Module) -> Any:
    """The model in an engine of DeepSpeed that shards its weights, gradients and optimizer."""
    import deepspeed

    settings = {
        "train_micro_batch_size_per_gpu": 4, "zero_allow_untested_optimizer": True,
        "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
    }  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return deepspeed.initialize(model=model, optimizer=optimizer, config=settings, dist_init_required=False)[0]


def gathered(model: Any, kind: str) -> dict[str, torch.Tensor]:
    """All weights, by name."""
    if kind != "zero":
        return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(list(model.module.parameters())):
        return {name: weight.detach().clone() for name, weight in model.module.state_dict().items()}


def train(rank: int, folder: Path, kind: str) -> None:
    model, records = build(kind), []
    # A mesh makes two kinds of tensors; an engine has an optimizer of its own.
    optimizer = None if kind == "zero" else torch.optim.AdamW(model.parameters(), lr=1e-2, foreach=kind != "parallel")
    plane = InformationPlane(
        "mine", None if kind == "untokenized" and rank else tokenizer(), STEPS, points=DUE, corpora=[TEXT],
        documents=12, context=32, draws=2, orders=(1,), share=None, save=records.append, wait=2,
        pairs=PAIRS if kind == "probed" else None,
    )  # fmt: skip
    generator, began = torch.Generator().manual_seed(0 if kind == "parallel" else rank), 0.0
    for step in range(STEPS + 1):
        if kind.startswith("killed") and step == DUE[-1]:
            if rank and kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if rank:
                passes: list[int] = []
                model.register_forward_pre_hook(lambda *_, passes=passes: _die_in_the_second(passes))
            began = time.monotonic()
        if not (kind == "frozen" and rank):
            plane.at(model, step)
        if step in DUE and not kind.startswith("killed"):
            whole = gathered(model, kind)
            if rank == 0:
                named = {name.removeprefix("_orig_mod."): weight for name, weight in whole.items()}
                torch.save(named, folder / f"step{step}.pt")
        if kind.startswith("killed") and step == DUE[-1]:
            break
        ids = torch.randint(0, 300, (4, 16), generator=generator)
        loss = model(input_ids=ids, labels=ids).loss
        if optimizer is None:
            model.backward(loss)
            model.step()
            continue
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    report = {
        "failures": plane.failures, "waited": time.monotonic() - began if began else None, "seconds": plane.seconds,
        "training": model.training,
        "records": [
            {"step": each["checkpoint"]["step"], "digest": each["checkpoint"]["digest"],
             "parameters": each["model"]["parameters"], "dtype": each["estimate"]["dtype"],
             "architecture": each["model"]["architecture"], "measures": each["measures"],
             "labels": each["estimate"]["labels"]}
            for each in records
        ],
    }  # fmt: skip
    (folder / f"rank{rank}.json").write_text(json.dumps(report))


def _die_in_the_second(passes: list[int]) -> None:
    """Kill the process in its second forward pass, of the text: the first describes the model."""
    passes.append(1)
    if len(passes) == 2:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
