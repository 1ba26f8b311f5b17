"""Two GPUs: `python -m benchmarks.cards [sweep] [spread] [large] [--short]`, by default all three.

sweep: checkpoints in the shape of OLMo2-1B through the engine of one machine, with both GPUs and with one; every
number of both must be the same. spread: one of them over both GPUs against one. large: a model whose weights alone are
more than the memory of one GPU, over both, and what is said where there is only one. Weights are random and written to
temporary folders first, 18 and 159 GB of them; text is words with Zipf's frequencies. Prints lines and writes
benchmarks/results/cards.json (or $OUT/cards.json); `--short` tries everything small, on any machine.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import init_empty_weights
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Olmo2Config

from benchmarks._report import DEVICE, LINES, RESULTS, SHORT, guard, say
from benchmarks._synthetic import SHAPES, VOCABULARY, machine
from softh.checkpoints import resolve
from softh.checkpoints.safetensors_format import INDEX
from softh.estimator.measures import Measure
from softh.estimator.pipeline import estimate_model
from softh.models import hidden_states, loading
from softh.spec import EstimateSpec
from softh.sweeps import engine as engines
from softh.sweeps.local import LocalEngine
from softh.text import corpus
from zoo.tokens import load_tokenizer

CHECKPOINTS = 2 if SHORT else 6
ASKED: dict[str, Any] = {"documents": 8, "context": 64, "draws": 2} if SHORT else {"documents": 2000, "context": 512}
SMALL: dict[str, Any] = {"documents": 8} if SHORT else {"documents": 128}


def checkpoint(folder: Path, shape: dict[str, Any], seed: int) -> int:
    """A model with random weights as it would come from the hub, one file a layer; bytes of its weights."""
    config = Olmo2Config(**shape, vocab_size=VOCABULARY, max_position_embeddings=4096, pad_token_id=None)
    config.architectures, config.dtype = ["Olmo2ForCausalLM"], torch.bfloat16
    with init_empty_weights():
        empty = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).state_dict()
    files: dict[str, list[str]] = {}
    for name in empty:
        part = name.split(".")[2] if ".layers." in name else name.replace(".", "-")
        files.setdefault(f"model-{part}.safetensors", []).append(name)
    folder.mkdir(parents=True)

    def write(place: tuple[int, str]) -> None:
        number, file = place
        chance = torch.Generator(DEVICE).manual_seed(seed * 1000 + number)
        made = {name: values(name, empty[name].shape, chance) for name in files[file]}
        save_file(made, folder / file, {"format": "pt"})

    with ThreadPoolExecutor(1 if DEVICE == "cpu" else 12) as pool:
        list(pool.map(write, enumerate(files)))
    places = {name: file for file, names in files.items() for name in names}
    size = sum(2 * tensor.numel() for tensor in empty.values())
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}))
    config.save_pretrained(folder)
    load_tokenizer().save_pretrained(folder)
    if DEVICE == "cuda":
        torch.cuda.empty_cache()  # all of it is the estimates'
    return size


def values(name: str, shape: torch.Size, chance: torch.Generator) -> torch.Tensor:
    """Random weights of standard deviation .02; the scales of norms are one."""
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16, device=DEVICE).normal_(0, 0.02, generator=chance).cpu()


def text(path: Path) -> str:
    """Documents of words with Zipf's frequencies, each longer than any context here."""
    random = np.random.default_rng(0)
    ranks = np.minimum(random.zipf(1.25, (ASKED["documents"], 600)), 50_000)
    path.write_text("".join(json.dumps({"text": " ".join(f"{rank:o}" for rank in row)}) + "\n" for row in ranks))
    return f"file:{path}"


def ran(specs: Sequence[EstimateSpec], gpus: str, asked: int | None = None) -> tuple[list[Any], float]:
    """The outcomes in the order of the specifications, and seconds from first to last."""
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    engine = LocalEngine("auto", asked)
    engine.gpus = engine.gpus and gpus.split(",")  # torch counted before
    began, before = time.perf_counter(), list[str]()

    def look(running: Sequence[str]) -> None:
        if before != running:
            before[:] = running
            print(f"  {time.perf_counter() - began:6.1f} s  {'; '.join(running)}", file=sys.stderr, flush=True)

    found = {outcome.spec: outcome for outcome in engines.run(specs, engine, watch=look)}
    return [found[spec] for spec in specs], time.perf_counter() - began


def measures(record: dict[str, Any]) -> np.ndarray:
    """Every value and standard error of an estimate, in the order of its rows."""
    columns = ("value", "se_draws", "se_documents")
    return np.array([[row[column] for column in columns] for row in record["measures"]], dtype=float)


def sweep(room: Path) -> None:
    """The same checkpoints with both GPUs, with one, and with both again; a first unit compiles the kernels."""
    began = time.perf_counter()
    folders = [room / "sweep" / f"step{1000 * number}" for number in range(1, CHECKPOINTS + 1)]
    size = sum(checkpoint(folder, SHAPES["tiny" if SHORT else "1b"], seed) for seed, folder in enumerate(folders))
    say(f"{len(folders)} checkpoints, {size / 1e9:.1f} GB, written in {time.perf_counter() - began:.0f} s")
    specs = [EstimateSpec(model=str(folder), corpus=text(room / "text.jsonl"), **ASKED) for folder in folders]
    ran(specs[:1], "0")
    seconds, kept = dict[str, list[float]](), list[Any]()
    for gpus in ("0,1", "0", "0,1"):
        outcomes, spent = ran(specs, gpus)
        assert all(outcome.record for outcome in outcomes), [outcome.failure for outcome in outcomes]
        seconds.setdefault(gpus, []).append(spent)
        kept.append([measures(outcome.record) for outcome in outcomes])
        each = [round(outcome.record["estimate"]["seconds"], 1) for outcome in outcomes]
        say(f"GPUs {gpus}: {spent:.1f} s for {len(specs)} checkpoints; seconds of each {each}")
    same = all(np.array_equal(a, b, equal_nan=True) for run in kept[1:] for a, b in zip(kept[0], run, strict=True))
    speed = [seconds["0"][0] / spent for spent in seconds["0,1"]]
    say(f"speed-up of two GPUs over one: {', '.join(f'{s:.3f}' for s in speed)}; all numbers equal to the bit: {same}")
    RESULTS["sweep"] = {"seconds": seconds, "speed": speed, "equal": same, "checkpoints": len(specs), "asked": ASKED}


