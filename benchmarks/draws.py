"""How many draws of the reference directions a measurement needs: standard error against R, iid and orthonormal.

`python -m benchmarks.draws [--model M] [--corpus C]` estimates order 1 with 64 draws of either kind,
prints the relative standard error of the layer means of H, I(X;Z), I(Y;Z) and optimality for R from 1 to 64, and writes
benchmarks/results/draws.json.
"""

import json
from pathlib import Path

import numpy as np
import typer

from benchmarks._real import smollm2
from softh import settings
from softh.estimator.pipeline import estimate
from softh.models.hidden_states import open_cache
from softh.spec import EstimateSpec

DRAWS = 64
SIZES = (1, 2, 4, 8, 16, 32, 64)
QUANTITIES = (("entropy", None), ("information", "input"), ("information", "output"), ("optimality", None))


def main(model: str = "", corpus: str = "python-docs", documents: int = 330, context: int = 128) -> None:
    """Estimate, then print one line a quantity, correction and frame."""
    cache = open_cache(settings.cache())
    results = []
    for frame in ("iid", "orthonormal"):
        spec = EstimateSpec(
            model=model or smollm2(),
            corpus=corpus,
            documents=documents,
            context=context,
            orders=(1,),
            draws=DRAWS,
            directions=frame,
        )
        found = estimate(spec, cache=cache)
        print(f"{found.checkpoint.name}, {found.corpus.name}, {found.positions:,} positions, {frame} directions")
        print(f"{'':32}{'mean':>8}{'sd':>9}" + "".join(f"{f'R={size}':>8}" for size in SIZES))
        for row in found.measures:
            if row.layer is not None or row.correction == "null" or (row.quantity, row.variable) not in QUANTITIES:
                continue
            draws = np.array(row.draws)
            deviation = draws.std(ddof=1)
            errors = {size: deviation / np.sqrt(size) / draws.mean() for size in SIZES}
            name = f"{row.quantity} {row.variable or ''} {row.correction}"
            print(f"{name:32}{draws.mean():8.4f}{deviation:9.5f}" + "".join(f"{e:8.2%}" for e in errors.values()))
            results.append({"frame": frame, "quantity": name, "draws": row.draws, "positions": row.positions})
    target = Path(__file__).parent / "results" / "draws.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"model": found.checkpoint.name, "corpus": found.corpus.name, "rows": results}) + "\n")


if __name__ == "__main__":
    typer.run(main)
