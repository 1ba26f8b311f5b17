"""What every setting of the estimator does to H, I and optimality, and to the order in which models and layers stand.

`python -m benchmarks.sensitivity MODEL … --text FILE` sweeps bins, draws, frames, centring, calibration, weighting,
precision, documents, context and the layer convention, one at a time from one base setting. It writes
benchmarks/results/sensitivity.json, and what the page Method shows of it into dashboard/assets/sensitivity.json. Fewer
documents are the first of more, and a shorter context is the beginning of a longer one.
"""

import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.stats import kendalltau

from dashboard.figures.sensitivity import QUANTITY, SWEPT
from softh import settings
from softh.checkpoints import resolve
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import label, measure_entropies
from softh.estimator.measures import Measure, measure
from softh.models.hidden_states import HiddenStates, load_model, open_cache
from softh.spec import EstimateSpec
from softh.text import corpus
from softh.text.corpus import TokenizedCorpus

BASE = EstimateSpec(model="", documents=64, context=128, orders=(1,), draws=4)
MANY, LONG = (1000, 48), (16, 1024)
"""Documents × tokens of the sweep over documents, and of the sweep over context."""
DRAWS = 64
SWEEPS: dict[str, Sequence[Any]] = {
    "bins": (25, 50, 100, 200, 400, 800),
    "calibration": ("bound", "leading", "exact"),
    "centred": (False, True),
    "weighting": ("positions", "labels"),
}
DOCUMENTS = (25, 50, 100, 250, 500, 1000)
CONTEXT = (64, 128, 256, 512, 1024)
SIZES = (1, 2, 4, 8, 16, 32, 64)
LAYERS = ("mean over layers", "with the embedding", "last layer", "middle layer")
TARGET = Path(__file__).parent / "results" / "sensitivity.json"
PAGE = Path(__file__).parents[1] / "dashboard" / "assets" / "sensitivity.json"
"""What the page Method shows of it."""


@dataclass(frozen=True)
class Text:
    """The hidden states of one model over one size of text."""

    states: HiddenStates
    tokenized: TokenizedCorpus
    digest: str
    cache: Any

    def cut(self, documents: int, context: int) -> "Text":
        """Its first documents, each to its first tokens."""
        ids = tuple(ids[:context] for ids in self.tokenized.ids[:documents])
        tokenized = dataclasses.replace(
            self.tokenized, ids=ids, digest=f"{self.tokenized.digest} {documents} {context}"
        )
        return ready(self.states.model, tokenized, self.digest, self.cache)

    def measured(self, spec: EstimateSpec) -> list[Measure]:
        """All measures under one setting."""
        width = self.states.model.width
        labelling = label(self.tokenized, spec, "cpu")
        epsilon = temperature(spec.bins, width, spec.temperature_rule)
        drawn = references(spec.bins, width, spec.draws, spec.seed, spec.directions)
        return measure(measure_entropies(self.states, labelling, drawn, epsilon, spec, lambda *_: None))


def ready(model: Any, tokenized: TokenizedCorpus, digest: str, cache: Any) -> Text:
    """Run the model over some tokenized; what was run before is remembered."""
    states = HiddenStates(model, tokenized, digest, cache=cache)
    states.fill(lambda phase, done, total: None)
    return Text(states, tokenized, digest, cache)


def read(model: Any, digest: str, name: str, size: tuple[int, int], cache: Any) -> Text:
    """Run the model over one size of text; what was run before is remembered."""
    text = corpus.load(name, size[0], 0)
    context = min(size[1], model.longest_context or size[1])
    return ready(model, corpus.tokenize(text, model.tokenizer, context, 1), digest, cache)