def spread(room: Path) -> None:
    """One checkpoint on one GPU, and forced over both although it would fit."""
    folder = room / "spread" / "step1"
    checkpoint(folder, SHAPES["tiny" if SHORT else "1b"], 0)
    spec = EstimateSpec(model=str(folder), corpus=text(room / "text.jsonl"), **ASKED)
    found, here = [], resolve.resolve(spec.model)
    sample = corpus.load(spec.corpus, spec.documents, spec.seed)
    for spreads in (False, True):
        loading.__dict__["_is_spread"] = lambda *_, spreads=spreads: spreads and DEVICE == "cuda"
        model = hidden_states.load_model(here, spec.dtype)
        places = {str(place) for place in (getattr(model.module, "hf_device_map", None) or {"": model.device}).values()}
        found.append(estimate_model(spec, here, model, sample, on_plan=lambda sentence: say(f"  {sentence}")))
        say(f"on {', '.join(sorted(places))}: {found[-1].seconds:.1f} s, layers streamed: {model.streams}")
        del model
    one, two = (measures(estimate.record()) for estimate in found)
    apart, rows = np.nan_to_num(np.abs(one - two)[:, 0]), found[0].measures
    worst = {}
    for kind in ("raw", "null", "corrected"):
        at = max((n for n, row in enumerate(rows) if row.correction == kind and row.draws), key=lambda n: apart[n])
        worst[kind] = float(apart[at])
        say(f"{kind}: largest difference between one GPU and two {apart[at]:.1e}, of {name_of(rows[at])}")
    equal = int((apart == 0).sum())
    say(f"{equal} of {len(rows)} values the same to the bit")
    RESULTS["spread"] = {
        "difference": worst,
        "values": len(rows),
        "equal": equal,
        "seconds": [e.seconds for e in found],
    }


def name_of(row: Measure) -> str:
    """A measure with its value and its standard error over draws, for people."""
    of = " ".join(str(part) for part in (row.quantity, row.variable, row.ngram) if part is not None)
    return f"{of} of layer {row.layer}: {row.value:.5f}, standard error over draws {row.se_draws:.1e}"


def large(room: Path) -> None:
    """A model whose weights are more than all memory of one GPU, over both and with one."""
    folder = room / "large" / "step1"
    began = time.perf_counter()
    size = checkpoint(folder, SHAPES["tiny" if SHORT else "80b"], 0)
    say(f"weights of {size / 1e9:.1f} GB, written in {time.perf_counter() - began:.0f} s; {memory()} GB of GPU memory")
    spec = EstimateSpec(model=str(folder), corpus=text(room / "text.jsonl"), **ASKED | SMALL)
    for gpus, asked in (("0,1", 2), ("0", 1)):
        (outcome,), spent = ran([spec], gpus, asked)
        about = f"GPUs {gpus}: {spent:.0f} s in all"
        if outcome.record is None:
            say(f"{about}; failed: {outcome.failure}")
        else:
            row, rows = outcome.record["estimate"], measures(outcome.record)
            model = outcome.record["model"]
            say(
                f"{about}; {model['parameters'] / 1e9:.1f} billion weights in {row['dtype']}, {row['documents']} "
                f"documents, {row['positions']:,} positions, {model['layers'] + 1} hidden states, {spec.draws} draws: "
                f"{row['seconds']:.0f} s, {len(rows)} values, all finite: {bool(np.isfinite(rows[:, 0]).all())}"
            )
        RESULTS[f"large {gpus}"] = {"seconds": spent, "weights": size, "why": outcome.failure}


def memory() -> list[int]:
    """GB of every GPU."""
    return [torch.cuda.mem_get_info(number)[1] // 10**9 for number in range(torch.cuda.device_count())]


def main() -> None:
    """Measure where there are two GPUs; elsewhere say that there are not."""
    if torch.cuda.device_count() < 2 and not SHORT:
        print("No two GPUs here: nothing to measure.")
        return
    parts = {"sweep": sweep, "spread": spread, "large": large}
    RESULTS["machine"] = machine(DEVICE) | {"gpus": torch.cuda.device_count()}
    say(str(RESULTS["machine"]))
    room = Path(tempfile.mkdtemp(prefix="softh-cards-"))
    os.environ["SOFTH_CACHE"] = str(room / "cache")
    try:
        for name in [name for name in sys.argv[1:] if name in parts] or parts:
            began = time.perf_counter()
            guard(lambda name=name: parts[name](room))
            say(f"-- {name}: {time.perf_counter() - began:.0f} s")
            folder = Path(os.environ.get("OUT", Path(__file__).parent / "results"))
            (folder / "cards.json").write_text(json.dumps({"results": RESULTS, "lines": LINES}, indent=1) + "\n")
    finally:
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
