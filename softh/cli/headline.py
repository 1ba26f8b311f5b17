"""The lines that a command ends with: where an estimate lies on the plane, what is nearest, where to see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from softh.analysis.neighbours import nearest
from softh.analysis.standard_errors import combined
from softh.quantities import BY_COLUMN, CORRECTION_NAMES
from softh.store import read

_ADDRESS = "http://localhost:8501/"
"""Of the dashboard as `softh app` serves it unless told otherwise."""
_TOLD = ("input", "output", "optimality")


def of_estimate(data: Path, estimate_id: str) -> str:
    """Complexity, expressivity and optimality with their errors, the nearest models, and a link; a line each."""
    every = read.lowest(data)
    mine = every.filter(estimate_id=estimate_id).to_dicts()
    return "\n".join(_lines(mine[0], every)) if mine else ""


def _lines(mine: dict[str, Any], every: Any) -> Iterator[str]:
    told = [f"{BY_COLUMN[name].name} {_with_error(mine, name)}" for name in _TOLD]
    yield f"On the plane: {', '.join(told)} ({CORRECTION_NAMES[mine['correction']]}, mean over layers)."
    others = every.filter(every["model"] != mine["model"], settings=mine["settings"], correction=mine["correction"])
    others = others.drop_nulls(["input", "output"])
    if mine["input"] is None or mine["output"] is None or others.is_empty():
        yield "Nearest: no other model was measured on this text with these settings."
    else:
        near = nearest(mine, others).select("model", "distance").iter_rows()
        yield f"Nearest: {', '.join(f'{name} ({distance:.3f} away)' for name, distance in near)}."
    link = urlencode({"corpus": mine["corpus"], "models": mine["model"]})
    yield f"See it: run `python -m softh app`, then open {_ADDRESS}?{link}"


def _with_error(row: dict[str, Any], name: str) -> str:
    """'0.162 ± 0.007'."""
    if row[name] is None:
        return "unknown"
    error = combined(row[f"{name}_se_draws"], row[f"{name}_se_documents"])
    return f"{row[name]:.3f}" if error is None else f"{row[name]:.3f} ± {error:.3f}"