def sweep(source: str, name: str, cache: Any) -> Iterator[dict[str, Any]]:
    """Every setting of one model, one row a quantity, correction and setting."""
    made = resolve.resolve(source)
    for dtype in ("float32", "bfloat16"):
        model = dataclasses.replace(load_model(made, dtype, "cpu"), has_head=False)  # the loss is not asked for
        base = read(model, made.digest, name, (BASE.documents, BASE.context), cache)
        yield from rows(made.name, "precision", dtype, base.measured(BASE))
        if dtype == "bfloat16":
            return
        yield from layer_rows(made.name, base.measured(BASE))
        for field, values in SWEEPS.items():
            for value in values:
                spec = EstimateSpec.from_options(BASE.stored() | {field: value})
                yield from rows(made.name, field, value, base.measured(spec))
        for frame in ("iid", "orthonormal"):
            found = base.measured(dataclasses.replace(BASE, directions=frame, draws=DRAWS))
            yield from draw_rows(made.name, f"draws, {frame}", found)
        many = read(model, made.digest, name, MANY, cache)
        for documents in DOCUMENTS:
            yield from rows(made.name, "documents", documents, many.cut(documents, MANY[1]).measured(BASE))
        long = read(model, made.digest, name, LONG, cache)
        for context in (c for c in CONTEXT if c <= long.tokenized.max_length):
            yield from rows(made.name, "context", context, long.cut(LONG[0], context).measured(BASE))


def rows(model: str, setting: str, value: Any, found: Sequence[Measure]) -> Iterator[dict[str, Any]]:
    """Means over layers with their errors, and the values by layer."""
    for row in found:
        if row.layer is None and (quantity := quantity_of(row)):
            layers = [m.value for m in found if m.layer is not None and same(m, row)]
            errors = {"se_draws": row.se_draws, "se_documents": row.se_documents}
            yield {
                "model": model, "setting": setting, "at": value, "quantity": quantity, "correction": row.correction,
                "value": row.value, **errors, "positions": row.positions, "layers": layers,
            }  # fmt: skip


def draw_rows(model: str, setting: str, found: Sequence[Measure]) -> Iterator[dict[str, Any]]:
    """The first R draws of many: their mean, and the standard error that R draws have."""
    for row in rows(model, setting, DRAWS, found):
        each = next(m.draws for m in found if m.layer is None and quantity_of(m) == row["quantity"]
                    and m.correction == row["correction"])  # fmt: skip
        values = np.array(each, dtype=float)
        for size in SIZES:
            error = float(values.std(ddof=1) / np.sqrt(size))
            yield {**row, "at": size, "value": float(values[:size].mean()), "se_draws": error, "layers": []}


def layer_rows(model: str, found: Sequence[Measure]) -> Iterator[dict[str, Any]]:
    """The same estimate with other layers taken for the model's number; ratios of means throughout."""
    for row in rows(model, "layers", LAYERS[0], found):
        if row["quantity"] == "optimality":
            continue
        values = np.array(row["layers"], dtype=float)
        depth = len(values) - 1
        for convention, value in zip(
            LAYERS, (values[1:].mean(), values.mean(), values[-1], values[depth // 2]), strict=True
        ):
            yield {**row, "at": convention, "value": float(value), "se_draws": None, "se_documents": None, "layers": []}


def quantity_of(row: Measure) -> str | None:
    """Name on the page, or None for what is not shown."""
    return {
        ("entropy", None): "entropy", ("information", "input"): "input", ("information", "output"): "output",
        ("optimality", None): "optimality",
    }.get((row.quantity, row.variable))  # fmt: skip


def same(a: Measure, b: Measure) -> bool:
    """Whether two rows differ in nothing but the layer."""
    return (a.quantity, a.variable, a.correction) == (b.quantity, b.variable, b.correction)


def with_ratios(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Optimality of the layer conventions, from their informations."""
    layered = {(r["model"], r["at"], r["correction"], r["quantity"]): r for r in found if r["setting"] == "layers"}
    added = []
    for (model, at, correction, quantity), row in layered.items():
        if quantity == "output":
            ratio = row["value"] / layered[model, at, correction, "input"]["value"]
            added.append({**row, "quantity": "optimality", "value": ratio})
    return [*found, *added]


def agreement(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kendall's tau of the order of the models, and of all their layers together, against the base setting."""
    base = {(r["model"], r["quantity"], r["correction"]): r for r in found
            if (r["setting"], r["at"]) == ("precision", "float32")}  # fmt: skip
    grouped: dict[tuple[str, Any, str, str], dict[str, dict[str, Any]]] = {}
    for row in found:
        key = (row["setting"], row["at"], row["quantity"], row["correction"])
        grouped.setdefault(key, {})[row["model"]] = row
    taus = []
    for (setting, at, quantity, correction), by_model in grouped.items():
        if correction == "null":
            continue
        pairs = [(base[m, quantity, correction], r) for m, r in by_model.items()]
        models = tau([a["value"] for a, _ in pairs], [b["value"] for _, b in pairs])
        layers = [(x, y) for a, b in pairs for x, y in zip(a["layers"][1:], b["layers"][1:], strict=False)]
        taus.append({
            "setting": setting, "at": at, "quantity": quantity, "correction": correction, "models": models,
            "layers": tau(*zip(*layers, strict=True)) if layers else None, "n": len(pairs), "n_layers": len(layers),
        })  # fmt: skip
    return taus


def tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau-b, None for fewer than three or where it is undefined."""
    found = float(kendalltau(a, b).statistic) if len(a) > 2 else np.nan
    return found if np.isfinite(found) else None


def main(
    models: list[str],
    text: Annotated[str, typer.Option(help="Corpus, as softh estimate takes it.")] = "python-docs",
) -> None:
    """Sweep every model and write what came of it, after each."""
    found: list[dict[str, Any]] = []
    began = time.perf_counter()
    with open_cache(settings.cache()) as cache:
        for source in models:
            for row in sweep(source, text, cache):
                found.append(row)
                if row["quantity"] == "optimality" and row["correction"] == "corrected":
                    print(
                        f"{time.perf_counter() - began:6.0f} s {row['model']} {row['setting']} {row['at']}", flush=True
                    )
            write(found, text, time.perf_counter() - began)


def write(found: list[dict[str, Any]], text: str, seconds: float) -> None:
    """One JSON file: what was swept from where, every value, and the agreement of the orders."""
    whole = with_ratios(found)
    about = {
        "corpus": Path(text).name.split(".")[0], "documents": BASE.documents, "context": BASE.context,
        "many": MANY, "long": LONG, "bins": BASE.bins, "draws": BASE.draws, "orders": BASE.orders,
        "seconds": round(seconds), "threads": torch.get_num_threads(), "processors": os.cpu_count(),
        "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip
    taus = agreement(whole)
    slim = [{k: v for k, v in row.items() if k != "layers"} for row in whole]
    results = {"about": about, "rows": rounded(slim), "agreement": rounded(taus)}
    TARGET.write_text(json.dumps(results) + "\n")
    PAGE.write_text(json.dumps(for_page(results), ensure_ascii=False) + "\n", encoding="utf-8")


def for_page(results: dict[str, Any]) -> dict[str, Any]:
    """The part of the results that the page Method shows."""
    columns = ("model", "setting", "at", "correction", "value", "se_draws")
    rows = [
        {name: row[name] for name in columns}
        for row in results["rows"]
        if row["setting"] in SWEPT and row["quantity"] == QUANTITY and row["correction"] in ("corrected", "null")
    ]
    taus = [
        row
        for row in results["agreement"]
        if row["correction"] == "corrected" and row["quantity"] in (QUANTITY, "optimality")
    ]
    return {"about": results["about"], "rows": rows, "agreement": taus}


def rounded(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Six significant digits: no more are known."""
    return [{k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()} for row in table]


if __name__ == "__main__":
    typer.run(main)
